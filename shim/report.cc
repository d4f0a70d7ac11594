#include "shim/report.h"
