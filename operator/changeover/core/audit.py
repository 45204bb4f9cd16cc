"""Was a run measured fairly? A run that was not says why, is kept, and never helps anybody to win."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from changeover.core.observed import LoadFailed, LoadReport, NoData, Unreadable, Usage, Workload
from changeover.core.schedule import Run

# shared/design/load.md, "Every run audits itself"
GENERATOR_SHARE = 0.70  # cores of the generator's one core, beyond which it may be what is slow
LITTLE_TOLERANCE = 0.02  # throughput x mean latency must not exceed the connections by more
ERROR_SHARE = 0.01  # beyond it the throughput is that of another job

RunRecord = dict[str, Any]


def make_record(
    run: Run,
    outcome: LoadReport | LoadFailed,
    usage: Usage | NoData | Unreadable,
    workload: Workload | None,
) -> RunRecord:
    """What is kept of a run: the report without its histogram, what it used, where it ran, and why it is void."""
    pod = workload.pods[0] if workload is not None and workload.pods else None
    report = (
        {key: value for key, value in outcome.content.items() if key != "histogram"}
        if isinstance(outcome, LoadReport)
        else {}
    )
    return {
        "round": run.round,
        "candidate": run.candidate,
        "scenario": run.scenario,
        "report": report,
        "cpuCores": usage.cpu_cores if isinstance(usage, Usage) else None,
        "cpuSpanSeconds": usage.span_seconds if isinstance(usage, Usage) else None,
        "memoryPeakBytes": usage.memory_peak_bytes if isinstance(usage, Usage) else None,
        "node": pod.node if pod else "",
        "imageID": pod.image_id if pod else "",
        "remarks": _remarks(report),
        "void": void_reasons(outcome, usage, pod.restarts if pod else None),
    }


def _remarks(report: Mapping[str, Any]) -> list[str]:
    """What a reader should know of a run that is valid all the same."""
    if report and report["latency"] is None:
        # The throughput is true; a latency without the slowest requests would flatter.
        return [f"LatencyUnknown: {report.get('latencyRefused') or 'the generator gave none'}"]
    return []


def void_reasons(
    outcome: LoadReport | LoadFailed, usage: Usage | NoData | Unreadable, restarts: int | None
) -> list[str]:
    """Why a run is void; empty when it is valid. Before a colon stands the reason, after it the numbers."""
    if isinstance(outcome, LoadFailed):
        return [f"LoadFailed: {outcome.reason}"]
    found = _report_reasons(outcome.content)
    if isinstance(usage, NoData | Unreadable):
        found.append(f"MetricsMissing: {usage.reason}")
    if restarts is None:
        found.append("CandidateGone: the candidate's pod was gone when the run ended")
    elif restarts > 0:
        found.append(f"CandidateRestarted: {restarts} restarts")
    return found


def _report_reasons(report: Mapping[str, Any]) -> list[str]:
    found = []
    failed = sum(report["errors"].values())
    asked = report["succeeded"] + failed
    if asked == 0:
        found.append("Errors: no request was answered")
    elif failed / asked > ERROR_SHARE:
        found.append(f"Errors: {failed} of {asked} requests failed")
    share = report["generatorCPU"]["cores"]
    if share > GENERATOR_SHARE:
        found.append(f"LoadGeneratorSaturated: {share:.2f} of its core used, at most {GENERATOR_SHARE:.2f} is fair")
    ratio = report["littleRatio"]
    if report["mode"] == "closed" and ratio is not None and ratio > 1 + LITTLE_TOLERANCE:
        found.append(f"LittleLaw: throughput x mean latency is {ratio:.2f} times the connections")
    return found
