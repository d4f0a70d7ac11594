#include "shim/launch.h"

#include <gtest/gtest.h>
