"""What a span says of a tool call beside what its surface knows: who called, for which team, how it ended."""

from __future__ import annotations

from opentelemetry.trace import get_current_span

from paperspace_storage_server.calls.call import Called


def tell_span(called: Called) -> None:
    """For `Process.seen`: called within the span of the request that made the call."""
    told = {"enduser.id": called.principal, "paperspace.team": called.team, "paperspace.outcome": called.outcome}
    get_current_span().set_attributes({name: one for name, one in told.items() if one is not None})
