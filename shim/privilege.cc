#include "shim/privilege.h"
