#include "shim/runtime.h"
