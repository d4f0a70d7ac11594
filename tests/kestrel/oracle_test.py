"""Builds the oracle for the judge (a CTest fixture)."""

import unittest

import judge
import portshim_test


class Oracle(unittest.TestCase):
    def test_the_oracle_is_built_for_every_version(self):
        judge.build()
        for major in judge.MAJORS:
            self.assertTrue(judge.oracle(major).is_file(), judge.oracle(major))


if __name__ == "__main__":
    portshim_test.main()
