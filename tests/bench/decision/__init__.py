"""How good are the decisions?  A simulator that prints the tables of docs/decision-quality.md."""
