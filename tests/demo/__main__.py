"""make demo: the main job, told while it happens."""

from __future__ import annotations

import argparse
import sys
import time

from tests.demo import acts
from tests.demo.kube import CommandFailed, Kube, current, local

NAMESPACE = "demo"
BENCHMARK_SECONDS = 1800
MIGRATION_SECONDS = 1500
ACCEPTANCE_SECONDS = 300
BEGUN = time.monotonic()


def say(text: str) -> None:
    """A line of the story."""
    print(f"[{time.monotonic() - BEGUN:5.0f} s] {text}", flush=True)


def title(text: str) -> None:
    """The headline of an act."""
    print(f"\n=== {text}", flush=True)


def main() -> int:
    """Exit code 0 when all three ended as they should."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.demo", description=__doc__)
    parser.add_argument("--cluster", choices=["local", "current"], default="local")
    asked = parser.parse_args()
    try:
        kube = local(NAMESPACE) if asked.cluster == "local" else current(NAMESPACE)
        check_prerequisites(kube)
        tell(kube)
    except CommandFailed as failure:
        print(f"\nThe demonstration stopped:\n{failure}", file=sys.stderr)
        return 1
    return 0


def check_prerequisites(kube: Kube) -> None:
    """Say at once what is missing, rather than fail in the middle. Raises CommandFailed."""
    needs = {
        "a cluster that answers": "version",
        "the Gateway API's CRDs (its standard channel)": "get crd httproutes.gateway.networking.k8s.io",
        "a Gateway named public in namespace gateway": "-n gateway get gateway public",
        "Prometheus as Service prometheus:9090 in namespace monitoring": "-n monitoring get service prometheus",
        "a node labelled changeover.dev/role=candidate": "get node -l changeover.dev/role=candidate -o name",
        "a node labelled changeover.dev/role=load": "get node -l changeover.dev/role=load -o name",
    }
    missing = []
    for what, arguments in needs.items():
        try:
            if not kube.run("kubectl", *arguments.split()).strip():
                missing.append(what)
        except CommandFailed:
            missing.append(what)
    if missing:
        raise CommandFailed("the cluster lacks:\n- " + "\n- ".join(missing))


def tell(kube: Kube) -> None:
    """The whole story."""
    title("The operator is installed by its chart")
    acts.install(kube)
    say("helm says it is ready. Look: kubectl -n changeover-system get pods")
    acts.make_namespace(kube)
    acts.clear(kube)
    rank(kube)
    title("A shop runs on Express; live traffic begins: 400 requests a second through the gateway")
    acts.start_shop(kube)
    acts.start_traffic(kube)
    say(f"{acts.BEFORE_SECONDS} s of it, so that there is a before to compare with")
    time.sleep(acts.BEFORE_SECONDS)
    migrate(kube)
    roll_back(kube)
    report = acts.stop_traffic(kube)
    sent, failed = acts.sent_and_failed(report)
    title("What the shop's customers saw")
    say(f"{sent:,} requests in all, {failed} failed")
    if failed:
        raise CommandFailed(f"{failed} requests failed")


def rank(kube: Kube) -> None:
    """Which backend should we move to?"""
    title("Which backend? A FrameworkBenchmark measures three, one after another, on the same node")
    say("Look: kubectl -n demo get fb -w;  kubectl -n demo describe fb web-frameworks")
    kube.apply("examples/web-frameworks.yaml")
    told = ""
    for status in acts.follow(kube, "fb", "web-frameworks", BENCHMARK_SECONDS):
        progress = status.get("progress", {})
        now = progress.get("current", {})
        line = f"{progress.get('text', '')} runs; {now.get('candidate', '')} {now.get('scenario', '')}".strip()
        if line != told and now:
            say(line)
            told = line
    print_ranking(status)
    if acts.condition(status, "Succeeded").get("status") != "True":
        raise CommandFailed(acts.condition(status, "Ready").get("message", "the benchmark published nothing"))


def print_ranking(status: acts.Status) -> None:
    """The tables that one would bet a migration on."""
    head = f"{'#':>2} {'candidate':<14} {'score':>12} {'95 % interval':>25} {'vs first':>9} {'interval':>16}"
    has_raw = any(row["class"] == "Raw" for row in status.get("ranking", []))
    print(f"\n  {head}{'  class' if has_raw else ''}  tied with")
    for row in status.get("ranking", []):
        interval = f"[{float(row['low']):,.0f}, {float(row['high']):,.0f}]"
        tied = ", ".join(row.get("tiedWith", []))
        share, score = f"{100 * float(row['relativeToFirst']):.0f} %", float(row["score"])
        against = " to ".join(f"{100 * float(row[end]):.0f}" for end in ("relativeLow", "relativeHigh")) + " %"
        places = f"{row['rank']:>2} {row['candidate']:<14} {score:>12,.0f} {interval:>25} {share:>9} {against:>16}"
        kind = f"  {row['class']:<5}" if has_raw else ""
        print(f"  {places}{kind}  {tied}")
        for text in row.get("missed", []):
            print(f"     missed: {text}")
    columns = ("req/s", "p50 ms", "p99 ms", "max ms", "errors", "CPU us/req", "memory")
    print(f"\n  {'candidate':<14} {'scenario':<12}" + "".join(f"{name:>11}" for name in columns))
    for r in status.get("results", []):
        latency, speed = r.get("latency", {}), float(r.get("requestsPerSecond", {}).get("mean", 0))
        memory = f"{float(r['memoryPeak']) / 2**20:.0f} MiB" if r.get("memoryPeak") else ""
        figures = (f"{speed:,.0f}", *(latency.get(key, "") for key in ("p50", "p99", "max")), r["errors"])
        cells = (*figures, short(r.get("cpuPerRequest")), memory)
        print(f"  {r['candidate']:<14} {r['scenario']:<12}" + "".join(f"{cell:>11}" for cell in cells))
    for r in status.get("results", []):
        for note in r.get("notes", []):
            print(f"  note: {r['candidate']} {r['scenario']}: {note}")
        for failed in r.get("conformance", []):
            print(f"  failed check: {r['candidate']} {r['scenario']}: {failed}")
    print()
    say(acts.condition(status, "Ready").get("message", ""))


def short(estimate: dict[str, str] | None) -> str:
    """The mean to two places, without its interval for want of room; nothing when unknown."""
    return f"{float(estimate['mean']):,.2f}" if estimate else ""


def migrate(kube: Kube) -> None:
    """How do we move without hurting anybody?"""
    title("A CanaryMigration moves the live traffic to the winner, as fast as the evidence allows")
    say("Look: kubectl -n demo get cmig -w;  kubectl -n demo describe cmig migrate-to-winner")
    chosen = acts.migrate_to_winner(kube)
    if chosen:
        say(f"The first candidates tie on this machine, so the operator would refuse; we choose {chosen}")
    status = narrate(kube, "migrate-to-winner")
    if status.get("outcome", {}).get("result") != "Promoted":
        raise CommandFailed("migrate-to-winner was not promoted")
    print_acceptance(kube)


def print_acceptance(kube: Kube) -> None:
    """How the story ends: the new backend at three times the peak, beside the old one at it."""
    multiple = kube.get("cmig", "migrate-to-winner")["spec"]["acceptance"]["trafficMultiple"]
    say(f"Now own load is added until {multiple} times the peak goes through the route (status.acceptance)")
    found = acts.acceptance(kube, "migrate-to-winner", ACCEPTANCE_SECONDS)
    print(f"\n  {'figure':<16}{'before':>12}{'after':>12}{'target':>10}  {'unit':<5} met")
    for row in found.get("table", []):
        cells = (row.get("before") or "-", row.get("after") or "-", row.get("target") or "")
        line = "".join(f"{cell:>{width}}" for cell, width in zip(cells, (12, 12, 10), strict=True))
        print(f"  {row['figure']:<16}{line}  {row['unit']:<5} {row.get('met', '')}")
    print()
    say(f"{found['state']}: {found['message']}")


def roll_back(kube: Kube) -> None:
    """And when the canary is bad?"""
    title("A second migration, to a build that answers right but is slow one time in twenty")
    say("The first migration is deleted: its route stays as it is, and is handed over to the second")
    kube.kubectl("delete", "cmig", "migrate-to-winner", "--wait", "--timeout=60s")
    acts.hand_over(kube, "migrate-to-slow")
    kube.apply("examples/migrate-to-slow.yaml")
    status = narrate(kube, "migrate-to-slow")
    if status.get("outcome", {}).get("result") != "RolledBack":
        raise CommandFailed("migrate-to-slow was not rolled back")


def narrate(kube: Kube, name: str) -> acts.Status:
    """A line whenever weight, reason or verdict move."""
    told: tuple[str, ...] = ()
    for status in acts.follow(kube, "cmig", name, MIGRATION_SECONDS):
        traffic = status.get("traffic", {})
        ready = acts.condition(status, "Ready")
        now = (str(traffic.get("desiredPercent", "-")), ready.get("reason", ""))
        if now != told:
            measured = traffic.get("measuredPercent") or "-"
            say(f"weight {now[0]:>3} % (measured {measured} %)  {now[1]}: {ready.get('message', '')[:150]}")
            told = now
    for view in status.get("objectives", []):
        say(f"  {view['name']}: {view['verdict']}: {view.get('why', '')[:140]}")
    return status


if __name__ == "__main__":
    sys.exit(main())
