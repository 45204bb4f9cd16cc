"""Reports: every number is that of status or of the records, and the page needs nothing from outside."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from changeover.api.v1alpha1 import MigrationSpec
from changeover.cli.kubectl import Kubectl, KubectlFailed
from changeover.cli.report import benchmark, migration
from changeover.cli.report.charts import percentile_curves
from changeover.cli.report.page import DataTable, Section, as_csv, make_page
from changeover.cli.target import UsageError
from changeover.core.plan import Ref
from changeover.testing.builders import NAMESPACE, a_backend, a_migration
from changeover.testing.world import World

from tests.unit.cli.fake import BENCHMARK, KINDS, MIGRATION, a_world, benchmark_world, command, configured, go_on, play

__all__ = ["play"]  # the fixture
KINDS["configmaps"] = "ConfigMap"
OUTSIDE = re.compile(r"""(?:href|src)=["']?(?!data:)([^"'\s>]+)|url\(([^)]+)\)|@import""")
NOW = datetime(2030, 1, 1, 14, 0, tzinfo=UTC)
SOURCES = {"metricSources": [{"name": "default", "url": "http://prometheus.monitoring.svc:9090"}]}


def finished_benchmark() -> World:
    world = benchmark_world()
    world.spoilt.add("r3.lame.keep-alive")
    go_on(world, 60, BENCHMARK, 9.0)
    return world


def reported(world: World, ref: Ref = BENCHMARK) -> tuple[str, dict[str, Any]]:
    body = world.cluster.peek(ref)
    assert body is not None
    kept = benchmark.collect(Kubectl(), body)
    return benchmark.make_report(body, kept), body


def cells(page: str) -> set[str]:
    return {re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", page)}


def test_a_benchmark_with_every_number_of_its_status(play: Any) -> None:
    world = finished_benchmark()
    play(world)
    page, body = reported(world)
    shown = cells(page)
    for row in body["status"]["ranking"]:
        assert {row["score"], f"{row['low']} to {row['high']}", row["relativeToFirst"]} <= shown
    for row in body["status"]["results"]:
        wanted = {row["requestsPerSecond"][key] for key in ("mean", "low", "high")}
        wanted |= {row["latency"]["p50"], row["latency"]["p99"], row["cpuPerRequest"]["mean"], row["memoryPeak"]}
        assert wanted <= shown
    assert page.count("<svg") == 4, "ranking; throughput, CPU and latencies of one scenario"
    assert "LoadGeneratorSaturated" in page, "the void run, and why"
    assert "Intel" not in page and "some CPU" in page


def test_it_opens_offline_and_is_small(play: Any) -> None:
    world = finished_benchmark()
    play(world)
    page, _ = reported(world)
    assert [found for found in OUTSIDE.findall(page) if not found[0].startswith("#") and found[1] != ""] == []
    assert "<script" not in page and len(page) < 1_500_000
    assert "prefers-color-scheme: dark" in page and "#010203" not in page, "charts take the page's ink"


def test_histograms_are_added_and_void_runs_left_out(play: Any) -> None:
    world = finished_benchmark()
    play(world)
    body = world.cluster.peek(BENCHMARK)
    assert body is not None
    kept = benchmark.collect(Kubectl(), body)
    fair = [r for r in kept.records if not r["void"] and r["candidate"] == "lame"]
    assert len(fair) == 3 and len([r for r in kept.records if r["candidate"] == "lame"]) == 4
    assert sum(kept.latencies["lame", "keep-alive"].values()) == sum(r["report"]["requests"] for r in fair)


def test_a_percentile_curve_is_that_of_the_pooled_requests() -> None:
    buckets: Counter[int] = Counter({1000: 98, 50_000: 1, 200_000: 1})
    points = [(round(one["share"], 4), round(one["one_in"], 4), one["ms"]) for one in benchmark._curve("a", buckets)]
    assert points == [(0.98, 50, 1.0), (0.99, 100, 50.0), (1.0, 100, 200.0)]


def test_a_curve_is_drawn_even_of_requests_that_all_took_as_long() -> None:
    one = list(benchmark._curve("a", Counter({1000: 500})))
    two = one + list(benchmark._curve("b", Counter({1000: 98, 200_000: 2})))
    lines = [
        re.findall(r'aria-roledescription="line mark"[^>]* d="([^"]+)"', percentile_curves(rows)) for rows in (one, two)
    ]
    assert len(lines[0]) == 1 and len(lines[1]) == 2
    xs = [float(x) for x in re.findall(r"[ML]([\d.]+),", lines[0][0])]
    assert xs[0] == 0 and max(xs) > 100, "from none of the requests to one in 500"


def test_requests_between_two_shares_took_up_to_the_later_ones_time() -> None:
    """98 % took 1 ms and 2 % took 200 ms: from 98 % on the line is at 200 ms, and not from 100 % on."""
    drawn = percentile_curves(list(benchmark._curve("a", Counter({1000: 98, 200_000: 2}))))
    [line] = re.findall(r'aria-roledescription="line mark"[^>]* d="([^"]+)"', drawn)
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+),([\d.]+)", line)]
    slow = points[-1][1]
    assert points[0][1] > slow, "y grows downwards"
    assert min(x for x, y in points if y == slow) < points[-1][0]


def test_a_benchmark_that_has_nothing_yet_is_a_page_too(play: Any) -> None:
    world = benchmark_world()
    play(world)
    page, _ = reported(world)
    assert "no status yet" in page and "<svg" not in page


def test_what_a_table_holds_can_be_taken_along() -> None:
    table = DataTable("one", ("name", "why"), (("a", 'says "no", twice'), ("b", "x")))
    assert list(csv.reader(io.StringIO(as_csv(table)))) == [["name", "why"], ["a", 'says "no", twice'], ["b", "x"]]
    page = make_page("t", "v", {}, [Section("s", tables=(table,))], {"kind": "x"})
    links = {
        name: base64.b64decode(data).decode()
        for name, data in re.findall(r'download="([^"]+)" href="data:[^;]+;base64,([^"]+)"', page)
    }
    assert json.loads(links["one.json"]) == [{"name": "a", "why": 'says "no", twice'}, {"name": "b", "why": "x"}]
    assert json.loads(links["object.json"]) == {"kind": "x"} and links["one.csv"] == as_csv(table)


def test_what_users_wrote_is_text_and_never_markup() -> None:
    evil = "<script>alert(1)</script>"
    table = DataTable("t", (evil,), ((evil,),))
    page = make_page(evil, evil, {evil: evil}, [Section(evil, evil, tables=(table,))], {evil: evil})
    assert "<script" not in page and page.count("&lt;script&gt;") == 9, "title twice, verdict, fact, section, table"


def lines_of(path: str) -> str:
    """Prometheus, which says 42 at two times, and then nothing that is a number."""
    values = [[1893499200, "42"], [1893499260, "43.5"], [1893499320, "NaN"]]
    return json.dumps({"data": {"result": [{"values": values}]}})


def promoted(play: Any) -> Any:
    world = a_world()
    go_on(world, 60)
    played = play(world)
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"config.yaml": json.dumps(SOURCES)}}
    played.everywhere, played.raw = [config], lines_of
    return played


def test_a_migration_on_one_time_axis(play: Any) -> None:
    played = promoted(play)
    body = played.world.cluster.peek(MIGRATION)
    measured = migration.collect(Kubectl(), body, NOW)
    assert measured.why == "" and set(measured.lines) == {"share", "latency", "cpu", "rate"}
    assert measured.lines["share"]["measured"] == [(1893499200.0, 42.0), (1893499260.0, 43.5)], "NaN is no number"
    page = migration.make_report(body, measured, NOW)
    assert page.count("<svg") == 1
    for entry in body["status"]["history"]:
        assert {entry["at"], f"{entry['to']} %", entry["message"]} <= cells(page)
    asked = [words[2] for words in played.commands if words[:2] == ("get", "--raw")]
    assert len(asked) == 7 and all("/prometheus:9090/proxy/api/v1/query_range" in one for one in asked)


def test_backends_are_looked_for_by_the_label_that_is_configured(play: Any) -> None:
    played = promoted(play)
    body = played.world.cluster.peek(MIGRATION)
    for source, label in (({}, "service"), ({"serviceLabel": "exported_service"}, "exported_service")):
        played.commands.clear()
        played.everywhere = [configured(**source)]
        migration.collect(Kubectl(), body, NOW)
        asked = [words[2] for words in played.commands if "traefik_" in words[-1]]
        assert len(asked) == 5 and all(f"%7B{label}%3D~" in one for one in asked)


def test_without_prometheus_the_decisions_are_left(play: Any) -> None:
    played = promoted(play)
    body = played.world.cluster.peek(MIGRATION)

    def broken(path: str) -> str:
        raise KubectlFailed("the server is currently unable to handle the request")

    played.raw = broken
    page = migration.make_report(body, migration.collect(Kubectl(), body, NOW), NOW)
    assert "Prometheus could not be asked: the server is currently unable" in page
    assert page.count("<svg") == 1, "the weight is known from the decisions"
    played.everywhere = []
    assert "cannot be asked from here" in migration.collect(Kubectl(), body, NOW).why
    played.raw = lambda path: "<html>"
    played.everywhere = [{"kind": "ConfigMap", "data": {"config.yaml": json.dumps(SOURCES)}}]
    assert "nonsense" in migration.collect(Kubectl(), body, NOW).why


def test_the_span_holds_all_that_happened() -> None:
    at = "2030-01-01T12:00:00Z"
    body = {"status": {"history": [{"at": at}], "outcome": {"at": "2030-01-01T13:00:00Z"}}}
    begin, end = migration.span_of(body, NOW)
    first = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert (begin, end) == ((first - timedelta(seconds=108)).timestamp(), (first + timedelta(seconds=3708)).timestamp())


@pytest.mark.parametrize(("target", "make"), [("fb/web", finished_benchmark), ("cmig/shop", a_world)])
def test_the_command_writes_the_page(play: Any, tmp_path: Path, target: str, make: Any) -> None:
    world = make()
    go_on(world, 3) if target == "cmig/shop" else None
    play(world)
    path = tmp_path / "report.html"
    done = command("report", target, "-o", str(path))
    assert done.exit_code == 0, done.output
    assert path.read_text().startswith("<!doctype html>") and str(path) in done.output
    assert NAMESPACE in path.read_text()


@pytest.mark.parametrize(("kind", "begins"), [("svg", b"<svg"), ("png", b"\x89PNG")])
def test_its_charts_can_be_put_into_a_document(play: Any, tmp_path: Path, kind: str, begins: bytes) -> None:
    play(finished_benchmark())
    done = command(
        "report", "fb/web", "-o", str(tmp_path / "r.html"), "--charts", str(tmp_path / "c"), "--format", kind
    )
    assert done.exit_code == 0, done.output
    names = ["ranking-1", *(f"scenario-keep-alive-{number}" for number in (1, 2, 3))]
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [f"{name}.{kind}" for name in names]
    for name in names:
        content = (tmp_path / "c" / f"{name}.{kind}").read_bytes()
        assert content.startswith(begins) and len(content) > 2000
        assert kind == "png" or b"prefers-color-scheme:dark" in content


def test_a_format_that_there_is_not_is_refused(play: Any, tmp_path: Path) -> None:
    play(finished_benchmark())
    done = command("report", "fb/web", "-o", str(tmp_path / "r.html"), "--charts", str(tmp_path), "--format", "gif")
    assert isinstance(done.exception, UsageError) and "there are svg and png" in str(done.exception)


def test_cpu_is_that_of_the_containers_and_of_no_other_deployments_pods() -> None:
    """cAdvisor tells of a pod's own cgroup, too, which is all of them once more; names may begin alike."""
    body = a_migration(stable=a_backend("shop"))
    asked = migration.queries(body, MigrationSpec.model_validate(body["spec"]), "60s", "service")["cpu"]["stable"]
    of_containers, of_pods = asked.split(" or ")
    assert 'container!="",container!="POD"' in of_containers and 'container=""' in of_pods
    [pods] = set(re.findall(r'pod=~"([^"]+)"', asked))
    assert re.fullmatch(pods, "shop-7d9f8b6c5-x2x4z") and not re.fullmatch(pods, "shop-canary-7d9f8b6c5-x2x4z")
