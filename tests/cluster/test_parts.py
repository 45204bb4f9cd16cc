"""The parts of the local cluster that need no cluster: what is computed, and that only our own are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.cluster import addons, cgroups, images, node, ociarchive, preflight, processes, tools, versions
from tests.cluster.layout import CANDIDATE, MANIFESTS, SYSTEM, Cluster
from tests.cluster.progress import Runner, Step, duration


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster("test", tmp_path)


def test_versions_agree_with_go_mod() -> None:
    assert versions.pin("kubernetes").startswith("1.")


def test_requirements_are_read_from_single_lines_and_from_blocks() -> None:
    text = (
        "module x\nrequire a.b/one v1.2.3\nrequire (\n\tc.d/two v0.4.0 // indirect\n)\nreplace e.f/g => e.f/g v9.9.9\n"
    )
    found = versions.go_requirements(text)
    assert (found["a.b/one"], found["c.d/two"]) == ("1.2.3", "0.4.0")
    assert "e.f/g" not in found


@pytest.mark.parametrize(
    ("cores", "wanted"),
    [
        ([0], preflight.Cores(0, 0, 0)),
        ([0, 1], preflight.Cores(control=0, system=0, candidate=1)),
        ([2, 3, 5, 7], preflight.Cores(control=5, system=2, candidate=3)),
    ],
)
def test_the_candidate_has_a_core_of_its_own_when_there_are_two(cores: list[int], wanted: preflight.Cores) -> None:
    assert preflight.assign_cores(cores) == wanted


def test_only_the_candidate_node_is_tainted(cluster: Cluster) -> None:
    machine = node.Machine(core=0, memory_bytes=1)
    assert node.kubelet_config(cluster, SYSTEM, machine)["registerWithTaints"] == []
    assert node.kubelet_config(cluster, CANDIDATE, machine)["registerWithTaints"] != []


def test_no_place_in_a_manifest_stays_unfilled() -> None:
    names = {"coredns": "a", "traefik": "b", "prometheus": "c", "targets": "d"}
    for path in MANIFESTS.glob("*.yaml"):
        assert "@" not in addons.render(path.read_text(), names), path


def test_a_changed_manifest_replaces_its_pods() -> None:
    assert addons.render("@KEY@ one", {}).split()[0] != addons.render("@KEY@ two", {}).split()[0]


def test_the_bases_of_a_recipe_are_those_whose_argument_it_declares() -> None:
    recipe = "ARG RUST_IMAGE=rust:1\nARG OTHER=1\nFROM ${RUST_IMAGE}\nARG DEBIAN_IMAGE\n"
    assert images.needed_bases(recipe) == ["debian", "rust"]


def test_an_image_is_built_again_only_when_its_content_changed(tmp_path: Path) -> None:
    source = images.Source("x", "localhost/x:1", tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    first = images.content_key(source, [])
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "a.js").write_text("not content")
    assert images.content_key(source, []) == first
    assert images.content_key(source, ["another base"]) != first
    (tmp_path / "main.js").write_text("content")
    assert images.content_key(source, []) != first


def test_a_dockerignore_that_lets_in_a_list_limits_the_content(tmp_path: Path) -> None:
    source = images.Source("x", "localhost/x:1", tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    (tmp_path / ".dockerignore").write_text("*\n!in\n")
    (tmp_path / "in").mkdir()
    first = images.content_key(source, [])
    (tmp_path / "out.txt").write_text("not let in")
    assert images.content_key(source, []) == first
    (tmp_path / "in" / "a.txt").write_text("let in")
    assert images.content_key(source, []) != first


def test_a_hand_made_archive_is_the_same_each_time_and_holds_its_file(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"binary")
    image = ociarchive.Image("localhost/x:1", {"/program": tmp_path / "program"}, ["/program"])
    for name in ("a.tar", "b.tar"):
        ociarchive.write(image, tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        assert json.load(index)["manifests"][0]["annotations"]["io.containerd.image.name"] == "localhost/x:1"


def test_a_file_of_an_image_is_read_out_of_its_archive(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"binary")
    ociarchive.write(
        ociarchive.Image("localhost/x:1", {"/bin/p": tmp_path / "program"}, ["/bin/p"]), tmp_path / "a.tar"
    )
    assert ociarchive.read(tmp_path / "a.tar", "/bin/p") == b"binary"
    with pytest.raises(KeyError, match="no layer has /bin/q"):
        ociarchive.read(tmp_path / "a.tar", "/bin/q")


def test_what_was_interrupted_is_made_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        tools.complete(tmp_path / "thing", fail)
    made = tools.complete(tmp_path / "thing", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]


def test_a_process_is_started_once_and_stopped_by_its_name(cluster: Cluster) -> None:
    pid = processes.start(cluster, "sleeper", ["sleep", "60"], processes.Place())
    assert processes.start(cluster, "sleeper", ["sleep", "60"], processes.Place()) == pid
    assert processes.pid_of(cluster, "sleeper") == pid
    processes.stop(cluster, "sleeper")
    assert processes.recorded(cluster) == []
    os.waitpid(pid, 0)


def test_a_process_that_took_over_our_process_id_is_left_alone(cluster: Cluster) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        cluster.records.mkdir(parents=True)
        record = {"pid": stranger.pid, "started": "1", "argv": []}
        (cluster.records / "gone.json").write_text(json.dumps(record))
        processes.stop(cluster, "gone")
        time.sleep(0.1)
        assert stranger.poll() is None
        stranger.send_signal(signal.SIGKILL)


def test_the_estimate_counts_the_longest_of_what_runs_side_by_side(tmp_path: Path) -> None:
    def nothing() -> None: ...

    groups = [[Step("a", 10, nothing), Step("b", 30, nothing)], [Step("c", 5, nothing)]]
    runner = Runner(groups, tmp_path / "timings.json", at_once=2)
    assert runner.left() == pytest.approx(35, abs=0.5)
    assert Runner(groups, tmp_path / "timings.json", at_once=1).left() == pytest.approx(45, abs=0.5)
    runner.run()
    assert runner.left() == 0
    assert set(json.loads((tmp_path / "timings.json").read_text())) == {"a", "b", "c"}


@pytest.mark.parametrize(("seconds", "words"), [(0.52, "0.5 s"), (42.4, "42 s"), (61, "1 min 01 s")])
def test_durations_are_said_as_a_person_says_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_processes_are_found_though_a_pod_goes_away_meanwhile(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kubelet removes a pod's folder while somebody looks for processes."""
    root, scandir = cluster.cache / "cgroup", os.scandir
    for number, pod in enumerate(("one", "two"), 11):
        folder = root / cluster.name / "pods" / pod
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text(f"{number}\n0\n")
    gone = root / cluster.name / "pods" / "gone"
    gone.mkdir()

    def meanwhile(path: str) -> object:
        if Path(path) == gone and gone.exists():
            gone.rmdir()
        return scandir(path)

    monkeypatch.setattr(cgroups, "hierarchies", lambda: [root])
    monkeypatch.setattr(os, "scandir", meanwhile)
    assert cgroups.processes(cluster) == {11, 12}
    assert cgroups.processes(cluster, "pods/one") == {11}
    gone.mkdir()
    assert set(cgroups.folders(cluster)) > {root / cluster.name / "pods" / "one"}
