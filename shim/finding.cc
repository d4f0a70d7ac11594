#include "shim/finding.h"
