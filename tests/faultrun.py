"""Let system calls of a command fail, one after the other; the library of tests/faults.c has to be preloaded.

``python -m tests.faultrun FOLDER COMMAND STRIDE FIRST``: FOLDER is one that :func:`prepare` made. Of the calls that
the command makes below its warehouse, every STRIDE-th from the FIRST on fails, in a try of its own: in one try with
EIO and alone, in the next with ENOSPC and with it all that come after. What is wrong then is a line of JSON on
stdout; the last line has the number of calls and of those that failed.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import yaml

from pipeline.build import build as build_warehouse
from tests.commands import run
from tests.faults import write_version
from tests.makers import ask, parquet_bytes

ANSWER = "select snapshot, count(*), min(version), max(version) from specs group by snapshot order by snapshot"
OLD = [("v0", 1, "1", "1"), ("v1", 1, "1", "1")]
NEW = [("v0", 1, "2", "2"), ("v1", 1, "1", "1")]
KINDS = ((errno.EIO, 0), (errno.ENOSPC, 2**30))
"""The errno, and how many calls after the first fail."""


def prepare(folder: Path) -> None:
    """Write ``1`` and ``2``, a source that changes in one of its two snapshots, and ``w``, the warehouse of ``1``."""
    write_version(folder / "1", 1, pages=2, snapshots=2)
    shutil.copytree(folder / "1", folder / "2")
    write_version(folder / "2", 2, pages=1, snapshots=1)
    build_warehouse([folder / "1"], folder / "w", jobs=1)


class Faults:
    """The preloaded library."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.faults_last.restype = ctypes.c_char_p

    def arm(self, folder: Path, at: int, error: int = 0, more: int = 0) -> None:
        self._library.faults_arm(os.fsencode(folder), at, error, more)

    def disarm(self) -> tuple[int, str]:
        """Count no more; returns how many calls there were, and the last that failed."""
        count, last = self._library.faults_count(), self._library.faults_last().decode()
        self._library.faults_arm(b"", 0, 0, 0)
        return count, last


def build(folder: Path, place: Path) -> CompletedProcess[str]:
    return run("build", folder / "2", "--warehouse", place / "w", "--jobs", "1")


def report(folder: Path, place: Path) -> CompletedProcess[str]:
    return run("report", "--warehouse", place / "w", "--format", "csv,markdown")


def schedule(folder: Path, place: Path) -> CompletedProcess[str]:
    return run("run", "--config", place / "c.yaml")


def write_config(folder: Path, place: Path) -> None:
    """A run whose gate never holds, so that it has something to notify."""
    config = {
        "sources": [{"path": str(folder / "2")}],
        "warehouse": "w",
        "jobs": 1,
        "reports": {"out": "w/reports", "formats": ["markdown"], "keep": 2},
        "gates": {"coverage": [{"stack": "e4s", "packages": 1000}]},
        "notify": {"file": "notice.json"},
    }
    (place / "c.yaml").write_text(yaml.safe_dump(config))


COMMANDS: dict[str, Callable[[Path, Path], CompletedProcess[str]]] = {"build": build, "report": report, "run": schedule}
WELL = {"build": {0}, "report": {0}, "run": {3}}
"""How each ends where nothing fails: the run's gate never holds."""


def look(place: Path) -> list[str]:
    """What is wrong with a warehouse that is there."""
    answer = ask(place / "w", ANSWER)
    return [] if answer in (OLD, NEW) else [f"answers {answer}"]


def look_after(place: Path, right: dict[str, bytes]) -> list[str]:
    """What is wrong after the next time, in which nothing failed: files that differ, or that are left over."""
    # What waited for the place of a notification, which no lock protects, goes later.
    left = [path.name for path in (place / "w").rglob("*") if path.name.endswith((".new", ".unfinished", ".lease"))]
    differ = [] if parquet_bytes(place / "w") == right else ["the next time gives other files"]
    return [*differ, *(f"left over: {name}" for name in left)]


def judge(name: str, done: CompletedProcess[str]) -> list[str]:
    """What is wrong with how a command ended."""
    wrong = [] if done.returncode in {*WELL[name], 1} else [f"exit status {done.returncode}"]
    # A build that succeeds says that the source of the build before, "1", is no longer named.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("no longer named")]
    if name != "run" and len(lines) != done.returncode:
        wrong.append(f"stderr of exit status {done.returncode}: {done.stderr}")
    return wrong


def main(folder: Path, name: str, stride: int, first: int) -> None:
    command, faults = COMMANDS[name], Faults()
    place = folder / f"try-{name}-{first}"

    def begin() -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        shutil.copytree(folder / "w", place / "w", symlinks=True)
        write_config(folder, place)

    def attempt(at: int, error: int, more: int) -> tuple[str, list[str]]:
        begin()
        faults.arm(place, at, error, more)
        try:
            done = command(folder, place)
        finally:
            _, call = faults.disarm()
        wrong = judge(name, done) + look(place)
        if done.returncode == 0 and name == "build" and parquet_bytes(place / "w") != right:
            wrong.append("done, and gives other files")
        done = command(folder, place)
        if done.returncode not in WELL[name]:
            wrong.append(f"the next time: {done.stderr}")
        return call, wrong + look_after(place, right)

    begin()
    faults.arm(place, 0)
    command(folder, place)
    calls, _ = faults.disarm()
    right = parquet_bytes(place / "w")
    failed = 0
    for number, at in enumerate(range(first, calls + 1, stride)):
        error, more = KINDS[number % len(KINDS)]
        try:
            call, wrong = attempt(at, error, more)
            failed += bool(call)
        except BaseException:
            call, wrong = "", traceback.format_exc().splitlines()
        if wrong:
            print(json.dumps({"at": at, "error": errno.errorcode[error], "call": call, "wrong": wrong}), flush=True)
    print(json.dumps({"calls": calls, "failed": failed}))
    shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
