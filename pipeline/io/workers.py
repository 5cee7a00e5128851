"""Run the stages that cost in several processes, of this machine or of a cluster."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

from pipeline.errors import WarehouseError
from pipeline.io.limits import describe_limits, end_when_stuck
from pipeline.io.workplace import Workplace

Result = TypeVar("Result")


PRELOADED = ["pipeline.io.forkserver", "msgspec", "yaml", "pyarrow.compute", "pyarrow.json", "pyarrow.parquet"]
"""What the process that forks the workers loads for them all: nothing that starts a thread, as Polars does
where it is imported."""
READING = ("pipeline.store.extract", "pipeline.store.parquet")
"""What each worker of a build loads while the files are still being listed."""


def count_cpus() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(Protocol):
    """Calls functions over arguments, in other processes where that is worth it."""

    def start(self) -> None:
        """Get ready in the background, as much work is coming."""

    def run(self, function: Callable[..., Result], *arguments: Sequence[object]) -> Iterator[Result]:
        """The results of ``function`` over ``arguments``, in their order, as they come.

        Other processes begin at once; without any, the work is done when its result is asked for.

        Raises:
            WarehouseError: now or later: the work could not be done, as where a process was killed.
        """

    def close(self) -> None:
        """End what was started."""


class Processes:
    """Workers that are ``jobs`` processes of this machine; each loads the modules ``loaded`` first."""

    def __init__(self, jobs: int, loaded: Sequence[str] = READING) -> None:
        self._jobs, self._loaded = jobs, loaded
        self._pool: ProcessPoolExecutor | None = None
        self._starting: threading.Thread | None = None

    def start(self) -> None:
        """Start the processes in the background: they load Arrow while the caller goes on."""
        if self._pool is None and self._jobs > 1:
            # Arrow's own choice holds some 60 MB more in each process, and is no faster here.
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
            # Nor does it start a thread where it is loaded: a process that forks has one alone.
            os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
            # Neither plain fork, which copies threads' locks, nor a start from nothing for each.
            method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            context = multiprocessing.get_context(method)
            if method == "forkserver":
                context.set_forkserver_preload(PRELOADED)
            self._pool = ProcessPoolExecutor(self._jobs, context, initializer=_begin)
            self._starting = threading.Thread(target=_start_all, args=[self._pool, self._jobs, self._loaded])
            self._starting.start()

    def run(self, function: Callable[..., Result], *arguments: Sequence[object]) -> Iterator[Result]:
        """As of :class:`Workers`; a process is killed by the kernel when memory runs out."""
        if self._pool is None or self._starting is None:
            return map(function, *arguments)
        self._starting.join()
        try:
            return _await_all(self._pool.map(function, *arguments))
        except BrokenProcessPool:
            raise _explain_broken() from None

    def close(self) -> None:
        if self._pool is not None and self._starting is not None:
            self._starting.join()
            self._pool.shutdown(cancel_futures=True)
            self._pool = self._starting = None


@contextlib.contextmanager
def open_workers(workplace: Workplace, note: Callable[[str], None]) -> Iterator[Workers]:
    """The workers of a build, until it ends; ``note`` is given a line on what the user should know.

    Raises:
        WarehouseError: the cluster cannot be reached, or its workers are not of this program's version.
    """
    workers: Workers
    if workplace.cluster is None:
        workers = Processes(workplace.jobs or count_cpus())
    else:
        from pipeline.io.cluster import Cluster

        workers = Cluster(workplace.cluster, note)
    try:
        yield workers
    finally:
        workers.close()


def _await_all(results: Iterator[Result]) -> Iterator[Result]:
    try:
        yield from results
    except BrokenProcessPool:
        raise _explain_broken() from None


def _explain_broken() -> WarehouseError:
    return WarehouseError("a worker process was killed; with little memory, try --jobs 1")


def _start_all(pool: ProcessPoolExecutor, jobs: int, loaded: Sequence[str]) -> None:
    """Start every process at once: each is started by a task that finds none idle."""
    for _ in range(jobs):
        pool.submit(_load, loaded)


def _load(names: Sequence[str]) -> None:
    """Load what reads and writes, Polars among it, which takes as long as reading a batch."""
    for name in names:
        importlib.import_module(name)


def _begin() -> None:
    """What each worker does first, before it loads what reads and writes."""
    # Who sits at the terminal interrupts them too: they end at once, and the process that began them says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The processes are the threads: in each, Polars has one of its own.
    os.environ["POLARS_MAX_THREADS"] = "1"
    _end_with_parent()
    if describe_limits():
        end_when_stuck()


def _end_with_parent() -> None:
    """Let no worker outlive a build that was killed: it would write into a folder given up."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
