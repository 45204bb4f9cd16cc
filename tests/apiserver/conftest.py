"""One API server with the CRDs installed, shared by all tests of this folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apiserver.harness import ApiServer, Client
from tests.cluster.shell import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP_PATH = "/apis/changeover.dev/v1alpha1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.apiserver)


@contextlib.contextmanager
def with_our_kinds(*extra_args: str) -> Iterator[ApiServer]:
    """An API server with the CRDs installed."""
    # As on OpenShift: an owner reference needs rights on the owner.
    with ApiServer(["--enable-admission-plugins=OwnerReferencesPermissionEnforcement", *extra_args]) as running:
        with running.client() as client:
            for path in sorted((REPOSITORY / "crds").glob("*.yaml")):
                answer = client.create(CRDS, yaml.safe_load(path.read_text()))
                assert answer.ok, answer.message
            collections = [f"{GROUP_PATH}/{plural}" for plural in ("frameworkbenchmarks", "canarymigrations")]
            wait_until("our kinds", lambda: all(client.get(path).ok for path in collections), seconds=20, every=0.05)
        yield running


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    with with_our_kinds() as running:
        yield running


@pytest.fixture(scope="session")
def client(server: ApiServer) -> Iterator[Client]:
    with server.client() as connection:
        yield connection


@pytest.fixture(scope="session")
def samples() -> dict[str, dict[str, Any]]:
    """The objects of samples/ by file name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in (Path(__file__).parent / "samples").glob("*.yaml")}
