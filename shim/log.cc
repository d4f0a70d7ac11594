#include "shim/log.h"
