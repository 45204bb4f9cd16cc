"""Every rule refuses what it is for, in words that name the field and the mend; pydantic refuses the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from changeover.api.crds import RULES, make_crd
from changeover.api.kinds import KINDS, NAME_RULES
from changeover.api.v1alpha1.traffic import GatewayAPITraffic
from pydantic import ValidationError

from tests.apiserver.conftest import GROUP_PATH
from tests.apiserver.harness import Client
from tests.apiserver.test_agreement import KIND, LEFT_OUT, dry_run, with_change

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Bad:
    """A sample with one thing wrong, where that is reported, and what is said."""

    name: str
    sample: str
    changes: dict[Path, Any]
    where: str
    says: str


WORKLOAD = {"service": {"name": "shop-rust", "port": 80}, "workload": {"name": "shop-rust"}}
FB, CMIG, CMIG_MINIMAL = "benchmark-full", "migration-full", "migration-minimal"
CLAIMED = ("claims", 0, "values", 0)
STEP, DECISION = ("steps", 0), ("decision",)
RAMP: dict[str, Any] = {"name": "keep-alive", "type": "Ramp", "ramp": {"startRequestsPerSecond": 100}}
OF_EDITS = [rule for rule in GatewayAPITraffic.cel if "oldSelf" in rule.rule]  # what holds between a spec and the next
BROKEN_RULES = [
    Bad("closed is missing", FB, {("scenarios", 0, "closed"): LEFT_OUT},
        "spec.scenarios[0]", "set closed exactly when type is Closed"),
    Bad("neither image nor template", FB, {("candidates", 0, "image"): LEFT_OUT},
        "spec.candidates[0]", "set exactly one of image and templateFrom"),
    Bad("image and template", FB, {("candidates", 0, "templateFrom"): {"deploymentRef": {"name": "shop"}}},
        "spec.candidates[0]", "set exactly one of image and templateFrom"),
    Bad("arguments of a copy", "benchmark-minimal",
        {("candidates", 0): {"name": "copy", "args": ["x"], "templateFrom": {"deploymentRef": {"name": "shop"}}}},
        "spec.candidates[0]", "command and args belong to image"),
    Bad("the name of the twin", FB, {("candidates", 0, "name"): "aa-twin"},
        "spec", "the name aa-twin is taken by schedule.aaProbe"),
    Bad("open is missing", FB, {("scenarios", 0, "type"): "Open", ("scenarios", 0, "closed"): LEFT_OUT},
        "spec.scenarios[0]", "set open exactly when type is Open"),
    Bad("more requests than can be kept", FB,
        {("scenarios", 0): {"name": "keep-alive", "type": "Open", "open": {"requestsPerSecond": 200000}}},
        "spec", "an Open scenario may send 3000000 requests a window"),
    Bad("a window of days of both kinds", CMIG, {("windows", "allowed"): ["0 9-17 1-7 * 1"]},
        "spec.windows", "allowed: day of month and day of week must not both be given"),
    Bad("a freeze of days of both kinds", CMIG, {("windows", "frozen"): ["* * * * 5", "0 * 24 12 5"]},
        "spec.windows", "frozen: day of month and day of week must not both be given"),
    Bad("no time for the daily peak", CMIG, {(*STEP, "covers"): ["DailyPeak"]},
        "spec.steps[0]", "a step that covers DailyPeak may have to wait a day"),
    Bad("a daily peak without a day", CMIG,
        {("steps", 1, "covers"): ["DailyPeak"], ("decision", "baseline", "policy"): "None"},
        "spec", "steps: covers needs a day of stable"),
    Bad("query is missing", CMIG, {("objectives", 2, "type"): "Query", ("objectives", 2, "cpu"): LEFT_OUT},
        "spec.objectives[2]", "set query exactly when type is Query"),
    Bad("a placeholder of another", CMIG, {("objectives", 3, "query", "promQL"): "queue{pod='{{ .pod }}'}"},
        "spec.objectives[3].query", "promQL holds a placeholder that is not known; take one of"),
    Bad("a query alone", CMIG,
        {("objectives",): [{"name": "queue", "type": "Query", "query": {"promQL": "1", "max": "2"}}]},
        "spec", "objectives: a Query is a guard and no evidence"),
    Bad("ramp is missing", FB, {("scenarios", 0, "type"): "Ramp", ("scenarios", 0, "closed"): LEFT_OUT},
        "spec.scenarios[0]", "set ramp exactly when type is Ramp"),
    Bad("a ramp that does not rise", FB, {("scenarios", 0): {**RAMP, "ramp": {**RAMP["ramp"], "factor": "1.0"}}},
        "spec.scenarios[0].ramp", "factor must lie above 1 and be at most 4"),
    Bad("a ramp from two pods", FB, {("scenarios", 0): RAMP, ("load",): {"instances": 2}},
        "spec", "a Ramp scenario is driven by one load pod; set load.instances to 1"),
    Bad("steps too long to keep every latency", FB, {("scenarios", 0): RAMP, ("schedule", "measure"): "51s"},
        "spec", "schedule.measure, the length of one step, must be at most 50s"),
    Bad("too many ramps", "benchmark-minimal",
        {("scenarios",): [{**RAMP, "name": f"ramp-{index}"} for index in range(5)]},
        "spec", "at most 4 scenarios may be of type Ramp"),
    Bad("more pods than connections", FB,
        {("scenarios", 0, "closed", "connections"): 3, ("load",): {"instances": 4}},
        "spec", "load.instances must not exceed a scenario's connections"),
    Bad("wrk at a constant rate", "benchmark-minimal",
        {("scenarios", 0): {"name": "open", "type": "Open", "open": {"requestsPerSecond": 5}},
         ("load",): {"driver": "Wrk"}},
        "spec", "load.driver Wrk and H2load drive only Closed scenarios with keepAlive true"),
    Bad("wrk and an answer that it counts as an error", "benchmark-minimal",
        {("request",): {"expectStatus": 404}, ("load",): {"driver": "Wrk"}},
        "spec", "an expected status below 400"),
    Bad("wrk and answers without a body", "benchmark-minimal",
        {("request",): {"method": "HEAD"}, ("load",): {"driver": "Wrk"}},
        "spec", "answers with a body, so neither HEAD nor 304"),
    Bad("h2load and answers without a body", "benchmark-minimal",
        {("request",): {"expectStatus": 304}, ("load",): {"driver": "H2load"}},
        "spec", "answers with a body, so neither HEAD nor 304"),
    Bad("h2load and another method", "benchmark-minimal",
        {("request",): {"method": "POST"}, ("load",): {"driver": "H2load"}},
        "spec", "load.driver H2load sends only GET"),
    Bad("a placeholder that nobody fills in", FB, {("metrics", "queries", 0, "query"): "up{pod='{{ .pod }}'}"},
        "spec.metrics.queries[0]", "take one of {{ .namespace }}, {{ .podRegex }}, {{ .window }}"),
    Bad("a Host header with a path", "benchmark-minimal",
        {("request",): {"headers": [{"name": "hOST", "value": "shop.example.com/other?"}]}},
        "spec.request.headers[0]", "the value of a Host header is HOST or HOST:PORT"),
    Bad("a body of a GET", "benchmark-minimal", {("request",): {"body": "a"}},
        "spec.request", "a body is sent with method POST, PUT or DELETE only"),
    Bad("a baseline without a day", CMIG, {(*DECISION, "baseline"): {"window": "23h"}},
        "spec.decision.baseline", "window must lie between 24h and 168h"),
    Bad("rounds the wrong way round", FB, {("schedule", "rounds", "min"): 21},
        "spec.schedule.rounds", "rounds.min must not exceed rounds.max; raise max or lower min"),
    Bad("rounds.min above the default of max", "benchmark-minimal", {("schedule",): {"rounds": {"min": 16}}},
        "spec.schedule.rounds", "rounds.min must not exceed rounds.max"),
    Bad("measured too shortly", FB, {("schedule", "measure"): "4999ms"},
        "spec.schedule", "measure must lie between 5s and 10m"),
    Bad("measured too long", FB, {("schedule", "measure"): "10m1ms"},
        "spec.schedule", "measure must lie between 5s and 10m"),
    Bad("warmed up too long", FB, {("schedule", "warmUp"): "11m"}, "spec.schedule", "warmUp must be at most 10m"),
    Bad("cooled down too long", FB, {("schedule", "coolDown"): "1h"}, "spec.schedule", "coolDown must be at most 10m"),
    Bad("ranked by an unknown scenario", FB, {("ranking", "scenario"): "keep-alife"},
        "spec", "ranking.scenario must name one of the scenarios"),
    Bad("ranked by the cost of what costs nothing", FB,
        {("ranking", "by"): "Cost", ("cost", "cpuHour"): "0.000", ("cost", "memoryGiBHour"): "0"},
        "spec", "ranking.by Cost needs a price above 0; set cost.cpuHour or cost.memoryGiBHour"),
    Bad("a claim about another scenario", FB, {("claims", 0, "scenario"): "keep-alife"},
        "spec", "claims[].scenario must name one of the scenarios"),
    Bad("a claim about a stranger", FB, {(*CLAIMED, "candidate"): "tokio"},
        "spec", "claims[].values[].candidate must name one of the candidates"),
    Bad("a claim of no speed", FB, {(*CLAIMED, "requestsPerSecond"): "0"},
        "spec.claims[0].values[0]", "requestsPerSecond must be above 0; leave out a row without a figure"),
    Bad("more failures than requests", FB, {(*CLAIMED, "failed"): 1},
        "spec.claims[0].values[0]", "failed must not exceed requests; give the number of all requests beside it"),
    Bad("benchmark beside a workload", CMIG_MINIMAL, {("canary", "benchmark"): {"ref": {"name": "b"}}},
        "spec.canary", "set benchmark exactly when type is Benchmark"),
    Bad("workload of a benchmark", CMIG, {("canary", "workload"): WORKLOAD},
        "spec.canary", "set workload exactly when type is Workload"),
    Bad("a managed route without a Gateway", CMIG, {("traffic", "gatewayAPI", "parentRefs"): []},
        "spec.traffic.gatewayAPI", "a Managed route needs a Gateway"),
    Bad("an adopted route with a Gateway", CMIG, {("traffic", "gatewayAPI", "mode"): "Adopted"},
        "spec.traffic.gatewayAPI", "an Adopted route has its own parentRefs, hostnames and matches"),
    Bad("testers of an adopted route", CMIG,
        {("traffic", "gatewayAPI"): {"mode": "Adopted", "route": {"name": "shop"}}},
        "spec", "match is for a Managed route; add a rule for your testers to the Adopted route yourself"),
    Bad("a match of nobody", CMIG, {("match",): {"headers": []}},
        "spec.match", "match without a header or cookie matches nobody; set headers or cookies"),
    Bad("an acceptance of a moment", CMIG, {("acceptance", "duration"): "9s"},
        "spec.acceptance", "acceptance.duration must be 10s to 1h; set it between them"),
    Bad("an acceptance without end", CMIG, {("acceptance", "duration"): "61m"},
        "spec.acceptance", "acceptance.duration must be 10s to 1h; set it between them"),
    Bad("a gate that thinks for long", CMIG, {("gates", 0, "timeout"): "6s"},
        "spec.gates[0]", "timeout must lie between 100ms and 5s"),
    Bad("no provider", CMIG, {("traffic", "gatewayAPI"): LEFT_OUT},
        "spec.traffic", "set gatewayAPI exactly when type is GatewayAPI"),
    Bad("latency objective without its member", CMIG, {("objectives", 0, "latency"): LEFT_OUT},
        "spec.objectives[0]", "set latency exactly when type is Latency"),
    Bad("errors objective of type CPU", CMIG, {("objectives", 1, "type"): "CPU"},
        "spec.objectives[1]", "set errors exactly when type is Errors"),
    Bad("cpu objective without its member", CMIG, {("objectives", 2, "cpu"): LEFT_OUT},
        "spec.objectives[2]", "set cpu exactly when type is CPU"),
    Bad("no error allowed at all", CMIG, {("objectives", 1, "errors", "maxPercent"): "0.0"},
        "spec.objectives[1].errors", "maxPercent must be above 0; the least is 0.0001"),
    Bad("a step shorter than itself", CMIG, {(*STEP, "minDuration"): "12h1ms"},
        "spec.steps[0]", "minDuration must not exceed maxDuration; raise maxDuration or lower minDuration"),
    Bad("a step against the default", CMIG_MINIMAL, {(*STEP, "minDuration"): "25h"},
        "spec.steps[0]", "minDuration must not exceed maxDuration"),
    Bad("a block too short", CMIG, {(*DECISION, "block"): "4s"}, "spec.decision", "block must lie between 5s and 10m"),
    Bad("a block too long", CMIG, {(*DECISION, "block"): "601s", (*DECISION, "maxBlind"): "1h"},
        "spec.decision", "block must lie between 5s and 10m"),
    Bad("blind for less than a block", CMIG, {(*DECISION, "maxBlind"): "29s"},
        "spec.decision", "maxBlind must be at least one block; raise maxBlind or shorten block"),
    Bad("from a Service to itself", CMIG_MINIMAL, {("canary", "workload", "service", "name"): "shop-express"},
        "spec", "canary.workload.service must differ from stable.service; give the canary a Service of its own"),
    Bad("falling weights", CMIG, {(*STEP, "weightPercent"): 50},
        "spec", "steps: weightPercent must rise from step to step; sort the steps"),
]  # fmt: skip
BROKEN_SHAPES = [
    Bad("one candidate", FB, {("candidates", 1): LEFT_OUT}, "spec.candidates", "at least 2"),
    Bad("two candidates of one name", FB, {("candidates", 1, "name"): "express"}, "spec.candidates[1]", "express"),
    Bad("two scenarios of one name", FB, {("scenarios", 1, "name"): "keep-alive"}, "spec.scenarios[1]", "keep-alive"),
    Bad("a candidate twice in a claim", FB, {(*CLAIMED, "candidate"): "express"},
        "spec.claims[0].values[1]", "express"),
    Bad("a variable twice", FB, {("candidates", 0, "env", 1, "name"): "WORKERS"},
        "spec.candidates[0].env[1]", "WORKERS"),
    Bad("a step twice", CMIG, {(*STEP, "weightPercent"): 10}, "spec.steps[1]", "10"),
    Bad("an objective twice", CMIG, {("objectives", 1, "name"): "latency"}, "spec.objectives[1]", "latency"),
    Bad("a misspelt field", CMIG, {(*STEP, "weightPercents"): 5}, "spec.steps[0].weightPercents", ""),
    Bad("a misspelt approval", CMIG, {(*STEP, "approval"): "manual"}, "spec.steps[0].approval", "Manual"),
    Bad("a misspelt type", CMIG, {("canary", "type"): "benchmark"}, "spec.canary.type", "Benchmark"),
    Bad("a window of one minute", CMIG, {("windows", "allowed"): ["30 9 * * *"]}, "spec.windows.allowed", "[0-9]"),
    Bad("a freeze of a single date", CMIG, {("windows", "frozen"): ["2026-12-24"]}, "spec.windows.frozen", "[0-9]"),
    Bad("a bound in words", CMIG, {("objectives", 3, "query", "max"): "many"}, "spec.objectives[3].query.max", "[0-9]"),
    Bad("a duration without its unit", CMIG, {(*STEP, "minDuration"): "10"}, "spec.steps[0].minDuration", "h|m|s|ms"),
    Bad("a price below 0", FB, {("cost", "cpuHour"): "-0.04"}, "spec.cost.cpuHour", "[0-9]"),
    Bad("a currency in words", FB, {("cost", "currency"): "eur"}, "spec.cost.currency", "[A-Z]"),
    Bad("a capital in a name", FB, {("candidates", 0, "name"): "Express"}, "spec.candidates[0].name", "[a-z]"),
    Bad("no steps", CMIG, {("steps",): []}, "spec.steps", "at least 1"),
    Bad("port 0", CMIG, {("stable", "service", "port"): 0}, "spec.stable.service.port", "1"),
]  # fmt: skip


def changed(bad: Bad, samples: dict[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Kind and spec of a bad object."""
    sample = samples[bad.sample]
    spec = sample["spec"]
    for path, value in bad.changes.items():
        spec = with_change(spec, path, value)
    return sample["kind"], spec


@pytest.mark.parametrize("bad", BROKEN_RULES + BROKEN_SHAPES, ids=lambda bad: bad.name)
def test_the_api_server_refuses_and_says_where_and_why(
    bad: Bad, samples: dict[str, dict[str, Any]], client: Client
) -> None:
    kind, spec = changed(bad, samples)
    answer = dry_run(client, KIND[kind], spec)
    assert answer.status in (400, 422)
    assert bad.where in answer.message
    assert bad.says in answer.message


@pytest.mark.parametrize("bad", BROKEN_RULES, ids=lambda bad: bad.name)
def test_pydantic_says_the_same_in_the_same_place(bad: Bad, samples: dict[str, dict[str, Any]]) -> None:
    kind, spec = changed(bad, samples)
    with pytest.raises(ValidationError) as refusal:
        KIND[kind].spec.model_validate(spec)
    said = {(dotted(("spec", *error["loc"])), error["msg"]) for error in refusal.value.errors()}
    assert any(where == bad.where and bad.says in message for where, message in said), said


@pytest.mark.parametrize("bad", BROKEN_SHAPES, ids=lambda bad: bad.name)
def test_pydantic_refuses_the_same_shapes(bad: Bad, samples: dict[str, dict[str, Any]]) -> None:
    kind, spec = changed(bad, samples)
    with pytest.raises(ValidationError):
        KIND[kind].spec.model_validate(spec)


@pytest.mark.parametrize("sample", ["benchmark-minimal", FB, CMIG_MINIMAL, CMIG])
def test_the_samples_themselves_are_taken(sample: str, samples: dict[str, dict[str, Any]], client: Client) -> None:
    answer = dry_run(client, KIND[samples[sample]["kind"]], samples[sample]["spec"])
    assert answer.ok, answer.message


def test_every_rule_of_the_crds_is_broken_by_a_case() -> None:
    apart = {rule.message for rule in (*NAME_RULES, *OF_EDITS)}
    messages = set(rule_messages([make_crd(kind) for kind in KINDS])) - apart
    assert len(messages) > 15
    assert {m for m in messages if not any(bad.says in m for bad in BROKEN_RULES)} == set()


def test_every_message_tells_the_mend_or_the_bounds() -> None:
    mends = ("; ", "set ", "must be at most", "must lie between", "must name one of")
    assert [m for m in rule_messages([make_crd(kind) for kind in KINDS]) if not any(word in m for word in mends)] == []


def test_a_route_is_not_renamed(samples: dict[str, dict[str, Any]], client: Client) -> None:
    """It would keep the weights of before, and nobody would watch it."""
    sample = samples[CMIG_MINIMAL]
    path = f"{GROUP_PATH}/namespaces/default/canarymigrations"
    stored = client.create(path, {**sample, "metadata": {"name": "renamed", "namespace": "default"}}).body
    others = {
        "renamed": with_change(stored["spec"], ("traffic", "gatewayAPI", "route", "name"), "another"),
        "sent elsewhere": with_change(stored["spec"], ("stable", "service", "name"), "another"),
    }
    answers = {
        what: client.request("PUT", f"{path}/renamed?dryRun=All", {**stored, "spec": spec})
        for what, spec in others.items()
    }
    client.request("DELETE", f"{path}/renamed")
    assert OF_EDITS and answers["sent elsewhere"].ok and not answers["renamed"].ok
    assert "spec.traffic.gatewayAPI" in answers["renamed"].message
    assert OF_EDITS[0].message in answers["renamed"].message


@pytest.mark.parametrize("plural", [kind.plural for kind in KINDS])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a" * 41, "metadata.name must have at most 40 characters"),
        ("shop.web", "metadata.name must begin with a letter and hold no dot"),
        ("1shop", "use letters, digits and hyphens"),
        ("a" * 40, ""),
        ("shop-1", ""),
    ],
)
def test_names_leave_room_for_those_made_from_them(
    name: str, says: str, plural: str, samples: dict[str, dict[str, Any]], client: Client
) -> None:
    sample = next(s for s in samples.values() if f"{s['kind'].lower()}s" == plural)
    body = {**sample, "metadata": {"name": name, "namespace": "default"}}
    answer = client.create(f"{GROUP_PATH}/namespaces/default/{plural}?dryRun=All", body)
    assert answer.ok == (not says)
    assert says in answer.message


def rule_messages(node: Any) -> list[str]:
    """The messages of all rules in a schema."""
    if isinstance(node, list):
        return [message for item in node for message in rule_messages(item)]
    if not isinstance(node, dict):
        return []
    own = [rule["message"] for rule in node.get(RULES, [])]
    return own + [message for value in node.values() for message in rule_messages(value)]


def dotted(path: tuple[str | int, ...]) -> str:
    """A path as the API server writes it: ``spec.steps[0].minDuration``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
