"""What failed once is stored beside its test, is to be committed, and is tried first from then on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_KEPT = 50


@dataclass(frozen=True)
class Failures:
    """A file of keys, as JSON has them, by which cases are found, or drawn, again."""

    file: Path

    def read(self) -> list[Any]:
        """In the order in which they failed."""
        return list(json.loads(self.file.read_text())) if self.file.exists() else []

    def add(self, keys: Iterable[Any]) -> None:
        """Keep these, too; of many the last."""
        known = self.read()
        new = [key for key in keys if key not in known]
        if new:
            write_whole(self.file, json.dumps([*known, *new][-MOST_KEPT:], indent=1) + "\n")


def write_whole(file: Path, text: str) -> None:
    """All of it or nothing: who is ended meanwhile leaves what was there before."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    beside.write_text(text)
    os.replace(beside, file)
