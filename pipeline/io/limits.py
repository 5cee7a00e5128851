"""What a process may not exceed (``ulimit``), and the end of one that a library keeps busy for ever.

Loaded before any library: it needs none.
"""

from __future__ import annotations

import signal
import threading
import time

FEW_FILES = 64
"""So many files may be open where nothing ever lacks one."""
PATIENCE = 30.0
"""Seconds of processor time after which a process in which Python does not get to run is ended."""


def describe_limits() -> str:
    """What this process may not exceed, in words; empty where nothing is near."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    memory = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    least = min((limit for limit in memory if limit != resource.RLIM_INFINITY), default=None)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    limits = [f"{least / 2**20:,.0f} MiB of memory (ulimit -v)"] if least is not None else []
    limits += [f"{files} open files (ulimit -n)"] if 0 <= files < FEW_FILES else []
    return " and ".join(limits)


def end_when_stuck(patience: float = PATIENCE) -> None:
    """From now on, end this process by SIGPROF when it is busy for ``patience`` and Python never runs.

    A library that gets no memory while it is loaded may ask for it for ever. No handler in Python could end that:
    the signal's default action does. Processes that are forked have to ask for it themselves.
    """

    def go_on() -> None:
        while True:
            limit_loading(patience)
            time.sleep(1)

    threading.Thread(target=go_on, daemon=True).start()


def limit_loading(patience: float = PATIENCE) -> None:
    """End this process by SIGPROF after ``patience``, however it uses it: for one that loads and then forks."""
    signal.setitimer(signal.ITIMER_PROF, patience)
