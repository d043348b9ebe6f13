"""Every failure a tool can meet, as a class with fields; its text for the model is written here and once.

A text says what failed, why, and what to do next. Whether anything was changed is added by `describe`, which
is the one place that turns a failure into text. Values that a caller typed are never repeated; an API's own
words come quoted. No class keeps a request, an answer or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Literal, TypeAlias

from paperspace_storage_tools.text import in_quotes

Kind: TypeAlias = Literal[
    "shared drive",
    "snapshot",
    "storage provider",
    "machine event",
    "machine",
    "private network",
    "utilization",
    "team",
]
Changed: TypeAlias = Literal["nothing", "unknown", "said"]
"""After a write: nothing was changed, nobody knows, or the text itself says it."""

LISTED_BY: dict[str, str] = {
    "shared drive": "list_shared_drives",
    "snapshot": "list_snapshots",
    "storage provider": "list_storage_providers",
    "machine": "list_machines",
    "private network": "list_private_networks",
}


class Failure(Exception):
    """Base of all failures; `changed` says what a write may have done."""

    changed: Changed = "nothing"

    @property
    def in_doubt(self) -> bool:
        """Whether nobody knows what the write has done."""
        return self.changed == "unknown"

    def text(self) -> str:
        raise NotImplementedError  # every class below says its own

    def short(self) -> str:
        """What failed, without what to do next: for a text that gives advice of its own."""
        return self.text()


def describe(failure: Failure, *, write: bool) -> str:
    """The failure as one short text; after a write it ends with whether anything was changed."""
    text = failure.text()
    if not write or failure.changed == "said":
        return text
    if failure.changed == "nothing":
        return f"{text} Nothing was changed."
    return f"{text} Whether anything was changed is unknown."


def quoted(message: str | None) -> str:
    """The API's own words as a quotation, or nothing."""
    message = (message or "").strip()
    if not message:
        return ""
    if len(message) > 300:
        message = message[:299] + "…"
    return f' The API said: "{message}".'


def span(seconds: float) -> str:
    """A time for people, rounded up: `40 s`, `12 min`, `3 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{ceil(seconds / size)} {unit}"
    return f"{max(1, ceil(seconds))} s"


def tries_in_words(tries: int) -> str:
    return f" after {tries} tries" if tries > 1 else ""


# --- before anything is sent


@dataclass
class InvalidArguments(Failure):
    """Arguments that do not fit; all of them, without their values."""

    tool: str
    problems: list[str]
    changed: Changed = "said"

    def text(self) -> str:
        return f"{self.tool}: {'; '.join(self.problems)}. Correct and call again; nothing was sent."


@dataclass
class NoKey(Failure):
    """No API key is configured. The server runs all the same, so that a host can show this."""

    def text(self) -> str:
        return (
            "No Paperspace API key. Ask the person to set PAPERSPACE_API_KEY in this server's entry of the MCP "
            "host's configuration (or to run `pspace login`) and to restart the server."
        )


@dataclass
class Unsupported(Failure):
    """The API that is served cannot do this; said before anything is sent."""

    reason: str

    def text(self) -> str:
        return self.reason


@dataclass
class UnknownProfile(Failure):
    """A credential profile that the operator has not configured."""

    known: list[str]

    def text(self) -> str:
        names = ", ".join(self.known) or "none are configured"
        return f"Unknown credentialProfile. Profiles that exist: {names}. Use one of them or ask the person to add it."


@dataclass
class ProfilePinned(Failure):
    """A credential profile that the operator has tied to one endpoint or bucket, given for another."""

    argument: str
    pinned: str

    def text(self) -> str:
        return (
            f"The operator allows this credentialProfile only with {self.argument} set to {self.pinned}. Give exactly "
            "that, another profile, or ask the person."
        )


@dataclass
class Protected(Failure):
    """The operator protects this resource by name or id."""

    kind: Kind
    name: str
    id: str
    glob: str
    act: str

    def text(self) -> str:
        return (
            f"The operator protects {self.kind} {in_quotes(self.name)} ({self.id}): its name or id matches --protect "
            f'"{self.glob}", so it cannot be {self.act}. Only the operator can lift that (PAPERSPACE_MCP_PROTECT).'
        )


@dataclass
class ProtectionUnknown(Failure):
    """The operator protects some names and ids, and the API does not say what would have to be compared with them."""

    kind: Kind
    id: str
    unsaid: str
    act: str

    def text(self) -> str:
        return (
            "The operator protects some names and ids (PAPERSPACE_MCP_PROTECT), and the API does not say "
            f"{self.unsaid} of {self.kind} {self.id}: it may be a protected one, so it cannot be {self.act}. Look "
            "again in a minute; if it stays so, ask the person to do it in the Paperspace console."
        )


@dataclass
class NotConfirmed(Failure):
    """A person did not agree, or the exact name was not typed. `why` says honestly which it was."""

    why: str

    def text(self) -> str:
        return self.why


@dataclass
class CannotBeShown(Failure):
    """What a person would have to be shown holds a secret that this server knows; masked, it would name nothing."""

    what: str

    def text(self) -> str:
        return (
            f"A name or a field of this {self.what} holds a secret that this server knows, so nobody can be shown what "
            "would be confirmed. Ask the person to rename it in the Paperspace console first."
        )


@dataclass
class CannotBeRecorded(Failure):
    """Arguments that hold a secret. The audit file shows arguments as they are, so nothing is done with these."""

    arguments: list[str]

    def text(self) -> str:
        where = " and ".join(f"`{one}`" for one in self.arguments)
        return (
            f"{where} would put a secret into the operator's audit file: one that this server knows, or that stands in "
            "another argument of this call. Secrets belong into accessKey and secretKey only: leave it out elsewhere."
        )


@dataclass
class OverAllowance(Failure):
    """The operator's bound on deletions and restores is reached: `count` in `seconds`; the next in `wait` seconds."""

    count: int
    seconds: float
    wait: float | None

    def text(self) -> str:
        if self.wait is None:
            return (
                "The operator allows no deletions and restores here (PAPERSPACE_MCP_MAX_DESTRUCTIVE). Ask them to "
                "raise it, or do it in the Paperspace console."
            )
        what = "deletion or restore" if self.count == 1 else "deletions or restores"
        return (
            f"The operator allows {self.count} {what} in {span(self.seconds)}, and as many were made. "
            f"The next can be made in {span(self.wait)}; do not try before. Only the operator can raise that "
            "(PAPERSPACE_MCP_MAX_DESTRUCTIVE)."
        )


@dataclass
class AuditUnwritable(Failure):
    """The audit file cannot be written, so the write is not made."""

    reason: str

    def text(self) -> str:
        return (
            f"The audit file cannot be written ({self.reason}), so the write was not made. "
            "Ask the operator to check PAPERSPACE_MCP_AUDIT_FILE."
        )


@dataclass
class StoreUnavailable(Failure):
    """What counts and locks for all processes cannot be asked, so nothing may be written; `reason` is for people."""

    reason: str

    def text(self) -> str:
        return (
            f"What this server shares with its other processes is not available ({self.reason}), so it writes nothing "
            "until that is back. Reading goes on. Try again in a minute."
        )


@dataclass
class NotConnected(Failure):
    """The caller is in no team of a hosted server, and has handed in no team's key; `page` is where that is done."""

    page: str

    def text(self) -> str:
        return (
            "This server has no Paperspace key for you: you are in none of its teams. Ask the person to open "
            f"{self.page}, to sign in there as the person whom this client signed in, and to hand in their team's "
            "API key on that page, never here. Then call again."
        )


@dataclass
class ConnectedKeyUnavailable(Failure):
    """The caller's key stands in the store that processes share, which cannot be asked; `reason` is for people."""

    reason: str

    def text(self) -> str:
        return (
            f"Your team's key is kept in what this server shares with its other processes, and that is not available "
            f"({self.reason}), so nothing was sent. Try again in a minute."
        )


# --- what the API answered


@dataclass
class Refused(Failure):
    """A 4xx: the API understood and refused."""

    status: int
    code: str | None
    message: str | None
    kind: Kind
    id: str | None = None
    issues: list[str] = field(default_factory=list[str])

    def text(self) -> str:
        code = f"{self.status}{' ' + self.code if self.code else ''}"
        subject = f"{self.kind} {self.id}" if self.id else self.kind
        words = quoted("; ".join([self.message or "", *self.issues]).strip("; "))
        if self.status == 401:
            return f"The API does not accept the key ({code}).{words} Ask the person to check PAPERSPACE_API_KEY."
        if self.status == 403:
            return (
                f"This key may not do that with the {subject} ({code}).{words} "
                "Ask the person for a key of the right team and role."
            )
        if self.status == 404:
            lister = LISTED_BY.get(self.kind)
            hint = f" {lister} lists what exists." if lister else ""
            return f"No {subject} ({code}).{words} Check the id.{hint}"
        if self.status == 408:
            return f"The API gave up waiting for the request ({code}).{words} Try again in a minute."
        if self.status in (409, 412):
            return (
                f"Conflict at the {subject} ({code}).{words} Read its present state, then decide; "
                "if it is busy, try again in a minute."
            )
        return f"The API refused the request for the {subject} ({code}).{words} Correct what it names and call again."


@dataclass
class RateLimited(Failure):
    """429 until the budget did not allow another wait. `retry_after` is in seconds."""

    retry_after: float | None
    tries: int

    def text(self) -> str:
        when = f"in {max(1, ceil(self.retry_after))} s" if self.retry_after is not None else "in a minute"
        return f"The API is limiting the rate (429){tries_in_words(self.tries)}. Try again {when}, with fewer calls."


@dataclass
class ServerTrouble(Failure):
    """5xx after the tries that were allowed."""

    status: int
    message: str | None
    tries: int
    changed: Changed = "nothing"

    def text(self) -> str:
        return f"{self.short()} This is on its side: try again in a minute."

    def short(self) -> str:
        return f"The API failed ({self.status}){tries_in_words(self.tries)}.{quoted(self.message)}"


@dataclass
class Unreachable(Failure):
    """The API could not be reached: DNS, TLS, proxy, connection; `advice` says what to check."""

    what: str
    advice: str
    tries: int
    changed: Changed = "nothing"

    def text(self) -> str:
        return f"{self.short()} {self.advice}"

    def short(self) -> str:
        return f"{self.what}{tries_in_words(self.tries)}."


@dataclass
class TimedOut(Failure):
    """No answer in time. `seconds` is how long the call waited in all, `tries` how often it was sent."""

    seconds: float
    tries: int = 0
    changed: Changed = "nothing"

    def text(self) -> str:
        return (
            f"{self.short()} Try again; if it stays so, ask the person to check the network or to raise "
            "PAPERSPACE_MCP_CALL_TIMEOUT."
        )

    def short(self) -> str:
        return f"The API did not answer within {self.seconds:.3g} s{tries_in_words(self.tries)}."


@dataclass
class Cancelled(Failure):
    """A call that was cancelled: nobody reads this but whoever keeps what became of its write."""

    tries: int
    changed: Changed = "nothing"

    def text(self) -> str:
        return f"The call was cancelled{tries_in_words(self.tries)}."


@dataclass
class Malformed(Failure):
    """An answer that is not what either API description promises; `what` names it, `message` is the API's own."""

    what: str
    changed: Changed = "nothing"
    message: str | None = None

    def text(self) -> str:
        return (
            f"{self.short()} Try again; if it stays so, ask the person to check PAPERSPACE_API_URL and "
            "PAPERSPACE_MCP_DIALECT."
        )

    def short(self) -> str:
        said = f' ("{self.message}")' if self.message else ""
        return f"The API's answer is not usable: {self.what}{said}."


@dataclass
class FailedInside(Failure):
    """A fault of this server's own. `error` is the exception's class; its text stays in the log."""

    error: str
    write: bool
    changed: Changed = "said"

    def text(self) -> str:
        next = "Look before trying again: whether anything was changed is unknown." if self.write else "Try again."
        return f"This server failed inside ({self.error}); its log says where. {next}"


# --- after a write


@dataclass
class OutcomeUnknown(Failure):
    """A write was sent and nobody knows whether the API acted."""

    what: str
    check: str
    changed: Changed = "said"

    @property
    def in_doubt(self) -> bool:
        return True

    def text(self) -> str:
        return f"{self.what} {self.check}"


@dataclass
class EventFailed(Failure):
    """The API accepted the operation, and the machine event ended in error or was cancelled."""

    what: str
    event_id: str
    state: str
    error: str | None
    changed: Changed = "said"

    def text(self) -> str:
        why = f' The event says: "{self.error}".' if self.error else ""
        return (
            f"{self.what} was accepted but its machine event {self.event_id} ended as {self.state}.{why} "
            "Read the present state before trying again."
        )


@dataclass
class SafetySnapshotKept(Failure):
    """A restore that failed after its safety snapshot was made: the cause, and what exists now."""

    cause: Failure
    snapshot_id: str
    changed: Changed = "said"

    @property
    def in_doubt(self) -> bool:
        return self.cause.in_doubt

    def text(self) -> str:
        restored = "was not restored" if self.cause.changed == "nothing" else "may or may not have been restored"
        return f"{self.cause.text()} The machine {restored}; its safety snapshot {self.snapshot_id} exists."
