"""The verbs: an annotation, and the operator's own answer."""

from __future__ import annotations

from typing import Any

import pytest
from changeover.cli.target import UsageError
from changeover.testing.metrics import Behaviour

from tests.unit.cli.fake import BENCHMARK, STEPS, a_world, benchmark_world, command, go_on, play

__all__ = ["play"]  # the fixture


def test_abort_says_what_came_of_it(play: Any) -> None:
    world = a_world()
    go_on(world, 8)
    played = play(world)
    done = command("abort", "cmig/shop", "--token", "enough")
    assert done.exit_code == 0
    assert done.output.startswith(
        "canarymigration/shop abort: accepted: aborted by a person; rolled back to 0 from 10 %"
    )
    assert played.commands == [
        ("annotate", "canarymigration", "shop", "changeover.dev/requested-abort=enough", "--overwrite")
    ]
    assert world.weight_of("shop", "new") == 0


def test_what_is_refused_is_an_error_and_says_why(play: Any) -> None:
    world = a_world()
    go_on(world, 8)
    play(world)
    done = command("approve", "cmig/shop")
    assert done.exit_code == 1 and done.stdout == ""
    assert "canarymigration/shop approve: refused: nothing waits for approval at step 1/2" in done.stderr


def test_approve_pause_and_resume(play: Any) -> None:
    world = a_world(steps=[{**step, "approval": "Manual"} for step in STEPS])
    go_on(world, 8)
    play(world)
    assert world.weight_of("shop", "new") == 0
    assert command("approve", "cmig/shop", "--token", "a").exit_code == 0
    assert world.weight_of("shop", "new") == 10
    assert "paused by a person" in command("pause", "cmig/shop", "--token", "b").output
    assert "resumed by a person" in command("resume", "cmig/shop", "--token", "c").output


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 1000820000"), OSError("No username set")])
def test_a_user_without_a_name_aborts_all_the_same(
    play: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As in a container of a pipeline, whose user is a number; Python 3.13 says it by another error."""

    def nobody() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", nobody)
    world = a_world()
    go_on(world, 8)
    played = play(world)
    assert command("abort", "cmig/shop").exit_code == 0
    assert played.commands[0][3].startswith("changeover.dev/requested-abort=somebody-2")
    assert world.weight_of("shop", "new") == 0


def test_a_dry_run_does_nothing(play: Any) -> None:
    world = a_world()
    go_on(world, 8)
    played = play(world)
    done = command("abort", "cmig/shop", "--dry-run", "--token", "enough")
    assert (done.exit_code, played.commands, world.weight_of("shop", "new")) == (0, [], 10)
    assert "would be annotated changeover.dev/requested-abort=enough (dry run)" in done.output


def test_an_operator_that_does_not_answer_is_named(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(a_world())
    played.after_annotating = lambda: None
    monkeypatch.setattr("changeover.cli.steer.ANSWER_SECONDS", 0.0)
    done = command("abort", "cmig/shop")
    assert done.exit_code == 1 and "not answered after 0 s; does the operator run?" in done.stderr


def test_a_benchmark_is_run_again(play: Any) -> None:
    world = benchmark_world()
    go_on(world, 60, BENCHMARK, 9.0)
    played = play(world)
    played.after_annotating = lambda: go_on(world, 2, BENCHMARK, 9.0)
    done = command("retry", "fb/web", "--token", "again")
    assert (done.exit_code, done.output) == (0, "frameworkbenchmark/web retry: accepted; a new run begins\n")


def test_a_benchmark_knows_no_other_verb(play: Any) -> None:
    play(benchmark_world())
    assert isinstance(command("abort", "fb/web").exception, UsageError)


def test_retry_after_a_rollback(play: Any) -> None:
    world = a_world()
    world.metrics.behaviours["new"] = Behaviour(error_share=0.9)
    go_on(world, 20)
    play(world)
    done = command("retry", "cmig/shop", "--token", "again")
    assert done.exit_code == 0 and "attempt 2 begins at 0 %" in done.output
