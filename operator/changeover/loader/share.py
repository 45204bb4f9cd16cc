"""Several loaders drive one load together: which part of it is this one's? Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """One of `count` loaders, counted from 0."""

    index: int = 0
    count: int = 1

    def of_connections(self, connections: int) -> int:
        """All parts add up to the whole: the first ones take one more where the division leaves a rest."""
        return connections // self.count + (1 if self.index < connections % self.count else 0)

    def of_rate(self, rate: float, connections: int) -> float:
        """By connections, not evenly, so that each connection is asked for as much as every other."""
        return rate * self.of_connections(connections) / connections

    def problems(self, connections: int) -> dict[str, bool]:
        """What is wrong with it, and whether it is."""
        return {
            "--instances must be 1 to --connections": not 1 <= self.count <= max(1, connections),
            "--instance must be 0 to --instances - 1": not 0 <= self.index < self.count,
        }
