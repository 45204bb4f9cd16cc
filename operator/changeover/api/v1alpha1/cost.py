"""What CPU and memory cost, for the cost of a million requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from changeover.api.v1alpha1.base import Model, Price, described


class Cost(Model):
    """What CPU and memory cost; only what a candidate used is paid for, not what it reserved."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", max_length=3)] = described(
        "Currency of the prices, three capital letters (ISO 4217). Default: USD. Example: EUR.", default="USD"
    )
    cpu_hour: Price = described(
        "Price of one core for one hour, in the currency. Default: '0.04'. Example: '0.031611'.", default="0.04"
    )
    memory_gib_hour: Price = described(
        "Price of one GiB of memory for one hour, in the currency. Default: '0.005'. Example: '0.004237'.",
        default="0.005",
        alias="memoryGiBHour",
    )
