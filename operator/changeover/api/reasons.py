"""Which condition types and reasons can a user meet, and what does each mean?

A reason is spelled here once; its docstring-comment is what docs and ``kubectl describe`` readers get.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """Condition types; all that a kind has are present from its first status, Unknown until judged."""

    READY = "Ready"  # the ranking is published, or all traffic is where the spec wants it
    RECONCILING = "Reconciling"  # work is going on (kstatus: InProgress)
    STALLED = "Stalled"  # it cannot go on without a person (kstatus: Failed)
    SUCCEEDED = "Succeeded"  # True: published or promoted; False: it ended otherwise
    FINISHED = "Finished"  # it ended, either way: `kubectl wait --for=condition=Finished` returns
    WORKLOADS_AVAILABLE = "WorkloadsAvailable"  # the pods that the work needs are ready
    METRICS_AVAILABLE = "MetricsAvailable"  # the metric source answers with the series that are needed
    RESULTS_VALID = "ResultsValid"  # benchmark: the results were measured fairly
    TRAFFIC_SETTLED = "TrafficSettled"  # migration: the gateway has taken the weight that was asked for
    OBJECTIVES_MET = "ObjectivesMet"  # migration: the canary's evidence against its objectives

    ACCEPTANCE_MET = "AcceptanceMet"  # migration: the promoted backend kept its targets under the acceptance's load


BENCHMARK_CONDITIONS = (
    ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.SUCCEEDED,
    ConditionType.FINISHED, ConditionType.WORKLOADS_AVAILABLE, ConditionType.METRICS_AVAILABLE,
    ConditionType.RESULTS_VALID,
)  # fmt: skip
MIGRATION_CONDITIONS = (
    ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.SUCCEEDED,
    ConditionType.FINISHED, ConditionType.TRAFFIC_SETTLED, ConditionType.OBJECTIVES_MET,
    ConditionType.METRICS_AVAILABLE, ConditionType.WORKLOADS_AVAILABLE, ConditionType.ACCEPTANCE_MET,
)  # fmt: skip


class Reason(StrEnum):
    """Reasons of conditions and events."""

    # Both kinds
    INVALID_SPEC = "InvalidSpec"  # the spec contradicts itself or the cluster; the message names the field
    SUSPENDED = "Suspended"  # spec.suspend is true: nothing moves
    DELETING = "Deleting"  # the object is being deleted
    UNREADABLE = "Unreadable"  # something that must be known could not be read; nothing is changed meanwhile
    WAITING_FOR_WORKLOADS = "WaitingForWorkloads"  # pods are not ready yet
    WORKLOADS_READY = "WorkloadsReady"  # pods are ready
    METRICS_READY = "MetricsReady"  # the series that are needed are there
    METRICS_MISSING = "MetricsMissing"  # the metric source has no fresh series, or does not answer
    PENDING = "Pending"  # not judged yet
    # FrameworkBenchmark
    MEASURING = "Measuring"  # a candidate is under load
    PUBLISHED = "Published"  # the ranking is in status
    NODE_NOISY = "NodeNoisy"  # the same candidate measured twice did not tie; nothing is ranked
    UNRELIABLE = "Unreliable"  # too many runs were void for reasons of the measurement; nothing is ranked
    NO_VALID_RESULT = "NoValidResult"  # no candidate was measured fairly; nothing is ranked
    DEADLINE_EXCEEDED = "DeadlineExceeded"  # spec.schedule.deadline passed before the minimum of rounds
    CROSS_CHECK_CONTRADICTED = "CrossCheckContradicted"  # by a second generator the winner is behind; there is none
    RESULTS_FAIR = "ResultsFair"  # every result is valid
    RESULTS_PARTLY_INVALID = "ResultsPartlyInvalid"  # some results are invalid; they are named
    # CanaryMigration
    PREPARING = "Preparing"  # route and workloads are made ready; all traffic is on stable
    WAITING_FOR_BASELINE = "WaitingForBaseline"  # a day of stable's counters is required, and not there yet
    WAITING_EVIDENCE = "WaitingEvidence"  # the canary has weight; the evidence is not enough yet
    RECENTLY_BAD = "RecentlyBad"  # the evidence would do, but the latest blocks were bad
    SHARED_INCIDENT = "SharedIncident"  # stable and canary are bad at once: the canary is not blamed
    BLIND = "Blind"  # no fresh evidence; the weight stays, and goes to 0 after spec.decision.maxBlind
    STEPPED = "Stepped"  # the weight was raised one step
    WAITING_FOR_WINDOW = "WaitingForWindow"  # all is well; spec.windows lets no weight rise now, and says when again
    WAITING_FOR_GATE = "WaitingForGate"  # a gate has not said yes
    GATE_REFUSED = "GateRefused"  # a gate said no, and its onFailure is Rollback
    WAITING_FOR_APPROVAL = "WaitingForApproval"  # all is well; a person is to approve the next step
    PAUSED = "Paused"  # a person asked that the weight does not rise; harm still rolls back
    RESUMED = "Resumed"  # a person ended the pause
    PROMOTED_BY_HAND = "PromotedByHand"  # a person skipped to the last step, which is still watched
    ABORTED = "Aborted"  # a person asked for the rollback
    RETRIED = "Retried"  # a person asked to start over after a rollback
    REQUEST_REFUSED = "RequestRefused"  # event only: a request made no sense when it was taken up; status says why
    RELEASED = "Released"  # event only: it was deleted, and its route is its users' again; the weights are told
    PROMOTED = "Promoted"  # the last step held its objectives
    ROLLING_BACK = "RollingBack"  # the weight is 0 and stays 0; the gateway is being watched until it agrees
    ROLLED_BACK = "RolledBack"  # ended on stable
    WAITING_FOR_DURATION = "WaitingForDuration"  # the evidence is enough; the step's minDuration is not over
    WAITING_FOR_REQUESTS = "WaitingForRequests"  # the evidence is enough; the step's minRequests are not reached
    WAITING_FOR_DAILY_PEAK = "WaitingForDailyPeak"  # the step has not seen the busiest hour yet, or it is not known
    UNDECIDED = "Undecided"  # maxDuration passed without a decision; held for a person
    OBJECTIVES_HELD = "ObjectivesHeld"  # every objective passes with the required confidence
    LATENCY_MISSED = "LatencyObjectiveMissed"  # too many requests were slower than the bound
    ERRORS_MISSED = "ErrorsObjectiveMissed"  # too many requests failed
    CPU_MISSED = "CPUObjectiveMissed"  # the canary uses more CPU than allowed
    QUERY_MISSED = "QueryObjectiveMissed"  # a query of the spec was above its bound at the end of three blocks
    QUERY_HOLDS = (
        "QueryObjectiveHolds"  # all is well but a query of the spec: above its bound at the last look, or silent
    )
    WEIGHT_NOT_EFFECTIVE = "WeightNotEffective"  # the traffic does not split as the weight says
    WEIGHT_PUT_BACK = "WeightPutBack"  # somebody else changed the route's weights; ours were written again
    CONTESTED = "Contested"  # somebody else changes the weights again and again; it is left to a person
    CANARY_NOT_READY = "CanaryNotReady"  # the canary lost its ready pods while it had weight
    CANARY_CRASHED = "CanaryCrashed"  # a container of the canary ended while it had weight
    ROUTE_NOT_OURS = "RouteNotOurs"  # a route of that name exists and was not made by this migration
    ROUTE_UNFIT = "RouteUnfit"  # the route to adopt is not there, or its rules cannot carry the weights
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"  # the gateway has not accepted the route
    WEIGHT_APPLIED = "WeightApplied"  # the route carries the weight and the gateway accepted it
    BENCHMARK_NOT_READY = "BenchmarkNotReady"  # the benchmark that chooses the canary has not published
    BENCHMARK_REFUSED = "BenchmarkRefused"  # the benchmark's winner is tied, invalid, or missed its objectives
    STABLE_TOO_SMALL = "StableTooSmall"  # it is rolled back in parts: stable has fewer pods than carried all traffic
    NOT_ASKED_FOR = "NotAskedFor"  # the spec does not ask for it
    WAITING_FOR_PROMOTION = "WaitingForPromotion"  # the acceptance begins when all traffic is on the canary
    ACCEPTANCE_RUNNING = "AcceptanceRunning"  # own load goes through the route
    TARGETS_MET = "TargetsMet"  # under the acceptance's load every target was met
    TARGETS_MISSED = "TargetsMissed"  # under the acceptance's load a target was missed; the weight stays
    ACCEPTANCE_VOID = "AcceptanceVoid"  # the acceptance showed nothing; the message says why
    ALREADY_PROMOTED = "AlreadyPromoted"  # the spec was changed after promotion; make a new migration
