"""Saving and bringing back processes: what a client asks for, in terms of the runtime's command line."""

from __future__ import annotations

import contextlib
import os

from wire.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Final

# CRIU's account of a dump that failed, for whom the path is told.
_LOG: Final = "criu-dump.log"


class Images:
    """Where the images of a checkpoint are, and where CRIU is to work (empty: beside them)."""

    __slots__ = ("path", "work_path")

    def __init__(self, path: str, work_path: str) -> None:
        self.path = path
        self.work_path = work_path


class Wanted:
    """Where to put a checkpoint, and containerd.runc.v1.CheckpointOptions."""

    __slots__ = ("options", "path")

    def __init__(self, path: str, options: Any) -> None:
        self.path = path
        self.options = options


@contextlib.contextmanager
def work_directory(bundle: str, wanted: Wanted) -> Iterator[str]:
    """CRIU's directory for a dump, kept if the client has named it. After a failure its log is in the bundle."""
    # Not with the module: each shim would carry what it imports.
    import shutil

    work = wanted.options.work_path or f"{bundle}/criu-work"
    try:
        yield work
    except EngineError as error:
        with contextlib.suppress(OSError):
            shutil.copyfile(f"{work}/dump.log", f"{bundle}/{_LOG}")
            error.message += f" path= {bundle}/{_LOG}"
        raise
    finally:
        if not wanted.options.work_path:
            shutil.rmtree(work, ignore_errors=True)


def flags(wanted: Wanted, work: str, terminal: bool) -> Sequence[str]:  # noqa: FBT001
    """Those of `checkpoint`."""
    options = wanted.options
    found = ["--image-path", wanted.path, "--work-path", work]
    if options.parent_path:
        found += ["--parent-path", options.parent_path]
    for word, given in (
        ("--leave-running", not options.exit),
        ("--tcp-established", options.open_tcp),
        ("--ext-unix-sk", options.external_unix_sockets),
        ("--shell-job", options.terminal or terminal),
        ("--file-locks", options.file_locks),
    ):
        if given:
            found.append(word)
    for kind in options.empty_namespaces:
        found += ["--empty-ns", kind]
    if options.cgroups_mode:
        found += ["--manage-cgroups-mode", options.cgroups_mode]
    return found


def restore_flags(images: Images, terminal: bool) -> Sequence[str]:  # noqa: FBT001
    """Those of `restore`."""
    found = ["--detach", "--no-subreaper", "--image-path", images.path]
    if images.work_path:
        os.makedirs(images.work_path, mode=0o700, exist_ok=True)
        found += ["--work-path", images.work_path]
    if terminal:
        found.append("--shell-job")
    return found
