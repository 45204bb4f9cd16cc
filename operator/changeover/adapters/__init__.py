"""The outside world: each port of ``changeover.ports`` on real parts. Adapters do not know one another."""
