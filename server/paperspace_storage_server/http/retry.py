"""When a request may be repeated, and after which pause. Pure: no clock, no I/O.

| request | not sent, 429 | answer lost, timed out, 408, 5xx |
| --- | --- | --- |
| GET, PUT, DELETE | repeated | repeated |
| POST | repeated | never: whoever sent it looks for what it may have made |
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from paperspace_storage_server.wire.messages import Method

FIRST_PAUSE = 0.5  # seconds: the longest first pause; doubled for each one after
LONGEST_PAUSE = 8.0
_LONGEST_WAIT = 1e9  # seconds: thirty years, and no number that a text cannot show

Jitter = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` counts the first try too."""

    max_attempts: int = 4
    jitter: Jitter = field(default=random.uniform)

    def pause(
        self,
        method: Method,
        attempt: int,
        *,
        status: int | None,
        retry_after: float | None,
        sent: bool,
        left: float,
    ) -> float | None:
        """Seconds to wait before the next try, or None where there is none.

        `status` is None where there was no answer; `sent` says that the API may have acted; `left` is the budget
        in seconds. A pause that would not fit the budget is not begun.
        """
        if attempt >= self.max_attempts:
            return None
        if status is not None and status not in (408, 429) and status < 500:
            return None
        if method == "POST" and sent:
            return None
        if retry_after is not None:
            pause = retry_after
        else:
            # Full jitter: many callers that failed together do not come back together.
            pause = self.jitter(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))
        return pause if pause < left else None


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """`Retry-After` in seconds, given as seconds or as an HTTP date (RFC 9110, 10.2.3); None if it is neither."""
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(float(header), _LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # whatever the parser thinks of rubbish
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
