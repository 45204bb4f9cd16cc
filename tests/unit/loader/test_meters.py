"""The kernel's texts: /proc and cgroup files as they look on real hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from changeover.loader import meters
from changeover.loader.meters import CpuTime, Throttling

V2 = "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 9\nnr_throttled 3\nthrottled_usec 250000\nnr_bursts 0\n"
V1 = "nr_periods 9\nnr_throttled 3\nthrottled_time 250000000\n"


@pytest.mark.parametrize("text", [V2, V1])
def test_throttling_is_the_same_in_both_cgroup_versions(text: str) -> None:
    assert meters.parse_throttling(text) == Throttling(3, 0.25)


def test_a_cgroup_without_a_limit_says_nothing_rather_than_zero() -> None:
    assert meters.parse_throttling("usage_usec 10\nuser_usec 6\nsystem_usec 4\n") is None


@pytest.mark.parametrize(
    ("own", "place", "text"),
    [
        ("0::/\n", "cpu.stat", V2),  # in a pod with its own cgroup namespace
        ("0::/kubepods/pod1/c1\n", "kubepods/pod1/c1/cpu.stat", V2),
        ("11:memory:/x\n4:cpu,cpuacct:/pod1\n0::/\n", "cpu,cpuacct/pod1/cpu.stat", V1),
        (
            "4:cpu,cpuacct:/docker/abc\n",
            "cpu,cpuacct/cpu.stat",
            V1,
        ),  # the path is the host's, the mount is ours
        ("4:cpu,cpuacct:/pod1\n", "cpu/pod1/cpu.stat", V1),
    ],
)
def test_our_own_cgroup_is_found(tmp_path: Path, own: str, place: str, text: str) -> None:
    (tmp_path / "self").write_text(own)
    stat = tmp_path / "mount" / place
    stat.parent.mkdir(parents=True)
    stat.write_text(text)
    assert meters.throttling(tmp_path / "self", tmp_path / "mount") == Throttling(3, 0.25)


def test_no_cgroup_file_is_none(tmp_path: Path) -> None:
    assert meters.throttling(tmp_path / "missing", tmp_path) is None
    (tmp_path / "self").write_text("0::/\n")
    assert meters.throttling(tmp_path / "self", tmp_path) is None


def test_the_cpu_is_named_as_the_kernel_names_it(tmp_path: Path) -> None:
    intel = tmp_path / "cpuinfo"
    intel.write_text("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some  CPU @ 2.50GHz\n\nmodel name\t: other\n")
    assert meters.cpu_model(intel) == "Some CPU @ 2.50GHz"


def test_a_cpu_without_a_name_is_none_and_not_empty(tmp_path: Path) -> None:
    assert meters.parse_cpu_model("processor\t: 0\nCPU part\t: 0xd0c\n") is None  # Arm
    assert meters.cpu_model(tmp_path / "missing") is None


def test_cpu_time_survives_a_name_with_spaces_and_brackets() -> None:
    stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 1 0 9 0 0"
    ticks = meters.TICKS_PER_SECOND
    assert meters.parse_cpu_time(stat) == CpuTime(250 / ticks, 50 / ticks)


def test_a_process_that_is_gone_has_no_cpu_time() -> None:
    assert meters.cpu_time(2**22 + 1) is None


def test_opened_connections_are_tcps_active_opens() -> None:
    snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm MaxConn ActiveOpens PassiveOpens\nTcp: 1 -1 361 7\n"
    assert meters.parse_active_opens(snmp) == 361
    assert meters.parse_active_opens("Ip: Forwarding\nIp: 1\n") is None


def test_only_established_connections_to_the_port_are_alive() -> None:
    table = "\n".join(
        [
            "  sl  local_address rem_address   st tx_queue",
            "   0: 0100007F:9C40 0100007F:1F90 01 00000000",  # ours
            "   1: 0100007F:9C41 0100007F:1F90 06 00000000",  # TIME_WAIT
            "   2: 0100007F:1F90 0100007F:9C40 01 00000000",  # the server's end of the first
            "   3: 0100007F:9C42 0100007F:0050 01 00000000",  # another port
            "   4: 0100007F:9C43 0100007F:1F90 01 00000000",
        ]
    )
    assert meters.parse_established(table, 8080) == 2
