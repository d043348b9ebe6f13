"""The skills' workflows as prompts, for hosts that show these as commands. Knows no protocol; contains no API text."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from paperspace_storage_tools.arguments import check_identifier, check_name
from paperspace_storage_tools.skills import Skill, skills

_LONGEST = 500  # characters of one argument


class WrongPromptArgument(Exception):
    """An argument that a prompt lacks, does not know or cannot take. The value is not repeated."""

    def __init__(self, prompt: str, argument: str, why: str) -> None:
        super().__init__(f"{prompt}: {argument} {why}")
        self.argument = argument


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """One thing that a person says beforehand. `check` returns the value or raises ValueError with what it expects."""

    name: str
    description: str
    check: Callable[[str], str]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """One workflow. Its text is its skill's, after a first paragraph that says what it is to be done for."""

    name: str
    arguments: tuple[PromptArgument, ...]

    @property
    def skill(self) -> Skill:
        return next(skill for skill in skills() if skill.name == self.name)

    def text(self, given: Mapping[str, str]) -> str:
        """What the model is told. An empty value means that it was not given.

        Raises:
            WrongPromptArgument: the first that is unknown, missing or not of its form.
        """
        values = self._checked({name: value for name, value in given.items() if value != ""})
        body = self.skill.body.replace("](references/", f"](skill://{self.name}/references/")
        return "\n\n".join([*self._beforehand(values), body.lstrip()])

    def _beforehand(self, values: Mapping[str, str]) -> Iterator[str]:
        yield "Carry out the workflow below, step by step, with the person."
        if values:
            said = [f"- `{name}`: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
            yield "\n".join(["The person said beforehand:", *said])
        if unsaid := [f"`{one.name}`" for one in self.arguments if one.name not in values]:
            yield f"Not said: {', '.join(unsaid)}."

    def _checked(self, given: Mapping[str, str]) -> dict[str, str]:
        names = [one.name for one in self.arguments]
        for name in given:
            if name not in names:
                known = f"the arguments are {', '.join(names)}" if names else "there are no arguments"
                raise WrongPromptArgument(self.name, json.dumps(name[:80]), f"is unknown: {known}")
        values: dict[str, str] = {}
        for one in self.arguments:
            if one.name not in given:
                if one.required:
                    raise WrongPromptArgument(self.name, one.name, f"is missing: {one.description}")
                continue
            try:
                values[one.name] = one.check(given[one.name])
            except ValueError as error:
                raise WrongPromptArgument(self.name, one.name, f"must be {error}") from None
        return values


def _line(value: str) -> str:
    if len(value) > _LONGEST:
        raise ValueError(f"at most {_LONGEST} characters")
    return check_name(value)


def _identifier(value: str) -> str:
    return check_identifier(_line(value))


def _machine(*, required: bool) -> PromptArgument:
    return PromptArgument("machineId", "the machine's id, as list_machines gives it", _identifier, required)


PROMPTS: Final = (
    Prompt("before-upgrade", (_machine(required=True),)),
    Prompt(
        "restore-machine",
        (
            _machine(required=True),
            PromptArgument("snapshotId", "the snapshot to go back to, as list_snapshots gives it", _identifier),
        ),
    ),
    Prompt(
        "clean-up-snapshots",
        (
            PromptArgument("keep", 'the rule: what is kept, such as "the newest 3 of each machine"', _line, True),
            _machine(required=False),
        ),
    ),
    Prompt("rotate-provider-keys", (PromptArgument("provider", "the provider's name or id", _line, True),)),
    Prompt("storage-review", ()),
)


def prompts(tools: Collection[str]) -> tuple[Prompt, ...]:
    """The prompts that can be carried out with these tools."""
    return tuple(prompt for prompt in PROMPTS if prompt.skill.requires <= set(tools))
