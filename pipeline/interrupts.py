"""Let SIGINT and SIGTERM end a query that runs.

Python handles a signal between two steps of its own code, so not while DuckDB works. DuckDB's binding looks
for signals, but only when the thread that waits is given a task: in many plans that is never.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_watched: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()


def watch(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same connection, whose queries end from now on when a signal comes."""
    _watched.add(connection)
    return connection


def interrupt_on_signals() -> None:
    """Interrupt what the watched connections do whenever a signal comes that Python handles.

    The query then raises, and before anything can catch that the signal's handler runs. To be called once,
    by the main thread.
    """
    signals, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_await_signals, args=[signals], daemon=True).start()


def run_handlers() -> None:
    """Run the handlers of signals that came, as Python does where it enters any function.

    To be called first where an error is cleaned up after: else the handler of the signal that interrupted a query
    runs, and raises, somewhere in the midst of that.
    """


def _await_signals(signals: int) -> None:
    while os.read(signals, 1):
        _interrupt_all()


def _interrupt_all() -> None:
    # A function of its own: while the thread waits, it holds no connection.
    for connection in list(_watched):
        # One that is closed says so.
        with contextlib.suppress(Exception):
            connection.interrupt()
