"""The black-box harness itself: a test can only be believed when its stage really is what it says."""

import errno
import os
import resource
import signal
import socket
import unittest

import portshim_test
from portshim_test import (NET_BIND_SERVICE, NO_CAPABILITIES, NetworkNamespace, Probe, PortshimTest, Stage, as_root,
                           as_uid, in_network_namespace)


class Harness(PortshimTest):
    def probe_report(self, *arguments, **how) -> Probe:
        result = self.start(self.probe, *arguments, **how).wait()
        self.assertEqual(result.code, 0, result)
        return result.probe

    def test_argv_and_environment_are_exactly_as_given(self):
        environment = [b"B=2", b"A=1", b"B=3", b"no equals sign", b"=x", b"\xff\xfe=\n", b"EMPTY="]
        report = self.probe_report("", b"\xff", "a b", argv0="dotnet", env=environment)
        self.assertEqual([os.fsencode(word) for word in report.argv], [b"dotnet", b"", b"\xff", b"a b"])
        self.assertEqual([os.fsencode(entry) for entry in report.environment], environment)

    def test_only_the_standard_descriptors_are_open(self):
        self.assertEqual(set(self.probe_report().descriptors), {0, 1, 2})

    def test_a_passed_descriptor_is_open(self):
        with open("/dev/null") as null:
            report = self.probe_report(pass_descriptors=[null.fileno()])
            self.assertEqual(report.descriptors[null.fileno()], "/dev/null")

    def test_signals_umask_limits_and_directory_are_as_given(self):
        stage = Stage(ignored=(signal.SIGCHLD,), blocked=(signal.SIGTERM,), umask=0o027,
                      limits=((resource.RLIMIT_NOFILE, (77, 99)),))
        report = self.probe_report(stage=stage, cwd=self.directory)
        self.assertEqual(report.ignored, [signal.SIGCHLD])
        self.assertEqual(report.blocked, [signal.SIGTERM])
        self.assertEqual(report.umask, 0o027)
        self.assertEqual(tuple(report.limits[resource.RLIMIT_NOFILE]), (77, 99))
        self.assertEqual(report.cwd, str(self.directory))

    def test_signals_are_default_and_unblocked_if_nothing_is_said(self):
        report = self.probe_report()
        self.assertEqual((report.ignored, report.blocked), ([], []))

    def test_the_exit_code_is_that_of_the_program(self):
        self.assertEqual(self.start(self.probe, "--exit=3").wait().code, 3)

    def test_a_user_of_a_container_has_no_capability(self):
        status = self.probe_report(stage=as_uid(1654)).status
        self.assertEqual(status["Uid"], "1654 1654 1654 1654")
        self.assertEqual(status["Gid"], "1654 1654 1654 1654")
        self.assertEqual(status["Groups"], "")
        for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[which], 16), 0, which)

    def test_an_ambient_capability_survives_exec_and_one_in_the_bounding_set_alone_does_not(self):
        status = self.probe_report(stage=as_uid(1654, ambient=NET_BIND_SERVICE)).status
        self.assertEqual(int(status["CapEff"], 16), NET_BIND_SERVICE)
        self.assertEqual(int(status["CapAmb"], 16), NET_BIND_SERVICE)
        status = self.probe_report(stage=as_uid(1654, bounding=NET_BIND_SERVICE)).status
        self.assertEqual(int(status["CapEff"], 16), 0)
        self.assertEqual(int(status["CapBnd"], 16), NET_BIND_SERVICE)

    def test_no_new_privileges_is_set(self):
        status = self.probe_report(stage=as_uid(1654) | Stage(no_new_privileges=True)).status
        self.assertEqual(status["NoNewPrivs"], "1")

    def test_the_kernel_denies_port_80_as_the_stage_says(self):
        low, open_to_all = in_network_namespace(port_start=1024), in_network_namespace(port_start=0)
        for stage, expected in ((as_uid(1654) | low, errno.EACCES),
                                (as_uid(1654) | open_to_all, 0),
                                (as_uid(1654, ambient=NET_BIND_SERVICE) | low, 0),
                                (as_uid(1654, bounding=NET_BIND_SERVICE) | low, errno.EACCES),
                                (as_root() | low, 0),
                                (as_root(bounding=NO_CAPABILITIES) | low, errno.EACCES)):
            for address in ("::", "0.0.0.0", "127.0.0.1", "::1"):
                with self.subTest(stage=stage, address=address):
                    self.assertEqual(self.probe_report(f"--bind={address}:80", stage=stage).bind, expected)

    def test_a_port_of_one_network_namespace_is_not_seen_in_another(self):
        one, other = NetworkNamespace(), NetworkNamespace()
        with one.entered():
            listener = socket.create_server(("127.0.0.1", 8080))
        with listener:
            self.assertTrue(one.connects(8080))
            self.assertFalse(other.connects(8080))
            self.assertEqual(self.probe_report("--bind=127.0.0.1:8080", stage=Stage(namespace=one)).bind,
                             errno.EADDRINUSE)

    def test_a_program_that_never_ends_is_killed_and_fails_the_test(self):
        process = self.start("/bin/sleep", "1000")
        with self.assertRaisesRegex(AssertionError, "still running after 0.1 s"):
            process.wait(timeout=0.1)
        self.assertFalse(process.is_running())

    def test_findings_are_read_from_the_text_format(self):
        text = ("Unhandled exception.\nportshim: warning PS101: A=http://+:80 asks for port 80\n  why:  because\n"
                "  did:  A=http://+:8080\n  next: send traffic to 8080\nportshim: info PS102: b\n")
        first, second = portshim_test.parse_findings(text)
        self.assertEqual(first, portshim_test.Finding("PS101", "warning", "A=http://+:80 asks for port 80", "because",
                                                      "A=http://+:8080", "send traffic to 8080"))
        self.assertEqual(second, portshim_test.Finding("PS102", "info", "b"))


class Skipping(unittest.TestCase):
    def setUp(self):
        in_ci = portshim_test.IN_CI
        self.addCleanup(setattr, portshim_test, "IN_CI", in_ci)

    def test_what_this_machine_cannot_give_is_a_skip_with_the_reason(self):
        portshim_test.IN_CI = False
        with self.assertRaisesRegex(unittest.SkipTest, "needs dotnet 999"):
            portshim_test.skip("needs dotnet 999")

    def test_under_ci_it_is_a_failure(self):
        portshim_test.IN_CI = True
        with self.assertRaisesRegex(AssertionError, "needs dotnet 999"):
            portshim_test.skip("needs dotnet 999")


if __name__ == "__main__":
    portshim_test.main()
