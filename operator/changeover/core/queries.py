"""The PromQL of a benchmark's own metrics: its placeholders are filled in for one run's pods and window. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from changeover.api.v1alpha1.own_metric import PLACEHOLDERS


def fill(query: str, namespace: str, pods: Sequence[str], seconds: float) -> str:
    """The query with the candidate's namespace, a regular expression of its pods, and the window as a PromQL duration.

    A dot in a pod's name becomes ``[.]``, which means the same inside all three kinds of quotes that PromQL knows.
    """
    values = (namespace, "|".join(pod.replace(".", "[.]") for pod in pods), f"{round(seconds)}s")
    for placeholder, value in zip(PLACEHOLDERS, values, strict=True):
        query = query.replace(placeholder, value)
    return query
