"""How the sandbox says no: to a caller of the API, and to the operator who starts it; knows no HTTP library."""

from collections.abc import Sequence


class SandboxError(Exception):
    """The sandbox cannot start; the message is one line and says how to mend it."""


class Refusal(Exception):
    """A request the API turns down, with its status, its code and one sentence for the caller.

    The codes are those of live.openapi.yaml, `components.responses.Error`. A message never carries
    a value of the request: values may be secrets.
    """

    def __init__(self, status: int, code: str, message: str, issues: Sequence["Issue"] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.issues = tuple(issues)


class Issue:
    """One thing that is wrong with one field."""

    __slots__ = ("message", "path")

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        self.message = message


def bad_request(message: str, issues: Sequence[Issue] = ()) -> Refusal:
    return Refusal(400, "BAD_REQUEST", message, issues)


def unparsable() -> Refusal:
    return Refusal(400, "PARSE_ERROR", "The request body is not valid JSON.")


def unauthorized() -> Refusal:
    return Refusal(401, "UNAUTHORIZED", "A valid API key is required: send it as 'Authorization: Bearer KEY'.")


def not_found(what: str) -> Refusal:
    return Refusal(404, "NOT_FOUND", f"{what} not found.")


def conflict(message: str) -> Refusal:
    return Refusal(409, "CONFLICT", message)


def too_large(limit: int) -> Refusal:
    return Refusal(413, "PAYLOAD_TOO_LARGE", f"The request body is larger than {limit} bytes.")
