"""Who is told how a migration ends, or that it waits for a person."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from changeover.api.v1alpha1.base import Model, Name, ObjectName, described

NoticeEvent = Literal["Promoted", "RolledBack", "Held"]


class SecretRef(Model):
    """A Secret in the migration's namespace."""

    name: ObjectName = described("Name of the Secret. Example: shop-hooks.")


class Notify(Model):
    """One receiver."""

    name: Name = described("Name of the receiver. Example: on-call.")
    type: Literal["Webhook", "Slack", "Teams"] = described(
        "Webhook (a CloudEvent, signed as Standard Webhooks are), Slack (incoming webhook) or Teams (Workflows)."
    )
    secret_ref: SecretRef = described(
        "Secret with the key url and, for type Webhook, signingKey. The operator's configuration must allow the host "
        "and name the Secret. Example: {name: shop-hooks}."
    )
    events: Annotated[list[NoticeEvent], Field(min_length=1, max_length=3)] = described(
        "What is told: Promoted, RolledBack, Held (it cannot go on without a person; a step that waits for approval, "
        "as was planned, is not told). Default: all three.",
        default=["Promoted", "RolledBack", "Held"],
    )
