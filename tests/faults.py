"""A harness that builds in a process of its own and breaks what it can meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.makers import make_page, make_spec, write_page

KILLS = int(os.environ.get("FAULT_KILLS", "12"))
"""Builds that are killed at random moments, of each kind; more for a longer run."""


def start_build(source: Path, warehouse: Path, *options: str, **more: object) -> subprocess.Popen[str]:
    """A build in a process group of its own, with worker processes."""
    command = [sys.executable, "-m", "pipeline", "build", str(source), "--warehouse", str(warehouse), "--jobs", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *options], start_new_session=True, **{**pipes, **more})  # type: ignore[call-overload,no-any-return]


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def write_version(folder: Path, version: int, pages: int = 1200, snapshots: int = 3) -> None:
    """Fill ``folder`` with pages that all say ``version``: a mix of two versions shows."""
    for snapshot in range(snapshots):
        for number in range(pages // snapshots):
            spec = make_spec(number + 10_000 * snapshot, versions=[str(version)])
            name = f"_cache/v{snapshot}/p{number}/specs.md"
            path = write_page(folder, make_page([spec], f"p{number}", f"v{snapshot}"), f"{name}.new")
            path.rename(folder / name)


def kill_at_random(process: subprocess.Popen[str], rng: random.Random, longest: float) -> bool:
    """Kill -9 a build at a random moment; whether it was still running."""
    time.sleep(rng.uniform(0, longest))
    running = process.poll() is None
    if running:
        # The build alone: its workers must see for themselves that it is gone.
        os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return running


def processes_of(session: int) -> Iterator[int]:
    """The processes that are left of a session (Linux)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            yield int(stat.parent.name)
