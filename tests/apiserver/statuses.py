"""One status of each kind with every field filled, as the operator would write it at its fullest."""

from __future__ import annotations

from changeover.api.reasons import BENCHMARK_CONDITIONS, MIGRATION_CONDITIONS, ConditionType
from changeover.api.v1alpha1 import BenchmarkStatus, MigrationStatus
from changeover.api.v1alpha1.base import Model

NOW = "2026-03-01T12:34:56Z"
ESTIMATE = {"mean": "24125.5", "low": "23990.1", "high": "24260.9"}
LATENCY = {"mean": "14.9", "p50": "14.2", "p90": "20.3", "p99": "31.7", "p999": "44.0", "max": "71.2"}


def conditions(types: tuple[ConditionType, ...], ready: str, reason: str) -> list[dict[str, object]]:
    """All conditions; Ready with its reason, the others not judged."""
    return [
        {
            "type": str(name),
            "status": ready if name == ConditionType.READY else "Unknown",
            "observedGeneration": 3,
            "lastTransitionTime": NOW,
            "reason": reason if name == ConditionType.READY else "Pending",
            "message": "in words: p99 71ms > 50ms at weight 10 (12,400 requests)",
        }
        for name in types
    ]


BENCHMARK = {
    "observedGeneration": 3,
    "conditions": conditions(BENCHMARK_CONDITIONS, "True", "Published"),
    "progress": {
        "done": 42,
        "planned": 42,
        "text": "42/42",
        "current": {"candidate": "gin", "scenario": "keep-alive", "round": 5},
        "estimatedEnd": NOW,
    },
    "winner": {
        "candidate": "hyperlane",
        "image": "localhost/changeover-hyperlane:1",
        "imageDigest": f"sha256:{'0' * 64}",
        "tiedWith": ["tokio"],
        "message": "first by 12 %",
        "crossCheck": {
            "generator": "h2load",
            "against": "gin",
            "ratio": "1.31",
            "low": "1.2",
            "high": "1.43",
            "levelRatio": "0.97",
            "verdict": "Confirmed",
            "message": "cross-check confirmed: hyperlane over gin is 1.31 [1.2, 1.43] by h2load",
        },
    },
    "ranking": [
        {
            "rank": 1,
            "candidate": "hyperlane",
            "score": "24125.5",
            "low": "23990.1",
            "high": "24260.9",
            "unit": "requests/s",
            "tiedWith": ["tokio"],
            "meetsObjectives": False,
            "missed": ["p99 71ms > 50ms"],
            "class": "Raw",
            "relativeToFirst": "0.72",
            "relativeLow": "0.69",
            "relativeHigh": "0.75",
        }
    ],
    "results": [
        {
            "candidate": "hyperlane",
            "scenario": "keep-alive",
            "rounds": 5,
            "requestsPerSecond": ESTIMATE,
            "latency": LATENCY,
            "errors": 0,
            "errorPercent": "0",
            "cpuCores": ESTIMATE,
            "cpuPercent": "99.1",
            "cpuPerRequest": ESTIMATE,
            "costPerMillionRequests": ESTIMATE,
            "curve": [{"requestsPerSecond": "500", "runs": 3, "held": 2, "p99": "12.3", "cpuCores": "0.21"}],
            "memoryPeak": "7340032",
            "valid": False,
            "invalidReasons": ["LoadGeneratorSaturated"],
            "metrics": [{"name": "rss", "mean": "31055872", "low": "31000000", "high": "31100000", "unit": "bytes"}],
            "notes": ["one run was repeated"],
            "conformance": ["HTTP/1.0: status 505 (5 of 5 runs)"],
        }
    ],
    "environment": {
        "node": "candidate",
        "kernel": "6.1.0",
        "cpuModel": "some CPU",
        "cores": "2",
        "kubelet": "v1.34.3",
        "containerRuntime": "containerd://1.6.20",
        "loadDriver": "wrk 4.1.0, oha 1.16.0",
    },
    "noise": {
        "candidate": "express",
        "ratio": "1.004",
        "low": "0.97",
        "high": "1.04",
        "verdict": "Quiet",
        "message": "express measured twice: ratio 1.004 [0.97, 1.04] in 5 rounds; they cannot be told apart",
    },
    "report": {"configMap": "web-frameworks-runs-0123abcd", "configMaps": ["web-frameworks-runs-0123abcd"]},
    "retry": "again",
    "claims": [
        {
            "source": "a blog",
            "scenario": "keep-alive",
            "faster": "tokio",
            "slower": "gin",
            "claimedRatio": "1.402",
            "ratio": "1.1",
            "low": "1.05",
            "high": "1.15",
            "claimedRatioInside": False,
            "verdict": "Confirmed",
            "doubts": ["tokio: LittleLaw: throughput x mean latency is 1.15 times the connections"],
        }
    ],
    "claimedPairsLeftOut": 1,
}
MIGRATION = {
    "observedGeneration": 3,
    "conditions": conditions(MIGRATION_CONDITIONS, "False", "WaitingEvidence"),
    "step": {
        "index": 2,
        "text": "2/3",
        "weightPercent": 10,
        "rollingBack": True,
        "since": NOW,
        "evidenceUntil": NOW,
        "evidence": '{"n":12400,"k":31}',
    },
    "traffic": {"desiredPercent": 10, "appliedPercent": 10, "measuredPercent": "9.8"},
    "objectives": [
        {
            "name": name,
            "type": type_name,
            "stable": "9.1",
            "canary": canary,
            "target": target,
            "unit": unit,
            "requests": 12400,
            "verdict": "Passing",
            "why": "0.2 % of 12,400 requests were slower than 50ms; fewer than 1 % may be",
        }
        for name, type_name, canary, target, unit in (
            ("cpu", "CPU", "31.4", "40", "% of limit"),
            ("errors", "Errors", "0.01", "0.1", "%"),
            ("latency", "Latency", "12.3", "50", "ms"),
            ("queue", "Query", "12", "100", "jobs"),
        )
    ],
    "history": [{"at": NOW, "from": 1, "to": 10, "reason": "Stepped", "message": "p99 12ms <= 50ms"}],
    "outcome": {
        "result": "RolledBack",
        "at": NOW,
        "generation": 3,
        "attempt": 2,
        "reason": "LatencyObjectiveMissed",
        "message": "why",
    },
    "baseline": {
        "at": NOW,
        "hours": 24,
        "message": "from 24 hours of stable: latency",
        "busiest": "13:20-14:20 UTC",
        "statistics": '{"key":"0badcafe","targets":{},"why":""}',
    },
    "estimatedEnd": NOW,
    "forecast": {"stepEnd": NOW, "end": NOW, "latestEnd": NOW, "requestsPerSecond": "1200"},
    "attempt": 2,
    "paused": True,
    "requests": [
        {"verb": "retry", "token": "again", "at": NOW, "result": "Accepted", "answer": "attempt 2 begins at 0 %"},
        {"verb": "resume", "token": "x", "at": NOW, "result": "Refused", "answer": "it is not paused"},
    ],
    "testers": {"route": "shop-testers", "state": "Failed", "message": "HTTPRoute shop-testers is somebody else's"},
    "load": {"state": "Running", "at": NOW, "message": "200 requests/s to shop.example.com"},
    "acceptance": {
        "state": "NotMet",
        "message": "cpu 95 % -> 41.2 %, target 40 %",
        "about": "0badcafe",
        "beforeAt": NOW,
        "beforeReadAt": NOW,
        "startedAt": NOW,
        "endedAt": NOW,
        "peakRequestsPerSecond": "1200",
        "targetRequestsPerSecond": "3600",
        "ownRequestsPerSecond": 2400,
        "table": [{"figure": "cpu", "unit": "%", "before": "95", "after": "41.2", "target": "40", "met": "No"}],
    },
    "gates": [
        {
            "name": "board",
            "about": "generation 3, attempt 2, step 2",
            "state": "Refused",
            "at": NOW,
            "message": "it answered 403",
        },
    ],
    "notifications": [
        {
            "name": "on-call",
            "event": "Held",
            "id": "a1b2c3d4",
            "state": "Failed",
            "attempts": 6,
            "at": NOW,
            "message": "hooks.example.com answered 500",
        },
        {
            "name": "chat",
            "event": "Held",
            "id": "a1b2c3d5",
            "state": "Waiting",
            "attempts": 1,
            "at": NOW,
            "message": "hooks.example.com answered 500",
            "happened": {
                "at": NOW,
                "reason": "Undecided",
                "message": "undecided after 24h",
                "weightPercent": 10,
                "generation": 1,
                "attempt": 1,
            },
        },
    ],
}
STATUSES: dict[str, Model] = {
    "FrameworkBenchmark": BenchmarkStatus.model_validate(BENCHMARK),
    "CanaryMigration": MigrationStatus.model_validate(MIGRATION),
}
