#include "shim/config.h"

#include <gtest/gtest.h>
