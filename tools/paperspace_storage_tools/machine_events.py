"""The tool that reads one machine event, and the waiting that other tools do on events."""

from __future__ import annotations

from paperspace_storage_tools.arguments import ById
from paperspace_storage_tools.errors import EventFailed, Failure
from paperspace_storage_tools.models import EVENT_STATES, MachineEvent
from paperspace_storage_tools.ports import Call
from paperspace_storage_tools.text import in_quotes
from paperspace_storage_tools.tool import Tool

_FIRST_PAUSE = 0.5  # seconds; each pause is half as long again, up to _LONGEST_PAUSE
_LONGEST_PAUSE = 5.0
_LONGEST_WAIT = 86_400  # seconds; the budget ends it long before
_RESERVE = 1.0  # seconds of the call's budget kept for the answer itself


async def get_machine_event(call: Call, arguments: ById) -> MachineEvent:
    return await call.storage.events.get(arguments.id)


async def follow(call: Call, event: MachineEvent | None, seconds: int | None, what: str) -> MachineEvent | None:
    """The event after waiting up to `seconds` for it to finish, within the call's budget.

    An event that is not finished by then, is in a state that nobody has described, or cannot be read, comes back as
    last seen, with a notice: the API has accepted the operation, so that is no failure.

    Raises:
        EventFailed: the event ended as error or cancelled.
    """
    if event is None:
        return None
    wait = min(float(min(seconds or 0, _LONGEST_WAIT)), call.left() - _RESERVE)
    waited, pause = 0.0, _FIRST_PAUSE
    while not event.finished and waited < wait:
        pause_now = min(pause, wait - waited)
        await call.pause(pause_now)
        waited, pause = waited + pause_now, min(pause * 1.5, _LONGEST_PAUSE)
        try:
            event = await call.storage.events.get(event.id)
        except Failure as failure:
            call.notice(f"{what} was accepted, but its event could not be followed: {failure.text()}")
            return event
        wait = min(wait, waited + call.left() - _RESERVE)
        if not event.finished:
            await call.progress(waited, wait, f"{what}: {_state(event)}")
    if event.state in ("error", "cancelled"):
        raise EventFailed(what, event.id, event.state, event.error)
    if seconds and not event.finished:
        call.notice(f"Not finished: event {event.id} is {_state(event)}. Follow it with get_machine_event.")
    return event


def _state(event: MachineEvent) -> str:
    """A state that nobody has described is quoted; what it means, the reader has to judge."""
    return event.state if event.state in EVENT_STATES else f"in an unknown state, {in_quotes(event.state)}"


GET_MACHINE_EVENT = Tool(
    name="get_machine_event",
    title="Get machine event",
    description="State of a snapshot operation, by the id of its event.",
    kind="read",
    toolset="snapshots",
    arguments=ById,
    result=MachineEvent,
    run=get_machine_event,
    repeatable=True,
)
