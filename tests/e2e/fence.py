"""A default-deny way out for the operator's pods: API server, DNS and the listed Prometheus pass, the rest is counted.

The local cluster's pod network has no plugin that enforces a NetworkPolicy, so the same is said by nftables in the
network namespace of each pod, before its process, which takes a second to start, has asked anybody anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench.measured.kills import operator_processes
from tests.demo.kube import Kube

LISTED = {
    "apiServer": ("default", "kubernetes"),
    "dns": ("kube-system", "kube-dns"),
    "prometheus": ("monitoring", "prometheus"),
}
ELSEWHERE = ("gateway", "traefik")  # is there and would answer
LISTENS_AT = 8080
LOOK_SECONDS = 0.25
KNOCK_SECONDS = 2.0
TABLE = "fence"


@dataclass
class Fence:
    """The network namespaces that are fenced (inode -> an open file, which keeps them when their pod is gone)."""

    rules: str
    elsewhere: tuple[str, int]
    fenced: dict[int, int] = field(default_factory=dict)

    def look(self) -> None:
        """Fence the operator's processes that are new."""
        for process in operator_processes():
            try:
                place = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
            except OSError:  # it has ended
                continue
            number = os.fstat(place).st_ino
            if number in self.fenced:
                os.close(place)
                continue
            _inside(place, "nft", "-f", "-", given=self.rules)
            self.fenced[number] = place

    def counted(self) -> dict[str, int]:
        """Packets to each listed place, and to all others (`refused`), of all pods that there were."""
        total: dict[str, int] = {}
        for place in self.fenced.values():
            for one in json.loads(_inside(place, "nft", "-j", "list", "counters", "table", "inet", TABLE))["nftables"]:
                if counter := one.get("counter"):
                    total[counter["name"]] = total.get(counter["name"], 0) + counter["packets"]
        return total

    def knock(self) -> str:
        """Try to get out from where the operator is now; what came of it."""
        place = list(self.fenced.values())[-1]
        program = (
            "import socket\ntry: socket.create_connection({}, {}); print('open')\nexcept OSError as e: print('closed')"
        )
        return _inside(place, "python3", "-c", program.format(self.elsewhere, KNOCK_SECONDS)).strip()


@contextmanager
def fenced(kube: Kube) -> Iterator[Fence]:
    """The operator that runs, and each that follows it, until the end."""
    listed = {name: _ports(kube, *where) for name, where in LISTED.items()}
    address, ports = _ports(kube, *ELSEWHERE)
    fence, over = Fence(rules_of(listed), (address, ports[0][1])), threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            fence.look()

    fence.look()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield fence
    finally:
        over.set()
        watcher.join()
        for place in fence.fenced.values():
            try:
                _inside(place, "nft", "delete", "table", "inet", TABLE)
            finally:
                os.close(place)


def rules_of(listed: Mapping[str, tuple[str, list[tuple[str, int]]]]) -> str:
    """For nft: what is listed (name -> address, and its protocols and ports) may be begun, answers may be given."""
    passes = [
        f"ip daddr {address} {protocol} dport {port} counter name {name} accept"
        for name, (address, ports) in listed.items()
        for protocol, port in ports
    ]
    counters = [f"counter {name} {{}}" for name in (*listed, "refused")]
    chain = [
        "type filter hook output priority 0; policy drop;",
        'oifname "lo" accept',
        f"tcp sport {LISTENS_AT} accept",  # to who scrapes or probes it; it dials from other ports
        *passes,
        "meta l4proto { tcp, udp, sctp } counter name refused",
    ]
    return "\n".join([f"table inet {TABLE} {{", *counters, "chain out {", *chain, "}", "}"])


def _ports(kube: Kube, namespace: str, service: str) -> tuple[str, list[tuple[str, int]]]:
    """The cluster address of a Service, and its protocols and ports."""
    text = kube.run("kubectl", "--namespace", namespace, "get", "service", service, "--output", "json")
    spec = json.loads(text)["spec"]
    return spec["clusterIP"], [(port["protocol"].lower(), port["port"]) for port in spec["ports"]]


def _inside(place: int, *command: str, given: str = "") -> str:
    """Standard output of a command in a network namespace. Raises CalledProcessError."""
    done = subprocess.run(
        ["nsenter", f"--net=/proc/self/fd/{place}", *command],
        input=given, pass_fds=[place], capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout
