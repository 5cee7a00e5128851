"""What is written to stdout and stderr: safe to show, and no traceback however the streams are."""

import csv
import io
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ask.gates import _escape
from pipeline.ask.output import render_csv
from pipeline.io.streams import show_json, show_lines, show_text
from pipeline.report.notify import escape_text
from pipeline.terminal.layouts import Look
from pipeline.terminal.shape import Shape
from pipeline.terminal.tables import print_rows
from tests.commands import SECONDS, run
from tests.makers import SAMPLE, make_page, make_spec, rest_slow, write_page

HOSTILE = "a\r\x1b[31mred\x9b2J\u202etxt\x7f.md"
RAW = set("\r\x1b\x9b\u202e\x7f")


def shell(line, **environment):
    """A command line of a shell, in which ``spack-warehouse`` is the project's."""
    command = line.replace("spack-warehouse", shlex.join([sys.executable, "-m", "pipeline"]))
    env = {**os.environ, **environment}
    return subprocess.run(["bash", "-c", command], check=False, capture_output=True, timeout=SECONDS, env=env)


@given(st.text())
def test_what_is_shown_is_one_line_without_control_characters(text):
    shown = show_text(text)
    assert not [one for one in shown if ord(one) < 32 or 127 <= ord(one) < 160 or 0xD800 <= ord(one) < 0xE000]
    assert len(shown.splitlines()) <= 1
    assert show_lines(f"{text}\n").split("\n") == [*map(show_text, text.split("\n")), ""]
    assert show_text(shown) == shown


def test_what_is_plain_is_shown_as_it_is():
    assert show_text("py-wheel — „µ“ \\ │ 🦆") == "py-wheel — „µ“ \\ │ 🦆"
    assert show_text(HOSTILE) == r"a\r\x1b[31mred\x9b2J\u202etxt\x7f.md"
    assert show_text(os.fsdecode(b"caf\xe9")) == r"caf\xe9"


@given(st.text())
def test_json_means_the_same(text):
    shown = show_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert not RAW & set(shown)


@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"))), min_size=2, max_size=4))
def test_csv_has_every_text_again_less_its_guard(cells):
    columns = [(f"c{at}", "VARCHAR") for at in range(len(cells))]
    read = list(csv.reader(io.StringIO(render_csv(columns, [cells]), newline="")))
    assert [cell.removeprefix("'") for cell in read[1]] == [cell or "" for cell in cells]


@pytest.mark.parametrize("first", "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'")
def test_csv_guards_what_begins_a_formula(first):
    text = render_csv([("c", "VARCHAR"), ("d", "VARCHAR[]")], [[f"{first}1", [f"{first}1"]]])
    ((_, _), (cell, many)) = csv.reader(io.StringIO(text, newline=""))
    assert cell == f"'{first}1"
    assert json.loads(many) == [f"{first}1"]


def test_csv_leaves_numbers_and_quotes_carriage_returns(capsysbinary):
    print_rows(
        [("n", "BIGINT"), ("t", "VARCHAR"), ("e", "VARCHAR")],
        [(-1, "a\rb", ""), (None, None, "1.2.3")],
        Shape("csv"),
        {},
    )
    assert capsysbinary.readouterr().out == b'n,t,e\n-1,"a\rb",""\n,,1.2.3\n'


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_a_name_that_is_no_utf8_is_printed(capsysbinary, format):
    print_rows([("place", "VARCHAR")], [(os.fsdecode(b"caf\xe9.yaml:1"),)], Shape(format), {"place": Look()})
    assert b"caf\\xe9.yaml:1" in capsysbinary.readouterr().out.replace(b"\\\\", b"\\")


def test_annotations_are_one_line_each():
    assert _escape("50%\r\n\x1b[31m", "") == "50%25%0D%0A\\x1b[31m"


def test_a_chat_service_takes_nothing_for_a_mention():
    assert escape_text("<!channel> & <https://x|y>\x1b") == "&lt;!channel&gt; &amp; &lt;https://x|y&gt;\\x1b"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder with rejected files whose names draw on terminals, and the warehouse of it."""
    folder = tmp_path_factory.mktemp("hostile")
    write_page(folder / "source", make_page([make_spec(1)]), "good.md")
    write_page(folder / "source", make_page([make_spec(2, hash="x")], "zlib", meta={}), HOSTILE)
    write_page(folder / "source", make_page([make_spec(3, hash="x")], "zlib", "v1", meta={}), "two\nlines.md")
    return folder


def test_no_message_draws_on_a_terminal(hostile):
    done = run("build", hostile / "source", "--warehouse", hostile / "w")
    assert r"a\r\x1b[31mred" in done.stderr
    (hostile / "gates.yaml").write_text("snapshot: newest\nrejects: {max: 0}\n")
    commands = [
        ["build", hostile / "source", "--warehouse", hostile / "w"],
        ["check", "--warehouse", hostile / "w"],
        ["sql", "select path from rejects", "--warehouse", hostile / "w"],
        ["sql", "select path from rejects", "--warehouse", hostile / "w", "--format", "json"],
        ["gate", "--warehouse", hostile / "w", "--config", hostile / "gates.yaml", "--format", "github"],
        ["gate", "--warehouse", hostile / "w", "--config", hostile / "gates.yaml", "--format", "json"],
        ["gate", "--warehouse", hostile / "w", "--config", hostile / "gates.yaml"],
        ["have", HOSTILE, "--warehouse", hostile / "w"],
        ["have", "hdf5", "--snapshot", HOSTILE, "--warehouse", hostile / "w"],
        ["diff", HOSTILE, "b", "--warehouse", hostile / "w"],
        ["sql", "x", "--format", HOSTILE],
        ["build", hostile / HOSTILE, "--warehouse", hostile / "w"],
        ["run", "--config", hostile / HOSTILE],
        [HOSTILE],
    ]
    for command in commands:
        done = run(*command)
        assert done.stdout + done.stderr, command
        assert not RAW & set(done.stdout + done.stderr), command


def test_csv_is_exact_but_on_a_terminal(hostile):
    run("build", hostile / "source", "--warehouse", hostile / "w")
    query = "select path from rejects where path like 'a%'"
    command = ["sql", query, "--warehouse", hostile / "w", "--format", "csv"]
    assert list(csv.reader(io.StringIO(run(*command).stdout, newline=""))) == [["path"], [HOSTILE]]
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "pipeline", *map(str, command)], stdout=theirs) as process:
        assert process.wait(SECONDS) == 0
    assert r"a\r\x1b[31mred\x9b2J" in os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)


def test_parquet_is_not_sent_to_a_terminal(sample):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "sql", "select 1", "--format", "parquet", "--warehouse", str(sample)]
    done = subprocess.run(command, check=False, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 1
    assert "send it to a file" in done.stderr


@pytest.fixture
def place(sample, tmp_path, monkeypatch):
    """A folder with a warehouse, a file of gates and a configuration."""
    shutil.copytree(sample, tmp_path / "warehouse", symlinks=True)
    (tmp_path / "gates.yaml").write_text("snapshot: develop\nfresh: {days: 1}\n")
    (tmp_path / "coverage.yaml").write_text(f"sources: [{{path: {SAMPLE}}}]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    return tmp_path


SOME_DATA = ["sql 'from specs'", "sql 'from specs' --format csv", "have py-wheel --limit 0", "check", "--help"]
MORE_DATA = [
    "sql 'from specs' --format json",
    "sql 'from specs' --format parquet",
    "have py-wheel --format csv",
    "gaps --snapshot develop --limit 0",
    "gaps --snapshot develop --format json",
    "diff develop-2025-03-16 develop-2025-03-30 --limit 0",
    "gate",
    "gate --format github",
    "run --dry-run",
    "run --paths",
    "have --help",
]
DATA = [*SOME_DATA, *(pytest.param(command, marks=pytest.mark.slow) for command in MORE_DATA)]


@pytest.mark.parametrize("command", DATA)
def test_data_that_stdout_does_not_take_is_an_error_in_a_line(place, command):
    for stream, reason in {">&-": b"Bad file descriptor", "> /dev/full": b"No space left on device"}.items():
        done = shell(f"spack-warehouse {command} {stream}")
        assert done.returncode == 1, done
        assert done.stderr.endswith(reason + b"\n")
        assert done.stderr.count(b"spack-warehouse: ") == 1
    assert b"Error" not in shell(f"spack-warehouse {command} | true").stderr


@pytest.mark.slow
def test_a_run_ends_well_without_streams(place):
    assert shell("spack-warehouse run >&- 2>&- <&-").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "stream", rest_slow(["> /dev/full", ">&- 2>&- <&-", ">&-", "| true", "2>&-", "2> /dev/full"], 2)
)
def test_a_build_ends_well_whatever_its_streams_are(place, stream):
    done = shell(f"set -o pipefail; spack-warehouse build {shlex.quote(str(SAMPLE))} --warehouse new {stream}")
    assert done.returncode == 0, done
    assert b"Traceback" not in done.stderr
    assert run("check", "--warehouse", "new").returncode == 0


@pytest.mark.parametrize("command", ["have nothing-like-it", "sql selec", "nothing", "gate"])
def test_a_message_that_stderr_does_not_take_changes_no_exit_status(place, command):
    status = shell(f"spack-warehouse {command}").returncode
    assert status > 0
    for stream in ("2>&-", "2> /dev/full"):
        assert shell(f"spack-warehouse {command} {stream}").returncode == status


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    rest_slow([{"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "LC_ALL": "C"}]),
)
def test_no_encoding_ends_a_command(place, environment):
    folder = place / os.fsdecode("caf\u00e9 \u2192 ".encode() + b"\xff")
    write_page(folder, make_page([make_spec(1, hash="x"), make_spec(2)], meta={}))
    for command in [
        "have py-wheel",
        "check",
        "--help",
        f"build {shlex.quote(str(folder))} --warehouse new",
        "build no\u2192where",
        "have n\u2192",
    ]:
        done = shell(f"spack-warehouse {command}", **environment)
        assert done.returncode in (0, 1, 2, 3), command
        assert b"Traceback" not in done.stderr, command
    table = shell("spack-warehouse sql 'from snapshots'", **environment).stdout
    assert b"| develop-2025-03-16 |" in table or "│ develop-2025-03-16 │".encode() in table
