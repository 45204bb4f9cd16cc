"""What the status of both kinds is made of: conditions, and instants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from changeover.api.v1alpha1.base import Model, described, unique_by

FIRST_YEAR, LAST_YEAR = 1970, 9000


def _is_instant(text: str) -> str:
    """Refuse what the API server's `date-time` refuses, and years with which nothing can be reckoned."""
    year = datetime.fromisoformat(text.replace("Z", "+00:00")).year
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"the year {year} is no year of ours")
    return text


Instant = Annotated[
    str,
    Field(max_length=32),
    AfterValidator(_is_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 32}),
]
LONGEST_MESSAGE = 32_768  # characters, as metav1.Condition has it
Message = Annotated[str, Field(max_length=LONGEST_MESSAGE)]


class Condition(Model):
    """metav1.Condition."""

    type: Annotated[str, Field(max_length=316)] = described("Type of the condition. Example: Ready.")
    status: Literal["True", "False", "Unknown"] = described("True, False or Unknown.")
    observed_generation: int = described("Generation of the spec that was judged.", ge=0)
    last_transition_time: Instant = described("When the status changed last.")
    reason: Annotated[str, Field(max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")] = described(
        "Reason in CamelCase. Example: Measuring."
    )
    message: Message = described("The reason in words, with numbers.")


Conditions = Annotated[list[Condition], Field(max_length=16)]


def conditions_field() -> Any:
    """The conditions of a status, told apart by type."""
    return described("Conditions.", default=[], json_schema_extra=unique_by("type"))
