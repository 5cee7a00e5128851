"""Run the stages that cost on a Dask cluster, of any machines that see the same files."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import platform
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from pipeline import __version__
from pipeline.errors import WarehouseError

try:
    from distributed import Client, Future
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError, connect
    from distributed.scheduler import KilledWorker
except ImportError as error:
    raise WarehouseError(
        f"{error.name} is missing: a build on a cluster needs: pip install 'spack-warehouse[dask]'"
    ) from None

Result = TypeVar("Result")

TIMEOUT = 10
"""Seconds in which a scheduler must answer."""
AHEAD = 4
"""How many tasks each thread of the cluster has waiting: enough to keep it busy, few enough to send."""
FEWEST_AHEAD = 64
"""As many wait for a cluster that has no worker yet, as one that grows with its work."""
WRITERS = ("polars", "pyarrow")
"""The libraries whose versions the bytes of the Parquet files depend on."""


class Cluster:
    """Workers that are those of the Dask cluster whose scheduler has an ``address``, such as ``tcp://node1:8786``.

    What a worker that dies had begun is done again by another one, which writes the same files.
    """

    def __init__(self, address: str, note: Callable[[str], None]) -> None:
        """Connect.

        Raises:
            WarehouseError: no scheduler answers, or a worker is of another version of this program.
        """
        self._address = address
        try:
            # What is no scheduler may answer anything: it is asked for a greeting first, which leaves nothing behind.
            asyncio.run(_greet(address))
            self._client = Client(address, timeout=TIMEOUT, set_as_default=False, heartbeat_interval="5s")
        except Exception as error:
            raise WarehouseError(f"dask:{address}: no Dask scheduler can be reached: {_first_line(error)}") from None
        try:
            self._compare()
        except BaseException:
            self.close()
            raise
        if not self._threads:
            note(f"dask:{address}: has no worker yet; the build waits for one")

    @property
    def _threads(self) -> int:
        """The tasks that the cluster can do at once."""
        return sum(worker["nthreads"] for worker in self._client.scheduler_info(n_workers=-1)["workers"].values())

    def _compare(self) -> None:
        """Make sure that every worker runs this program's version, and writes the same bytes."""
        own = describe_program()
        for worker, answer in self._client.run(describe_program, on_error="return").items():
            _refuse_others(f"dask:{self._address}: {worker}", answer, own)

    def start(self) -> None:
        """The cluster runs already."""

    def run(self, function: Callable[..., Result], *arguments: Sequence[object]) -> Iterator[Result]:
        """As of :class:`pipeline.io.workers.Workers`; a task fails whose workers died three times, as Dask has it."""
        calls = zip(*arguments, strict=True)
        own = describe_program()
        waiting: deque[Future] = deque()

        def send(count: int) -> None:
            for call in islice(calls, count):
                waiting.append(self._client.submit(_call, own, function, *call, pure=False))

        def gather() -> Iterator[Result]:
            while waiting:
                # The oldest first, as the results are asked for; so the scheduler takes them.
                future = waiting.popleft()
                yield self._result(future)
                send(1)

        send(max(AHEAD * self._threads, FEWEST_AHEAD))
        return gather()

    def _result(self, future: Future) -> Any:
        try:
            return future.result()
        except KilledWorker as error:
            raise WarehouseError(
                f"dask:{self._address}: one task killed several workers, the last {error.last_worker.address}; "
                "give each more memory"
            ) from None
        except (FutureCancelledError, CommClosedError) as error:
            raise WarehouseError(f"dask:{self._address}: the scheduler is gone: {_first_line(error)}") from None

    def close(self) -> None:
        """Leave the cluster, which runs on; what has not begun there is given up."""
        with contextlib.suppress(OSError, TimeoutError, CommClosedError):
            self._client.close()


async def _greet(address: str) -> None:
    comm = await asyncio.wait_for(connect(address, timeout=TIMEOUT), TIMEOUT)
    await comm.close()


@cache
def describe_program() -> tuple[tuple[str, str], ...]:
    """What must be the same on all machines: names and versions."""
    python = ".".join(platform.python_version_tuple()[:2])
    libraries = ((name, importlib.metadata.version(name)) for name in WRITERS)
    return (("spack-warehouse", __version__), ("Python", python), *libraries)


def _call(expected: tuple[tuple[str, str], ...], function: Callable[..., Result], *arguments: object) -> Result:
    """Do a task on a worker, which may have come after the others were compared."""
    _refuse_others("a worker", describe_program(), expected)
    return function(*arguments)


def _refuse_others(worker: str, answer: object, own: tuple[tuple[str, str], ...]) -> None:
    """Raises a WarehouseError where ``answer``, what a worker says of itself, is not our ``own``."""
    if isinstance(answer, Exception):
        raise WarehouseError(f"{worker}: cannot run this program: {_first_line(answer)}")
    if answer != own:
        theirs = dict(answer) if isinstance(answer, tuple) else {}
        other = [f"{name} {theirs.get(name, 'missing')} there, {version} here" for name, version in own]
        differing = [line for line, pair in zip(other, own, strict=True) if theirs.get(pair[0]) != pair[1]]
        raise WarehouseError(f"{worker}: runs another version: {'; '.join(differing)}")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
