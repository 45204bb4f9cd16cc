"""The run-time distributions as a CycloneDX 1.6 bill of materials."""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Iterable
from importlib.metadata import distribution
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.trust.made_of.licences import licence_of
from tests.trust.made_of.pins import REPOSITORY, Pin, requirements

VERSION = SchemaVersion.V1_6


def make_bom() -> Bom:
    """Of what is installed here; raises ValueError when that is not what requirements.txt pins."""
    pins = requirements(REPOSITORY / "requirements.txt")
    components = {pin.name: _component(pin) for pin in pins}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    root = Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref=name,
        licenses=[LicenseExpression(project["license"])], purl=PackageURL("pypi", None, name, version),
    )  # fmt: skip
    bom = Bom(components=components.values(), serial_number=_serial(pins))
    bom.metadata.component = root
    bom.register_dependency(root, _needed(project["dependencies"], components))
    for name, component in components.items():
        bom.register_dependency(component, _needed(distribution(name).requires or (), components))
    return bom


def _serial(pins: Iterable[Pin]) -> uuid.UUID:
    """The same for the same pins."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "changeover.dev " + " ".join(f"{pin.name}=={pin.version}" for pin in pins))


def _component(pin: Pin) -> Component:
    """The hashes are of the archives of which pip takes the one that fits the machine, and no other."""
    found = distribution(pin.name)
    if found.version != pin.version:
        raise ValueError(f"{pin.name} {found.version} is installed, {pin.version} is pinned; run make setup")
    archives = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(f"https://pypi.org/project/{pin.name}/{pin.version}/#files"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in pin.hashes],
    )
    return Component(
        name=pin.name, version=pin.version, type=ComponentType.LIBRARY, bom_ref=f"{pin.name}=={pin.version}",
        licenses=[LicenseExpression(licence_of(found.metadata))], purl=PackageURL("pypi", None, pin.name, pin.version),
        description=found.metadata["Summary"], external_references=[archives],
    )  # fmt: skip


def _needed(wanted: Iterable[str], components: dict[str, Component]) -> list[Component]:
    parsed = [Requirement(one) for one in wanted]
    names = {canonicalize_name(one.name) for one in parsed if one.marker is None or one.marker.evaluate({"extra": ""})}
    return [components[name] for name in sorted(names) if name in components]


def as_json(bom: Bom) -> str:
    """The text, without the time, so that it is the same for the same pins."""
    bom.metadata.timestamp = None  # type: ignore[assignment]
    return make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2)


def invalid(text: str) -> str:
    """What the schema of CycloneDX says against it; empty for nothing."""
    error = JsonStrictValidator(VERSION).validate_str(text)
    return "" if error is None else str(error)


def incomplete(content: dict[str, Any]) -> list[str]:
    """Run-time distributions that are missing, or of which something is."""
    listed = {one["name"]: one for one in content.get("components", [])}
    names = [pin.name for pin in requirements(REPOSITORY / "requirements.txt")]
    return [name for name in names if not _is_whole(listed.get(name, {}))]


def _is_whole(component: dict[str, Any]) -> bool:
    references = component.get("externalReferences", [])
    hashes = [one for reference in references for one in reference.get("hashes", [])]
    return bool(hashes) and all(component.get(key) for key in ("version", "purl", "licenses"))
