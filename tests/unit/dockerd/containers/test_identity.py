"""Users and groups of a container: what a name means, and that no spelling of one means root."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockerd.spec.identity import resolve_user
from wire.errors import InvalidArgument

_PASSWD = """root:x:0:0::/root:/bin/sh
user:x:1000:1000::/:/bin/sh
endless:x:{nines}:0::/:/bin/sh
arabic:x:٠:٠::/:/bin/sh
"""
_GROUP = "root:x:0:\nuser:x:1000:\nextra:x:2000:user\nodd:x:٠:user\nempty:x::user\n"


@pytest.fixture
def rootfs(tmp_path: Path) -> str:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(_PASSWD.format(nines="9" * 5000))
    (tmp_path / "etc/group").write_text(_GROUP)
    return str(tmp_path)


@pytest.mark.parametrize(
    "user",
    [
        *("2147483648", "4294967295", "4294967296", "18446744073709551616", "9" * 19, "9" * 5000),
        *("1000:4294967296", "1000:2147483648", "0:18446744073709551616"),
    ],
)
def test_cve_2024_40635_numbers_beyond_the_kernels_do_not_wrap(rootfs: str, user: str) -> None:
    with pytest.raises(InvalidArgument):
        resolve_user(rootfs, user, [])
    with pytest.raises(InvalidArgument):
        resolve_user(rootfs, "user", ["9" * 5000])


@pytest.mark.parametrize(
    "user",
    [
        *("-0", "-1", " 0", "0 ", "0\n", "\t0", "0x0", "0_0", "0.0", "0e0", "٠", "０", "²", "𝟎"),
        *("root ", "Root", "root\n", "\0", "user\0", "arabic", "endless", "1000:", "1000:٠"),
    ],
)  # fmt: skip
def test_cve_2026_46680_no_other_spelling_is_root(rootfs: str, user: str) -> None:
    try:
        found = resolve_user(rootfs, user, [])
    except InvalidArgument:
        return
    assert user == "1000:"
    assert (found["uid"], found["gid"]) == (1000, 1000)


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        *(("user", [1000, 2000]), ("1000", [1000, 2000]), ("1000:1000", [1000])),
        *(("user:extra", [2000]), ("0:2000", [2000]), ("5", [0]), ("5:6", [6])),
    ],
)
def test_cve_2023_25173_the_first_group_is_among_the_others(
    rootfs: str, user: str, groups: list[int]
) -> None:
    """Else a file that is closed to a group is open to its members."""
    found = resolve_user(rootfs, user, [])
    assert found["additionalGids"] == groups
    assert found["gid"] in resolve_user(rootfs, user, ["extra"])["additionalGids"]
