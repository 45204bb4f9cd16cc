"""Pydantic and the API server say the same of every object, and fill in the same defaults."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from changeover.api.crds import make_schema
from changeover.api.kinds import KINDS, Kind
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import ValidationError

from tests.apiserver.conftest import GROUP_PATH
from tests.apiserver.harness import Answer, Client
from tests.apiserver.objects import specs

EXAMPLES = 250  # of each kind
LEAST_SHARE = 0.15  # of either verdict, or the test would say little


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_pydantic_and_the_api_server_agree(kind: Kind, client: Client) -> None:
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
        try:
            model = kind.spec.model_validate(spec)
        except ValidationError as refusal:
            assert not answer.ok, f"only pydantic refuses {spec}: {refusal}"
            return
        assert answer.ok, f"only the API server refuses {spec}: {answer.message}"
        stored = answer.body["spec"]
        assert kind.spec.model_validate(stored) == model
        assert plain(stored) == plain(model.model_dump(by_alias=True, exclude_none=True))

    agree()
    total = verdicts.total()
    assert total >= EXAMPLES
    assert min(verdicts[True], verdicts[False]) >= LEAST_SHARE * total, verdicts


def dry_run(client: Client, kind: Kind, spec: Any) -> Answer:
    """What the API server says of an object with this spec, storing nothing."""
    body = {
        "apiVersion": "changeover.dev/v1alpha1",
        "kind": kind.name,
        "metadata": {"name": "sample", "namespace": "default"},
        "spec": spec,
    }
    path = f"{GROUP_PATH}/namespaces/default/{kind.plural}?dryRun=All&fieldValidation=Strict"
    return client.create(path, body)


def plain(value: Any) -> Any:
    """Whole numbers as text: a quantity may be written either way."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
