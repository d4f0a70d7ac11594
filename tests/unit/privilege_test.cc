#include "shim/privilege.h"

#include <gtest/gtest.h>
