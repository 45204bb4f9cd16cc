"""Where are the histograms of a benchmark's runs kept? In ConfigMaps of their own: any percentile can be had later.

They are written once and never read by a decision. Each belongs to the ConfigMap of the runs' records, so that it goes
with the result that it is part of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.core import names
from changeover.core.manifests.common import labels_of
from changeover.core.plan import Action, Apply, Manifest, Record, Ref
from changeover.core.record_store import Place, of_records
from changeover.core.schedule import Run

RUNS_IN_ONE = 12  # at most 83 KB each (every value of 3 digits up to 10 s): below the 1 MiB that an object may have


def keep_histogram(
    spec: BenchmarkSpec, namespace: str, records: Place, run: Run, report: Mapping[str, Any]
) -> tuple[Action, ...]:
    """Actions that keep one run's histogram under the run's id; nothing for a run that has none.

    ``records`` is the first ConfigMap of the runs' records.
    The value is JSON: ``{"unit": "us", "kind": "exact" | "rounded" | "binned", "buckets": [[value, count], …]}``.
    """
    if not report.get("histogram"):
        return ()
    ref = Ref("ConfigMap", namespace, _name(spec, records.name, run))
    kept = {"unit": "us", "kind": report.get("histogramKind", ""), "buckets": report["histogram"]}
    return (
        Apply(_config_map(ref, records, run)),
        Record(ref, run.id, json.dumps(kept, separators=(",", ":"))),
    )


def _name(spec: BenchmarkSpec, records: str, run: Run) -> str:
    """The place of a run among its candidate's, which follow one another by rounds; the cross-check has its own."""
    if run.generator:
        return names.shorten(f"{records}-{run.candidate}-{run.generator}")
    scenarios = [scenario.name for scenario in spec.scenarios]
    index = (run.round - 1) * len(scenarios) + scenarios.index(run.scenario)
    return names.shorten(f"{records}-{run.candidate}-{index // RUNS_IN_ONE + 1}")


def _config_map(ref: Ref, records: Place, run: Run) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": labels_of(candidate=run.candidate),
            "ownerReferences": [of_records(records)],
        },
    }
