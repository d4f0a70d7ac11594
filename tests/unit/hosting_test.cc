#include "shim/hosting.h"

#include <gtest/gtest.h>
