"""When may a migration's weight rise?"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import Model, Rule, described

_CRON = r"(0|\*|[0-9]{1,2}-[0-9]{1,2})( +[0-9A-Za-z*,/-]+){4}"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?"
_DAY_IS_FREE = re.compile("^[^ ]+ +[^ ]+ +[*] ")
_EITHER = f"self.{{0}}.all(w, !w.contains(' ') || w.matches('{_DAY_IS_FREE.pattern}') || w.endsWith(' *'))"
_EITHER_MESSAGE = (
    "{0}: day of month and day of week must not both be given, since cron takes either; make one of them *, and where "
    "both are meant write two entries"
)
Hours = Annotated[str, Field(pattern=f"^{_CRON}$", max_length=128)]
Freeze = Annotated[str, Field(pattern=f"^({_CRON}|{_TIME}/{_TIME})$", max_length=128)]


class Windows(Model):
    """The times at which a weight may rise. Whatever lowers it goes on at all times."""

    cel: ClassVar[tuple[Rule, ...]] = tuple(
        Rule(rule=_EITHER.format(name), message=_EITHER_MESSAGE.format(name)) for name in ("allowed", "frozen")
    )
    allowed: Annotated[list[Hours], Field(max_length=16)] = described(
        "A weight rises only in these minutes, at most 16 entries of cron's five fields: minute, hour, day of month, "
        "month, day of week. The minute is 0 or * (the whole hour) or a range. Default: none (at all times). Example: "
        "['0 9-17 * * 1-5'], which is 09:00 to 17:59 from Monday to Friday.",
        default=[],
    )
    frozen: Annotated[list[Freeze], Field(max_length=32)] = described(
        "A weight never rises in these minutes, even where they are allowed, at most 32: the same five fields, or two "
        "dates (the last belongs to it) or two times of the zone's clock. Default: none. Example: ['0 * * * 5', "
        "2026-12-20/2027-01-06, '2026-12-31T18:00/2027-01-02T08:00'].",
        default=[],
    )
    time_zone: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+/-]*$", min_length=1, max_length=64)] = described(
        "IANA name of the zone whose clock these times are of. Default: UTC. Example: Europe/Berlin.", default="UTC"
    )

    @model_validator(mode="after")
    def _days_of_one_kind(self) -> Self:
        for rule, texts in zip(self.cel, (self.allowed, self.frozen), strict=True):
            if not all(is_span(text) or _DAY_IS_FREE.search(text) or text.endswith(" *") for text in texts):
                raise ValueError(rule.message)
        return self


def is_span(text: str) -> bool:
    """Whether a freeze is an interval, not an expression."""
    return " " not in text
