#include "shim/address.h"
