"""How the traffic was split over time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime


class Splits:
    """What share of the traffic each Service had, and from when on."""

    def __init__(self) -> None:
        self.known: list[tuple[datetime, dict[str, float]]] = []

    def note(self, at: datetime, shares: Mapping[str, float]) -> None:
        """From now on it is split so."""
        if not self.known or self.known[-1][1] != shares:
            self.known.append((at, dict(shares)))

    def share(self, service: str, start: datetime, end: datetime) -> float | None:
        """Mean share of the traffic that a Service got; None for one that has never had any."""
        if not any(split.get(service, 0) > 0 for at, split in self.known if at < end):
            return None
        known = list(self.known)  # another thread may note more
        total = 0.0
        ends = [at for at, _ in known[1:]] + [end]
        for (begin, split), until in zip(known, ends, strict=True):
            overlap = (min(until, end) - max(begin, start)).total_seconds()
            total += max(0.0, overlap) * split.get(service, 0.0)
        return total / (end - start).total_seconds()
