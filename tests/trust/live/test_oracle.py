"""The oracle of the live stories is fed each kind of nonsense, and names it; of what is in order it says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from changeover.core import names
from changeover.core.plan import Manifest

from tests.trust.live.calls import Call, Record
from tests.trust.live.ends import broken_rules
from tests.trust.live.named import unnamed
from tests.trust.live.repeated import MORE, TIMES, measured_again, told_again, too_many
from tests.trust.live.trials import references

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


def told(uid: str = "u", note: str = "it failed") -> Record:
    regarding = {"kind": "CanaryMigration", "name": "shop", "uid": uid}
    event = {"regarding": regarding, "reason": "RolledBack", "note": note}
    return wrote("POST", f"{EVENTS} events", {**said(), **event}, status=201)


def test_an_event_that_is_told_again_and_again_is_found() -> None:
    assert told_again([told()] * 500, starts=2) == ["told 500 times: CanaryMigration shop u RolledBack it failed"]
    assert len(told_again([told()] * 4, starts=2)) == 1


def test_each_start_may_tell_an_event_once_more() -> None:
    assert told_again([told()] * 3, starts=2) == []
    assert told_again([told(), told("another of the same name"), told(note="something else")], starts=0) == []


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
        [made(), kept("r1.lame.keep-alive", "Errors: 3"), kept("r1.lame.keep-alive.2"), begun("r1.lame.keep-alive.3")],
        [made(), FAIR, made("web-runs-c0d8da54-2"), begun("r1.lame.keep-alive")],
        [made(), kept("r9.lame.keep-alive", place="web-runs-c0d8da54-2"), begun("r9.lame.keep-alive")],
        [made(), FAIR, made("web-runs-c0d8da54-lame-1"), begun("r1.lame.keep-alive")],
    ],
)
def test_a_run_that_is_made_again_though_it_was_fair_is_found(writes: list[Record]) -> None:
    assert measured_again(writes) == ["web-load was made although there is a fair record of its run"]


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
    assert measured_again(writes) == []


STATUS = wrote("PATCH", f"{OURS} canarymigrations/shop/status", {"metadata": VERSION, "status": {}})
USUAL = {"PATCH canarymigrations/shop/status": 4, "PATCH jobs/one": 1, "PATCH jobs/two": 1}


def test_a_write_that_comes_again_and_again_is_found() -> None:
    most = TIMES * 4 + MORE
    assert too_many([STATUS.call] * most, USUAL, disturbed=1) == []
    [one, all_of_them] = too_many([STATUS.call] * (most + 1), USUAL, disturbed=1)
    assert one == f"PATCH canarymigrations/shop/status {most + 1} times, at most {most}"
    assert all_of_them.startswith("PATCH canarymigrations, all of them")


def test_a_name_that_never_comes_undisturbed_is_bounded_too() -> None:
    deletions = [wrote("DELETE", f"{APPS} deployments/web", {"preconditions": IDENTITY}).call]
    assert too_many(deletions * MORE, USUAL, disturbed=1) == []
    assert too_many(deletions * (MORE + 1), USUAL, disturbed=1)[0].startswith("DELETE deployments/web")
    assert too_many(deletions * (MORE + 1), USUAL, disturbed=2) == []


def test_what_is_made_under_ever_new_names_is_found_by_its_kind() -> None:
    jobs = [wrote("PATCH", f"{BATCH} jobs/j{number}", said(), status=201).call for number in range(100)]
    most = TIMES * 2 + MORE
    assert too_many(jobs, USUAL, disturbed=1) == [f"PATCH jobs, all of them 100 times, at most {most}"]


def test_what_once_went_unseen_is_named() -> None:
    """Of 2,050 such writes nothing was said: no rule was about anything but the route."""
    churn = [wrote("DELETE", f"{APPS} deployments/web"), wrote("POST", f"{APPS} deployments", said(), status=201)]
    deletions = [wrote("DELETE", f"{CORE} configmaps/web-runs-c0d8da54")]
    nonsense = [*churn * 200, *[STATUS] * 1000, *[told()] * 500, *deletions * 50]
    found = broken_rules(nonsense)
    assert sum("names no" in one for one in found) == 250
    assert sum("told 500 times" in one for one in found) == 1
    often = too_many([one.call for one in nonsense], references()["migration, promoted"].writes, disturbed=1)
    for what in ("DELETE deployments/web", "POST deployments", "PATCH canarymigrations/shop/status", "POST events",
                 "DELETE configmaps/web-runs-c0d8da54"):  # fmt: skip
        assert any(one.startswith(what) for one in often), what
