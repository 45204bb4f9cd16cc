"""How a candidate is loaded: the request, and the scenarios in which it is sent."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import CandidateName, Model, Rule, described

HOST = re.compile(r"^([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$")
"""HOST[:PORT]; a generator that is given it within its address would take more than that for a path.

The load pod stands alone and has the same in loader/settings.py; a test holds them together.
"""


class Header(Model):
    """One request header."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule=f"self.name.lowerAscii() != 'host' || self.value.matches(r'{HOST.pattern}')",
            message="the value of a Host header is HOST or HOST:PORT; a path belongs into request.path",
        ),
    )
    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9-]+$")] = described(
        "Header name. Example: Accept."
    )
    value: Annotated[str, Field(max_length=1024, pattern=r"^[ -~]*$")] = described("Value. Example: text/plain.")

    @model_validator(mode="after")
    def _names_a_host(self) -> Self:
        if self.name.lower() == "host" and not HOST.fullmatch(self.value):
            raise ValueError(self.cel[0].message)
        return self


class Request(Model):
    """The one request that is sent over and over, and the answer that is expected."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.body == '' || self.method in ['POST', 'PUT', 'DELETE']",
            message="a body is sent with method POST, PUT or DELETE only; set method, or leave body out",
        ),
    )
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE"] = described("HTTP method. Default: GET.", default="GET")
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=1024)] = described(
        "Path and query. Default: /. Example: /items?limit=10.", default="/"
    )
    headers: Annotated[list[Header], Field(max_length=16)] = described(
        "Headers sent with each request. Default: none. Example: [{name: Accept, value: text/plain}].",
        default=[],
    )
    body: Annotated[str, Field(max_length=16384, pattern=r"^[^\x00]*$")] = described(
        "Body sent with each request, as UTF-8, its length in Content-Length; name its type in headers. "
        "Default: empty. Example: '{\"quantity\": 1}'.",
        default="",
    )
    expect_status: Annotated[int, Field(ge=200, le=599)] = described(
        "HTTP status of a right answer. Default: 200.", default=200
    )
    expect_body_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$", max_length=64)] = described(
        "SHA-256 of the body of a right answer, in hex; checked once before each run. Default: empty (not checked).",
        default="",
        alias="expectBodySHA256",
    )

    @model_validator(mode="after")
    def _may_have_a_body(self) -> Self:
        if self.body and self.method in ("GET", "HEAD"):
            raise ValueError(self.cel[0].message)
        return self

    @property
    def is_answered_with_a_body(self) -> bool:
        """Whether a Content-Length in the answer is followed by a body; a generator that waits for one hangs."""
        return self.method != "HEAD" and self.expect_status != 304


class ClosedLoad(Model):
    """Closed loop: each connection sends its next request when the last one is answered."""

    connections: Annotated[int, Field(ge=1, le=10000)] = described("Concurrent connections. Default: 360.", default=360)
    keep_alive: bool = described(
        "Whether a connection is used again; when false, the client closes it after each answer. Default: true.",
        default=True,
    )


class ConstantRate(Model):
    """The connections of requests that are due at a constant rate.

    Latency counts from the instant at which a request was due, so that a stall shows in every request that it delayed.
    """

    connections: Annotated[int, Field(ge=1, le=10000)] = described(
        "Connections that carry the requests; one that finds all busy waits, and its latency says so. Default: 360.",
        default=360,
    )
    keep_alive: bool = described(
        "Whether a connection is used again; when false, the client closes it after each answer. Default: true.",
        default=True,
    )


class OpenLoad(ConstantRate):
    """Open loop: requests are sent at a constant rate, whether or not the ones before are answered."""

    requests_per_second: Annotated[int, Field(ge=1, le=200000)] = described(
        "Requests due per second, over all connections. Example: 2000."
    )


class RampLoad(ConstantRate):
    """Open loop at rising constant rates: where is the knee, the highest rate that keeps the objectives?

    A step is one measured window at one rate. It holds when 95 % of its rate is answered and ``objectives.maxLatency``
    and ``maxErrorPercent`` (1 % without one) are kept; the steps after it grow by ``factor`` until one does not hold.
    """

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="double(self.factor) > 1.0 && double(self.factor) <= 4.0",
            message="factor must lie above 1 and be at most 4; a larger one would leap over the knee",
        ),
    )
    start_requests_per_second: Annotated[int, Field(ge=1, le=200000)] = described(
        "Rate of the first step, requests per second; low enough for every candidate. Example: 500."
    )
    factor: Annotated[str, Field(pattern=r"^[0-9](\.[0-9]{1,3})?$", max_length=8)] = described(
        "By what the rate grows from step to step. Default: '1.5'.", default="1.5"
    )
    max_steps: Annotated[int, Field(ge=2, le=30)] = described(
        "Steps on the way up at the most; when all of them hold, there is no knee. Default: 12.", default=12
    )
    bisections: Annotated[int, Field(ge=0, le=6)] = described(
        "Steps between the last rate that held and the first that did not, each halving the gap. Default: 2.",
        default=2,
    )

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not 1 < float(self.factor) <= 4:
            raise ValueError(self.cel[0].message)
        return self

    @property
    def steps(self) -> int:
        """Steps at the most, those of the bisection included."""
        return self.max_steps + self.bisections

    @property
    def top_rate(self) -> float:
        """Rate of the last step on the way up, requests per second."""
        return self.start_requests_per_second * float(self.factor) ** (self.max_steps - 1)


class Scenario(Model):
    """One way of loading a candidate."""

    union: ClassVar[tuple[str, ...]] = ("closed", "open", "ramp")
    name: CandidateName = described("Name of the scenario, unique here. Example: keep-alive.")
    type: Literal["Closed", "Open", "Ramp"] = described(
        "Kind of load: Closed (each connection asks again when answered: how much can it do?), Open (requests at a "
        "constant rate: how long does each take?) or Ramp (rising rates: up to which one are the objectives kept?)."
    )
    closed: ClosedLoad | None = described(
        "For type Closed. Example: {connections: 360, keepAlive: true}.", default=None
    )
    open: OpenLoad | None = described(
        "For type Open. Example: {requestsPerSecond: 2000, connections: 360, keepAlive: true}.", default=None
    )

    ramp: RampLoad | None = described(
        "For type Ramp. Example: {startRequestsPerSecond: 500, factor: '1.5', maxSteps: 12}.", default=None
    )

    @property
    def load(self) -> ClosedLoad | OpenLoad | RampLoad:
        """The member that ``type`` names."""
        member = self.closed or self.open or self.ramp
        assert member is not None  # the union guarantees it
        return member


class LoadChoice(Model):
    """Who drives the load."""

    driver: Literal["Auto", "Wrk", "Oha", "H2load"] = described(
        "Load generator. Auto takes wrk for Closed scenarios with keepAlive (the most requests a core), and oha where "
        "a rate, every latency or a closed connection must be true, or no body is answered (HEAD, 304). Default: Auto.",
        default="Auto",
    )
    instances: Annotated[int, Field(ge=1, le=16)] = described(
        "Load pods that share a scenario's connections and rate; they begin together, and their histograms are "
        "added. Each needs a core of its own. Default: 1.",
        default=1,
    )
