"""get, -w and wait: what a person sees, and what a script is told."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import yaml
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.target import MIGRATION, Target, UsageError, migration, parse
from changeover.cli.verdict import exit_code, headline
from changeover.core.plan import Ref
from changeover.testing.builders import NAMESPACE, a_deployment, a_migration
from changeover.testing.metrics import Behaviour
from changeover.testing.world import World

from tests.unit.cli.fake import BENCHMARK, a_world, benchmark_world, command, go_on, play

__all__ = ["play"]  # the fixture


def lines_of(*words: str) -> list[str]:
    done = command(*words)
    assert done.exit_code == 0, done.output
    return [line.rstrip() for line in done.output.splitlines()]


def test_a_migration_under_way(play: Any) -> None:
    world = a_world()
    go_on(world, 8)
    play(world)
    lines = lines_of("get", "cmig/shop", "-o", "wide")
    text = "\n".join(lines)
    assert lines[0].split() == ["Name:", "shop"]
    assert "◷ Waiting" in text and "Weight:     10 % (measured 10.0 %)" in text
    [step] = [line for line in lines if line.startswith("1  10 %")]
    assert "◷" in step and "stable is measured and the canary is ready" in step
    assert any(line.startswith("2  100 %") and "◷" not in line for line in lines)
    assert any("errors" in line and "Undecided" in line for line in lines)
    assert "HTTPRoute shop: old 90, new 10" in text and "Deployment new: 0/2 ready" in text
    assert text.count("Pod new-") == 2


def test_pods_are_found_by_all_that_the_selector_says(play: Any) -> None:
    own = {"key": "app", "operator": "NotIn", "values": ["old"]}
    selector = {"matchLabels": None, "matchExpressions": [own]}
    world = World(a_deployment("old"), a_deployment("new", spec={"selector": selector}), a_migration())
    play(world)
    text = "\n".join(lines_of("get", "cmig/shop", "-o", "wide"))
    assert (text.count("Pod new-"), text.count("Pod old-")) == (2, 2)


def test_a_promoted_migration_with_its_table(play: Any) -> None:
    world = a_world(acceptance={"duration": "1m"}, match={"headers": [{"name": "X", "value": "y"}]})
    go_on(world, 150)
    play(world)
    text = "\n".join(lines_of("get", "cmig/shop"))
    assert "✔ Promoted" in text and "Before and after: Met" in text
    [row] = [line.split() for line in text.splitlines() if line.startswith("requests")]
    assert float(row[1]) > 0 and float(row[2]) == pytest.approx(100, rel=0.05), row
    assert "HTTPRoute shop-testers: new 1 (on no Gateway)" in text
    assert text.count("✔") >= 4 and "✖" not in text


def test_a_rolled_back_one_names_the_step_that_failed(play: Any) -> None:
    world = a_world()
    world.metrics.behaviours["new"] = Behaviour(error_share=0.9)
    go_on(world, 20)
    play(world)
    lines = lines_of("get", "cmig/shop")
    assert any("✖ RolledBack" in line for line in lines)
    assert any("rolled back to 0 from 10 %" in line for line in lines)


def test_a_second_attempt_has_not_got_the_steps_of_the_first(play: Any) -> None:
    world = a_world()
    world.metrics.behaviours["new"] = Behaviour(error_share=0.9)
    go_on(world, 20)
    world.metrics.behaviours.clear()
    world.cluster.patch(
        Ref("CanaryMigration", NAMESPACE, "shop"),
        {"metadata": {"annotations": {"changeover.dev/requested-retry": "again"}}},
    )
    go_on(world, 1)
    play(world)
    assert any(line.split() == ["1", "10", "%"] for line in lines_of("get", "cmig/shop")), "not yet"
    go_on(world, 3)
    [step] = [line for line in lines_of("get", "cmig/shop") if line.startswith("1  10 %")]
    assert "◷" in step and "stable is measured" in step


def test_a_step_that_a_person_skipped_is_not_shown_as_passed(play: Any) -> None:
    steps = [{"weightPercent": weight, "minDuration": "2m", "maxDuration": "2h"} for weight in (10, 50, 100)]
    world = a_world(steps=steps)
    go_on(world, 8)
    asked = {"metadata": {"annotations": {"changeover.dev/requested-promote": "x"}}}
    world.cluster.patch(Ref("CanaryMigration", NAMESPACE, "shop"), asked)
    go_on(world, 60)
    play(world)
    lines = [line.split() for line in lines_of("get", "cmig/shop")]
    signs = {line[1]: line[3] if len(line) > 3 else "" for line in lines if len(line) > 2 and line[2] == "%"}
    assert signs == {"10": "✔", "50": "", "100": "✔"}


def test_a_benchmark(play: Any) -> None:
    world = benchmark_world()
    go_on(world, 60, BENCHMARK, 9.0)
    play(world)
    text = "\n".join(lines_of("get", "fb/web", "-o", "wide"))
    assert "✔ Published" in text and "Winner:" in text and "fast" in text
    assert "Ranking" in text and "Results" in text and "memory bytes" in text
    assert "node node-1" in text and "cpuModel some CPU" in text


def test_what_is_missing_is_in_the_tree(play: Any) -> None:
    world = a_world()
    go_on(world, 3)
    world.cluster.remove(Ref("Deployment", NAMESPACE, "new"))
    play(world)
    assert any("⚠ deployment new is not there" in line for line in lines_of("get", "cmig/shop"))


def test_the_whole_object_for_machines(play: Any) -> None:
    world = a_world()
    go_on(world, 3)
    play(world)
    wanted = world.cluster.peek(Ref("CanaryMigration", NAMESPACE, "shop"))
    assert json.loads(command("get", "cmig/shop", "-o", "json").output) == wanted
    assert yaml.safe_load(command("get", "cmig/shop", "-o", "yaml").output) == wanted


def test_in_a_pipe_each_change_is_a_line(play: Any) -> None:
    world = a_world()
    play(world)
    lines = lines_of("get", "cmig/shop", "-w")
    assert len(lines) == len(set(lines)) > 3
    assert lines[0] == "shop: ◷ no status yet; does the operator run?"
    assert any(line.startswith("shop: weight 10 %") for line in lines)
    assert lines[-1].startswith("shop: weight 100 % (measured 100.0 %); ✔ Promoted")
    assert not any("\x1b" in line for line in lines), "no colours in a pipe"


@pytest.mark.parametrize(
    ("behaviour", "code"), [(Behaviour(), 0), (Behaviour(slow_share=0.2), 2), (Behaviour(error_share=0.9), 2)]
)
def test_wait_says_how_it_ended(play: Any, behaviour: Behaviour, code: int) -> None:
    world = a_world()
    world.metrics.behaviours["new"] = behaviour
    play(world)
    done = command("wait", "cmig/shop", "--timeout=1h")
    assert done.exit_code == code
    assert ("Promoted" if code == 0 else "RolledBack") in done.output


def test_wait_for_what_cannot_go_on(play: Any) -> None:
    world = a_world(metrics={"source": "unknown"})
    play(world)
    done = command("wait", "cmig/shop")
    assert done.exit_code == 4 and "InvalidSpec" in done.output


def test_wait_for_a_benchmark(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = benchmark_world()
    play(world)
    monkeypatch.setattr("changeover.cli.watching.time.sleep", lambda seconds: go_on(world, 1, BENCHMARK, 9.0))
    assert command("wait", "fb/web").exit_code == 0
    failing = benchmark_world()
    failing.failing_jobs |= {"fast", "lame"}
    play(failing)
    monkeypatch.setattr("changeover.cli.watching.time.sleep", lambda seconds: go_on(failing, 1, BENCHMARK, 9.0))
    assert command("wait", "fb/web").exit_code == 4


@pytest.mark.parametrize("words", [("wait", "cmig/shop", "--timeout=1h"), ("get", "cmig/shop", "-w")])
def test_a_cluster_that_does_not_answer_for_a_while_ends_no_waiting(
    play: Any, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A migration takes days, and a control plane is upgraded meanwhile."""
    play(a_world())
    silent = silenced(monkeypatch, range(3, 8))
    done = command(*words)
    assert done.exit_code == 0 and "Promoted" in done.output
    assert silent == [3, 4, 5, 6, 7]


def test_a_cluster_that_never_answers_again_ends_it(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    play(a_world())
    monkeypatch.setattr("changeover.cli.watching.PATIENCE_SECONDS", 0.2)
    silent = silenced(monkeypatch, range(3, 10_000))
    done = command("wait", "cmig/shop", "--timeout=1h")
    assert isinstance(done.exception, KubectlFailed) and "was refused" in str(done.exception)
    looks = len(silent)
    assert looks > 1
    assert isinstance(command("wait", "cmig/shop").exception, KubectlFailed)
    assert len(silent) == looks + 1, "a wrong context is told at the first look"


def test_what_is_deleted_meanwhile_ends_it_at_once(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world()
    play(world)
    ref = Ref("CanaryMigration", NAMESPACE, "shop")
    monkeypatch.setattr("changeover.cli.watching.time.sleep", lambda seconds: world.cluster.remove(ref))
    done = command("wait", "cmig/shop", "--timeout=1h")
    assert isinstance(done.exception, KubectlFailed) and "not found" in str(done.exception)


def silenced(monkeypatch: pytest.MonkeyPatch, which: range) -> list[int]:
    """Of the looks at the cluster these fail; those that did so far."""
    looks, failed, get = itertools.count(), list[int](), Kubectl.get

    def refused(self: Kubectl, kind: str, name: str) -> Any:
        number = next(looks)
        if number in which:
            failed.append(number)
            raise KubectlFailed("The connection to the server was refused")
        return get(self, kind, name)

    monkeypatch.setattr(Kubectl, "get", refused)
    return failed


def test_wait_takes_no_longer_than_it_was_told(play: Any) -> None:
    play(a_world())
    done = command("wait", "cmig/shop", "--timeout=0s")
    assert done.exit_code == 124 and "no status yet" in done.output


def test_a_status_of_the_spec_before_is_no_end() -> None:
    finished = [{"type": name, "status": "True"} for name in ("Finished", "Succeeded")]
    body = {"kind": "CanaryMigration", "metadata": {"generation": 2}, "status": {"conditions": finished}}
    assert exit_code({**body, "status": {**body["status"], "observedGeneration": 1}}) is None  # type: ignore[dict-item]
    assert exit_code({**body, "status": {**body["status"], "observedGeneration": 2}}) == 0  # type: ignore[dict-item]


def test_a_suspended_one_has_a_sign_of_its_own(play: Any) -> None:
    world = a_world(suspend=True)
    go_on(world, 3)
    found = world.cluster.peek(Ref("CanaryMigration", NAMESPACE, "shop"))
    assert found is not None and headline(found).startswith("॥ Suspended")


@pytest.mark.parametrize("text", ["fb/web", "FrameworkBenchmark/web", "frameworkbenchmarks.changeover.dev/web"])
def test_a_kind_by_any_of_its_names(text: str) -> None:
    assert parse(text) == Target("frameworkbenchmark", "web")
    assert migration("shop") == migration("cmig/shop") == Target(MIGRATION, "shop")


@pytest.mark.parametrize("text", ["shop", "deploy/shop", "cmig/", "/shop"])
def test_what_is_no_target_says_what_is(text: str) -> None:
    with pytest.raises(UsageError, match="fb/NAME or cmig/NAME"):
        parse(text)
    with pytest.raises(UsageError, match="no migration"):
        migration("fb/web")


def test_what_is_not_there_is_said_in_kubectls_words(play: Any) -> None:
    play(a_world())
    done = command("get", "cmig/other")
    assert isinstance(done.exception, KubectlFailed)
    assert str(done.exception) == 'canarymigrations.changeover.dev "other" not found'


def test_an_output_that_is_unknown_is_refused(play: Any) -> None:
    play(a_world())
    assert isinstance(command("get", "cmig/shop", "-o", "xml").exception, UsageError)
    assert isinstance(command("wait", "cmig/shop", "--timeout=soon").exception, UsageError)
