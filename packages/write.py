"""`python -m packages.write [--version 1.2.3] [--check]`: carries the facts and the version into every manifest."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from packages import facts, links, manifests

SKILLS = Path("tools/paperspace_storage_tools/skills")
MARKER = re.compile(r"<!-- mcp-name: [^ ]+ -->")
KUSTOMIZATION = Path("deploy/kubernetes/kustomization.yaml")
IMAGE = re.compile(r"newName: \S+\n( +)newTag: \S+")
LINKS = re.compile(r"(<!-- install links: make manifests -->\n).*?(\n<!-- end -->)", re.DOTALL)


def wanted(root: Path = facts.ROOT) -> dict[Path, bytes]:
    """Every committed file that is made from another one, with what it must hold.

    The plugin's skills and icon are copies: Codex leaves links out when it installs a plugin.
    """
    known = facts.read(root)
    made = {Path(path): manifests.text_of(value).encode() for path, value in manifests.committed(known).items()}
    readme = (root / "README.md").read_text(encoding="utf-8")
    readme = MARKER.sub(f"<!-- mcp-name: {known.registry_name} -->", readme)
    readme = LINKS.sub(lambda found: found[1] + links.markdown(known) + found[2], readme)
    made[Path("README.md")] = readme.encode()
    kustomization = (root / KUSTOMIZATION).read_text(encoding="utf-8")
    made[KUSTOMIZATION] = IMAGE.sub(rf"newName: {known.image}\n\1newTag: {known.version}", kustomization).encode()
    plugin = Path(manifests.PLUGIN)
    made[plugin / "icon.png"] = (root / "packages/icon.png").read_bytes()
    for skill in sorted((root / SKILLS).glob("*/SKILL.md")):
        for path in sorted(path for path in skill.parent.rglob("*") if path.is_file()):
            made[plugin / "skills" / path.relative_to(root / SKILLS)] = path.read_bytes()
    return made


def differences(root: Path = facts.ROOT) -> dict[Path, bytes | None]:
    """The files that are not what they must be, with what they should hold; None for a skill that is no more."""
    made = wanted(root)
    there = [path.relative_to(root) for path in (root / manifests.PLUGIN / "skills").rglob("*") if path.is_file()]
    gone: dict[Path, bytes | None] = {path: None for path in sorted(there) if path not in made}
    return gone | {path: content for path, content in made.items() if _content(root / path) != content}


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def write(root: Path = facts.ROOT) -> list[Path]:
    """Make them what they must be; the paths that were written or removed are answered."""
    stale = differences(root)
    for path, content in stale.items():
        if content is None:
            (root / path).unlink()
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    return list(stale)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m packages.write", description=__doc__)
    parser.add_argument("--version", help="set this version first")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something would be written")
    options = parser.parse_args(arguments)
    if options.version:
        facts.set_version(options.version)
    touched = list(differences()) if options.check else write()
    for path in touched:
        print(f"{'differs' if options.check else 'written'}: {path}")
    return 1 if options.check and touched else 0


if __name__ == "__main__":
    sys.exit(main())
