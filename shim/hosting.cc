#include "shim/hosting.h"
