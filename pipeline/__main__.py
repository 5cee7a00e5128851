"""``python -m pipeline`` is ``spack-warehouse``.

Where the memory of a process is limited (``ulimit -v``), or its open files are few (``ulimit -n``), a library that
gets none ends the process wherever it likes: by a signal, by its own words on stderr, or by an error of any kind.
There the command runs in a process of its own, and this one says in one line what became of it. One that is busy
without end is ended.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import warnings
from typing import NoReturn

from pipeline.io.limits import describe_limits, end_when_stuck

CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGKILL", "SIGPROF", "SIGSEGV", "SIGTRAP")
"""Signals by which a process ends that gets no memory; another asked it to end."""
ENDS_OF_LIBRARIES = (4, 127)
"""Exit statuses that no command has: the system's loader of libraries ends a process with 127."""
PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
PR_SET_PDEATHSIG = 1
NEW_OBJECTS = 100_000
"""So many come until Python looks for cycles among them: answers are tens of thousands of rows, and have none."""


def main() -> None:
    gc.set_threshold(NEW_OBJECTS)
    limits = describe_limits()
    # The shell becomes a program that is not this one.
    if not limits or sys.argv[1:2] == ["shell"]:
        from pipeline.cli import main as run

        run()
    else:
        supervise(limits)


def supervise(limits: str) -> NoReturn:
    """Run the command in a process of its own, and end as it does; of a crash, with one line and exit status 1.

    Of a crash after a signal that was passed on, with that signal's: a library may not bear to be interrupted.
    """
    child = os.fork()
    if not child:
        run_quietly(limits)
    # Who sits at the terminal interrupts both: the command decides what that means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked: list[int] = []

    def pass_on(number: int, _: object) -> None:
        asked.append(number)
        os.kill(child, number)

    for name in PASSED_ON:
        signal.signal(getattr(signal, name), pass_on)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        ended = os.WEXITSTATUS(status)
        if ENDS_OF_LIBRARIES[0] <= ended <= ENDS_OF_LIBRARIES[1]:
            explain(limits, f"ended with exit status {ended}")
            ended = 1
        os._exit(ended)
    number = signal.Signals(os.WTERMSIG(status))
    if number.name in CRASHES and asked:
        os._exit(128 + asked[0])
    if number.name in CRASHES:
        stuck = "made no progress any more" if number == signal.SIGPROF else f"ended by {number.name}"
        explain(limits, stuck)
        os._exit(1)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def run_quietly(limits: str) -> NoReturn:
    """Run the command, silence what libraries write to stderr themselves, and explain whatever it ends with."""
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    try:
        end_with_parent()
        end_when_stuck()
        from pipeline.cli import main as run

        run()
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException as error:
        explain(limits, f"{type(error).__name__}: {error}")
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    # Threads of libraries that got no memory are not waited for.
    os._exit(status)


def end_with_parent() -> None:
    """Let the command end when the process does that was killed in its stead (Linux)."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def explain(limits: str, reason: str) -> None:
    print(f"spack-warehouse: {reason.splitlines()[0]}; a process may have only {limits} here", file=sys.stderr)


if __name__ == "__main__":
    main()
