"""Each event is told once to each receiver, in the form that the receiver takes, and what fails is tried again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from changeover.api.reasons import Reason
from changeover.api.v1alpha1.migration_status import NotificationStatus
from changeover.core.errors import InvalidSpec
from changeover.core.migration_state import Step
from changeover.core.notices import (
    FAILED,
    MOST_ATTEMPTS,
    SENT,
    WAITING,
    Ahead,
    Notice,
    first_due,
    message_of,
    notices,
    seconds_until_due,
)
from changeover.core.signature import Message, headers_of

from tests.unit.core.seen import NOW, mark, owner, seen

EVERYBODY = [
    {"name": kind.lower(), "type": kind, "secretRef": {"name": "hooks"}} for kind in ("Webhook", "Slack", "Teams")
]
OUTCOME = {
    "result": "RolledBack",
    "at": "2030-01-01T12:00:00Z",
    "generation": 1,
    "attempt": 1,
    "reason": "R",
    "message": "m",
}
ENDED = Step(Reason.ROLLED_BACK, "p99 71ms > 50ms; rolled back", mark=mark(0), outcome=OUTCOME)
STUCK = Step(Reason.UNDECIDED, "undecided after 24h", mark=mark(), stalled=True)
WAITS = Step(Reason.WAITING_EVIDENCE, "few requests", mark=mark())
MANY = (MOST_ATTEMPTS + 1, 2_000, 10**11, 10**400)
NOTICE = Notice("webhook", "RolledBack", "a1b2c3d4", WAITING, 0, NOW, "")


@pytest.mark.parametrize("attempts", [-1, *MANY], ids=lambda one: f"{one:.0e}" if one < 10**300 else "endless")
def test_attempts_that_somebody_else_wrote_into_status_cost_no_memory(attempts: int) -> None:
    """The wait doubles with each: of 10^11 the factor alone had 12 GB, and the operator was killed at every start."""
    told = Notice.from_dict({**NOTICE.to_dict(), "attempts": attempts})
    assert 0 <= told.attempts <= MOST_ATTEMPTS
    assert told.is_due(NOW + timedelta(hours=1))


def told(step: Step, before: list[Notice] | None = None, notify: Any = EVERYBODY) -> list[Notice]:
    status = {"notifications": [notice.to_dict() for notice in before or []]}
    return notices(seen({"notify": notify}, owner=owner(status=status)), step)


@pytest.mark.parametrize(("step", "events"), [(ENDED, ["RolledBack"] * 3), (STUCK, ["Held"] * 3), (WAITS, [])])
def test_an_end_and_a_standstill_are_told_and_nothing_else(step: Step, events: list[str]) -> None:
    assert [notice.event for notice in told(step)] == events


def test_an_event_is_told_once_and_another_attempt_is_another_event() -> None:
    first = told(ENDED)
    assert told(ENDED, first) == first
    again = told(replace(ENDED, outcome={**OUTCOME, "attempt": 2}), first)
    assert len({notice.id for notice in again}) == 6


def test_a_standstill_for_another_reason_is_another_event() -> None:
    first = told(STUCK)
    assert told(replace(STUCK, message="undecided after 25h"), first) == first
    assert len(told(replace(STUCK, reason=Reason.CONTESTED), first)) == 6


def test_who_asked_for_promotions_only_hears_of_nothing_else() -> None:
    assert told(ENDED, notify=[{**EVERYBODY[0], "events": ["Promoted"]}]) == []


def test_the_list_is_bounded_and_the_latest_stay() -> None:
    old = [replace(NOTICE, id=f"{n:08x}", state=SENT) for n in range(24)]
    kept = told(ENDED, old)
    assert len(kept) == 24
    assert [notice.id for notice in kept[:-3]] == [notice.id for notice in old[3:]]


def test_what_fails_is_tried_again_after_twice_the_time_and_given_up_in_the_end() -> None:
    notice, now, waits = NOTICE, NOW, []
    while notice.state == WAITING:
        start = now
        while not notice.is_due(now):
            now += timedelta(seconds=1)
        waits.append((now - start).total_seconds())
        notice = notice.after(now, "hooks.example.com answered 500")
    assert waits == [0, 5, 10, 20, 40, 80]
    assert (notice.state, notice.attempts, notice.message) == (FAILED, MOST_ATTEMPTS, "hooks.example.com answered 500")
    assert NOTICE.after(NOW, "").state == SENT
    assert not NOTICE.after(NOW, "").is_due(NOW + timedelta(days=1))


def test_of_what_is_due_the_one_with_the_fewest_attempts_is_first_and_then_the_first_of_the_list() -> None:
    tried, fresh, second = (replace(NOTICE, id=f"{n:08x}", attempts=int(n == 0)) for n in range(3))
    later = NOW + timedelta(seconds=5)
    assert first_due([tried, fresh, second], later) == fresh
    assert first_due([tried, replace(fresh, state=SENT)], later) == tried
    assert first_due([tried, replace(fresh, state=FAILED)], NOW) is None


def test_the_next_is_due_when_the_first_of_those_that_wait_is() -> None:
    waits = [replace(NOTICE, attempts=attempts) for attempts in (3, 2)]
    assert seconds_until_due([*waits, replace(NOTICE, state=SENT)], NOW + timedelta(seconds=4)) == 6
    assert seconds_until_due(waits, NOW + timedelta(hours=1)) == 0
    assert seconds_until_due([NOTICE.after(NOW, ""), replace(NOTICE, state=FAILED)], NOW) is None


def test_a_time_that_somebody_else_wrote_into_status_is_not_reckoned_beyond_the_calendar() -> None:
    told = Notice.from_dict({**NOTICE.to_dict(), "attempts": 6, "at": "9999-12-31T23:59:59Z"})
    assert first_due([told], NOW) is None


def test_what_a_process_tried_counts_where_status_is_behind_and_status_where_it_is_further() -> None:
    stored = [replace(NOTICE, id=f"{n:08x}", attempts=2) for n in range(3)]
    tried = replace(stored[0], attempts=3, state=SENT)
    new = replace(NOTICE, id="f" * 8)
    ahead = Ahead("u", 0, (replace(stored[2], attempts=1), replace(stored[1], message="old"), tried, new))
    assert ahead.over(stored) == [tried, *stored[1:], new]


def test_what_happened_while_status_could_not_be_written_is_still_to_be_told() -> None:
    [held] = told(STUCK, notify=EVERYBODY[:1])
    assert notices(seen({"notify": EVERYBODY}), WAITS, Ahead("u", 0, (held,))) == [held]


def test_a_notice_reads_back_from_status() -> None:
    notice = replace(NOTICE, state=FAILED, attempts=3, message="ünï")
    assert Notice.from_dict(json.loads(json.dumps(notice.to_dict()))) == notice
    for step in (STUCK, replace(STUCK, mark=None)):
        for waiting in told(step):
            assert Notice.from_dict(json.loads(json.dumps(waiting.to_dict()))) == waiting
            NotificationStatus.model_validate(waiting.to_dict())


def test_what_is_told_late_is_what_happened_and_not_what_is_true_by_then() -> None:
    """The receiver was away: by now the migration is on its way, under a later spec."""
    [waiting] = told(STUCK, notify=EVERYBODY[:1])
    status = {"notifications": [waiting.after(NOW, "hooks.example.com answered 500").to_dict()]}
    later = NOW + timedelta(minutes=5)
    now = seen({"notify": EVERYBODY}, owner=owner(status=status, generation=2), now=later)
    [stored] = notices(now, WAITS)
    bodies = [json.loads(message_of(now, WAITS, stored, one).body) for one in now.spec.notify]
    assert bodies[0]["time"] == "2030-01-01T12:00:00Z"
    assert bodies[0]["data"] == {
        "namespace": "shop", "name": "shop", "event": "Held", "reason": "Undecided", "message": "undecided after 24h",
        "weightPercent": 10, "generation": 1, "attempt": 1,
    }  # fmt: skip
    assert bodies[1] == {"text": "shop/shop: Held: undecided after 24h (at 2030-01-01T12:00:00Z, told late)"}
    assert "undecided after 24h" in json.dumps(bodies[2])


def test_what_happened_is_kept_while_it_is_to_be_told_and_cut() -> None:
    [waiting] = told(replace(STUCK, message="x" * 5000), notify=EVERYBODY[:1])
    assert waiting.happened is not None and waiting.happened.message == "x" * 1024
    assert waiting.after(NOW, "it answered 500").happened == waiting.happened
    assert waiting.after(NOW, "").happened is None
    assert replace(waiting, attempts=MOST_ATTEMPTS - 1).after(NOW, "it answered 500").happened is None


def test_a_notice_of_an_earlier_release_tells_what_is_true_now() -> None:
    assert "happened" not in NOTICE.to_dict()
    assert Notice.from_dict(NOTICE.to_dict()) == NOTICE
    assert json.loads(message_of(seen(), WAITS, NOTICE, seen({"notify": EVERYBODY}).spec.notify[1]).body) == {
        "text": "shop/shop: RolledBack: few requests"
    }


def sent(kind: str) -> dict[str, Any]:
    told_ = seen({"notify": EVERYBODY})
    receiver = next(one for one in told_.spec.notify if one.type == kind)
    content: dict[str, Any] = json.loads(message_of(told_, ENDED, NOTICE, receiver).body)
    return content


def test_a_webhook_gets_a_cloud_event() -> None:
    event = sent("Webhook")
    assert {key: event[key] for key in ("specversion", "id", "source", "type", "time", "datacontenttype")} == {
        "specversion": "1.0", "id": "a1b2c3d4", "time": "2030-01-01T12:00:00Z", "datacontenttype": "application/json",
        "source": "/apis/changeover.dev/v1alpha1/namespaces/shop/canarymigrations/shop",
        "type": "dev.changeover.canarymigration.rolledback",
    }  # fmt: skip
    assert event["data"] == {
        "namespace": "shop", "name": "shop", "event": "RolledBack", "reason": "RolledBack", "message": ENDED.message,
        "weightPercent": 0, "generation": 1, "attempt": 1,
    }  # fmt: skip


def test_slack_and_teams_get_what_they_take() -> None:
    text = "shop/shop: RolledBack: p99 71ms > 50ms; rolled back"
    assert sent("Slack") == {"text": text}
    [attachment] = sent("Teams")["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["body"][0]["text"] == text


@pytest.mark.parametrize(
    ("key", "secret"),
    [("plain words", b"plain words"), ("whsec_" + base64.b64encode(b"\x00\xff").decode(), b"\x00\xff")],
)
def test_the_signature_is_that_of_standard_webhooks(key: str, secret: bytes) -> None:
    headers = headers_of(Message("a1b2c3d4", b"{}"), key, NOW)
    at = headers["webhook-timestamp"]
    assert int(at) == NOW.timestamp()
    expected = hmac.new(secret, b"a1b2c3d4." + at.encode() + b".{}", hashlib.sha256).digest()
    version, _, signature = headers["webhook-signature"].partition(",")
    assert (version, base64.b64decode(signature)) == ("v1", expected)
    assert (headers["webhook-id"], headers["Content-Type"]) == ("a1b2c3d4", "application/cloudevents+json")


def test_a_key_that_is_no_base64_behind_its_prefix_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="is no base64 behind whsec_"):
        headers_of(Message("a1b2c3d4", b"{}"), "whsec_%", NOW)


def test_what_slack_and_teams_take_is_not_signed() -> None:
    told_ = seen({"notify": EVERYBODY})
    signed = [message_of(told_, ENDED, NOTICE, one).is_signed for one in told_.spec.notify]
    assert signed == [True, False, False]
    assert headers_of(Message("a1b2c3d4", b"{}", is_signed=False), "", NOW) == {"Content-Type": "application/json"}


def test_the_check_in_the_documentation_takes_what_is_sent_and_nothing_else() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "notifications.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code, scope)
    for key in ("plain words", "whsec_" + base64.b64encode(b"\x00\xff").decode()):
        headers = headers_of(Message("a1b2c3d4", b"{}"), key, NOW)
        assert scope["is_genuine"](headers, b"{}", key)
        assert not scope["is_genuine"](headers, b"{ }", key)
        assert not scope["is_genuine"](headers, b"{}", "another key")
        assert not scope["is_genuine"]({**headers, "webhook-timestamp": "1"}, b"{}", key)
