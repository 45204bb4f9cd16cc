"""Changeover: a Kubernetes operator that ranks backends under load and moves live traffic to the better one."""
