"""A metric source: exact counts over a span of absolute time; silence is NoData; the fake and a real Prometheus agree.

The real one runs on loopback over blocks that promtool makes from samples of our own, so nothing is waited for.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
import requests
from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings
from changeover.core.errors import Unavailable
from changeover.core.observed import Counts, NoData, Peak, Usage
from changeover.ports import BackendPort, Bound, CountQuery, MetricSource
from changeover.testing.metrics import Behaviour, FakeMetrics

from tests.apiserver.harness import free_ports
from tests.cluster.shell import wait_until

SCRAPE = 5
# Two hours ago and on a whole minute: old enough for a block, young enough for the retention.
START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
END = START + timedelta(seconds=60)
SAMPLES = range(-30, 91, SCRAPE)  # seconds from START; nothing before and after
RATE = 100  # requests a second, half of them to the canary, 2 % of those slow, 1 % errors
NEW, OLD, UNKNOWN = BackendPort("new", 80), BackendPort("old", 80), BackendPort("unknown", 80)
MEMORY_OF_BOTH = 'sum(container_memory_working_set_bytes{namespace="shop",pod=~"new-1|new-2"})'
BOUNDS = {"latency": Bound(0.05, 99.0)}


@dataclass
class Metered:
    source: MetricSource
    name: str


def query(backend: BackendPort) -> CountQuery:
    return CountQuery("shop", "shop", backend, BOUNDS)


@pytest.fixture
def fake() -> Metered:
    known = {"new": 0.5, "old": 0.5}

    def share(service: str, start: datetime, end: datetime) -> float | None:
        within = START - timedelta(seconds=30) <= start and end <= START + timedelta(seconds=90)
        return known.get(service) if within else None

    metrics = FakeMetrics(share, RATE)
    metrics.behaviours["new"] = Behaviour(slow_share=0.02, error_share=0.01)
    metrics.behaviours["old"] = Behaviour(slow_share=0.002)
    metrics.cores = lambda pod: 0.2 if pod.startswith("new-") else None
    metrics.values = {MEMORY_OF_BOTH: 2.0 * 64 * 2**20, "vector(1) + 1": 2.0, "scalar(vector(3))": 3.0}
    return Metered(metrics, "fake")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    program, promtool = shutil.which("prometheus"), shutil.which("promtool")
    assert program and promtool, "prometheus and promtool are needed: apt-get install prometheus"
    (folder / "samples").write_text(open_metrics())
    (folder / "config.yaml").write_text("global: {scrape_interval: 5s}\n")
    blocks = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data")]
    subprocess.run(blocks, check=True, capture_output=True)
    (port,) = free_ports(1)
    words = [program, f"--config.file={folder}/config.yaml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([*words, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until("Prometheus", lambda: is_ready(url), seconds=30, every=0.1)
        yield url
    finally:
        child.terminate()
        child.wait()


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=1).ok
    except requests.ConnectionError:
        return False


def open_metrics() -> str:
    """Traefik's histograms and cAdvisor's counters, grouped by metric as the format asks for."""
    histogram, cpu, memory = [], [], []
    for offset in SAMPLES:
        at = START.timestamp() + offset
        requests_ = (offset + 30) * RATE // 2
        for service, slow, errors in (("new", 0.02, 0.01), ("old", 0.002, 0.0)):
            labels = f'service="shop-{service}-80@kubernetesgateway",instance="gw"'
            failed = round(requests_ * errors)
            for code, total, late in (("200", requests_ - failed, round(requests_ * slow)), ("500", failed, 0)):
                for bound, value in (("0.05", total - late), ("+Inf", total)):
                    histogram.append(f'{HISTOGRAM}_bucket{{{labels},code="{code}",le="{bound}"}} {value} {at}')
        for pod in ("new-1", "new-2"):
            labels = f'namespace="shop",pod="{pod}",container="web"'
            cpu.append(f"container_cpu_usage_seconds_total{{{labels}}} {0.2 * (offset + 30)} {at}")
            memory.append(f"container_memory_working_set_bytes{{{labels}}} {64 * 2**20} {at}")
    families = ((HISTOGRAM, "unknown", histogram), ("container_cpu_usage_seconds", "counter", cpu),
                ("container_memory_working_set_bytes", "gauge", memory))  # fmt: skip
    lines = [f"# TYPE {name} {kind}\n" + "\n".join(sorted(rows, key=series_of)) for name, kind, rows in families]
    return "\n".join(lines).replace(f"# TYPE {HISTOGRAM} unknown", f"# TYPE {HISTOGRAM}_bucket unknown") + "\n# EOF\n"


HISTOGRAM = "traefik_service_request_duration_seconds"


def series_of(row: str) -> str:
    return row.rsplit(" ", 2)[0]


@pytest.fixture
def real(prometheus: str) -> Metered:
    return Metered(PrometheusSource(SourceSettings("default", prometheus, 5.0, SCRAPE)), "real")


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.apiserver)])
def metered(request: pytest.FixtureRequest) -> Metered:
    found: Metered = request.getfixturevalue(request.param)
    return found


async def test_counts_are_exact_differences(metered: Metered) -> None:
    found = await metered.source.counts(query(NEW), START, END)
    assert isinstance(found, Counts), found
    assert (found.requests, found.errors, found.slow) == (3000, 30, {"latency": 60})
    assert 0 < found.shown["latency"] <= 0.05


async def test_neighbouring_spans_add_up(metered: Metered) -> None:
    middle = START + timedelta(seconds=35)
    parts = [await metered.source.counts(query(NEW), *span) for span in ((START, middle), (middle, END))]
    assert all(isinstance(part, Counts) for part in parts)
    assert sum(part.requests for part in parts if isinstance(part, Counts)) == 3000


async def test_arms_are_told_apart(metered: Metered) -> None:
    found = await metered.source.counts(query(OLD), START, END)
    assert isinstance(found, Counts)
    assert (found.requests, found.errors, found.slow["latency"]) == (3000, 0, 6)


async def test_the_other_arm_beside_it_changes_no_count(metered: Metered) -> None:
    alone = await metered.source.counts(query(NEW), START, END)
    assert await metered.source.counts(replace(query(NEW), beside=OLD), START, END) == alone


async def test_an_unknown_backend_is_no_data(metered: Metered) -> None:
    assert isinstance(await metered.source.counts(query(UNKNOWN), START, END), NoData)


async def test_a_time_without_samples_is_no_data_and_not_zero(metered: Metered) -> None:
    later = timedelta(minutes=30)
    assert isinstance(await metered.source.counts(query(NEW), START + later, END + later), NoData)


async def test_usage_is_summed_over_pods(metered: Metered) -> None:
    found = await metered.source.usage("shop", ["new-1", "new-2"], START, END)
    assert isinstance(found, Usage), found
    assert found.cpu_cores == pytest.approx(0.4)
    assert found.memory_peak_bytes == 2 * 64 * 2**20
    assert found.span_seconds <= 60


async def test_one_unknown_pod_makes_the_usage_unknown(metered: Metered) -> None:
    assert isinstance(await metered.source.usage("shop", ["new-1", "other-1"], START, END), NoData)


async def test_no_pods_have_no_usage(metered: Metered) -> None:
    assert isinstance(await metered.source.usage("shop", [], START, END), NoData)


async def test_the_peak_is_that_of_both_arms_together(metered: Metered) -> None:
    found = await metered.source.peak([query(NEW), query(OLD)], END)
    assert isinstance(found, Peak), found
    assert found.rate == pytest.approx(RATE, rel=0.1)
    assert END - timedelta(hours=24) < found.at <= END and found.seconds >= 60


async def test_without_traffic_there_is_no_peak(metered: Metered) -> None:
    assert isinstance(await metered.source.peak([query(UNKNOWN)], END), NoData)


@pytest.mark.parametrize(
    ("expression", "number"),
    [(MEMORY_OF_BOTH, 2 * 64 * 2**20), ("vector(1) + 1", 2), ("scalar(vector(3))", 3)],
)
async def test_a_query_gives_its_one_number(metered: Metered, expression: str, number: float) -> None:
    assert await metered.source.value(expression, END) == number


@pytest.mark.parametrize("expression", ["nothing_of_that_name", "container_cpu_usage_seconds_total", "vector(0) / 0"])
async def test_a_query_without_one_number_is_no_data(metered: Metered, expression: str) -> None:
    assert isinstance(await metered.source.value(expression, END), NoData)


@pytest.mark.apiserver
async def test_a_query_that_is_no_promql_is_said_to_be_none(prometheus: str) -> None:
    source = PrometheusSource(SourceSettings("default", prometheus, 5.0, SCRAPE))
    with pytest.raises(Unavailable, match="parse error"):
        await source.value("sum(", END)


@pytest.mark.apiserver
async def test_a_query_whose_result_is_a_range_is_no_number(prometheus: str) -> None:
    source = PrometheusSource(SourceSettings("default", prometheus, 5.0, SCRAPE))
    with pytest.raises(Unavailable, match="nonsense"):
        await source.value("container_cpu_usage_seconds_total{pod='new-1'}[30s]", END)
