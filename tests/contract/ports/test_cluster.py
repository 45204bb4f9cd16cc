"""What the operator relies on in a Kubernetes API server; the fake and the real one agree."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from changeover.core import names
from changeover.core.conditions import parse_timestamp
from changeover.core.errors import Conflict, InvalidSpec, Unavailable
from changeover.core.plan import Manifest, Ref, identity
from changeover.core.record_store import FULL_BYTES, place_of
from changeover.ports import Event
from changeover.testing.builders import a_benchmark, a_deployment, a_migration

from tests.contract.ports.conftest import Site, in_namespace

MOST_BYTES = 1 << 20
STATUS = {
    "observedGeneration": 1,
    "conditions": [],
    "history": [],
    "traffic": {"desiredPercent": 10, "appliedPercent": 10, "measuredPercent": ""},
}


def config_map(site: Site, name: str = "records", **metadata: Any) -> Manifest:
    base = {"name": name, "namespace": site.namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": base, "data": {"a": "1"}}


def ref(site: Site, kind: str, name: str) -> Ref:
    return Ref(kind, site.namespace, name)


def migration(site: Site) -> Manifest:
    return in_namespace(a_migration(), site.namespace)


async def read(site: Site, kind: str, name: str) -> Manifest:
    found = await site.cluster.get(ref(site, kind, name))
    assert found is not None
    return found


async def test_what_is_not_there_is_none(site: Site) -> None:
    assert await site.cluster.get(ref(site, "ConfigMap", "nothing")) is None
    assert await site.cluster.get(ref(site, "HTTPRoute", "nothing")) is None


async def test_apply_creates_and_says_who_and_when(site: Site) -> None:
    made = await site.cluster.apply(migration(site))
    metadata = made["metadata"]
    assert metadata["uid"] and metadata["resourceVersion"]
    assert metadata["generation"] == 1
    assert parse_timestamp(metadata["creationTimestamp"]).microsecond == 0
    found = await read(site, "CanaryMigration", "shop")
    assert (found["apiVersion"], found["kind"]) == ("changeover.dev/v1alpha1", "CanaryMigration")
    assert found["metadata"]["uid"] == metadata["uid"]


async def test_the_schemas_defaults_are_filled_in(site: Site) -> None:
    await site.cluster.apply(migration(site))
    spec = (await read(site, "CanaryMigration", "shop"))["spec"]
    assert spec["suspend"] is False
    assert spec["metrics"] == {"source": "default", "requests": "Traefik"}
    assert spec["steps"][0]["onUndecided"] == "Hold"


async def test_applying_the_same_again_is_no_new_version(site: Site) -> None:
    first = await site.cluster.apply(config_map(site))
    second = await site.cluster.apply(config_map(site))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_a_new_spec_is_a_new_generation_and_a_label_is_not(site: Site) -> None:
    await site.cluster.apply(migration(site))
    labelled = migration(site)
    labelled["metadata"]["labels"] = {"a": "b"}
    assert (await site.cluster.apply(labelled))["metadata"]["generation"] == 1
    labelled["spec"]["suspend"] = True
    assert (await site.cluster.apply(labelled))["metadata"]["generation"] == 2


async def test_what_we_say_no_more_is_dropped_and_what_others_said_stays(site: Site) -> None:
    await site.cluster.apply(config_map(site, labels={"ours": "x", "also": "y"}))
    await site.cluster.merge(ref(site, "ConfigMap", "records"), {"data": {"theirs": "2"}})
    changed = config_map(site, labels={"ours": "z"})
    changed["data"] = {"b": "3"}
    await site.cluster.apply(changed)
    found = await read(site, "ConfigMap", "records")
    assert found["data"] == {"theirs": "2", "b": "3"}
    assert found["metadata"]["labels"] == {"ours": "z"}


async def test_what_is_there_is_not_made_again(site: Site) -> None:
    made = await site.cluster.create(config_map(site))
    changed = config_map(site)
    changed["data"] = {"a": "2"}
    with pytest.raises(Conflict):
        await site.cluster.create(changed)
    found = await read(site, "ConfigMap", "records")
    assert (identity(found), found["data"]) == (identity(made), {"a": "1"})


async def test_lists_are_found_by_all_their_labels(site: Site) -> None:
    for name, labels in (("a", {"x": "1", "y": "1"}), ("b", {"x": "1"}), ("c", {})):
        await site.cluster.apply(config_map(site, name, labels=labels))
    both = await site.cluster.list("ConfigMap", site.namespace, {"x": "1", "y": "1"})
    assert [one["metadata"]["name"] for one in both] == ["a"]
    one_label = await site.cluster.list("ConfigMap", site.namespace, {"x": "1"})
    assert [one["metadata"]["name"] for one in one_label] == ["a", "b"]
    assert {(one["apiVersion"], one["kind"]) for one in one_label} == {("v1", "ConfigMap")}


async def test_an_empty_namespace_lists_them_all(site: Site) -> None:
    await site.cluster.apply(migration(site))
    found = await site.cluster.list("CanaryMigration", "", {})
    assert site.namespace in {one["metadata"]["namespace"] for one in found}
    assert found[0]["apiVersion"] == "changeover.dev/v1alpha1"


async def test_merge_changes_what_it_names_and_null_removes(site: Site) -> None:
    await site.cluster.apply(config_map(site))
    where = ref(site, "ConfigMap", "records")
    await site.cluster.merge(where, {"data": {"b": "2"}})
    await site.cluster.merge(where, {"data": {"a": None, "nothing": None}})
    assert (await read(site, "ConfigMap", "records"))["data"] == {"b": "2"}


async def test_the_keys_of_a_config_map_come_sorted_and_not_as_they_were_written(site: Site) -> None:
    await site.cluster.apply(config_map(site))
    for key in ("c", "b"):
        await site.cluster.merge(ref(site, "ConfigMap", "records"), {"data": {key: "2"}})
    assert list((await read(site, "ConfigMap", "records"))["data"]) == ["a", "b", "c"]


async def test_a_write_of_nothing_asks_whether_an_object_is_still_the_one_that_was_read(site: Site) -> None:
    """And is none: no new version that others would have to look at, once the object was written after it was made."""
    await site.cluster.apply(migration(site))
    where = ref(site, "CanaryMigration", "shop")
    await site.cluster.merge(where, {"metadata": {"finalizers": [names.FINALIZER]}})
    seen = (await read(site, "CanaryMigration", "shop"))["metadata"]["resourceVersion"]
    same = {"metadata": {"resourceVersion": seen}}
    await site.cluster.merge(where, same)
    assert (await read(site, "CanaryMigration", "shop"))["metadata"]["resourceVersion"] == seen
    await site.cluster.apply_status(where, STATUS)
    with pytest.raises(Conflict):
        await site.cluster.merge(where, same)
    await site.cluster.delete(await read(site, "CanaryMigration", "shop"))
    with pytest.raises(Conflict):
        await site.cluster.merge(where, same)
    await site.cluster.merge(where, {"metadata": {"finalizers": []}})
    with pytest.raises(Conflict, match="gone"):
        await site.cluster.merge(where, same)
    await site.cluster.apply(migration(site))
    with pytest.raises(Conflict):
        await site.cluster.merge(where, same)


async def test_a_place_for_records_takes_what_fills_it_and_an_object_beyond_a_mebibyte_is_refused(site: Site) -> None:
    await site.cluster.apply(config_map(site))
    where = ref(site, "ConfigMap", "records")
    for n in range(10):
        await site.cluster.merge(where, {"data": {f"r{n}": "x" * (FULL_BYTES // 10)}})
    assert place_of(await read(site, "ConfigMap", "records")).is_full
    with pytest.raises(InvalidSpec):
        await site.cluster.merge(where, {"data": {"more": "x" * (MOST_BYTES - FULL_BYTES)}})


async def test_merge_with_an_old_version_or_without_an_object_is_a_conflict(site: Site) -> None:
    old = (await site.cluster.apply(config_map(site)))["metadata"]["resourceVersion"]
    where = ref(site, "ConfigMap", "records")
    await site.cluster.merge(where, {"data": {"b": "2"}})
    with pytest.raises(Conflict):
        await site.cluster.merge(where, {"metadata": {"resourceVersion": old}, "data": {"c": "3"}})
    assert "c" not in (await read(site, "ConfigMap", "records"))["data"]
    with pytest.raises(Conflict):
        await site.cluster.merge(ref(site, "ConfigMap", "nothing"), {"data": {}})


async def test_deleting_twice_is_as_good_as_once(site: Site) -> None:
    await site.cluster.apply(config_map(site))
    where = ref(site, "ConfigMap", "records")
    there = await read(site, "ConfigMap", "records")
    await site.cluster.delete(there)
    assert await site.cluster.get(where) is None
    await site.cluster.delete(there)


async def test_what_was_changed_or_made_anew_since_it_was_read_is_not_deleted(site: Site) -> None:
    await site.cluster.apply(config_map(site))
    where = ref(site, "ConfigMap", "records")
    first = await read(site, "ConfigMap", "records")
    await site.cluster.merge(where, {"data": {"b": "2"}})
    with pytest.raises(Conflict):
        await site.cluster.delete(first)
    await site.cluster.delete(await read(site, "ConfigMap", "records"))
    anew = await site.cluster.apply(config_map(site))
    of_another = {**anew, "metadata": {**anew["metadata"], "uid": first["metadata"]["uid"]}}
    with pytest.raises(Conflict):
        await site.cluster.delete(of_another)
    assert await site.cluster.get(where) is not None


async def test_apply_changes_no_object_that_is_another_than_it_names(site: Site) -> None:
    await site.cluster.apply(config_map(site))
    where = ref(site, "ConfigMap", "records")
    first = await read(site, "ConfigMap", "records")
    named = config_map(site, **identity(first))
    named["data"] = {"a": "9"}
    await site.cluster.apply(named)
    with pytest.raises(Conflict):
        await site.cluster.apply({**named, "data": {"a": "10"}})
    await site.cluster.delete(await read(site, "ConfigMap", "records"))
    with pytest.raises(Conflict):
        await site.cluster.apply({**named, "data": {"a": "11"}})
    assert await site.cluster.get(where) is None, "what is gone is not made again by who saw it before"
    del named["metadata"]["uid"]
    await site.cluster.apply(named)
    assert await site.cluster.get(where) is not None, "a version alone is no identity"


async def test_a_finalizer_holds_a_deletion_until_it_is_taken_off(site: Site) -> None:
    await site.cluster.apply(migration(site))
    where = ref(site, "CanaryMigration", "shop")
    await site.cluster.merge(where, {"metadata": {"finalizers": ["changeover.dev/release-traffic"]}})
    await site.cluster.delete(await read(site, "CanaryMigration", "shop"))
    leaving = await read(site, "CanaryMigration", "shop")
    assert leaving["metadata"]["deletionTimestamp"]
    assert leaving["metadata"]["generation"] == 2, "a deletion counts as a new generation"
    await site.cluster.merge(where, {"metadata": {"finalizers": []}})
    assert await site.cluster.get(where) is None


async def test_status_is_replaced_apart_from_the_spec(site: Site) -> None:
    await site.cluster.apply(migration(site))
    where = ref(site, "CanaryMigration", "shop")
    before = await read(site, "CanaryMigration", "shop")
    assert before["status"]["observedGeneration"] == -1
    await site.cluster.apply_status(where, {**STATUS, "objectives": []})
    await site.cluster.apply_status(where, {**STATUS, "traffic": {"desiredPercent": 0}})
    after = await read(site, "CanaryMigration", "shop")
    assert after["status"]["traffic"] == {"desiredPercent": 0, "measuredPercent": ""}
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], 1)


async def test_a_status_of_an_older_version_is_a_conflict(site: Site) -> None:
    await site.cluster.apply(migration(site))
    where = ref(site, "CanaryMigration", "shop")
    version = (await read(site, "CanaryMigration", "shop"))["metadata"]["resourceVersion"]
    await site.cluster.apply_status(where, STATUS, version)
    with pytest.raises(Conflict):
        await site.cluster.apply_status(where, {**STATUS, "traffic": {"desiredPercent": 9}}, version)
    assert (await read(site, "CanaryMigration", "shop"))["status"].get("traffic", {}).get("desiredPercent") != 9


async def test_the_same_status_again_is_no_new_version(site: Site) -> None:
    await site.cluster.apply(migration(site))
    where = ref(site, "CanaryMigration", "shop")
    versions = []
    for _ in range(2):
        await site.cluster.apply_status(where, STATUS)
        versions.append((await read(site, "CanaryMigration", "shop"))["metadata"]["resourceVersion"])
    assert versions[0] == versions[1]


async def test_there_is_nobody_to_tell_once_the_object_is_gone(site: Site) -> None:
    await site.cluster.apply_status(ref(site, "CanaryMigration", "nothing"), STATUS)
    assert await site.cluster.get(ref(site, "CanaryMigration", "nothing")) is None


def broken(site: Site) -> dict[str, Manifest]:
    bad_label = config_map(site, labels={"a": "not a label value"})
    bad_name = config_map(site, "Not_A_Name")
    bad_spec = migration(site)
    bad_spec["spec"]["steps"] = []
    unknown = migration(site)
    unknown["spec"]["unheard"] = "of"
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "1service", "namespace": site.namespace},
        "spec": {"selector": {"a": "b"}, "ports": [{"name": "http", "port": 80}]},
    }  # fmt: skip
    return {"label": bad_label, "name": bad_name, "spec": bad_spec, "field": unknown, "service": service}


@pytest.mark.parametrize("what", ["label", "name", "spec", "field"])
async def test_what_is_wrong_is_refused_as_invalid(site: Site, what: str) -> None:
    with pytest.raises(InvalidSpec):
        await site.cluster.apply(broken(site)[what])


async def test_a_wrong_status_is_refused(site: Site) -> None:
    await site.cluster.apply(migration(site))
    with pytest.raises(InvalidSpec):
        await site.cluster.apply_status(ref(site, "CanaryMigration", "shop"), {**STATUS, "traffic": {"x": 1}})


async def test_a_selector_is_for_good(site: Site) -> None:
    deployment = in_namespace(a_deployment("web"), site.namespace)
    await site.cluster.apply(deployment)
    changed = copy.deepcopy(deployment)
    changed["spec"]["selector"]["matchLabels"] = changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(InvalidSpec):
        await site.cluster.apply(changed)


async def test_a_jobs_template_is_for_good(site: Site) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "load", "image": "localhost/loader:1"}]}
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "load", "namespace": site.namespace},
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}},
    }  # fmt: skip
    await site.cluster.apply(job)
    changed = copy.deepcopy(job)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "localhost/loader:2"  # type: ignore[index]
    with pytest.raises(InvalidSpec):
        await site.cluster.apply(changed)


async def test_events_are_posted_about_an_object(site: Site) -> None:
    made = await site.cluster.apply(in_namespace(a_benchmark(), site.namespace))
    await site.cluster.emit(made, Event("Published", "x" * 3000, warning=False))
    await site.cluster.emit(made, Event("DeadlineExceeded", "late", warning=True))
    if site.name == "real":
        events = await site.cluster.list("Event", site.namespace, {})
        assert {(e["reason"], e["type"]) for e in events} == {("Published", "Normal"), ("DeadlineExceeded", "Warning")}
        assert {e["regarding"]["uid"] for e in events} == {made["metadata"]["uid"]}


async def test_a_log_that_is_not_there_is_unavailable(site: Site) -> None:
    with pytest.raises(Unavailable):
        await site.cluster.log(site.namespace, "nothing")


async def test_what_is_read_may_be_changed_without_changing_the_cluster(site: Site) -> None:
    await site.cluster.apply(config_map(site))
    found = await read(site, "ConfigMap", "records")
    found["data"]["a"] = "changed"
    assert (await read(site, "ConfigMap", "records"))["data"]["a"] == "1"


async def test_deleting_an_owner_deletes_what_it_owns(fake: Site) -> None:
    """On a real cluster the garbage collector does it, which is a controller."""
    owner = await fake.cluster.apply(in_namespace(a_benchmark(), fake.namespace))
    reference = {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": "web", "uid": owner["metadata"]["uid"],
    }  # fmt: skip
    await fake.cluster.apply(config_map(fake, ownerReferences=[reference]))
    await fake.cluster.apply(config_map(fake, "free"))
    await fake.cluster.delete(owner)
    assert await fake.cluster.get(ref(fake, "ConfigMap", "records")) is None
    assert await fake.cluster.get(ref(fake, "ConfigMap", "free")) is not None
