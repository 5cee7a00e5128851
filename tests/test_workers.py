"""Processes: what those that read load and run beside each other, and what each command loads."""

import os
import subprocess
import sys

import pytest

from tests.commands import SECONDS
from tests.makers import SAMPLE


def run_script(script, *arguments):
    """What a script prints, in words."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in Linux's /proc")
def test_the_process_that_forks_workers_has_one_thread():
    script = """
import multiprocessing.forkserver, os
from pipeline.io.workers import open_workers
from pipeline.io.workplace import Workplace

with open_workers(Workplace(2), print) as workers:
    workers.start()
    list(workers.run(os.getpid))
    print(len(os.listdir(f"/proc/{multiprocessing.forkserver._forkserver._forkserver_pid}/task")))
"""
    assert run_script(script) == ["1"]


def test_polars_has_one_thread_in_a_worker_and_is_loaded_by_no_other_process():
    script = """
import sys
from pipeline.io.workers import open_workers
from pipeline.io.workplace import Workplace

with open_workers(Workplace(2), print) as workers:
    workers.start()
    print(*workers.run(eval, ["'polars' in __import__('sys').modules"] * 2))
    print(*workers.run(eval, ["__import__('polars').thread_pool_size()"] * 2))
    print("polars" in sys.modules)
"""
    assert run_script(script) == ["True", "True", "1", "1", "False"]


def test_duckdb_draws_no_bar_of_its_own_in_a_worker(sample):
    script = """
import sys
from pipeline.io.workers import open_workers
from pipeline.io.workplace import Workplace

ask = '''
from pathlib import Path
from pipeline.store.database import connect
(shown,) = connect(Path(%r), "").execute("select current_setting('enable_progress_bar')").fetchone()
print(shown, flush=True)
''' % sys.argv[1]
with open_workers(Workplace(2), print) as workers:
    workers.start()
    list(workers.run(exec, [ask]))
"""
    assert run_script(script, sample / "warehouse.duckdb") == ["False"]


HEAVY = {"polars", "pyarrow", "duckdb", "httpx", "pydantic"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["build", "{pages}", "--warehouse", "{warehouse}"], set()),
        (["sql", "select 1", "--warehouse", "{warehouse}"], {"duckdb"}),
        (["report", "--format", "csv,md", "--warehouse", "{warehouse}"], {"duckdb"}),
        (["have", "zlib", "--warehouse", "{warehouse}", "--format", "json"], {"duckdb"}),
        (["have", "zlib", "--warehouse", "{warehouse}"], {"duckdb", "pyarrow"}),
    ],
    ids=["help", "unchanged build", "sql", "report", "have", "have as a table"],
)
def test_a_command_loads_no_library_that_it_does_not_need(sample_copy, arguments, allowed):
    script = """
import sys
from pipeline.cli import cli

try:
    cli(sys.argv[1:])
except SystemExit:
    pass
print(" loaded", *sys.modules)
"""
    places = {"pages": SAMPLE, "warehouse": sample_copy}
    words = run_script(script, *(one.format(**places) for one in arguments))

    assert HEAVY.intersection(words[words.index("loaded") :]) <= allowed
    if arguments[0] == "build":
        assert "no snapshot changed" in " ".join(words)
