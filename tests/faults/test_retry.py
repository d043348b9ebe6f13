"""The arithmetic of repeats: which row of the table, how long a pause, what `Retry-After` means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperspace_storage_server.http.retry import FIRST_PAUSE, LONGEST_PAUSE, RetryPolicy, retry_after_seconds
from paperspace_storage_server.wire.messages import Method

METHODS: tuple[Method, ...] = get_args(Method)
NOW = datetime(2026, 2, 2, 12, 0, 0, tzinfo=UTC)
HIGH = RetryPolicy(jitter=lambda low, high: high)


def _pause(method: Method, *, status: int | None = None, sent: bool, attempt: int = 1) -> float | None:
    return HIGH.pause(method, attempt, status=status, retry_after=None, sent=sent, left=50)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_not_sent_is_repeated(method: Method) -> None:
    assert _pause(method, sent=False) == FIRST_PAUSE


@pytest.mark.parametrize("method", METHODS)
def test_a_limited_rate_is_waited_out(method: Method) -> None:
    assert _pause(method, status=429, sent=False) == FIRST_PAUSE


@pytest.mark.parametrize("status", [None, 408, 500, 502, 503, 504, 599])
def test_what_may_have_acted_is_repeated_unless_it_is_a_post(status: int | None) -> None:
    pauses = {method: _pause(method, status=status, sent=True) for method in METHODS}
    assert pauses == {"GET": FIRST_PAUSE, "PUT": FIRST_PAUSE, "DELETE": FIRST_PAUSE, "POST": None}


@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 403, 404, 405, 409, 412, 413, 422, 451, 499])
def test_an_answer_that_says_something_is_not_repeated(status: int) -> None:
    assert [_pause(method, status=status, sent=False) for method in METHODS] == [None] * 4


def test_the_last_try_is_followed_by_none() -> None:
    assert [_pause("GET", sent=True, attempt=number) for number in range(1, 6)] == [0.5, 1.0, 2.0, None, None]


@given(attempt=st.integers(1, 19), seed=st.floats(0, 1))
def test_a_pause_has_full_jitter_under_a_growing_bound(attempt: int, seed: float) -> None:
    policy = RetryPolicy(20, jitter=lambda low, high: low + (high - low) * seed)
    pause = policy.pause("GET", attempt, status=503, retry_after=None, sent=True, left=1000)
    assert pause is not None
    assert 0 <= pause <= min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))


@pytest.mark.parametrize(("left", "pause"), [(2.1, 2.0), (2.0, None), (0.0, None), (-3.0, None)])
def test_a_pause_that_does_not_fit_the_budget_is_not_begun(left: float, pause: float | None) -> None:
    assert HIGH.pause("POST", 1, status=429, retry_after=2.0, sent=False, left=left) == pause


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("  7 ", 7.0),
        ("0000000000120", 120.0),
        ("9" * 5000, 1e9),
        ("Mon, 02 Feb 2026 12:01:30 GMT", 90.0),
        ("Mon, 02 Feb 2026 13:01:30 +0100", 90.0),
        ("Mon, 02 Feb 2026 12:01:30 -0000", 90.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Mon, 02 Feb 99999999999999999999 12:01:30 GMT", None),
        ("Mon, 99 Feb 2026 12:01:30 GMT", None),
        ("Mon, 02 Feb 2026 12:01:30 +99999999999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_rubbish_is_neither(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


@given(st.one_of(st.text(), st.from_regex(r"\A\w{3}, \d+ (Jan|Feb|Dec) \d+ \d+:\d+:\d+ ([+-]\d+|GMT)\Z")))
def test_no_header_breaks_the_reading_of_it(header: str) -> None:
    seconds = retry_after_seconds(header, NOW)
    assert seconds is None or seconds >= 0
