"""Does the traffic split as the route's weight says? Judged from the requests that each arm was seen to get. Pure."""

from __future__ import annotations

import math

from changeover.core.observed import Evidence

TOLERANCE_POINTS = 2.0  # percentage points that the split may be off, however many requests there were
SIGMAS = 4.0  # and that chance may be: a split by the toss of a coin is further off once in 16,000 blocks
LEAST_EXPECTED = 16  # requests; so many expected and none seen is no chance (e^-16)


def measured_percent(seen: Evidence) -> float | None:
    """Share of the requests that reached the canary, percent; None when stable is not counted or nobody asked."""
    if seen.stable is None:
        return None
    canary = seen.canary.requests if seen.canary is not None else 0
    total = canary + seen.stable.requests
    return 100 * canary / total if total else None


def disagreement(seen: Evidence, weight: int) -> str:
    """In what the split differs from the weight (percent), in words; empty when it does not, or cannot be told."""
    measured = measured_percent(seen)
    if measured is None or seen.stable is None or seen.canary is None:
        return ""  # an arm that is not counted is blindness, which is judged as such
    total, share = seen.canary.requests + seen.stable.requests, weight / 100
    chance = 100 * SIGMAS * math.sqrt(share * (1 - share) / total)
    unused = seen.canary.requests == 0 and total * share >= LEAST_EXPECTED
    if abs(measured - weight) <= max(TOLERANCE_POINTS, chance) and not unused:
        return ""
    return f"{measured:.1f} % of {total:,} requests reached the canary at weight {weight}"
