"""The streams of one process: read once by the shim, copied to every target, with back-pressure.

A source is read only while every target has room, so that a slow reader slows the container down as a plain pipe would.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import termios
from functools import partial

from shim.loop import HANGUP, READ, WRITE
from shim.stdio import drivers, sinks
from shim.stdio.sinks import LogSink
from shim.succession import Refusal
from wire.errors import FailedPrecondition, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from shim.loop import Future, Loop
    from shim.stdio.lines import LineLog
    from shim.stdio.logger import Logger, Owner
    from shim.stdio.sinks import Sink
    from shim.stdio.uri import Target

_CHUNK: Final = 65536
# A drain at exit takes what is in the pipe; a grandchild that goes on writing is not waited for.
_DRAIN_LIMIT: Final = 4 << 20


class Streams:
    """Standard streams of one process, as pipes or as a terminal."""

    def __init__(
        self,
        loop: Loop,
        *,
        terminal: bool,
        stdin: Target,
        stdout: Target,
        stderr: Target,
        owner: Owner,
        reaped: Callable[[int], Future[Any]],
        restored: bool = False,
    ) -> None:
        """``owner`` and ``reaped`` (the end of a child, by pid) are for logging programs.

        ``restored``: the process runs already, and goes on when what it wrote to is gone: a client that was cut off from a
        killed containerd takes its FIFOs away.
        """
        self._restored = restored
        self._loop = loop
        self._owner = owner
        self._reaped = reaped
        self.terminal = terminal
        self.stdin_once = stdin.once
        self.sinks: list[Sink] = []
        self.log: LineLog | None = None
        self._sources: dict[int, str] = {}
        self._paused = False
        self._input = -1
        self._input_buffer = bytearray()
        self._input_closing = False
        self._input_room: list[Callable[[], None]] = []
        self._fifo = -1
        self._given: list[int] = []
        self._master = -1
        self._finished = False
        self._logger: Logger | None = None
        self.pipes_made: dict[str, int] = {}
        """The inode of each output pipe, by which another shim finds it again."""
        self.attach_path = stdout.attach or stderr.attach
        self.wants_input = bool(stdin.scheme)
        try:
            self._open_targets(stdin, stdout, stderr)
        except BaseException:
            self.abandon()
            raise

    def _open_targets(self, stdin: Target, stdout: Target, stderr: Target) -> None:
        if stdout.scheme in drivers.SCHEMES:
            self.log = drivers.open_log(self._loop, stdout, self.resume)
            self.sinks.append(LogSink(self.log))
        if stdout.scheme in {"binary", "binary-v2"}:
            self._start_logger(stdout)
        for name, target in (("stdout", stdout), ("stderr", stderr)):
            if self.terminal and name == "stderr":
                continue
            if target.scheme == "fifo":
                if not (self._restored or os.path.exists(target.path)):
                    raise InvalidArgument(f"{name} FIFO {target.path} does not exist")
                self._add_sink(self._opened(sinks.open_fifo, target.path), name)
            elif target.scheme == "file" and not (name == "stderr" and target.same(stdout)):
                # As containerd's shims: one file takes both streams, unless the second has another.
                both = name == "stdout" and (not stderr.scheme or stderr.same(stdout))
                self._add_sink(self._opened(sinks.open_file, target.path), "" if both else name)
        if stdin.scheme == "fifo":
            self._fifo = self._opened(_open_input, stdin.path)
        elif stdin.scheme not in {"", "attach"}:
            raise InvalidArgument(f"stdin scheme {stdin.scheme!r} is not supported")

    def _opened(self, opener: Callable[[str], int], path: str) -> int:
        try:
            return opener(path)
        except OSError:
            if not self._restored:
                raise
            return os.open(os.devnull, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _add_sink(self, descriptor: int, stream: str) -> None:
        self.sinks.append(sinks.DescriptorSink(self._loop, descriptor, stream, resume=self.resume))

    def _start_logger(self, target: Target) -> None:
        # Rare, so that other shims do without the module.
        from shim.stdio.logger import Logger

        self._logger = Logger(
            self._loop,
            target.path,
            target.arguments,
            self._owner,
            acknowledges=target.scheme == "binary-v2",
            reaped=self._reaped,
        )
        for name, descriptor in zip(("stdout", "stderr"), self._logger.outputs, strict=True):
            self._add_sink(descriptor, name)

    async def ready(self) -> None:
        """Wait for a logging program, or a log's daemon; raises FailedPrecondition if it fails."""
        if self.log is not None:
            await self.log.ready()
        if self._logger is not None:
            await self._logger.ready()

    def adopt(self, sources: dict[str, int]) -> None:
        """Go on copying from the read ends of pipes that another shim made."""
        for name, source in sources.items():
            os.set_blocking(source, False)
            self._sources[source] = name
            self.pipes_made[name] = os.fstat(source).st_ino
        # Its standard input ended with the shim that wrote to it.
        self.wants_input = False
        if self._fifo >= 0:
            os.close(self._fifo)
            self._fifo = -1
        self.resume()

    def hand_over(self, descriptors: list[int]) -> dict[str, Any]:
        """What another process needs to go on; adds our descriptors. Raises Refusal while anything is under way."""
        idle = not (self._given or self._input_buffer or self._input_room or self._finished)
        kept = not any(sink.full for sink in self.sinks)
        attached = any(not isinstance(sink, LogSink | sinks.DescriptorSink) for sink in self.sinks)
        if self._logger is not None or attached or not idle or not kept:
            raise Refusal
        found: dict[str, Any] = {
            "sources": list(self._sources.values()),
            "terminal": self._master >= 0,
            "pipes": self.pipes_made,
            "input": self._input >= 0 and self._input != self._master,
            "fifo": self._fifo >= 0 and self._loop.watches(self._fifo),
            "closing": self._input_closing,
            "held": self.log.held() if self.log is not None else {},
            "dropped": self.log.dropped if self.log is not None else 0,
        }
        descriptors += self._sources
        if found["input"]:
            descriptors.append(self._input)
        if found["fifo"]:
            descriptors.append(self._fifo)
        # Not opened by name again: a FIFO's reader would see the end in between, and what waits in it would be lost.
        descriptors += [each.descriptor for each in self._outputs()]
        return found

    def _outputs(self) -> list[sinks.DescriptorSink]:
        return [sink for sink in self.sinks if isinstance(sink, sinks.DescriptorSink)]

    def take_over(self, found: dict[str, Any], descriptors: Iterator[int]) -> None:
        """Go on with the streams of another process, which has ended."""
        self.pipes_made = found["pipes"]
        self._sources = {next(descriptors): name for name in found["sources"]}
        if found["terminal"]:
            (self._master,) = self._sources
        if found["input"]:
            self._input = next(descriptors)
        elif found["terminal"] and self.wants_input:
            self._input = self._master
        if self._fifo >= 0:
            os.close(self._fifo)
            self._fifo = next(descriptors) if found["fifo"] else -1
        for each in self._outputs():
            each.replace(next(descriptors))
        self._input_closing = found["closing"]
        if self.log is not None:
            self.log.take(found["held"], found["dropped"])
        self.resume()
        self._start_input()

    def pipes(self, uid: int = 0, gid: int = 0) -> tuple[int, int, int]:
        """Make pipes of that owner; the ends for the process, to be given back by ``given_away`` once it has them."""
        if self.wants_input:
            inner, self._input = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._input, False)
        else:
            inner = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._given.append(inner)
        ends = [inner]
        for name in ("stdout", "stderr"):
            source, end = os.pipe2(os.O_CLOEXEC)
            end = _held_open(end)
            os.set_blocking(source, False)
            self.pipes_made[name] = os.fstat(source).st_ino
            self._sources[source] = name
            self._given.append(end)
            ends.append(end)
        if uid or gid:
            for end in ends if self.wants_input else ends[1:]:
                os.fchown(end, uid, gid)
        return ends[0], ends[1], ends[2]

    def given_away(self) -> None:
        """The process has its ends: close ours, and begin to copy."""
        for end in self._given:
            os.close(end)
        self._given.clear()
        self.resume()
        self._start_input()

    def use_terminal(self, master: int) -> None:
        """Copy from and to a terminal's master."""
        os.set_blocking(master, False)
        self._master = master
        self._sources[master] = "stdout"
        if self.wants_input:
            self._input = master
        self.resume()
        self._start_input()

    def resize(self, width: int, height: int) -> None:
        """Set the terminal's size; as in containerd's shims, nothing happens where there is no terminal."""
        if self._master < 0:
            return
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    # -- output

    def resume(self) -> None:
        """Read again, if every sink has room."""
        self._paused = any(sink.full for sink in self.sinks)
        for source in tuple(self._sources):
            events = 0 if self._paused else READ
            if source == self._input and self._input_buffer:
                events |= WRITE
            self._loop.watch(source, events, partial(self._ready, source))

    def _ready(self, source: int, events: int) -> None:
        if source == self._input and events & WRITE:
            self._flush_input(events)
        if self._paused and events & HANGUP and not events & READ:
            # Nothing is left to read but the end, and that can be taken at any time.
            self._paused = False
        if not self._paused and events & (READ | HANGUP):
            self._read(source)

    def _read(self, source: int) -> int:
        """Copy one chunk; its size, 0 at the end of the stream, -1 if there is nothing now."""
        try:
            data = os.read(source, _CHUNK)
        except BlockingIOError:
            return -1
        except OSError:
            # EIO: nobody has the terminal open any more.
            data = b""
        if not data:
            self._end(source)
            return 0
        name = self._sources[source]
        for sink in tuple(self.sinks):
            sink.write(name, data)
        if not self._paused and any(sink.full for sink in self.sinks):
            self.resume()
        return len(data)

    def _end(self, source: int) -> None:
        self._loop.forget(source)
        self._sources.pop(source, None)
        if source == self._master:
            if self._input == source:
                self._input = -1
            self._master = -1
        os.close(source)
        if not self._sources and self._finished:
            self._close_sinks()

    def tell(self, text: str) -> None:
        """Put a sentence of ours into the output."""
        for sink in tuple(self.sinks):
            sink.write("stdout", text.encode())

    def finish(self) -> None:
        """The process has ended and its exit is recorded: copy what is left, then let the sinks end."""
        self._finished = True
        for source in tuple(self._sources):
            taken = 0
            while source in self._sources and taken < _DRAIN_LIMIT:
                count = self._read(source)
                if count < 0:
                    break
                taken += count
        self.close_input()
        if self._fifo >= 0:
            self._loop.forget(self._fifo)
            os.close(self._fifo)
            self._fifo = -1
        if not self._sources:
            self._close_sinks()
        else:
            # Somebody inherited the pipe: the log goes on, attached clients need not wait for it.
            for sink in tuple(self.sinks):
                if not isinstance(sink, LogSink):
                    self.sinks.remove(sink)
                    sink.finish()

    def _close_sinks(self) -> None:
        ending, self.sinks = self.sinks, []
        for sink in ending:
            sink.finish()
        if self._logger is not None:
            self._logger.finish()

    def abandon(self) -> None:
        """The process never came to be."""
        for descriptor in (
            *self._given,
            *self._sources,
            *([self._fifo] if self._fifo >= 0 else []),
        ):
            self._loop.forget(descriptor)
            os.close(descriptor)
        if self._input >= 0 and self._input not in self._sources:
            self._loop.forget(self._input)
            os.close(self._input)
        self._given.clear()
        self._sources.clear()
        self._fifo = self._input = -1
        self._close_sinks()

    # -- input

    def _start_input(self) -> None:
        if self._fifo >= 0:
            self._loop.watch(self._fifo, READ, self._read_fifo)
        if self._input_buffer:
            self._flush_input(WRITE)

    def _read_fifo(self, events: int) -> None:
        if self._input_buffer:
            self._loop.watch(self._fifo, 0, self._read_fifo)
            self._input_room.append(lambda: self._loop.watch(self._fifo, READ, self._read_fifo))
            return
        try:
            data = os.read(self._fifo, _CHUNK)
        except BlockingIOError:
            return
        if data:
            self.write_input(data)
        else:
            # The writer left. Its end is told by CloseIO; until then another may come.
            self._loop.forget(self._fifo)
            if not self.terminal:
                self.close_input()

    def write_input(self, data: bytes) -> None:
        """Pass input to the process; what it does not take yet is kept."""
        if self._input_closing:
            return
        self._input_buffer += data
        self._flush_input(WRITE)

    def when_room(self, callback: Callable[[], None]) -> bool:
        """Whether input is flowing; if not, ``callback`` is called once it is."""
        if not self._input_buffer:
            return True
        self._input_room.append(callback)
        return False

    def close_io(self) -> None:
        """The client says that no more input comes: what it has put into its FIFO may still be on the way."""
        if self._fifo < 0 or self.terminal:
            self.close_input()
            return
        while not self._input_buffer:
            try:
                data = os.read(self._fifo, _CHUNK)
            except BlockingIOError:
                # It still has the FIFO open; the end of that is the end of the input.
                return
            if not data:
                self._loop.forget(self._fifo)
                self.close_input()
                return
            self.write_input(data)

    def close_input(self) -> None:
        """End the input after what was written. A terminal has no end."""
        self._input_closing = True
        if not self._input_buffer:
            self._end_input()

    def _flush_input(self, _events: int) -> None:
        if self._input < 0:
            # Not started, or ended: in the first case the bytes wait.
            if self._finished or self._input_closing:
                self._input_buffer.clear()
            return
        try:
            while self._input_buffer:
                del self._input_buffer[: os.write(self._input, self._input_buffer)]
        except BlockingIOError:
            if self._input == self._master:
                self.resume()
            else:
                self._loop.watch(self._input, WRITE, self._flush_input)
            return
        except OSError:
            self._input_buffer.clear()
            self._input_closing = True
        if self._input == self._master:
            self.resume()
        else:
            self._loop.forget(self._input)
        if self._input_closing:
            self._end_input()
        waiting, self._input_room = self._input_room, []
        for callback in waiting:
            callback()

    def _end_input(self) -> None:
        if self._input >= 0 and self._input != self._master:
            self._loop.forget(self._input)
            os.close(self._input)
            self._input = -1


def _held_open(end: int) -> int:
    """The same end of a pipe, opened for reading, too: whoever writes to it outlives a shim that was killed.

    Without a reader a write would end the container by SIGPIPE before another shim can take over.
    """
    try:
        both = os.open(f"/proc/self/fd/{end}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return end
    os.close(end)
    return both


def receive_terminal(connection: socket.socket) -> int:
    """The terminal's master that a runtime sends over its console socket; raises FailedPrecondition."""
    with contextlib.closing(connection):
        _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1, socket.MSG_CMSG_CLOEXEC)
    if not descriptors:
        raise FailedPrecondition("the runtime sent no terminal")
    return descriptors[0]


def _open_input(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
