"""`restore`: the flags that it shares with `checkpoint`, and its own, reach CRIU; a flag of both that needs a test of its own."""

from __future__ import annotations

from pathlib import Path

from tests.runtime import test_checkpoint as checkpoint
from tests.runtime.conftest import Box

# Fixtures.
stand_in, images, _subreaper = checkpoint.stand_in, checkpoint.images, checkpoint._subreaper


def test_every_flag_of_a_restore_is_passed_on(
    box: Box, stand_in: checkpoint.StandIn, images: Path
) -> None:
    stand_in.order(features=[1, 2], notices=checkpoint.RESTORED)
    work = box.directory / "work"
    result = stand_in.restore(
        "--work-path", str(work), "--tcp-established", "--ext-unix-sk", "--shell-job", "--file-locks",
        "--link-remap", "--auto-dedup", "--lazy-pages", "--manage-cgroups-mode", "full",
        "--lsm-mount-context", "some:context", "--network-lock", "nftables", "--empty-ns", "network",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    asked = dict(map(tuple, stand_in.options))
    assert stand_in.told["directories"] == [str(images), str(work)]
    for field in (4, 5, 7, 8, 16, 18, 48):
        assert asked[field] == 1, field
    # Full control of cgroups, no network's content, nftables.
    assert (asked[34], asked[38], asked[64]) == (4, 1 << 30, 2)
    assert asked[63] == "some:context"
    box.ok("delete", "--force", box.name)


def test_the_networks_content_is_never_saved(box: Box, stand_in: checkpoint.StandIn) -> None:
    """As with runc, whose flag has nothing to add: other kinds are refused."""
    box.start("sleep", "1000")
    assert stand_in.call("checkpoint", "--leave-running").code == 0
    assert dict(map(tuple, stand_in.options))[38] == 1 << 30
    result = stand_in.call("checkpoint", "--leave-running", "--empty-ns", "ipc")
    assert result.code == 1
    assert '--empty-ns: namespace "ipc" is not supported' in result.err
