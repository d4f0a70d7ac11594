"""Publishes tests/apps/aspnetapp for the tests with real Kestrel (a CTest fixture)."""

import unittest

import kestrel
import portshim_test


class Publish(unittest.TestCase):
    def test_the_app_is_published(self):
        kestrel.publish()
        self.assertTrue((kestrel.PUBLISHED / "aspnetapp.dll").is_file())
        self.assertTrue(kestrel.SINGLE_FILE.is_file())


if __name__ == "__main__":
    portshim_test.main()
