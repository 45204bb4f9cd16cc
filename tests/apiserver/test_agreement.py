"""Pydantic and the API server say the same of every object, and fill in the same defaults."""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import Any

import pytest
import yaml
from changeover.api.crds import make_schema
from changeover.api.kinds import KINDS, Kind
from changeover.api.v1alpha1.base import Model
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import ValidationError

from tests.apiserver.conftest import GROUP_PATH, REPOSITORY
from tests.apiserver.harness import Answer, Client
from tests.apiserver.objects import NASTY, around_the_bounds, schema_at, specs, walk

EXAMPLES = 250  # of each kind
LEAST_SHARE = 0.2  # of either verdict, or the test would say little
KIND = {kind.name: kind for kind in KINDS}
FULL = ("benchmark-full", "migration-full", "migration-minimal")
OURS = [
    pytest.param(document, id=document["metadata"]["name"])
    for path in sorted((*(REPOSITORY / "examples").glob("*.yaml"), *(REPOSITORY / "tests/apiserver/samples").glob("*")))
    for document in yaml.safe_load_all(path.read_text())
    if document["apiVersion"] == "changeover.dev/v1alpha1"
]


def dry_run(client: Client, kind: Kind, spec: Any) -> Answer:
    """What the API server says of an object with this spec, storing nothing."""
    body = {
        "apiVersion": "changeover.dev/v1alpha1",
        "kind": kind.name,
        "metadata": {"name": "sample", "namespace": "default"},
        "spec": spec,
    }
    return client.create(f"{GROUP_PATH}/namespaces/default/{kind.plural}?dryRun=All&fieldValidation=Strict", body)


def disagreement(kind: Kind, spec: dict[str, Any], answer: Answer) -> str:
    """In what pydantic and the API server's answer differ; empty when in nothing."""
    try:
        model = kind.spec.model_validate(spec)
    except ValidationError as refusal:
        return f"only pydantic refuses {spec}: {refusal}" if answer.ok else ""
    if not answer.ok:
        # A whole number written with a point is an integer to the schema, but not to its rules. Nothing is lost:
        # what is refused is never read.
        tolerable = "expected int, got float64" in answer.message
        return "" if tolerable else f"only the API server refuses {spec}: {answer.message}"
    stored = answer.body["spec"]
    if plain(stored) != plain(as_stored(model)):
        return f"the API server makes {stored} of {spec}, pydantic {as_stored(model)}"
    return "" if kind.spec.model_validate(stored) == model else f"read back, {stored} is not {spec}"


def as_stored(model: Model) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_none=True)


def plain(value: Any) -> Any:
    """Whole numbers as text: a quantity may be written either way."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("document", OURS)
def test_defaults_are_the_same(document: dict[str, Any], client: Client) -> None:
    kind = KIND[document["kind"]]
    answer = dry_run(client, kind, document["spec"])
    assert answer.ok, answer.message
    assert plain(answer.body["spec"]) == plain(as_stored(kind.spec.model_validate(document["spec"])))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_they_agree_on_drawn_objects(kind: Kind, client: Client) -> None:
    verdicts: Counter[bool] = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(make_schema(kind.spec)))
    def agree(spec: dict[str, Any]) -> None:
        answer = dry_run(client, kind, spec)
        verdicts[answer.ok] += 1
        assert not disagreement(kind, spec, answer)

    agree()
    total = verdicts.total()
    assert total >= EXAMPLES
    assert min(verdicts[True], verdicts[False]) >= LEAST_SHARE * total, verdicts


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sample", FULL)
def test_they_agree_on_every_odd_value_in_every_place(
    sample: str, samples: dict[str, dict[str, Any]], client: Client
) -> None:
    kind, spec = KIND[samples[sample]["kind"]], samples[sample]["spec"]
    schema = make_schema(kind.spec)
    tried = Counter[bool]()
    for path in places(spec, schema):
        for value in (*NASTY, *around_the_bounds(schema_at(schema, path)), LEFT_OUT, TWICE):
            changed = with_change(spec, path, value)
            answer = dry_run(client, kind, changed)
            tried[answer.ok] += 1
            assert not disagreement(kind, changed, answer), path
    assert min(tried.values()) > 100, tried


def places(spec: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str | int, ...]]:
    """One path for each field, though several candidates or steps have it."""
    return list({json.dumps(schema_at(schema, path)): path for path in walk(spec)}.values())


LEFT_OUT, TWICE = object(), object()


def with_change(spec: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy with another value in one place."""
    changed = copy.deepcopy(spec)
    holder: Any = changed
    for key in path[:-1]:
        holder = holder[key]
    last: Any = path[-1]
    if value is LEFT_OUT:
        del holder[last]
    elif value is TWICE:
        if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
    else:
        holder[last] = value
    return changed
