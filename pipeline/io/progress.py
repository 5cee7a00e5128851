"""What a long piece of work says while it runs, and how a signal ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.io.streams import say, show_text

if TYPE_CHECKING:
    import duckdb
    from rich.progress import Progress as Drawn
    from rich.progress import TaskID


class Progress:
    """Takes how a build goes, and does nothing with it. The command line has one that draws a bar."""

    def wait(self, folder: Path, what: str) -> None:
        """Another ``what``, such as a build, holds the lock of ``folder``."""

    def stage(self, name: str, total: int, unit: str) -> None:
        """A stage of ``total`` units begins."""

    def advance(self, count: int) -> None:
        """``count`` more units of the stage are done."""

    def note(self, line: str) -> None:
        """What the user should know while the work goes on; may be called from any thread."""


class Bar(Progress):
    """A progress bar on stderr where that is a terminal, and lines for what a person has to know."""

    def __init__(self) -> None:
        self._drawn: tuple[Drawn, TaskID] | None = None

    def wait(self, folder: Path, what: str) -> None:
        say(f"{folder}: another {what} is running; waiting for it to end")

    def stage(self, name: str, total: int, unit: str) -> None:
        self.close()
        if sys.stderr.isatty():
            # How many bytes are to be fetched is not known beforehand.
            drawn = draw_bar(unit)
            self._drawn = drawn, drawn.add_task(name, total=total or None)
            drawn.start()

    def advance(self, count: int) -> None:
        if self._drawn is not None:
            drawn, task = self._drawn
            drawn.advance(task, count)

    def note(self, line: str) -> None:
        if self._drawn is None:
            say(line)
        else:
            # Above the bar, which is drawn anew below it.
            drawn, _ = self._drawn
            drawn.console.print(show_text(line), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._drawn is not None:
            self._drawn[0].stop()
            self._drawn = None


def draw_bar(unit: str) -> Drawn:
    """A bar on stderr for so many of a ``unit``, or for bytes (``B``); it is gone when it ends."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    counts = [DownloadColumn()] if unit == "B" else [MofNCompleteColumn(), TextColumn(unit)]
    times = [TimeElapsedColumn(), TimeRemainingColumn()]
    # The streams are written to by their numbers, too: rich may not put its own in their place.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *counts,
        *times,
        console=Console(file=sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def name_some(names: Sequence[str], most: int) -> str:
    """The first ``most`` names, and how many there are more."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def number_of(number: int, noun: str) -> str:
    """A number of things in words: ``1 snapshot``, ``2,000 pages``, ``0 indexes``."""
    plural = noun + ("es" if noun.endswith("x") else "s")
    return f"{number:,} {noun if number == 1 else plural}"


_watched: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()


def watch(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same connection, whose queries end from now on when a signal comes."""
    _watched.add(connection)
    return connection


@contextlib.contextmanager
def interrupting_on_signals() -> Iterator[None]:
    """Interrupt what the watched connections do whenever a signal comes that Python handles.

    The query then raises, and before anything can catch that the signal's handler runs. To be entered by the main
    thread. The thread that interrupts has ended with the context: one that still held a connection when Python ends
    would keep all of DuckDB, which then says so on stderr, object by object.
    """
    signals, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    thread = threading.Thread(target=_await_signals, args=[signals], daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        os.close(woken)
        thread.join()
        os.close(signals)


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


@contextlib.contextmanager
def showing_progress() -> Iterator[Bar]:
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()
