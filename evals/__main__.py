"""The command line: which agents, which tasks, and the table.

python -m evals                                                  # the two scripted agents, all tasks
python -m evals --agent "claude -p {prompt} --mcp-config {config} --allowedTools mcp__paperspace-storage"
python -m evals --agent "codex exec -c mcp_servers.storage.command={relay} {prompt}" --task clean-up
"""

from __future__ import annotations

import json
import shlex
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from evals.agent import SCRIPTED, Agent
from evals.run import SERVER, attempt
from evals.task import UNMEASURED, Score
from evals.tasks import TASKS
from evals.team import EvalError

_COLUMNS = ("task", "agent", "right", "harm", "secrets", "calls", "tokens", "seconds", "ended")


def table(scores: Sequence[Score]) -> str:
    """Markdown: a line a run, a line of sums an agent, and what the tools' definitions cost."""
    rows = [_row(one.task, one.agent, "yes" if one.right else "no", [one], one.ended) for one in scores]
    for agent in dict.fromkeys(one.agent for one in scores):
        mine = [one for one in scores if one.agent == agent]
        odd = sum(one.ended != "done" for one in mine)
        right = f"{sum(one.right for one in mine)} of {len(mine)}"
        rows.append(_row("**all**", agent, right, mine, f"{odd} not done" if odd else "done"))
    listing = max((one.listing_tokens for one in scores), default=0)
    note = f"The tools' definitions: {listing:,} tokens more, in every conversation."
    return "\n".join([_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *rows, "", note])


def _row(task: str, agent: str, right: str, scores: Sequence[Score], ended: str) -> str:
    harm, secrets, calls = (sum(getattr(one, name) for one in scores) for name in ("harm", "secrets", "calls"))
    tokens, seconds = sum(one.tokens for one in scores), sum(one.seconds for one in scores)
    return _line([task, agent, right, str(harm), str(secrets), str(calls), f"{tokens:,}", f"{seconds:.1f}", ended])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    try:
        scores = _run(options)
    except EvalError as error:
        parser.error(str(error))
    print(json.dumps([asdict(one) for one in scores], indent=1) if options.json else table(scores))
    return 1 if any(one.ended.startswith(UNMEASURED) for one in scores) else 0


def _run(options: Namespace) -> list[Score]:
    names = options.task or [task.name for task in TASKS]
    agents = [Agent.of(text) for text in options.agent or SCRIPTED]
    if len({agent.name for agent in agents}) < len(agents):
        raise EvalError("two agents have one name: write --agent NAME=COMMAND")
    server = shlex.split(options.server) if options.server else SERVER
    keep: Path | None = options.keep and options.keep.resolve()
    pairs = [(task, agent) for agent in agents for task in TASKS if task.name in names]
    with ThreadPoolExecutor(options.jobs) as pool:
        running = [
            pool.submit(attempt, task, agent, seconds=options.seconds, server=server, keep=keep)
            for task, agent in pairs
        ]
        scores: list[Score] = []
        for one in running:
            scores.append(one.result())
            print(f"{scores[-1].agent}: {scores[-1].task}: {scores[-1].ended}", file=sys.stderr)
        return scores


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m evals", description=__doc__, formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--agent",
        action="append",
        metavar="[NAME=]COMMAND",
        help="a command with {prompt} (else the prompt comes on stdin) and {config}, a file with mcpServers, or "
        "{relay}, a program without arguments that is the server; or one of: " + ", ".join(SCRIPTED),
    )
    parser.add_argument("--task", action="append", choices=[task.name for task in TASKS], help="all unless told")
    parser.add_argument(
        "--server", metavar="COMMAND", help="another server over stdio; it gets PAPERSPACE_API_URL and _API_KEY"
    )
    parser.add_argument("--seconds", type=_seconds, default=300.0, help="that one task may take; default 300")
    parser.add_argument("--jobs", type=int, choices=range(1, 9), default=1, help="tasks at a time; default 1")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep each run's record and what the agent printed")
    parser.add_argument("--json", action="store_true", help="everything that is known of each run, instead of a table")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise ValueError
    return seconds


if __name__ == "__main__":
    sys.exit(main())
