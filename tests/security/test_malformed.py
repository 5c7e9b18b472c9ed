"""K15: documents that are wrong in odd ways end in one sentence and leave nothing; none of it becomes something else.

The readers themselves are tried with many more of them by `make fuzz-runtime`.
"""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.runtime.conftest import Box, Result

NAMESPACES = ("mnt", "pid", "net", "ipc", "uts")
CASES = 150
# Not damaged: with these a document would be about the host, not about a container.
LEFT_ALONE = {("root", "path"), ("linux", "cgroupsPath"), ("ociVersion",)}
ODD: tuple[Any, ...] = (
    None, True, 0, 1, -1, 255, 2**31, 2**32, 2**63, -(2**63), 2**64, 1.5, 1e300, "", " ", "a\0b", "..", "/../..", "é", "\n",
    "%s%n", "A" * 70_000, "/a" * 3000, [], {}, [[]], [None], {"": None}, [1, "x", {}],
)  # fmt: skip


def create(box: Box) -> Result:
    """`create` with its output in a file, which the container keeps open."""
    with (box.directory / "said").open("w+b") as said:
        argv = box.argv("create", "--bundle", str(box.bundle), box.name)
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=30)
        said.seek(0)
        return Result(done.returncode, "", said.read().decode())


def refused_or_clean(box: Box) -> int:
    """`create` ends by itself with 0 or 1; after 1 there is one sentence, and nothing else."""
    (box.bundle / "config.json").write_text(json.dumps(box.config))
    result = create(box)
    assert result.code in {0, 1}, result
    if result.code:
        assert len(result.err.strip().splitlines()) == 1, result
        assert not box.root.exists() or list(box.root.iterdir()) == [], result
    box.ok("delete", "--force", box.name)
    return result.code


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at not in LEFT_ALONE:
        yield at
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield from places(inner, (*at, key))


def damage(config: dict[str, Any], chance: random.Random) -> None:
    for _ in range(chance.randint(1, 3)):
        at = chance.choice([place for place in places(config) if place])
        holder: Any = config
        for key in at[:-1]:
            holder = holder[key]
        if isinstance(holder, dict) and chance.random() < 0.2:
            del holder[at[-1]]
        elif isinstance(holder, list) and chance.random() < 0.3:
            holder.extend([copy.deepcopy(holder[at[-1]])] * chance.choice([1, 40]))
        else:
            holder[at[-1]] = copy.deepcopy(chance.choice(ODD))


@pytest.mark.timeout(180)
def test_damaged_documents_end_in_one_sentence(box: Box) -> None:
    box.process["args"] = ["true"]
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    box.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "80"}
    whole = copy.deepcopy(box.config)
    ends = {0: 0, 1: 0}
    for seed in range(CASES):
        box.config = copy.deepcopy(whole)
        damage(box.config, random.Random(seed))
        try:
            ends[refused_or_clean(box)] += 1
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert ends[0] > 10, ends
    assert ends[1] > 10, ends


@pytest.mark.parametrize("size", [65_535, 65_536, 70_000, 200_000])
@pytest.mark.parametrize(
    "where", ["source", "option", "idmap", "sysctl", "env", "annotation", "hostname"]
)
def test_cve_2021_43784_no_length_wraps_around(box: Box, where: str, size: int) -> None:
    """runc told its child the configuration in attributes with 16-bit lengths: what was beyond 64 KiB of mount data was read
    as the paths of namespaces to join. Here it is refused, or taken as it is; the namespaces stay the container's own."""
    paths = "".join(f"{kind}:/proc/1/ns/{kind}," for kind in NAMESPACES)
    text = (paths * (size // len(paths) + 1))[:size]
    match where:
        case "source":
            box.mounts.append({"destination": "/x", "type": "tmpfs", "source": text, "options": []})
        case "option":
            box.mounts.append(
                {"destination": "/x", "type": "tmpfs", "source": "x", "options": [f"size={text}"]}
            )
        case "idmap":
            ids = [
                {"containerID": each, "hostID": 200_000 + each, "size": 1}
                for each in range(size // 16)
            ]
            box.linux["namespaces"].append({"type": "user"})
            box.linux.update(uidMappings=ids, gidMappings=ids)
        case "sysctl":
            box.linux["sysctl"] = {"net.ipv4.ip_forward": text}
        case "env":
            box.process["env"].append(f"A={text}")
        case "annotation":
            box.config["annotations"] = {"org.example": text}
        case _:
            box.config["hostname"] = text
    (box.bundle / "config.json").write_text(json.dumps(box.config))
    result = create(box)
    assert result.code in {0, 1}, result
    if result.code == 0:
        pid = box.pid
        own = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES}
        ours = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in NAMESPACES}
        assert not set(own.values()) & set(ours.values())
    box.ok("delete", "--force", box.name)
    assert where != "annotation" or result.code == 0, result


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "0", '"x"', "{", "{}", '{"ociVersion": "1.0.2"', "\0", "[" * 100_000]
)
def test_broken_documents(box: Box, text: str) -> None:
    (box.bundle / "config.json").write_text(text)
    result = create(box)
    assert result.code == 1
    assert len(result.err.strip().splitlines()) == 1
    assert not box.root.exists() or list(box.root.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{", "{}", '{"id": 1}', "\0", "[" * 100_000, '{"pid": "x"}']
)
def test_broken_state(box: Box, text: str) -> None:
    """A damaged record is named, by every command; `delete --force` takes it away."""
    box.write()
    folder = box.root / box.name
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(text)
    for words in (["state"], ["start"], ["kill"], ["pause"]):
        result = box.call(*words, box.name)
        assert result.code == 1, (words, result)
        assert len(result.err.strip().splitlines()) == 1, (words, result)
    assert box.call("exec", box.name, "true").code == 255
    assert box.call("list", "-q").code in {0, 1}
