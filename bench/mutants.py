"""One line of the server changed at a time: do the fast tests notice? A random sample, in copies of the tree.

    make mutants MUTANTS="--sample 200 --seed 7"

The changes are those of `cosmic-ray`'s operators, without the ones that change nothing when the program runs
(annotations, arguments of `@dataclass`). Of each change only the tests that run its line are run, fastest first,
until one fails; a change that nobody runs survives. Exit 1 where a tenth or more survive.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import Any

ROOT = Path(__file__).parent.parent
SERVER = Path("server/paperspace_storage_server")
ROOMS = ("guard", "api", "http", "wire", "calls")
MOST_TESTS = 400  # of the fastest that run a line: an import runs under all of them
LIMIT = 150.0  # seconds for the tests of one change; a change that hangs is noticed

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
    """A program without what changes nothing when it runs."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(0)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = []
        return self.generic_visit(node)


def bare(code: str) -> str | None:
    """None where the code is none."""
    try:
        return ast.dump(_Bare().visit(ast.parse(code)))
    except SyntaxError:
        return None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an operator can change a file: the how manieth of its places, and the line."""

    file: Path
    operator: str
    number: int
    line: int

    def mutant(self) -> Mutant | None:
        """None where nothing changes when the program runs."""
        plugins, mutating = _cosmic("cosmic_ray.plugins"), _cosmic("cosmic_ray.mutating")
        code = (ROOT / self.file).read_text(encoding="utf-8")
        changed = mutating.mutate_code(code, plugins.get_operator(self.operator)(), self.number)
        if changed is None or bare(changed) in (None, bare(code)):
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


def copy_of_the_tree(into: Path) -> Path:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def run_tests(tree: Path, arguments: list[str], seconds: float, **environment: str) -> int:
    """Pytest's exit code; 1 where a test fails, or where they take too long."""
    paths = os.pathsep.join(str(tree / one) for one in ("server", "tools", "bench"))
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (paths, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "which_tests"]
    try:
        done = subprocess.run(
            [*command, *arguments], cwd=tree, env=env, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return 1
    return done.returncode


def witnesses(lines: dict[str, list[str]], line: int) -> list[str]:
    """The tests that run the line; of a line that runs at the import, those that run any of its file."""
    if tests := lines.get(str(line)):
        return tests[:MOST_TESTS]
    every = dict.fromkeys(test for tests in lines.values() for test in tests)
    return list(every)[:MOST_TESTS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=100, help="how many changes (0: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2, help="copies of the tree that run at once")
    parser.add_argument("--tests", type=Path, help="where the lines of each test are kept between runs")
    chosen = parser.parse_args()
    files = [one.relative_to(ROOT) for room in ROOMS for one in sorted((ROOT / SERVER / room).glob("*.py"))]
    spots = [spot for file in files for spot in spots_of(file)]
    random.Random(chosen.seed).shuffle(spots)
    changes = (mutant for spot in spots if (mutant := spot.mutant()) is not None)
    sample = list(islice(changes, chosen.sample or None))
    with tempfile.TemporaryDirectory() as folder:
        trees: Queue[Path] = Queue()
        for number in range(chosen.jobs):
            trees.put(copy_of_the_tree(Path(folder, str(number))))
        kept = chosen.tests or Path(folder, "lines.json")
        if not kept.exists():
            tree = trees.queue[0]
            print("which tests run which lines?", flush=True)
            run_tests(tree, [], 1800, WHICH_TESTS_INTO=str(kept.resolve()), WHICH_TESTS_OF=str(tree / SERVER))
        lines: dict[str, dict[str, list[str]]] = json.loads(kept.read_text(encoding="utf-8"))

        def survives(mutant: Mutant) -> bool:
            tests = witnesses(lines.get(str(mutant.file.relative_to(SERVER)), {}), mutant.line)
            tree = trees.get()
            named = tree / "only.json"
            named.write_text(json.dumps(tests), encoding="utf-8")
            try:
                (tree / mutant.file).write_text(mutant.code, encoding="utf-8")
                files = sorted({test.split("::")[0] for test in tests})
                alive = not files or run_tests(tree, ["-x", *files], LIMIT, WHICH_TESTS_ONLY=str(named)) == 0
            finally:
                shutil.copy2(ROOT / mutant.file, tree / mutant.file)
                trees.put(tree)
            if alive:
                print(f"survived: {mutant}", flush=True)
            return alive

        began = time.monotonic()
        with ThreadPoolExecutor(chosen.jobs) as pool:
            outcomes = list(pool.map(survives, sample))
    of, alive = Counter(one.file.parts[2] for one in sample), Counter[str]()
    alive.update(one.file.parts[2] for one, lives in zip(sample, outcomes, strict=True) if lives)
    for room in ROOMS:
        print(f"{room:6} {alive[room]:3} of {of[room]:3} survive")
    alive_in_all, seconds = sum(outcomes), time.monotonic() - began
    share = alive_in_all / len(sample)
    print(f"{alive_in_all} of {len(sample)} survive ({share:.0%}), of {len(spots)} places to change; {seconds:.0f} s")
    return int(share >= 0.1)


if __name__ == "__main__":
    sys.exit(main())
