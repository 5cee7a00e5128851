"""Run commands of the project: in this process, which is soon done, or in one of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from pipeline.cli import cli

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
