"""How a candidate is loaded: the request, and the scenarios in which it is sent."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from changeover.api.v1alpha1.base import CandidateName, Model, described


class Header(Model):
    """One request header."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9-]+$")] = described(
        "Header name. Example: Accept."
    )
    value: Annotated[str, Field(max_length=1024, pattern=r"^[ -~]*$")] = described("Value. Example: text/plain.")


class Request(Model):
    """The one request that is sent over and over, and the answer that is expected."""

    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE"] = described("HTTP method. Default: GET.", default="GET")
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=1024)] = described(
        "Path and query. Default: /. Example: /items?limit=10.", default="/"
    )
    headers: Annotated[list[Header], Field(max_length=16)] = described(
        "Headers sent with each request. Default: none. Example: [{name: Accept, value: text/plain}].",
        default=[],
    )
    expect_status: Annotated[int, Field(ge=200, le=599)] = described(
        "HTTP status of a right answer. Default: 200.", default=200
    )
    expect_body_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$", max_length=64)] = described(
        "SHA-256 of the body of a right answer, in hex; checked once before each run. Default: empty (not checked).",
        default="",
        alias="expectBodySHA256",
    )


class ClosedLoad(Model):
    """Closed loop: each connection sends its next request when the last one is answered."""

    connections: Annotated[int, Field(ge=1, le=10000)] = described("Concurrent connections. Default: 360.", default=360)
    keep_alive: bool = described(
        "Whether a connection is used again; when false, the client closes it after each answer. Default: true.",
        default=True,
    )


class OpenLoad(Model):
    """Open loop: requests are sent at a constant rate, whether or not the ones before are answered.

    Latency counts from the instant at which a request was due, so that a stall shows in every request that it delayed.
    """

    requests_per_second: Annotated[int, Field(ge=1, le=200000)] = described(
        "Requests due per second, over all connections. Example: 2000."
    )
    connections: Annotated[int, Field(ge=1, le=10000)] = described(
        "Connections that carry them; a request that finds all busy waits, and its latency says so. Default: 360.",
        default=360,
    )
    keep_alive: bool = described(
        "Whether a connection is used again; when false, the client closes it after each answer. Default: true.",
        default=True,
    )


class Scenario(Model):
    """One way of loading a candidate."""

    union: ClassVar[tuple[str, ...]] = ("closed", "open")
    name: CandidateName = described("Name of the scenario, unique here. Example: keep-alive.")
    type: Literal["Closed", "Open"] = described(
        "Kind of load: Closed (each connection asks again when answered: how much can it do?) or Open (requests at a "
        "constant rate: how long does each take?)."
    )
    closed: ClosedLoad | None = described(
        "For type Closed. Example: {connections: 360, keepAlive: true}.", default=None
    )
    open: OpenLoad | None = described(
        "For type Open. Example: {requestsPerSecond: 2000, connections: 360, keepAlive: true}.", default=None
    )

    @property
    def load(self) -> ClosedLoad | OpenLoad:
        """The member that ``type`` names."""
        member = self.closed or self.open
        assert member is not None  # the union guarantees it
        return member
