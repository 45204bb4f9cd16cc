"""Under which licence is what we ship with, and may we? What is not known is not allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message
from importlib.metadata import PackageMetadata, distribution

from tests.trust.made_of.pins import REPOSITORY, requirements

ALLOWED = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0"})
"""Permissive ones: they ask for their text to be kept, and for nothing else of what we ship."""

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    (
        "certifi",
        "MPL-2.0",
    ): "a list of certificates that is used unchanged; the licence reaches no further than its files",
    ("regex", "CNRI-Python"): "of the part that comes from CPython's own re; permissive, and approved by the OSI",
}
"""By distribution and licence, with the reason."""

SPELLINGS: Mapping[str, str] = {
    "Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC", "MIT License": "MIT", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}  # fmt: skip
"""What older metadata writes, as SPDX has it. "BSD License" is not among them: which one is not said."""

UNKNOWN = ""
_SPDX = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")


def licence_of(metadata: PackageMetadata | Message) -> str:
    """As an SPDX expression, from the field that is meant for it, else the older one, else the classifiers."""
    expression, older = (str((metadata.get_all(name) or [""])[0]).strip() for name in ("License-Expression", "License"))
    classified = [
        one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or () if one.startswith("License")
    ]
    for text in (expression, older, *classified):
        found = SPELLINGS.get(text, text)
        if _SPDX.fullmatch(found):
            return found
    return UNKNOWN


def of_run_time() -> dict[str, str]:
    """Of every run-time distribution, as it is installed here."""
    names = [pin.name for pin in requirements(REPOSITORY / "requirements.txt")]
    return {name: licence_of(distribution(name).metadata) for name in names}


def refused(name: str, licence: str) -> str:
    """Why a distribution may not be shipped with; empty when it may."""
    if licence == UNKNOWN:
        return f"{name}: its metadata names no licence"
    parts = re.split(r" AND ", licence)
    unknown = [part for part in parts if not _is_allowed(name, part)]
    return f"{name}: {', '.join(unknown)} is not allowed; see tests/trust/made_of/licences.py" if unknown else ""


def _is_allowed(name: str, part: str) -> bool:
    return any(one in ALLOWED or (name, one) in EXCEPTIONS for one in part.split(" OR "))
