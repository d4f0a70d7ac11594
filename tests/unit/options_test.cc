#include "shim/options.h"

#include <gtest/gtest.h>
