"""The other operator: it waits for the Lease that the stage's own holds, with a way of its own to the API server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from changeover.core.plan import Manifest

from tests.trust.live.hurried import Setting, start
from tests.trust.live.proxy import Proxy
from tests.trust.live.stage import Stage, configure
from tests.unit.loopback import serving

LEASE_SECONDS = 4


@dataclass
class Rival:
    """Its process, its files and its proxy."""

    proxy: Proxy
    setting: Setting
    process: BaseProcess


def looked(proxy: Proxy) -> float | None:
    """When an operator looked at the migration first (monotonic seconds); None before. Who waits looks at nothing."""
    return next((one.at for one in list(proxy.calls) if one.call.what == "GET canarymigrations/shop"), None)


@contextlib.contextmanager
def a_rival(stage: Stage) -> Iterator[Rival]:
    """Started beside the first."""
    folder = stage.setting.folder / "rival"
    folder.mkdir()
    server = stage.mirror.server
    with serving(Proxy(server.host, server.port, str(server.certificates))) as proxy:
        proxy.wrote = stage.written
        configure(stage, folder, proxy, LEASE_SECONDS)
        setting = Setting(folder, stage.setting.epoch, stage.setting.factor, stage.setting.resync)
        rival = Rival(proxy, setting, start(setting))
        try:
            yield rival
        finally:
            rival.process.kill()
            rival.process.join()


def wrote_route(rival: Rival) -> bool:
    """Whether the other has written the route: its term is on it."""
    calls = list(rival.proxy.calls)
    return any(one.call.what == "PATCH httproutes/shop" and 0 < one.status < 400 for one in calls)


def first_write(rival: Rival) -> float:
    """When the other's first write, its Lease's aside, was taken; 0 when none was."""
    writes = (one for one in list(rival.proxy.calls) if one.call.is_write and 0 < one.status < 400)
    return next((one.done for one in writes if "leases" not in one.call.what), 0.0)


def lease_path(stage: Stage) -> str:
    """Of the Lease that both are about."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{stage.objects.namespace}/leases/changeover"


def lease_of(stage: Stage) -> Manifest:
    """Its spec, as the API server has it."""
    with stage.mirror.server.client() as client:
        found: Manifest = client.get(lease_path(stage)).body.get("spec") or {}
    return found
