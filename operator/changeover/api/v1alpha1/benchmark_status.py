"""What the operator reports of a benchmark. Numbers are integers or decimal strings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from changeover.api.v1alpha1.base import Model, Number, ShortText, Text, described
from changeover.api.v1alpha1.condition import Conditions, Instant, conditions_field

MOST_CLAIMED_PAIRS = 120


class Estimate(Model):
    """A mean with its confidence interval."""

    mean: Number = described("Mean.")
    low: Number = described("Lower end of the interval.")
    high: Number = described("Upper end of the interval.")


class LatencySummary(Model):
    """Latency in milliseconds: the median over rounds of each round's figure; max is the largest of all."""

    mean: Number = described("Mean, ms.")
    p50: Number = described("Median, ms. Empty when unknown.", default="")
    p90: Number = described("90th percentile, ms. Empty when unknown.", default="")
    p99: Number = described("99th percentile, ms. Empty when unknown.", default="")
    p999: Number = described("99.9th percentile, ms. Empty when unknown.", default="")
    max: Number = described("Maximum, ms.")


class CurvePoint(Model):
    """One rate of a Ramp scenario, over all valid runs that tried it."""

    requests_per_second: Number = described("Rate that was offered, requests per second.")
    runs: int = described("Valid runs that tried it.")
    held: int = described("Runs in which it kept the objectives.")
    p99: Number = described("99th percentile of latency, ms, median over the runs. Empty when unknown.", default="")
    cpu_cores: Number = described("CPU used, cores, median over the runs. Empty when unknown.", default="")


class OwnFigure(Model):
    """What one of spec.metrics.queries said: the mean over the valid runs, with its interval."""

    name: ShortText = described("Name of the query. Example: rss.")
    mean: Number = described("Mean over the valid runs that had a value.")
    low: Number = described("Lower end of its interval at ranking.confidencePercent.")
    high: Number = described("Upper end of that interval.")
    unit: ShortText = described("Unit, as the query's own. Default: empty.", default="")


class CandidateResult(Model):
    """One candidate in one scenario; of a Ramp, every figure is that of the step at the knee."""

    candidate: ShortText = described("Candidate.")
    scenario: ShortText = described("Scenario.")
    rounds: int = described("Valid rounds.")
    requests_per_second: Estimate | None = described("Right answers per second.", default=None)
    latency: LatencySummary | None = described("Latency, ms.", default=None)
    errors: int = described("Failed requests over all rounds.")
    error_percent: Number = described("Failed requests, percent.")
    cpu_cores: Estimate | None = described("CPU used, cores.", default=None)
    cpu_percent: Number = described("CPU used, percent of the limit. Empty when unknown.", default="")
    cpu_per_request: Estimate | None = described(
        "CPU per request, microseconds: geometric mean over the valid rounds with its interval at "
        "ranking.confidencePercent. Default: none (unknown). Example: {mean: '41.2', low: '39.8', high: '42.7'}.",
        default=None,
    )
    cost_per_million_requests: Estimate | None = described(
        "Cost of a million right answers, in spec.cost.currency: (cores used x cpuHour + peak memory in GiB x "
        "memoryGiBHour) x (1,000,000 / requests per second / 3600) of each valid run; geometric mean over the runs "
        "with its interval at ranking.confidencePercent. Default: none (unknown, or both prices are 0). "
        "Example: {mean: '0.000642', low: '0.000611', high: '0.000675'}.",
        default=None,
    )
    curve: Annotated[list[CurvePoint], Field(max_length=32)] = described(
        "The rates that a Ramp scenario tried, ascending. The knee is found to a factor of factor^(1/2^bisections): "
        "candidates closer than that share one. Default: empty (another type).",
        default=[],
    )
    memory_peak: Number = described("Peak working set, bytes. Empty when unknown.", default="")
    metrics: Annotated[list[OwnFigure], Field(max_length=8)] = described(
        "What spec.metrics.queries said; one without a value is absent, and a note says why. Default: empty (none).",
        default=[],
    )
    valid: bool = described("Whether it was measured fairly and may win.")
    invalid_reasons: Annotated[list[ShortText], Field(max_length=16)] = described(
        "Why it is not valid. Example: [LoadGeneratorSaturated].", default=[]
    )
    notes: Annotated[list[Text], Field(max_length=16)] = described("Remarks of the audit.", default=[])
    conformance: Annotated[list[Text], Field(max_length=16)] = described(
        "The conformance checks that it failed, with what was seen. Default: empty (none, or not checked). "
        "Example: ['HTTP/1.0: status 505 (5 of 5 runs)'].",
        default=[],
    )


class Rank(Model):
    """One row of the ranking: those of class Full first, then those of class Raw, each class ranked by itself."""

    rank: int = described("Rank within its class; tied candidates share one.")
    candidate: ShortText = described("Candidate.")
    score: Number = described("Mean score.")
    low: Number = described("Lower end of its interval.")
    high: Number = described("Upper end of its interval.")
    unit: ShortText = described("Unit of the score. Example: requests/s.")
    tied_with: Annotated[list[ShortText], Field(max_length=32)] = described(
        "Candidates whose order against this one is not decided.", default=[]
    )
    meets_objectives: bool = described("Whether it kept every objective.")
    missed: Annotated[list[Text], Field(max_length=8)] = described(
        "The objectives that it missed, with the numbers. Default: empty (none). Example: [p99 71ms > 50ms].",
        default=[],
    )
    class_: Literal["Full", "Raw"] = described(
        "Class: Full, or Raw for one that failed a conformance check in most of its runs (see results[].conformance); "
        "a Raw one is compared with Raw ones only and cannot win. Default: Full.",
        default="Full",
        alias="class",
    )
    image_digest: Annotated[str, Field(max_length=512)] = described(
        "Image that was measured, as the container runtime identified it. Default: empty (unknown).", default=""
    )
    relative_to_first: Number = described(
        "Its figure over that of the first of its class, a ratio without unit: geometric mean over the rounds that "
        "both were measured in, up to the look that last compared them; 1 for the first. Example: 0.72."
    )
    relative_low: Number = described(
        "Lower end of that ratio's interval, which is wide enough for all pairs and looks together: the order is "
        "decided when it excludes 1. Default: empty (unknown). Example: 0.69.",
        default="",
    )
    relative_high: Number = described(
        "Upper end of that ratio's interval. Default: empty (unknown). Example: 0.75.", default=""
    )


class Current(Model):
    """What is being measured now."""

    candidate: ShortText = described("Candidate.")
    scenario: ShortText = described("Scenario.")
    round: int = described("Round, from 1.")


class Progress(Model):
    """How far the benchmark is."""

    done: int = described("Runs measured.")
    planned: int = described("Runs planned at the least.")
    text: ShortText = described("Done of planned. Example: 14/42.")
    current: Current | None = described("The run in progress.", default=None)
    estimated_end: Instant | None = described("When it will end at the earliest.", default=None)


class CrossCheck(Model):
    """The winner, measured again with a load generator of another code base."""

    generator: ShortText = described("The second generator. Empty when none applies. Example: h2load.", default="")
    against: ShortText = described(
        "The runner-up: the best that is surely behind the winner. Empty when there is none.", default=""
    )
    ratio: Number = described(
        "The winner's figure over the runner-up's, by the second generator. Empty when unknown. Example: 1.31.",
        default="",
    )
    low: Number = described("Lower end of that ratio's interval.", default="")
    high: Number = described("Upper end of that ratio's interval.", default="")
    level_ratio: Number = described(
        "The winner's figure by the second generator over the one by the first. Empty when unknown. Example: 0.97.",
        default="",
    )
    verdict: Literal["Confirmed", "Contradicted", "Undecidable", "NotApplicable"] = described(
        "Confirmed (the winner is surely first by both generators), Contradicted (it is surely behind by the second; "
        "then there is no winner, and the condition's message has the numbers), Undecidable (the interval holds 1, or "
        "there was nothing to compare) or NotApplicable (no second generator drives this load)."
    )
    message: Text = described("In words.")


class Winner(Model):
    """The first of the ranking that may be acted on."""

    candidate: ShortText = described("Candidate.")
    image: Annotated[str, Field(max_length=512)] = described("Image that was measured.")
    image_digest: Annotated[str, Field(max_length=512)] = described(
        "Image as the container runtime identified it.", default=""
    )
    tied_with: Annotated[list[ShortText], Field(max_length=32)] = described("Candidates tied with it.", default=[])
    message: Text = described("In words.")
    cross_check: CrossCheck | None = described(
        "The same by a second generator. Default: none (schedule.crossCheck is false).", default=None
    )


class Environment(Model):
    """Where it was measured."""

    node: Text = described("Node of the candidates.", default="")
    kernel: Text = described("Kernel of that node.", default="")
    cpu_model: Text = described("CPU model of the load generators' nodes, as their kernels name it.", default="")
    cores: Number = described("Cores of that node.", default="")
    kubelet: Text = described("Kubelet version.", default="")
    container_runtime: Text = described("Container runtime version.", default="")
    load_driver: Text = described("Load generators and their versions.", default="")


class Noise(Model):
    """What two that are the same showed: the A/A probe."""

    candidate: ShortText = described("Candidate that was measured twice.")
    ratio: Number = described("Its figure over its twin's.")
    low: Number = described("Lower end of the ratio's interval.")
    high: Number = described("Upper end of the ratio's interval.")
    verdict: Literal["Quiet", "Noisy", "Unknown"] = described(
        "Quiet: the two cannot be told apart, as it should be. Noisy: they differ, so nothing is ranked. Unknown: they "
        "have too few fair rounds in common."
    )
    message: Text = described("In words.")


class ClaimedPair(Model):
    """Two rows of a published table, held against the measurement."""

    source: Annotated[str, Field(max_length=256)] = described("Where it was published.")
    scenario: ShortText = described("Scenario that measures the same.")
    faster: ShortText = described("The faster one, as published.")
    slower: ShortText = described("The slower one, as published.")
    claimed_ratio: Number = described("Published speed of the faster over that of the slower. Example: 1.34.")
    ratio: Number = described("Measured ratio of the two. Empty when they never ran in one round.", default="")
    low: Number = described("Lower end of its interval.", default="")
    high: Number = described("Upper end of its interval.", default="")
    claimed_ratio_inside: bool = described("Whether the claimed ratio lies in that interval.", default=False)
    verdict: Literal["Confirmed", "Contradicted", "Undecidable"] = described(
        "Confirmed (the same one is surely faster), Contradicted (the other one is, or they tie) or Undecidable."
    )
    doubts: Annotated[list[Text], Field(max_length=8)] = described(
        "What the published figures themselves contradict. Example: ['gin: LittleLaw: …'].", default=[]
    )


class ReportRef(Model):
    """Where every single run is kept."""

    config_map: ShortText = described("Name of the ConfigMap, or of the first of several.")
    config_maps: Annotated[list[ShortText], Field(max_length=128)] = described(
        "Names of all of them, in the order in which they were filled: one takes some 450 runs.",
        default=[],
    )


class BenchmarkStatus(Model):
    """Status of a FrameworkBenchmark."""

    observed_generation: int = described("Generation of the spec that this status speaks of.", default=0)
    conditions: Conditions = conditions_field()
    progress: Progress | None = described("How far it is.", default=None)
    winner: Winner | None = described("The winner, once published.", default=None)
    ranking: Annotated[list[Rank], Field(max_length=32)] = described("The ranking, once published.", default=[])
    results: Annotated[list[CandidateResult], Field(max_length=512)] = described(
        "One a candidate and scenario.", default=[]
    )
    environment: Environment | None = described("Where it was measured.", default=None)
    noise: Noise | None = described("The A/A probe, once published.", default=None)
    report: ReportRef | None = described(
        "Where every single run of the published result is kept; until there is one, of the run in progress.",
        default=None,
    )
    claims: Annotated[list[ClaimedPair], Field(max_length=MOST_CLAIMED_PAIRS)] = described(
        "Each pair of rows of spec.claims, once published.", default=[]
    )
    claimed_pairs_left_out: int = described("Pairs beyond those that are shown.", default=0)
    retry: Text = described("Token of the retry that was taken up last. Default: empty.", default="")
