#include "shim/address.h"

#include <gtest/gtest.h>
