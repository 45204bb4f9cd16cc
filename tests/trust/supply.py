"""python -m tests.trust.supply [--no-wheel]: S9, what we are made of; writes build/sbom.cdx.json; exit 1 with failures.

Run it where the tests run: what is installed is held against what is pinned.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator

from tests.trust.made_of import pins, sbom, wheels
from tests.trust.made_of.licences import of_run_time, refused

SBOM = pins.REPOSITORY / "build" / "sbom.cdx.json"
GOAL = 25


def of_the_bom() -> Iterator[str]:
    """Writes it; yields what is wrong with it."""
    text = sbom.as_json(sbom.make_bom())
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(text)
    wrong, missing = sbom.invalid(text), sbom.incomplete(json.loads(text))
    count = len(json.loads(text)["components"])
    print(f"SBOM: {count} distributions with version, purl, licence and hashes in {SBOM.relative_to(pins.REPOSITORY)}; "
          f"CycloneDX 1.6: {'not valid' if wrong else 'valid'}")  # fmt: skip
    yield from ([f"SBOM: {wrong}"] if wrong else [])
    yield from (f"SBOM: {name} is missing, or not whole" for name in missing)


def of_the_licences() -> Iterator[str]:
    """Those that may not be."""
    found = of_run_time()
    counted = Counter(found.values()).most_common()
    print("licences: " + ", ".join(f"{licence or 'unknown'} {count}" for licence, count in counted))
    yield from (why for name, licence in found.items() if (why := refused(name, licence)))


def of_the_pins() -> Iterator[str]:
    """What is not exact."""
    shipped, tested = (pins.requirements(pins.REPOSITORY / f"requirements{kind}.txt") for kind in ("", "-dev"))
    print(f"pins: {len(shipped)} run-time and {len(tested)} test distributions, each by == and hash; goal {GOAL} at "
          f"run time: {'met' if len(shipped) <= GOAL else 'not met'}")  # fmt: skip
    print(f"images: {len(pins.bases())} bases, {sum('@sha256:' in base for base in pins.bases())} of them by digest, "
          "the others by a tag that moves within its minor version")  # fmt: skip
    yield from (f"{one} is shipped, and not tested with" for one in pins.differing())
    yield from pins.loose()


def of_the_wheel() -> Iterator[str]:
    """Whether it is the same twice."""
    (name, first), (_, second) = wheels.twice()
    same = "equal" if first == second else "not equal"
    print(f"wheel: {name} built twice, sha256 {first[:16]}… and {second[:16]}…: {same}")
    yield from ([] if first == second else ["the wheel is another each time"])


def main() -> int:
    """Exit code 1 with failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.supply", description="S9: what we are made of")
    parser.add_argument("--no-wheel", action="store_true", help="do not build the wheel (needs the package index)")
    given = parser.parse_args()
    parts = [of_the_bom, of_the_licences, of_the_pins] + ([] if given.no_wheel else [of_the_wheel])
    failures = [failure for part in parts for failure in part()]
    print(f"{len(failures)} failures", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
