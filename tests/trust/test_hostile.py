"""S5: what others write into annotations, labels, statuses and logs ends no pass with an exception."""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter

from tests.trust.tenant.hostile import NEIGHBOUR, Hostile, attack, forges_a_mark, highest_weight, look, states

SEED = 7
CASES, MOST_SECONDS = 4000, 45.0
LEAST_CASES = 2000
NEIGHBOUR_EVERY = 5


async def test_nonsense_of_others_ends_no_pass_and_raises_no_weight() -> None:
    found, rng = await states(), random.Random(SEED)
    plain = {state.name: await look(state, Hostile(state.world.cluster)) for state in found}
    beside = {state.name: await look(state, Hostile(state.world.cluster), NEIGHBOUR) for state in found}
    now = {state.name: state.world.weight_of("shop", "new") or 0 for state in found}
    failures: Counter[str] = Counter()
    done, until = 0, time.monotonic() + MOST_SECONDS
    while done < CASES and (time.monotonic() < until or done < LEAST_CASES):
        state = found[done % len(found)]
        what, cluster = attack(state, rng)
        done += 1
        try:
            writes = await look(state, cluster)
            if highest_weight(writes) > max(now[state.name], highest_weight(plain[state.name])) and not forges_a_mark(
                cluster
            ):
                failures[f"{state.name}: the weight rises with {what}"] += 1
            if done % NEIGHBOUR_EVERY == 0 and cluster.replaced and not touches_both(cluster):
                cluster.writes = []
                assert await look(state, cluster, NEIGHBOUR) == beside[state.name], "the neighbour's pass differs"
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failures[
                f"{type(error).__name__} {error!s:.150} at {where.filename[-40:]}:{where.lineno}; {state.name}: {what}"
            ] += 1
    print(f"\n{done} cases in {len(found)} states, {failures.total()} failures")
    for name in list(failures)[:40]:
        print(name[:400])
    assert done >= LEAST_CASES
    assert not failures


def touches_both(cluster: Hostile) -> bool:
    """Whether what is spoilt is something that the neighbour reads for its own part, or is the neighbour's."""
    return any(
        ref.kind not in ("CanaryMigration", "FrameworkBenchmark") or ref == NEIGHBOUR for ref in cluster.replaced
    )
