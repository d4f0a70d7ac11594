#include "shim/system.h"

#include <gtest/gtest.h>
