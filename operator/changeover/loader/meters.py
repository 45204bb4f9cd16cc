"""What the kernel counts beside a generator: its CPU, the pod's throttling, the sockets of the network
namespace.

Each reader returns None where the kernel does not say; None is never taken for zero.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
NANOSECONDS, MICROSECONDS = 1e9, 1e6
ESTABLISHED = "01"
"""The state's number in /proc/net/tcp."""


@dataclass(frozen=True)
class CpuTime:
    user_seconds: float
    system_seconds: float


@dataclass(frozen=True)
class Throttling:
    periods: int
    seconds: float


def cpus() -> int:
    """Cores that we may run on: those of the machine, or of our cpuset."""
    return len(os.sched_getaffinity(0))


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """As the kernel names it; some architectures, Arm among them, have no name there."""
    try:
        return parse_cpu_model(cpuinfo.read_text())
    except OSError:
        return None


def parse_cpu_model(cpuinfo: str) -> str | None:
    """Of the first core, with its runs of spaces made one."""
    fields = (line.partition(":") for line in cpuinfo.splitlines())
    return next((" ".join(value.split()) for name, _, value in fields if name.strip() == "model name"), None)


def cpu_time(pid: int) -> CpuTime | None:
    """Of a whole process; None once it is gone. To 10 ms, the kernel's tick."""
    try:
        return parse_cpu_time(Path(f"/proc/{pid}/stat").read_text())
    except (OSError, IndexError):
        return None


def parse_cpu_time(stat: str) -> CpuTime:
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return CpuTime(int(fields[11]) / TICKS_PER_SECOND, int(fields[12]) / TICKS_PER_SECOND)


def throttling(cgroup_file: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Throttling | None:
    """Of our own cgroup since its start, in cgroup v2 or v1; None without a CPU limit's counters."""
    try:
        lines = cgroup_file.read_text().splitlines()
    except OSError:
        return None
    for candidate in _cpu_stat_files(lines, root):
        try:
            found = parse_throttling(candidate.read_text())
        except OSError:
            continue
        if found:
            return found
    return None


def _cpu_stat_files(cgroup_lines: Iterable[str], root: Path) -> Iterable[Path]:
    """Our path below the mount, and the mount itself: in a cgroup namespace that is the pod's own cgroup."""
    for line in cgroup_lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounts = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [root / controllers, root / "cpu"]
        else:
            continue
        for mount in mounts:
            yield mount / path.lstrip("/") / "cpu.stat"
            yield mount / "cpu.stat"


def parse_throttling(cpu_stat: str) -> Throttling | None:
    values = dict(line.split(maxsplit=1) for line in cpu_stat.splitlines())
    if "nr_throttled" not in values:
        return None
    if "throttled_usec" in values:  # cgroup v2
        seconds = int(values["throttled_usec"]) / MICROSECONDS
    else:  # cgroup v1
        seconds = int(values.get("throttled_time", "0")) / NANOSECONDS
    return Throttling(int(values["nr_throttled"]), seconds)


def connections_opened() -> int | None:
    """Since the network namespace exists."""
    try:
        return parse_active_opens(Path("/proc/self/net/snmp").read_text())
    except OSError:
        return None


def parse_active_opens(snmp: str) -> int | None:
    tcp = [line.split()[1:] for line in snmp.splitlines() if line.startswith("Tcp:")]
    return int(dict(zip(*tcp, strict=True))["ActiveOpens"]) if len(tcp) == 2 else None


def connections_alive(port: int) -> int | None:
    """Established from here to this port. Reads every socket: not for a namespace full of TIME_WAIT."""
    count = None
    for name in ("tcp", "tcp6"):
        try:
            count = (count or 0) + parse_established(Path(f"/proc/self/net/{name}").read_text(), port)
        except OSError:
            continue
    return count


def parse_established(table: str, port: int) -> int:
    remote = f":{port:04X}"
    rows = (line.split() for line in table.splitlines()[1:])
    return sum(1 for row in rows if row[2].endswith(remote) and row[3] == ESTABLISHED)
