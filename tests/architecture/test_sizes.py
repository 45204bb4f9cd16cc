"""The sizes that we hold ourselves to, and that every test can fail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_MODULE_LINES = 300
MOST_FUNCTION_LINES = 40
MOST_ARGUMENTS = 5  # as ruff counts, without self
OURS = [*(REPOSITORY / "operator").rglob("*.py"), *(REPOSITORY / "tests" / "cluster").rglob("*.py")]
TESTS = sorted((REPOSITORY / "tests").rglob("test_*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    tree = ast.parse(path.read_text())
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def named(path: Path, node: Function) -> str:
    return f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}"


def test_modules_fit() -> None:
    lines = {str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines()) for path in OURS}
    assert len(lines) > 60
    assert {name: count for name, count in lines.items() if count > MOST_MODULE_LINES} == {}


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{named(path, node)}: {node.end_lineno - node.lineno + 1} lines"
        for path in OURS
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_functions_take_few_arguments() -> None:
    many = [
        named(path, node)
        for path in OURS
        for node in functions(path)
        if sum(a.arg not in ("self", "cls") for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
        > MOST_ARGUMENTS
        and path.parts[-2:] != ("cli", "main.py")  # there an option is an argument
    ]
    assert many == []


def test_decisions_do_no_io() -> None:
    """A function called make, decide, judge, next or parse does no I/O: none of them is a coroutine."""
    pure = ("make_", "decide", "judge", "next_", "parse_")
    coroutines = [
        named(path, node)
        for path in OURS
        for node in functions(path)
        if isinstance(node, ast.AsyncFunctionDef) and node.name.lstrip("_").startswith(pure)
    ]
    assert coroutines == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(REPOSITORY / "tests")))
def test_every_test_can_fail(path: Path) -> None:
    """A test asserts, expects an exception, or calls a helper of its module that does."""
    everything = list(functions(path))
    asserting = {node.name for node in everything if asserts(node)}
    # Helpers of other modules that assert; each raises AssertionError by itself.
    asserting |= {"replay", "run_reference", "model_validate", "check", "agree", "finish"}
    idle = [
        named(path, node)
        for node in everything
        if node.name.startswith("test") and not asserts(node) and not called(node) & asserting
    ]
    assert idle == []


def asserts(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Assert) for inner in ast.walk(node)) or bool(
        called(node) & {"raises", "fail", "assert_never"}
    )


def called(node: ast.AST) -> set[str]:
    calls = [inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    return {f.id for f in calls if isinstance(f, ast.Name)} | {f.attr for f in calls if isinstance(f, ast.Attribute)}
