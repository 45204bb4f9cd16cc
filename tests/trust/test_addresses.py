"""S3: nothing that a resource's author writes makes the operator or a load pod ask a place that is not allowed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings
from changeover.adapters.outgoing import HttpOutgoing
from changeover.core.errors import ChangeoverError

from tests.trust.outside import addresses, loadpods, packets
from tests.trust.outside.dialled import nothing_leaves
from tests.trust.outside.loopback import Counting, counting

pytestmark = pytest.mark.trust
CRDS = Path(__file__).resolve().parents[2] / "crds"
REDIRECTS = (300, 301, 302, 303, 305, 307, 308)


@pytest.fixture
def allowed() -> Iterator[Counting]:
    with counting() as server:
        yield server


@pytest.fixture
def evil() -> Iterator[Counting]:
    with counting() as server:
        yield server


async def test_no_address_leads_out_of_the_allowed_hosts() -> None:
    found = await addresses.outcomes()
    assert len(found) >= 2_000
    assert [(one.wrong, one.payload) for one in found if one.wrong] == []


def test_no_packet_leaves_but_to_the_allowed_places() -> None:
    found = packets.counted()
    assert found.knocked > len(packets.KNOCKS), "loopback, other addresses and a name server are all counted"
    assert found.tried >= 2_000 and found.sent > len(addresses.WELCOME)
    assert (found.allowed, found.refused) == (found.sent, 0)


async def test_the_welcome_ones_get_there() -> None:
    found = [one for one in await addresses.outcomes() if one.payload.kind == "welcome"]
    assert {place for one in found for place in one.places} == addresses.PLACES
    assert all(not one.refused for one in found)


async def test_a_doubled_connector_would_see_an_address_that_is_not_allowed() -> None:
    with nothing_leaves() as seen:
        outgoing = HttpOutgoing(["evil.test", "http://127.0.0.1:81"])
        for url in ("https://evil.test/", "http://127.0.0.1:81/"):
            with pytest.raises(ChangeoverError):
                await outgoing.post(url, b"{}", {}, 3)
    assert seen.places == {("evil.test", 443), ("127.0.0.1", 81)}


@pytest.mark.parametrize("status", REDIRECTS)
async def test_no_redirect_of_an_allowed_host_is_followed(allowed: Counting, evil: Counting, status: int) -> None:
    allowed.status = status
    goals = (f"{evil.host}/x", f"//127.0.0.1:{evil.server_port}/x", f"http://a@127.0.0.1:{evil.server_port}/", "/again")
    for goal in goals:
        allowed.answer = {"Location": goal, "Refresh": f"0; url={evil.host}/x", "Content-Location": evil.host}
        assert await HttpOutgoing([allowed.host]).post(f"{allowed.host}/hook", b"{}", {}, 3) == status
    assert (len(allowed.got), evil.opened) == (len(goals), 0)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_no_redirect_of_a_metric_source_is_followed(allowed: Counting, evil: Counting, status: int) -> None:
    allowed.status, allowed.answer = status, {"Location": f"{evil.host}/api/v1/query"}
    source = PrometheusSource(SourceSettings("default", allowed.host, 3, 5))
    with pytest.raises(ChangeoverError):
        await source.value("up", datetime.now(UTC))
    assert (len(allowed.got), evil.opened) == (1, 0)


async def test_no_proxy_and_no_password_of_the_environment_is_taken(
    allowed: Counting, evil: Counting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, evil.host)
    await HttpOutgoing([allowed.host]).post(f"{allowed.host}/hook", b"{}", {}, 3)
    with pytest.raises(ChangeoverError):
        await PrometheusSource(SourceSettings("default", allowed.host, 3, 5)).value("up", datetime.now(UTC))
    assert evil.opened == 0
    assert [headers.get("Authorization") for _, _, headers in allowed.got] == [None, None]


async def test_no_cookie_is_kept(allowed: Counting) -> None:
    allowed.answer = {"Set-Cookie": "a=b; Path=/"}
    outgoing = HttpOutgoing([allowed.host])
    for _ in range(2):
        await outgoing.post(f"{allowed.host}/hook", b"{}", {}, 3)
    assert [headers.get("Cookie") for _, _, headers in allowed.got] == [None, None]


def test_no_field_of_a_resource_is_an_address() -> None:
    """Whatever is added to the API under such a name has to be thought about here."""
    words = ("url", "uri", "host", "endpoint", "proxy", "server", "webhook", "addr")
    # The names that a Managed route listens to; nobody asks them.
    assert {path for path in fields() if any(word in leaf(path) for word in words)} == {"traffic.gatewayAPI.hostnames"}


def test_the_one_reference_to_another_namespace_is_a_routes_gateway() -> None:
    """The Gateway's own allowedRoutes says who may attach; the operator reads no Gateway."""
    assert {path for path in fields() if "namespace" in leaf(path)} == {"traffic.gatewayAPI.parentRefs.namespace"}


@cache
def fields() -> frozenset[str]:
    """Of the specs of both kinds, as the API server knows them."""
    versions = [one for file in CRDS.glob("*.yaml") for one in yaml.safe_load(file.read_text())["spec"]["versions"]]
    return frozenset(
        path for one in versions for path in _inside(one["schema"]["openAPIV3Schema"]["properties"]["spec"])
    )


def _inside(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield ".".join((*path, name))
        yield from _inside(inner, (*path, name))
    if "items" in schema:
        yield from _inside(schema["items"], path)


def leaf(path: str) -> str:
    """The field's own name."""
    return path.rpartition(".")[2].lower()


def test_no_request_leads_a_load_pod_elsewhere_or_is_taken_for_a_flag() -> None:
    found = loadpods.outcomes()
    assert len(found) >= 200
    assert [(one.wrong, one.payload) for one in found if one.wrong] == []
    assert sum(not one.refused for one in found) >= 50
