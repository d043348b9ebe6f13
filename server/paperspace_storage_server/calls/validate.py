"""Arguments into their typed form, or one failure that names everything wrong with them and repeats no value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from paperspace_storage_tools.arguments import Arguments, is_absent
from paperspace_storage_tools.errors import InvalidArguments
from paperspace_storage_tools.text import clean
from paperspace_storage_tools.tool import Tool

ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)
DENIED: dict[str, frozenset[str]] = {"allow": frozenset(), "deny": frozenset({"accessKey", "secretKey"})}
"""Arguments that are switched off, by the setting PAPERSPACE_MCP_SECRET_ARGUMENTS."""

_MOST_PROBLEMS = 20
"""More than any tool has arguments. Without a bound, thousands of invented argument names in one call would show by
what is masked of them which runs of characters are in a secret."""
_EXPECTED = {
    "string_type": "text",
    "string_unicode": "text without halves of characters (lone surrogates)",
    "string_too_short": "text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "too_short": "text that is not empty",
    "too_long": "shorter text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
}


def validate(tool: Tool[ArgumentsT], given: Mapping[str, Any], *, denied: frozenset[str] = frozenset()) -> ArgumentsT:
    """The tool's arguments; camelCase and snake_case alike.

    `denied` are arguments that the operator has switched off.

    Raises:
        InvalidArguments: with all problems at once.
    """
    refused = (to_camel(name) for name, value in given.items() if not is_absent(value)) if denied else ()
    switched_off = [name for name in refused if name in denied]
    problems = [f"`{name}` is switched off on this server: give credentialProfile" for name in switched_off]
    try:
        arguments = tool.arguments.model_validate(given)
    except ValidationError as error:
        problems += [_problem(one, tool.arguments) for one in error.errors()]
    else:
        if not problems:
            return arguments
    problems = list(dict.fromkeys(problems))
    if (more := len(problems) - _MOST_PROBLEMS) > 0:
        problems[_MOST_PROBLEMS:] = [f"and {more} more"]
    raise InvalidArguments(tool.name, problems)


def _problem(one: ErrorDetails, model: type[Arguments]) -> str:
    if not one["loc"]:
        return one["msg"].removeprefix("Value error, ")
    name, *_ = map(str, one["loc"])
    argument = f"`{to_camel(name)}`"
    match one["type"]:
        case "extra_forbidden":
            return _unknown(name, model)
        case "missing":
            return f"{argument} is required"
        case "value_error":
            return f"{argument} must be {one['msg'].removeprefix('Value error, ')}"
        case kind:
            return f"{argument} must be {_EXPECTED.get(kind, 'of another type').format(**one.get('ctx', {}))}"


def _unknown(name: str, model: type[Arguments]) -> str:
    shown, known = clean(name)[:40], [to_camel(field) for field in model.model_fields]
    lowered = {one.lower(): one for one in known}
    near = difflib.get_close_matches(to_camel(name).lower(), lowered, cutoff=0.5)
    if near:
        return f"unknown argument `{shown}` (did you mean `{lowered[near[0]]}`?)"
    takes = ", ".join(known) if known else "no arguments"
    return f"unknown argument `{shown}`; this tool takes {takes}"
