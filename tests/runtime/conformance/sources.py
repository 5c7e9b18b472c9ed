"""Debian's source packages of crun and runc, through apt with a configuration of its own."""

from __future__ import annotations

import glob
import os
import subprocess
from pathlib import Path

PACKAGES = ("crun", "runc")


def fetch(folder: Path) -> None:
    """Unpack the sources into `folder/src`, unless they are there."""
    if all(glob.glob(str(folder / f"src/{package}-*")) for package in PACKAGES):
        return
    for name in ("lists/partial", "sources.list.d", "cache/archives/partial"):
        (folder / "apt" / name).mkdir(parents=True, exist_ok=True)
    (folder / "src").mkdir(exist_ok=True)
    write_sources(folder / "apt/sources.list.d")
    configuration = folder / "apt/apt.conf"
    configuration.write_text(
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{folder}/apt/sources.list.d";\n'
        f'Dir::State::lists "{folder}/apt/lists";\n'
        f'Dir::Cache "{folder}/apt/cache";\n'
        'APT::Sandbox::User "root";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(configuration)}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
    command = ["apt-get", "source", "-qq", *PACKAGES]
    subprocess.run(command, env=environment, cwd=folder / "src", check=True)


def write_sources(target: Path) -> None:
    """The host's package sources, turned into those of source packages."""
    for path in Path("/etc/apt/sources.list.d").glob("*.sources"):
        text = path.read_text().replace("Types: deb\n", "Types: deb-src\n")
        (target / path.name).write_text(text)
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.list")]
    lines = [line for path in lists if path.exists() for line in path.read_text().splitlines()]
    kept = [line.replace("deb ", "deb-src ", 1) for line in lines if line.startswith("deb ")]
    (target / "lists.list").write_text("\n".join(kept) + "\n")


def unpacked(folder: Path, package: str) -> Path:
    """Where a package's sources are."""
    (found,) = (path for path in (folder / "src").glob(f"{package}-*") if path.is_dir())
    return found


def named(folder: Path, name: str, runtime: Path) -> Path:
    """A link by which a runtime is called as the original is."""
    link = folder / "bin" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(runtime)
    return link
