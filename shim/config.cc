#include "shim/config.h"
