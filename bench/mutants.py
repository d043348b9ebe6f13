"""One line of the server changed at a time: do the fast tests notice? A random sample, in copies of the tree.

    make mutants MUTANTS="--sample 300 --seed 7"

The changes are those of `cosmic-ray`'s operators, without those that change nothing (`_Bare` says which and why). The
sample has the same number of each room. Of each change only the tests that run its line are run, fastest first, until
one fails; a change that nobody runs survives. Exit 1 where a tenth or more survive. docs/mutations.md has the figures.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import json
import os
import random
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count, islice
from math import sqrt
from pathlib import Path
from queue import Queue
from typing import Any

ROOT = Path(__file__).parent.parent
SERVER = Path("server/paperspace_storage_server")
ROOMS = ("guard", "api", "http", "wire", "calls")
MOST_TESTS = 1500  # of the fastest that run a line: an import runs under all of them
LIMIT = 240.0  # seconds for the tests of one change; a change that hangs is noticed

_cosmic: Callable[[str], Any] = import_module  # untyped, and of a group that the checkers do without


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: `line` as it stands and as it becomes."""

    file: Path
    line: int
    code: str
    was: str
    becomes: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(SERVER)}:{self.line}  {self.was}  ->  {self.becomes}"


class _Bare(ast.NodeTransformer):
    """A program without what changes nothing when it runs here. A change within that is no change.

    No list of lines: each rule holds for every line of its kind, and gives its reason.
    """

    # Annotations, what a name stands for in them, and the type of a cast: read by the checkers only.

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if _named(node.annotation) in ("TypeAlias", "Final[TypeAlias]"):
            return ast.Pass()
        node.annotation = ast.Constant(0)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        """Whether an argument may be given by position or by name only: what the checkers hold us to."""
        every = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.posonlyargs, node.args, node.kwonlyargs = [], every, []
        node.defaults, node.kw_defaults = [one for one in (*node.defaults, *node.kw_defaults) if one is not None], []
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    # What is made of what the system fixes: only what comes of it counts, so `|` of two flags may as well be `+`.

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        fixed = _FIXED.get(_named(node))
        return self.generic_visit(node) if fixed is None else ast.Constant(fixed)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _value(node) if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant) else node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        """What only the checkers read, and what never runs on this system, as that for Windows."""
        test = node.test.operand if isinstance(node.test, ast.UnaryOp) else node.test
        if _named(test) == "TYPE_CHECKING":
            return []
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            never = node.orelse if node.test.value else node.body
            never[:] = [ast.Pass()]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = _named(node.func)
        if name == "cast":
            node.args[0] = ast.Constant(0)
        elif name.startswith("logger."):
            node.args = []  # how a log words and counts things is not promised; that it is silent of secrets is tested
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if any(_named(base).startswith("Protocol") for base in node.bases):
            node.body = [ast.Pass()]  # of a protocol nothing runs
            node.decorator_list = []
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and _named(decorator.func) == "dataclass":
                decorator.keywords = []  # frozen, slots, by keyword only: what the checkers hold us to
        # Of a struct, too; and whether the collector looks at it costs time only.
        node.keywords = [one for one in node.keywords if one.arg not in ("frozen", "gc", "kw_only")]
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """`== None` is `is None`: no class here has an equality that would tell. And which system this is."""
        if _named(node.left) == "sys.platform" and isinstance(node.comparators[0], ast.Constant):
            self.generic_visit(node)
            return _value(node)
        if len(node.ops) == 1 and isinstance(node.comparators[0], ast.Constant) and node.comparators[0].value is None:
            if isinstance(node.ops[0], ast.Eq):
                node.ops = [ast.Is()]
            elif isinstance(node.ops[0], ast.NotEq):
                node.ops = [ast.IsNot()]
        return self.generic_visit(node)


_FIXED: Mapping[str, str | int] = {"sys.platform": sys.platform} | {
    f"{module.__name__}.{name}": value
    for module in (os, fcntl, select)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, int)
}


def _value(node: ast.expr) -> ast.expr:
    """What comes of an expression of constants; itself where nothing does."""
    try:
        with warnings.catch_warnings(action="ignore"):  # `is` of a word
            return ast.Constant(eval(ast.unparse(node)))
    except (ArithmeticError, TypeError, ValueError):
        return node


def _named(node: ast.AST) -> str:
    return ast.unparse(node)


def bare(code: str) -> str | None:
    """None where the code is none."""
    try:
        return ast.dump(_Bare().visit(ast.parse(code)))
    except SyntaxError:
        return None


@cache
def _bare_file(file: Path) -> str | None:
    return bare((ROOT / file).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an operator can change a file: the how manieth of its places, and the line."""

    file: Path
    operator: str
    number: int
    line: int

    def mutant(self) -> Mutant | None:
        """None where nothing changes when the program runs, or where the tool cannot make the change."""
        plugins, mutating = _cosmic("cosmic_ray.plugins"), _cosmic("cosmic_ray.mutating")
        code = (ROOT / self.file).read_text(encoding="utf-8")
        try:
            changed = mutating.mutate_code(code, plugins.get_operator(self.operator)(), self.number)
        except AttributeError:  # `except module.Error`, of which cosmic-ray knows a name alone
            return None
        if changed is None or bare(changed) in (None, _bare_file(self.file)):
            return None
        lines, after = code.splitlines(), changed.splitlines()
        at = next((at for at, (a, b) in enumerate(zip(lines, after, strict=False)) if a != b), self.line - 1)
        return Mutant(self.file, at + 1, changed, lines[at].strip(), after[at].strip())


def spots_of(file: Path) -> list[Spot]:
    trees, plugins = _cosmic("cosmic_ray.ast"), _cosmic("cosmic_ray.plugins")
    tree = trees.get_ast((ROOT / file).read_text(encoding="utf-8"))
    kinds = {name: plugins.get_operator(name) for name in plugins.operator_names()}
    return [
        Spot(file, name, number, line)
        for name, kind in kinds.items()
        if not kind.arguments()  # those need to be told which variable
        for number, line in enumerate(
            start[0] for node in trees.ast_nodes(tree) for start, _ in kind().mutation_positions(node)
        )
    ]


@dataclass(slots=True)
class Room:
    """A room's sample, and what came of it."""

    name: str
    sample: list[Mutant]
    changes: float
    """How many there are, as far as the sample shows: places, without the share of those where nothing changes."""
    survived: int = 0

    @classmethod
    def sampled(cls, name: str, most: int | None, seed: int) -> Room:
        files = [one.relative_to(ROOT) for one in sorted((ROOT / SERVER / name).glob("*.py"))]
        spots = [spot for file in files for spot in spots_of(file)]
        random.Random(f"{seed} {name}").shuffle(spots)
        tried = count()
        changes = (mutant for spot, _ in zip(spots, tried, strict=False) if (mutant := spot.mutant()) is not None)
        sample = list(islice(changes, most))
        return cls(name, sample, len(spots) * len(sample) / max(1, next(tried)))

    @property
    def share(self) -> float:
        return self.survived / len(self.sample)


def interval(rooms: list[Room]) -> tuple[float, float, float]:
    """The share of all changes that survive, and between which shares it lies (95 %).

    Wilson's interval, with the sample size that a plain sample would need to be as sure as this stratified one.
    """
    weight = sum(room.changes for room in rooms)
    share = sum(room.changes / weight * room.share for room in rooms)
    variance = sum(
        (room.changes / weight) ** 2 * room.share * (1 - room.share) / (len(room.sample) - 1) for room in rooms
    )
    number = share * (1 - share) / variance if variance else float(sum(len(room.sample) for room in rooms))
    z = 1.96
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z / (1 + z * z / number) * sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    return share, max(0.0, middle - half), middle + half


class Tree:
    """A copy of the tree, and a process that runs its tests."""

    _moments = count(1_000_000_000)
    """One for each change: Python takes what it compiled before for the same where size and second are."""

    def __init__(self, path: Path) -> None:
        self.path = _copied(path)
        self._process: subprocess.Popen[str] | None = None

    def run(self, tests: list[str]) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "bench/forking.py"), str(self.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=_environment(self.path),
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"tests": tests, "seconds": LIMIT}) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def with_change(self, mutant: Mutant, tests: list[str]) -> str:
        file, moment = self.path / mutant.file, next(self._moments)
        was, at = file.read_bytes(), file.stat()
        try:
            file.write_text(mutant.code, encoding="utf-8")
            os.utime(file, (moment, moment))
            return self.noticed(tests)
        finally:
            file.write_bytes(was)
            os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))

    def noticed(self, tests: list[str]) -> str:
        """What a test noticed it has to notice once more: else it was the machine, or chance."""
        while (by := (came := self.run(tests)).removeprefix("failed ")) in tests:
            if self.run([by]).startswith("failed"):
                return came
            tests = [test for test in tests if test != by]
        return came

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()


def _copied(into: Path) -> Path:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def _environment(tree: Path) -> dict[str, str]:
    paths = os.pathsep.join(str(tree / one) for one in ("server", "tools", "bench"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (paths, os.environ.get("PYTHONPATH"))))}


Lines = Mapping[str, Mapping[str, list[str]]]
"""Of each file, of each line, the tests that run it, fastest first."""


def lines_of_tests(tree: Path, into: Path) -> None:
    environment = {
        **_environment(tree),
        "WHICH_TESTS_INTO": str(into.resolve()),
        "WHICH_TESTS_OF": str(tree / SERVER),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "which_tests"]
    subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=3600, check=False)


def witnesses(lines: Lines, mutant: Mutant) -> list[str]:
    """The tests that run the line. Of one that runs at the import: those that run a line with the name it gives, then
    those that run any of its file."""
    file = str(mutant.file.relative_to(SERVER))
    at_import, name = _at_import(mutant.file, mutant.line)
    tests = lines.get(file, {}).get(str(mutant.line))
    if not at_import and tests != []:  # none, though it has run: so it was at the import, too
        return (tests or [])[:MOST_TESTS]
    names = _made_of(mutant.file, name) if name else []
    by_name = dict.fromkeys(test for tests in _of_users(lines, names) for test in tests)
    every = dict.fromkeys(test for tests in lines.get(file, {}).values() for test in tests)
    return list(dict.fromkeys([*list(by_name)[:MOST_TESTS], *list(every)[: MOST_TESTS // 2]]))


def _made_of(file: Path, name: str) -> list[str]:
    """The name, and those that the file makes of it when it is imported."""
    names, body = [name], ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for node in body:
        used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        match node:
            case ast.Assign(targets=[ast.Name(id=made)]) | ast.AnnAssign(target=ast.Name(id=made)):
                if used & set(names):
                    names.append(made)
            case _:
                pass
    return list(dict.fromkeys(names))


def _of_users(lines: Lines, names: list[str]) -> Iterator[list[str]]:
    if not names:
        return
    word = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
    for file, of_file in lines.items():
        for number, text in enumerate((ROOT / SERVER / file).read_text(encoding="utf-8").splitlines(), 1):
            if word.search(text):
                yield of_file.get(str(number), [])


def _at_import(file: Path, line: int) -> tuple[bool, str | None]:
    """Whether the line runs when its file is imported; and what its statement, or the class around it, is called."""
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            inner = [one for one in ast.walk(node) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            within = any(one.body[0].lineno <= line <= (one.end_lineno or one.lineno) for one in inner)
            match node:
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    return True, name
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                    return not within, name
                case _:
                    return not within, None
    return True, None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=100, help="how many changes (0: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--rooms", nargs="+", default=ROOMS, choices=ROOMS, help="those to look at")
    parser.add_argument("--jobs", type=int, default=2, help="copies of the tree that run at once")
    parser.add_argument("--tests", type=Path, help="where the lines of each test are kept between runs")
    parser.add_argument("--into", type=Path, help="a file for what came of each change, and which test noticed it")
    chosen = parser.parse_args()
    each = -(-chosen.sample // len(chosen.rooms)) or None
    rooms = [Room.sampled(name, each, chosen.seed) for name in chosen.rooms]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        trees: Queue[Tree] = Queue()
        for number in range(chosen.jobs):
            trees.put(Tree(Path(folder, str(number))))
        kept = chosen.tests or Path(folder, "lines.json")
        if not kept.exists():
            print("which tests run which lines?", flush=True)
            lines_of_tests(trees.queue[0].path, kept)
        lines: Lines = json.loads(kept.read_text(encoding="utf-8"))

        def outcome(mutant: Mutant) -> str:
            tests = witnesses(lines, mutant)
            tree = trees.get()
            try:
                came = tree.with_change(mutant, tests) if tests else "passed"
            finally:
                trees.put(tree)
            if chosen.into is not None:
                with chosen.into.open("a", encoding="utf-8") as out:
                    out.write(json.dumps([str(mutant), came]) + "\n")
            if came in ("passed", "none"):
                print(f"survived: {mutant}{'' if tests else '  (no test runs it)'}", flush=True)
            return came

        # What "fails" unchanged would kill every change.
        for room in rooms:
            tree = trees.queue[0]
            if (came := tree.noticed(witnesses(lines, room.sample[0]))) != "passed":
                print(f"the tests of {room.sample[0].file} on the unchanged tree: {came}", file=sys.stderr)
                return 2
        every = [(room, mutant) for room in rooms for mutant in room.sample]
        random.Random(chosen.seed).shuffle(every)  # a run that is ended early has looked at all rooms
        with ThreadPoolExecutor(chosen.jobs) as pool:
            outcomes = list(pool.map(outcome, (mutant for _, mutant in every)))
        for (room, _), came in zip(every, outcomes, strict=True):
            room.survived += came in ("passed", "none")
        while not trees.empty():
            trees.get().close()
    for room in rooms:
        print(f"{room.name}: {room.survived} of {len(room.sample)} survive ({room.share:.0%})", flush=True)
    share, least, most = interval(rooms)
    survived, of, changes = (
        sum(numbers) for numbers in zip(*((one.survived, len(one.sample), one.changes) for one in rooms), strict=True)
    )
    print(
        f"{survived} of {of} survive. Of about {changes:,.0f} changes: {share:.1%} (95 %: {least:.1%} to {most:.1%}); "
        f"noticed by the time limit: {outcomes.count('late')}; seed {chosen.seed}; {time.monotonic() - began:.0f} s"
    )
    return int(share >= 0.1)


if __name__ == "__main__":
    sys.exit(main())
