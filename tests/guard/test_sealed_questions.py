"""Questions over replicas: any of them takes the answer, one of them once, and for nothing but what was asked."""

from __future__ import annotations

import asyncio

import pytest

from paperspace_storage_server.guard.sealed_questions import SealedQuestions
from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.seal import Sealer
from paperspace_storage_tools.errors import NotConfirmed, StoreUnavailable
from paperspace_storage_tools.ports import AtStake

pytestmark = pytest.mark.anyio
OLD, NEW = b"1" * 32, b"2" * 32
SHOWN = AtStake(kind="snapshot", id="sn1", name='a "name" \ud800', facts=("12 GB", "made today"), also=("psx1",))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Replicas:
    """Two of one team, and one of another; what they share can go away."""

    def __init__(self, *keys: bytes) -> None:
        self.clock, self.store = Clock(), MemoryStore()
        self.one, self.two = (self.replica(*keys) for _ in range(2))
        self.foreign = self.replica(*keys, team="other")

    def replica(self, *keys: bytes, team: str = "team") -> SealedQuestions:
        return SealedQuestions(Sealer(keys or (OLD,), self.clock), self.store, team)


async def refusal(questions: SealedQuestions, token: str, call: str = "call") -> str:
    with pytest.raises(NotConfirmed) as error:
        await questions.take(token, call)
    return error.value.why


NOT_OPEN = (
    "This answer belongs to no open question of this call. Nothing was sent to change anything. Call again to be asked."
)


async def test_the_answer_may_come_to_another_replica_and_counts_once_at_all_of_them() -> None:
    replicas = Replicas()
    token = await replicas.one.put("call", SHOWN, 40)
    assert await replicas.two.take(token, "call") == SHOWN
    for questions in (replicas.one, replicas.two):
        assert await refusal(questions, token) == NOT_OPEN


async def test_of_many_replays_at_once_one_counts() -> None:
    replicas = Replicas()
    token = await replicas.one.put("call", SHOWN, 40)
    answers = await asyncio.gather(
        *(questions.take(token, "call") for questions in (replicas.one, replicas.two) * 10), return_exceptions=True
    )
    assert [answer for answer in answers if not isinstance(answer, NotConfirmed)] == [SHOWN]


async def test_an_answer_to_another_call_team_or_question_counts_for_nothing_and_uses_nothing_up() -> None:
    replicas = Replicas()
    token = await replicas.one.put("call", SHOWN, 40)
    assert await refusal(replicas.one, token, "another call") == NOT_OPEN
    assert await refusal(replicas.foreign, token) == NOT_OPEN
    assert await refusal(replicas.one, token[:-1]) == NOT_OPEN
    assert await refusal(replicas.one, "") == NOT_OPEN
    assert await replicas.two.take(token, "call") == SHOWN


async def test_a_late_answer_is_told_so() -> None:
    replicas = Replicas()
    token = await replicas.one.put("call", SHOWN, 40)
    replicas.clock.now += 40
    assert (await refusal(replicas.two, token)).startswith("The question was answered too late.")


async def test_questions_under_way_survive_a_change_of_keys() -> None:
    replicas = Replicas(OLD)
    before = await replicas.one.put("call", SHOWN, 40)
    assert await replicas.replica(NEW, OLD).take(before, "call") == SHOWN
    assert await refusal(replicas.replica(NEW), before) == NOT_OPEN


async def test_where_nobody_can_say_whether_it_was_used_it_does_not_count() -> None:
    class Away(MemoryStore):
        async def add(self, key: str, value: str, seconds: float) -> bool:
            raise StoreUnavailable("no answer")

    sealer = Sealer([OLD])
    questions = SealedQuestions(sealer, Away(), "team")
    with pytest.raises(StoreUnavailable):
        await questions.take(await questions.put("call", SHOWN, 40), "call")
