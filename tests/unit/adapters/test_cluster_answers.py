"""What an answer of the API server means: an object, a conflict, something wrong in a spec, or another try."""

from __future__ import annotations

import json

import pytest
from changeover.adapters.cluster import _checked
from changeover.core.errors import ChangeoverError, Conflict, InvalidSpec, Unavailable

WRONG = json.dumps({"message": "it is wrong"}).encode()


@pytest.mark.parametrize(
    ("method", "status", "error"),
    [
        ("PATCH", 422, InvalidSpec),
        ("POST", 400, InvalidSpec),
        ("GET", 422, Unavailable),
        ("GET", 400, Unavailable),
        ("DELETE", 409, Conflict),
        ("PATCH", 403, Unavailable),
        ("GET", 500, Unavailable),
    ],
)
def test_what_is_only_read_is_never_a_matter_of_the_spec(
    method: str, status: int, error: type[ChangeoverError]
) -> None:
    with pytest.raises(error, match="it is wrong"):
        _checked(method, "/api/v1/pods", status, WRONG)


def test_what_is_not_there_is_an_answer() -> None:
    assert _checked("GET", "/api/v1/pods/x", 404, WRONG) == (404, WRONG)
