"""The decisions: pure functions of what was observed; no clock, no I/O, no randomness, no logging."""
