"""Load runs as Jobs: is the run over, and what did it report?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from changeover.core.conditions import parse_timestamp
from changeover.core.errors import Unavailable
from changeover.core.merge import MergeRefused, merge_reports
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning
from changeover.core.plan import Manifest, Ref
from changeover.ports import Clock, Cluster, LoadRun

REPORT_VERSION = 1
NO_REPORT = "no report in the load pod's log"
COMPLETE = "Complete"
READABLE_WITHIN = timedelta(minutes=5)  # of the Job's end; a node that is lost keeps its pods, and their logs, for ever
_FIELDS = (
    "mode", "windowStart", "windowEnd", "durationSeconds", "succeeded", "errors", "requestsPerSecond", "latency",
    "generatorCPU", "littleRatio",
)  # fmt: skip
_LONG_AGO = datetime.min.replace(tzinfo=UTC)  # when a Job ended that does not say when, and is thus none of a cluster's


@dataclass(frozen=True)
class Ending:
    """How a Job ended (Complete, or why it failed), and when."""

    how: str
    at: datetime


class JobLoadDriver:
    """The port ``LoadDriver`` on Kubernetes Jobs; the report is the last line of the pod's log."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock

    async def result(self, run: LoadRun) -> LoadReport | LoadRunning | LoadFailed | None:
        """How the run stands; None when there is no such Job."""
        job = await self._cluster.get(Ref("Job", run.namespace, run.name))
        if job is None or job["metadata"].get("deletionTimestamp"):
            return None
        ended = _ending(job)
        if ended is None:
            return LoadRunning()
        pods = await self._cluster.list("Pod", run.namespace, {"batch.kubernetes.io/job-name": run.name})
        if not pods:
            return LoadFailed(f"the load pod is gone; {ended.how}")
        outcomes = await asyncio.gather(*(self._outcome(pod, ended) for pod in sorted(pods, key=_index)))
        failed = [outcome for outcome in outcomes if isinstance(outcome, LoadFailed)]
        if failed:
            # A pod that was stopped because another failed has nothing to say.
            return next((outcome for outcome in failed if not outcome.reason.startswith(NO_REPORT)), failed[0])
        wanted = job["spec"].get("completions", 1)
        if len(outcomes) != wanted:
            return LoadFailed(f"{len(outcomes)} load pods are there where {wanted} reported; {ended.how}")
        return merged([outcome for outcome in outcomes if isinstance(outcome, LoadReport)])

    async def _outcome(self, pod: Manifest, ended: Ending) -> LoadReport | LoadFailed:
        metadata = pod["metadata"]
        try:
            found = parse_report(await self._cluster.log(metadata["namespace"], metadata["name"]), ended.how)
        except Unavailable as error:
            if ended.how != COMPLETE:
                return LoadFailed(ended.how)
            if self._clock.now() - ended.at <= READABLE_WITHIN:
                raise  # the report exists; look again
            return LoadFailed(f"its report cannot be read: {error}")
        if isinstance(found, LoadFailed):
            return found
        return LoadReport({**found.content, "node": pod["spec"].get("nodeName", "")})


def merged(reports: Sequence[LoadReport]) -> LoadReport | LoadFailed:
    """One pod's report as it is; those of several as one, with what makes their run unfair under ``apart``."""
    if len(reports) == 1:
        return reports[0]
    together = merge_reports([report.content for report in reports])
    if isinstance(together, MergeRefused):
        return LoadFailed(f"the pods' reports cannot be added: {together.reason}")
    return LoadReport({**together.content, "apart": list(together.reasons)})


def _index(pod: Manifest) -> int:
    """Which pod of the Job it is."""
    return int((pod["metadata"].get("annotations") or {}).get("batch.kubernetes.io/job-completion-index", 0))


def _ending(job: Manifest) -> Ending | None:
    """How and when it ended; None while it runs."""
    for condition in job.get("status", {}).get("conditions") or []:
        if condition["status"] != "True" or condition["type"] not in (COMPLETE, "Failed"):
            continue
        why = f"{condition.get('reason', 'Failed')}: {condition.get('message', '')}"
        at = condition.get("lastTransitionTime")
        return Ending(COMPLETE if condition["type"] == COMPLETE else why, parse_timestamp(at) if at else _LONG_AGO)
    return None


def parse_report(log: str, ended: str) -> LoadReport | LoadFailed:
    """The report from a load pod's log; a failure says the loader's own reason when it gave one."""
    for line in reversed(log.splitlines()):
        if not line.startswith("{"):
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if content.get("version") != REPORT_VERSION:
            continue
        if "failed" in content:
            return LoadFailed(": ".join(str(content[key]) for key in ("failed", "message") if content.get(key)))
        missing = [name for name in _FIELDS if name not in content]
        return LoadFailed(f"the report lacks {', '.join(missing)}") if missing else LoadReport(content)
    last = log.strip().splitlines()[-1][:200] if log.strip() else "the log is empty"
    return LoadFailed(f"{NO_REPORT} ({ended}); last line: {last}")
