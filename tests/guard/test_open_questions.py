"""Questions that wait for an answer: how many, for how long, and for which call alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paperspace_storage_server.guard.confirm import Question, QuestionsHere, check_typed, describe, exact_name, question
from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_tools.errors import NotConfirmed
from paperspace_storage_tools.ports import AtStake
from support.guarded import Clock

pytestmark = pytest.mark.anyio
DRIVE = AtStake(kind="shared drive", id="sd1", name="data", facts=("500 GB", "region ny2"))
GUARDED = Hygiene(Vault())


async def test_a_thousand_questions_wait_at_once_and_the_oldest_goes_for_one_more() -> None:
    questions = QuestionsHere(Clock())
    tokens = [await questions.put(f"call {number}", DRIVE, 60) for number in range(1000)]
    assert len(set(tokens)) == 1000
    assert await questions.take(tokens[0], "call 0") == DRIVE
    tokens += [await questions.put(f"call {number}", DRIVE, 60) for number in (1000, 1001)]
    with pytest.raises(NotConfirmed, match="belongs to no open question"):
        await questions.take(tokens[1], "call 1")
    assert await questions.take(tokens[2], "call 2") == DRIVE
    assert await questions.take(tokens[1001], "call 1001") == DRIVE


async def test_an_answer_counts_until_the_very_end_of_its_time_and_not_after_it() -> None:
    clock = Clock()
    questions = QuestionsHere(clock)
    in_time, late = [await questions.put("call", DRIVE, 60) for _ in range(2)]
    clock.now += 60
    assert await questions.take(in_time, "call") == DRIVE
    clock.now += 0.001
    with pytest.raises(NotConfirmed, match="answered too late"):
        await questions.take(late, "call")


async def test_a_question_that_travels_with_its_answer_stands_for_ten_minutes() -> None:
    clock = Clock()
    asked = Question("Delete it?", DRIVE, "call", 40, QuestionsHere(clock))
    in_time, late = [await asked.put() for _ in range(2)]
    clock.now += 600
    assert await asked.take(in_time) == DRIVE
    clock.now += 0.001
    with pytest.raises(NotConfirmed, match="answered too late"):
        await asked.take(late)


async def test_a_token_that_is_tried_for_another_call_is_used_up() -> None:
    questions = QuestionsHere(Clock())
    token = await questions.put("zz call", DRIVE, 60)
    for call in ("aa call", "zz call"):
        with pytest.raises(NotConfirmed, match="belongs to no open question"):
            await questions.take(token, call)


async def test_a_token_cannot_be_guessed() -> None:
    questions = QuestionsHere(Clock())
    tokens = [await questions.put("call", DRIVE, 60) for _ in range(50)]
    assert {len(token) for token in tokens} == {32}  # 24 random bytes
    assert len(set(tokens)) == 50


# --- what is asked


def test_a_question_names_team_kind_id_name_and_facts_and_what_is_lost() -> None:
    assert question("delete", DRIVE, GUARDED, "ours") == (
        'Team "ours": Delete shared drive sd1 "data" (500 GB, region ny2)?\nThis cannot be undone.'
    )
    assert question("restore", replace(DRIVE, name="", facts=()), GUARDED) == (
        "Restore shared drive sd1?\nWhat is lost cannot be brought back."
    )
    assert question("shrink", replace(DRIVE, facts=("5 GB",)), GUARDED).startswith(
        'Shrink shared drive sd1 "data" (5 GB)?'
    )


def test_what_is_typed_must_be_the_name_or_the_id_of_what_has_no_name() -> None:
    check_typed("delete", DRIVE, "data", GUARDED)
    check_typed("delete", replace(DRIVE, name=""), "sd1", GUARDED)
    check_typed("delete", replace(DRIVE, name="a\u200bb"), "ab", GUARDED)
    check_typed("delete", replace(DRIVE, name="a\u200bb"), "a\u200bb", GUARDED)
    for typed in ("sd1", "Data", "dat", "data ", ""):
        with pytest.raises(NotConfirmed, match=r"is not confirmed: `confirm` is not its exact name\."):
            check_typed("delete", DRIVE, typed, GUARDED)
    with pytest.raises(NotConfirmed, match=r"is not confirmed: `confirm` is not its exact id\."):
        check_typed("delete", replace(DRIVE, name=""), "data", GUARDED)
    with pytest.raises(NotConfirmed) as refused:
        check_typed("restore", DRIVE, None, GUARDED)
    assert str(refused.value).startswith(
        'Restoring shared drive sd1 "data" (500 GB, region ny2) needs a confirmation. If that is what the person '
        "wants, call again with confirm set to its exact name."
    )
    assert describe(replace(DRIVE, name=""), GUARDED) == "shared drive sd1 (500 GB, region ny2)"
    assert exact_name(replace(DRIVE, name=""), GUARDED) == "sd1"
