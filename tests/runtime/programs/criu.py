"""A stand-in for CRIU: `criu swrk FD` answers on the socket as CRIU does (images/rpc.proto of its source), and saves nothing.

What it is to do stands in the file of `STAND_IN`, as JSON; the requests it got are added to it under `requests`, as lists
of field and value. A dump ends the process that it is about, a restore forks one that sleeps.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

DUMP, RESTORE, PRE_DUMP, NOTIFY, FEATURE_CHECK, VERSION = 1, 2, 4, 6, 9, 10
SYS_CLONE, CLONE_PARENT = 56, 0x8000
MESSAGES = {2, 5, 11, 23, 25, 27, 39}
Fields = list[tuple[int, Any]]


def varint(value: int) -> bytes:
    out = b""
    value &= 2**64 - 1
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def write(fields: Fields) -> bytes:
    out = b""
    for field, value in fields:
        if isinstance(value, int):
            out += varint(field << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else write(value)
            out += varint(field << 3 | 2) + varint(len(data)) + data
    return out


def read(data: bytes, messages: frozenset[int] | set[int] = MESSAGES) -> Fields:
    found: Fields = []

    def number() -> int:
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while data:
        key = number()
        if key & 7 == 0:
            found.append((key >> 3, number()))
            continue
        length = number()
        value, data = data[:length], data[length:]
        # Only the request itself and its options (2) hold messages.
        inner = key >> 3 in messages
        below = MESSAGES if key >> 3 == 2 else frozenset[int]()
        found.append((key >> 3, read(value, below) if inner else value.decode()))
    return found


def main() -> None:
    plan_file = Path(os.environ["STAND_IN"])
    plan = json.loads(plan_file.read_text())
    peer = socket.socket(fileno=int(sys.argv[2]))
    requests = plan.setdefault("requests", [])

    def receive() -> Fields:
        data = peer.recv(1 << 20)
        if not data:
            # The caller has gone.
            sys.exit(1)
        request = read(data)
        requests.append(request)
        plan_file.write_text(json.dumps(plan))
        return request

    def notify(script: str, pid: int = 0) -> bool:
        pid = plan.get("pid", pid)
        answer: Fields = [(1, NOTIFY), (2, 1), (5, [(1, script), (2, pid)])]
        if script == "orphan-pts-master":
            master, _ = os.openpty()
            socket.send_fds(peer, [write(answer)], [master])
        else:
            peer.send(write(answer))
        return dict(receive()).get(3) == 1

    while True:
        request = dict(receive())
        kind = request[1]
        if kind == VERSION:
            major, minor = plan.get("version", [4, 2])
            peer.send(write([(1, VERSION), (2, 1), (10, [(1, major), (2, minor)])]))
            continue
        if kind == FEATURE_CHECK:
            features: Fields = [(each, int(each in plan.get("features", []))) for each in (1, 2)]
            peer.send(write([(1, FEATURE_CHECK), (2, 1), (8, features)]))
            continue
        break
    options = dict(request[2])
    images = f"/proc/{os.getppid()}/fd/{options[1]}"
    work = f"/proc/{os.getppid()}/fd/{options.get(17, options[1])}"
    plan["directories"] = [os.readlink(images), os.readlink(work)]
    plan["cgroup"] = Path("/proc/self/cgroup").read_text()
    plan["mounts"] = Path("/proc/self/mountinfo").read_text()
    Path(work, options[10]).write_text(plan.get("log", ""))
    if plan.get("vanish"):
        sys.exit(3)
    pid = options.get(2, 0)
    if kind == RESTORE:
        pid = ctypes.CDLL(None).syscall(SYS_CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            peer.close()
            os.execvp("sh", ["sh", "-c", plan.get("script", "exec sleep 1000")])
    good = all(notify(script, pid) for script in plan.get("notices", [])) and plan.get(
        "success", True
    )
    if kind == RESTORE and not (good and "post-restore" in plan.get("notices", [])):
        os.kill(pid, signal.SIGKILL)
    if kind == DUMP and good and not options.get(3):
        os.kill(pid, signal.SIGKILL)
    plan_file.write_text(json.dumps(plan))
    peer.send(write([(1, kind), (2, int(good)), (7, 0 if good else 17)]))
    sys.exit(0 if kind != PRE_DUMP else 1)


main()
