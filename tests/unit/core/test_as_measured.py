"""A canary that is not what was measured is told from one that is."""

from __future__ import annotations

import pytest
from changeover.core.as_measured import Benchmarked, deviation
from changeover.core.observed import Workload

from tests.unit.core.seen import pod, workload

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def running(*images: str, **more: object) -> Workload:
    return workload(pods=tuple(pod(name=f"pod-{n}", image_id=image) for n, image in enumerate(images)), **more)


@pytest.mark.parametrize(
    ("measured", "canary", "says"),
    [
        pytest.param(Benchmarked(), running(ONE), "", id="nothing is known of it"),
        pytest.param(Benchmarked(ONE, 0.5), running(ONE, ONE), "", id="as measured"),
        pytest.param(Benchmarked(f"a.example/x@{ONE}"), running(f"b.example/y@{ONE}"), "", id="under another name"),
        pytest.param(Benchmarked(ONE), running(""), "runs an unknown image", id="not known"),
        pytest.param(Benchmarked(ONE), running(ONE, OTHER), "the tag has moved; retry the", id="another image"),
        pytest.param(Benchmarked("", 0.4), running(ONE), "0.5 cores, and 0.4 were measured", id="another limit"),
        pytest.param(Benchmarked("", 0.4), running(ONE, cpu_limit=None), "", id="no limit is known"),
        pytest.param(
            Benchmarked(ONE, measured_as="b"), running(OTHER, measured_as="a"),
            "the benchmark was measured anew since this canary was made", id="measured anew, with another image",
        ),
        pytest.param(Benchmarked(ONE, measured_as="a"), running(ONE, measured_as="a"), "", id="measured so"),
        pytest.param(Benchmarked(ONE, measured_as="a"), running(ONE), "", id="made by an earlier release"),
        pytest.param(Benchmarked(), running(ONE, measured_as="a"), "", id="nothing is chosen now"),
    ],
)  # fmt: skip
def test_another_image_or_limit_is_named(measured: Benchmarked, canary: Workload, says: str) -> None:
    found = deviation(measured, canary)
    assert (says in found, bool(found)) == (True, bool(says)), found


def test_a_pod_that_goes_does_not_count() -> None:
    leaving = workload(pods=(pod(image_id=OTHER, deleting=True), pod(image_id=ONE)))
    assert deviation(Benchmarked(ONE), leaving) == ""
