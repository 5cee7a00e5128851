"""The command line as its users meet it: a process, its two streams and its exit status."""

import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import click
import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.cli import cli
from pipeline.report.export import REPORTS
from tests.commands import run
from tests.makers import make_page, make_spec, write_page

PAGES = Path(__file__).parent / "data" / "pages"
SECONDS = 60


def run_process(*arguments, **options):
    """A command in a process of its own, for what is about processes and streams."""
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": SECONDS, **options}
    return subprocess.run(command, check=False, **options)


@pytest.fixture(scope="module")
def warehouse(sample):
    return sample


def assert_refused(done, status, *words):
    """It failed with one line on stderr that says why, nothing on stdout, and no traceback."""
    assert done.returncode == status
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert str(word) in lines[0]


def test_build_prints_a_summary(tmp_path):
    done = run_process("build", PAGES, "--warehouse", tmp_path / "w")

    assert done.returncode == 0
    assert done.stdout.startswith("4 pages in 3 snapshots, 157 specs, 360 rows, 0 rejects; 3 snapshots built anew; ")
    assert done.stdout.endswith(" seconds\n")
    assert done.stderr == ""
    assert "no snapshot changed" in run("build", PAGES, "--warehouse", tmp_path / "w").stdout


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--strict"], 3)])
def test_rejects_are_reported_a_line_each(tmp_path, options, status):
    write_page(tmp_path / "source", make_page([make_spec(1), make_spec(2, hash="x")], meta={}), "a.md")
    write_page(tmp_path / "source", "", "b.md")
    done = run("build", tmp_path / "source", "--warehouse", tmp_path / "w", *options)

    assert done.returncode == status
    assert "1 spec," in done.stdout
    assert "2 rejects" in done.stdout
    assert [line[:40] for line in done.stderr.splitlines()] == [
        "rejected: a.md: spec_details[1].hash: 'x",
        "rejected: b.md: file: is empty",
    ]
    again = run("build", tmp_path / "source", "--warehouse", tmp_path / "w", *options)
    assert (again.returncode, again.stderr) == (status, done.stderr)


def test_many_rejects_are_reported_in_part(tmp_path):
    write_page(tmp_path / "source", make_page([make_spec(n, hash=f"x{n}") for n in range(50)], meta={}))
    done = run("build", tmp_path / "source", "--warehouse", tmp_path / "w")

    assert len(done.stderr.splitlines()) == 21
    assert done.stderr.splitlines()[-1] == "… and 30 more: see the table rejects"


def test_unknown_keys_are_reported(tmp_path):
    write_page(tmp_path / "source", make_page([make_spec(1, new=1)]))
    done = run("build", tmp_path / "source", "--warehouse", tmp_path / "w")

    assert done.returncode == 0
    assert "new=1" in done.stderr


def test_a_missing_source_is_refused(tmp_path):
    assert_refused(
        run_process("build", tmp_path / "no", "--warehouse", tmp_path / "w"), 1, tmp_path / "no", "no such file"
    )


def test_a_source_without_pages_is_refused(tmp_path):
    write_page(tmp_path / "source", "# README", "README.md")
    assert_refused(run("build", tmp_path / "source", "--warehouse", tmp_path / "w"), 1, tmp_path / "source", "no cache")


def test_an_empty_source_is_refused(tmp_path):
    (tmp_path / "source").mkdir()
    assert_refused(run("build", tmp_path / "source", "--warehouse", tmp_path / "w"), 1, tmp_path / "source")


def test_two_pages_of_one_package_are_refused(tmp_path):
    write_page(tmp_path / "source", make_page([make_spec(1)]), "a.md")
    write_page(tmp_path / "source", make_page([make_spec(2)]), "b.md")
    assert_refused(run("build", tmp_path / "source", "--warehouse", tmp_path / "w"), 1, "a.md", "b.md", "'hdf5'")


def test_a_warehouse_that_is_a_file_is_refused(tmp_path):
    path = write_page(tmp_path, "text", "file")
    assert run("build", PAGES, "--warehouse", path).returncode == 2
    assert_refused(run("build", PAGES, "--warehouse", path / "below"), 1, "file")


@pytest.mark.parametrize(
    "arguments",
    [
        ["build"],
        ["nothing"],
        ["sql"],
        ["report", "--format", "docx"],
        ["build", ".", "--jobs", "0"],
        ["sql", "x", "--format", "y"],
    ],
)
def test_wrong_usage_is_2(tmp_path, arguments):
    done = run(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["sql", "from snapshots"], ["check"], ["report"], ["shell"]])
def test_no_warehouse_is_refused(tmp_path, command):
    assert_refused(run(*command, "--warehouse", tmp_path / "w"), 1, tmp_path / "w", "spack-warehouse build")


def test_sql_prints_a_table(warehouse):
    done = run_process("sql", "select count(*) as n from specs", "--warehouse", warehouse)

    assert (done.returncode, done.stderr) == (0, "")
    assert "│   157 │" in done.stdout


def test_sql_writes_other_formats(warehouse, tmp_path):
    query = "select snapshot, specs, date from snapshots order by sort_position limit 1"

    assert run("sql", query, "--warehouse", warehouse, "--format", "csv").stdout == (
        "snapshot,specs,date\ndevelop-2025-03-16,32,2025-03-16\n"
    )
    (row,) = json.loads(run("sql", query, "--warehouse", warehouse, "--format", "json").stdout)
    assert row == {"snapshot": "develop-2025-03-16", "specs": 32, "date": "2025-03-16"}
    parquet = run_process("sql", query, "--warehouse", warehouse, "--format", "parquet", text=False).stdout
    (tmp_path / "answer.parquet").write_bytes(parquet)

    assert pq.read_table(tmp_path / "answer.parquet").num_rows == 1


def test_sql_shows_every_row_and_column(warehouse):
    done = run("sql", "select range as n, 'x' as a from range(300)", "--warehouse", warehouse)
    assert "299" in done.stdout
    assert "150" in done.stdout
    assert len(run("sql", "from matrix_by_stack", "--warehouse", warehouse).stdout.splitlines()[0]) > 400


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select nope from specs", ["nope"]),
        ("selec", ["syntax error"]),
        ("from nowhere", ["nowhere"]),
        ("from specs; from pages", ["2 statements"]),
        ("", ["0 statements"]),
        ("drop table pages", ["read-only"]),
        ("delete from pages", ["read-only"]),
        ("create table x as from specs", ["read-only"]),
        ("attach 'x.duckdb'", ["read-only"]),
    ],
)
@pytest.mark.parametrize("format", ["table", "csv"])
def test_a_query_that_cannot_be_is_refused(warehouse, query, words, format):
    assert_refused(run("sql", query, "--warehouse", warehouse, "--format", format), 1, *words)


def test_a_closed_pipe_is_no_error(warehouse):
    query = [sys.executable, "-m", "pipeline", "sql", "from range(100000)", "--warehouse", str(warehouse)]
    command = f"{shlex.join(query)} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.stderr == ""


def test_check_passes_on_the_sample(warehouse):
    done = run_process("check", "--warehouse", warehouse)

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith(" checks, 0 failed, 0 with warnings")


def test_check_shows_offenders_and_ends_with_3(warehouse, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(warehouse, copy, symlinks=True)
    with duckdb.connect(str((copy / "warehouse.duckdb").resolve())) as connection:
        connection.execute(
            "insert into stored_specs select * replace (stacks[:1] as stacks, false as in_root) "
            "from stored_specs limit 1"
        )
    done = run("check", "--warehouse", copy)

    assert done.returncode == 3
    assert "failed   key_is_unique (1): " in done.stdout
    assert "num_rows=2" in done.stdout


def test_report_says_what_it_wrote(warehouse, tmp_path):
    done = run_process(
        "report", "--warehouse", warehouse, "--out", tmp_path / "out", "--snapshot", "develop", "--format", "csv"
    )

    assert (done.returncode, done.stdout) == (0, f"{len(REPORTS)} files of 1 snapshot in {tmp_path / 'out'}\n")


def test_report_refuses_an_unknown_snapshot(warehouse):
    assert_refused(run("report", "--warehouse", warehouse, "--snapshot", "v9"), 1, "'v9'", "develop-2025-03-30")


def test_report_refuses_a_folder_that_cannot_be_written(warehouse, tmp_path):
    file = write_page(tmp_path, "text", "file")
    assert_refused(run("report", "--warehouse", warehouse, "--out", file / "below"), 1, "file")


def test_shell_is_duckdbs_and_read_only(warehouse):
    done = run_process("shell", "--warehouse", warehouse, "--", "-csv", "-c", "select count(*) as n from specs")
    assert done.stdout == "n\n157\n"
    refused = run_process("shell", "--warehouse", warehouse, "--", "-c", "drop table pages")
    assert "read-only" in refused.stderr


@pytest.mark.slow
def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(tmp_path):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    done = run_process(
        "build", PAGES, "--warehouse", tmp_path / "w", capture_output=False, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    drawn = b""
    try:
        while part := os.read(ours, 65536):
            drawn += part
    except OSError:
        pass

    assert done.returncode == 0
    assert b"reading" in drawn
    assert "reading" not in done.stdout


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_teaches(name):
    done = run(name, "--help")
    options = [option for option in cli.commands[name].params if isinstance(option, click.Option)]

    assert done.returncode == 0
    assert len(cli.commands[name].help or "") > 80
    assert all(option.help for option in options)


def test_it_says_its_version():
    from pipeline import __version__

    assert run("--version").stdout == f"spack-warehouse, version {__version__}\n"


# DuckDB by itself would end this one for no signal.
ENDLESS = "select count(*) from range(1000000) as a, range(1000000) as b where hash(a.range + b.range) = 1"
SIGNALS = pytest.mark.parametrize(
    ("number", "status", "printed"), [(signal.SIGTERM, 128 + signal.SIGTERM, ""), (signal.SIGINT, 1, "Aborted!")]
)


def end(command, number, when):
    """Exit status and stderr of a command that gets a signal once ``when`` is true."""
    # Where the tests run in the background of a shell, SIGINT is ignored, and so it is in what they start.
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    try:
        until = time.monotonic() + SECONDS
        while not when() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(number)
        errors = process.communicate(timeout=SECONDS)[1]
    finally:
        process.kill()
        process.wait()
    return process.returncode, errors.strip()


@SIGNALS
def test_a_signal_in_the_middle_of_a_query_is_no_traceback(warehouse, number, status, printed):
    command = [sys.executable, "-m", "pipeline", "sql", ENDLESS, "--warehouse", str(warehouse)]

    assert end(command, number, lambda: time.sleep(1) or True) == (status, printed)


@pytest.mark.slow
@SIGNALS
def test_a_signal_in_the_middle_of_a_builds_checks_is_no_failure(tmp_path, number, status, printed):
    begun = tmp_path / "begun"
    script = f"""
import pathlib, pipeline.store.checks, pipeline.cli

def check_for_ever(connection, checks):
    pathlib.Path({str(begun)!r}).touch()
    connection.execute({ENDLESS!r})

pipeline.store.checks.run_checks, pipeline.store.checks.FEW_ROWS = check_for_ever, -1
pipeline.cli.main()
"""
    command = [sys.executable, "-c", script, "build", str(PAGES), "--warehouse", str(tmp_path / "w")]

    assert end(command, number, begun.exists) == (status, printed)
    assert list(tmp_path.glob("w/.builds/*")) == []


def test_a_signal_that_is_handled_late_is_no_failure_either(tmp_path):
    """Its handler runs when Python enters a function: here not before an error has left the views' making."""
    script = f"""
import ctypes, threading, pipeline.store.checks, pipeline.store.database, pipeline.cli

begun = threading.Event()

def check_for_ever(connection, checks):
    begun.set()
    connection.execute({ENDLESS!r})

def fail(connection):
    begun.wait()
    dict(map(ctypes.CDLL(None)["raise"], [{signal.SIGTERM.value}]))

pipeline.store.checks.run_checks, pipeline.store.database.create_views = check_for_ever, fail
pipeline.store.checks.FEW_ROWS = -1
pipeline.cli.main()
"""
    command = [sys.executable, "-c", script, "build", str(PAGES), "--warehouse", str(tmp_path / "w")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


def test_an_ended_build_leaves_nothing_behind(tmp_path):
    for number in range(300):
        write_page(tmp_path / "source", make_page([make_spec(number)], f"p{number}"), f"{number}.md")
    command = [sys.executable, "-m", "pipeline", "build", tmp_path / "source", "--warehouse", tmp_path / "w"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("w/.builds/*")) and process.poll() is None:
        pass
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=SECONDS)

    assert process.returncode in (0, 128 + signal.SIGTERM)
    assert "Traceback" not in errors
    if process.returncode:
        assert list(tmp_path.glob("w/.builds/*")) == []


# What DuckDB's binding says of what is left of it when Python ends.
LEFT = "leaked"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["build", "{pages}", "--warehouse", "{new}"], 0),
        (["build", "{pages}", "--warehouse", "{new}", "--strict"], 3),
        *(
            pytest.param(arguments, status, marks=pytest.mark.slow)
            for arguments, status in (
                (["build", "{pages}", "--warehouse", "{new}", "--jobs", "1"], 0),
                (["build", "{twice}", "--warehouse", "{new}"], 1),
                (["sql", "from rejects", "--warehouse", "{sample}"], 0),
                (["sql", "select error('no')", "--warehouse", "{sample}"], 1),
                (["have", "nothing-of-that-name", "--warehouse", "{sample}"], 3),
                (["report", "--warehouse", "{sample}", "--out", "{new}", "--format", "csv,xlsx,html"], 0),
                (["report", "--warehouse", "{sample}", "--snapshot", "none"], 1),
                (["check", "--warehouse", "{sample}"], 0),
            )
        ),
    ],
    ids=lambda value: value if isinstance(value, int) else " ".join(value[:2]),
)
def test_nothing_is_said_of_duckdb_at_the_end(tmp_path, sample, arguments, status):
    records = [make_spec(1), make_spec(2, hash="x"), make_spec(3, os=5), make_spec(4, new_key=1)]
    for number in range(30):
        page = make_page(records, f"p{number}", meta={})
        no_list = page.partition("spec_details:")[0] + "spec_details: {}\n---\n"
        bad = [page[:300], page.replace("title", "title: {", 1), page.replace("develop", "[" * 60, 1), no_list, ""]
        write_page(tmp_path / "pages", [page, *bad][number % 6], f"{number}.md")
    for number in range(2):
        write_page(tmp_path / "twice", make_page([make_spec(number)]), f"{number}.md")
    places = {name: tmp_path / name for name in ("pages", "twice", "new")}
    done = run_process(*(one.format(**places, sample=sample) for one in arguments))

    assert done.returncode == status, done.stderr
    assert LEFT not in done.stderr


def test_nothing_is_said_of_duckdb_where_a_signal_ends_a_query(sample):
    """The thread that interrupts the query holds its connection still when the main thread is done."""
    script = """
import os, signal, threading, time, pipeline.io.progress, pipeline.cli

def interrupt_slowly():
    for connection in list(pipeline.io.progress._watched):
        connection.interrupt()
        time.sleep(1)

pipeline.io.progress._interrupt_all = interrupt_slowly
threading.Timer(2, os.kill, [os.getpid(), signal.SIGTERM]).start()
pipeline.cli.main()
"""
    command = [sys.executable, "-c", script, "sql", ENDLESS, "--warehouse", str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
