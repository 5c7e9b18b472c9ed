"""`docker cp`, `export` and `exec`."""

from __future__ import annotations

import pytest
from tests.support.cli import Bench, Row, named, row

_ERROR = "Error response from daemon: "
_NONE = "Error<*>: No such container:<*>nope<*>"
_FAILED = "OCI runtime exec failed: exec failed: unable to start container process: "
_ROWS = [
    # cp
    row("docker cp f box:/tmp/f && docker exec box cat /tmp/f", "given", "<*>", given="echo given > f"),
    row("docker container cp -q box:/etc/passwd p && grep -c . p", "2", since=23),
    row("docker cp box:/etc/passwd - | tar tv", "-rw-r--r-- <name> <n> <*> passwd"),
    row("docker cp -aL box:/bin/sh sh >/dev/null 2>&1; test -L sh || echo followed", "followed"),
    row("docker cp box:/data/. here 2>/dev/null; ls here", "seed"),
    row("docker cp ended:/data here 2>/dev/null; ls here", "seed"),
    row("tar c f | docker cp - box:/tmp && docker exec box cat /tmp/f", "piped", given="echo piped > f"),
    row("docker cp box:/nope here", "", _ERROR + "Could not find the file /nope in container box", 1, since=28),
    row("docker cp f box:/nope/f", "", _ERROR + "Could not find the file /nope in container box", 1, given="touch f", since=28),
    row("docker cp f box:/nope/", "", "<*>no such directory<*>", 1, given="touch f"),
    row("docker cp f box:/data/seed/", "", "<*>no such directory<*>", 1, given="touch f"),
    row("docker cp nope:/x .", "", _NONE, 1),
    row("docker cp no-such-file box:/tmp", "", "<*>no-such-file: no such file or directory", 1),
    row("docker cp box:/x other:/y", "", "copying between containers is not supported", 1),
    row("docker cp x y", "", "must specify at least one container source", 1),
    # export
    row("docker export ended | tar t | grep -x 'data/seed'", "data/seed"),
    row("docker container export -o out.tar box && tar tf out.tar | grep -cx bin/busybox", "1"),
    row("docker export -o /no/such/file box", "", "<*>/no/such<*>", 1),
    row("docker export nope", "", _NONE, 1),
    # exec
    row("docker exec box echo hi", "hi"),
    row("docker exec box sh -c 'echo e >&2; exit 9'", "", "e", 9),
    row("docker container exec -i box cat < passed", "given", given="echo given > passed"),
    row("docker exec box cat < passed", given="echo given > passed"),
    row("docker exec -t box tty", "/dev/pts/<n>"),
    row("docker exec -it box tty", "", "<*>the input device is not a TTY<*>", 1),
    row("docker exec -d box sh -c 'echo done > /tmp/done'; docker exec box sh -c 'until test -s /tmp/done; do sleep 0.05; done; cat /tmp/done'", "done"),
    row("docker exec -u 1000 -w /tmp -e A=1 --env-file more box sh -c 'id -u; pwd; echo $A$B'", "1000 /tmp 12", given="echo B=2 > more"),
    row("docker exec --privileged box grep -c CapEff:.*ffff /proc/self/status", "1", original="needs capabilities that this machine's root may not have"),
    row("docker exec box no-such", _FAILED + 'exec: "no-such": executable file not found in $PATH: unknown', "", 127, original="exits with 126", since=23),
    row("docker exec box /etc/passwd", _FAILED + 'exec: "/etc/passwd": permission denied: unknown', "", 126),
    row("docker exec -w /not/there box pwd", _FAILED + 'chdir to cwd ("/not/there") set in config.json failed: no such file or directory: unknown', "", 127, original="exits with 126", since=23),
    row("docker exec -u nope box id", "unable to find user nope: no matching entries in passwd file", "", 126),
    row("docker exec ended true", "", _ERROR + "<*>ontainer <id> is not running", 1),
    row("docker exec nope true", "", _NONE, 1),
    row("docker exec --detach-keys bogus-key box true", "", _ERROR + "Invalid escape keys (bogus-key) provided", 1),
    row("docker exec box", "", "<*>requires at least 2 arguments<*>", 1),
]  # fmt: skip


@pytest.mark.parametrize(**named(_ROWS))
def test_files_and_execs(table: Bench, each: Row) -> None:
    table.check(each)
