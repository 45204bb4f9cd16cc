"""A sample of `python -m tests.trust.prometheus`: what it asserts does not depend on how fast the machine is."""

from __future__ import annotations

import pytest

from tests.trust.prometheus import MANY_HANG, run

SAMPLE = (
    "hangs",
    "drips its headers",
    "503, Retry-After 3600",
    "1 GB",
    "1 GB as gzip",
    "redirects elsewhere",
    "redirects with a gigabyte",
    "warnings of Thanos",
    "infos",
    MANY_HANG,
)


@pytest.mark.trust
async def test_no_vice_of_prometheus_moves_a_weight_or_holds_up_the_others() -> None:
    lines = await run(SAMPLE)
    assert len(lines) == len(SAMPLE) + 1  # the quiet run
    assert {line.name: line.faults for line in lines if line.faults} == {}
