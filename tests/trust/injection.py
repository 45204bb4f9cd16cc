"""python -m tests.trust.injection [--examples N] [--seed N]: S3 and S4 in one, with counts; exit 1 with failures."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.trust import promql
from tests.trust.outside import addresses, loadpods, packets


def by_addresses() -> int:
    """Where a Secret's address leads; the number of failures."""
    found = asyncio.run(addresses.outcomes())
    sent, refused = [one for one in found if not one.refused], [one for one in found if one.refused]
    outside = {place for one in found for place in one.places} - addresses.PLACES
    wrong = [f"{one.payload.kind}: {one.payload.url[:200]!a}: {one.wrong}" for one in found if one.wrong]
    print(
        f"addresses: {len(found):,} tried, {len(refused):,} refused, {len(sent):,} sent to an allowed host, "
        f"{len(outside)} places outside the allowed ones, {len(wrong)} failures"
    )
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return len(wrong)


def by_packets() -> int:
    """The same with real sockets, each packet counted; the number of failures."""
    found = packets.counted()
    print(
        f"packets: {found.allowed:,} of {found.sent:,} connections to the allowed places, {found.refused:,} to others"
    )
    return found.refused + (found.allowed != found.sent) + (found.knocked == 0)


def by_requests() -> int:
    """Where a request's author leads a load pod; the number of failures."""
    found = loadpods.outcomes()
    refused = [one for one in found if one.refused]
    wrong = [f"{one.payload.kind}: {one.payload.request!a}: {one.wrong}" for one in found if one.wrong]
    print(
        f"requests of load pods: {len(found):,} tried, {len(refused):,} refused, {len(found) - len(refused):,} as "
        f"meant in the commands of wrk, oha and h2load, {len(wrong)} failures"
    )
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return len(wrong)


def main() -> int:
    """Exit code 1 with failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.trust.injection", description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000, help="random values for PromQL")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    return 1 if by_addresses() + by_packets() + by_requests() + promql.report(given.examples, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
