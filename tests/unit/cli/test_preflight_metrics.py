"""preflight of a metric source: is it as the operator takes it to be? Each with its mend, before a weight moves."""

from __future__ import annotations

import re
from typing import Any

import pytest
from changeover.adapters.metrics.traefik import BUCKETS
from changeover.cli.kubectl import KubectlFailed

from tests.unit.cli.fake import OPERATOR, Scraped, checked, configured, play, well

__all__ = ["play"]  # the fixture


def said_of(text: str, what: str) -> str:
    """The one line about it, with what was folded."""
    [line] = [one for one in re.sub(r"\s*\n\s+", " ", text).splitlines() if what in one]
    return line


def preflight(play: Any, scraped: Scraped, code: int, source: dict[str, Any] | None = None, **spec: Any) -> str:
    played = well(play, **spec)
    played.raw, played.everywhere = scraped, [OPERATOR, configured(**(source or {}))]
    return checked(code)


def latency(*bounds: str) -> list[dict[str, Any]]:
    return [
        {"name": f"l{number}", "type": "Latency", "latency": {"percentile": "99", "max": bound}}
        for number, bound in enumerate(bounds)
    ]


@pytest.mark.parametrize(
    ("every", "source", "sign", "said"),
    [
        (15.2, {}, "✔", "every 15.2 s, as scrapeIntervalSeconds says"),
        (17.9, {}, "✔", "as scrapeIntervalSeconds says"),
        (5.0, {}, "✔", "every 5 s; scrapeIntervalSeconds says 15, so evidence waits for longer"),
        (29.98, {"scrapeIntervalSeconds": 5}, "✖", "every 30 s, and scrapeIntervalSeconds says 5: fresh ones count as"),
        (18.1, {}, "✖", "set it to 18 in the chart's values"),
        (1.3, {"scrapeIntervalSeconds": 1}, "✖", "set it to 2 in the chart's values"),
    ],
)
def test_how_often_the_gateway_is_scraped(
    play: Any, every: float, source: dict[str, Any], sign: str, said: str
) -> None:
    text = preflight(play, Scraped(every), 1 if sign == "✖" else 0, source)
    line = said_of(text, "scrapes of the gateway")
    assert line.startswith(sign) and said in line


def test_one_scrape_that_failed_does_not_make_it_slow_and_one_too_soon_not_quick(play: Any) -> None:
    class Young(Scraped):
        def result(self, query: str) -> list[dict[str, Any]]:
            found = super().result(query)
            return [
                {**one, "values": [one["values"][n] for n in (0, 1, 3)]} if "values" in one else one
                for one in found[-1:]
            ]

    assert said_of(preflight(play, Young(), 0), "scrapes of the gateway").startswith("✔"), (
        "the longer of two gaps is one that failed"
    )

    class Once(Scraped):
        def result(self, query: str) -> list[dict[str, Any]]:
            found = super().result(query)
            for one in found:
                if "values" in one:
                    at, value = one["values"][0]
                    one["values"] = [[at, value], [at + 1, value], *one["values"][1:7], *one["values"][10:]]
            return found

    line = said_of(preflight(play, Once(), 0), "scrapes of the gateway")
    assert line.startswith("✔") and "every 15 s, as scrapeIntervalSeconds says" in line


@pytest.mark.parametrize("samples", [0, 2])
def test_two_samples_are_not_enough_to_know(play: Any, samples: int) -> None:
    text = preflight(play, Scraped(samples=samples), 0)
    for what in ("scrapes of the gateway", "CPU of stable"):
        assert said_of(text, what).startswith("⚠") and "not known yet" in said_of(text, what)


def test_kubelets_with_a_slower_pace_are_a_warning_with_the_shortest_block(play: Any) -> None:
    line = said_of(preflight(play, Scraped(kubelets=40.0), 0), "CPU of stable")
    assert line.startswith("⚠") and "every 40 s" in line and "let it last 80 s or more" in line
    assert said_of(preflight(play, Scraped(), 0), "CPU of stable").startswith("✔")


def test_cpu_is_asked_for_where_it_is_judged_only(play: Any) -> None:
    played = well(play)
    assert "CPU of stable" in checked(0)
    [asked] = [words[2] for words in played.commands if "%5B10m%5D" in words[-1] and "container_cpu" in words[-1]]
    assert "namespace%3D%22shop%22%2Cpod%3D~%22old-.%2A%22" in asked
    assert "CPU of stable" not in preflight(play, Scraped(kubelets=40.0), 0, objectives=latency("50ms"))


@pytest.mark.parametrize(
    ("bound", "sign", "said"),
    [
        ("50ms", "✔", "the histogram has this bucket"),
        ("30ms", "⚠", "judged at 25 ms, the next lower bucket, which is stricter"),
        ("30ms", "⚠", "--metrics.prometheus.buckets=0.025,0.03,0.05,0.1"),
        ("2s", "⚠", "judged at 100 ms"),
        ("10ms", "✖", "no histogram bucket at or under 10 ms, so there is never evidence; run Traefik with"),
        ("10ms", "✖", "--metrics.prometheus.buckets=0.01,0.025,0.05,0.1"),
    ],
)
def test_a_bound_needs_a_bucket(play: Any, bound: str, sign: str, said: str) -> None:
    text = preflight(play, Scraped(), 1 if sign == "✖" else 0, objectives=latency(bound))
    line = said_of(text, "objective l0").rstrip()
    assert line.startswith(sign) and said in line
    assert "inf" not in line, "the flag that is shown can be used as it is"


def test_each_latency_objective_is_looked_at(play: Any) -> None:
    text = preflight(play, Scraped(buckets=("0.1", "0.3", "1.2", "5", "+Inf")), 1, objectives=latency("300ms", "50ms"))
    assert said_of(text, "objective l0: 300 ms").startswith("✔")
    assert said_of(text, "objective l1: 50 ms").startswith("✖"), "Traefik's own buckets begin at 100 ms"


OPERATORS = {"serviceLabel": "exported_service"}


def test_a_label_that_became_another_on_the_way(play: Any) -> None:
    line = said_of(preflight(play, Scraped(label="exported_service"), 1), "serviceLabel")
    assert line.startswith("✖") and "is service, and exported_service names the backends" in line
    assert "set metricSources[].serviceLabel: exported_service" in line and "or honorLabels: true" in line
    line = said_of(preflight(play, Scraped(), 1, OPERATORS), "serviceLabel")
    assert line.startswith("✖") and "set metricSources[].serviceLabel: service" in line and "honorLabels" not in line
    assert said_of(preflight(play, Scraped(label="exported_service"), 0, OPERATORS), "serviceLabel").startswith("✔")


def test_before_the_first_request_neither_label_nor_buckets_are_spoken_of(play: Any) -> None:
    class Unasked(Scraped):
        def result(self, query: str) -> list[dict[str, Any]]:
            return [] if BUCKETS in query else super().result(query)

    text = preflight(play, Unasked(), 0)
    assert "serviceLabel" not in text and "objective" not in text and "they come with the first request" in text


def test_what_cannot_be_asked_is_a_warning(play: Any) -> None:
    def broken(path: str) -> str:
        raise KubectlFailed("services is forbidden")

    played = well(play)
    played.raw = broken
    warned = [line for line in checked(0).splitlines() if "could not be asked: services is forbidden" in line]
    assert len(warned) == 6 and all(line.startswith("⚠") for line in warned)


QUEUE = {"name": "queue", "type": "Query", "query": {"promQL": "max(queue_length)", "max": "100"}}


@pytest.mark.parametrize(("source", "code"), [({}, 1), ({"allowQueries": False}, 1), ({"allowQueries": True}, 0)])
def test_a_query_needs_a_source_that_takes_it(play: Any, source: dict[str, Any], code: int) -> None:
    text = preflight(play, Scraped(), code, source, objectives=[*latency("50ms"), QUEUE])
    assert ("takes no queries of resources" in re.sub(r"\s+", " ", text)) == bool(code)
    assert "queries of resources" not in preflight(play, Scraped(), 0, source)
