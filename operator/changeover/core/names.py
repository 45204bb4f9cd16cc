"""How are things that we make called and labelled? One speller, so that no two places disagree."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

FIELD_MANAGER = "changeover"
FINALIZER = "changeover.dev/release-traffic"

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_BENCHMARK = "changeover.dev/benchmark"
LABEL_CANDIDATE = "changeover.dev/candidate"
LABEL_MIGRATION = "changeover.dev/migration"
LABEL_ROUND = "changeover.dev/round"
LABEL_RUN = "changeover.dev/run"
LABEL_ROLE = "changeover.dev/component"
ROLE_CANDIDATE = "candidate"
ROLE_LOAD = "load"
ROLE_CANARY = "canary"

ANNOTATION_MARK = "changeover.dev/mark"  # on the route: the state that was written together with the weights
ANNOTATION_ABOUT = "changeover.dev/about"  # on a testers' route: stands for what it was made for
ANNOTATION_HAND_OVER = "changeover.dev/hand-over-to"  # on a user's route: the migration that may take it over
ANNOTATION_REQUESTED = "changeover.dev/requested-"  # and a verb: what a person asks for; the value is a token
ANNOTATION_RETRY = ANNOTATION_REQUESTED + "retry"  # on a benchmark: a new token starts a new run
ANNOTATION_LOADED_POD = "changeover.dev/loaded-pod"  # on a load Job: the candidate's pod that was there at its start
ANNOTATION_FROM_BENCHMARK = "changeover.dev/from-benchmark"
ANNOTATION_MEASURED_AS = "changeover.dev/measured-as"  # on a canary: stands for what a benchmark measured, see digest

MAX_NAME = 63  # a label value, and a Service's name
_HASH_DIGITS = 8


def digest(value: Any) -> str:
    """Eight hex digits that stand for a JSON-able value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def shorten(name: str, limit: int = MAX_NAME) -> str:
    """The name itself when it fits; otherwise its beginning and a hash of the whole, so that it stays unique."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - _HASH_DIGITS - 1].rstrip('-.')}-{digest(name)}"


def candidate_workload(benchmark: str, candidate: str) -> str:
    """Name of a candidate's Deployment and Service."""
    return shorten(f"{benchmark}-{candidate}")


def load_job(benchmark: str, run: str) -> str:
    """Name of the Job that loads a candidate in one run; its pods are called after it and their index (at most -15).

    Those have to be DNS labels, so dots and underscores become dashes; the digest keeps ``a.b-c`` and ``a-b.c`` apart.
    """
    return shorten(f"{benchmark}-load-{re.sub('[._]', '-', run)}-{digest(run)[:4]}", MAX_NAME - len("-15"))


def records(benchmark: str, fingerprint: str) -> str:
    """Name of the ConfigMap that holds every run of a benchmark's spec."""
    return shorten(f"{benchmark}-runs-{fingerprint}")


def canary_workload(migration: str) -> str:
    """Name of the Deployment and Service that a migration makes from a benchmark's winner."""
    return shorten(f"{migration}-canary")


def testers_route(migration: str) -> str:
    """Name of the HTTPRoute that takes a migration's testers to the canary."""
    return shorten(f"{migration}-testers")


def route_load(migration: str, purpose: str) -> str:
    """Name of the Job of a migration's own load; its pods are called after it, as in ``load_job``."""
    return shorten(f"{migration.replace('.', '-')}-{purpose}-{digest(migration)[:4]}", MAX_NAME - len("-xxxxx"))


def run_id(round_number: int, candidate: str, scenario: str) -> str:
    """Identity of one run inside a benchmark: ``r2.gin.keep-alive``."""
    return f"r{round_number}.{candidate}.{scenario}"
