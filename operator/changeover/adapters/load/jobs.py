"""Load runs as Jobs: is the run over, and what did it report?"""

from __future__ import annotations

import json

from changeover.core.errors import Unavailable
from changeover.core.observed import LoadFailed, LoadReport, LoadRunning
from changeover.core.plan import Manifest, Ref
from changeover.ports import Cluster, LoadRun

REPORT_VERSION = 1
_FIELDS = (
    "mode", "windowStart", "windowEnd", "durationSeconds", "succeeded", "errors", "requestsPerSecond", "latency",
    "generatorCPU", "littleRatio",
)  # fmt: skip


class JobLoadDriver:
    """The port ``LoadDriver`` on Kubernetes Jobs; the report is the last line of the pod's log."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

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
            return LoadFailed(f"the load pod is gone; {ended}")
        try:
            return parse_report(await self._cluster.log(run.namespace, pods[0]["metadata"]["name"]), ended)
        except Unavailable:
            if ended == "Complete":
                raise  # the report exists; look again
            return LoadFailed(ended)


def _ending(job: Manifest) -> str | None:
    """Complete, or why it failed; None while it runs."""
    for condition in job.get("status", {}).get("conditions") or []:
        if condition["status"] == "True" and condition["type"] == "Complete":
            return "Complete"
        if condition["status"] == "True" and condition["type"] == "Failed":
            return f"{condition.get('reason', 'Failed')}: {condition.get('message', '')}"
    return None


def parse_report(log: str, ended: str) -> LoadReport | LoadFailed:
    """The report from a load pod's log; a failure says the loader's own reason when it gave one."""
    for line in reversed(log.splitlines()):
        if not line.startswith("{"):
            continue
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if content.get("version") != REPORT_VERSION:
            continue
        if "failed" in content:
            return LoadFailed(": ".join(str(content[key]) for key in ("failed", "message") if content.get(key)))
        missing = [name for name in _FIELDS if name not in content]
        return LoadFailed(f"the report lacks {', '.join(missing)}") if missing else LoadReport(content)
    last = log.strip().splitlines()[-1][:200] if log.strip() else "the log is empty"
    return LoadFailed(f"no report in the load pod's log ({ended}); last line: {last}")
