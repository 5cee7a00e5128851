"""Run the stages that cost in several processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from pipeline.errors import WarehouseError

Result = TypeVar("Result")


def count_cpus() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Calls functions over arguments, in ``jobs`` processes where that is worth their start."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def run(self, function: Callable[..., Result], *arguments: Sequence[object], start: bool) -> Iterator[Result]:
        """The results of ``function`` over ``arguments``, in their order, as they come.

        Without ``start`` the processes are used only if an earlier call has started them.

        Raises:
            WarehouseError: a process was killed, as the kernel does when memory runs out.
        """
        if start and self._pool is None and self._jobs > 1 and len(arguments[0]) > 1:
            self._pool = start_pool(self._jobs)
        if self._pool is None:
            yield from map(function, *arguments)
            return
        try:
            yield from self._pool.map(function, *arguments)
        except BrokenProcessPool:
            raise WarehouseError("a worker process was killed; with little memory, build with --jobs 1") from None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def start_pool(jobs: int) -> ProcessPoolExecutor:
    """Start processes by neither plain fork, which copies threads' locks, nor one by one from nothing."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["pipeline.write"])
    return ProcessPoolExecutor(jobs, context, initializer=_end_with_parent)


@contextlib.contextmanager
def start_workers(jobs: int) -> Iterator[Workers]:
    workers = Workers(jobs)
    try:
        yield workers
    finally:
        workers.close()


def _end_with_parent() -> None:
    """Let no worker outlive a build that was killed: it would write into a folder given up."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
