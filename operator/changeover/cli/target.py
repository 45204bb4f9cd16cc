"""TYPE/NAME as kubectl has it: which of our two kinds, and which one."""

from __future__ import annotations

from dataclasses import dataclass

BENCHMARK, MIGRATION = "frameworkbenchmark", "canarymigration"
_KINDS = {
    **dict.fromkeys(("fb", "frameworkbenchmark", "frameworkbenchmarks"), BENCHMARK),
    **dict.fromkeys(("cmig", "canarymigration", "canarymigrations"), MIGRATION),
}


class UsageError(Exception):
    """The command makes no sense as it was given; the text says how it does."""


@dataclass(frozen=True)
class Target:
    """One resource of ours."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def parse(text: str) -> Target:
    """``fb/NAME`` or ``cmig/NAME``, or the kinds' full names. Raises UsageError."""
    kind, slash, name = text.partition("/")
    known = _KINDS.get(kind.lower().removesuffix(".changeover.dev"))
    if known is None or not slash or not name:
        raise UsageError(f"{text!r} is not of the form fb/NAME or cmig/NAME")
    return Target(known, name)


def migration(text: str) -> Target:
    """``cmig/NAME``, or the name alone. Raises UsageError."""
    found = parse(text if "/" in text else f"cmig/{text}")
    if found.kind != MIGRATION:
        raise UsageError(f"{text!r} is no migration; give cmig/NAME")
    return found
