#include "shim/finding.h"

#include <gtest/gtest.h>
