"""Publishes the apps of tests/apps for the tests with real Kestrel (a CTest fixture)."""

import unittest

import kestrel
import portshim_test


class Publish(unittest.TestCase):
    def test_the_apps_are_published(self):
        kestrel.publish()
        self.assertTrue((kestrel.PUBLISHED / "aspnetapp.dll").is_file())
        self.assertTrue(kestrel.SINGLE_FILE.is_file())
        self.assertTrue((kestrel.BINDAPP / "bindapp.dll").is_file())


if __name__ == "__main__":
    portshim_test.main()
