"""Is the canary still what its benchmark measured? Another image or another CPU limit is another candidate. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from changeover.core.observed import Pod, Workload

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Benchmarked:
    """What a benchmark knows of its choice.

    image_digest  the image as the container runtime identified it; empty when no benchmark chose it
    cpu_limit     cores a pod: the limit, else the request, else None
    rps           the most that its one pod carried, requests/s; 0 when nothing was measured fairly
    measured_as   stands for the candidate in the benchmark's spec; empty when no benchmark chose it
    """

    image_digest: str = ""
    cpu_limit: float | None = None
    rps: float = 0.0
    measured_as: str = ""


def is_of_another_measure(measured: Benchmarked, canary: Workload) -> bool:
    """Whether it was made from a candidate that was another then; one made by an earlier release does not say."""
    return "" not in (measured.measured_as, canary.measured_as) and measured.measured_as != canary.measured_as


def deviation(measured: Benchmarked, canary: Workload) -> str:
    """In what the canary is not as measured, and the mend; empty when it is, or no benchmark chose it."""
    if is_of_another_measure(measured, canary):
        return (
            "the benchmark was measured anew since this canary was made, and what it chooses now is another or runs "
            "otherwise (image, environment, command, port, resources); set its candidates back, or abort and retry the "
            "migration, which makes the canary anew"
        )
    other = next((pod for pod in canary.pods if not pod.deleting and _is_another(measured, pod)), None)
    if other is not None:
        runs, asked = digest_of(other.image_id) or "an unknown image", digest_of(measured.image_digest)
        return (
            f"pod {other.name} runs {runs}, and {asked} was measured: the tag has moved; retry the benchmark, or "
            "name the image by its digest"
        )
    if measured.cpu_limit is not None and canary.cpu_limit is not None and canary.cpu_limit != measured.cpu_limit:
        return (
            f"its pods may use {canary.cpu_limit:g} cores, and {measured.cpu_limit:g} were measured; set them back, or "
            "benchmark it as it is to run"
        )
    return ""


def _is_another(measured: Benchmarked, pod: Pod) -> bool:
    return bool(measured.image_digest) and digest_of(pod.image_id) != digest_of(measured.image_digest)


def digest_of(image: str) -> str:
    """The digest in an image's identity; how its name is written before it differs from runtime to runtime."""
    found = _DIGEST.search(image)
    return found.group() if found else image
