"""``python -m tests.trust.outside.packets``: the table of addresses with real sockets, each packet counted.

In a network namespace of its own nftables counts what goes to an allowed place, and all else (``refused``), loopback
and questions to a name server included. The allowed names have addresses in a hosts file that only we see, and nobody
is there: a connection is reset as soon as it is counted.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass

from changeover.adapters.outgoing import HttpOutgoing
from changeover.core.errors import InvalidSpec, Unavailable

from tests.trust.outside import addresses

ADDRESSES = {addresses.GOOD: "198.18.0.1", "relay.internal": "198.18.0.2"}  # of a net for benchmarks (RFC 2544)
KNOCKS = (("127.0.0.1", 80), ("169.254.169.254", 80), ("::1", 80))
COUNTERS = ("allowed", "refused")
SECONDS = 3.0


@dataclass(frozen=True)
class Counted:
    """Addresses that were tried, those of them that were sent, and packets.

    allowed, refused  packets of the whole table: to the allowed places, and to others
    knocked           packets to others that the counter saw when sockets knocked there, as a proof of it
    """

    tried: int
    sent: int
    allowed: int
    refused: int
    knocked: int


def counted() -> Counted:
    """Try the table in namespaces of our own; needs root. Raises CalledProcessError."""
    command = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.trust.outside.packets"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120)  # what fails, says why
    return Counted(**json.loads(done.stdout))


def rules() -> str:
    """For nft."""
    allowed = [f"ip daddr {ADDRESSES[name]} tcp dport {port}" for name, port in sorted(addresses.PLACES)]
    chain = [
        "type filter hook output priority 0; policy drop;",
        "tcp flags & rst == rst accept",  # a reset answers a packet that was counted
        *(f"{place} counter name allowed reject with tcp reset" for place in allowed),
        "meta l4proto tcp counter name refused reject with tcp reset",
        "meta l4proto { udp, sctp } counter name refused reject",  # what is left is of the interfaces, which say hello
    ]
    return "\n".join(
        ["table inet out {", *(f"counter {name} {{}}" for name in COUNTERS), "chain out {", *chain, "}", "}"]
    )


def _prepare() -> None:
    """A way out for everything, so that what would leave is counted and not without a route."""
    for command in (
        "link set lo up", "link add way type veth peer name other", "link set way up", "link set other up",
        "address add 198.18.255.1/16 dev way",
        "route add default dev way", "-6 route add default dev way",
    ):  # fmt: skip
        _run("ip", *command.split())
    _run("nft", "--file", "-", given=rules())
    with tempfile.NamedTemporaryFile("w", prefix="hosts-") as hosts:
        hosts.write("".join(f"{address} {name}\n" for name, address in ADDRESSES.items()))
        hosts.flush()
        _run("mount", "--bind", hosts.name, "/etc/hosts")


def _packets() -> dict[str, int]:
    found = json.loads(_run("nft", "--json", "list", "counters"))["nftables"]
    return {one["counter"]["name"]: one["counter"]["packets"] for one in found if "counter" in one}


def _run(*command: str, given: str = "") -> str:
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=30).stdout


async def _try_all() -> tuple[int, int]:
    """How many addresses were tried, and how many of them sent."""
    outgoing, tried, sent = HttpOutgoing(addresses.ALLOWED), 0, 0
    for url in (*(one.url for one in addresses.payloads()), *addresses.WELCOME):
        tried += 1
        try:
            await outgoing.post(url, b"{}", {}, SECONDS)
        except InvalidSpec:
            continue
        except Unavailable:
            sent += 1
    return tried, sent


def _knock() -> None:
    for place in KNOCKS:
        try:
            socket.create_connection(place, SECONDS).close()
        except OSError:
            continue
    try:
        socket.getaddrinfo("evil.test", 443)
    except OSError:
        return


def main() -> None:
    """Print what was counted; meant for namespaces of its own."""
    _prepare()
    tried, sent = asyncio.run(_try_all())
    of_table = _packets()
    _knock()
    knocked = _packets()["refused"] - of_table["refused"]
    print(json.dumps(asdict(Counted(tried, sent, of_table["allowed"], of_table["refused"], knocked))))


if __name__ == "__main__":
    main()
