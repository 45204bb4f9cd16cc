"""The rules of Flagger, Argo Rollouts and Kayenta, re-implemented from their documentation and sources.

Each is a plausible setting, for one metric and the first step: the share of bad requests of a block against the
limit q, or against stable's.  A block is one interval of analysis.  A rule reads blocks until it decides; all of them
do so within 60 blocks, whatever they see.  Where one setting says little, there are two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from statistics import fmean, median

from changeover.core.sequential import Block, Verdict

from .steps import Outcome

Rule = Callable[[Iterable[Block], float], Outcome]
"""(blocks of the step, limit q) -> how it ended and after which block."""

KAYENTA_LOOKS = (20, 40, 60)
"""Blocks after which the growing window is judged: a lifetime of an hour, an interval of 20 minutes."""

KAYENTA_QUANTILE = 2.3263
"""Normal quantile of 99 %: the lower end of Kayenta's two-sided interval of 98 % (hard-coded in NetflixACAJudge)."""

KAYENTA_FRACTION = 0.25
"""The lower end must exceed this fraction of the estimated shift itself (`tolerance`, hard-coded there too)."""


def flagger(blocks: Iterable[Block], q: float, *, passes: int = 1, threshold: int = 5) -> Outcome:
    """Flagger (fluxcd/flagger, pkg/controller/scheduler.go; v1.44): one number against a range at each interval.

    passes      passed checks until the weight is raised: 1 is a step; 10 is a walk of ten steps at this traffic
    threshold   failed checks until rollback (`analysis.threshold`); they add up, passed checks do not reset them

    Flagger acts on the last failed check one interval later; that interval is not counted here.
    """
    passed = failed = 0
    for count, block in enumerate(blocks, 1):
        if _exceeds(block, q):
            failed += 1
        else:
            passed += 1
        if failed >= threshold:
            return Outcome(Verdict.ROLLBACK, count)
        if passed >= passes:
            return Outcome(Verdict.ADVANCE, count)
    raise ValueError("too few blocks")


def argo(blocks: Iterable[Block], q: float, *, measurements: int = 10, failure_limit: int = 0) -> Outcome:
    """Argo Rollouts' AnalysisRun as a step (argoproj/argo-rollouts, docs/features/analysis.md; v1.10).

    measurements    `count`: how often the metric is measured; as many without too many failures are a success
    failure_limit   `failureLimit` (default 0): failed measurements tolerated, one more aborts at once
    """
    failed = 0
    for count, block in enumerate(blocks, 1):
        failed += _exceeds(block, q)
        if failed > failure_limit:
            return Outcome(Verdict.ROLLBACK, count)
        if count == measurements:
            return Outcome(Verdict.ADVANCE, count)
    raise ValueError("too few blocks")


def kayenta(
    blocks: Iterable[Block], q: float, *, looks: Sequence[int] = KAYENTA_LOOKS, allowed_increase: float = 1.0
) -> Outcome:
    """Kayenta (spinnaker/kayenta, MannWhitneyClassifier.scala): canary's blocks against stable's of the same time.

    looks              blocks after which all points so far are judged; "High" fails, the last look without it passes
    allowed_increase   `effectSize.allowedIncrease`: "High" needs a ratio of the means of at least this (default 1.0)

    With one metric the score is 0 or 100, so there is no "marginal".  The limit q plays no part: the question is
    whether the canary is worse than stable.  A block without requests of an arm is no point of that arm.
    """
    canary: list[float] = []
    stable: list[float] = []
    for count, block in enumerate(blocks, 1):
        if block.canary_requests:
            canary.append(block.canary_bad / block.canary_requests)
        if block.stable_requests:
            stable.append(block.stable_bad / block.stable_requests)
        if count in looks and is_high(canary, stable, allowed_increase):
            return Outcome(Verdict.ROLLBACK, count)
        if count == max(looks):
            return Outcome(Verdict.ADVANCE, count)
    raise ValueError("too few blocks")


def is_high(canary: Sequence[float], stable: Sequence[float], allowed_increase: float = 1.0) -> bool:
    """Whether the 98 % interval of the shift lies above a quarter of the shift's estimate, and the means are apart.

    The estimate is Hodges and Lehmann's (1963), the median of all differences.  The interval of Mann and Whitney's
    test is the set of shifts that the test does not reject, so one test at that quarter says the same.
    """
    if not canary or not stable or fmean(canary) < allowed_increase * fmean(stable):
        return False
    shift = median(first - second for first in canary for second in stable)
    if shift <= 0:
        return False
    _, deviate = mann_whitney([value - KAYENTA_FRACTION * shift for value in canary], stable)
    return deviate > KAYENTA_QUANTILE


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """(U, z): the pairs in which `first` is the greater, ties counting half, and its standard normal deviate.

    Normal approximation with the variance for ties and a continuity correction of 1/2 towards zero, as R's wilcox.test
    does and Kayenta after it (Mann and Whitney 1947; Lehmann, Nonparametrics, 1975, §1.4).  z is 0 if all are equal.
    """
    marked = sorted([(value, True) for value in first] + [(value, False) for value in second])
    below = ranks = tied = 0.0
    for _, group in groupby(marked, key=lambda one: one[0]):
        members = [is_first for _, is_first in group]
        size = len(members)
        ranks += sum(members) * (below + (size + 1) / 2)
        tied += size**3 - size
        below += size
    pairs, total = len(first) * len(second), len(marked)
    wins = ranks - len(first) * (len(first) + 1) / 2
    variance = pairs / 12 * (total + 1 - tied / (total * (total - 1)))
    excess = wins - pairs / 2
    if variance <= 0:
        return wins, 0.0
    return wins, math.copysign(max(0.0, abs(excess) - 0.5), excess) / math.sqrt(variance)


def _exceeds(block: Block, q: float) -> bool:
    """Whether a check fails; without requests it does ("no values found")."""
    return block.canary_requests == 0 or block.canary_bad > q * block.canary_requests


RIVALS: dict[str, Rule] = {
    "Flagger, threshold 5": flagger,
    "Flagger, threshold 5, 10 passes": partial(flagger, passes=10),
    "Argo, count 10, failureLimit 0": argo,
    "Argo, count 10, failureLimit 3": partial(argo, failure_limit=3),
    "Kayenta-like, 60 blocks": kayenta,
    "Kayenta-like, allowedIncrease 1.5": partial(kayenta, allowed_increase=1.5),
}
"""Name -> rule."""
