#include "shim/report.h"

#include <gtest/gtest.h>
