"""S9: what we are made of is known, pinned, allowed, and comes out the same twice."""

from __future__ import annotations

import json
from email.message import Message
from pathlib import Path

import pytest

from tests.trust.made_of import licences, pins, sbom, wheels


def metadata(**fields: str | list[str]) -> Message:
    made = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            made[name.replace("_", "-")] = value
    return made


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_exact_and_has_a_hash(file: str) -> None:
    found = pins.requirements(pins.REPOSITORY / file)
    assert found and all(pin.hashes for pin in found)
    assert len({pin.name for pin in found}) == len(found)


@pytest.mark.parametrize(
    "line", ["a>=1", "a==1", "a", "-e .", "a @ https://x/a.whl", "a==1.* --hash=sha256:" + "0" * 64]
)
def test_a_line_that_is_not_pinned_is_seen(line: str, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(f"# a comment\n{line}\n")
    with pytest.raises(ValueError, match="not pinned"):
        pins.requirements(tmp_path / "r.txt")


def test_what_is_shipped_is_what_is_tested() -> None:
    assert pins.differing() == []


def test_the_number_of_run_time_distributions_does_not_grow_unseen() -> None:
    """The goal is 25; kopf, kubernetes and prometheus-api-client bring what they bring."""
    assert len(pins.requirements(pins.REPOSITORY / "requirements.txt")) == 39


def test_versions_bases_and_lock_files_are_exact() -> None:
    assert pins.loose() == []
    assert pins.bases() == pins.MOVING  # one by digest may leave the list


def test_every_licence_is_allowed() -> None:
    found = licences.of_run_time()
    assert [why for name, licence in found.items() if (why := licences.refused(name, licence))] == []
    used = {(name, part) for name, licence in found.items() for part in licence.split(" AND ")}
    assert set(licences.EXCEPTIONS) <= used, "an exception that nothing needs any more"


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "Apache-2.0 AND MIT", "License": "GPL"}, "Apache-2.0 AND MIT"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"Classifier": ["Programming Language :: Python", "License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"License": "Copyright (c) 2020\n\nPermission is …"}, licences.UNKNOWN),
        ({"Classifier": "License :: OSI Approved :: BSD License"}, licences.UNKNOWN),
        ({}, licences.UNKNOWN),
    ],
)
def test_a_licence_is_read_off_the_metadata(fields: dict[str, str | list[str]], licence: str) -> None:
    assert licences.licence_of(metadata(**fields)) == licence


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True), ("MIT AND ISC", True), ("GPL-3.0-only OR MIT", True), ("GPL-3.0-only", False), ("", False),
        ("MIT AND AGPL-3.0-only", False), ("MPL-2.0", False), ("UNKNOWN", False),
        ("Apache-2.0 WITH LLVM-exception", False),
    ],
)  # fmt: skip
def test_a_licence_that_is_not_listed_is_refused(licence: str, allowed: bool) -> None:
    assert (licences.refused("somebody", licence) == "") is allowed


def test_two_builds_of_the_wheel_are_equal() -> None:
    first, second = wheels.twice()
    assert first == second


def test_the_bill_of_materials_is_whole_and_valid() -> None:
    text = sbom.as_json(sbom.make_bom())
    assert (sbom.invalid(text), sbom.incomplete(json.loads(text))) == ("", [])
    assert text == sbom.as_json(sbom.make_bom())


def test_a_hole_in_the_bill_of_materials_is_seen() -> None:
    content = json.loads(sbom.as_json(sbom.make_bom()))
    del content["components"][0], content["components"][0]["purl"]
    assert len(sbom.incomplete(content)) == 2
    assert sbom.invalid(json.dumps({**content, "components": [{"type": "nonsense"}]}))
