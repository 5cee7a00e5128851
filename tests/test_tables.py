"""Tables for people: as wide as the terminal, what is left out is named, and in full where that is asked for."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeline.terminal.layouts import Look
from pipeline.terminal.tables import FULL, GAP, Shown, fit, name_within, render
from tests.commands import run
from tests.makers import SAMPLE, build_pages, make_hash, make_spec

MANY = [f"stack-{number:02}" for number in range(15)]
SPECS = [
    make_spec(1, stacks=[*MANY, "root"], variants=["build_system=cmake", "+mpi"]),
    make_spec(2, stacks=["e4s"], variants=["build_system=cmake", "~mpi"], target="zen4", versions=["1.14.6"]),
]
EXAMPLES = SAMPLE.parents[2] / "examples"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return build_pages(tmp_path_factory.mktemp("tables"), {("develop", "hdf5"): SPECS})


def show_on_terminal(width, *arguments, **environment):
    """What a terminal of so many columns gets of a command."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, width))
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "", "NO_COLOR": "", **environment}
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=env) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass
        errors = process.stderr.read().decode()
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), errors


def test_have_fits_a_terminal_of_80_columns(warehouse):
    shown, errors = show_on_terminal(80, "have", "hdf5", "--warehouse", warehouse)

    assert errors == "not shown, for want of width: in_root; all: --wide\n"
    assert [line.rstrip() for line in ESCAPES.sub("", shown).splitlines()] == [
        "package: hdf5   platform: linux   os: ubuntu22.04   snapshot: develop",
        "variants: build_system=cmake",
        "",
        "hash     version  compiler    target     stacks                         variants",
        "─" * 80,
        f"{make_hash(2)[:7]}  1.14.6   gcc@11.4.0  zen4       e4s                            ~mpi",
        f"{make_hash(1)[:7]}  1.14.5   gcc@11.4.0  x86_64_v3  stack-00, stack-01 +13         +mpi",
    ]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_line_is_wider_than_the_terminal(warehouse, width):
    shown, errors = show_on_terminal(width, "have", "hdf5", "--warehouse", warehouse)
    lines = ESCAPES.sub("", shown).splitlines()

    assert max(map(len, lines)) <= width
    assert ("in_root" in shown) == (width > 80) == (errors == "")
    assert shown.count("stack-") == {80: 2, 120: 5, 200: 13}[width]


def test_colours_are_for_terminals_that_want_them(warehouse):
    arguments = ("have", "hdf5", "--warehouse", warehouse)

    assert ESCAPES.search(show_on_terminal(80, *arguments)[0])
    assert not ESCAPES.search(show_on_terminal(80, *arguments, NO_COLOR="1")[0])
    assert not ESCAPES.search(show_on_terminal(80, *arguments, TERM="dumb")[0])
    assert not ESCAPES.search(run(*arguments, FORCE_COLOR="1").stdout)


def test_a_pipe_has_the_width_of_a_page_whatever_the_terminal(warehouse):
    first = run("have", "hdf5", "--warehouse", warehouse, COLUMNS="40").stdout

    assert first == run("have", "hdf5", "--warehouse", warehouse, COLUMNS="200").stdout
    assert max(map(len, first.splitlines())) <= 120


def test_wide_has_all_columns_in_full(warehouse):
    head, _, *lines = run("have", "hdf5", "--warehouse", warehouse, "--wide").stdout.splitlines()
    names = run("have", "hdf5", "--warehouse", warehouse, "--format", "csv").stdout.splitlines()[0].split(",")

    assert head.split() == names
    assert make_hash(1) in lines[1]
    assert ", ".join(MANY) in lines[1]


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_columns_are_chosen_in_any_format_and_in_full(warehouse, format):
    text = run("have", "hdf5", "--warehouse", warehouse, "--columns", "stacks, hash", "--format", format).stdout
    if format == "json":
        assert json.loads(text)[1] == {"stacks": MANY, "hash": make_hash(1)}
    elif format == "csv":
        assert list(csv.reader(io.StringIO(text)))[::2] == [
            ["stacks", "hash"],
            [json.dumps(MANY).replace(" ", ""), make_hash(1)],
        ]
    else:
        assert text.splitlines()[0].split() == ["stacks", "hash"]
        assert text.splitlines()[3].rstrip() == f"{', '.join(MANY)}  {make_hash(1)}"


def test_an_unknown_column_is_wrong_usage(warehouse):
    done = run("have", "hdf5", "--warehouse", warehouse, "--columns", "stack")

    assert (done.returncode, done.stdout) == (2, "")
    assert "no column 'stack'; did you mean stacks?" in done.stderr


def test_formats_for_programs_keep_their_columns_whatever_the_width(warehouse):
    for format in ("csv", "json"):
        piped = run("have", "hdf5", "--warehouse", warehouse, "--format", format).stdout
        assert show_on_terminal(60, "have", "hdf5", "--warehouse", warehouse, "--format", format)[0] == piped


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gaps", "--snapshot", "develop"], ["held_by", "stacks"]),
        (["diff"], ["what", "change", "count"]),
        (["diff", "develop/e4s", "develop/ml-linux-x86_64-rocm"], ["what", "only_first", "both"]),
        (["diff", "develop/e4s", "develop/ml-linux-x86_64-rocm", "--by", "hash"], ["held_by", "package", "hash"]),
        (["diff", "-14d", "develop-2025-03-30", "--by", "lost"], ["package", "stack", "cause"]),
    ],
)
def test_each_command_has_a_table_that_suits_a_page(sample, arguments, words):
    text = run(*arguments, "--warehouse", sample).stdout

    assert all(re.search(rf"\b{word}\b", text) for word in words)
    assert max(map(len, text.splitlines())) <= 120
    assert not re.search("varchar|bigint|int64", text)


def test_a_gates_long_reason_is_there_in_full(sample):
    options = ("--config", EXAMPLES / "gates.yaml", "--today", "2025-04-05", "--warehouse", sample)
    shown, errors = show_on_terminal(60, "gate", *options, NO_COLOR="1")

    assert max(map(len, shown.splitlines())) <= 60
    assert "6 of 7 gates hold" in errors
    (reason,) = {row["reason"] for row in json.loads(run("gate", *options, "--format", "json").stdout)}
    assert reason in " ".join(shown.split())


@given(
    st.lists(st.text("abc-_", min_size=1, max_size=12), min_size=1),
    st.integers(0, 60),
)
def test_of_names_as_many_as_fit_are_listed_and_the_others_counted(names, width):
    text = name_within(names, width)
    more = text.rpartition(" +")[2]
    count = len(names) - int(more) if text != ", ".join(names) else len(names)

    assert 1 <= count <= len(names)
    assert text == ", ".join(names[:count]) + (f" +{len(names) - count}" if count < len(names) else "")
    # It fits, or shows but one; and one more would not fit.
    assert cell_len(text) <= width or count == 1
    if count < len(names):
        more = f", {names[count]}" + (f" +{len(names) - count - 1}" if count + 1 < len(names) else "")
        assert cell_len(", ".join(names[:count]) + more) > width


looks = st.builds(Look, st.sampled_from(["text", "hash", "long", "set"]), st.booleans(), st.integers(0, 3))
values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=30), st.lists(st.text(max_size=9), max_size=9)
)
columns = st.lists(st.tuples(looks, st.lists(values, min_size=2, max_size=2)), min_size=1, max_size=6)


@given(columns, st.integers(20, 200))
def test_a_table_fits_or_shows_its_columns_without_rank_alone(held, width):
    shown, left_out = fit([Shown(f"c{at}", look, values) for at, (look, values) in enumerate(held)], width)
    wide = sum(one.width + GAP for one in shown) - GAP

    assert wide <= width or not any(one.look.rank for one in shown)
    assert {one.name for one in shown} | set(left_out) == {f"c{at}" for at in range(len(held))}
    ranks = {f"c{at}": look.rank for at, (look, _) in enumerate(held)}
    assert all(ranks[name] >= max((one.look.rank for one in shown), default=0) for name in left_out)


def test_where_all_columns_have_to_stay_the_long_ones_are_folded():
    held = [Shown("version", FULL, ["1.14.6"]), Shown("stacks", Look("long", stays=True), [["e4s-neoverse-v2", "hep"]])]
    columns, left_out = fit(held, 24)

    assert ([one.width for one in columns], left_out) == ([7, 15], [])
    lines = render(columns, [], 24).splitlines()
    assert lines[2].startswith("1.14.6   e4s-neoverse-v2")
    assert max(map(len, lines)) <= 24


def test_a_terminal_too_narrow_for_a_word_folds_it():
    columns, _ = fit([Shown("stack", FULL, ["developer-tools"]), Shown("hash", FULL, ["a" * 32])], 20)
    text = render(columns, [], 20)

    assert max(map(len, text.splitlines())) <= 20
    assert text.count("a") - text.count("stack") - text.count("hash") >= 30
