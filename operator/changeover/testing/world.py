"""A small world around the fake API server: Deployments get pods, Jobs end, the gateway takes routes, time passes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from changeover.adapters.load.jobs import JobLoadDriver
from changeover.adapters.routers.gateway_api import GatewayAPIRouter
from changeover.core import names
from changeover.core.conditions import parse_timestamp, timestamp
from changeover.core.plan import Manifest, Ref
from changeover.ports import Cluster, Dependencies
from changeover.testing.builders import BY_H2LOAD, NAMESPACE, a_node, a_report, some_checks
from changeover.testing.clock import FakeClock
from changeover.testing.cluster import FakeCluster, ref_of
from changeover.testing.metrics import Behaviour, FakeMetrics
from changeover.testing.outgoing import FakeOutgoing
from changeover.testing.splits import Splits

SCRAPE_SECONDS = 5.0
LOADER_IMAGE = "localhost/changeover-loader:1"
_JOB_LABEL = "batch.kubernetes.io/job-name"


class World:
    """Everything around the operator. ``tick`` lets the other controllers work; ``advance`` lets time pass first.

    speeds       requests per second of a benchmark's candidate
    broken       names of Deployments whose pods never become ready
    failing_jobs names of candidates whose load Jobs fail
    wobble       share by which a candidate's speed swings from round to round
    spoilt       ids of the runs whose load generator was saturated
    raw          names of candidates that fail a conformance check
    by_h2load    requests per second of a candidate by the second generator, where they differ
    accepts      whether the gateway takes routes
    obeys        whether the gateway splits the traffic as the route says; if not, as it did before
    gateways     addresses of Gateways by namespace/name, as the operator is told them
    crashed      when the containers of a Deployment's pods ended last, by its name
    """

    def __init__(self, *bodies: Manifest, clock: FakeClock | None = None, cluster: FakeCluster | None = None) -> None:
        self.clock = clock or FakeClock()
        self.cluster = cluster or FakeCluster(self.clock)  # or what looks like it, on a real API server
        self.splits = Splits()
        self.metrics = FakeMetrics(self.splits.share)
        self.metrics.cores = self._cores
        self.outgoing = FakeOutgoing()
        self.speeds: dict[str, float] = {}
        self.broken: set[str] = set()
        self.failing_jobs: set[str] = set()
        self.wobble: dict[str, float] = {}
        self.spoilt: set[str] = set()
        self.raw: set[str] = set()
        self.by_h2load: dict[str, float] = {}
        self.accepts = True
        self.obeys = True
        self.gateways = {f"{NAMESPACE}/public": "http://traefik.gateway.svc"}
        self.own_load: dict[str, tuple[float, float, float]] = {}  # begin, end (epoch seconds) and rate, by Job's uid
        self.metrics.more = self._own_rate
        self.crashed: dict[str, datetime] = {}
        self.cluster.watchers.append(self._note_split)
        self.cluster.put(a_node())
        for body in bodies:
            self.cluster.put(body)
        self.tick()

    def dependencies(self, cluster: Cluster | None = None) -> Dependencies:
        """What a freshly started operator gets; ``cluster`` may stand between it and this world's."""
        used = cluster or self.cluster
        return Dependencies(
            clock=self.clock,
            cluster=used,
            router=GatewayAPIRouter(used),
            load=JobLoadDriver(used, self.clock),
            outgoing=self.outgoing,
            sources={"default": self.metrics},
            scrape_seconds={"default": SCRAPE_SECONDS},
            open_sources=frozenset({"default"}),
            loader_image=LOADER_IMAGE,
            gateways=self.gateways,
        )

    def advance(self, seconds: float) -> None:
        """Time passes, then everybody else reacts."""
        self.clock.advance(seconds)
        self.tick()

    def tick(self) -> None:
        """One round of all controllers."""
        self._end_pods()
        for deployment in list(self.cluster.all("Deployment")):
            self._run_deployment(deployment)
        for job in list(self.cluster.all("Job")):
            self._run_job(job)
        for route in list(self.cluster.all("HTTPRoute")):
            self._take_route(route)
            self._note_split(None, route)

    def weight_of(self, route: str, service: str) -> int | None:
        """The weight that a route gives to a Service; None without the route."""
        found = self.cluster.peek(Ref("HTTPRoute", NAMESPACE, route))
        return None if found is None else int(weights(found).get(service, 0))

    def _note_split(self, before: Manifest | None, after: Manifest | None) -> None:
        body = after or before
        if body is None or body["kind"] != "HTTPRoute" or not self.obeys:
            return
        if names.ANNOTATION_ABOUT in body["metadata"].get("annotations", {}):
            return  # testers are no part of the traffic
        shares = {name: weight / 100 for name, weight in weights(after).items()} if after else {}
        self.splits.note(self.clock.now(), shares)

    def _cores(self, pod: str) -> float | None:
        for name, behaviour in self.metrics.behaviours.items():
            if pod.startswith(f"{name}-"):
                return behaviour.cores_per_pod
        return Behaviour().cores_per_pod

    # Controllers

    def _end_pods(self) -> None:
        for pod in list(self.cluster.all("Pod")):
            if "deletionTimestamp" in pod["metadata"] and self._age(pod["metadata"]["deletionTimestamp"]) > 0:
                self.cluster.remove(ref_of(pod))

    def _run_deployment(self, deployment: Manifest) -> None:
        template, name = deployment["spec"]["template"], deployment["metadata"]["name"]
        own = [pod for pod in self.cluster.all("Pod") if _belongs(pod, deployment)]
        alive = [pod for pod in own if "deletionTimestamp" not in pod["metadata"]]
        wanted = deployment["spec"].get("replicas", 1)
        for number in range(len(own), len(own) + wanted - len(alive)):
            self._start_pod(deployment, f"{name}-{deployment['metadata']['uid']}-{number}", template)
        for pod in alive[wanted:]:
            self.cluster.discard(ref_of(pod))
        for pod in alive[:wanted]:
            self._set_state(pod, name)

    def _set_state(self, pod: Manifest, deployment: str) -> None:
        ready, ended = deployment not in self.broken, self.crashed.get(deployment)
        first = pod["spec"]["containers"][0]
        image = first["image"]
        container: dict[str, Any] = {"name": first["name"], "imageID": f"sha256:{image}", "restartCount": 0}
        if ended is not None:
            last = {"reason": "Error", "exitCode": 1, "finishedAt": timestamp(ended)}
            container |= {"restartCount": 1, "lastState": {"terminated": last}}
        if not ready:
            container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": f"no image {image}"}}
        conditions = [{"type": "Ready", "status": str(ready)}]
        started = {"startTime": pod["metadata"]["creationTimestamp"]}
        status = {"phase": "Running", **started, "conditions": conditions, "containerStatuses": [container]}
        self.cluster.patch(ref_of(pod), {"spec": {"nodeName": "node-1"}, "status": status})

    def _start_pod(self, owner: Manifest, name: str, template: Manifest, labels: dict[str, str] | None = None) -> None:
        reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        metadata = {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": {**template["metadata"]["labels"], **(labels or {})},
            "ownerReferences": [reference],
        }
        self.cluster.put({"kind": "Pod", "metadata": metadata, "spec": template["spec"]})

    def _run_job(self, job: Manifest) -> None:
        name = job["metadata"]["name"]
        if job.get("status"):
            return
        if not any(_belongs(pod, job) for pod in self.cluster.all("Pod")):
            self._start_pod(job, f"{name}-pod", job["spec"]["template"], {_JOB_LABEL: name})
            return
        arguments = _arguments(job)
        started = parse_timestamp(job["metadata"]["creationTimestamp"])
        window_end = started.timestamp() + 1 + float(arguments.get("warm-up", 0)) + float(arguments["measure"])
        if names.LABEL_MIGRATION in job["metadata"]["labels"]:
            window = (window_end - float(arguments["measure"]), window_end, float(arguments["rate"]))
            self.own_load.setdefault(job["metadata"]["uid"], window)
            if self.clock.now().timestamp() > window_end:
                self._end_own_load(job, *window)
        elif self.clock.now().timestamp() > window_end:
            self._end_job(job, window_end, float(arguments["measure"]))

    def _own_rate(self, start: datetime, end: datetime) -> float:
        """Mean rate of own load over a span; a Job that was deleted sends no more."""
        alive = {job["metadata"]["uid"] for job in self.cluster.all("Job")}
        sent = sum(
            max(0.0, min(until, end.timestamp()) - max(begin, start.timestamp())) * rate
            for uid, (begin, until, rate) in self.own_load.items()
            if uid in alive
        )
        return sent / (end - start).total_seconds()

    def _end_own_load(self, job: Manifest, begin: float, end: float, rate: float) -> None:
        failed = "own load" in self.failing_jobs
        report = a_report(rate, mode="open", windowStart=begin, windowEnd=end, durationSeconds=end - begin)
        self._report(job, {"version": 1, "failed": "connection refused"} if failed else report, failed)

    def _report(self, job: Manifest, report: dict[str, Any], failed: bool) -> None:
        namespace, pod = job["metadata"]["namespace"], f"{job['metadata']['name']}-pod"
        self.cluster.logs[namespace, pod] = f"starting\n{json.dumps(report)}\n"
        condition = {"type": "Failed" if failed else "Complete", "status": "True", "reason": "", "message": ""}
        condition["lastTransitionTime"] = timestamp(self.clock.now())
        self.cluster.patch(ref_of(job), {"status": {"conditions": [condition]}})

    def _end_job(self, job: Manifest, window_end: float, seconds: float) -> None:
        run = job["metadata"]["labels"][names.LABEL_RUN]
        round_name, candidate = run.split(".")[:2]
        service = Ref("Service", job["metadata"]["namespace"], _service_of(job))
        failed = candidate in self.failing_jobs or self.cluster.peek(service) is None
        # A little noise that depends on nothing but the run, so that every replay measures the same.
        number = int(round_name[1:])
        swing = self.wobble.get(candidate, 0.0) * (-1) ** number
        arguments = _arguments(job)
        by_driver = {**self.speeds, **self.by_h2load} if arguments["driver"] == "h2load" else self.speeds
        speed = by_driver.get(candidate, 1000.0) * (1 + 0.002 * (number % 3) + swing)
        more: dict[str, Any] = {"windowStart": window_end - seconds, "windowEnd": window_end}
        if arguments["driver"] == "h2load":
            more |= BY_H2LOAD
        if "conformance" in arguments:
            more["conformance"] = some_checks(passed=candidate not in self.raw)
        if run.rpartition(".")[0] in self.spoilt:
            more["generatorCPU"] = {"userSeconds": 7.0, "systemSeconds": 1.0, "cores": 1.0}
        report: dict[str, Any] = a_report(speed, **more)
        if failed:
            report = {"version": 1, "failed": "connection refused"}
        self._report(job, report, failed)

    def _take_route(self, route: Manifest) -> None:
        attached = route["spec"].get("parentRefs")
        if not (self.accepts and attached):
            return
        generation = route["metadata"]["generation"]
        conditions = [
            {"type": name, "status": "True", "reason": name, "observedGeneration": generation}
            for name in ("Accepted", "ResolvedRefs")
        ]
        parents = [{"parentRef": parent, "conditions": conditions} for parent in attached]
        self.cluster.patch(ref_of(route), {"status": {"parents": parents}})

    def _age(self, moment: str) -> float:
        return (self.clock.now() - parse_timestamp(moment)).total_seconds()


def weights(route: Manifest) -> dict[str, int]:
    """Weight by Service of a route with one rule; of one that has no backends yet, none."""
    backends = [one for rule in route["spec"].get("rules") or [] for one in rule.get("backendRefs") or []]
    return {one["name"]: one.get("weight", 1) for one in backends}


def _belongs(pod: Manifest, owner: Manifest) -> bool:
    references: Iterable[Manifest] = pod["metadata"].get("ownerReferences") or []
    return any(reference["uid"] == owner["metadata"]["uid"] for reference in references)


def _service_of(job: Manifest) -> str:
    return _arguments(job)["url"].removeprefix("http://").split(".")[0]


def _arguments(job: Manifest) -> dict[str, str]:
    words = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return {name: value for name, _, value in (word.removeprefix("--").partition("=") for word in words)}
