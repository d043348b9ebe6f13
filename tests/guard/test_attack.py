"""The attack from the model's chair ends with nothing gone and no secret out."""

from __future__ import annotations

import pytest

from support.attack import attack

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.parametrize(("person", "answers"), [(True, 200), (False, 150)])
async def test_nothing_but_tools_gets_out_neither_a_secret_nor_an_unconfirmed_deletion(
    person: bool, answers: int
) -> None:
    made = await attack(person)
    assert (made.gone, made.secrets) == ([], [])
    assert len(made.attempts) >= answers
    redirected = [one.answer for one in made.attempts if one.what.startswith(("redirect tied", "tied keys"))]
    assert len(redirected) == 11
    assert all('"isError":true' in answer for answer in redirected)
