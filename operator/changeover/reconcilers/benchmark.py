"""Reconcile a FrameworkBenchmark: observe, decide, act, report."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from changeover.api.reasons import BENCHMARK_CONDITIONS, Reason
from changeover.api.v1alpha1 import BenchmarkSpec
from changeover.core import benchmark_status
from changeover.core.benchmark import decide
from changeover.core.benchmark_end import conclude
from changeover.core.errors import InvalidSpec
from changeover.core.plan import Ref
from changeover.core.probe import with_twin
from changeover.ports import Dependencies
from changeover.reconcilers.execute import CHANGED_RETRY_SECONDS, execute, retry_after
from changeover.reconcilers.observe_benchmark import observe
from changeover.reconcilers.report import Summary, report
from changeover.reconcilers.spec import invalid, plain_errors, understood
from changeover.reconcilers.workloads import parse_owner


async def reconcile_benchmark(ref: Ref, deps: Dependencies) -> float | None:
    """One pass. Returns seconds until the next look, or None when only a change can bring news."""
    body = await deps.cluster.get(ref)
    if body is None:
        deps.show(ref, None)
        return None
    owner = parse_owner(body)
    try:
        spec, unknown = understood(BenchmarkSpec, body["spec"])
        seen = await observe(owner, with_twin(spec), deps)
        seen = replace(seen, refused=unknown or seen.refused)
    except (ValidationError, InvalidSpec) as error:
        said = await report(body, invalid(plain_errors(error), owner.status), BENCHMARK_CONDITIONS, deps)
        return None if said else CHANGED_RETRY_SECONDS
    step = conclude(seen, decide(seen))
    failure = await execute(step.actions, ref, None, deps)
    if step.reason == Reason.DELETING:
        return None if failure is None else retry_after(failure)
    reason, message, conditions, fields = benchmark_status.summarise(seen, step, failure)
    summary = Summary(reason, message, conditions, fields, undone=failure is not None)
    if not await report(body, summary, BENCHMARK_CONDITIONS, deps):
        return CHANGED_RETRY_SECONDS
    return retry_after(failure) if failure is not None else step.recheck_after
