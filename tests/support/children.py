"""The children that code under test forks in the test's own process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def reaped() -> Iterator[None]:
    """Waits at its end for every child that was forked within; fails for one that did not exit with 0.

    Not for `os.wait()`: other tests' fixtures have children in this process, too, and some of those live on.
    """
    fork, children = os.fork, []

    def recorded() -> int:
        child = fork()
        if child:
            children.append(child)
        return child

    os.fork = recorded
    try:
        yield
    finally:
        os.fork = fork
        statuses = [os.waitpid(child, 0)[1] for child in children]
    assert not any(statuses), statuses
