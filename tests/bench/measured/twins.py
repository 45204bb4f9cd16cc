"""A/A: one image under two names. How often do two that are the same tie?"""

from __future__ import annotations

from tests.bench.measured import short
from tests.demo.kube import Kube

ROUNDS = 3


def count_ties(kube: Kube, times: int) -> None:
    """Print each run's two scores and whether they tie, and the count."""
    ties = 0
    for number in range(1, times + 1):
        candidates = [short.a_candidate(name, "go-net-http") for name in ("castor", "pollux")]
        schedule = short.make_benchmark("twins", candidates, ROUNDS)
        schedule["metadata"]["name"] = f"twins-{number}"
        schedule["spec"]["schedule"]["seed"] = number
        status = short.run(kube, schedule)
        rows = status.get("ranking", [])
        tied = len(rows) == 2 and all(row["tiedWith"] for row in rows)
        ties += tied
        scores = ", ".join(f"{row['candidate']} {row['score']} [{row['low']}, {row['high']}]" for row in rows)
        print(f"{number:3d}/{times}: {'tie' if tied else 'NO TIE'}  {scores or status['conditions']}", flush=True)
        kube.kubectl("delete", "frameworkbenchmark", schedule["metadata"]["name"], "--wait")
    print(f"{ties} of {times} tie")
