"""Answer seccomp notifications as runc's tests expect: `seccompagent -socketfile SOCKET -pid-file FILE`.

mkdir is done for the container with `-<metadata>` behind the name; chmod, fchmod and fchmodat fail with ENOMEDIUM; everything
else goes on. A program of its own, copied to where runc's tests look for theirs.
"""

import os
import socket
import sys

# The caller does not wait for us: the socket must be there at once, and slow imports come behind it.
LISTENER = socket.socket(socket.AF_UNIX)
LISTENER.bind(next(word.split("=", 1)[1] for word in sys.argv if word.startswith("-socketfile=")))
LISTENER.listen()

import argparse  # noqa: E402
import array  # noqa: E402
import errno  # noqa: E402
import fcntl  # noqa: E402
import json  # noqa: E402
import struct  # noqa: E402
import threading  # noqa: E402

# struct seccomp_notif { u64 id; u32 pid, flags; struct { int nr; u32 arch; u64 ip, args[6]; } data; }
NOTIFICATION = struct.Struct("=QIIiIQ6Q")
# struct seccomp_notif_resp { u64 id; s64 val; s32 error; u32 flags; }
RESPONSE = struct.Struct("=QqiI")
RECEIVE = 0xC0502100
SEND = 0xC0182101
ID_VALID = 0x40082102
CONTINUE = 1
MKDIR = {0xC000003E: 83, 0x40000003: 39}
CHMOD = {0xC000003E: {90, 91, 268}, 0x40000003: {15, 94, 306}}


def make_directory(pid: int, address: int, mode: int, suffix: str) -> None:
    """In the root or working directory of a process."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        name = os.pread(memory.fileno(), 4096, address).split(b"\0")[0].decode()
    base = f"/proc/{pid}/root" if name.startswith("/") else f"/proc/{pid}/cwd"
    os.mkdir(f"{base}/{name.lstrip('/')}-{suffix}", mode)


def serve(descriptor: int, suffix: str) -> None:
    """All notifications of one filter."""
    while True:
        buffer = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(descriptor, RECEIVE, buffer)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.ENOENT):
                continue
            break
        identity, pid, _, number, arch, _, *arguments = NOTIFICATION.unpack(buffer)
        failure, flags = 0, CONTINUE
        if number == MKDIR.get(arch):
            flags = 0
            try:
                make_directory(pid, arguments[0], arguments[1], suffix)
            except OSError:
                failure = errno.ENOSYS
        elif number in CHMOD.get(arch, set()):
            failure, flags = errno.ENOMEDIUM, 0
        value = -1 if failure else 0
        try:
            fcntl.ioctl(descriptor, SEND, RESPONSE.pack(identity, value, -failure, flags))
        except OSError:
            continue
    os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-socketfile", required=True)
    parser.add_argument("-pid-file", dest="pid_file", default="")
    options = parser.parse_args()
    with open(options.pid_file, "w") as file:
        file.write(str(os.getpid()))
    while True:
        connection, _ = LISTENER.accept()
        with connection:
            message, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(16))
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % 4])
        state = json.loads(message)
        filters = [
            fd for name, fd in zip(state["fds"], descriptors, strict=False) if name == "seccompFd"
        ]
        suffix = os.path.basename(state.get("metadata", ""))
        threading.Thread(target=serve, args=(filters[0], suffix), daemon=True).start()


main()
