#include "shim/diagnosis.h"

#include <gtest/gtest.h>
