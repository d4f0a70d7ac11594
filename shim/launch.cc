#include "shim/launch.h"
