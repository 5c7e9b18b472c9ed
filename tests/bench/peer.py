"""A TCP peer, run as a program inside a container's network: `serve PORT`, or `dial HOST PORT BUFFERS DIALS`.

The server counts what comes until the end and answers with the count; the dialler prints the seconds that all took.
"""

from __future__ import annotations

import socket
import sys
import time

BUFFER = 1 << 18
_COUNT = 8


def serve(port: int) -> None:
    """Until killed; says `ready` when it listens."""
    buffer = bytearray(BUFFER)
    with socket.create_server(("0.0.0.0", port), backlog=128) as listener:
        print("ready", flush=True)
        while True:
            with listener.accept()[0] as connection:
                total = 0
                while size := connection.recv_into(buffer):
                    total += size
                connection.sendall(total.to_bytes(_COUNT, "big"))


def dial(host: str, port: int, buffers: int, dials: int) -> float:
    """Send ``buffers`` buffers over each of ``dials`` connections, one after another; the seconds."""
    buffer = bytes(BUFFER)
    start = time.perf_counter()
    for _ in range(dials):
        with socket.create_connection((host, port), 10) as connection:
            for _ in range(buffers):
                connection.sendall(buffer)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(_COUNT, socket.MSG_WAITALL)
            if int.from_bytes(answer, "big") != buffers * BUFFER:
                raise ConnectionError("bytes were lost")
    return time.perf_counter() - start


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        print(dial(sys.argv[2], *map(int, sys.argv[3:])))
