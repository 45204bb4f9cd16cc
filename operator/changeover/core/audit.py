"""Was a run measured fairly? A run that was not says why, is kept, and never helps anybody to win."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from changeover.api.v1alpha1.benchmark import TWIN
from changeover.core.as_measured import digest_of
from changeover.core.conformance import failed_checks
from changeover.core.knee import knee_reasons
from changeover.core.observed import LoadFailed, LoadReport, NoData, Pod, Unreadable, Usage, Workload
from changeover.core.schedule import CROSS_CHECK, Run
from changeover.loader.report import FRACTIONS, is_known, is_tail_lacked, lacked, lost

# Every run audits itself: beyond one of these it is void, or its figures are not what they are called.
GENERATOR_SHARE = 0.70  # cores of the generator's one core, beyond which it may be what is slow
LITTLE_TOLERANCE = 0.02  # throughput x mean latency must not exceed the connections by more
ERROR_SHARE = 0.01  # beyond it the throughput is that of another job
ALIVE_SHARE = 0.95  # of the connections, that must be alive at the end: the load of fewer is another load
ACHIEVED_SHARE = 0.95  # of the offered rate; below it the latency is that of an overload
THROTTLED_SHARE = 0.05  # of the candidate's periods; beyond it a latency at a constant rate is the limit's, not its own
REOPENED = 2  # times the connections that may be opened with keep-alive
KEPT_REQUESTS = 100  # a connection; a server that closes one after so many answers does keep it alive
CLOSED_SHARE = 0.9  # of the requests that must have opened a connection of their own without keep-alive

MOST_VOID = 0.20  # of all runs, before the benchmark is not to be relied on
FEWEST_RUNS = 5  # that this is judged by
OWN_FAULTS = frozenset({
    "Errors", "UnexpectedResponse", "TargetUnreachable", "CandidateRestarted", "NotReady", "ConnectionsLost",
    "KeptAlive", "NotKeptAlive", "RateNotReached", "Throttled", "NoKnee",
})  # fmt: skip
"""Reasons that lie with the candidate; all others lie with the measurement."""
MENDS = {
    "LoadGeneratorSaturated": "lower the candidates' CPU limit, or give the load a faster node and no CPU limit",
    "MetricsMissing": "let the metric source scrape the candidates' node five times in schedule.measure",
    "NotPinned": "keep placement.candidates to nodes that stay",
    "ImageChanged": "name the image by its digest, or retry the benchmark",
    "NotSteady": "raise schedule.warmUp",
    "LittleLaw": "give the load node fewer neighbours: its clock or its CPU was taken away",
    "LoadFailed": "see the load pod's log and events",
    "KneeNotReached": "raise the scenario's ramp.maxSteps or ramp.factor",
    "PodApart": "give every load pod a core of its own on nodes that are alike",
    "CandidateGone": "see who deletes or evicts the candidates' pods",
}
"""What to do about each reason that lies with the measurement."""

RunRecord = dict[str, Any]


@dataclass(frozen=True)
class Fixed:
    """What the runs before fixed for one more; empty while nothing is known.

    node   on which all candidates are measured
    image  that every run of this candidate has, as the container runtime identified it
    """

    node: str = ""
    image: str = ""


def make_record(
    run: Run,
    outcome: LoadReport | LoadFailed,
    usage: Usage | NoData | Unreadable,
    workload: Workload | None,
    fixed: Fixed = Fixed(),
) -> RunRecord:
    """What is kept of a run: the report without its histogram, what it used, where it ran, and why it is void."""
    pod = workload.pods[0] if workload is not None and workload.pods else None
    content = outcome.content if isinstance(outcome, LoadReport) else {}
    kept = {key: value for key, value in content.items() if key not in ("histogram", "steps", "conformance")}
    report = _without_unknown(kept)
    used = usage if isinstance(usage, Usage) else None
    void = void_reasons(outcome, usage, pod.restarts if pod else None)
    if isinstance(outcome, LoadReport):
        void += _replaced(outcome.pod, workload)
    if pod is not None:
        void += _deviations(pod, fixed)
    return {
        "round": run.round,
        "candidate": run.candidate,
        "scenario": run.scenario,
        "attempt": run.attempt,
        "report": report,
        "cpuCores": used.cpu_cores if used else None,
        "cpuSpanSeconds": used.span_seconds if used else None,
        "cpuLimit": workload.cpu_limit if workload is not None else None,
        "throttledShare": used.throttled_share if used else None,
        "memoryPeakBytes": used.memory_peak_bytes if used else None,
        "node": pod.node if pod else "",
        "imageID": pod.image_id if pod else "",
        "metrics": {name: value for name, value in (used.readings if used else {}).items() if isinstance(value, float)},
        "remarks": [*_remarks(report), *_unseen_throttling(report, used), *_unknown(used)],
        "conformance": failed_checks(content),
        "void": void,
    }


def _replaced(loaded: str, workload: Workload | None) -> list[str]:
    """Whether the pod that was under load is not the one that is there, whose CPU was read.

    One that goes away answers to the end of its connections, so the load itself shows nothing. A Job of an earlier
    release does not say which it was.
    """
    living = [pod.name for pod in workload.pods if not pod.deleting] if workload is not None else []
    if not loaded or not living or living == [loaded]:
        return []
    return [f"CandidateGone: pod {loaded} was under load, and {', '.join(living)} is there"]


def _deviations(pod: Pod, fixed: Fixed) -> Iterator[str]:
    """In what a run was of another thing than those before it; a tag may be moved while it is measured."""
    if fixed.node not in ("", pod.node):
        yield f"NotPinned: it ran on {pod.node}, the others on {fixed.node}"
    if "" not in (fixed.image, pod.image_id) and digest_of(fixed.image) != digest_of(pod.image_id):
        yield f"ImageChanged: it ran {digest_of(pod.image_id)}, the runs before {digest_of(fixed.image)}"


def is_own_fault(record: RunRecord) -> bool:
    """Whether a void run is void for the candidate's own faults alone."""
    reasons = {text.split(":")[0] for text in record["void"]}
    return bool(reasons) and reasons <= OWN_FAULTS


def unreliable(records: Mapping[str, RunRecord]) -> str:
    """Why the whole benchmark is not to be relied on, and the mend; empty when it is.

    Left aside is, in each scenario, one candidate that was never measured fairly: it is invalid by itself, and says
    nothing about the others. Of several, any could be the best. Runs of the cross-check do not count: they come after
    the ranking, and judge its winner alone.
    """
    records = {key: record for key, record in records.items() if CROSS_CHECK not in record["scenario"]}
    aside = _set_aside(records)
    counted = [r for r in records.values() if r["candidate"] not in aside.get(r["scenario"], ())]
    void = [r for r in counted if r["void"] and not is_own_fault(r)]
    if len(counted) < FEWEST_RUNS or len(void) <= MOST_VOID * len(counted):
        return ""
    found = Counter(reason for r in void for reason in {text.split(":")[0] for text in r["void"]} - OWN_FAULTS)
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(found.items()))
    mends = "; ".join(MENDS[reason] for reason in sorted(found) if reason in MENDS)
    return f"{len(void)} of {len(counted)} runs are void ({reasons}), more than {MOST_VOID:.0%}; {mends}"


def _set_aside(records: Mapping[str, RunRecord]) -> dict[str, set[str]]:
    """Scenario -> the one candidate without a fair run in it, for reasons of the measurement; its twin goes with it."""
    found: dict[str, set[str]] = {}
    for scenario in {r["scenario"] for r in records.values()}:
        own = [r for r in records.values() if r["scenario"] == scenario]
        blamed = {r["candidate"] for r in own if r["void"] and not is_own_fault(r)}
        never = blamed - {r["candidate"] for r in own if not r["void"]}
        if len(never - {TWIN}) == 1:
            found[scenario] = never
    return found


def _without_unknown(report: dict[str, Any]) -> dict[str, Any]:
    """The report with None for each percentile that is not one of all requests."""
    if not report or report["latency"] is None:
        return report
    known = {key: None if key in FRACTIONS and not is_known(report, key) else v for key, v in report["latency"].items()}
    return {**report, "latency": known}


def _remarks(report: Mapping[str, Any]) -> list[str]:
    """What a reader should know of a run that is valid all the same."""
    if not report:
        return []
    if report["latency"] is None:
        # The throughput is true; a latency without the slowest requests would flatter.
        return [f"LatencyUnknown: {report.get('latencyRefused') or 'the generator gave none'}"]
    unknown = [key for key, value in report["latency"].items() if value is None]
    without = f"{lost(report)} requests were not sent or not answered, so {', '.join(unknown)} cannot be told"
    return [f"LatencyUnknown: {without}"] if unknown else []


def _unseen_throttling(report: Mapping[str, Any], usage: Usage | None) -> list[str]:
    """A run at a constant rate whose throttling could not be judged: without a CPU limit there is none to be seen."""
    if usage is None or report.get("mode") != "open" or usage.throttled_share is not None:
        return []
    return ["ThrottlingUnknown: the metric source has no CFS periods of the candidate; has it a CPU limit?"]


def _unknown(usage: Usage | None) -> list[str]:
    """The user's own metrics that had no value; nothing is decided by them."""
    readings = usage.readings if usage is not None else {}
    unknown = [f"{name} ({r.reason})" for name, r in readings.items() if not isinstance(r, float)]
    return [f"MetricUnknown: {'; '.join(unknown)}"] if unknown else []


def void_reasons(
    outcome: LoadReport | LoadFailed, usage: Usage | NoData | Unreadable, restarts: int | None
) -> list[str]:
    """Why a run is void; empty when it is valid. Before a colon stands the reason, after it the numbers."""
    if isinstance(outcome, LoadFailed):
        return [_failure(outcome.reason)]
    found = report_reasons(outcome.content)
    if isinstance(usage, NoData | Unreadable):
        found.append(f"MetricsMissing: {usage.reason}")
    elif outcome.content["mode"] == "open" and (usage.throttled_share or 0.0) > THROTTLED_SHARE:
        found.append(f"Throttled: in {usage.throttled_share:.0%} of its periods, so the latency is its CPU limit's")
    if restarts is None:
        found.append("CandidateGone: the candidate's pod was gone when the run ended")
    elif restarts > 0:
        found.append(f"CandidateRestarted: {restarts} restarts")
    return found


def _failure(reason: str) -> str:
    """A failure that has a reason of its own keeps it; every other is the load's."""
    own = reason.split(":")[0] in OWN_FAULTS
    return reason if own else f"LoadFailed: {reason}"


def report_reasons(report: Mapping[str, Any]) -> list[str]:
    """Why a report contradicts itself or is of another load than was asked for; what nobody counted is not judged."""
    generator = list(_generator(report))
    # A generator at its own end sends less than it should: that is not the candidate's fault.
    rate = [] if generator else _rate(report)
    return [
        *_answers(report),
        *rate,
        *_connections(report),
        *_warm_up(report),
        *generator,
        *report.get("apart", ()),
        *knee_reasons(report),
    ]


def _answers(report: Mapping[str, Any]) -> Iterator[str]:
    failed = sum(report["errors"].values()) - lacked(report)
    asked = report["succeeded"] + failed
    # The step at a ramp's knee kept objectives.maxErrorPercent, which may be more: that is what the knee is.
    is_allowed = bool(report.get("steps")) and report["knee"] is not None
    if asked == 0:
        yield "Errors: no request was answered"
    elif failed / asked > ERROR_SHARE and not is_allowed:
        yield f"Errors: {failed} of {asked} requests failed"
    ratio = report["littleRatio"]
    if report["mode"] == "closed" and ratio is not None and ratio > 1 + LITTLE_TOLERANCE:
        yield f"LittleLaw: throughput x mean latency is {ratio:.2f} times the connections"


def _rate(report: Mapping[str, Any]) -> Iterator[str]:
    rate, achieved = report.get("rate"), report["requestsPerSecond"]
    if report["mode"] == "open" and rate and achieved < ACHIEVED_SHARE * rate:
        yield f"RateNotReached: {achieved:.0f} of {rate:.0f} requests a second were answered"


def _connections(report: Mapping[str, Any]) -> Iterator[str]:
    """Whether the connections were what the scenario says."""
    wanted, alive, opened = report.get("connections"), report.get("connectionsAlive"), report.get("connectionsOpened")
    due = _connections_due(report)
    # Without keep-alive the loader does not count those alive, so a count is one of connections that should live.
    if wanted and alive is not None and alive < ALIVE_SHARE * due:
        yield f"ConnectionsLost: {alive} of {due} connections were alive at the end"
    if not wanted or opened is None:
        return
    requests = report.get("requests", 0)
    is_asked = due == wanted  # often enough to be kept
    if report.get("keepAlive") and is_asked and opened > REOPENED * wanted + 1 and requests < KEPT_REQUESTS * opened:
        yield f"NotKeptAlive: {opened} connections were opened where {wanted} should have been kept"
    if report.get("keepAlive") is False and opened < CLOSED_SHARE * requests:
        yield f"KeptAlive: {opened} connections for {requests} requests, although each should have had its own"


def _connections_due(report: Mapping[str, Any]) -> int:
    """How many must be alive: at a constant rate each is opened by its first request, and there may be too few.

    They are asked in turn, and a server may close one that lies idle (gunicorn after 2 s, Node and Uvicorn after 5):
    so of more than are asked within a second nobody can tell why they are gone.
    """
    wanted = int(report.get("connections") or 0)
    asked = int(report["succeeded"] + sum(report["errors"].values()))
    return wanted if report["mode"] == "closed" else min(wanted, asked, int(report.get("rate") or asked))


def _warm_up(report: Mapping[str, Any]) -> Iterator[str]:
    warm = report.get("warmUp") or {}
    if warm.get("steady") is False:
        slices = ", ".join(f"{value:.0f}" for value in warm["slices"])
        yield (
            f"NotSteady: after {warm['seconds']} s of warm-up it still rose: {slices}, then {warm['measured']:.0f} "
            "in the window"
        )


def _generator(report: Mapping[str, Any]) -> Iterator[str]:
    share = (report.get("generatorCPU") or {}).get("cores")
    if share is not None and share > GENERATOR_SHARE:
        yield f"LoadGeneratorSaturated: {share:.2f} of its core used, at most {GENERATOR_SHARE:.2f} is fair"
    periods = (report.get("generatorThrottling") or {}).get("periods") or 0
    if periods > 0:
        yield f"LoadGeneratorSaturated: it was throttled in {periods} periods; give the load pod no CPU limit"
    if (without := lacked(report)) > ERROR_SHARE * (without + report["succeeded"]) or is_tail_lacked(report):
        yield f"LoadGeneratorSaturated: it lacked ports or files for {without} requests; raise load.instances"
