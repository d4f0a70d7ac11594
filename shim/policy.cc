#include "shim/policy.h"
