"""The oracle of the live stories is fed each kind of nonsense, and names it; of what is in order it says nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from changeover.core import names
from changeover.core.plan import Manifest

from tests.trust.live.calls import Call, How, Record
from tests.trust.live.ends import broken_rules
from tests.trust.live.named import unnamed
from tests.trust.live.repeated import MORE, SLACK, UNDISTURBED, Disturbed, measured_again, told_again, too_many
from tests.trust.live.trials import Trial, references, wrong_writes

CORE, APPS, BATCH, OURS = "/api/v1", "/apis/apps/v1", "/apis/batch/v1", "/apis/changeover.dev/v1alpha1"
ROUTES, EVENTS = "/apis/gateway.networking.k8s.io/v1", "/apis/events.k8s.io/v1"
VERSION = {"resourceVersion": "7"}
IDENTITY = {"uid": "u", **VERSION}


def wrote(method: str, where: str, body: Manifest | None = None, status: int = 200) -> Record:
    """A write that the API server took; `where` is its prefix, a space, and what follows the namespace."""
    prefix, _, rest = where.partition(" ")
    return Record(Call(method, f"{prefix}/namespaces/stage-1/{rest}?fieldManager=changeover", body), 1.0, status, 2.0)


def said(**metadata: Any) -> Manifest:
    return {"metadata": {"name": "web", **metadata}}


@pytest.mark.parametrize(
    ("write", "lacks"),
    [
        (wrote("DELETE", f"{APPS} deployments/web"), "no uid and no resourceVersion"),
        (
            wrote("DELETE", f"{CORE} configmaps/web", {"propagationPolicy": "Background"}),
            "no uid and no resourceVersion",
        ),
        (wrote("DELETE", f"{CORE} services/web", {"preconditions": {"uid": "u"}}), "no resourceVersion"),
        (wrote("DELETE", f"{BATCH} jobs/web", {"preconditions": VERSION}), "no uid"),
        (wrote("PATCH", f"{APPS} deployments/web", said()), "no resourceVersion"),
        (wrote("PATCH", f"{APPS} deployments/web", {"spec": {"replicas": 0}}), "no resourceVersion"),
        (wrote("PUT", f"{CORE} services/web", said()), "no resourceVersion"),
        (wrote("PUT", f"{CORE} services/web", said(), status=201), "no resourceVersion"),
        (wrote("PATCH", f"{CORE} configmaps/web", {"data": {"a": "b"}}), "no resourceVersion"),
        (wrote("PATCH", f"{ROUTES} httproutes/shop", {"metadata": {"labels": {"a": None}}}), "no resourceVersion"),
        (wrote("PATCH", f"{OURS} canarymigrations/shop", {"metadata": {"finalizers": []}}), "no resourceVersion"),
        (wrote("PATCH", f"{OURS} canarymigrations/shop/status", {"status": {}}), "no resourceVersion"),
    ],
)
def test_a_write_that_names_nothing_is_found(write: Record, lacks: str) -> None:
    assert unnamed([write]) == [f"{write.call.what} names {lacks}"]


@pytest.mark.parametrize(
    "write",
    [
        wrote("DELETE", f"{APPS} deployments/web", {"preconditions": IDENTITY}),
        wrote("PATCH", f"{APPS} deployments/web", said(), status=201),
        wrote("PATCH", f"{APPS} deployments/web", said(**IDENTITY)),
        wrote("PATCH", f"{CORE} configmaps/web", {"metadata": VERSION, "data": {"a": "b"}}),
        wrote("POST", f"{ROUTES} httproutes", said(), status=201),
        wrote("POST", f"{EVENTS} events", said(), status=201),
        wrote("PATCH", "/apis/coordination.k8s.io/v1 leases/changeover", said()),
    ],
)
def test_a_write_that_names_what_it_was_decided_on_or_cannot_is_in_order(write: Record) -> None:
    assert unnamed([write]) == []


def test_what_is_made_in_an_old_view_may_be_there_and_nothing_else_may() -> None:
    made = wrote("PATCH", f"{APPS} deployments/web", said())
    assert unnamed([made], rewound=1) == [] != unnamed([made])
    for other in (f"{CORE} configmaps/web", f"{ROUTES} httproutes/shop", f"{APPS} deployments/web/status"):
        assert unnamed([wrote("PATCH", other, said())], rewound=1) != []
    assert unnamed([wrote("DELETE", f"{APPS} deployments/web", {})], rewound=1) != []


def told(reason: str = "RolledBack", uid: str = "u", note: str = "it failed") -> Record:
    regarding = {"kind": "CanaryMigration", "name": "shop", "uid": uid}
    event = {"regarding": regarding, "reason": reason, "note": note}
    return wrote("POST", f"{EVENTS} events", {**said(), **event}, status=201)


def test_an_event_that_is_told_again_and_again_is_found() -> None:
    by = Disturbed(starts=2)
    assert told_again([told()] * 500, by) == ["told 500 times: CanaryMigration shop u RolledBack it failed"]
    assert len(told_again([told()] * 4, by)) == 1


def test_each_start_may_tell_an_event_once_more() -> None:
    assert told_again([told()] * 3, Disturbed(starts=2)) == []
    others = [told(), told(uid="another of the same name"), told(note="something else"), told(reason="Unreadable")]
    assert told_again(others, Disturbed(starts=0)) == []


def test_what_has_ended_is_not_told_again_for_a_fault() -> None:
    by = Disturbed(starts=1, faults=2)
    assert told_again([told(reason="Unreadable")] * 4, by) == []
    assert len(told_again([told(reason="Unreadable")] * 5, by)) == 1
    assert len(told_again([told(reason="RolledBack")] * 3, by)) == 1


def kept(run: str, *void: str, place: str = "web-runs-c0d8da54") -> Record:
    data = {run: json.dumps({"candidate": "lame", "void": list(void)})}
    return wrote("PATCH", f"{CORE} configmaps/{place}", {"metadata": VERSION, "data": data})


def made(place: str = "web-runs-c0d8da54") -> Record:
    return wrote("PATCH", f"{CORE} configmaps/{place}", said(), status=201)


def begun(run: str, fingerprint: str = "c0d8da54") -> Record:
    labels = {names.LABEL_RUN: f"{run}.{fingerprint}"}
    return wrote("PATCH", f"{BATCH} jobs/web-load", said(labels=labels), status=201)


FAIR = kept("r1.lame.keep-alive")
HISTOGRAM = wrote(
    "PATCH",
    f"{CORE} configmaps/web-runs-c0d8da54-lame-1",
    {"metadata": VERSION, "data": {"r2.lame.keep-alive": '{"unit":"us","kind":"exact","buckets":[[1,2]]}'}},
)


@pytest.mark.parametrize(
    "writes",
    [
        [made(), FAIR, begun("r1.lame.keep-alive")],
        [made(), FAIR, begun("r1.lame.keep-alive.2")],
        [made(), kept("r1.lame.keep-alive", "Errors"), kept("r1.lame.keep-alive.2"), begun("r1.lame.keep-alive.3")],
        [made(), FAIR, made("web-runs-c0d8da54-2"), begun("r1.lame.keep-alive")],
        [made(), kept("r9.lame.keep-alive", place="web-runs-c0d8da54-2"), begun("r9.lame.keep-alive")],
        [made(), FAIR, made("web-runs-c0d8da54-lame-1"), begun("r1.lame.keep-alive")],
    ],
)
def test_a_run_that_is_made_again_though_it_was_fair_is_found(writes: list[Record]) -> None:
    assert measured_again(writes, UNDISTURBED) == ["web-load was made although there is a fair record of its run"]


@pytest.mark.parametrize(
    "writes",
    [
        [made(), begun("r1.lame.keep-alive"), FAIR, begun("r2.lame.keep-alive"), begun("r1.fast.keep-alive")],
        [made(), kept("r1.lame.keep-alive", "MetricsMissing: none"), begun("r1.lame.keep-alive.2")],
        [made(), FAIR, begun("r1.lame.keep-alive", fingerprint="a3826d09")],  # of another spec
        [made(), FAIR, made(), begun("r1.lame.keep-alive")],  # the benchmark was made anew, and its records with it
        [made(), FAIR, wrote("DELETE", f"{CORE} configmaps/web-runs-c0d8da54"), begun("r1.lame.keep-alive")],
        [made(), HISTOGRAM, begun("r2.lame.keep-alive")],
        [made(), FAIR, wrote("DELETE", f"{BATCH} jobs/web-load", {"preconditions": IDENTITY})],
        [made(), FAIR, wrote("PATCH", f"{BATCH} jobs/shop-own-load", said(), status=201)],  # of a migration
    ],
)
def test_a_run_that_was_void_or_whose_record_is_gone_may_be_made_again(writes: list[Record]) -> None:
    assert measured_again(writes, UNDISTURBED) == []


def test_who_is_shown_an_old_view_may_begin_a_run_again_and_not_record_it() -> None:
    again = [made(), FAIR, begun("r1.lame.keep-alive")]
    assert measured_again(again, Disturbed(rewound=1)) == []
    assert len(measured_again([*again, begun("r1.lame.keep-alive")], Disturbed(rewound=1))) == 1
    applied = replace(begun("r1.lame.keep-alive"), status=200)  # that Job, in each pass on the old view
    assert measured_again([*again, applied, applied], Disturbed(rewound=1)) == []
    recorded = "r1.lame.keep-alive.2 was recorded although there is a fair record of it"
    assert measured_again([*again, kept("r1.lame.keep-alive.2")], Disturbed(rewound=1)) == [recorded]
    assert measured_again([*again, kept("r1.lame.keep-alive.2", "Errors")], Disturbed(rewound=1)) == [recorded]


STATUS = wrote("PATCH", f"{OURS} canarymigrations/shop/status", {"metadata": VERSION, "status": {}})
JOB = wrote("PATCH", f"{BATCH} jobs/one", said(), status=201)
USUAL = {"PATCH canarymigrations/shop/status": 4, "PATCH jobs/one": 1, "PATCH jobs/two": 1}


def test_a_write_that_comes_again_and_again_is_found() -> None:
    most = int(SLACK * 4) + MORE
    assert too_many([STATUS] * most, USUAL, UNDISTURBED) == []
    [one, all_of_them] = too_many([STATUS] * (most + 1), USUAL, UNDISTURBED)
    assert one == f"PATCH canarymigrations/shop/status {most + 1} times, at most {most}"
    assert all_of_them.startswith("PATCH canarymigrations, all of them")


def test_each_start_and_each_fault_may_cost_some_more() -> None:
    most = int(SLACK * 4) + MORE
    assert too_many([STATUS] * (most + 3 * MORE), USUAL, Disturbed(starts=3, faults=1)) == []
    assert too_many([STATUS] * (most + 3 * MORE + 1), USUAL, Disturbed(starts=3, faults=1)) != []


def test_runs_that_were_void_cost_what_a_run_costs_and_not_more_than_three_times() -> None:
    twice, nine_times = [JOB] * 4, [JOB] * 18
    most = int(SLACK * 2 * 4) + MORE
    assert too_many([*twice, *[STATUS] * most], USUAL, UNDISTURBED) == []
    assert too_many([*twice, *[STATUS] * (most + 1)], USUAL, UNDISTURBED) != []
    assert "PATCH jobs, all of them 18 times, at most 12" in too_many(nine_times, USUAL, UNDISTURBED)


def test_a_name_that_never_comes_undisturbed_is_bounded_too() -> None:
    deletions = [wrote("DELETE", f"{APPS} deployments/web", {"preconditions": IDENTITY})]
    assert too_many(deletions * MORE, USUAL, UNDISTURBED) == []
    assert too_many(deletions * (MORE + 1), USUAL, UNDISTURBED)[0].startswith("DELETE deployments/web")


def test_what_is_made_under_ever_new_names_is_found_by_its_kind() -> None:
    services = [wrote("PATCH", f"{CORE} services/s{number}", said(), status=201) for number in range(100)]
    assert too_many(services, USUAL, UNDISTURBED) == [f"PATCH services, all of them 100 times, at most {MORE}"]


def test_what_once_went_unseen_is_named() -> None:
    """Of 2,050 such writes nothing was said: no rule was about anything but the route."""
    churn = [wrote("DELETE", f"{APPS} deployments/web"), wrote("POST", f"{APPS} deployments", said(), status=201)]
    deletions = [wrote("DELETE", f"{CORE} configmaps/web-runs-c0d8da54")]
    nonsense = [*churn * 200, *[STATUS] * 1000, *[told()] * 500, *deletions * 50]
    found = broken_rules(nonsense)
    assert sum("names no" in one for one in found) == 250
    assert sum("told 500 times" in one for one in found) == 1
    often = too_many(nonsense, references()["migration, promoted"].writes, UNDISTURBED)
    for what in ("DELETE deployments/web", "POST deployments", "PATCH canarymigrations/shop/status", "POST events",
                 "DELETE configmaps/web-runs-c0d8da54"):  # fmt: skip
        assert any(one.startswith(what) for one in often), what


def test_a_trial_is_judged_by_what_happened_in_it() -> None:
    stage = cast(Any, SimpleNamespace(starts=1, proxy=SimpleNamespace(met=[("POST events", 1)])))
    again = [made(), FAIR, begun("r1.lame.keep-alive")]
    rewound = Trial("migration, promoted", (("POST events", 1, How.REWOUND),))
    assert wrong_writes(again, rewound, stage) == []
    assert len(wrong_writes(again, Trial("migration, promoted"), stage)) == 1
    assert len(wrong_writes([STATUS] * 100, rewound, stage)) == 2
    assert wrong_writes([STATUS] * 100, Trial("a story that has no reference yet"), stage) == []
