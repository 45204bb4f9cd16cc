"""How good are the decisions?  A simulator; its tables are in docs/decision-quality.md and decisions-measured.md."""
