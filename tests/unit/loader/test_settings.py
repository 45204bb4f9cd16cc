"""The flags: what is understood, what chooses the generator, what is refused."""

from __future__ import annotations

import pytest
from changeover.api.v1alpha1.scenario import Header
from changeover.loader.failures import InvalidArguments
from changeover.loader.ramp import Plan
from changeover.loader.settings import Settings, parse_settings
from pydantic import ValidationError

REQUIRED = ["--url", "http://shop/", "--connections", "10", "--measure", "5"]


def settings_of(*more: str) -> Settings:
    return parse_settings([*REQUIRED, *more])


def test_the_defaults() -> None:
    found = settings_of()
    assert (found.mode, found.keep_alive, found.method, found.expect_status) == ("closed", True, "GET", 200)
    assert (found.warm_up_seconds, found.rate, found.host_header, found.expect_body_sha256) == (
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("flags", "generator"),
    [
        ([], "wrk"),
        (["--keep-alive", "false"], "oha"),  # only oha closes the connection itself
        (["--mode", "open", "--rate", "100"], "oha"),  # only oha keeps a schedule
        (["--mode", "ramp", "--rate", "100"], "oha"),
        (["--expect-status", "404"], "oha"),  # wrk takes it for an error
        (["--method", "HEAD"], "oha"),  # wrk waits for a body
        (["--expect-status", "304"], "oha"),
        (["--expect-status", "204"], "wrk"),
        (["--driver", "h2load"], "h2load"),
        (["--driver", "oha"], "oha"),
        (["--driver", "wrk"], "wrk"),
    ],
)
def test_which_generator(flags: list[str], generator: str) -> None:
    assert settings_of(*flags).generator == generator


def test_a_ramp_has_defaults_and_every_flag() -> None:
    assert settings_of("--mode", "ramp", "--rate", "50").ramp == Plan(50, 1.5, 10, "p99", None, 0.01, 0)
    flags = "--factor 2 --max-steps 4 --max-p99-ms 250 --max-error-percent 0 --percentile p90 --bisect 2"
    found = settings_of("--mode", "ramp", "--rate", "50", *flags.split())
    assert found.ramp == Plan(50, 2, 4, "p90", 0.25, 0, 2)
    assert settings_of().ramp is None


def test_headers_are_kept_in_order_and_the_host_apart() -> None:
    found = settings_of("--header", "X-A: 1", "--header", "host: other", "--header", "X-A:2:3")
    assert found.headers == (("X-A", "1"), ("X-A", "2:3"))
    assert found.host_header == "other"


@pytest.mark.parametrize("body", ["--", "-", "--debug", "@/etc/passwd", ""])
def test_a_body_is_taken_as_it_is(body: str) -> None:
    assert settings_of("--method", "POST", f"--body={body}").body == body.encode()


def test_a_digest_is_compared_in_lower_case() -> None:
    assert settings_of("--expect-body-sha256", "AB" * 32).expect_body_sha256 == "ab" * 32


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("5.0", 5), ("2.5", 3), ("0.5", 1)])
def test_parts_of_a_second_are_rounded_up(text: str, seconds: int) -> None:
    assert settings_of("--measure", text).measure_seconds == seconds


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--mode", "open"], "open needs --rate"),
        (["--rate", "5"], "needs --mode open"),
        (["--mode", "ramp"], "ramp needs --rate"),
        (["--factor", "2", "--bisect", "1"], "--factor, --bisect: only with --mode ramp"),
        (["--mode", "ramp", "--rate", "5", "--factor", "1"], "factor must be above 1"),
        (["--mode", "ramp", "--rate", "5", "--max-steps", "0"], "at least 1"),
        (["--mode", "ramp", "--rate", "5", "--max-p99-ms", "0"], "above 0"),
        (["--mode", "ramp", "--rate", "5", "--max-error-percent", "101"], "0 to 100"),
        (["--mode", "ramp", "--rate", "5", "--bisect", "-1"], "not be negative"),
        (["--mode", "open", "--rate", "5", "--driver", "wrk"], "--driver wrk and h2load are for"),
        (["--keep-alive", "false", "--driver", "h2load"], "--driver wrk and h2load are for"),
        (["--method", "HEAD", "--driver", "wrk"], "not for --method HEAD or status 304"),
        (["--expect-status", "304", "--driver", "h2load"], "not for --method HEAD or status 304"),
        (["--method", "POST", "--driver", "h2load"], "only GET"),
        (["--body", "a"], "not for --method GET"),
        (["--method", "POST", "--header", "Content-Length: 5"], "length is counted"),
        (["--start-at", "nan"], "number of seconds"),
        (["--mode", "open", "--rate", "inf"], "above 0"),
        (["--mode", "open", "--rate", "0"], "above 0"),
        (["--mode", "open", "--rate", "nan"], "above 0"),
        (["--measure", "0"], "at least 1"),
        (["--measure", "inf"], "no number of seconds"),
        (["--measure", "soon"], "invalid _seconds value"),
        (["--connections", "0"], "at least 1"),
        (["--warm-up", "-1"], "not be negative"),
        (["--timeout", "0"], "at least 1"),
        (["--url", "https://shop/"], "must be http"),
        (["--url", "shop"], "must be http"),
        (["--header", "no colon"], "'Name: value'"),
        (["--header", "X: a\r\nY: b"], "'Name: value'"),
        (["--header", "Host: shop/other?"], "must be HOST"),
        (["--header", "Host: --debug x"], "must be HOST"),
        (["--host-header", "shop:port"], "must be HOST"),
        (["--header", "Connection: close"], "not by a Connection header"),
        (["--method", "GET /"], "no HTTP method"),
        (["--expect-body-sha256", "abc"], "no SHA-256"),
        (["--meas", "5"], "unrecognized"),
    ],
)
def test_what_is_refused(flags: list[str], why: str) -> None:
    with pytest.raises(InvalidArguments, match=why):
        settings_of(*flags)


@pytest.mark.parametrize("host", ["shop", "shop.example.com", "shop_1:8080", "[::1]:80", "10.0.0.1"])
def test_the_api_and_the_load_pod_take_the_same_hosts(host: str) -> None:
    assert settings_of("--header", f"Host: {Header(name='hOST', value=host).value}").host_header == host


@pytest.mark.parametrize("host", ["shop/other?", "shop:port", "--debug x", "[::1", "shop:123456", "user@shop"])
def test_the_api_and_the_load_pod_refuse_the_same_hosts(host: str) -> None:
    assert Header(name="X-Host", value=host).value == host
    with pytest.raises(ValidationError, match="HOST or HOST:PORT"):
        Header(name="Host", value=host)
    with pytest.raises(InvalidArguments, match="must be HOST"):
        settings_of("--header", f"Host: {host}")
