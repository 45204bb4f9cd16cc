"""python -m tests.trust.promql [--examples N] [--seed N]: S4, no value leaves the string that it is put into.

Every query that the operator or the plugin builds is built anew with names that no API server would let be, and cut
into tokens: the sequence must be that of harmless names, and the strings must say what was meant. Prometheus's own
parser (promtool, where it is on the PATH) is asked about a sample, and whether our tokens are cut as it cuts them.
Each set of names is drawn from a seed of its own; those that failed are stored, and tried first from then on.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from changeover.adapters.metrics.prometheus import PrometheusSource, SourceSettings
from changeover.adapters.metrics.traefik import traefik_service
from changeover.api.v1alpha1 import MigrationSpec
from changeover.cli import explain
from changeover.cli.report import migration as page
from changeover.config import SERVICE_LABEL
from changeover.core.errors import InvalidSpec
from changeover.core.queries import fill, fill_for_migration
from changeover.ports import BackendPort, CountQuery

from tests.trust.failures import Failures
from tests.trust.outside import promtool
from tests.trust.outside.tokens import NoPromQL, Shape, shape

FAILED = Failures(Path(__file__).parent / "promql.json")
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
SPAN = (AT - timedelta(seconds=60), AT)
PLUGIN_EVERY = 25  # one set in so many is of the plugin's queries, too, which check a whole spec each time
VALUES_A_SET = 6
MOST_FOR_PROMTOOL = 2_000  # sets; it takes a time that grows with their square
QUOTES = ('"', "'", "`")
HOSTILE = (
    '"', "'", "`", "\\", "\\\\", '\\"', "\n", "\r", "\t", "\x00", "\x7f", "}", "{", '"} or up{x="', '",x=~".*', "#",
    "=~", "$1", "$", "{{ .window }}", "{{ .namespace }}", "\\n", "\\x22", "\\u0022", "\\042", "\\Q", "\\E", "|", ".*",
    "[", "]", "(", ")", "*", "(?i)", "\u2028", "\u2029", "\u201c", "\uff02", "\u0301", "\u202e", "\ufeff", "\U0001f600",
    "é", "\x85", "a", "b", "-", ".", "shop", "0", " ", "//",
)  # fmt: skip
TEMPLATES = (
    'x{namespace="{{ .namespace }}",pod=~"{{ .podRegex }}"}[{{ .window }}]',
    "x{namespace='{{ .namespace }}',pod=~'({{ .podRegex }})'}",
    "x{namespace=`{{ .namespace }}`,pod=~`{{ .podRegex }}`}",
    'label_replace(up, "a", "{{ .namespace }}", "b", "^{{ .podRegex }}$") or x # {{ .namespace }}',
)
MIGRATION = (
    'x{a="{{ .namespace }}",b=\'{{ .canaryService }}\',c=`{{ .stableService }}`,d=~"{{ .podRegex }}"}',
    'x{a="{{ .canaryWorkload }}-.+",b!~"{{ .stableWorkload }}"}[{{ .window }}]',
)
SPEC: dict[str, Any] = {
    "stable": {"service": {"name": "old", "port": 80}, "workload": {"name": "old"}},
    "canary": {"workload": {"service": {"name": "new", "port": 80}, "workload": {"name": "new"}}, "type": "Workload"},
    "traffic": {"gatewayAPI": {"route": {"name": "shop"}, "parentRefs": [{"name": "public"}]}},
    "steps": [{"weightPercent": 10}],
    "objectives": [
        {"name": "latency", "type": "Latency", "latency": {"percentile": "99", "max": "50ms"}},
        {"name": "cpu", "type": "CPU", "cpu": {"maxPercent": 40}},
    ],
}


@dataclass(frozen=True)
class Names:
    """What a query is made with."""

    namespace: str
    route: str
    service: str
    beside: str
    pods: tuple[str, ...]


PLAIN = Names("shop", "web", "new", "old", ("web-a-1", "web-a-2"))


class Heard(PrometheusSource):
    """A source that keeps what it would ask, and asks nobody."""

    def __init__(self) -> None:
        super().__init__(SourceSettings("default", "http://198.51.100.1", 5, 5), lambda query, at: [])
        self.queries: list[str] = []

    async def _ask(self, kind: str, query: str, at: float, judge: Callable[[Any], Any]) -> Any:
        self.queries.append(query)
        return judge([])


def built(names: Names) -> list[str]:
    """What the operator asks, in the order of ``meant``."""
    source = Heard()
    query = CountQuery(names.namespace, names.route, BackendPort(names.service, 80), {}, BackendPort(names.beside, 81))
    for asked in (
        source.counts(query, *SPAN),
        source.usage(names.namespace, names.pods, *SPAN),
        source.peak([query], AT),
    ):
        try:
            asked.send(None)  # nobody is waited for, so it runs to its end at once
        except StopIteration:
            continue
        raise AssertionError("a query is asked of somebody else")
    return source.queries


def meant(names: Names) -> list[list[str | None]]:
    """What the strings of each query are to say; None where it is looked at apart."""
    query = CountQuery(names.namespace, names.route, BackendPort(names.service, 80))
    other = CountQuery(names.namespace, names.route, BackendPort(names.beside, 81))
    return [
        [f"{traefik_service(query)}|{traefik_service(other)}"],
        [None, names.namespace, None],
        [traefik_service(query), "+Inf"],
    ]


def of_the_plugin(names: Names) -> list[str]:
    """What the plugin asks, or tells its user to ask; the names of a spec are checked before it comes to that."""
    body = {"metadata": {"namespace": names.namespace, "name": names.route}, "spec": SPEC}
    panels = page.queries(body, MigrationSpec.model_validate(SPEC), "60s", SERVICE_LABEL)
    return [
        *explain.queries(body, SERVICE_LABEL).values(),
        *(query for panel in panels.values() for query in panel.values()),
    ]


def filled(names: Names) -> Iterator[tuple[str, Callable[[], str]]]:
    """Queries of users: each template, and how it is filled in."""
    for template in TEMPLATES:
        yield template, lambda template=template: fill(template, names.namespace, names.pods, 15.0)  # type: ignore[misc]
    known = {
        "namespace": names.namespace, "window": "60s", "canaryService": names.service, "stableService": names.beside,
        "canaryWorkload": names.service, "stableWorkload": names.route,
    }  # fmt: skip
    for template in MIGRATION:
        yield template, lambda template=template: fill_for_migration(template, known, names.pods)  # type: ignore[misc]


_OPERATOR = [shape(query).tokens for query in built(PLAIN)]
_PLUGIN = [shape(query).tokens for query in of_the_plugin(PLAIN)]
_FILLED = [shape(make()).tokens for _, make in filled(PLAIN)]


@dataclass
class Tally:
    """What was looked at, and what was found."""

    queries: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """The seeds of the sets in which something failed."""

    def look(self, query: str, tokens: tuple[str, ...]) -> Shape | None:
        """Its shape, if it is the one that it has to be."""
        self.queries += 1
        try:
            found = shape(query)
        except NoPromQL as error:
            # U+FFFD is no name's character, and Prometheus refuses it: nothing is asked.
            if "\ufffd" not in query:
                self.failures.append(f"{error}: {query!r}")
            return None
        if found.tokens != tokens:
            self.failures.append(f"another shape: {query!r}")
        return found


def judge(names: Names, tally: Tally, plugin: bool = False) -> None:
    """Every query with these names."""
    for query, tokens, wanted in zip(built(names), _OPERATOR, meant(names), strict=True):
        found = tally.look(query, tokens)
        if found and not _says(found.values, wanted, names):
            tally.failures.append(f"says {found.values}, not {wanted}")
    if plugin:
        for query, tokens in zip(of_the_plugin(names), _PLUGIN, strict=True):
            found = tally.look(query, tokens)
            if found and "namespace" in tokens and names.namespace not in found.values:
                tally.failures.append(f"the namespace is not in {found.values}")
    for (template, make), tokens in zip(filled(names), _FILLED, strict=True):
        _judge_filled(template, make, tokens, (names, tally))


def _says(values: Sequence[str], wanted: Sequence[str | None], names: Names) -> bool:
    """Whether the strings say what was meant, and the pods' regular expression chooses them."""
    same = all(want is None or got == want for got, want in zip(values, wanted, strict=True))
    return same and (None not in wanted or _are_chosen(values[2], names.pods))


def _judge_filled(template: str, make: Callable[[], str], tokens: tuple[str, ...], of: tuple[Names, Tally]) -> None:
    names, tally = of
    try:
        query = make()
    except InvalidSpec:
        tally.refused += 1
        return
    found = tally.look(query, tokens)
    if found and '"{{ .namespace }}"' in template and names.namespace not in found.values:
        tally.failures.append(f"{names.namespace!r} is not in {found.values}")


def _are_chosen(pattern: str, pods: Sequence[str]) -> bool:
    """Whether the regular expression chooses these pods, and not one with a letter more, or another for its dot."""
    chosen = re.compile(pattern)
    others = {other for pod in pods for other in (f"{pod}x", f"x{pod}", pod.replace(".", "x"))} - set(pods)
    return all(chosen.fullmatch(pod) for pod in pods) and not any(chosen.fullmatch(other) for other in others)


def hostile(chance: random.Random) -> str:
    """A value that would like to leave its string."""
    parts = []
    for _ in range(chance.randrange(1, 7)):
        if chance.random() < 0.8:
            parts.append(chance.choice(HOSTILE))
        else:
            number = chance.randrange(0x110000 - 0x800)
            parts.append(chr(number if number < 0xD800 else number + 0x800))
    return "".join(parts)


def names_of(value: Callable[[], str]) -> Names:
    """Names made of values; every name is another."""
    return Names(value(), value(), value(), value(), (value(), value()))


def sample(values: int, seed: int) -> Tally:
    """So many random values, in sets of names, after the sets that have failed once."""
    tally = Tally()
    for set_seed in [*FAILED.read(), *(f"{seed}-{number}" for number in range(-(-values // VALUES_A_SET)))]:
        before = len(tally.failures)
        _judge_set(set_seed, tally)
        if len(tally.failures) > before:
            tally.failed.append(set_seed)
        if len(tally.failures) > 20:
            break
    return tally


def _judge_set(seed: str, tally: Tally) -> None:
    """The names that a seed gives; a fifth of them harmless: those must be filled in, not refused."""
    chance, number = random.Random(seed), int(seed.rpartition("-")[2])
    value = (lambda: "".join(chance.choices("abc-.09", k=8))) if number % 5 == 0 else (lambda: hostile(chance))
    judge(names_of(value), tally, plugin=number % PLUGIN_EVERY == 0)


def by_prometheus(sets: int, seed: int) -> tuple[str, list[str]]:
    """What promtool says: that all queries with hostile names are PromQL, and of any strings the same as we."""
    chance = random.Random(seed)
    # U+FFFD is refused by Prometheus, and a selector of a range is no rule by itself.
    queries = [q for _ in range(sets) for q in built(names_of(lambda: hostile(chance).replace("\ufffd", "")))]
    queries = [f"{'max' if query.startswith('sum') else 'count'}_over_time({query})" for query in queries]
    strings = [
        f"up{{x={chance.choice(QUOTES)}{hostile(chance)}{chance.choice((*QUOTES, ''))}}}" for _ in range(3 * sets)
    ]
    refused, theirs = promtool.refused(queries), promtool.refused(strings)
    ours = {number: _is_refused(text) for number, text in enumerate(strings)}
    differ = [number for number, is_refused in ours.items() if is_refused not in (None, number in theirs)]
    told = (
        f"promtool: {len(queries):,} of these queries, {len(refused)} refused; {len(strings):,} strings of any kind, "
        f"{len(theirs):,} refused, {len(differ)} read otherwise than by us"
    )
    return told, [*(queries[i] for i in sorted(refused)), *(strings[i] for i in differ)][:20]


def _is_refused(text: str) -> bool | None:
    """Of ``up{x=STRING}``: None where it is something else, since we know tokens and no grammar."""
    try:
        return False if shape(text).tokens == ("up", "{", "x", "=", '"', "}") else None
    except NoPromQL:
        return True


def report(values: int, seed: int) -> int:
    """Prints what was found; the number of failures."""
    started, tally = time.monotonic(), sample(values, seed)
    FAILED.add(tally.failed)
    taken = time.monotonic() - started
    print(
        f"PromQL: {values:,} values (seed {seed}), {tally.queries:,} queries built, {tally.refused:,} of users refused "
        f"for a name that is none, {len(tally.failures)} failures, {taken:.0f} s"
    )
    told, differing = "promtool is not on the PATH: Prometheus's own parser was not asked", list[str]()
    if promtool.is_there():
        told, differing = by_prometheus(min(values, MOST_FOR_PROMTOOL), seed)
    print(told, *tally.failures, *map(ascii, differing), sep="\n")
    return len(tally.failures) + len(differing)


def main() -> int:
    """Exit code 1 with failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.promql", description="S4: queries keep their shape")
    parser.add_argument("--examples", type=int, default=1_000_000, help="random values")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    return 1 if report(given.examples, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
