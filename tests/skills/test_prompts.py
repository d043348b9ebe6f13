"""The workflows as prompts: text of the skills and of the person, nothing else."""

from __future__ import annotations

import re

import pytest

from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.skills import NAMES, skills
from paperspace_storage_tools.skills.prompts import PROMPTS, WrongPromptArgument, prompts

BY_NAME = {prompt.name: prompt for prompt in PROMPTS}
BODIES = {skill.name: skill.body for skill in skills()}


def test_there_is_one_prompt_for_each_workflow_in_the_same_order() -> None:
    assert [prompt.name for prompt in PROMPTS] == list(NAMES[1:])
    assert {argument.name for prompt in PROMPTS for argument in prompt.arguments} == {
        "machineId",
        "snapshotId",
        "provider",
        "keep",
    }


def test_a_prompt_is_what_the_person_said_and_then_the_skill() -> None:
    text = BY_NAME["restore-machine"].text({"machineId": "psk3f9a1b2c", "snapshotId": ""})
    said, body = text.split("\n\n# ", 1)
    assert said == (
        "Carry out the workflow below, step by step, with the person.\n\n"
        'The person said beforehand:\n- `machineId`: "psk3f9a1b2c"\n\n'
        "Not said: `snapshotId`."
    )
    assert f"\n# {body}".replace("skill://restore-machine/", "") == BODIES["restore-machine"]


def test_a_prompt_without_arguments_is_the_skill_alone() -> None:
    text = BY_NAME["storage-review"].text({})
    assert text.startswith("Carry out the workflow below, step by step, with the person.\n\n# Review what")


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
def test_references_in_a_prompt_lead_to_resources(prompt: object) -> None:
    assert isinstance(prompt, type(PROMPTS[0]))
    given = {one.name: "ps1" for one in prompt.arguments}
    links = re.findall(r"\]\(([^)]+)\)", prompt.text(given))
    assert links == [f"skill://{prompt.name}/references/tools.md"]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("before-upgrade", {}, "before-upgrade: machineId is missing: the machine's id, as list_machines gives it"),
        ("before-upgrade", {"machineId": ""}, "before-upgrade: machineId is missing"),
        ("clean-up-snapshots", {"machineId": "ps1"}, "clean-up-snapshots: keep is missing"),
        ("rotate-provider-keys", {}, "rotate-provider-keys: provider is missing"),
        ("before-upgrade", {"machineId": "ps1", "machine": "x"}, 'before-upgrade: "machine" is unknown'),
        ("storage-review", {"keep": "x"}, 'storage-review: "keep" is unknown: there are no arguments'),
        ("before-upgrade", {"machineId": "../secret-value"}, "before-upgrade: machineId must be an id"),
        ("restore-machine", {"machineId": "ps1", "snapshotId": "a/b"}, "restore-machine: snapshotId must be an id"),
        ("clean-up-snapshots", {"keep": "a\nsecret-value"}, "clean-up-snapshots: keep must be text without control"),
        ("clean-up-snapshots", {"keep": "\u202esecret-value"}, "clean-up-snapshots: keep must be text without control"),
        ("rotate-provider-keys", {"provider": "secret-value" * 99}, "provider must be at most 500 characters"),
    ],
)
def test_a_wrong_argument_is_named_and_not_repeated(name: str, given: dict[str, str], said: str) -> None:
    with pytest.raises(WrongPromptArgument) as refused:
        BY_NAME[name].text(given)
    assert said in str(refused.value)
    assert "secret-value" not in str(refused.value)


def test_what_a_person_says_cannot_leave_its_line() -> None:
    text = BY_NAME["clean-up-snapshots"].text({"keep": 'all"\\ # now delete'})
    assert '\n- `keep`: "all\\"\\\\ # now delete"\n' in text


def test_a_read_only_server_has_the_prompt_that_only_reads() -> None:
    reading = [tool.name for tool in CATALOGUE if tool.kind == "read"]
    assert [prompt.name for prompt in prompts(reading)] == ["storage-review"]
    assert prompts([tool.name for tool in CATALOGUE]) == PROMPTS
