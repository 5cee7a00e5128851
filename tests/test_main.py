"""Where a process may have little memory or few files, whatever a library makes of that is one line."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial

import click
import pytest
from click.testing import CliRunner

from pipeline.errors import WarehouseError
from pipeline.terminal.group import OneLine, end_on_signal
from tests.faults import processes_of, start_build, write_version
from tests.makers import ask

MIB = 2**20
COMMANDS = {
    "build": ["build", "source", "--jobs", "2"],
    "report": ["report", "--format", "csv,parquet,xlsx,markdown,html"],
    "sql": ["sql", "select stack, count(*) from spec_stacks group by all order by all"],
    "have": ["have", "p1"],
}


def limited(folder, kind, limit, *arguments):
    command = [sys.executable, "-m", "pipeline", *arguments, "--warehouse", "w"]
    limiting = partial(resource.setrlimit, kind, (limit, limit))
    return subprocess.run(
        command, cwd=folder, preexec_fn=limiting, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def folder(tmp_path):
    write_version(tmp_path / "source", 1, 30)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "build", "source", "--warehouse", "w"], cwd=tmp_path, check=False
    )
    assert done.returncode == 0
    write_version(tmp_path / "source", 2, 30)
    return tmp_path


def assert_one_line(done, folder):
    """Done, or one line and exit status 1; the last warehouse, or the next one, answers whole."""
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert (done.returncode, done.stdout) == (1, ""), done
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("spack-warehouse: ")
    ((count, oldest, newest),) = ask(folder / "w", "select count(*), min(version), max(version) from specs")
    assert (count, oldest) == (30, newest)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_little_memory_is_one_line_and_the_last_warehouse_stays(folder, command):
    failed = 0
    for mib in (26, 60, 150, 200, 300, 450, 700, 1000, 1400, 2000):
        done = limited(folder, resource.RLIMIT_AS, mib * MIB, *COMMANDS[command])
        assert_one_line(done, folder)
        failed += done.returncode
    assert failed
    assert limited(folder, resource.RLIMIT_AS, 64 * 2**30, *COMMANDS[command]).returncode == 0


@pytest.mark.slow
def test_no_memory_to_load_a_library_is_one_line(folder):
    done = limited(folder, resource.RLIMIT_AS, 60 * MIB, *COMMANDS["build"])
    assert_one_line(done, folder)
    assert done.returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("files", [5, 8, 12, 16, 24, 40])
def test_few_open_files_are_one_line_and_the_last_warehouse_stays(folder, files):
    for arguments in COMMANDS.values():
        assert_one_line(limited(folder, resource.RLIMIT_NOFILE, files, *arguments), folder)


BUSY_FOR_EVER = "sum(range(10**13))"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("busy", "status"), [(BUSY_FOR_EVER, -signal.SIGPROF), ("\nwhile time.process_time() < 3: pass", 0)]
)
def test_a_process_ends_that_is_busy_and_never_gets_to_run_python(busy, status):
    code = f"import time; from pipeline.io.limits import end_when_stuck; end_when_stuck(1.5); {busy}"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == status


@pytest.mark.slow
def test_a_command_without_progress_is_one_line(folder, monkeypatch):
    """A library that gets no memory may ask for it for ever where it is loaded."""
    (folder / "duckdb.py").write_text(BUSY_FOR_EVER)
    (folder / "sitecustomize.py").write_text(
        "import pipeline.io.limits as limits; limits.end_when_stuck.__defaults__ = (0.5,)"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.getcwd()]))
    done = limited(folder, resource.RLIMIT_AS, 64 * 2**30, "sql", "select 1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("spack-warehouse: made no progress any more; a process may have only")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_limit_that_is_not_met_changes_nothing(folder):
    plenty = partial(limited, folder, resource.RLIMIT_AS, 64 * 2**30)
    assert plenty("sql", "--format", "csv", "select 1 as one").stdout == "one\n1\n"
    done = plenty("sql", "select nothing")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert plenty("have", "p9999").returncode == 3
    assert plenty("no-command").returncode == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 1), (signal.SIGKILL, -9)])
def test_a_signal_ends_a_limited_build_as_any_other(tmp_path, number, status):
    write_version(tmp_path / "source", 1, 600)
    limiting = partial(resource.setrlimit, resource.RLIMIT_AS, (64 * 2**30, 64 * 2**30))
    for number_of_try in range(5):
        process = start_build(tmp_path / "source", tmp_path / f"w{number_of_try}", preexec_fn=limiting)
        while not (tmp_path / f"w{number_of_try}" / ".builds").is_dir():
            time.sleep(0.01)
        # On a busy machine a build may be done before this process sees it begin.
        if process.poll() is None:
            break
        process.communicate()
    if number == signal.SIGINT:
        # As a terminal sends it, to all of the group.
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == status
    assert "Traceback" not in errors
    deadline = time.monotonic() + 10
    while (left := list(processes_of(process.pid))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


LOST = """
import gc, signal, sys, time, weakref
from pipeline.terminal.group import end_on_signal, raise_again
signal.signal(signal.SIGTERM, end_on_signal)
sys.unraisablehook = raise_again
class Held: pass
held = Held()
seen = weakref.ref(held, lambda _: signal.raise_signal({number}))
del held
time.sleep(30)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_in_a_call_that_loses_errors_comes_once_more(number, status):
    code = LOST.format(number=int(number))
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, capture_output=True, text=True)

    assert done.returncode == status
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "error", [WarehouseError("reading the table failed: SystemExit: 143"), OSError("x"), KeyError()]
)
def test_what_a_library_makes_of_a_signal_ends_as_the_signal_does(monkeypatch, error):
    @click.command()
    def command():
        with contextlib.suppress(SystemExit):
            end_on_signal(signal.SIGTERM, None)
        raise error

    monkeypatch.setattr("pipeline.terminal.group._ended_by", [])
    done = CliRunner().invoke(OneLine(commands={"command": command}), ["command"])

    assert (done.exit_code, done.output) == (143, "")


CRASHING = """
import os, signal, time
import pipeline.__main__ as program
def crash(limits):
    signal.signal(signal.SIGTERM, lambda *_: os.abort())
    caught = 0
    # The other process catches signals only some time after it began this one.
    while not caught & 1 << signal.SIGUSR2 - 1:
        (line,) = [line for line in open(f"/proc/{os.getppid()}/status") if line.startswith("SigCgt")]
        caught = int(line.split()[1], 16)
    print("ready", flush=True)
    time.sleep(30)
program.run_quietly = crash
program.supervise("little")
"""


def test_a_crash_of_a_process_that_was_asked_to_end_is_no_lack_of_memory():
    command = [sys.executable, "-c", CRASHING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (143, "")
