"""Run commands of the project: in this process, which is soon done, or in one of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import cli

NEWER = Path(sys.prefix) / "newer-duckdb"
"""The newest DuckDB that has extensions, which `make test` installs."""
SECONDS = 120
"""How long a process may take."""


def run(*arguments: object, cwd: Path | None = None, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """What a command prints, and its exit status, run in this process. What would be a traceback is raised.

    In ``environment`` None takes a variable out.
    """
    where = contextlib.nullcontext() if cwd is None else contextlib.chdir(cwd)
    with where:
        done = CliRunner().invoke(cli, [str(one) for one in arguments], prog_name="spack-warehouse", env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(list(arguments), done.exit_code, done.stdout, done.stderr)


def run_process(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own: for what is about processes."""
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, timeout=SECONDS, env=env)


def run_other(script: str, place: Path, given: str, cwd: Path) -> str:
    """What a Python script prints that reads ``given``, under the DuckDB of a folder ``place``."""
    command = [sys.executable, "-c", script]
    env = {**os.environ, "PYTHONPATH": str(place)}
    done = subprocess.run(
        command, cwd=cwd, env=env, input=given, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_as(
    folder: Path, user: int, *arguments: object, group: int | None = None, umask: int = 0o022
) -> subprocess.CompletedProcess[str]:
    """What a command does in ``folder`` when a user without home, name or password runs it; only root can try."""
    command = [*_find_way(user, group or user), *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=_BARE, umask=umask, capture_output=True, text=True, timeout=SECONDS, check=False
    )


_BARE = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": os.environ["PATH"]}


@cache
def _find_way(user: int, group: int) -> list[str]:
    """The command line that runs the project's commands as another user."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() or setpriv is None:
        pytest.skip("only root, with setpriv, can be another user")
    who = [setpriv, f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    # Python, or the checkout, may lie where root alone can read.
    reads = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    for options in (reads, []):
        command = [*who, *options, sys.executable, "-m", "pipeline"]
        if subprocess.run([*command, "--version"], env=_BARE, capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("another user cannot run Python here")


@dataclass(frozen=True)
class Measured:
    """What a process printed and returned, its seconds, and the most bytes that it and its children held at once."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    peak: int


def measure_process(*arguments: object, folder: Path, seconds: float = SECONDS) -> Measured:
    """Run a command in a process of its own and measure it; what it prints is kept in ``folder``.

    It is killed, and fails the test, where it takes longer than ``seconds``.
    """
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    out, err = folder / "stdout", folder / "stderr"
    began, peak = time.monotonic(), 0
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        try:
            while process.poll() is None:
                peak = max(peak, sum(map(read_memory, list_tree(process.pid))))
                if time.monotonic() - began > seconds:
                    raise subprocess.TimeoutExpired(command, seconds)
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
    return Measured(process.returncode, out.read_text(), err.read_text(), time.monotonic() - began, peak)


def list_tree(pid: int) -> list[int]:
    """A process and all that come of it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += list_tree(int(child))
    return found


def read_memory(pid: int) -> int:
    """Bytes of a process, what it shares with others counted once among them; 0 where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
