#include "shim/diagnosis.h"
