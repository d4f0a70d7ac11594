#include "shim/system.h"
