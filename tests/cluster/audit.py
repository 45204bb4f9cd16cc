"""The API server's audit log of the operator's accounts: what they asked for, and whether they were allowed to.

Nobody else's requests are written down, and no bodies: what a Secret holds does not get there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMESPACE = "changeover-system"  # whose accounts are the operators'
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": [f"system:serviceaccounts:{NAMESPACE}"]}, {"level": "None"}],
}
MOST_MEGABYTES, MOST_FILES = 50, 4  # of one file; of those before it
FORBIDDEN = 403
_LOG, _POLICY = "audit.log", "policy.json"


def flags(folder: Path) -> list[str]:
    """What kube-apiserver is to be given so that it writes its log there, where its policy is put, too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _POLICY).write_text(json.dumps(POLICY))
    return [
        f"--audit-policy-file={folder / _POLICY}", f"--audit-log-path={folder / _LOG}",
        f"--audit-log-maxsize={MOST_MEGABYTES}", f"--audit-log-maxbackup={MOST_FILES}",
    ]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A request as the authorizer saw it, and how it was answered.

    resource  with its subresource; the path for what is no resource
    decision  of the authorizer: allow, forbid, or nothing when it was not asked
    at        when, as the log has it: in UTC, to be compared as text
    """

    account: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    decision: str
    status: int
    at: str = ""

    @property
    def is_denied(self) -> bool:
        """Also what the authorizer was asked about later: to apply what is not there is to create it."""
        return self.decision == "forbid" or self.status == FORBIDDEN

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.account}: {self.verb} {self.resource}{'.' if self.group else ''}{self.group} {where}".rstrip()


def read(folder: Path) -> Iterator[Asked]:
    """What was asked so far, the files before the last included; a watch comes twice, when it begins and when it ends.

    Raises FileNotFoundError without a log.
    """
    if not (folder / _LOG).exists():
        raise FileNotFoundError(f"no audit log in {folder}; a cluster made before there was one is to be made anew")
    for path in sorted(folder.glob(f"{Path(_LOG).stem}*{Path(_LOG).suffix}")):
        with path.open() as lines:
            yield from (_asked(json.loads(line)) for line in lines if line.endswith("\n"))


def _asked(event: dict[str, Any]) -> Asked:
    about = event.get("objectRef") or {"resource": event["requestURI"].partition("?")[0]}
    resource = "/".join(about[part] for part in ("resource", "subresource") if about.get(part))
    return Asked(
        account=event["user"]["username"].rpartition(":")[2],
        verb=event["verb"],
        group=about.get("apiGroup", ""),
        resource=resource,
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        decision=(event.get("annotations") or {}).get("authorization.k8s.io/decision", ""),
        status=(event.get("responseStatus") or {}).get("code", 0),
        at=event["requestReceivedTimestamp"],
    )
