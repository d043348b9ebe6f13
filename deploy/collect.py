"""Run while the image is built: gathers what Python and the server need, and nothing else, under a new root.

What is left out is what an intruder would look for: a shell, a package manager, a downloader, a compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

UNUSED = shutil.ignore_patterns(
    "__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo", "venv"
)
USER = 65532  # "nonroot" of other small images: no one's number on a host


def copy(path: Path, root: Path) -> None:
    """The file at the same place under the root, links resolved."""
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path.resolve(), target)


def libraries(*roots: Path) -> set[Path]:
    """The shared libraries that the programs and extension modules under these places load."""
    binaries = [
        path for root in roots for path in ([root] if root.is_file() else root.rglob("*.so*")) if path.is_file()
    ]
    told = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    words = [word for line in told.splitlines() for word in line.split() if word.startswith("/")]
    return {Path(word) for word in words if not word.endswith(":")}


def main(root: Path, application: Path) -> None:
    python = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard, root / standard.relative_to("/"), ignore=UNUSED, symlinks=False)
    shutil.copytree(application, root / application.relative_to("/"), ignore=shutil.ignore_patterns("bin", "*.pyi"))
    for path in {python, Path("/etc/ssl/certs/ca-certificates.crt"), *libraries(python, standard, application)}:
        copy(path, root)
    (root / "usr/bin/python3").symlink_to(python.name)
    (root / "etc/passwd").write_text(f"server:x:{USER}:{USER}::/home/server:/nonexistent\n", encoding="utf-8")
    (root / "etc/group").write_text(f"server:x:{USER}:\n", encoding="utf-8")
    home = root / "home/server"
    home.mkdir(parents=True)
    os.chown(home, USER, USER)
    for name in ("lib", "lib64"):  # where the loader is looked for, as on the system that this was gathered from
        if Path("/", name).is_symlink() and not (root / name).exists():
            (root / name).symlink_to(os.readlink(Path("/", name)))
    # Bytecode that is never compared with its source: the image cannot change, and dates in it need not mean anything.
    compiled = ["--invalidation-mode", "unchecked-hash", "-q", "-s", str(root), "-p", "/", str(root)]
    subprocess.run([str(python), "-m", "compileall", *compiled], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
