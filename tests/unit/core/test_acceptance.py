"""After the promotion: own load at a multiple of the peak, and an honest table of before and after."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.core.acceptance import Accepted, about, accept, judgement
from changeover.core.conditions import timestamp
from changeover.core.migration_state import Before, LoadState, SeenLoad, SeenMigration, Step
from changeover.core.observed import (
    Counts,
    Figures,
    LoadFailed,
    LoadReport,
    LoadRunning,
    NoData,
    Peak,
    Unreadable,
    Usage,
)
from changeover.core.plan import Apply, Delete
from changeover.testing.builders import a_report

from tests.unit.core.seen import NOW, counts, latest, mark, owner, route, seen, workload

GATEWAYS = {"gateway/public": "http://traefik.gateway.svc"}
SPEC = {"acceptance": {"trafficMultiple": 3, "duration": "1m"}}
PEAK = Peak(100.0, NOW - timedelta(hours=2), 60.0)
PROMOTED = Step(Reason.PROMOTED, "held its objectives", mark=mark(100, 3))
STEPPING = Step(Reason.WAITING_EVIDENCE, "too little", mark=mark(10, 1))
ENDED = a_report(200.0, windowStart=NOW.timestamp() - 70, windowEnd=NOW.timestamp() - 10)


def figures(requests: int = 18_000, slow: int = 0, errors: int = 0, cores: float | None = 0.3) -> Figures:
    """A minute at 300/s unless told otherwise, on pods that may use one core together."""
    seen_ = Counts(requests, errors, {"latency": slow}, {"latency": 0.012, "shown/50": 0.002, "shown/99": 0.012})
    return Figures(60.0, seen_, None if cores is None else Usage(cores, 2.0**30, 60.0), 1.0)


def world(status: dict[str, Any] | None = None, load: SeenLoad | None = None, **more: Any) -> SeenMigration:
    on_route = route(mark(100, 3), gateways=("gateway/public",), hostnames=("*.example.com",))
    base = seen(
        SPEC, owner=owner(status={"acceptance": status} if status else {}), route=on_route, peak=PEAK,
        latest=latest(counts(1000), counts(0)), load=load or SeenLoad(GATEWAYS, "loader:1"),
    )  # fmt: skip
    return replace(base, **more)


def running(**more: Any) -> dict[str, Any]:
    return {
        "state": "Running", "about": about(world().spec), "message": "", "table": BEFORE,
        "startedAt": "2030-01-01T11:58:40Z",
        "targetRequestsPerSecond": "300", "ownRequestsPerSecond": 200, **more,
    }  # fmt: skip


BEFORE = [{"figure": "p99", "unit": "ms", "before": "812", "target": "50"}]


def judged(after: Any, report: dict[str, Any] = ENDED, **more: Any) -> Accepted:
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadReport(report), after=after)
    return accept(world(running(), load, **more), PROMOTED)


def arguments(accepted: Accepted) -> list[str]:
    [action] = accepted.actions
    assert isinstance(action, Apply)
    found: list[str] = action.manifest["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_nothing_is_done_that_nobody_asked_for() -> None:
    told = replace(world(), spec=seen().spec)
    assert accept(told, PROMOTED) == Accepted(None)
    assert judgement(None).reason is Reason.NOT_ASKED_FOR


def test_the_figures_before_are_taken_while_stable_has_the_traffic() -> None:
    load = SeenLoad(GATEWAYS, "loader:1", before=Before(PEAK, PEAK.at, figures(6000, slow=3000, errors=60, cores=0.95)))
    found = accept(world(load=load), STEPPING)
    assert found.status is not None and found.actions == ()
    rows = {row["figure"]: row["before"] for row in found.status["table"]}
    # 6,000 requests in 60 s; 0.95 cores of one; 9500 us a request; 0.95 x 0.04 + 0.005 an hour for 0.36 M requests
    assert rows == {
        "requests": "100", "p50": "2", "p99": "12", "errors": "1", "cpu": "95", "cpuPerRequest": "9500",
        "costPerMillion": "0.1194",
    }  # fmt: skip
    assert (found.status["state"], found.status["peakRequestsPerSecond"]) == ("Waiting", "100")


def test_that_they_are_not_known_is_said_until_they_are() -> None:
    load = SeenLoad(GATEWAYS, "loader:1", before=NoData("the counters begin inside the span"))
    first = accept(world(load=load), STEPPING).status
    assert first is not None and "not known yet: the counters begin" in first["message"]
    later = accept(world({**first, "table": BEFORE}, load), STEPPING).status
    assert later is not None and (later["message"], later["table"]) == ("", BEFORE)


def test_that_the_gateway_is_not_known_is_said_at_the_start() -> None:
    found = accept(world(load=SeenLoad()), STEPPING)
    assert found.status is not None and "set gateways in the chart's values" in found.status["message"]
    assert accept(world(load=SeenLoad()), PROMOTED).actions == ()


def test_live_traffic_and_own_load_together_are_the_multiple_of_the_peak() -> None:
    """1,000 requests in the last 10 s are 100/s; three times the peak of 100/s leave 200/s to be sent."""
    found = accept(world(), PROMOTED)
    assert found.status is not None
    assert {"--rate=200", "--measure=60", "--url=http://traefik.gateway.svc/"} <= set(arguments(found))
    assert "--host-header=changeover.example.com" in arguments(found)
    assert (found.status["state"], found.status["ownRequestsPerSecond"]) == ("Running", 200)


def test_where_a_part_stays_on_stable_the_canary_is_to_carry_its_own_part_of_the_multiple() -> None:
    """A last step of 50 %: of 300/s through the route the canary gets 150, live and own."""
    half: dict[str, Any] = {
        "route": route(mark(50, 3), gateways=("gateway/public",)),
        "latest": latest(counts(500), counts(500)),
    }
    begun = accept(world(**half), PROMOTED)
    assert "--rate=200" in arguments(begun), "100/s are live, on both"
    found = judged(figures(requests=9000), **half).status or {}
    assert found["state"] == "Met", found["message"]
    assert found["message"].endswith("at 150 requests/s (3 times the peak is 300, of which 50 % is the canary's)")
    short = judged(figures(requests=8400), **half).status or {}
    assert short["state"] == "Void", short["message"]


def test_the_peak_before_counts_when_the_last_day_was_quiet() -> None:
    found = accept(world({"state": "Waiting", "peakRequestsPerSecond": "500", "table": []}), PROMOTED)
    assert "--rate=1400" in arguments(found)


@pytest.mark.parametrize(
    "more",
    [
        {"canary": workload(1)}, {"peak": NoData("nothing")}, {"peak": None}, {"latest": NoData("nothing")},
        {"route": route(mark(100, 3), accepted=False, gateways=("gateway/public",))},
        {"load": SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadRunning())},
    ],
)  # fmt: skip
def test_no_load_is_sent_before_all_is_well(more: dict[str, Any]) -> None:
    found = accept(world(**more), PROMOTED)
    assert found.status is not None and found.status["state"] == "Waiting" and found.looks_again
    assert not any(isinstance(action, Apply) for action in found.actions)


def test_the_targets_are_met() -> None:
    found = judged(figures(slow=180, cores=0.4))
    assert found.status is not None
    assert found.status["state"] == "Met", found.status
    row = next(row for row in found.status["table"] if row["figure"] == "p99")
    expected = {"figure": "p99", "unit": "ms", "before": "812", "after": "12", "target": "50", "met": "Yes"}
    assert row == expected
    assert "p99 812 ms -> 12 ms, target 50 ms" in found.status["message"]
    assert judgement(found.status).status is True
    assert found.actions == (), "its Job stays until the verdict is in status"


@pytest.mark.parametrize(
    ("after", "missed"),
    [(figures(slow=181), "p99"), (figures(errors=181), "errors"), (figures(cores=0.41), "cpu")],
)
def test_one_target_that_is_missed_is_enough(after: Figures, missed: str) -> None:
    found = judged(after)
    assert found.status is not None and found.status["state"] == "NotMet"
    assert found.status["message"].startswith(missed)
    assert judgement(found.status).status is False


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (figures(17_000), "the load was not reached"),
        (figures(cores=None), "not known: cpu"),
        (replace(figures(), cores=None), "not known: cpu"),
    ],
)
def test_what_was_not_shown_is_not_called_met(after: Figures, why: str) -> None:
    found = judged(after)
    assert found.status is not None and (found.status["state"], why in found.status["message"]) == ("Void", True)
    assert judgement(found.status).status is None


def of_12_000(failed: int, kind: str = "status") -> dict[str, Any]:
    """The report of a minute at 200/s, of which so many were not answered as expected."""
    return {**ENDED, "succeeded": 12_000 - failed, "errors": {**ENDED["errors"], kind: failed}}


@pytest.mark.parametrize(("failed", "kind"), [(121, "status"), (9600, "status"), (9600, "timeout"), (12_000, "read")])
def test_load_that_was_turned_away_fast_and_without_a_5xx_shows_nothing(failed: int, kind: str) -> None:
    """A canary with a rate limiter: the rate is reached and every target met, by the gateway's counters."""
    found = judged(figures(), of_12_000(failed, kind))
    assert found.status is not None and found.status["state"] == "Void"
    expected = f"{failed} of 12000 requests of the load were not answered as expected: p99"
    assert found.status["message"].startswith(expected)
    assert judgement(found.status).status is None


def test_a_few_failures_are_allowed_and_more_where_the_spec_allows_errors() -> None:
    assert (judged(figures(), of_12_000(120)).status or {})["state"] == "Met"
    errors = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "5"}}
    five = {"acceptance": SPEC["acceptance"], "objectives": [errors]}
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadReport(of_12_000(600)), after=figures(errors=600))
    told = replace(world(), spec=seen(five).spec, load=load)
    status = {**running(), "about": about(told.spec)}
    found = accept(replace(told, owner=owner(status={"acceptance": status})), PROMOTED)
    assert found.status is not None and found.status["state"] == "Met", found.status


def test_a_target_that_was_missed_is_missed_whatever_else_failed() -> None:
    found = judged(figures(slow=181), of_12_000(9600))
    assert found.status is not None and found.status["state"] == "NotMet"


def test_a_slow_load_generator_is_no_slow_backend() -> None:
    slow = {**ENDED, "generatorCPU": {"cores": 0.97}}
    found = judged(figures(12_000, slow=6000), slow)
    assert found.status is not None and found.status["state"] == "Void"
    assert "the load generator used 0.97 cores" in found.status["message"]


@pytest.mark.parametrize(("after", "seconds"), [(NoData("no series"), 60), (Unreadable("no series"), 24 * 3600)])
def test_the_last_scrapes_are_awaited_and_not_for_ever(after: NoData | Unreadable, seconds: float) -> None:
    """A source that is away has kept them, so it has more time."""
    waits = judged(after, {**ENDED, "windowEnd": NOW.timestamp() - seconds})
    assert waits.status is not None and (waits.status["state"], waits.looks_again) == ("Running", True)
    assert waits.status["message"] == "the load has ended: no series"
    ended = judged(after, {**ENDED, "windowEnd": NOW.timestamp() - seconds - 1})
    assert ended.status is not None and ended.status["state"] == "Void" and "no series" in ended.status["message"]


def test_load_that_does_harm_is_ended_at_once() -> None:
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadRunning())
    found = accept(world(running(), load, latest=latest(counts(1000, errors=500), counts(0))), PROMOTED)
    assert found.status is not None and found.status["state"] == "NotMet"
    assert "ended early, since it did harm" in found.status["message"]
    assert [type(action) for action in found.actions] == [Delete]


def test_a_load_that_failed_shows_nothing() -> None:
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadFailed("connection refused"))
    found = accept(world(running(), load), PROMOTED)
    assert found.status is not None and found.status["state"] == "Void"
    assert "connection refused" in found.status["message"]


def test_a_job_that_is_gone_is_noticed_but_not_in_its_first_minute() -> None:
    at_once = accept(world(running(startedAt="2030-01-01T11:59:50Z")), PROMOTED)
    assert at_once.status is not None and at_once.status["state"] == "Running"
    gone = accept(world(running()), PROMOTED)
    assert gone.status is not None and gone.status["state"] == "Void"


def test_what_ended_stays_until_the_spec_asks_for_something_else() -> None:
    ended = running(state="NotMet")
    kept = accept(world(ended, SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadReport(ENDED))), PROMOTED)
    assert kept.status == ended and [type(action) for action in kept.actions] == [Delete]
    anew = accept(world({**ended, "about": "another", "peakRequestsPerSecond": "80"}), PROMOTED)
    assert anew.status is not None and anew.status["state"] == "Running"
    assert "--rate=140" in arguments(anew), "the load of the first time is no peak: 3 x 80, of which 100 are there"


@pytest.mark.parametrize(("ended_ago", "state"), [(9, "Waiting"), (20, "Waiting"), (21, "Running")])
def test_asked_for_anew_it_waits_until_the_load_before_is_not_counted_as_live(ended_ago: int, state: str) -> None:
    """Else the load of the second run is too small by the first's."""
    ended = running(state="NotMet", about="another", endedAt=timestamp(NOW - timedelta(seconds=ended_ago)))
    found = accept(world({**ended, "peakRequestsPerSecond": "80"}), PROMOTED)
    assert found.status is not None and found.looks_again
    assert (found.status["state"], "endedAt" in found.status) == (state, state == "Waiting")


@pytest.mark.parametrize(
    ("stopped_ago", "of_steps", "state"),
    # The last scrapes are 10 s; what they begin with was counted up to a scrape before, and pods take a while to end.
    [
        (11, None, "Waiting"),
        (19, None, "Waiting"),
        (21, None, "Running"),
        (60, LoadRunning(), "Waiting"),
        (60, Unreadable("503"), "Waiting"),
    ],
)
def test_it_waits_until_the_load_of_the_steps_is_not_counted_as_live(
    stopped_ago: int, of_steps: LoadState, state: str
) -> None:
    """It ends with the last step: counted as live, its requests would be lacking from those that are to be reached."""
    stopped = {"state": "Stopped", "at": timestamp(NOW - timedelta(seconds=stopped_ago))}
    load = SeenLoad(GATEWAYS, "loader:1", of_steps=of_steps)
    found = accept(world(load=load, owner=owner(status={"load": stopped})), PROMOTED)
    assert found.status is not None and found.looks_again
    assert found.status["state"] == state, found.status


def test_between_two_jobs_the_load_of_the_steps_is_in_the_counters_all_the_same() -> None:
    """One Job follows the other each ten minutes, and the pass that promotes may fall between them."""
    running_on = {"state": "Running", "at": timestamp(NOW - timedelta(hours=1)), "message": "200 requests/s"}
    found = accept(world(owner=owner(status={"load": running_on})), PROMOTED)
    assert found.status is not None and (found.status["state"], found.actions) == ("Waiting", ())


def test_a_route_that_cannot_be_read_for_a_moment_ends_no_load() -> None:
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadRunning())
    unread = Step(Reason.UNREADABLE, "the route could not be read")
    assert accept(world(running(), load, route=Unreadable("GET: 503")), unread) == Accepted(running(), looks_again=True)


@pytest.mark.parametrize("suspend", [False, True])
def test_harm_and_suspend_end_a_load_whether_or_not_the_route_can_be_read(suspend: bool) -> None:
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadRunning())
    spec = world().spec.model_copy(update={"suspend": suspend})
    bad = counts(1000) if suspend else counts(1000, slow=900)
    unread = world(running(), load, spec=spec, route=Unreadable("GET: 503"), latest=latest(bad, counts(0)))
    ended = accept(unread, Step(Reason.UNREADABLE, "the route could not be read"))
    assert ended.status is not None and [type(action) for action in ended.actions] == [Delete]
    assert ended.status["state"] == ("Waiting" if suspend else "NotMet")


@pytest.mark.parametrize("why", ["suspended", "another acceptance"])
def test_interrupted_it_waits_for_counters_without_its_own_load(why: str) -> None:
    """What it sent itself would be taken for live traffic, and what is added to that would be too little."""
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadRunning())
    known = running() if why == "suspended" else running(about="another")
    spec = world().spec.model_copy(update={"suspend": why == "suspended"})
    stopped = accept(world(known, load, spec=spec), PROMOTED)
    assert stopped.status is not None and [type(action) for action in stopped.actions] == [Delete]
    again = accept(world(stopped.status), PROMOTED)
    assert again.status is not None and (again.status["state"], again.actions) == ("Waiting", ())
    assert "without the load of before" in again.status["message"]
    later = latest(counts(1000), counts(0))
    later = replace(later, start=NOW + timedelta(seconds=11), end=NOW + timedelta(seconds=21))
    begun = accept(world(again.status, latest=later), PROMOTED)
    assert begun.status is not None and begun.status["state"] == "Running"


def test_suspended_it_sends_nothing() -> None:
    load = SeenLoad(GATEWAYS, "loader:1", of_acceptance=LoadRunning())
    told = replace(world(running(), load), spec=seen({**SPEC, "suspend": True}).spec)
    found = accept(told, PROMOTED)
    assert [type(action) for action in found.actions] == [Delete]
    assert found.status is not None and found.status["state"] == "Waiting"


def test_another_canary_in_the_spec_is_not_loaded() -> None:
    step = replace(PROMOTED, reason=Reason.ALREADY_PROMOTED, mark=mark(100, 3, arms="others"))
    assert accept(world(), step).actions == ()


def test_of_several_objectives_about_a_figure_the_strictest_is_the_target() -> None:
    loose = [
        {"name": "few", "type": "Errors", "errors": {"maxPercent": "5"}},
        {"name": "fewest", "type": "Errors", "errors": {"maxPercent": "0.5"}},
        {"name": "cpu-high", "type": "CPU", "cpu": {"maxPercent": 90}},
        {"name": "cpu-low", "type": "CPU", "cpu": {"maxPercent": 40}},
        {"name": "fast", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}},
        {"name": "slow", "type": "Latency", "latency": {"percentile": "99", "max": "2s"}},
    ]
    spec = seen({**SPEC, "objectives": loose}).spec
    counted = Counts(18_000, 180, {"fast": 360, "slow": 0}, {"fast": 0.06, "slow": 0.06})
    found = judged(Figures(60.0, counted, Usage(0.6, 2.0**30, 60.0), 1.0), spec=spec)
    assert found.status is not None and found.status["state"] == "NotMet"
    rows = {row["figure"]: (row["target"], row["met"]) for row in found.status["table"] if row["target"]}
    assert rows == {"p99": ("50", "No"), "errors": ("0.5", "No"), "cpu": ("40", "No")}


def test_an_objective_that_is_called_like_a_percentile_takes_no_percentiles_place() -> None:
    objectives = [{"name": "p99", "type": "Latency", "latency": {"percentile": "90", "max": "50ms"}}]
    spec = seen({**SPEC, "objectives": objectives}).spec
    counted = Counts(18_000, 0, {"p99": 0}, {"p99": 0.004, "shown/50": 0.002, "shown/99": 0.012})
    found = judged(Figures(60.0, counted, Usage(0.3, 2.0**30, 60.0), 1.0), spec=spec)
    assert found.status is not None
    rows = {row["figure"]: row["after"] for row in found.status["table"]}
    assert (rows["p50"], rows["p90"], rows["p99"]) == ("2", "4", "12")
