"""Which writes name what they were decided on? All that change or destroy something have to (decision 0023).

The API server compares what they name, so that one which was decided on an old view, or comes late, is refused. No
name is asked of:

- a POST, which is refused where there is one of that name; an Event is told under a name of its own each time;
- an apply that made the object (201): there was no version to name, and apply cannot say "only if there is none";
- the same of who was shown a view in which there was none yet: a Deployment, Service or Job is applied as what it is
  already (decision 0023 says so), and nothing else is;
- a Lease that is made: of two who make it at once, the one who finds the other's name in the answer has lost.
"""

from __future__ import annotations

import http
from collections.abc import Sequence

from tests.trust.live.calls import Call, Record

OF_A_DELETION = ("uid", "resourceVersion")
OF_A_CHANGE = ("resourceVersion",)  # no two objects ever have the same


MADE = ("PATCH deployments/", "PATCH services/", "PATCH jobs/")


def unnamed(writes: Sequence[Record], rewound: int = 0) -> list[str]:
    """The writes that would have taken effect on whatever was there by then; `rewound` counts the old views shown."""
    return [
        f"{one.call.what} names no {' and no '.join(lacking)}"
        for one in writes
        if not _may_be_unnamed(one, rewound) and (lacking := _lacking(one.call))
    ]


def _may_be_unnamed(write: Record, rewound: int) -> bool:
    is_as_if_made = rewound > 0 and write.call.what.startswith(MADE) and not write.call.what.endswith("/status")
    made = is_as_if_made or (write.call.method == "PATCH" and write.status == http.HTTPStatus.CREATED)
    return write.call.method == "POST" or made or write.call.what.startswith("PATCH leases/")


def _lacking(call: Call) -> list[str]:
    body = call.body or {}
    if call.method == "DELETE":
        return [key for key in OF_A_DELETION if not (body.get("preconditions") or {}).get(key)]
    return [key for key in OF_A_CHANGE if not (body.get("metadata") or {}).get(key)]
