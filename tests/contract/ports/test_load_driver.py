"""Load runs as Jobs, as far as an API server without nodes can tell."""

from __future__ import annotations

from typing import Any

from changeover.adapters.load.jobs import JobLoadDriver
from changeover.core.observed import LoadFailed, LoadRunning
from changeover.core.plan import Ref
from changeover.ports import LoadRun

from tests.contract.ports.conftest import Site, SystemClock


async def start(site: Site) -> LoadRun:
    pod = {"restartPolicy": "Never", "containers": [{"name": "load", "image": "localhost/loader:1"}]}
    job: dict[str, Any] = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "load", "namespace": site.namespace},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}},
    }  # fmt: skip
    await site.cluster.apply(job)
    return LoadRun("load", site.namespace)


async def test_no_job_is_no_run(site: Site) -> None:
    assert await JobLoadDriver(site.cluster, SystemClock()).result(LoadRun("load", site.namespace)) is None


async def test_a_new_job_is_running(site: Site) -> None:
    assert await JobLoadDriver(site.cluster, SystemClock()).result(await start(site)) == LoadRunning()


async def test_a_job_that_failed_without_a_pod_says_so(site: Site) -> None:
    run = await start(site)
    at = "2030-01-01T00:00:00Z"
    conditions = [
        {"type": name, "status": "True", "reason": "DeadlineExceeded", "message": "too long",
         "lastProbeTime": at, "lastTransitionTime": at}
        for name in ("FailureTarget", "Failed")
    ]  # fmt: skip
    await site.set_status(Ref("Job", site.namespace, "load"), {"startTime": at, "conditions": conditions})
    result = await JobLoadDriver(site.cluster, SystemClock()).result(run)
    assert result == LoadFailed("the load pod is gone; DeadlineExceeded: too long")


async def test_a_job_that_goes_away_is_no_run_any_more(site: Site) -> None:
    run = await start(site)
    where = Ref("Job", site.namespace, "load")
    await site.cluster.merge(where, {"metadata": {"finalizers": ["example.com/wait"]}})
    read = await site.cluster.get(where)
    assert read is not None
    await site.cluster.delete(read)
    assert await JobLoadDriver(site.cluster, SystemClock()).result(run) is None
    await site.cluster.merge(where, {"metadata": {"finalizers": []}})
