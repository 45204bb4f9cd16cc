"""The verbs: an annotation with a token of its own, and the operator's answer to it."""

from __future__ import annotations

import getpass
import time
from typing import Any

from changeover.cli.gather import fetch
from changeover.cli.kubectl import Kubectl
from changeover.cli.target import MIGRATION, Target, UsageError
from changeover.core import names

ANSWER_SECONDS = 15.0


def token() -> str:
    """Who, and when: readable in status, and used once."""
    return f"{_who()}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"


def _who() -> str:
    """The user's name. Where a container runs as a number that nobody knows there is none, and that stops no abort."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # the first up to Python 3.12, the last on Windows
        return "somebody"


def ask(kubectl: Kubectl, target: Target, verb: str, how: str, dry_run: bool) -> tuple[bool, str]:
    """Annotate, and wait for the answer: whether it was carried out, and what came of it. Raises UsageError."""
    if target.kind != MIGRATION and verb != "retry":
        raise UsageError(f"{verb} is for migrations; a benchmark knows retry, and spec.suspend")
    annotation = f"{names.ANNOTATION_REQUESTED}{verb}={how}"
    fetch(kubectl, target)
    if dry_run:
        return True, f"{target} would be annotated {annotation} (dry run)"
    kubectl.run("annotate", target.kind, target.name, annotation, "--overwrite")
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        answer = _answer(fetch(kubectl, target), verb, how)
        if answer is not None:
            return answer
        time.sleep(0.5)
    return (
        False,
        f"{target} {verb} asked for ({how}), and not answered after {ANSWER_SECONDS:.0f} s; does the operator run?",
    )


def _answer(body: dict[str, Any], verb: str, how: str) -> tuple[bool, str] | None:
    """What status says of this token; None while it says nothing."""
    status, name = body.get("status", {}), f"{body['kind'].lower()}/{body['metadata']['name']}"
    if status.get("retry") == how:
        return True, f"{name} {verb}: accepted; a new run begins"
    for one in status.get("requests", []):
        if (one["verb"], one["token"]) == (verb, how):
            return one["result"] == "Accepted", f"{name} {verb}: {one['result'].lower()}: {one['answer']}"
    return None
