"""The agents of evals/ as commands: what they are handed, and that any end of one is a result."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path

import pytest

from evals.__main__ import table
from evals.agent import Agent, run, said
from evals.run import attempt
from evals.task import Score
from evals.tasks import TASKS
from evals.team import EvalError


def test_a_command_gets_prompt_and_config_in_their_places_and_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERSPACE_API_KEY", "a real one")
    show = "import os, sys; print(sys.argv[1:], os.environ.get('PAPERSPACE_API_KEY'), sys.stdin.read())"
    agent = Agent.of(f'shown={sys.executable} -c "{show}" -p {{prompt}} server={{relay}} {{config}}')
    prompt = "Do {config} 'this'; $(touch x)\nand that"
    assert (agent.name, run(agent, prompt, tmp_path, 30)) == ("shown", "done")
    given = ["-p", prompt, f"server={tmp_path / 'relay'}", str(tmp_path / "mcp.json")]
    assert said(tmp_path) == f"{given} None \n"


def test_without_a_place_the_prompt_comes_on_stdin(tmp_path: Path) -> None:
    assert run(Agent.of("cat"), "Do this.", tmp_path, 30) == "done"
    assert said(tmp_path) == "Do this."


@pytest.mark.parametrize(
    ("script", "ended"),
    [("exit 3", "exit 3"), ("kill -9 $$", "signal 9"), ("echo ANSWER: 1 >&2; exit 0", "done")],
)
def test_how_an_agent_ends_is_a_result(tmp_path: Path, script: str, ended: str) -> None:
    assert run(Agent("sh", ("sh", "-c", script)), "", tmp_path, 30) == ended
    assert said(tmp_path) == ""


def test_an_agent_that_hangs_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    held = tmp_path / "held"  # by whatever the agent has started, for as long as it lives
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    try:
        began = time.monotonic()
        hanging = Agent("sh", ("sh", "-c", f"exec 3>'{held}'; echo >&3; sleep 600 & wait"))
        assert run(hanging, "", tmp_path, 0.5) == "stopped after 0.5 s"
        assert time.monotonic() - began < 30
        ended = b""
        while select.select([reader], [], [], 30)[0] and (more := os.read(reader, 1)):
            ended = more
        assert ended == b"\n"  # it was begun, and nobody holds it any more
        assert select.select([reader], [], [], 0)[0]
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


@pytest.mark.parametrize("text", ["", "no-such-program-here -p", "x=", "unclosed 'quote"])
def test_an_agent_that_is_none_is_refused_before_anything_runs(text: str) -> None:
    with pytest.raises(EvalError):
        Agent.of(text)


@pytest.mark.slow
def test_an_agent_that_crashes_on_a_task_has_a_line_in_the_table(tmp_path: Path) -> None:
    (task,) = [task for task in TASKS if task.name == "nobody-asked"]
    score = attempt(task, Agent("crash", ("sh", "-c", "echo ANSWER: team-home; exit 4")), seconds=30, keep=tmp_path)
    assert (score.right, score.harm, score.calls, score.ended) == (False, 0, 0, "exit 4")
    assert (score.answer, score.expected) == ("team-home", "datasets")
    kept = tmp_path / "crash" / "nobody-asked"
    assert json.loads((kept / "mcp.json").read_text()).keys() == {"mcpServers"}
    assert os.access(kept / "relay", os.X_OK)


def test_the_table_has_a_line_a_run_a_sum_an_agent_and_what_the_tools_cost() -> None:
    scores = [
        Score("one", "well", right=True, calls=2, tokens=1200, seconds=1.5, listing_tokens=1664),
        Score("two", "well", right=True, calls=1, tokens=100, seconds=1.0, listing_tokens=1664),
        Score("one", "badly", harm=2, secrets=1, calls=9, tokens=5000, seconds=2.0, ended="exit 1"),
    ]
    assert table(scores).splitlines() == [
        "| task | agent | right | harm | secrets | calls | tokens | seconds | ended |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| one | well | yes | 0 | 0 | 2 | 1,200 | 1.5 | done |",
        "| two | well | yes | 0 | 0 | 1 | 100 | 1.0 | done |",
        "| one | badly | no | 2 | 1 | 9 | 5,000 | 2.0 | exit 1 |",
        "| **all** | well | 2 of 2 | 0 | 0 | 3 | 1,300 | 2.5 | done |",
        "| **all** | badly | 0 of 1 | 2 | 1 | 9 | 5,000 | 2.0 | 1 not done |",
        "",
        "The tools' definitions: 1,664 tokens more, in every conversation.",
    ]
