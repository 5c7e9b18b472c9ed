"""The device filter: an eBPF program on the container's cgroup."""

from __future__ import annotations

from typing import Any

import pytest
from tests.runtime.conftest import Box

KMSG = (1, 11)
TRY = "for each in r w; do if [ $each = r ]; then head -c0 /probe; else true >/probe; fi 2>/dev/null && echo $each; done; true"


def rules(box: Box, *rules: dict[str, Any]) -> None:
    box.linux["resources"]["devices"] = list(rules)
    box.linux["devices"] = [
        {
            "path": "/probe",
            "type": "c",
            "major": KMSG[0],
            "minor": KMSG[1],
            "fileMode": 0o666,
            "uid": 0,
            "gid": 0,
        }
    ]


def rule(allow: bool, access: str, kind: str | None = None, *numbers: int) -> dict[str, Any]:
    found: dict[str, Any] = {"allow": allow, "access": access}
    if kind:
        found["type"] = kind
    return found | dict(zip(("major", "minor"), numbers, strict=False))


DENY = rule(False, "rwm")


@pytest.mark.parametrize(
    ("list_", "wanted"),
    [
        ([DENY], []),
        ([DENY, rule(True, "r", "c", *KMSG)], ["r"]),
        ([DENY, rule(True, "w", "c", *KMSG)], ["w"]),
        ([DENY, rule(True, "rw", "c", *KMSG)], ["r", "w"]),
        ([DENY, rule(True, "rwm", "c", 1)], ["r", "w"]),
        ([DENY, rule(True, "rwm", "b", *KMSG)], []),
        ([DENY, rule(True, "rwm", "c", 10)], []),
        ([rule(True, "rwm")], ["r", "w"]),
        ([rule(True, "rwm"), rule(False, "w", "c", *KMSG)], ["r"]),
        ([DENY, rule(True, "rw", "c", *KMSG), rule(False, "r", "c", *KMSG)], ["w"]),
        ([rule(True, "rwm"), DENY], []),
        ([DENY, rule(True, "rwm")], ["r", "w"]),
    ],
)
def test_rules_apply_in_order(box: Box, list_: list[dict[str, Any]], wanted: list[str]) -> None:
    rules(box, *list_)
    assert box.sh(TRY) == wanted


def test_the_devices_of_every_container_work(box: Box) -> None:
    rules(box, DENY)
    lines = box.sh(
        "for each in null zero full random urandom; do head -c1 /dev/$each | wc -c; done; echo >/dev/null; ls /dev/pts/ptmx"
    )
    assert lines == ["0", "1", "1", "1", "1", "/dev/pts/ptmx"]


def test_nodes_may_be_made_but_not_opened(box: Box) -> None:
    rules(box, DENY)
    assert box.sh("mknod /tmp/x c 1 2; mknod /tmp/y b 7 0; cat /tmp/x 2>&1 || true") == [
        "cat: can't open '/tmp/x': Operation not permitted"
    ]


def test_an_additional_process_is_filtered(box: Box) -> None:
    rules(box, DENY)
    box.start("sleep", "100")
    assert "not permitted" in box.exec("cat", "/probe").err


def test_an_update_keeps_the_filter(box: Box) -> None:
    rules(box, DENY)
    box.start("sleep", "100")
    box.ok("update", "--resources", "-", box.name, stdin=b'{"pids": {"limit": 50}}')
    assert "not permitted" in box.exec("cat", "/probe").err


def test_many_rules_load(box: Box) -> None:
    """A program for hundreds of devices still passes the kernel's verifier."""
    rules(
        box,
        DENY,
        *(rule(True, "rw", "c", 200, minor) for minor in range(300)),
        rule(True, "r", "c", *KMSG),
    )
    assert box.sh(TRY) == ["r"]
