"""Builds the apps whose code portshim is to read (a CTest fixture)."""

import unittest

import assembly_apps
import portshim_test


class Apps(unittest.TestCase):
    def test_every_app_is_built_in_every_form(self):
        assembly_apps.build()
        for assembly in assembly_apps.assemblies():
            for configuration in assembly.configurations():
                with self.subTest(assembly.name, configuration=configuration):
                    self.assertTrue(assembly.path(configuration).is_file(), assembly.path(configuration))


if __name__ == "__main__":
    portshim_test.main()
