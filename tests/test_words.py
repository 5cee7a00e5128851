"""Words that people type: days, patterns, short names, where the warehouse is, and what was meant by a wrong one."""

import os
import pty
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from pipeline.ask.scope import Snapshot, choose_snapshots, find_snapshot
from pipeline.build import build
from pipeline.cli import cli
from pipeline.errors import suggest
from pipeline.layout import Layout
from pipeline.sources.download import _explain_store
from pipeline.store.database import open_database
from tests.commands import run, run_process
from tests.makers import binary, build_pages, libc, make_index, make_spec, needs, write_page, write_v2
from tests.test_scope import HELD, WEEKS

STACKS = ["e4s", "e4s-oneapi", "hep", *(f"ml-{number}" for number in range(9))]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    pages = {(week, "hdf5"): [make_spec(1, stacks=STACKS)] for week in ["develop", *WEEKS]}
    return build_pages(tmp_path_factory.mktemp("words"), {**pages, (WEEKS[0], "py-numpy"): [make_spec(2)]})


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("2025-03-16", WEEKS[2]),
        ("2025-03-17", None),
        ("develop-2025-03-*", WEEKS[3]),
        ("*-0[29]", WEEKS[1]),
        ("v*", "v1"),
        ("x*", None),
    ],
)
def test_a_snapshot_is_found_by_its_day_and_by_a_pattern(word, expected):
    found = find_snapshot(word, HELD[0], HELD, pytest.fail)
    assert (found and found.name) == expected


def test_a_snapshot_that_is_named_like_a_day_or_pattern_comes_first():
    for name in ("2025-03-16", "*"):
        odd = Snapshot(name, "other", None)
        assert find_snapshot(name, HELD[0], [*HELD, odd], pytest.fail) == odd


def test_a_pattern_names_all_that_match_where_several_may_be(warehouse):
    with open_database(Layout(warehouse)) as connection:
        assert choose_snapshots(connection, ["*-03-1*", "2025-03-02", "previous"], pytest.fail) == [
            WEEKS[3],
            WEEKS[2],
            WEEKS[0],
        ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["have", "hdf5", "--snapshot", "2025-03-16"],
        ["gaps", "--snapshot", "2025-03-16"],
        ["diff", "2025-03-16", "*-23"],
        ["diff", "2025-03-16/e4s", "hep"],
        ["report", "--format", "md", "--out", "{out}", "--snapshot", "2025-03-16"],
    ],
)
def test_every_command_takes_them(warehouse, tmp_path, arguments):
    done = run(*(one.format(out=tmp_path) for one in arguments), "--warehouse", warehouse)
    expected = 1 if "hep" in arguments else 0
    assert (done.returncode, "no snapshot 'hep'" in done.stderr) == (expected, bool(expected))
    if arguments[0] == "report":
        assert [path.parent.name for path in tmp_path.rglob("summary.md")] == [WEEKS[2]]


def test_the_warehouse_may_stand_before_the_command_and_in_the_environment(warehouse, tmp_path):
    query = "select count(*) as n from snapshots"
    expected = run("sql", query, "--warehouse", warehouse, "--format", "csv").stdout
    assert expected == "n\n5\n"
    assert run("--warehouse", warehouse, "sql", query, "--format", "csv").stdout == expected
    assert run("sql", query, "--format", "csv", SPACK_WAREHOUSE=str(warehouse)).stdout == expected
    # What is typed last counts.
    elsewhere = str(tmp_path / "none")
    assert run("--warehouse", warehouse, "sql", query, "--format", "csv", SPACK_WAREHOUSE=elsewhere).stdout == expected
    done = run("--warehouse", elsewhere, "sql", query, "--format", "csv", "--warehouse", warehouse)
    assert done.stdout == expected


def test_a_command_without_a_warehouse_refuses_one_and_bears_the_environment(tmp_path):
    done = run("--warehouse", tmp_path, "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "run takes no --warehouse" in done.stderr
    assert run("completion", "zsh", SPACK_WAREHOUSE=str(tmp_path)).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["have", "hdf5", "--stack", "E4S"], "no stack 'E4S' in the warehouse; did you mean e4s?"),
        (["have", "hdf5", "--stack", "e4s-onapi"], "did you mean e4s-oneapi?"),
        (
            ["have", "hdf5", "--stack", "zzz"],
            "there are: e4s, e4s-oneapi, hep, ml-0, ml-1, ml-2, ml-3, ml-4 and 4 more",
        ),
        (["have", "NumPy"], "no package 'NumPy' in the warehouse; did you mean py-numpy?"),
        (["have", "hdf5", "--snapshot", "Develop"], "no snapshot 'Develop' in the warehouse; did you mean develop?"),
        (["diff", "develop/E4S", "latest"], "did you mean develop/e4s?"),
        (["haev", "hdf5"], "Did you mean 'have'?"),
        (["have", "hdf5", "--snapshots", "x"], "Did you mean '--snapshot'?"),
        (["report", "--format", "mkd"], "'mkd' is none of: csv, parquet, json, xlsx, markdown, html"),
    ],
)
def test_what_was_meant_is_suggested(warehouse, arguments, answer):
    done = run("--warehouse", warehouse, *arguments)
    assert done.returncode in (1, 2, 3)
    assert answer in done.stderr


def test_a_suggestion_is_a_sentence():
    assert suggest("ab", ["abc"]) == "did you mean abc?"
    assert suggest("abcd", ["abce", "abcf", "abcg", "abch"]).count(" or ") == 1
    assert suggest("x", []) == "there are: none"
    assert suggest("previous", ["develop"], ["latest", "previous"]) == "there are: develop"


@pytest.mark.parametrize("wrong", [1, 10, 11, 500])
def test_of_a_wrong_list_ten_faults_are_printed_and_how_many_more(warehouse, tmp_path, wrong):
    path = write_page(tmp_path, "hdf5\n" + "hdf5@@1\n" * wrong, "expected.txt")
    done = run("gaps", "--expected", path, "--warehouse", warehouse)
    lines = done.stderr.splitlines()

    assert (done.returncode, done.stdout) == (1, "")
    assert lines[0].startswith(f"{path}:2: ")
    assert lines[10:] == ([f"… and {wrong - 10} more"] if wrong > 10 else [])
    assert len(lines) == min(wrong, 10) + (wrong > 10)


def test_a_missing_network_is_reported_by_what_was_typed(tmp_path):
    done = run("build", "http://nowhere.invalid/develop/e4s", "--warehouse", tmp_path / "w")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "spack-warehouse: http://nowhere.invalid/develop/e4s: cannot be reached: "
    )


def test_a_bucket_that_does_not_answer_is_reported_in_short():
    said = (
        "Generic S3 error: Error performing GET https://s3.example/b/k in 2.6ms - HTTP error: error sending request "
        'Debug source: Generic { store: "S3", source: x }'
    )
    assert _explain_store(OSError(said)) == "cannot be reached: error sending request"
    assert _explain_store(OSError("something else\nagain")) == "something else again"


def complete(*words):
    """What a shell offers for the last of ``words``."""
    shell = ShellComplete(cli, {}, "spack-warehouse", "_SPACK_WAREHOUSE_COMPLETE")
    return [item.value for item in shell.get_completions([str(word) for word in words[:-1]], words[-1])]


def test_names_complete_from_the_warehouse(warehouse, monkeypatch):
    assert complete("ha") == ["have"]
    assert complete("have", "--warehouse", warehouse, "py") == ["py-numpy"]
    assert complete("--warehouse", warehouse, "have", "hdf5", "--snapshot", "develop-2025-03-1") == [WEEKS[2]]
    assert complete("--warehouse", warehouse, "gaps", "--snapshot", "") == [
        "develop",
        *WEEKS[::-1],
        "latest",
        "previous",
        "-7d",
    ]
    assert complete("--warehouse", warehouse, "gaps", "--stack", "e") == ["e4s", "e4s-oneapi"]
    assert complete("--warehouse", warehouse, "diff", "develop/e4s-") == ["develop/e4s-oneapi"]
    monkeypatch.setenv("SPACK_WAREHOUSE", str(warehouse))
    assert complete("diff", "--package", "h") == ["hdf5"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["diff", "2025-03-1"], ["2025-03-16"]),
        (["diff", "2025-03-16/e4s-"], ["2025-03-16/e4s-oneapi"]),
        (["diff", "-7"], ["-7d"]),
        (["diff", "-7d", "-14"], ["-14d"]),
        (["gaps", "--snapshot", "-"], ["-7d", "--warehouse", "--snapshot"]),
        (["gate", "--baseline", "2025-03-2"], ["2025-03-23"]),
        (["report", "--snapshot", "-2"], ["-2d"]),
        (["have", "--host", "zen"], ["zen", "zen2", "zen3", "zen4"]),
        (["have", "--host-os", "u"], ["ubuntu22.04"]),
        (["have", "--host-libc", "g"], []),
        (["have", "hdf5", "target="], ["target=x86_64_v3"]),
        (["have", "os=u"], ["os=ubuntu22.04"]),
        (["have", "hdf5", "platform=l"], ["platform=linux"]),
        (["have", "hdf5", "shared=t"], []),
        (["have", "hdf5", "%"], ["%gcc"]),
        (["have", "hdf5%gcc@1"], ["hdf5%gcc@11.4.0"]),
        (["have", "hdf5@"], ["hdf5@1.14.5"]),
        (["have", "builtin.hdf5@"], ["builtin.hdf5@1.14.5"]),
        (["have", "py-numpy@2"], []),
        (["have", "hdf5", "+m"], ["+mpi"]),
        (["have", "hdf5", "~"], ["~cuda", "~mpi"]),
        (["have", "hdf5", "h"], []),
    ],
)
def test_days_targets_and_parts_of_a_spec_complete(warehouse, typed, expected):
    found = complete("--warehouse", warehouse, *typed)
    assert found[: len(expected)] == expected
    # Of many options and targets these are the first.
    assert len(found) == len(expected) or len(expected) > 2


def test_a_libc_completes_where_an_index_names_it(tmp_path):
    write_v2(tmp_path / "s/develop/e4s", make_index([binary(1, "a", needs(90)), libc(90)]))
    build([tmp_path / "s"], tmp_path / "w", jobs=1)
    assert complete("--warehouse", tmp_path / "w", "have", "--host-libc", "g") == ["glibc@2.35"]


def test_completion_is_quiet_where_there_is_no_warehouse(tmp_path, capfd):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "warehouse.duckdb").write_text("no database")
    for folder in (tmp_path / "none", broken):
        assert complete("--warehouse", folder, "have", "h") == []
        assert complete("--warehouse", folder, "gaps", "--snapshot", "l") == ["latest"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -o nosort"), ("zsh", "compdef"), ("fish", "complete ")])
def test_each_shell_gets_its_script(shell, word):
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert word in done.stdout
    assert "_SPACK_WAREHOUSE_COMPLETE" in done.stdout


def test_a_missing_shell_is_asked_for_in_a_line():
    done = run("completion")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "Error: Missing argument 'SHELL': bash, zsh, fish."


def test_bash_asks_and_is_answered(warehouse):
    words = {"COMP_WORDS": f"spack-warehouse --warehouse {warehouse} have hd", "COMP_CWORD": "4"}
    done = run_process(**words, _SPACK_WAREHOUSE_COMPLETE="bash_complete")
    assert (done.stdout, done.stderr) == ("plain,hdf5\n", "")


@pytest.fixture
def shell(warehouse, tmp_path):
    """Run a shell on a terminal; what is returned types keys, and waits until the terminal shows a text."""
    program = tmp_path / "bin" / "spack-warehouse"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "SPACK_WAREHOUSE": str(warehouse), "PS1": "", "TERM": "dumb"}
    env["PYTHONPATH"] = str(Path(__file__).parents[1])
    started = []

    def start(*command):
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        pid, terminal = pty.fork()
        if not pid:
            os.chdir(tmp_path)
            os.execvpe(command[0], command, env)
        started.append((pid, terminal))

        def type_keys(keys, shown):
            os.write(terminal, keys.encode())
            seen = ""
            end = time.monotonic() + 30
            while shown not in seen:
                ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
                assert ready, f"{shown!r} is not in {seen!r}"
                seen += os.read(terminal, 4096).decode()

        return type_keys

    yield start
    for pid, terminal in started:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize(
    "command",
    [
        ("bash", "--norc", "--noprofile", "-i"),
        ("zsh", "-f", "-i"),
        ("fish", "--no-config", "-i"),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_a_shell_on_a_terminal_completes(shell, command):
    type_keys = shell(*command)
    name = command[0]
    load = {"bash": "", "zsh": "autoload -U compinit; compinit; "}
    script = f'eval "$(spack-warehouse completion {name})"'
    script = "spack-warehouse completion fish | source" if name == "fish" else load[name] + script
    type_keys(f"{script}; echo rea''dy\n", "ready")
    clear = "\x15"
    type_keys("spack-warehouse ha\t", "have ")
    # Bash takes words apart at = and @, and the others do not.
    type_keys(f"{clear}spack-warehouse have hdf5 target=x\t", "target=x86_64_v3")
    type_keys(f"{clear}true; A=1 spack-warehouse have hdf5@1\t", ".14.5")
    type_keys(f"{clear}spack-warehouse gaps --snapshot 2025-03-1\t", "2025-03-16")
    type_keys(f"{clear}spack-warehouse diff -1\t", "-1d")


def test_nothing_heavy_is_loaded_before_it_is_needed():
    done = run_process("--help", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.split("|")[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}

    assert "click" in loaded
    assert not loaded & {"duckdb", "polars", "pyarrow", "rich", "pydantic", "httpx", "jinja2", "msgspec", "yaml"}
