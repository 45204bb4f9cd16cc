"""A stage on a real API server: a namespace, an operator's process behind the proxy, and a world for the rest.

No controller and no kubelet runs here. The world's scripts give Deployments pods, end Jobs with a report and take
routes as a gateway does; a Prometheus on loopback tells of the traffic. Only the clock and the timers are hurried.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

from changeover.core import names
from changeover.core.plan import Manifest, Ref
from changeover.testing.cluster import FakeCluster
from changeover.testing.world import SCRAPE_SECONDS, World, weights

from tests.apiserver.harness import ApiServer, free_ports
from tests.trust.live.calls import BACK, Call
from tests.trust.live.hurried import HurriedClock, Setting, start
from tests.trust.live.mirror import Mirror
from tests.trust.live.objects import RealObjects
from tests.trust.live.proxy import Proxy
from tests.unit.fail_closed.scripted import Scripted
from tests.unit.loopback import serving

FACTOR = 20.0  # a pass takes 0.1 s, which is one of 2 s: as often as the operator looks
RESYNC_SECONDS = 15.0  # of real time, between full lists
PLAY_SECONDS = 0.1  # at most, between two looks of the world
END_SECONDS = 400.0  # of a story; it takes some ten on a quiet machine, and a hundred when every tenth call fails
ELSEWHERE_SECONDS = 30.0  # for which a story may have ended otherwise than it should
SOON_SECONDS = 30.0  # at most, until what must come soon, as that the other leads
SETTLE_SECONDS = 0.4  # after the end: two passes
CALM_SECONDS = 30.0  # at most, after faults without end, until all that has ended was looked at twice: each 1.5 s
MOST_TOLD = 1500  # characters of a status, when a story did not end
OURS = ("CanaryMigration", "FrameworkBenchmark")
_numbers = itertools.count(1)


class RealWorld(World):
    """A world on a real API server. The gateway splits as the route says from the moment of its write."""

    def _note_split(self, before: Manifest | None, after: Manifest | None) -> None:
        """Nothing: what the mirror shows may be late; ``note`` is told of each write."""

    def note(self, body: Manifest) -> None:
        """Weights were written."""
        if self.obeys:
            self.splits.note(self.clock.now(), {name: weight / 100 for name, weight in weights(body).items()})


@dataclass
class Stage:
    """One namespace, its operator and the others."""

    setting: Setting
    proxy: Proxy
    world: RealWorld
    objects: RealObjects
    mirror: Mirror
    prometheus: Scripted
    operator: BaseProcess | None = None
    starts: int = 0
    changes: int = 0  # in its namespace, as the mirror had counted them when the world was looked at last
    program: Callable[[Setting], BaseProcess] = start  # the operator, or what is put in its place
    notes: dict[str, Any] = field(default_factory=dict)  # what a story remembers of itself

    def play(self) -> None:
        """One round of everybody, the operator, which is started again when it died, included."""
        if self.operator is None or not self.operator.is_alive():
            self.starts += 1
            self.operator = self.program(self.setting)
        self.play_others()

    def play_others(self) -> None:
        """One round of everybody but the operator."""
        self.world.tick()
        self.proxy.logs.update({pod: text for (_, pod), text in self.objects.logs.items()})
        self.objects.collect()
        self.prometheus.failed = {name: one.error_share for name, one in self.world.metrics.behaviours.items()}
        self.changes = self.mirror.await_change(self.objects.namespace, self.changes, PLAY_SECONDS)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone: nothing that it still had to say is heard."""
        if self.operator is not None:
            self.operator.kill()
            self.operator.join()

    def edit(self, ref: Ref, patch: Manifest) -> None:
        """Change an object as a person does; of a route, the gateway takes it at once."""
        self.objects.patch(ref, patch)
        if ref.kind == "HTTPRoute" and "spec" in patch:
            self.world.note(patch)

    def written(self, call: Call) -> None:
        """The operator has written."""
        body = call.body or {}
        about = names.ANNOTATION_ABOUT in (body.get("metadata", {}).get("annotations") or {})
        if "/httproutes/" in call.path and "spec" in body and not about:
            self.world.note(body)


@dataclass(frozen=True)
class Story:
    """Who is there, what others do (decided by the state alone), and when it is over.

    undetermined   condition types, and fields of mark and status, that depend on when something was seen, and not on
                   what happened
    down           whether Prometheus answers nothing but errors
    stride         of the places that something happens at; a long story says the same with fewer of them
    """

    bodies: Callable[[], list[Manifest]]
    is_over: Callable[[Stage], bool]
    meddle: Callable[[Stage], None] = lambda stage: None
    prepare: Callable[[RealWorld], None] = lambda world: None
    undetermined: frozenset[str] = frozenset()
    down: bool = False
    stride: int = 1


@contextlib.contextmanager
def a_stage(mirror: Mirror, folder: Path, story: Story, lease: int = 0) -> Iterator[Stage]:
    """The story's objects in a namespace of their own; the operator holds a Lease of so many seconds, or none."""
    number = next(_numbers)
    namespace, place = f"stage-{number}", folder / f"stage-{number}"
    place.mkdir()
    epoch, server = time.time(), mirror.server
    clock = HurriedClock(epoch, FACTOR)
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(serving(Proxy(server.host, server.port, str(server.certificates))))
        client = stack.enter_context(server.client())
        assert client.create("/api/v1/namespaces", {"metadata": {"name": namespace}}).ok
        objects = RealObjects(mirror, client, namespace, clock)
        world = RealWorld(clock=cast(Any, clock), cluster=cast(FakeCluster, objects))
        stage = Stage(
            Setting(place, epoch, FACTOR, RESYNC_SECONDS, namespace), proxy, world, objects, mirror, cast(Any, None)
        )
        stage.prometheus = stack.enter_context(_prometheus(stage, namespace))
        proxy.kill, proxy.wrote = stage.kill, stage.written
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        stack.callback(_clear, server, namespace)
        stack.callback(stage.kill)
        configure(stage, stage.setting.folder, stage.proxy, lease)
        story.prepare(world)
        for body in story.bodies():
            objects.put(body)
        if story.down:
            stage.prometheus.answer = lambda handler: handler.send(b"down", 503)
        yield stage


def _prometheus(stage: Stage, namespace: str) -> contextlib.AbstractContextManager[Scripted]:
    world = stage.world
    pods = lambda: [pod["metadata"]["name"] for pod in world.cluster.all("Pod")]  # noqa: E731
    told = Scripted(world.splits.share, pods, namespace)
    told.services = ("new", "old", "shop-canary")
    told.before = world.clock.now() - timedelta(hours=1)
    world.splits.note(told.before, {"old": 1.0})
    return serving(told)


def configure(stage: Stage, folder: Path, proxy: Proxy, lease: int) -> None:
    """Write an operator's files: its configuration, and how it gets to the API server."""
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{stage.prometheus.server_port}"
    source = {"name": "default", "url": address, "timeoutSeconds": 2, "scrapeIntervalSeconds": SCRAPE_SECONDS}
    config: dict[str, Any] = {
        "metricSources": [source],
        "loaderImage": "localhost/loader:1",
        "watchNamespaces": [stage.objects.namespace],
        "port": port,
    }
    if lease:
        config["lease"] = {"namespace": stage.objects.namespace, "name": "changeover", "seconds": lease}
    (folder / "config.yaml").write_text(json.dumps(config))
    stage.mirror.server.kubeconfig(folder / "kubeconfig", proxy.url)


def _clear(server: ApiServer, namespace: str) -> None:
    """Nobody ends namespaces here; what is in it goes, so that the API server stays small."""
    with server.client() as client:
        for path in ("/api/v1", "pods"), ("/apis/batch/v1", "jobs"), ("/apis/apps/v1", "deployments"):
            client.request("DELETE", f"{path[0]}/namespaces/{namespace}/{path[1]}", {"gracePeriodSeconds": 0})


class NotOver(AssertionError):
    """A story that did not end in time."""


def play_rounds(stage: Stage, story: Story, number: int) -> None:
    """Of everybody but the operator: people, too, act whoever leads, and while nobody does."""
    for _ in range(number):
        story.meddle(stage)
        stage.play_others()


def play_until(stage: Stage, story: Story, what: Callable[[], bool], said: str, seconds: float = SOON_SECONDS) -> None:
    """So many rounds as it takes. Raises NotOver."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise NotOver(f"not within {seconds:.0f} s: {said}: {states(stage)}")
        play_rounds(stage, story, 1)


def tell(stage: Stage, story: Story) -> None:
    """Play until it is over, and a little longer, without what any call might meet. Raises NotOver."""
    deadline, unfinished = time.monotonic() + END_SECONDS, time.monotonic()
    while not story.is_over(stage):
        unfinished = unfinished if _has_finished(stage) else time.monotonic()
        if time.monotonic() > min(deadline, unfinished + ELSEWHERE_SECONDS):
            log = (stage.setting.folder / "operator.log").read_text()[-2000:]
            raise NotOver(f"not over: {states(stage)}\n{log}")
        stage.play()
        story.meddle(stage)
    if stage.proxy.chance is not None:
        stage.proxy.chance = None
        _await_looks(stage, OURS)
    elif any(how in BACK for how in stage.proxy.plan.values()) or _is_still_hidden(stage):
        _await_looks(stage, ("CanaryMigration",))  # a benchmark that has ended is looked at with the next full list
    settled = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < settled:
        stage.play()


def _is_still_hidden(stage: Stage) -> bool:
    """Whether a call that a fault met was not made again since: what it would have shown is in no status yet."""
    return any(stage.proxy.counted[what] == number for what, number in stage.proxy.met)


def _await_looks(stage: Stage, kinds: Iterable[str]) -> None:
    """Two whole passes of everything, without faults and in the present: what the last fault hid is seen again."""
    before, most = looks(stage, kinds), time.monotonic() + CALM_SECONDS
    while time.monotonic() < most and any(n < before.get(what, 0) + 3 for what, n in looks(stage, kinds).items()):
        stage.play()


def looks(stage: Stage, kinds: Iterable[str] = OURS) -> dict[str, int]:
    """How often the operator has read each object of these kinds."""
    ours = [f"GET {kind.lower()}s/{one['metadata']['name']}" for kind in kinds for one in stage.world.cluster.all(kind)]
    return {what: stage.proxy.counted[what] for what in ours}


def states(stage: Stage) -> str:
    """What has happened in the story, why runs were void, and all statuses, the conditions in short; each cut."""
    told = [f"{stage.notes} void: {_void_reasons(stage)}"]
    for found in (one for kind in OURS for one in stage.world.cluster.all(kind)):
        status = dict(found.get("status") or {})
        conditions = {c["type"]: f"{c['status']} {c['reason']}" for c in status.pop("conditions", [])}
        told.append(json.dumps({found["kind"]: conditions, **status})[:MOST_TOLD])
    return "\n".join(told)


def _void_reasons(stage: Stage) -> dict[str, int]:
    """How many runs were void, by reason: where time is hurried, a machine that stalls is one."""
    texts = [text for found in stage.world.cluster.all("ConfigMap") for text in (found.get("data") or {}).values()]
    records = [json.loads(text) for text in texts if text.startswith("{")]
    return dict(Counter(reason.split(":")[0] for record in records for reason in record.get("void", ())))


def _has_finished(stage: Stage) -> bool:
    """Whether everything of ours says that it ended."""
    found = [one.get("status") or {} for kind in OURS for one in stage.world.cluster.all(kind)]
    return all(
        any(c["type"] == "Finished" and c["status"] == "True" for c in one.get("conditions", [])) for one in found
    )
