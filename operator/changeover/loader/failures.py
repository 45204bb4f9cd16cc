"""Why no report could be made. Each name is the `failed` field of the last line; the text is for a person."""

from __future__ import annotations


class LoadFailure(Exception):
    """The base: a run without a report."""

    @property
    def reason(self) -> str:
        return type(self).__name__


class InvalidArguments(LoadFailure):
    """The flags contradict each other or what the generators can do."""


class TargetUnreachable(LoadFailure):
    """The name does not resolve, or nothing answered in time."""


class UnexpectedResponse(LoadFailure):
    """The target answers, but not with the status or the body that the benchmark is about."""


class GeneratorFailed(LoadFailure):
    """wrk or oha is missing, ended with an error, did not end, or printed what cannot be read."""


class Terminated(LoadFailure):
    """SIGTERM came before the report."""
