"""PromQL of the user's own: its placeholders are filled in for one run of a benchmark, or for a migration. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from changeover.api.v1alpha1.own_metric import PLACEHOLDERS
from changeover.core.errors import InvalidSpec

# What no kind of quotes ends at, and no regular expression minds but for the dot.
_NAME = re.compile(r"[-A-Za-z0-9._]*")


def fill(query: str, namespace: str, pods: Sequence[str], seconds: float) -> str:
    """The query with the candidate's namespace, a regular expression of its pods, and the window as a PromQL duration.

    A dot in a pod's name becomes ``[.]``, which means the same inside all three kinds of quotes that PromQL knows.
    """
    values = (_name(namespace), _regex_of(pods), f"{round(seconds)}s")
    for placeholder, value in zip(PLACEHOLDERS, values, strict=True):
        query = query.replace(placeholder, value)
    return query


def fill_for_migration(query: str, names: Mapping[str, str], pods: Sequence[str]) -> str:
    """The query with the names of a migration's parts, and a regular expression of its canary's pods."""
    known = {name: _name(value) for name, value in names.items()}
    for name, value in {**known, "podRegex": _regex_of(pods)}.items():
        query = query.replace(f"{{{{ .{name} }}}}", value)
    return query


def _regex_of(pods: Sequence[str]) -> str:
    return "|".join(_name(pod).replace(".", "[.]") for pod in pods)


def _name(text: str) -> str:
    """As it is. The API server lets no other name be; should one come all the same, nothing is asked with it."""
    if not _NAME.fullmatch(text):
        raise InvalidSpec(f"{text[:80]!r} is no name of a Kubernetes object; no query is made with it")
    return text
