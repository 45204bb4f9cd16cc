"""What do a million requests cost? The CPU and the memory that were used, for the time that they took."""

from __future__ import annotations

from changeover.api.v1alpha1.claim import Cost
from changeover.core.audit import RunRecord

REQUESTS = 1e6
GIB = 2.0**30
SECONDS_AN_HOUR = 3600.0


def cost_of(record: RunRecord, prices: Cost) -> float:
    """Price of a million requests at the speed and with the CPU and memory of one run.

    (cores used x cpuHour + peak GiB of memory x memoryGiBHour) x hours that a million requests take. What is used is
    priced, not what is reserved: a candidate under its limit on a shared node is not charged for its neighbours.
    """
    hours = REQUESTS / float(record["report"]["requestsPerSecond"]) / SECONDS_AN_HOUR
    memory = float(record["memoryPeakBytes"]) / GIB
    return (float(record["cpuCores"]) * float(prices.cpu_hour) + memory * float(prices.memory_gib_hour)) * hours
