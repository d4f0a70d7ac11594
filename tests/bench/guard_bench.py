"""What --guard costs, as Markdown on stdout: guard_bench.py [ROUNDS]. scripts/bench runs it, as root.

Everything is measured in turns, in a network namespace of its own, as an unprivileged user. A second bare server, compared
with the first, shows how far two measurements of the same thing are apart here: what differs less is not known to differ."""

from __future__ import annotations

import os
import random
import re
import statistics
import subprocess
import sys
from pathlib import Path

import kestrel
import portshim_test
from portshim_test import NetworkNamespace, PortshimTest, Stage, as_uid, built_binary, readable_copy

BINDER = Path(os.environ.get("PORTSHIM_BINDER") or portshim_test.SOURCE_DIR / "build/release/tests/binder")
CALLS = {"bind": 3000, "getpid": 100000}
SECONDS, CONNECTIONS = 2, 32


def quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


class Bench(PortshimTest):
    """Starts programs as tests do."""

    def run(self, rounds: int) -> None:
        self.setUpClass()
        self.setUp()
        self.namespace = NetworkNamespace(1024)
        self.stage = as_uid(kestrel.UNPRIVILEGED_UID) | Stage(namespace=self.namespace)
        try:
            self.calls(rounds)
            if (kestrel.BINDAPP / "bindapp.dll").exists():
                self.requests(rounds)
        finally:
            self.doCleanups()

    def calls(self, rounds: int) -> None:
        binder = readable_copy(BINDER)
        ways = {"bare": (), "--init": (self.binary, "--init", "--"), "--guard": (self.binary, "--guard=redirect", "--")}
        times: dict[tuple[str, str], list[float]] = {(call, way): [] for call in CALLS for way in ways}
        for _ in range(rounds):
            for call, way in random.sample(sorted(times), len(times)):
                words = [*ways[way], binder, call, str(CALLS[call])]
                times[call, way].append(float(self.start(words[0], *words[1:], stage=self.stage).wait().stdout))
        print("| ns per call, least / median | bare | --init | --guard |\n|---|---:|---:|---:|")
        for call in CALLS:
            cells = (f"{min(times[call, way]):.0f} / {statistics.median(times[call, way]):.0f}" for way in ways)
            print(f"| {call} | {' | '.join(cells)} |")
        print()

    def requests(self, rounds: int) -> None:
        app = readable_copy(kestrel.BINDAPP.parent) / "release/bindapp.dll"
        dotnet = portshim_test.require_dotnet()
        environment = {"PATH": f"{dotnet.parent}:/usr/bin:/bin", "HOME": "/", "Logging__LogLevel__Default": "Warning"}
        servers = {}
        for name, words, port in (("bare", (dotnet, app, "ListenAnyIP:9001"), 9001),
                                  ("bare again", (dotnet, app, "ListenAnyIP:9002"), 9002),
                                  ("--guard", (self.binary, "--guard=redirect", dotnet, app, "ListenAnyIP:80"), 8080)):
            process = self.start(words[0], *words[1:], env=environment, stage=self.stage)
            self.await_port(process, self.namespace, port)
            servers[name] = (process.pid, port)
        rates: dict[str, list[float]] = {name: [] for name in servers}
        costs: dict[str, list[float]] = {name: [] for name in servers}
        for measured in range(rounds + 1):
            for name in random.sample(sorted(servers), len(servers)):
                pid, port = servers[name]
                before = self.cpu(pid)
                count = self.load(port)
                if measured == 0:
                    continue  # warming up
                rates[name].append(count / SECONDS)
                costs[name].append(1e6 * (self.cpu(pid) - before) / count)
        print(f"| {rounds} rounds of {SECONDS} s, {CONNECTIONS} connections | requests/s | µs of CPU per request | "
              "requests/s to bare | CPU per request to bare |\n|---|---:|---:|---:|---:|")
        for name in servers:
            ratios = ("", "") if name == "bare" else tuple(
                quartiles([one / other for one, other in zip(values[name], values["bare"])]) for values in (rates, costs))
            print(f"| {name} | {statistics.median(rates[name]):.0f} | {statistics.median(costs[name]):.1f} | "
                  f"{ratios[0]} | {ratios[1]} |")
        print("\nRatios are medians with their quartiles, round by round.")

    def load(self, port: int) -> int:
        """The number of requests that were answered."""
        done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", f"http://127.0.0.1:{port}/"],
                              preexec_fn=self.namespace.enter, capture_output=True, text=True, check=True)
        return int(re.search(r"(\d+) requests in", done.stdout)[1])

    @staticmethod
    def cpu(pid: int) -> float:
        """Seconds of a process and its children, as proc_pid_stat(5) has them."""
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ticks = 0
        for one in (pid, *children):
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    portshim_test.require_program("wrk")
    Bench().run(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
