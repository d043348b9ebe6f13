"""`make dist`: every artefact of a release, checked, in one folder; the same commit makes the same bytes."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from packages import bundle, facts, licences, manifests, write

BIN = Path(sys.executable).parent


class Listed(TypedDict):
    """What is used of a tool in `tools/list`."""

    name: str
    description: str
    inputSchema: Mapping[str, Mapping[str, Mapping[str, object]]]


MCPB = ["npx", "--yes", "@anthropic-ai/mcpb@2.1.2"]


def build(out: Path) -> None:
    """Fill the folder `out`, which is emptied first.

    Raises: CalledProcessError where a tool finds something wrong, SystemExit with what is to be done first.
    """
    if write.differences():
        raise SystemExit("manifests differ from the facts: run `make manifests`, look, commit")
    known = facts.read()
    epoch = commit_time()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="packages-") as work:
        python_packages(out, epoch)
        environment = environment_with(next(out.glob("*.whl")), Path(work) / "environment")
        listing = listing_of(environment)
        digest = mcpb(out / known.bundle, Path(work) / "bundle", known, listing, epoch)
        registry(out / "server.json", known, digest)
        plugin(out / f"{known.name}-plugin-{known.version}.tar.gz", epoch)
        docker(out / "docker-mcp-registry", known, listing)
        bill_of_materials(out / "sbom.cdx.json", known, environment, epoch)
        (out / "LICENCES.md").write_text(licences.table(out / "sbom.cdx.json"), encoding="utf-8")
    digests(out)


def commit_time() -> int:
    """`SOURCE_DATE_EPOCH`, or when the last commit was made: what the artefacts are dated by."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or _output("git", "log", "-1", "--format=%ct"))


def python_packages(out: Path, epoch: int) -> None:
    """Wheel and sdist, built by the pinned hatchling, and what PyPI and its users would find wrong with them."""
    _run(
        *[str(BIN / "uv"), "build", "--quiet", "--no-config", "--python", sys.executable, "--out-dir", str(out)],
        *["--no-create-gitignore", "--build-constraints", "requirements/release.txt"],
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    built = [str(path) for path in sorted(out.iterdir())]
    _run(str(BIN / "twine"), "check", "--strict", *built)
    _run(str(BIN / "check-wheel-contents"), *(path for path in built if path.endswith(".whl")))


def environment_with(wheel: Path, folder: Path) -> Path:
    """An environment of its own with the wheel and what `requirements/run.txt` pins; its Python is answered."""
    uv = str(BIN / "uv")
    _run(uv, "venv", "--quiet", "--no-config", "--python", sys.executable, str(folder))
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [uv, "pip", "install", "--quiet", "--no-config", "--python", str(python)]
    _run(*install, "--requirement", "requirements/run.txt", "--no-deps", str(wheel))
    return python


def listing_of(python: Path) -> list[Listed]:
    """The tools as the installed wheel lists them, without a key."""
    with tempfile.TemporaryDirectory() as home:
        text = _output(str(python), "-m", "paperspace_storage_server", "tools", "--json", env={"HOME": home})
    tools: list[Listed] = json.loads(text)["tools"]
    return tools


def mcpb(archive: Path, folder: Path, known: facts.Facts, listing: list[Listed], epoch: int) -> str:
    """The bundle, validated and packed by its own tool; its SHA-256 is answered."""
    folder.mkdir()
    tools = [(tool["name"], _first_sentence(tool["description"])) for tool in listing]
    bundle.stage(folder, known, tools, str(BIN / "uv"))
    _run(*MCPB, "validate", str(folder / "manifest.json"))
    _run(*MCPB, "pack", str(folder), str(archive))
    bundle.settle(archive, epoch)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def registry(path: Path, known: facts.Facts, digest: str) -> None:
    """The registry's entry with the digest of the bundle, against the registry's schema."""
    path.write_text(manifests.text_of(manifests.registry_entry(known, digest)), encoding="utf-8")
    _run(str(BIN / "check-jsonschema"), "--schemafile", "tests/data/server.schema.json", str(path))


def plugin(archive: Path, epoch: int) -> None:
    """The plugin's folder; Claude Code, Codex, Cursor and Gemini CLI each find their own manifest in it."""
    folder = facts.ROOT / manifests.PLUGIN
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.mtime = epoch
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size, entry.mode = len(data), 0o644
                tar.addfile(entry, io.BytesIO(data))
    archive.write_bytes(gzip.compress(buffer.getvalue(), mtime=epoch))


def docker(folder: Path, known: facts.Facts, listing: list[Listed]) -> None:
    """What a pull request to Docker's MCP registry holds; the tools stand in it, so their build needs no key."""
    folder.mkdir()
    commit = _output("git", "rev-parse", "HEAD").strip()
    entry = manifests.docker_catalogue(known, commit)
    (folder / "server.yaml").write_text(manifests.text_of(entry), encoding="utf-8")
    tools: list[manifests.JSON] = [
        {
            "name": tool["name"],
            "description": tool["description"],
            "arguments": [
                {"name": name, "type": str(schema.get("type", "string")), "desc": str(schema.get("description", ""))}
                for name, schema in tool["inputSchema"].get("properties", {}).items()
            ],
        }
        for tool in listing
    ]
    (folder / "tools.json").write_text(manifests.text_of(tools), encoding="utf-8")


def bill_of_materials(path: Path, known: facts.Facts, environment: Path, epoch: int) -> None:
    """A CycloneDX bill of what the environment holds, without a time or a serial number: two builds, same bytes."""
    _run(
        *[str(BIN / "cyclonedx-py"), "environment", "--pyproject", "pyproject.toml", "--mc-type", "application"],
        *["--output-reproducible", "--of", "JSON", "--sv", "1.6", "-o", str(path), str(environment)],
        env={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    bill = json.loads(path.read_text(encoding="utf-8"))
    bill["metadata"]["component"]["version"] = known.version  # which pyproject.toml does not hold
    bill["metadata"].pop("timestamp", None)  # some versions write the epoch
    path.write_text(manifests.text_of(bill), encoding="utf-8")


def digests(out: Path) -> None:
    """`SHA256SUMS`, as `sha256sum --check` reads it, and what was built with its size."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(out).as_posix()}\n" for path in files]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    for path in files:
        print(f"{path.stat().st_size / 1000:9.1f} kB  {path.relative_to(out)}")


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".") + "."


def _run(*command: str, env: Mapping[str, str] | None = None) -> None:
    """Run it silently; what it said is shown where it fails."""
    done = subprocess.run(
        command, cwd=facts.ROOT, env={**os.environ, **(env or {})}, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _output(*command: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=facts.ROOT, env={**os.environ, **(env or {})}, text=True, stdout=subprocess.PIPE, check=True
    )
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m packages.build", description=__doc__)
    parser.add_argument("--out", type=Path, default=facts.ROOT / "dist")
    build(parser.parse_args().out.absolute())


if __name__ == "__main__":
    main()
