"""--guard: the app's own bind calls are watched, explained and moved, by a real kernel."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import time
import unittest
from collections.abc import Sequence
from pathlib import Path

import portshim_test
from portshim_test import (NET_BIND_SERVICE, NetworkNamespace, PortshimTest, Process, Result, Stage, Text, as_root,
                           as_uid, readable_copy, require_program)

UID = 1654
SYS_BIND = {"x86_64": "49", "aarch64": "200"}[os.uname().machine]
PYTHON = "/usr/bin/python3"
DENIED = ("errno", errno.EACCES)
IN_USE = ("errno", errno.EADDRINUSE)

# Binds one after the other and keeps them: KIND,ADDRESS,PORT with KIND tcp4, udp4, tcp6, udp6, dual, and behind it "+" for
# SO_REUSEPORT, "=" for the socket before. Says what port each got or which errno, and ends with the code in CODE.
BINDS = """
import json, os, socket, sys
kept, answers = [], []
for word in sys.argv[1:]:
    kind, address, port = word.split(",")
    again, shared, kind = kind.endswith("="), kind.endswith("+"), kind.rstrip("=+")
    one = kept[-1] if again else socket.socket(socket.AF_INET if kind.endswith("4") else socket.AF_INET6,
                                               socket.SOCK_DGRAM if kind.startswith("udp") else socket.SOCK_STREAM)
    kept.append(one)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(not kind.startswith("udp")))
    if not kind.endswith("4") and not again:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(kind != "dual"))
    try:
        one.bind((address, int(port)))
        if not kind.startswith("udp"):
            one.listen()
        answers.append(("port", one.getsockname()[1]))
    except OSError as error:
        answers.append(("errno", error.errno))
print(json.dumps(answers), flush=True)
sys.exit(int(os.environ.get("CODE", 0)))
"""

# Binds port 80, and ends by SIGTERM in its own way.
SERVER = """
import os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
one = socket.socket()
one.bind(("", 80))
one.listen()
print("port", one.getsockname()[1], "pid", os.getpid(), flush=True)
number = signal.sigwait([signal.SIGTERM, signal.SIGUSR1])
print("graceful", number, flush=True)
sys.exit(7)
"""


def port(number: int) -> tuple[str, int]:
    return ("port", number)


class GuardTest(PortshimTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        built = os.environ.get("PORTSHIM_BINDER") or portshim_test.SOURCE_DIR / "build/release/tests/binder"
        cls.binder = readable_copy(Path(built))

    def setUp(self) -> None:
        super().setUp()
        self.namespace = NetworkNamespace(1024)
        self.stage = as_uid(UID) | Stage(namespace=self.namespace)

    def run_binds(self, *binds: str, guard: str = "redirect", options: Sequence[Text] = (), env=None,
                  before: Sequence[Text] = (), stage: Stage | None = None) -> Result:
        """`BEFORE portshim --guard=GUARD OPTIONS python3 -c BINDS`"""
        words = [*before, self.binary, f"--guard={guard}", *options, "--", PYTHON, "-c", BINDS, *binds]
        return self.start(words[0], *words[1:], env=env or {}, stage=stage or self.stage).wait()

    def answers(self, result: Result) -> list[tuple[str, int]]:
        self.assertTrue(result.stdout, result)
        return [tuple(pair) for pair in json.loads(result.stdout)]

    def assert_binds(self, binds: Sequence[str], expected: Sequence[tuple[str, int]], **how) -> Result:
        result = self.run_binds(*binds, **how)
        self.assertEqual(self.answers(result), list(expected), result)
        return result

    def ids(self, result: Result) -> list[str]:
        return [finding.id for finding in result.findings]


class Redirect(GuardTest):
    def test_without_the_guard_every_low_bind_is_denied(self):
        result = self.assert_binds(("tcp4,0.0.0.0,80", "dual,::,80", "udp4,0.0.0.0,53"), [DENIED] * 3, guard="off")
        self.assertSilent(result)

    def test_ipv4_ipv6_dual_and_mapped_addresses_get_one_new_port(self):
        for bind in ("tcp4,0.0.0.0,80", "tcp4,127.0.0.1,80", "tcp6,::1,80", "tcp6,::,80", "dual,::,80",
                     "dual,::ffff:127.0.0.1,80", "udp4,127.0.0.1,80", "udp6,::,80"):
            with self.subTest(bind):
                finding = self.assertFinding(self.assert_binds([bind], [port(8080)]), "PS531", "warning")
                _, address, _ = bind.split(",")
                shown = f"[{address}]" if ":" in address else address
                self.assertEqual(finding.what, f"the app's bind({shown}:80) was changed to port 8080")
                self.assertIn(f"bind({shown}:8080)", finding.did)
                self.assertIn("ip_unprivileged_port_start=1024", finding.why)
                self.assertIn("uid 1654", finding.why)

    def test_a_pair_of_loopbacks_stays_together(self):
        result = self.assert_binds(("tcp4,127.0.0.1,80", "tcp6,::1,80"), [port(8080)] * 2)
        self.assertEqual(self.ids(result), ["PS531"] * 2)

    def test_a_pair_of_wildcards_stays_together(self):
        self.assert_binds(("tcp4,0.0.0.0,80", "tcp6,::,80"), [port(8080)] * 2)

    def test_tcp_and_udp_of_one_port_stay_together(self):
        result = self.assert_binds(("tcp4,0.0.0.0,443", "udp4,0.0.0.0,443"), [port(8443)] * 2)
        self.assertEqual(self.ids(result), ["PS531"], "said once for an address")

    def test_two_ports_move_apart(self):
        self.assert_binds(("dual,::,80", "dual,::,443"), [port(8080), port(8443)])

    def test_both_orders_of_80_and_8080_start(self):
        result = self.assert_binds(("dual,::,80", "dual,::,8080"), [port(8080), port(8081)])
        self.assertEqual(self.ids(result), ["PS531", "PS532"])
        self.assertIn("port 8080 was given to what asked for port 80", result.findings[1].why)
        result = self.assert_binds(("dual,::,8080", "dual,::,80"), [port(8080), port(8081)])
        self.assertEqual(self.ids(result), ["PS531"])

    def test_sockets_that_share_a_port_go_on_to_share_it(self):
        for guard in ("redirect", "strict"):
            result = self.assert_binds(("tcp4+,0.0.0.0,80", "tcp4+,0.0.0.0,80", "tcp4+,0.0.0.0,8080", "udp4+,0.0.0.0,53",
                                        "udp4+,0.0.0.0,8053"), [port(8080)] * 3 + [port(8053)] * 2, guard=guard)
            self.assertEqual(self.ids(result), ["PS531"] * 2)

    def test_udp_on_a_new_port_of_tcp_is_no_conflict(self):
        for guard in ("redirect", "strict"):
            result = self.assert_binds(("tcp4,0.0.0.0,80", "udp4,0.0.0.0,8080"), [port(8080)] * 2, guard=guard)
            self.assertEqual(self.ids(result), ["PS531"])

    def test_a_second_address_that_is_in_use_is_explained(self):
        with self.namespace.entered():
            holder = socket.create_server(("::1", 8080), family=socket.AF_INET6)
        self.addCleanup(holder.close)
        result = self.assert_binds(("tcp4,127.0.0.1,80", "tcp6,::1,80"), [port(8080), IN_USE])
        self.assertEqual(self.ids(result), ["PS531", "PS533"])
        self.assertEqual(result.findings[1].why, "port 8080 is in use")

    def test_what_is_no_socket_for_that_address_sees_its_own_error_and_nothing_is_said(self):
        for what, code in (("none", errno.EBADF), ("file", errno.ENOTSOCK), ("unix", errno.EINVAL),
                           ("ipv6", errno.EINVAL)):
            for guard in ("explain", "redirect", "strict"):
                with self.subTest(what, guard=guard):
                    result = self.portshim(f"--guard={guard}", "--", self.binder, "other", what, stage=self.stage)
                    self.assertEqual(result.stdout, f"errno {code}\n", result)
                    self.assertSilent(result)

    def test_a_socket_that_is_bound_already_is_not_said_to_have_got_the_port(self):
        result = self.assert_binds(("tcp4,0.0.0.0,5000", "tcp4=,0.0.0.0,80"), [port(5000), ("errno", errno.EINVAL)])
        self.assertEqual(self.assertFinding(result, "PS531").what, "the app's bind(0.0.0.0:80) was changed to port 8080")
        result = self.assert_binds(("tcp4,0.0.0.0,5000", "tcp4=,0.0.0.0,80"), [port(5000), DENIED], guard="explain")
        self.assertFinding(result, "PS530")

    def test_an_address_without_a_family_is_one_of_ipv4(self):
        result = self.portshim("--guard=redirect", "--", self.binder, "unspecified", "80", stage=self.stage)
        self.assertEqual(result.stdout, "8080\n", result)
        self.assertFinding(result, "PS531")

    def test_the_map_says_where_to_and_then_it_is_only_an_info(self):
        result = self.assert_binds(("tcp4,0.0.0.0,80", "tcp4,0.0.0.0,81"), [port(5000), port(8081)],
                                   options=("--map=80:5000", "--log-level=info"))
        self.assertEqual([finding.severity for finding in result.findings], ["info", "warning"])

    def test_what_of_the_map_cannot_be_followed_is_said_at_the_start(self):
        result = self.assert_binds((), [], options=("--map=80:81,443:5000,444:5000,8080:5000",))
        finding = self.assertFinding(result, "PS536", "warning")
        self.assertIn("port 80 cannot become 81, which is low itself; port 444 cannot become 5000, which is taken by "
                      "another port of --map", finding.what)
        self.assertNotIn("port 8080", finding.what)
        self.assertSilent(self.assert_binds((), [], options=("--map=80:5000,443:5001",)))
        self.assertSilent(self.assert_binds((), [], options=("--map=80:81",), guard="explain"))

    def test_what_is_beyond_the_memory_of_the_guard_is_said_once(self):
        low = tuple(f"tcp4,127.0.0.1,{number}" for number in range(1, 131))
        result = self.assert_binds(low, [*(port(8000 + number) for number in range(1, 129)), DENIED, DENIED])
        self.assertEqual(self.ids(result), ["PS531"] * 64 + ["PS535"] * 2)
        ends = result.findings[-2:]
        self.assertEqual([end.what.split()[2] for end in ends], ["bind(127.0.0.1:65)", "bind(127.0.0.1:129)"])
        self.assertIn("no more of bind calls", ends[0].did)
        self.assertIn("moved no more ports", ends[1].did)

    def test_a_port_that_another_process_holds_is_dodged(self):
        with self.namespace.entered():
            holder = socket.create_server(("0.0.0.0", 8080))
        self.addCleanup(holder.close)
        self.assert_binds(("tcp4,0.0.0.0,80",), [port(8081)])

    def test_what_is_not_low_is_not_touched(self):
        result = self.assert_binds(("tcp4,0.0.0.0,5000", "dual,::,8080"), [port(5000), port(8080)])
        self.assertSilent(result)
        (kind, number), = self.answers(self.run_binds("tcp4,0.0.0.0,0"))
        self.assertEqual(kind, "port")
        self.assertGreater(number, 1023)

    def test_an_address_of_another_host_stays_the_apps_own_error(self):
        result = self.assert_binds(("tcp4,192.0.2.1,80", "tcp6,2001:db8::1,80"), [("errno", errno.EADDRNOTAVAIL)] * 2)
        self.assertSilent(result)

    def test_the_hosts_own_port_start_counts(self):
        stage = as_uid(UID) | Stage(namespace=NetworkNamespace(81))
        self.assert_binds(("tcp4,0.0.0.0,80", "tcp4,0.0.0.0,81"), [port(8080), port(81)], stage=stage)

    def test_root_without_the_capability_is_guarded_too(self):
        stage = as_root(bounding=portshim_test.NO_CAPABILITIES) | Stage(namespace=self.namespace)
        finding = self.assertFinding(self.assert_binds(("tcp4,0.0.0.0,80",), [port(8080)], stage=stage), "PS531")
        self.assertIn("uid 0", finding.why)

    def test_children_are_guarded(self):
        script = 'import subprocess, sys; subprocess.run([sys.executable, "-c", sys.argv[1], *sys.argv[2:]])'
        result = self.portshim("--guard=redirect", "--", PYTHON, "-c", script, BINDS, "tcp4,0.0.0.0,80",
                               stage=self.stage)
        self.assertEqual(self.answers(result), [port(8080)])

    def test_an_address_in_read_only_memory_is_changed(self):
        result = self.portshim("--guard=redirect", "--", self.binder, "constant", "80", stage=self.stage)
        self.assertEqual((result.code, result.stdout), (0, "8080\n"), result)

    def test_other_sockets_are_left_alone(self):
        script = ('import socket; a = socket.socket(socket.AF_UNIX); a.bind("\\0portshim-test"); '
                  'b = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); b.bind((0, 0)); print("bound")')
        result = self.portshim("--guard=redirect", "--", PYTHON, "-c", script, stage=self.stage)
        self.assertEqual(result.stdout, "bound\n", result)

    def test_it_works_without_process_vm_readv(self):
        result = self.assert_binds(("tcp4,0.0.0.0,80",), [port(8080)],
                                   before=(self.binder, "refuse", "memory", str(errno.EPERM)))
        self.assertFinding(result, "PS531")


class ExplainAndStrict(GuardTest):
    def test_explain_names_the_call_and_changes_nothing(self):
        result = self.assert_binds(("dual,::,80", "tcp4,127.0.0.1,443"), [DENIED] * 2, guard="explain")
        self.assertEqual(self.ids(result), ["PS530"] * 2)
        first = result.findings[0]
        self.assertEqual((first.severity, first.what), ("warning", "the app's bind([::]:80) is denied"))
        self.assertIn("PORTSHIM_GUARD=redirect", first.next)
        self.assertIn("8080", first.next)

    def test_explain_says_nothing_of_what_is_allowed(self):
        self.assertSilent(self.assert_binds(("dual,::,8080",), [port(8080)], guard="explain"))

    def test_a_denial_is_said_once(self):
        result = self.assert_binds(("dual,::,80",) * 3, [DENIED] * 3, guard="explain")
        self.assertEqual(self.ids(result), ["PS530"])

    def test_strict_keeps_a_conflict_and_explains_it(self):
        result = self.assert_binds(("dual,::,80", "dual,::,8080"), [port(8080), IN_USE], guard="strict")
        self.assertEqual(self.ids(result), ["PS531", "PS533"])
        self.assertEqual(result.findings[1].why, "port 8080 is in use by what asked for port 80")
        result = self.assert_binds(("dual,::,8080", "dual,::,80"), [port(8080), IN_USE], guard="strict")
        self.assertEqual(self.ids(result), ["PS533"])
        self.assertIn("PORTSHIM_MAP=80:PORT", result.findings[0].next)

    def test_strict_explains_a_port_that_another_process_holds_on_ipv4(self):
        with self.namespace.entered():
            holder = socket.create_server(("0.0.0.0", 8080))
        self.addCleanup(holder.close)
        for bind in ("dual,::,80", "tcp4,0.0.0.0,80"):
            finding = self.assertFinding(self.assert_binds([bind], [IN_USE], guard="strict"), "PS533", "error")
            self.assertEqual(finding.why, "port 8080 is in use")
            self.assertEqual("unless its socket takes IPv6 alone" in finding.did, bind.startswith("dual"))
        result = self.assert_binds(["tcp6,::1,80"], [port(8080)], guard="strict")
        self.assertFinding(result, "PS531")

    def test_strict_says_of_mapped_addresses_what_it_says_of_ipv4(self):
        for address in ("::ffff:127.0.0.1", "::ffff:0.0.0.0"):
            result = self.assert_binds([f"dual,{address},80"], [port(8080)], guard="strict")
            self.assertFinding(result, "PS531")
        with self.namespace.entered():
            holder = socket.create_server(("0.0.0.0", 8080))
        self.addCleanup(holder.close)
        for address in ("::ffff:127.0.0.1", "::ffff:0.0.0.0"):
            result = self.assert_binds([f"dual,{address},80"], [IN_USE], guard="strict")
            self.assertNotIn("unless", self.assertFinding(result, "PS533").did)

    def test_where_no_port_is_free_it_stays_denied_and_is_explained(self):
        kept = tuple(f"tcp4,0.0.0.0,{number}" for number in range(8080, 8096))
        result = self.assert_binds((*kept, "tcp4,0.0.0.0,80"),
                                   [*(port(number) for number in range(8080, 8096)), DENIED])
        self.assertFinding(result, "PS533", "error")


class Robustness(GuardTest):
    def test_40000_binds_in_8_threads_do_not_fail(self):
        result = self.portshim("--guard=redirect", "--", self.binder, "storm", "40000", "8", stage=self.stage)
        self.assertEqual(result.stdout.split()[:2], ["0", "0"], result)

    def test_signals_during_binds_neither_stop_nor_fail_them(self):
        result = self.portshim("--guard=redirect", "--", self.binder, "storm", "40000", "8", "signals",
                               stage=self.stage)
        failed, _, handled = map(int, result.stdout.split())
        self.assertEqual(failed, 0, result)
        self.assertGreater(handled, 0)

    def test_those_signals_do_arrive_during_binds(self):
        """The negative control: without SA_RESTART nothing starts the call again."""
        result = self.portshim("--guard=redirect", "--", self.binder, "storm", "40000", "8", "signals", "interrupted",
                               stage=self.stage)
        self.assertEqual(int(result.stdout.split()[1]), errno.EINTR, result)

    def test_processes_that_end_while_their_threads_bind(self):
        result = self.portshim("--guard=redirect", "--", self.binder, "dying", "300", stage=self.stage)
        self.assertEqual((result.code, result.stdout), (0, "8080\n"), result)

    def test_a_process_that_is_killed_while_its_bind_is_pending(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, write_end)
        app = self.start("/bin/bash", "-c", f'exec "$0" "$@" <&{read_end}', self.binary, "--guard=redirect", "--",
                         self.binder, "killed", stage=self.stage, pass_descriptors=[read_end])
        os.close(read_end)
        self.await_output(app, "\n")
        child = int(app.so_far().stdout.split()[1])
        app.send(signal.SIGSTOP)
        os.write(write_end, b"x")
        call = Path(f"/proc/{child}/syscall")
        self._await(lambda: call.read_text().split()[0] == SYS_BIND, "called bind", app, 60)
        os.kill(child, signal.SIGKILL)
        self.await_output(app, "killed 1")
        app.send(signal.SIGCONT)
        os.write(write_end, b"x")
        result = app.wait()
        self.assertRegex(result.stdout, r"(?m)^8080$", result)

    def test_a_program_with_private_memory_sees_its_own_error(self):
        result = self.portshim("--guard=redirect", "--log-level=info", "--", self.binder, "private", "80",
                               stage=self.stage)
        self.assertEqual(result.stdout, f"errno {errno.EACCES}\n", result)
        self.assertFinding(result, "PS534", "info")
        result = self.portshim("--guard=redirect", "--", self.binder, "private", "5000", stage=self.stage)
        self.assertEqual(result.stdout, "5000\n", result)
        self.assertSilent(result)

    def test_stderr_that_nobody_reads_does_not_hold_up_the_app(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        os.set_blocking(write_end, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(write_end, b"x" * 4096)
        os.set_blocking(write_end, True)
        app = self.start("/bin/bash", "-c", f'exec "$0" "$@" 2>&{write_end}', self.binary, "--guard=redirect", "--",
                         PYTHON, "-c", BINDS, "tcp4,0.0.0.0,80", "tcp4,0.0.0.0,81", stage=self.stage,
                         pass_descriptors=[write_end])
        os.close(write_end)
        result = app.wait()
        self.assertEqual(self.answers(result), [port(8080), port(8081)])

    def test_the_trials_of_portshim_itself_are_not_moved(self):
        env = {"PORTSHIM": "explain", "ASPNETCORE_URLS": "http://+:80"}
        result = self.portshim("--guard=redirect", "--", self.probe, env=env, stage=self.stage)
        self.assertIn("PS101", self.ids(result))
        self.assertNotIn("PS531", self.ids(result))


class Ends(GuardTest):
    def start_server(self, *options: str) -> tuple[Process, int]:
        app = self.start(self.binary, *options, "--", PYTHON, "-c", SERVER, stage=self.stage)
        self.await_output(app, "\n")
        return app, int(app.so_far().stdout.split()[3])

    def test_exit_codes_are_the_apps(self):
        for code in (0, 7, 255):
            result = self.run_binds("tcp4,0.0.0.0,80", env={"CODE": str(code)})
            self.assertEqual(result.code, code)

    def test_sigterm_reaches_the_app(self):
        app, _ = self.start_server("--guard=redirect")
        app.send(signal.SIGTERM)
        result = app.wait()
        self.assertEqual(result.code, 7, result)
        self.assertIn(f"graceful {int(signal.SIGTERM)}", result.stdout)

    def test_a_signal_that_ends_the_app_is_128_more(self):
        app, child = self.start_server("--guard=redirect")
        os.kill(child, signal.SIGKILL)
        self.assertEqual(app.wait().code, 128 + signal.SIGKILL)

    def test_when_the_guard_is_killed_the_app_is_told_to_end(self):
        app, child = self.start_server("--guard=redirect")
        app.send(signal.SIGKILL)
        app.wait()
        deadline = time.monotonic() + 60
        while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertIn(f"graceful {int(signal.SIGTERM)}", app.so_far().stdout)

    def test_what_portshim_itself_ends_with_stays(self):
        result = self.portshim("--guard=redirect", "--", "/nonexistent/app", stage=self.stage)
        self.assertEqual((result.code, self.ids(result)), (127, ["PS401"]), result)
        result = self.portshim("--guard=redirect", "--mode=validate", "--", self.probe, stage=self.stage,
                               env={"ASPNETCORE_URLS": "http://+:80"})
        self.assertEqual(result.code, 78, result)

    def test_the_app_is_given_what_portshim_got(self):
        def seen(*options: str):
            probe = self.portshim(*options, "--", self.probe, stage=self.stage, env={"A": "b"}).probe
            return probe.argv, probe.environment, probe.blocked, probe.ignored, probe.descriptors.keys(), probe.umask
        self.assertEqual(seen("--guard=redirect"), seen())


class Preconditions(GuardTest):
    def assert_unguarded(self, result: Result, id: str, severity: str) -> portshim_test.Finding:
        self.assertEqual(self.answers(result), [DENIED], result)
        self.assertEqual(self.ids(result), [id])
        return self.assertFinding(result, id, severity)

    def test_where_low_ports_work_there_is_nothing_to_guard(self):
        for stage in (as_uid(UID) | Stage(port_start=0), as_uid(UID) | Stage(port_start=1),
                      as_uid(UID, ambient=NET_BIND_SERVICE, bounding=NET_BIND_SERVICE) | self.namespace_stage(),
                      as_root() | self.namespace_stage()):
            with self.subTest(stage=stage):
                result = self.assert_binds(("tcp4,0.0.0.0,80",), [port(80)], stage=stage,
                                           options=("--log-level=info",))
                self.assertEqual(self.ids(result), ["PS540"])
                self.assertSilent(self.run_binds("tcp4,0.0.0.0,81", stage=stage))

    def test_a_program_that_steps_down_is_not_guarded_and_that_is_said(self):
        stage = as_root() | self.namespace_stage()
        for name, severity in (("gosu", "warning"), ("su-exec", "warning"), ("setpriv", "info")):
            program = self.directory / name
            program.write_bytes(self.probe.read_bytes())
            program.chmod(0o755)
            result = self.portshim("--guard=redirect", "--log-level=info", "--", program, stage=stage)
            self.assertIn("--user=USER", self.assertFinding(result, "PS540", severity).next)
        result = self.portshim("--guard=redirect", "--log-level=info", "--", self.directory / "gosu",
                               stage=as_uid(UID) | Stage(port_start=0))
        self.assertEqual(self.assertFinding(result, "PS540", "info").next, "")

    def test_what_only_a_parent_does_is_missed_where_there_is_nothing_to_guard(self):
        stage = as_uid(UID) | Stage(port_start=0)
        for option in ("--grace=5", "--group", "--signal-map=TERM:INT", "--exit-map=143:0"):
            with self.subTest(option):
                result = self.portshim("--guard=redirect", option, "--", self.probe, stage=stage)
                self.assertIn("need --init=on", self.assertFinding(result, "PS540", "warning").next)
                self.assertSilent(self.portshim("--guard=redirect", "--init", option, "--", self.probe, stage=stage))

    def namespace_stage(self) -> Stage:
        return Stage(namespace=self.namespace)

    def test_without_a_guard_portshim_becomes_the_app(self):
        process = self.start(self.binary, "--guard=redirect", "--", self.probe,
                             stage=as_uid(UID) | Stage(port_start=0))
        self.assertEqual(process.wait().probe.pid, process.pid)
        process = self.start(self.binary, "--guard=redirect", "--init", "--", self.probe,
                             stage=as_uid(UID) | Stage(port_start=0))
        self.assertEqual(process.wait().probe.ppid, process.pid, "but with --init it stays")

    def test_file_capabilities_refuse_the_guard(self):
        program = self.directory / "probe"
        program.write_bytes(self.probe.read_bytes())
        program.chmod(0o755)
        done = subprocess.run([require_program("setcap"), "cap_net_bind_service=ep", program], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            portshim_test.skip(f"may not set file capabilities: {done.stderr}")
        stage = as_uid(UID, bounding=NET_BIND_SERVICE) | self.namespace_stage()
        result = self.portshim("--guard=redirect", "--", program, "--bind=0.0.0.0:80", stage=stage)
        self.assertEqual(result.probe.bind, 0, result)
        finding = self.assertFinding(result, "PS541", "warning")
        self.assertIn("has file capabilities", finding.why)
        # They count for nothing any more.
        result = self.portshim("--guard=redirect", "--", program, "--bind=0.0.0.0:80",
                               stage=stage | Stage(no_new_privileges=True))
        self.assertFinding(result, "PS531")
        self.assertEqual(result.probe.bind, 0)

    def test_a_set_uid_program_refuses_the_guard(self):
        program = self.directory / "probe"
        program.write_bytes(self.probe.read_bytes())
        program.chmod(0o4755)
        result = self.portshim("--guard=redirect", "--", program, stage=self.stage)
        self.assertIn("set-uid", self.assertFinding(result, "PS541").why)

    def test_where_it_cannot_be_set_up_the_app_starts_without(self):
        for what, code in (("seccomp", errno.EINVAL), ("seccomp", errno.ENOSYS), ("seccomp", errno.EPERM),
                           ("answer", errno.EINVAL)):
            with self.subTest(what=what, errno=code):
                result = self.run_binds("tcp4,0.0.0.0,80", before=(self.binder, "refuse", what, str(code)))
                finding = self.assert_unguarded(result, "PS541", "warning")
                self.assertIn(os.strerror(code), finding.why)

    def test_where_it_cannot_be_set_up_portshim_becomes_the_app_but_for_init(self):
        for options, is_child in (((), False), (("--init",), True)):
            signals = Stage(ignored=(signal.SIGCHLD,), blocked=(signal.SIGUSR1,))
            process = self.start(self.binder, "refuse", "seccomp", str(errno.EINVAL), self.binary, "--guard=redirect",
                                 *options, "--", self.probe, stage=self.stage | signals)
            probe = process.wait().probe
            self.assertEqual((probe.ppid if is_child else probe.pid), process.pid)
            self.assertEqual((probe.ignored, probe.blocked), ([signal.SIGCHLD], [signal.SIGUSR1]))

    def test_a_kernel_without_wait_killable_guards_too(self):
        result = self.run_binds("tcp4,0.0.0.0,80", before=(self.binder, "refuse", "killable", str(errno.EINVAL)))
        self.assertEqual(self.answers(result), [port(8080)], result)

    def nested(self, outer: str, *options: str) -> Result:
        """One that does not see the other: portshim goes through COMMANDs that are portshim."""
        return self.start(self.binary, f"--guard={outer}", *options, "--", "/bin/sh", "-c", 'exec "$0" "$@"', self.binary,
                          "--guard=redirect", "--", PYTHON, "-c", BINDS, "tcp4,0.0.0.0,80", stage=self.stage).wait()

    def test_inside_another_guard_the_outer_one_decides(self):
        result = self.nested("redirect", "--map=80:5000")
        self.assertEqual(self.answers(result), [port(5000)], result)
        self.assertIn(os.strerror(errno.EBUSY), self.assertFinding(result, "PS541").why)
        result = self.nested("explain")
        self.assertEqual(self.answers(result), [DENIED], result)
        self.assertIn(os.strerror(errno.EBUSY), self.assertFinding(result, "PS541").why)
        self.assertFinding(result, "PS530")

    def test_a_trial_inside_another_guard_does_not_take_a_moved_port_for_an_allowed_one(self):
        keeping = ("--mode=rewrite", "--keep", "--", self.probe)
        env = {"ASPNETCORE_URLS": "http://+:80"}
        result = self.start(self.binary, "--guard=redirect", "--map=80:5000", "--", "/bin/sh", "-c", 'exec "$0" "$@"',
                            self.binary, *keeping, stage=self.stage, env=env).wait()
        self.assertIn("ASPNETCORE_URLS=http://+:8080", result.probe.environment, result)

    def test_without_free_descriptors_the_app_starts_without(self):
        # A sanitized binary has to load its runtime.
        for files in range(4 if self.is_sanitized else 3, 12):
            result = self.start("/bin/bash", "-c", f'ulimit -n {files}; exec "$0" "$@"', self.binary,
                                "--guard=redirect", "--", self.binder, "constant", "80", stage=self.stage).wait()
            with self.subTest(files=files):
                self.assertIn(result.stdout, ("8080\n", f"errno {errno.EACCES}\n", f"errno {errno.EBADF}\n"), result)
                self.assertIn(self.ids(result), (["PS501"], ["PS541"], ["PS531"]), result)


if __name__ == "__main__":
    portshim_test.main()
