"""Addresses that somebody may write into a Secret in order to be sent elsewhere: a table, made from its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from changeover.adapters.outgoing import HttpOutgoing
from changeover.core.errors import InvalidSpec, Unavailable

from tests.trust.outside.dialled import Dialled, Place, nothing_leaves

GOOD = "hooks.example.com"  # allowed, with TLS
PLAIN = "relay.internal:8080"  # allowed, without
ALLOWED = (GOOD, f"http://{PLAIN}", "hooks.example.com:8443")
PLACES = {(GOOD, 443), ("relay.internal", 8080), (GOOD, 8443)}
CLEAR = re.compile(r"notifications\.allowedHosts|is no address: https:// and a host's name")

ELSEWHERE = (
    "evil.test", "127.0.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "0",
    "0.0.0.0", "127.0.0.1.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[fe80::1%25eth0]", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "169.254.169.254", "2852039166", "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "169.254.43518", "metadata.google.internal", "kubernetes.default.svc",
    "prometheus.monitoring.svc.cluster.local", "localhost", "localhost.localdomain", "127.0.0.1.nip.io",
    "⑯⑨.②⑤④.⑯⑨.②⑤④", "169。254。169。254", "１２７.0.0.1", "xn--hooks-9d0b.example.com", "hooks.example.com.evil.test",
    "evilhooks.example.com", "hooks-example.com", "hooks.example.co", "example.com", "*.example.com",
)  # fmt: skip
"""Loopback, metadata services, the cluster's own names, in all spellings; and names that look like the allowed one."""

SHAPES = (
    "https://{evil}/", "http://{evil}/", "https://{evil}:443/", "https://{evil}:8443/x", "//{evil}/", "{evil}",
    "https:{evil}", "https:/{evil}", "https:///{evil}/", "https:\\\\{evil}\\", "https:/\\{evil}/",
    "https://{good}@{evil}/", "https://{good}:443@{evil}/", "https://{good}:p@ss@{evil}/", "https://a@{good}@{evil}/",
    "https://{evil}@{good}/", "https://{evil}:443@{good}/", "https://{evil}#@{good}/", "https://{evil}?@{good}/",
    "https://{evil}/@{good}", "https://{evil};@{good}/", "https://{evil}%2f@{good}/", "https://{evil}%23@{good}/",
    "https://{evil}\\@{good}/", "https://{good}\\@{evil}/", "https://{good}\\.{evil}/", "https://{evil}\\.{good}/",
    "https://{good}%40{evil}/", "https://{good}%2e{evil}/", "https://{good}%00.{evil}/", "https://{good}\x00@{evil}/",
    "https://{good}\t@{evil}/", "https://{evil}\t@{good}/", "https://{good}\r\nHost: {evil}\r\n/",
    "https://{good}/\r\nHost: {evil}\r\n\r\n", "https://{good}\n@{evil}/", "https://{evil}\n@{good}/",
    "https://{good} @{evil}/", "https://{evil} @{good}/", "https://{good}:443:{evil}/", "https://{good},{evil}/",
    "https://[{good}]@{evil}/", "https://{good}／@{evil}/", "https://{evil}／@{good}/", "https://{good}＠{evil}/",
    "https://{evil}＃@{good}/", "https://{good}#@{evil}/", "https://{good}?@{evil}/", "https://{good}/@{evil}",
    "https://{good}/?u=https://{evil}/", "https://{good}/..//{evil}/", "https://{good}//{evil}/", " https://{evil}/",
    "http://https://{evil}/", "https://https://{good}@{evil}/", "HTTPS://{evil}/", "hTTp://{good}@{evil}:8080/",
)  # fmt: skip
"""What a parser may read in two ways: {evil} and {good} are put in."""

ALONE = (
    "", " ", "https://", "https://:443/", "https://@/", "https:///", "https://?", "https://#", "://", "//", "/", "\\",
    "https://[", "https://[::1", "https://]/", "https://[v1.x]/", "https://[hooks.example.com]/", "https://%/", "\x00",
    f"ftp://{GOOD}/", f"file://{GOOD}/etc/passwd", f"gopher://{GOOD}:70/_x", f"ws://{GOOD}/", f"wss://{GOOD}/",
    f"unix://{GOOD}/", f"http+unix://{GOOD}/", f"dict://{GOOD}:11211/", f"ldap://{GOOD}/", f"jar:https://{GOOD}!/",
    f"javascript://{GOOD}/%0aalert(1)", f"data:text/plain,{GOOD}", f"view-source:https://{GOOD}/", f"blob:https://{GOOD}/",
    f"http://{GOOD}/", f"https://{PLAIN}/", "http://relay.internal/", "http://relay.internal:80/", "https://relay.internal/",
    f"https://{GOOD}:80/", f"https://{GOOD}:444/", f"https://{GOOD}:0/", f"https://{GOOD}:65536/", f"https://{GOOD}:-1/",
    f"https://{GOOD}:４４３/", f"https://{GOOD}:8443x/", f"https://{GOOD}:08443/", f"https://{GOOD}:+8443/",
    f"https://{GOOD}:8_443/", f"https://{GOOD}:84 43/", f"https://{GOOD}:٨٤٤٣/", f"http://{PLAIN}0/", f"http://{PLAIN}:80/",
    f"https://{GOOD}:/", f"https://{GOOD}./", f"https://{GOOD}../", f"https://.{GOOD}/", f"https://{GOOD}%2e/",
    "https://hooks。example。com/", "https://hooks．example．com/", "https://hooks｡example.com/", "https://hoo\u212as.example.com/",
    "https://ｈｏｏｋｓ.example.com/", "https://hооks.example.com/", "https://hooks.exаmple.com/", "https://hooks.example.ⅽom/",
    "https://hooks.examp\u200ble.com/", "https://hooks.example\u00ad.com/", "https://hooks.example.com\u2024evil.test/",
    "https://hook\u017f.example.com/", "https://hooks.example.com\u2025/", "https://hooks.example.com\u202e/",
    "https://hoo%6bs.example.com/", "https://%68ooks.example.com/", "https://hooks.example.com%0d%0a/",
    "https://hooks.example.com:%38443/", "https://hooks_example_com/", "https://hooks.example.com\u3002evil.test/",
    "https://" + "a" * 70_000 + "/", f"https://{'a.' * 30_000}{GOOD}/", f"https://{'u' * 70_000}@evil.test/",
    f"https://{GOOD}:{'0' * 5_000}443/", f"https://{GOOD}:{'9' * 5_000}/",
)  # fmt: skip

WELCOME = (
    f"https://{GOOD}/services/T0/B0/x", f"https://{GOOD}/a?b=c&d=%2F", f"https://{GOOD}", f"http://{PLAIN}/hook",
    f"https://{GOOD}:8443/hook", "HTTPS://HOOKS.EXAMPLE.COM/x", f"https://user:pass@{GOOD}/x", f"https://{GOOD}?a=b",
    f"https://{GOOD}/{'p' * 1_900}",
)  # fmt: skip
"""What must get there: a fence that lets nothing through would pass the rest as well."""


@dataclass(frozen=True)
class Payload:
    """An address, and which line of the table it is of."""

    kind: str
    url: str


def payloads() -> Iterator[Payload]:
    """All of the table, the welcome ones aside."""
    for shape in SHAPES:
        for evil in ELSEWHERE:
            yield Payload(shape, shape.format(evil=evil, good=GOOD))
    yield from (Payload("alone", url) for url in ALONE)


@dataclass(frozen=True)
class Outcome:
    """What became of one: why it was refused, or where it went."""

    payload: Payload
    refused: str
    places: frozenset[Place]

    @property
    def wrong(self) -> str:
        """In words, if it is neither refused with a clear word nor sent exactly to an allowed place."""
        if self.places - PLACES:
            return f"went to {sorted(self.places - PLACES)}"
        if self.refused:
            is_clear = CLEAR.search(self.refused) is not None and len(self.refused) < 512
            return "" if is_clear and not self.places else f"refused as {self.refused[:200]!r}, asked {self.places}"
        return "" if len(self.places) == 1 else "neither refused nor sent"


async def outcome(outgoing: HttpOutgoing, payload: Payload, seen: Dialled) -> Outcome:
    """Try one; nothing leaves."""
    seen.forget()
    refused = ""
    try:
        await outgoing.post(payload.url, b"{}", {"webhook-id": "x"}, 3)
    except InvalidSpec as error:
        refused = str(error)
    except Unavailable as error:
        refused = "" if seen.connected else f"not as InvalidSpec: {error}"
    return Outcome(payload, refused, frozenset(seen.places))


async def outcomes() -> list[Outcome]:
    """Of the whole table, and then of those that must get there."""
    outgoing = HttpOutgoing(ALLOWED)
    with nothing_leaves() as seen:
        table = [*payloads(), *(Payload("welcome", url) for url in WELCOME)]
        return [await outcome(outgoing, payload, seen) for payload in table]
