"""One small change of the code, as mutmut made and judged it. All of this works in the folder that mutmut works in."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name, orig_function_and_class_names_from_key

from tests.trust.noticed.modules import source_of

EQUIVALENTS = Path(__file__).with_name("equivalents.toml")
KILLED = ("killed", "timeout")  # a test that never ends notices it, too


@dataclass(frozen=True)
class Mutant:
    """A change, what became of it, and the lines that it takes away and puts in."""

    module: str
    function: str
    status: str
    was: str
    becomes: str
    diff: str

    @property
    def is_killed(self) -> bool:
        return self.status in KILLED


@dataclass(frozen=True)
class Equivalent:
    """A change that cannot be noticed, and why; told by its lines, since mutmut's numbers move with the code."""

    module: str
    function: str
    was: str
    becomes: str
    reason: str

    def is_of(self, mutant: Mutant) -> bool:
        """Whether this is the mutant that is meant."""
        theirs = (mutant.module, mutant.function, mutant.was, mutant.becomes)
        return (self.module, self.function, self.was, self.becomes) == theirs


def equivalents() -> list[Equivalent]:
    """The reviewed list."""
    return [Equivalent(**one) for one in tomllib.loads(EQUIVALENTS.read_text()).get("equivalent", [])]


def all_names(modules: Iterable[str]) -> list[str]:
    """The name of every mutant that mutmut will make of these modules."""
    sources = [Path(source_of(module)) for module in modules]
    made = [(path, mutate_file_contents(str(path), path.read_text())) for path in sources]
    return [get_mutant_name(path, name) for path, mutated in made for name in mutated.mutant_names]


def read(names: Sequence[str]) -> list[Mutant]:
    """What became of these mutants."""
    found: list[Mutant] = []
    for module in dict.fromkeys(name.split(".")[2] for name in names):
        codes = json.loads((Path("mutants") / f"{source_of(module)}.meta").read_text())["exit_code_by_key"]
        mine = [name for name in names if name.split(".")[2] == module]
        found += [_mutant(module, name, status_by_exit_code[codes[name]]) for name in mine]
    return found


def _mutant(module: str, name: str, status: str) -> Mutant:
    function, of_class = orig_function_and_class_names_from_key(name)
    lines = get_diff_for_mutant(name, path=source_of(module)).splitlines()[3:]
    changed = [line for line in lines if line[:1] in ("-", "+")]
    was, becomes = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
    function = f"{of_class}.{function}" if of_class else function
    return Mutant(module, function, status, was, becomes, "\n".join(changed))
