"""S3 with the real generators: a request whose author would lead them elsewhere, and a server that counts who comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.trust.outside.loopback import Counting, counting

DRIVERS = [pytest.param(name, marks=pytest.mark.generators(name)) for name in ("wrk", "oha", "h2load")]
HOSTILE: dict[str, Callable[[str], list[str]]] = {
    "another authority": lambda evil: [f"//{evil}/"],
    "userinfo": lambda evil: [f"/@{evil}/"],
    "a backslash": lambda evil: [f"/\\{evil}/"],
    "an address as query and fragment": lambda evil: [f"/?u=http://{evil}/#@{evil}/"],
    "another host": lambda evil: ["/", "--header", f"Host: {evil}"],
    "a header that looks like a flag": lambda evil: ["/", "--header", f"-x: http://{evil}"],
}


def run(load: Callable[..., dict[str, Any]], driver: str, url: str, *flags: str) -> dict[str, Any]:
    return load("--url", url, "--connections", "1", "--measure", "1", "--driver", driver, *flags)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_load_goes_to_its_target_only(load: Callable[..., dict[str, Any]], driver: str, kind: str) -> None:
    with counting() as target, counting() as evil:
        path, *flags = HOSTILE[kind](f"127.0.0.1:{evil.server_port}")
        report = run(load, driver, f"{target.host}{path}", *flags)
    assert report["requests"] > 0 and len(target.got) >= report["requests"]
    assert evil.opened == 0


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("status", [200, 302, 307])
def test_no_redirect_is_followed(load: Callable[..., dict[str, Any]], driver: str, status: int) -> None:
    with counting() as target, counting() as evil:
        _redirect(target, evil, status)
        report = run(load, driver, f"{target.host}/", "--expect-status", str(status))
    assert report["requests"] > 0
    assert evil.opened == 0


def _redirect(target: Counting, evil: Counting, status: int) -> None:
    target.status, target.answer = status, {"Location": f"{evil.host}/x", "Refresh": f"0; url={evil.host}/x"}
