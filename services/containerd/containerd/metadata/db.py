"""The metadata: a SQLite database and its journal, durable on every commit, used from one thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from containerd.metadata import failures, journal, recovery, schema
from wire.errors import DataLoss

P = ParamSpec("P")
T = TypeVar("T")

_CHANGED: Final = "dockyard_changed"
# Which rows a change touches: both, where it changes a key.
_TRIGGERS: Final = (("INSERT", "new"), ("UPDATE", "new"), ("UPDATE", "old"), ("DELETE", "old"))


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[[], Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: Any = None
    error: BaseException | None = None


class Database:
    """One connection behind one thread: a call is a transaction, and calls do not overlap.

    Calls that wait while others are made durable become durable together: one sync for all of them.
    """

    def __init__(self, path: str, data: Iterable[str] = ()) -> None:
        """Open it, made again if it is gone or damaged; ``data`` and errors as ``recovery.opened``."""
        self._path = path
        self._waiting: list[_Call] = []
        self._busy = False
        # The keys of the rows that the current transaction has touched, in their order.
        self._touched: dict[tuple[str, tuple[Any, ...]], None] = {}
        self._changed = False
        self._listener: Callable[[], None] = _nobody
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metadata")
        try:
            self._use(*recovery.opened(path, data))
        except sqlite3.Error as error:
            raise failures.translate(path, error) from None
        except OSError as error:
            raise journal.failure(path, error) from None

    def _use(self, connection: sqlite3.Connection, written: journal.Journal) -> None:
        self._connection, self._journal = connection, written
        (self.version,) = connection.execute("PRAGMA user_version").fetchone()
        self._tables = schema.tables(connection)
        connection.create_function(_CHANGED, -1, self._note)
        for table in self._tables.values():
            for event, row in _TRIGGERS:
                key = ", ".join(f"{row}.{each}" for each in table.keys)
                connection.execute(
                    f"CREATE TEMP TRIGGER {table.name}_{event}_{row} AFTER {event} ON main.{table.name}"
                    f" BEGIN SELECT {_CHANGED}('{table.name}', {key}); END"
                )

    def _note(self, table: str, *key: Any) -> None:
        self._touched[table, key] = None

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever something was changed, on the event loop."""
        self._listener = listener

    def migrated(self) -> None:
        """What was written by an earlier version was brought up to date by the daemon; the records are of this version now."""
        self._connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        self.version = schema.VERSION
        self._write_journal()

    @property
    def current(self) -> bool:
        """Whether the records were written by this version."""
        return bool(self.version == schema.VERSION)

    async def call(
        self,
        function: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``function(connection, …)`` as one transaction: committed when it returns, undone when it raises.

        It sees the caller's context: namespace and lease. Raises ResourceExhausted for a full disk, Unavailable for a
        locked file, DataLoss for one that was damaged meanwhile and cannot be made again, and what ``function`` raises.
        """

        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> T:
            return context.run(function, self._connection, *args, **kwargs)

        self._waiting.append(_Call(work, future))
        if not self._busy:
            self._begin(loop)
        # Shielded: a caller that goes away does not undo what others may have seen.
        return await asyncio.shield(future)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        calls, self._waiting = self._waiting, []
        try:
            done = loop.run_in_executor(self._thread, self._commit, calls)
        except RuntimeError as error:
            # Closed.
            for call in calls:
                call.future.set_exception(error)
            return
        self._busy = True
        done.add_done_callback(partial(self._answer, loop, calls))

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        calls: list[_Call],
        done: asyncio.Future[list[_Outcome]],
    ) -> None:
        self._busy = False
        changed, self._changed = self._changed, False
        if self._waiting:
            self._begin(loop)
        if changed:
            self._listener()
        for call, outcome in zip(calls, done.result(), strict=True):
            if isinstance(outcome.error, BaseException):
                call.future.set_exception(self._translated(outcome.error))
            else:
                call.future.set_result(outcome.result)

    def _translated(self, error: BaseException) -> BaseException:
        # What violates a constraint is the caller's own matter.
        if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
            return failures.translate(self._path, error)
        return error

    def _commit(self, calls: list[_Call]) -> list[_Outcome]:
        """Do the calls, each by itself undone if it fails, and make them durable together."""
        try:
            try:
                return self._transaction(calls)
            except sqlite3.Error as error:
                if not failures.is_damage(error):
                    raise
                self._rebuild(error)
            return self._transaction(calls)
        except BaseException as error:  # noqa: BLE001 - it is raised where each call was made
            # The disk is full, for example: nothing is durable.
            return [_Outcome(error=error) for _ in calls]

    def _transaction(self, calls: list[_Call]) -> list[_Outcome]:
        if self._journal.broken:
            self._write_journal()
        connection = self._connection
        self._touched.clear()
        appended = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._do(call) for call in calls]
            if self._touched:
                # On disk before anybody sees it; the database follows.
                number = self._journal.append(self._changes(), self._sequences())
                appended = self._changed = True
                schema.move(connection, number)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if appended:
                self._journal.undo()
            raise
        if self._journal.grown:
            self._journal = journal.compacted(self._journal)
        return outcomes

    def _do(self, call: _Call) -> _Outcome:
        connection = self._connection
        connection.execute("SAVEPOINT call")
        try:
            outcome = _Outcome(call.work())
        except BaseException as error:
            if not connection.in_transaction or (
                isinstance(error, sqlite3.Error) and failures.is_damage(error)
            ):
                # SQLite has undone the whole of it, or it has to be done again with another file.
                raise
            connection.execute("ROLLBACK TO call")
            outcome = _Outcome(error=error)
        connection.execute("RELEASE call")
        return outcome

    def _changes(self) -> list[bytes]:
        """The rows that were touched as they are now: what was undone again is not among them."""
        found = []
        for name, key in self._touched:
            table = self._tables[name]
            found.append(table.line(key, table.find(self._connection, key)))
        return found

    def _sequences(self) -> dict[str, int]:
        touched = {name for name, _ in self._touched}
        found = schema.sequences(self._connection)
        return {name: highest for name, highest in found.items() if name in touched}

    def _rebuild(self, error: sqlite3.Error) -> None:
        """Make the database again under the running daemon; raises DataLoss if the journal is damaged, too."""
        found = journal.read(self._journal.path)
        if found is None or found.damaged or found.number != self._journal.number:
            raise DataLoss(f"{self._path} is damaged, and so is its journal: {error}")
        self._connection.close()
        self._journal.close()
        self._use(*recovery.rebuilt(self._path, found, f"the database was damaged: {error}"))

    def _write_journal(self) -> None:
        self._journal.close()
        try:
            self._journal = recovery.rewritten(self._connection, self._path)
        except OSError as error:
            raise journal.failure(self._path, error) from error

    def close(self) -> None:
        """Close the files."""
        self._thread.shutdown()
        self._connection.close()
        self._journal.close()


def _nobody() -> None:
    """Nobody wants to hear of changes."""
