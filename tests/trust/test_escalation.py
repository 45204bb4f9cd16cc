"""S2: a tenant who may do everything with our two kinds, and nothing else, gains nothing by them.

Each attack is refused at admission, in words that name the field, or what the operator makes of it is harmless: it is
checked on what the reconcilers apply to a real API server, with the chart's own rights, in a namespace whose Pod
Security is `restricted`.
"""

from __future__ import annotations

from collections import Counter

import pytest
from changeover.core.plan import Ref
from pydantic import ValidationError

from tests.apiserver.test_agreement import KIND
from tests.trust.tenant.attacks import HARMLESS, PRUNED, Attack
from tests.trust.tenant.bystanders import OURS
from tests.trust.tenant.harmless import Outcome, faults
from tests.trust.tenant.stand import PLURALS, REFUSALS, Grounds, must, operator, play
from tests.trust.tenant.table import ATTACKS

LEAST_ATTACKS = 60


async def tried(attack: Attack, grounds: Grounds) -> list[str]:
    """What is wrong with how an attack ended."""
    if attack.expected == HARMLESS:
        namespace = grounds.namespace()
        answer = grounds.submit(attack.kind, attack.body(), namespace)
        if not answer.ok:
            return [f"it is refused: {answer.message[:500]}"]
        return await made_of(attack, Ref(attack.kind, namespace, answer.body["metadata"]["name"]), grounds)
    answer = grounds.submit(attack.kind, attack.body(), REFUSALS)
    if answer.ok:
        return ["it is taken"]
    if attack.field not in answer.message:
        return [f"the refusal does not name {attack.field}: {answer.message[:500]}"]
    return pruned(attack, grounds) if attack.expected == PRUNED else []


def pruned(attack: Attack, grounds: Grounds) -> list[str]:
    """Without strict validation the field is dropped, and what is stored is one of our specs, that knows no others."""
    answer = grounds.submit(attack.kind, attack.body(), REFUSALS, validation="Ignore")
    try:
        KIND[attack.kind].spec.model_validate(must(answer)["spec"])
    except ValidationError as error:
        return [f"it is kept: {error}"]
    return (
        []
        if grounds.tenant.delete(f"{OURS}/namespaces/{REFUSALS}/{PLURALS[attack.kind]}/{attack.named}").ok
        else ["it cannot be deleted"]
    )


async def made_of(attack: Attack, ref: Ref, grounds: Grounds) -> list[str]:
    """What is wrong with what the operator makes of an object that was taken."""
    before = grounds.snapshot(ref.namespace)
    async with operator(grounds) as running:
        try:
            refused = await play(grounds, running, ref)
        except Exception as error:
            return [f"unhandled: {type(error).__name__}: {error}"]
        body = grounds.admin.get(f"{OURS}/namespaces/{ref.namespace}/{PLURALS[ref.kind]}/{ref.name}").body
        after = grounds.snapshot(ref.namespace)
        kept = {key: value for key, value in before.items() if not attack.allowed or not key.endswith(attack.allowed)}
        status, sent = body.get("status") or {}, len(running.outgoing.sent)
        outcome = Outcome(ref, running.cluster, status, kept, after, refused, sent)
    return [*faults(outcome), *(why for check in attack.checks if (why := check(outcome)))]


async def test_no_attack_succeeds(grounds: Grounds) -> None:
    failed = {}
    for attack in ATTACKS:
        found = await tried(attack, grounds)
        if found:
            failed[attack.name] = found
    counted = Counter(attack.expected for attack in ATTACKS)
    print(f"\n{len(ATTACKS)} attacks ({', '.join(f'{n} {how}' for how, n in counted.items())}), {len(failed)} failures")
    for name, found in failed.items():
        print(f"{name}: {'; '.join(found)}"[:2000])
    assert failed == {}
    assert len(ATTACKS) >= LEAST_ATTACKS
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize(
    ("path", "verb"),
    [("/api/v1|pods", "create"), ("/apis/apps/v1|deployments", "create"), (f"{OURS}|frameworkbenchmarks", "status")],
)
def test_the_tenant_has_no_other_rights(path: str, verb: str, grounds: Grounds) -> None:
    prefix, plural = path.split("|")
    where = f"{prefix}/namespaces/{grounds.namespace()}/{plural}"
    answer = (
        grounds.tenant.create(where, {"metadata": {"name": "x"}})
        if verb == "create"
        else grounds.tenant.merge(f"{where}/published/status", {"status": {}})
    )
    assert answer.status == 403
