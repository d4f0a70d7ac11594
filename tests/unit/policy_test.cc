#include "shim/policy.h"

#include <gtest/gtest.h>
