"""Files as a command is given them; - is standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from changeover.cli.lint import lint, objects_in
from changeover.cli.target import UsageError


def read(path: Path) -> str:
    """The text of a file. Raises UsageError."""
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no text in UTF-8; save it as that") from error


def migrations_in(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The migrations of these files. Raises UsageError when something in them is wrong, or there is none."""
    found = []
    for path in paths:
        text = read(path)
        wrong = [finding for finding in lint(text, str(path))[1] if finding.is_error]
        if wrong:
            raise UsageError(f"{wrong[0].where}: {wrong[0].what}")
        found += [one for one in objects_in(text) if one["kind"] == "CanaryMigration"]
    if not found:
        raise UsageError("there is no CanaryMigration in it")
    return found
