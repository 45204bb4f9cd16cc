"""FrameworkBenchmark: which of these backends carries this load best here, and how sure are we?"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import (
    Duration,
    Model,
    Rule,
    described,
    duration_seconds,
    refuse_doubles,
    unique_by,
)  # fmt: skip
from changeover.api.v1alpha1.candidate import Candidate, Placement
from changeover.api.v1alpha1.claim import Claims, claims_field
from changeover.api.v1alpha1.cost import Cost
from changeover.api.v1alpha1.goal import BenchmarkObjectives, RankingChoice
from changeover.api.v1alpha1.own_metric import MetricsChoice
from changeover.api.v1alpha1.scenario import LoadChoice, Request, Scenario

TWIN = "aa-twin"  # name of the hidden second of a candidate; see schedule.aaProbe
MOST_OPEN_REQUESTS = 3_000_000  # oha keeps some 350 bytes a request: 1 GB
MOST_RAMPS = 4
LONGEST_STEP_SECONDS = 50  # of a ramp: the same number of requests at the 60,000/s that one core of oha does at most


class Rounds(Model):
    """How often every candidate is measured."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.min <= self.max",
            message="rounds.min must not exceed rounds.max; raise max or lower min",
        ),
    )
    min: Annotated[int, Field(ge=3, le=50)] = described(
        "Rounds measured at the least; an interval needs 3. Default: 5.", default=5
    )
    max: Annotated[int, Field(ge=3, le=50)] = described(
        "Rounds measured at the most, when the order is not decided earlier. Default: 15.", default=15
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(self.cel[0].message)
        return self


class Schedule(Model):
    """The design of the experiment in time."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="duration(self.measure) >= duration('5s') && duration(self.measure) <= duration('10m')",
            message="measure must lie between 5s and 10m; shorter holds too few samples of CPU",
        ),
        Rule(rule="duration(self.warmUp) <= duration('10m')", message="warmUp must be at most 10m"),
        Rule(rule="duration(self.coolDown) <= duration('10m')", message="coolDown must be at most 10m"),
    )
    rounds: Rounds = described(
        "Rounds; a round measures every candidate once. Default: {min: 5, max: 15}.", default=Rounds()
    )
    warm_up: Duration = described(
        "Load before the measured window, thrown away. It goes on, up to three times as long, while the candidate "
        "still gets faster. Default: 5s.",
        default="5s",
    )
    measure: Duration = described("Length of the measured window. Default: 15s.", default="15s")
    cool_down: Duration = described("Pause after each candidate. Default: 2s.", default="2s")
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = described(
        "Seed of the order within rounds; the same seed gives the same orders. Default: 1.", default=1
    )
    stop_when_decided: bool = described(
        "After rounds.min, leave out candidates that can no longer win or tie, and stop when it is decided who is "
        "first of those that keep the objectives; when false, every candidate is measured in rounds.max rounds. "
        "Default: true.",
        default=True,
    )
    aa_probe: bool = described(
        "Measure the first candidate twice, under two names, in every round: when the two do not tie, the node is too "
        "noisy and nothing is ranked. Costs the time of one more candidate. Default: true.",
        default=True,
    )
    cross_check: bool = described(
        "Once the ranking stands, measure the winner and the runner-up in 3 more rounds with a load generator of "
        "another code base (h2load; wrk when load.driver is H2load): when the order is the other way round there, no "
        "winner is named. Default: true.",
        default=True,
    )
    deadline: Duration = described("The whole benchmark ends by then. Default: 4h.", default="4h")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        ten_minutes = 600
        if not 5 <= duration_seconds(self.measure) <= ten_minutes:
            raise ValueError(self.cel[0].message)
        if duration_seconds(self.warm_up) > ten_minutes:
            raise ValueError(self.cel[1].message)
        if duration_seconds(self.cool_down) > ten_minutes:
            raise ValueError(self.cel[2].message)
        return self


class BenchmarkSpec(Model):
    """What to measure, on what, how, and what counts."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.ranking.scenario == '' || self.scenarios.exists(s, s.name == self.ranking.scenario)",
            message="ranking.scenario must name one of the scenarios",
        ),
        Rule(
            rule="self.scenarios.all(s, !has(s.open) || "
            f"s.open.requestsPerSecond * int(duration(self.schedule.measure).getSeconds()) <= {MOST_OPEN_REQUESTS})",
            message=f"an Open scenario may send {MOST_OPEN_REQUESTS} requests a window, as every latency is kept; "
            "lower requestsPerSecond or schedule.measure",
        ),
        Rule(
            rule=f"self.candidates.all(c, c.name != '{TWIN}')",
            message=f"the name {TWIN} is taken by schedule.aaProbe; give the candidate another name",
        ),
        Rule(
            rule="self.ranking.by != 'Cost' || self.cost.cpuHour.matches('[1-9]') "
            "|| self.cost.memoryGiBHour.matches('[1-9]')",
            message="ranking.by Cost needs a price above 0; set cost.cpuHour or cost.memoryGiBHour",
        ),
        Rule(
            rule="self.claims.all(c, self.scenarios.exists(s, s.name == c.scenario))",
            message="claims[].scenario must name one of the scenarios",
        ),
        Rule(
            rule="self.claims.all(c, c.values.all(v, self.candidates.exists(k, k.name == v.candidate)))",
            message="claims[].values[].candidate must name one of the candidates",
        ),
        Rule(
            rule="self.scenarios.all(s, self.load.instances <= (has(s.closed) ? s.closed.connections : "
            "has(s.open) ? s.open.connections : has(s.ramp) ? s.ramp.connections : 16))",
            message="load.instances must not exceed a scenario's connections; lower load.instances",
        ),
        Rule(
            rule="self.load.instances == 1 || self.scenarios.all(s, !has(s.ramp))",
            message="a Ramp scenario is driven by one load pod; set load.instances to 1",
        ),
        Rule(
            rule="self.load.driver in ['Auto', 'Oha'] || (self.request.expectStatus < 400 && "
            "self.request.expectStatus != 304 && self.request.method != 'HEAD' && "
            "self.scenarios.all(s, has(s.closed) && s.closed.keepAlive))",
            message="load.driver Wrk and H2load drive only Closed scenarios with keepAlive true, an expected status "
            "below 400, and answers with a body, so neither HEAD nor 304; choose Auto or Oha",
        ),
        Rule(
            rule="self.load.driver != 'H2load' || self.request.method == 'GET'",
            message="load.driver H2load sends only GET; choose another driver",
        ),
        Rule(
            rule="self.scenarios.all(s, !has(s.ramp)) || duration(self.schedule.measure) <= duration('50s')",
            message="with a Ramp scenario schedule.measure, the length of one step, must be at most 50s",
        ),
        Rule(
            rule=f"self.scenarios.filter(s, has(s.ramp)).size() <= {MOST_RAMPS}",
            message=f"at most {MOST_RAMPS} scenarios may be of type Ramp, as status shows every rate that was tried; "
            "make another benchmark of the others",
        ),
    )
    suspend: bool = described("Pause: the run in progress ends, none is begun. Default: false.", default=False)
    candidates: Annotated[list[Candidate], Field(min_length=2, max_length=32)] = described(
        "The backends, 2 to 32, each measured alone. Example: [{name: gin, image: localhost/changeover-gin:1}].",
        json_schema_extra=unique_by("name"),
    )
    placement: Placement = described("Where candidates and load run. Default: any nodes.", default=Placement())
    request: Request = described("The request and the right answer. Default: GET / answered 200.", default=Request())
    scenarios: Annotated[list[Scenario], Field(min_length=1, max_length=16)] = described(
        "Ways of loading, 1 to 16. Example: [{name: keep-alive, type: Closed, closed: {connections: 360}}].",
        json_schema_extra=unique_by("name"),
    )
    load: LoadChoice = described(
        "Who drives the load. Default: one pod, the generator that fits the scenario.", default=LoadChoice()
    )
    conformance: Literal["Apart", "Ignore"] = described(
        "What becomes of a candidate that does not speak HTTP/1.1 well enough for its speed to be compared: Apart "
        "(before each run it answers seven checks; one that fails in most of its runs is of class Raw, ranked apart, "
        "and cannot win) or Ignore (no checks, one class). Default: Apart.",
        default="Apart",
    )
    schedule: Schedule = described("Rounds and times. Default: 5 to 15 rounds of 15s.", default=Schedule())
    objectives: BenchmarkObjectives = described(
        "What a winner must keep. Default: none. Example: {maxErrorPercent: '0.1'}.",
        default=BenchmarkObjectives(),
    )
    ranking: RankingChoice = described(
        "What to rank by. Default: Throughput in the first scenario.", default=RankingChoice()
    )
    cost: Cost = described(
        "Prices, for the cost of a million requests in status.results; the runs stay valid when they change. "
        "Default: {currency: USD, cpuHour: '0.04', memoryGiBHour: '0.005'}.",
        default=Cost(),
    )
    metrics: MetricsChoice = described(
        "Where CPU and memory are read, and further metrics. Default: source default.", default=MetricsChoice()
    )
    claims: Claims = claims_field()
    ttl_after_finished: Duration | None = described(
        "The benchmark is deleted, with all that it made, so long after it finished. Default: none (it stays). "
        "Example: 24h.",
        default=None,
    )
    clean_up: Literal["Always", "OnSuccess", "Never"] = described(
        "When the last candidate's pods are removed at the end: Always, OnSuccess (they stay to be looked at when "
        "there is no result) or Never. Between candidates they always are, since only one may run. Default: Always.",
        default="Always",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_doubles(self.candidates, lambda c: c.name, "candidate")
        refuse_doubles(self.scenarios, lambda s: s.name, "scenario")
        if self.ranking.scenario and self.ranking.scenario not in {s.name for s in self.scenarios}:
            raise ValueError(self.cel[0].message)
        window = int(duration_seconds(self.schedule.measure))
        if any(c.name == TWIN for c in self.candidates):
            raise ValueError(self.cel[2].message)
        if any(s.open and s.open.requests_per_second * window > MOST_OPEN_REQUESTS for s in self.scenarios):
            raise ValueError(self.cel[1].message)
        # all candidates would cost nothing, and none would have a place
        if self.ranking.by == "Cost" and not float(self.cost.cpu_hour) + float(self.cost.memory_gib_hour):
            raise ValueError(self.cel[3].message)
        self._claims_speak_of_what_is_there()
        self._load_can_be_driven()
        return self

    def _load_can_be_driven(self) -> None:
        ramps = [s for s in self.scenarios if s.ramp]
        kept = all(s.closed and s.closed.keep_alive for s in self.scenarios)
        fits_all = kept and self.request.expect_status < 400 and self.request.is_answered_with_a_body
        refused = (
            any(self.load.instances > s.load.connections for s in self.scenarios),
            self.load.instances > 1 and bool(ramps),
            self.load.driver in ("Wrk", "H2load") and not fits_all,
            self.load.driver == "H2load" and self.request.method != "GET",
            bool(ramps) and duration_seconds(self.schedule.measure) > LONGEST_STEP_SECONDS,
            len(ramps) > MOST_RAMPS,
        )
        for rule, holds in zip(self.cel[6:12], refused, strict=True):
            if holds:
                raise ValueError(rule.message)

    def _claims_speak_of_what_is_there(self) -> None:
        refuse_doubles(self.claims, lambda c: (c.source, c.scenario), "claim")
        if {c.scenario for c in self.claims} - {s.name for s in self.scenarios}:
            raise ValueError(self.cel[4].message)
        if {v.candidate for c in self.claims for v in c.values} - {c.name for c in self.candidates}:
            raise ValueError(self.cel[5].message)

    @property
    def ranked_scenario(self) -> str:
        """Name of the scenario whose results are ranked."""
        return self.ranking.scenario or self.scenarios[0].name
