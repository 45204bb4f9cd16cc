"""The CRDs install, explain themselves, and show what they should in `kubectl get`; statuses fit their schema."""

from __future__ import annotations

import re
from typing import Any

import pytest
from changeover.api.crds import make_schema
from changeover.api.kinds import KINDS, Kind
from changeover.api.reasons import Reason
from hypothesis import HealthCheck, given, settings

from tests.apiserver.conftest import CRDS, GROUP_PATH
from tests.apiserver.harness import ApiServer, Client
from tests.apiserver.objects import valid
from tests.apiserver.statuses import STATUSES
from tests.cluster.shell import wait_until

SCREEN = 80  # columns
LONGEST_LIKELY = {"READY": "Unknown", "REASON": "ObjectivesHeld", "AGE": "365d"}
BY_KIND = {"FrameworkBenchmark": "benchmark-full", "CanaryMigration": "migration-full"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_crd_is_established_and_structural(kind: Kind, client: Client) -> None:
    crd = client.get(f"{CRDS}/{kind.plural}.changeover.dev").body
    conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("cmig.spec.steps", ["Weights, rising, 1 to 20", "minDuration", "Stay at least so long. Default: 10m."]),
        ("cmig.spec.decision.block", ["Length of one block of evidence", "Default: 1m."]),
        ("canarymigrations", ["Moves a route's traffic"]),
        ("fb.spec.schedule.rounds", ["Rounds measured at the least"]),
        ("fb.status.results.latency.p99", ["99th percentile, ms."]),
        ("fb.spec.scenarios", ["For type Closed.", "enum: Closed"]),
    ],
)
def test_kubectl_explains_the_fields(server: ApiServer, words: str, lines: list[str]) -> None:
    def explained() -> str:
        return re.sub(r"\s+", " ", server.kubectl("explain", words).stdout)

    wait_until(f"the API server to publish {words}", lambda: bool(explained()), seconds=20)
    for line in lines:
        assert line in explained()


@pytest.fixture
def stored(client: Client, samples: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Both full samples, created in a namespace of their own, with full statuses; kind -> path."""
    client.create("/api/v1/namespaces", {"metadata": {"name": "tables"}})
    paths = {}
    for kind in KINDS:
        sample = samples[BY_KIND[kind.name]]
        body = {**sample, "metadata": {"name": sample["metadata"]["name"], "namespace": "tables"}}
        collection = f"{GROUP_PATH}/namespaces/tables/{kind.plural}"
        client.create(collection, body)
        paths[kind.name] = f"{collection}/{sample['metadata']['name']}"
        answer = client.merge(f"{paths[kind.name]}/status?fieldValidation=Strict", {"status": dumped(kind)})
        assert answer.ok, answer.message
    return paths


def dumped(kind: Kind) -> dict[str, Any]:
    return STATUSES[kind.name].model_dump(by_alias=True, exclude_none=True)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_full_status_is_stored_as_it_was_written(kind: Kind, stored: dict[str, str], client: Client) -> None:
    status = client.get(stored[kind.name]).body["status"]
    assert status == dumped(kind)
    assert kind.status.model_validate(status) == STATUSES[kind.name]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_full_status_leaves_no_field_out(kind: Kind) -> None:
    assert missing(make_schema(kind.status), dumped(kind), "status") == []


def missing(schema: dict[str, Any], value: Any, where: str) -> list[str]:
    """Fields of a schema that a value does not fill; of a list, those that no item fills."""
    if "items" in schema:
        gaps = [set(missing(schema["items"], item, f"{where}[]")) for item in value]
        return sorted(set.intersection(*gaps)) if gaps else [where]
    fields = schema.get("properties", {})
    absent = [f"{where}.{name}" for name in fields if name not in value]
    inside = [
        gap for name, field in fields.items() if name in value for gap in missing(field, value[name], f"{where}.{name}")
    ]
    return absent + inside


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_statuses_that_the_models_take_the_api_server_takes(kind: Kind, stored: dict[str, str], client: Client) -> None:
    @settings(max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(valid(make_schema(kind.status)))
    def taken(status: dict[str, Any]) -> None:
        written = kind.status.model_validate(status).model_dump(by_alias=True, exclude_none=True)
        path = f"{stored[kind.name]}/status?dryRun=All&fieldValidation=Strict"
        answer = client.merge(path, {"status": written})
        assert answer.ok, answer.message

    taken()


def test_a_status_cannot_hold_what_the_model_does_not_know(stored: dict[str, str], client: Client) -> None:
    path = f"{stored['CanaryMigration']}/status?fieldValidation=Strict"
    answer = client.merge(path, {"status": {"phase": "Running"}})
    assert 'unknown field "status.phase"' in answer.message


@pytest.mark.parametrize(
    ("short", "header", "row"),
    [
        ("fb", "NAME READY REASON WINNER PROGRESS AGE", "web-frameworks True Published hyperlane 42/42"),
        ("cmig", "NAME READY REASON WEIGHT STEP P99 CPU AGE", "shop False WaitingEvidence 10 2/3 12.3 31.4"),
    ],
)
@pytest.mark.usefixtures("stored")
def test_kubectl_get_shows_the_columns(server: ApiServer, short: str, header: str, row: str) -> None:
    done = server.kubectl("get", short, "--namespace=tables")
    first, second = (re.sub(r" +", " ", line).strip() for line in done.stdout.splitlines())
    assert first == header
    assert second.startswith(row), second


@pytest.mark.parametrize("short", ["fb", "cmig"])
@pytest.mark.usefixtures("stored")
def test_the_table_fits_a_screen(server: ApiServer, short: str) -> None:
    """With the widest words that are likely in each column."""
    lines = server.kubectl("get", short, "--namespace=tables").stdout.splitlines()
    words = {name: value for name, value in zip(lines[0].split(), lines[1].split(), strict=True)}
    widest = {name: max(len(name), len(value), len(LONGEST_LIKELY.get(name, ""))) for name, value in words.items()}
    assert sum(widest.values()) + 3 * (len(widest) - 1) <= SCREEN, widest
    assert LONGEST_LIKELY["REASON"] in set(Reason)


def test_both_kinds_are_in_the_category(server: ApiServer) -> None:
    found = server.kubectl("api-resources", "--categories=changeover", "--output=name").stdout.split()
    assert sorted(found) == ["canarymigrations.changeover.dev", "frameworkbenchmarks.changeover.dev"]


def test_ready_can_be_waited_for(server: ApiServer, stored: dict[str, str]) -> None:
    name = stored["FrameworkBenchmark"].rpartition("/")[2]
    done = server.kubectl("wait", f"fb/{name}", "--for=condition=Ready", "--timeout=2s", "--namespace=tables")
    assert done.returncode == 0, done.stderr
