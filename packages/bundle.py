"""The `.mcpb` bundle: the sources, a lock of what was tested, and the manifest; a host runs it with its own uv."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from packages import facts, manifests

MAIN = '''"""What a host starts in this bundle: the server over stdio."""

from paperspace_storage_server.__main__ import main

main()
'''
SOURCES = ("server/paperspace_storage_server", "tools/paperspace_storage_tools")
PLATFORMS = ("darwin", "linux", "win32")


def stage(folder: Path, known: facts.Facts, tools: Sequence[tuple[str, str]], uv: str) -> None:
    """Lay the bundle's content out in an empty folder, with a `uv.lock` of the versions in `requirements/run.txt`."""
    for source in SOURCES:
        shutil.copytree(facts.ROOT / source, folder / Path(source).name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the umask of who built it
    shutil.copy(facts.ROOT / "LICENSE", folder)
    shutil.copy(facts.ROOT / "packages/icon.png", folder)
    (folder / "main.py").write_text(MAIN, encoding="utf-8")
    (folder / "manifest.json").write_text(manifests.text_of(manifests.bundle_manifest(known, tools)), encoding="utf-8")
    (folder / "pyproject.toml").write_text(_project(known, pinned()), encoding="utf-8")
    subprocess.run([uv, "lock", "--quiet", "--no-config", "--directory", str(folder)], check=True)


def pinned() -> list[str]:
    """The requirements of `requirements/run.txt`, `name==version` with their markers."""
    lines = (facts.ROOT / "requirements/run.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.match(r"\w", line)]


def _project(known: facts.Facts, pins: Sequence[str]) -> str:
    """The bundle's own pyproject.toml: nothing to build, so a host needs no build tools and no second download."""
    cpython = "platform_python_implementation == 'CPython'"
    environments = [f"sys_platform == '{platform}' and {cpython}" for platform in PLATFORMS]
    return "\n".join(
        [
            "[project]",
            f'name = "{known.name}"',
            f'version = "{known.version}"',
            f'requires-python = "{known.requires_python}"',
            f"dependencies = {_array(known.dependencies)}",
            "",
            "[tool.uv]",
            "package = false",
            f"environments = {_array(environments)}",
            f"constraint-dependencies = {_array(pins)}",
            "",
        ]
    )


def _array(values: Sequence[str]) -> str:
    return "[\n" + "".join(f'    "{value}",\n' for value in values) + "]"


def settle(archive: Path, epoch: int) -> None:
    """Rewrite a packed bundle so that the same content is the same bytes: sorted, dated by `epoch`, plain modes."""
    date = zip_date(epoch)
    with zipfile.ZipFile(archive) as packed:
        content = {name: packed.read(name) for name in sorted(packed.namelist())}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as settled:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            settled.writestr(entry, data)


def zip_date(epoch: int) -> tuple[int, int, int, int, int, int]:
    """A zip's date of these seconds since 1970, in UTC; zip files know nothing before 1980."""
    moment = time.gmtime(max(epoch, 315532800))
    return (moment.tm_year, moment.tm_mon, moment.tm_mday, moment.tm_hour, moment.tm_min, moment.tm_sec)
