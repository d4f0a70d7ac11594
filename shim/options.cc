#include "shim/options.h"
