"""The local cluster: bring-up and tear-down of a real Kubernetes on one bare machine. See README.md."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  the machine's Python, not the project's, runs this
    raise SystemExit("the local cluster's scripts need Python 3.11 or newer: run them as python3.11 -m tests.cluster")
