"""The operator as it is, in a process of its own, in a hurry: its clock and its timers run faster by a factor.

At ``epoch`` its clock is right; a process that is started again goes on with the same clock. What the API server dates
in its own time is moved to that clock. All else is ``python -m changeover``: the watches, the API server, the writes
and the queries are real. Processes are forked from one that has imported everything, so that a start costs no second.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from changeover import __main__ as program
from changeover import wiring
from changeover.adapters.cluster import KubernetesCluster
from changeover.core.conditions import parse_timestamp, timestamp
from changeover.core.plan import Manifest, Ref
from changeover.scheduler import Scheduler
from kubernetes.aio.config import kube_config

LEAST_SECONDS = 0.15  # between two passes: one costs some 50 ms of CPU
_PR_SET_PDEATHSIG = 1


class HurriedClock:
    """The port ``Clock``."""

    def __init__(self, epoch: float, factor: float) -> None:
        self._epoch, self._factor = epoch, factor

    def now(self) -> datetime:
        """Now, in UTC."""
        return self.at(time.time())

    def at(self, seconds: float) -> datetime:
        """The moment of this clock at a moment of the real one, in seconds since 1970."""
        return datetime.fromtimestamp(self._epoch + (seconds - self._epoch) * self._factor, UTC)

    def moved(self, found: Manifest) -> Manifest:
        """An object whose creation is dated by this clock."""
        created = max(parse_timestamp(found["metadata"]["creationTimestamp"]).timestamp(), self._epoch)
        metadata = {**found["metadata"], "creationTimestamp": timestamp(self.at(created))}
        return {**found, "metadata": metadata}


@dataclass(frozen=True)
class Setting:
    """How an operator is run: where its files are, and how fast.

    folder   holds config.yaml and kubeconfig; the log is written there
    epoch    seconds since 1970 at which its clock is right
    factor   by which it hurries
    resync   seconds of real time between full lists
    namespace  that it works in
    """

    folder: Path
    epoch: float
    factor: float
    resync: float = 15.0
    namespace: str = ""


def start(setting: Setting) -> BaseProcess:
    """The operator in a process of its own; it dies with us."""
    return forked(operate, setting)


def forked(do: Callable[[Setting], None], setting: Setting) -> BaseProcess:
    """A process of its own, forked from one that has imported all this."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.trust.live.hurried"])
    process = context.Process(target=do, args=(setting,), daemon=True)
    process.start()
    return process


def set_up(setting: Setting) -> None:
    """Its log, its API server, and its end with ours."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(setting.folder / "operator.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["KUBECONFIG"] = kube_config.KUBE_CONFIG_DEFAULT_LOCATION = str(setting.folder / "kubeconfig")


def operate(setting: Setting) -> None:
    """As ``python -m changeover``, until a signal comes."""
    set_up(setting)
    clock = HurriedClock(setting.epoch, setting.factor)
    _hurry(clock, setting)
    sys.argv = ["changeover", str(setting.folder / "config.yaml")]
    sys.exit(program.main())


def _hurry(clock: HurriedClock, setting: Setting) -> None:
    class HurriedScheduler(Scheduler):
        def wake(self, ref: Ref, after: float = 0.0) -> None:
            super().wake(ref, max(after / setting.factor, min(after, LEAST_SECONDS)))

    class HurriedCluster(KubernetesCluster):
        async def get(self, ref: Ref) -> Manifest | None:
            found = await super().get(ref)
            return None if found is None else clock.moved(found)

        async def list(self, *args: Any) -> list[Manifest]:
            return [clock.moved(one) for one in await super().list(*args)]

    replaced: dict[str, Any] = {
        "SystemClock": lambda: clock, "Scheduler": HurriedScheduler, "KubernetesCluster": HurriedCluster,
        "RESYNC_SECONDS": setting.resync,
    }  # fmt: skip
    for name, value in replaced.items():
        setattr(wiring, name, value)
