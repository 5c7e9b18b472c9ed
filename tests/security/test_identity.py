"""K6: a process is exactly who it was said to be, created or additional, and nobody else if that cannot be."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.conftest import CAPABILITIES, Box, Result

STATUS = ("grep", "-E", "^(Uid|Gid|Groups|Cap...|NoNewPrivs):", "/proc/self/status")
NONE = "0" * 16
# The 14 of Docker's defaults.
DEFAULT = "00000000a80425fb"


def status(result: Result) -> dict[str, str]:
    assert result.code == 0, result
    return {line.split(":")[0]: " ".join(line.split(":")[1].split()) for line in result.lines}


def by_run(box: Box) -> Result:
    result = box.run(*STATUS)
    box.call("delete", "--force", box.name)
    return result


def by_exec(box: Box, **process: Any) -> Result:
    box.start("sleep", "1000")
    result = box.exec(*STATUS, **process)
    box.call("delete", "--force", box.name)
    return result


def by_flags(box: Box, *words: str) -> Result:
    """`exec` with flags, which begins with the container's own process document."""
    box.start("sleep", "1000")
    result = box.call("exec", *words, box.name, *STATUS)
    box.call("delete", "--force", box.name)
    return result


def test_cve_2022_27650_cve_2022_29162_nothing_is_inheritable(box: Box) -> None:
    """runc and crun gave additional processes inheritable capabilities that nobody had asked for."""
    for found in (status(by_run(box)), status(by_exec(box)), status(by_flags(box))):
        assert found["CapInh"] == NONE
        assert found["CapAmb"] == NONE
        assert (found["CapPrm"], found["CapEff"], found["CapBnd"]) == (DEFAULT, DEFAULT, DEFAULT)


def test_cve_2022_29162_nor_by_a_flag(box: Box) -> None:
    """runc 1.1.1 added what --cap named to the inheritable set as well."""
    found = status(by_flags(box, "--cap", "CAP_SYS_NICE", "--cap", "CAP_SYS_TIME"))
    assert found["CapInh"] == NONE
    assert found["CapAmb"] == NONE
    added = int(DEFAULT, 16) | 1 << 23 | 1 << 25
    assert int(found["CapPrm"], 16) == int(found["CapBnd"], 16) == added


def test_cve_2022_27650_nor_for_another_user(box: Box) -> None:
    for found in (
        status(by_flags(box, "--user", "1000:1000")),
        status(by_exec(box, user={"uid": 1000, "gid": 1000})),
    ):
        assert found["Uid"] == "1000 1000 1000 1000"
        assert found["Gid"] == "1000 1000 1000 1000"
        assert (found["CapInh"], found["CapAmb"]) == (NONE, NONE)


@pytest.mark.parametrize("names", [[], ["CAP_CHOWN"], ["CAP_CHOWN", "CAP_KILL"], CAPABILITIES])
@pytest.mark.parametrize("user", [0, 1000])
def test_cve_2025_27612_an_additional_process_has_what_is_configured(
    box: Box, names: list[str], user: int
) -> None:
    """youki's tenants kept capabilities beyond those of their document."""
    sets = dict.fromkeys(("bounding", "effective", "permitted"), names)
    mask = sum(1 << {"CAP_CHOWN": 0, "CAP_KILL": 5}.get(name, 0) for name in names)
    wanted = f"{mask if len(names) < 3 else int(DEFAULT, 16):016x}"
    process = {"capabilities": sets, "user": {"uid": user, "gid": user}}
    found = status(by_exec(box, **process))
    # Another user than root loses them when the program is executed: it has no file capabilities.
    held = wanted if user == 0 else NONE
    assert (found["CapBnd"], found["CapPrm"], found["CapEff"]) == (wanted, held, held)
    assert (found["CapInh"], found["CapAmb"]) == (NONE, NONE)
    box.process.update(copy.deepcopy(process))
    assert status(by_run(box)) == found
    assert status(by_flags(box)) == found


def test_cve_2025_27612_effective_without_permitted_is_not_given(box: Box) -> None:
    sets = {
        "bounding": ["CAP_CHOWN"],
        "effective": ["CAP_CHOWN", "CAP_SYS_ADMIN"],
        "permitted": ["CAP_CHOWN"],
    }
    sets["ambient"] = ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    found = status(by_exec(box, capabilities=sets))
    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == f"{1:016x}"
    assert found["CapAmb"] == NONE


def waiting(box: Box) -> dict[str, str]:
    """Between create and start: what was set, before the execution makes something of it."""
    box.create("true")
    names = ("Uid", "Gid", "Groups", "Cap")
    lines = Path(f"/proc/{box.pid}/status").read_text().splitlines()
    return status(Result(0, "\n".join(line for line in lines if line.startswith(names)), ""))


def test_cve_2025_27612_nor_is_more_permitted_before_the_execution(box: Box) -> None:
    box.process["capabilities"] = {
        "bounding": CAPABILITIES,
        "permitted": ["CAP_CHOWN"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_KILL"],
    }
    found = waiting(box)
    assert found["CapEff"] == found["CapPrm"] == f"{1:016x}"
    assert (found["CapInh"], found["CapBnd"]) == (f"{32:016x}", DEFAULT)


def test_cve_2022_29162_the_callers_ambient_capabilities_are_not_kept(box: Box) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    box.process["capabilities"]["inheritable"] = ["CAP_CHOWN"]
    box.process["args"] = list(STATUS)
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    command = ["setpriv", "--inh-caps", "+chown", "--ambient-caps", "+chown", *argv]
    done = subprocess.run(command, capture_output=True, timeout=30, text=True)
    found = status(Result(done.returncode, done.stdout, done.stderr))
    assert (found["CapInh"], found["CapAmb"]) == (f"{1:016x}", NONE)


@pytest.mark.parametrize("user", [0, 1, 1000, 65534, 2**31 - 1, 2**31, 2**32 - 2])
def test_cve_2026_30892_numbers_are_taken_as_they_are(box: Box, user: int) -> None:
    """crun's exec took the user for another one."""
    identity = {"uid": user, "gid": user, "additionalGids": [7, user]}
    (box.directory / "canary").mkdir()
    wanted = " ".join([str(user)] * 4)
    for result in (by_exec(box, user=identity), by_flags(box, "--user", f"{user}:{user}")):
        found = status(result)
        assert (found["Uid"], found["Gid"]) == (wanted, wanted)
    box.process["user"] = identity
    found = status(by_run(box))
    assert (found["Uid"], found["Gid"]) == (wanted, wanted)
    assert sorted(map(int, found["Groups"].split())) == sorted([7, user])


@pytest.mark.parametrize(
    "text",
    [
        "root",
        "user",
        "",
        " ",
        ":",
        ":0",
        "-1",
        "+0",
        "0x0",
        "0 ",
        " 0",
        "0\n",
        "1000\n0",
        "1000:",
        "1000:user",
        "1000:-1",
        "1000:+0",
        "1000:0:0",
        "1000:1000:",
        "4294967295",
        "4294967296",
        "1000:4294967295",
        "18446744073709551616",
        "1000:4294967296",
        "٠",  # a digit, but not one of ours
    ],
)
def test_cve_2026_30892_what_is_no_number_is_refused(box: Box, text: str) -> None:
    """Names are the caller's to look up. -1, in any spelling, means "leave it": the process would stay root."""
    result = by_flags(box, "--user", text)
    assert result.code == 255, result
    assert "--user" in result.err, result


@pytest.mark.parametrize("field", ["uid", "gid"])
@pytest.mark.parametrize("value", [2**32 - 1, 2**32, -1, "0", 1.5, [0]])
def test_cve_2026_30892_nor_in_a_document(box: Box, field: str, value: object) -> None:
    identity = {"uid": 1000, "gid": 1000, field: value}
    result = by_exec(box, user=identity)
    assert result.code == 255, result
    box.process["user"] = identity
    assert by_run(box).code == 1


@pytest.mark.parametrize("value", [2**32 - 1, 2**32, -1])
def test_cve_2026_30892_nor_as_an_additional_group(box: Box, value: int) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [value]}
    result = by_run(box)
    assert result.code == 1
    assert "process.user.additionalGids" in result.err


@pytest.mark.parametrize("text", ["", "user", "-1", "+5", "0x5", " 5", "4294967295", "4294967296"])
def test_cve_2026_30892_nor_as_one_by_a_flag(box: Box, text: str) -> None:
    result = by_flags(box, "--additional-gids", text)
    assert result.code == 255, result
    assert "--additional-gids" in result.err, result


def test_cve_2026_30892_the_image_does_not_decide(box: Box) -> None:
    """A user whose name is a number, in a hostile passwd, changes nothing but HOME."""
    (box.rootfs / "etc/passwd").write_text(
        "1000:x:0:0:root:/root:/bin/sh\nroot:x:1000:1000::/:/bin/sh\n"
    )
    (box.rootfs / "etc/group").write_text("1000:x:0:1000\nwheel:x:0:1000\n")
    found = status(by_flags(box, "--user", "1000:1000"))
    assert found["Uid"] == "1000 1000 1000 1000"
    assert found["Gid"] == "1000 1000 1000 1000"
    assert found["Groups"] == ""


def test_groups_of_the_caller_do_not_stay(box: Box) -> None:
    """Supplementary groups are those of the document, none if it names none."""
    box.write()
    argv = box.argv("run", "--bundle", str(box.bundle), box.name)
    box.process["args"] = list(STATUS)
    box.write()
    done = subprocess.run(argv, capture_output=True, timeout=30, extra_groups=[4, 5, 6])
    found = status(Result(done.returncode, done.stdout.decode(), done.stderr.decode()))
    assert found["Groups"] == ""


def test_no_new_privileges_is_kept(box: Box) -> None:
    box.process["noNewPrivileges"] = True
    assert status(by_run(box))["NoNewPrivs"] == "1"
    assert status(by_exec(box))["NoNewPrivs"] == "1"
    assert status(by_flags(box))["NoNewPrivs"] == "1"
    box.process["noNewPrivileges"] = False
    assert status(by_flags(box, "--no-new-privs"))["NoNewPrivs"] == "1"
    assert (
        json.loads((box.bundle / "config.json").read_text())["process"]["noNewPrivileges"] is False
    )
