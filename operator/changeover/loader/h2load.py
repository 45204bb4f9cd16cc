"""h2load: its command, and its text turned into a Measurement. Pure.

Another code base than wrk's and oha's, to cross-check a rate with. h2load prints a mean and a deviation but no
percentiles, and in a closed loop without correction: its latency is not used. It knows GET, keep-alive and the
closed loop only. A refused connection shows as no request at all, not as an error.

    finished in 2.00s, 56527.00 req/s, 2.16MB/s
    requests: 113054 total, 113058 started, 113054 done, 113054 succeeded, 0 failed, 0 errored, 0 timeout
    traffic: 4.31MB (4522160) total, 1.62MB (1695825) headers (space savings 0.00%), 220.81KB (226110) data

failed holds errored, which holds timeout; what failed without being errored was a status of 400 and above.
"""

from __future__ import annotations

import re

from changeover.loader.failures import GeneratorFailed
from changeover.loader.process import Finished
from changeover.loader.report import Errors, Measurement, Window
from changeover.loader.settings import Settings
from changeover.loader.target import Target

REFUSED = "h2load is used for the rate alone"

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def make_command(settings: Settings, target: Target, seconds: int) -> list[str]:
    command = ["h2load", "--h1", "-t1", f"-c{settings.connections}", f"-D{seconds}"]
    command += [f"--connection-inactivity-timeout={settings.timeout_seconds}"]
    for name, value in settings.headers:
        command += ["-H", f"{name}: {value}"]
    # A Host header beside the URL's would be a second one, which servers refuse with 400.
    address = f"[{target.address}]" if ":" in target.address else target.address
    return [*command, f"--connect-to={address}:{target.port}", f"http://{target.host_header}{target.path}"]


def parse_version(text: str) -> str:
    """From `h2load --version`, such as "h2load nghttp2/1.52.0"."""
    found = re.search(r"^h2load nghttp2/(\d+\.\d+\.\d+)", text, re.MULTILINE)
    if not found:
        raise GeneratorFailed(f"h2load does not say its version: {text[:80]!r}")
    return found.group(1)


def parse_h2load(finished: Finished) -> Measurement:
    """The rate and the errors; `latency` None. GeneratorFailed when the text is not h2load's summary."""
    output = finished.output
    duration = _match(r"^finished in ([\d.]+)(us|ms|s),", output)
    counts = _match(
        r"^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
        output,
    )
    seconds = float(duration[0]) * _UNITS[duration[1]]
    if not seconds > 0:
        raise GeneratorFailed("h2load says that it measured for no time")
    _, succeeded, failed, errored, timeouts = map(int, counts)
    requests = succeeded + failed - errored
    return Measurement(
        # Nobody says when within the process's life the window lay.
        window=Window(
            finished.started, finished.started + seconds, max(0.0, finished.ended - finished.started - seconds)
        ),
        duration=seconds,
        requests=requests,
        succeeded=succeeded,
        errors=Errors(read=errored - timeouts, timeout=timeouts, status=failed - errored),
        bytes_received=int(_match(r"^traffic: \S+ \((\d+)\) total", output)[0]),
        latency=None,
        latency_refused=REFUSED,
    )


def _match(pattern: str, output: str) -> tuple[str, ...]:
    found = re.search(pattern, output, re.MULTILINE)
    if not found:
        raise GeneratorFailed(f"h2load's output cannot be read: {output.strip()[-200:]!r}")
    return found.groups()
