"""A story aside: a window, a gate, a query of the user's own, and a webhook. The operator is one that takes such."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.demo import acts
from tests.demo.kube import Kube
from tests.e2e import faults
from tests.e2e.aside import patch_spec
from tests.e2e.faults import STABLE, STEPS, Lane
from tests.e2e.watching import FEW_ERRORS, LENIENT, mark, migrating, reason_of, rolled_back, weight


def waits(shop: Kube, _: Path) -> str:
    """No weight rises before its window, a gate is asked, a query of the user's rolls back, and that is told."""
    name, lane = "faults-waits", Lane("waits", STABLE, rate=50)
    opens = (datetime.now(UTC) + timedelta(seconds=90)).replace(second=0, microsecond=0)
    last = opens.minute + 20  # of each hour twenty minutes, and this one is none of them
    parts = [(opens.minute, min(last, 59)), *([(0, last - 60)] if last > 59 else [])]
    hours = {"allowed": [f"{first}-{end} * * * *" for first, end in parts], "timeZone": "Europe/Berlin"}
    queue = {"name": "queue", "type": "Query", "query": {"promQL": "vector(12)", "max": "100", "unit": "jobs"}}
    faults.apply(shop, *faults.receiver(shop))
    shop.kubectl("wait", "pod/receiver", "--for=condition=Ready", "--timeout=60s")
    notify = [{"name": "on-call", "type": "Webhook", "secretRef": {"name": "hooks"}}]
    gates = [{"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}, "timeout": "2s"}]
    asking = {"windows": hours, "notify": notify, "gates": gates}
    with faults.traffic(shop, lane), migrating(shop, lane, (name, ""), LENIENT, FEW_ERRORS, queue, **asking):
        acts.wait_until("it waits", 60, lambda: reason_of(shop, name) == "WaitingForWindow")
        acts.wait_until("the first weight", 240, lambda: weight(shop, lane) == STEPS[0])
        assert datetime.fromisoformat(mark(shop, lane)["since"]) >= opens
        objectives = shop.get("cmig", name)["spec"]["objectives"]
        objectives[-1]["query"]["promQL"] = "vector(200)"
        patch_spec(shop, name, {"objectives": objectives})
        rolled_back(shop, name)
        acts.wait_until("it was told", 30, lambda: bool(told_of(shop, name)))
        status = acts.status_of(shop, "cmig", name)
    assert status["outcome"]["reason"] == "QueryObjectiveMissed"
    first, *_, last_line = shop.kubectl("logs", "receiver").splitlines()
    asked, heard = json.loads(first), json.loads(last_line)
    question = json.loads(asked["body"])
    assert (question["type"], status["gates"][0]["state"]) == ("dev.changeover.canarymigration.gate", "Passed")
    assert datetime.fromisoformat(question["time"]) >= opens, "asked before its window"
    headers, event = heard["headers"], json.loads(heard["body"])
    assert (event["type"], event["data"]["name"]) == ("dev.changeover.canarymigration.rolledback", name)
    assert event["data"]["message"].startswith(status["outcome"]["message"])
    assert event["id"] == headers["webhook-id"] == status["notifications"][0]["id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{heard['body']}".encode()
    signature = base64.b64encode(hmac.new(faults.SIGNING_KEY.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    return f"the gate was asked: {question['type']} about {question['data']}\n  {status['outcome']['message']}"


def told_of(kube: Kube, name: str) -> list[str]:
    """Whom a migration has told."""
    told = acts.status_of(kube, "cmig", name).get("notifications", [])
    return [one["name"] for one in told if one["state"] == "Sent"]
