#include "shim/log.h"

#include <gtest/gtest.h>
