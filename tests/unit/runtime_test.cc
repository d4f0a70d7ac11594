#include "shim/runtime.h"

#include <gtest/gtest.h>
