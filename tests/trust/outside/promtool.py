"""Prometheus's own parser, through ``promtool check rules``."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


def is_there() -> bool:
    """Whether it is on the PATH."""
    return shutil.which("promtool") is not None


def refused(queries: Sequence[str]) -> set[int]:
    """Which of the expressions it does not take. Every one has been looked at: it counts those it takes."""
    rules = [f"  - record: r:{number}\n    expr: {_quoted(query)}\n" for number, query in enumerate(queries)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules.yaml"
        file.write_text("groups:\n- name: g\n  rules:\n" + "".join(rules))
        done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    if f"SUCCESS: {len(queries)} rules found" in told:
        return set()
    found = {int(number) for number in re.findall(r'"r:([0-9]+)": could not parse expression', told)}
    if not found or len(re.findall(r"^\S+: [0-9]+:[0-9]+: ", told, re.MULTILINE)) != len(found):
        raise RuntimeError(f"promtool could not read the rules: {told[:500]}")
    return found


def _quoted(text: str) -> str:
    """As YAML has it, in ASCII."""
    return (
        '"'
        + "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
        + '"'
    )
