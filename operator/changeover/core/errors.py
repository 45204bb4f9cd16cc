"""What can go wrong, and may it be tried again?

    ChangeoverError
     ├── InvalidSpec    the spec contradicts itself or the cluster: reported; no retry until the spec changes
     ├── Unavailable    something did not answer, or not in time: nothing is changed; looked at again
     └── Conflict       somebody else wrote first: the next pass sees it

Unavailable and Conflict carry what was asked, so that a status message can name it.
"""

from __future__ import annotations


class ChangeoverError(Exception):
    """Base of all errors that a reconcile handles."""


class InvalidSpec(ChangeoverError):
    """A person must change the spec; the message names the field and the mend."""


class Unavailable(ChangeoverError):
    """Something that was asked did not answer, answered too late, or answered nonsense."""


class Conflict(ChangeoverError):
    """The object changed between reading and writing, or exists and is not ours."""
