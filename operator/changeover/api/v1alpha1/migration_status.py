"""What the operator reports of a migration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from changeover.api.v1alpha1.base import Model, Number, ShortText, Text, described
from changeover.api.v1alpha1.condition import Conditions, Instant, conditions_field


class StepStatus(Model):
    """The step that the migration stands on."""

    index: int = described("Step, from 1; 0 before the first and after a rollback.")
    text: ShortText = described("Step of steps. Example: 2/3.")
    weight_percent: int = described("Weight of the step, percent.")
    rolling_back: bool = described("Whether the traffic is on its way back to stable. Default: false.", default=False)
    since: Instant | None = described("When the weight was set.", default=None)
    evidence_until: Instant | None = described("End of the last block that was judged.", default=None)
    evidence: Annotated[str, Field(max_length=16384)] = described(
        "Sufficient statistics of the step, so that a restart neither loses nor counts twice; JSON, for the operator.",
        default="",
    )


class TrafficStatus(Model):
    """Where the traffic goes, percent to the canary."""

    desired_percent: int = described("Asked for.")
    applied_percent: int | None = described("In the route as read back.", default=None)
    measured_percent: Number = described(
        "Measured at the gateway in the last scrapes; of what ended between 0 and 100, in the last before its end. "
        "Empty when unknown.",
        default="",
    )


class ObjectiveStatus(Model):
    """One objective against its target."""

    name: ShortText = described("Objective.")
    type: Literal["Latency", "Errors", "CPU", "Query"] = described("Kind of the objective.")
    stable: Number = described("Stable's figure in this step. Empty when unknown.", default="")
    canary: Number = described("The canary's figure in this step. Empty when unknown.", default="")
    target: Number = described("Target.")
    unit: ShortText = described("Unit of these figures.")
    requests: int = described("Canary requests judged in this step.", default=0)
    verdict: Literal["Passing", "Failing", "Undecided", "NoData"] = described("Verdict.")
    why: Text = described("Why, with the numbers.", default="")


class Decision(Model):
    """One decision, for the record."""

    at: Instant = described("When.")
    from_percent: int = described("Weight before, percent.", alias="from")
    to_percent: int = described("Weight after, percent.", alias="to")
    reason: ShortText = described("Reason.")
    message: Text = described("The numbers.")


class ForecastStatus(Model):
    """When it will be decided, if the traffic stays as in the last block and the canary is as good as stable."""

    step_end: Instant = described("End of this step.")
    end: Instant = described("End of the last step: the median, or somewhat early.")
    latest_end: Instant = described("The same when every step's evidence takes twice as long.")
    requests_per_second: Number = described("Requests a second through the route in the last block.")


class BaselineStatus(Model):
    """What stable was like over spec.decision.baseline.window."""

    at: Instant = described("When it was read.")
    hours: int = described("Hours of stable that were counted; 0: too few.")
    message: Text = described("For which objectives it is known, or why not.")
    busiest: ShortText = described(
        "Hours of the day with the most requests, ties within 5 %. Empty when unknown, or no step covers it. "
        "Example: 13:20-14:20 UTC.",
        default="",
    )
    statistics: Annotated[str, Field(max_length=4096)] = described(
        "Stable's long-run rates, so that a restart changes no decision; JSON, for the operator."
    )


class Outcome(Model):
    """How the migration ended."""

    result: Literal["Promoted", "RolledBack"] = described("Promoted or RolledBack.")
    at: Instant = described("When.")
    generation: int = described("Generation of the spec that ended.")
    attempt: int = described("Attempt that ended, from 1; a retry begins another.", default=1)
    reason: ShortText = described("Reason.")
    message: Text = described("In words, with the numbers.")


class RequestStatus(Model):
    """What came of a request, an annotation changeover.dev/requested-VERB."""

    verb: ShortText = described("Verb. Example: approve.")
    token: Text = described("Token that was taken up, cut at 1024 characters.")
    at: Instant = described("When it was taken up.")
    result: Literal["Accepted", "Refused"] = described("Whether it was carried out; what is refused never is later.")
    answer: Text = described("What came of it, in words.")


class GateStatus(Model):
    """What a gate of spec.gates said last."""

    name: ShortText = described("Gate.")
    about: ShortText = described("What it was asked about: generation, attempt, and step or promotion.")
    state: Literal["Passed", "Refused", "Silent"] = described("Silent: it did not answer, or could not be asked.")
    at: Instant = described("When.")
    message: Text = described("Why it did not pass. Default: empty.", default="")


class HappenedStatus(Model):
    """An event as it was when it happened."""

    at: Instant = described("When.")
    reason: ShortText = described("Reason of the condition Ready then.")
    message: Text = described("In words, with the numbers.")
    weight_percent: int | None = described("Weight of the canary then. Default: none.", default=None)
    generation: int = described("Generation of the spec then.")
    attempt: int | None = described("Attempt then, from 1. Default: none.", default=None)


class NotificationStatus(Model):
    """One event for one receiver of spec.notify."""

    name: ShortText = described("Receiver.")
    event: Literal["Promoted", "RolledBack", "Held"] = described("What is told.")
    id: ShortText = described("Id of the message; the same however often it is sent.")
    state: Literal["Waiting", "Sent", "Failed"] = described("Failed: given up after six attempts.")
    attempts: int = described("Attempts made.")
    at: Instant = described("When it was tried last; before, when it happened.")
    message: Text = described("Why the last attempt failed. Default: empty.", default="")
    happened: HappenedStatus | None = described("What is to be told, while it waits. Default: none.", default=None)


class FigureRow(Model):
    """One line of the table of before and after."""

    figure: ShortText = described("Which figure. Example: p99.")
    unit: ShortText = described("Unit of the figures. Example: ms.")
    before: Number = described("Stable at its peak, before the first weight. Empty when unknown.", default="")
    after: Number = described("The canary under the load of the acceptance. Empty when unknown.", default="")
    target: Number = described("Target, at the most. Empty without an objective.", default="")
    met: Literal["", "Yes", "No"] = described("Whether the target was met. Empty without one.", default="")


class AcceptanceStatus(Model):
    """Load after the promotion at a multiple of the peak, and the figures before and after."""

    state: Literal["Waiting", "Running", "Met", "NotMet", "Void"] = described(
        "Waiting (for the promotion), Running, Met, NotMet, or Void (nothing was shown; the message says why)."
    )
    message: Text = described("In words, with the numbers. Default: empty.", default="")
    about: ShortText = described("Stands for the spec that it was begun under.", default="")
    before_at: Instant | None = described(
        "End of the span that 'before' is of: the busiest minute, or a later one where counters or pods are gone.",
        default=None,
    )
    before_read_at: Instant | None = described("When 'before' was read.", default=None)
    started_at: Instant | None = described("When the load was begun.", default=None)
    ended_at: Instant | None = described("When it was judged.", default=None)
    peak_requests_per_second: Number = described("The peak that was seen. Empty before.", default="")
    target_requests_per_second: Number = described("Live traffic and own load together. Empty before.", default="")
    own_requests_per_second: int = described("Own load. Default: 0 (not begun).", default=0)
    table: Annotated[list[FigureRow], Field(max_length=16)] = described("Figures before and after.", default=[])


class OwnLoadStatus(Model):
    """The operator's own load while the steps last."""

    state: Literal["Running", "Stopped", "Failed"] = described("Failed: it is begun again after a minute.")
    at: Instant = described("Since when.")
    message: Text = described("What it sends, or why it does not. Default: empty.", default="")


class TestersStatus(Model):
    """The route of the testers (spec.match)."""

    route: ShortText = described("Name of their HTTPRoute.")
    state: Literal["Waiting", "OnCanary", "Parked", "Failed"] = described(
        "Waiting (for the canary), OnCanary, Parked (on no Gateway: it ended, or is rolled back) or Failed."
    )
    message: Text = described("Why it failed. Default: empty.", default="")


class MigrationStatus(Model):
    """Status of a CanaryMigration."""

    observed_generation: int = described("Generation of the spec that this status speaks of.", default=0)
    conditions: Conditions = conditions_field()
    step: StepStatus | None = described("The step in progress.", default=None)
    traffic: TrafficStatus | None = described("Where the traffic goes.", default=None)
    objectives: Annotated[list[ObjectiveStatus], Field(max_length=8)] = described(
        "Objectives in this step.", default=[]
    )
    history: Annotated[list[Decision], Field(max_length=20)] = described("The last 20 decisions.", default=[])
    baseline: BaselineStatus | None = described(
        "Stable's own day. Default: none (not read yet, or not asked for).", default=None
    )
    estimated_end: Instant | None = described(
        "When it will end: forecast.end. Default: none (not known, or ended).", default=None
    )
    forecast: ForecastStatus | None = described(
        "When this step and all will be decided. Default: none (no traffic yet, ended, or stable itself is at a limit, "
        "where no amount of evidence would do).",
        default=None,
    )
    outcome: Outcome | None = described("How it ended.", default=None)
    attempt: int = described("Attempt under way, from 1; a retry begins another.", default=1)
    paused: bool = described(
        "Whether a person paused it: the weight does not rise; harm still rolls back.", default=False
    )
    requests: Annotated[list[RequestStatus], Field(max_length=16)] = described(
        "Answers to the annotations changeover.dev/requested-*: the last of each verb.", default=[]
    )
    load: OwnLoadStatus | None = described("Own load (spec.load). Default: none.", default=None)
    acceptance: AcceptanceStatus | None = described(
        "Before and after (spec.acceptance). Default: none (not asked for).", default=None
    )
    testers: TestersStatus | None = described("Whose requests all go to the canary. Default: none.", default=None)
    gates: Annotated[list[GateStatus], Field(max_length=4)] = described("What the gates said last.", default=[])
    notifications: Annotated[list[NotificationStatus], Field(max_length=24)] = described(
        "What was told to the receivers of spec.notify, the latest 24.", default=[]
    )
