"""PromQL of the user's own: its placeholders are filled in for one run of a benchmark, or for a migration. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from changeover.api.v1alpha1.own_metric import PLACEHOLDERS


def fill(query: str, namespace: str, pods: Sequence[str], seconds: float) -> str:
    """The query with the candidate's namespace, a regular expression of its pods, and the window as a PromQL duration.

    A dot in a pod's name becomes ``[.]``, which means the same inside all three kinds of quotes that PromQL knows.
    """
    values = (namespace, _regex_of(pods), f"{round(seconds)}s")
    for placeholder, value in zip(PLACEHOLDERS, values, strict=True):
        query = query.replace(placeholder, value)
    return query


def fill_for_migration(query: str, names: Mapping[str, str], pods: Sequence[str]) -> str:
    """The query with the names of a migration's parts, and a regular expression of its canary's pods."""
    for name, value in {**names, "podRegex": _regex_of(pods)}.items():
        query = query.replace(f"{{{{ .{name} }}}}", value)
    return query


def _regex_of(pods: Sequence[str]) -> str:
    return "|".join(pod.replace(".", "[.]") for pod in pods)
