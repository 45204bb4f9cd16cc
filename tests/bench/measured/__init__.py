"""What the operator measures, held against what is known, on the local cluster."""
