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
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeline.terminal.layouts import Look
from pipeline.terminal.tables import FULL, GAP, Shown, fit, fold, name_within, render, split
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

    assert errors == "no room for: in_root; all: --wide\n"
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


@pytest.mark.parametrize("width", [80, 120, 200])
def test_lines_of_check_go_on_below_on_a_terminal_and_stay_whole_in_a_pipe(warehouse, width):
    whole = run("check", "--warehouse", warehouse).stdout.splitlines()
    shown, _ = show_on_terminal(width, "check", "--warehouse", warehouse)
    lines = shown.splitlines()

    assert max(map(len, whole)) > 120
    assert max(map(len, lines)) <= width
    assert " ".join(shown.split()) == " ".join(" ".join(whole).split())
    # What goes on stands below the name of the check, or of what offends.
    assert {line[:9] for line in lines if not line.startswith(("ok ", "warning ", "23 checks"))} <= {" " * 9}


@given(st.sampled_from(["", "ok       ", " " * 11]), st.text(st.sampled_from("ab 語"), max_size=60), st.integers(6, 40))
def test_a_folded_line_fits_and_keeps_its_words(lead, text, width):
    folded = fold(lead + text, len(lead), width)

    assert max(map(cell_len, folded.split("\n"))) <= width
    assert "".join(folded.split()) == "".join((lead + text).split())


@pytest.mark.slow
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
names = st.text("abc-_@", max_size=30)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.lists(names, max_size=9),
    st.lists(names, max_size=9).map(" ".join),
)
columns = st.lists(st.tuples(looks, st.lists(values, min_size=2, max_size=2)), min_size=1, max_size=6).map(
    lambda held: [Shown(f"c{at}", look, values) for at, (look, values) in enumerate(held)]
)


@given(columns, st.integers(20, 200))
def test_a_table_fits_and_loses_columns_by_rank_alone(held, width):
    shown, left_out = fit(held, width)

    assert sum(one.width + GAP for one in shown) - GAP <= width
    assert max(map(cell_len, render(shown, [], width).splitlines())) <= width
    assert {one.name for one in shown} | set(left_out) == {one.name for one in held}
    ranks = {one.name: one.look.rank for one in held}
    assert all(ranks[name] >= max((one.look.rank for one in shown), default=0) for name in left_out)


@given(columns, st.integers(20, 200))
def test_no_word_is_cut_where_all_words_have_room(held, width):
    shown, _ = fit(held, width)
    lines = render(shown, [], width).splitlines()[2:]
    words = {word for one in shown for cell in one.cells(one.width) for word in cell.split()}
    cut = {word for word in words if not any(word in line.split() for line in lines)}

    if sum(one.longest_word + GAP for one in shown) - GAP <= width:
        assert not cut
    else:
        assert len(shown) == 1 or not any(one.look.rank for one in shown)


@given(columns, st.integers(20, 200))
def test_a_table_that_is_split_has_every_row_in_its_order(held, width):
    held = [replace(held[0], look=replace(held[0].look, splits=True)), *held[1:]]
    parts = split(held)

    assert [value for part in parts for value in part[0].values] == held[0].values
    assert len(parts) == (1 if held[0].values[0] == held[0].values[1] else 2)
    assert all(not part[0].look.stays for part in parts)


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


STACK = "developer-tools-x86_64_v3-linux-gnu"


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    """Two snapshots, of which the second lacks packages and versions of a stack with a long name."""
    held = [make_spec(number, stacks=[STACK, "root"], versions=[f"0.{number}.1"]) for number in range(1, 5)]
    newer = [make_spec(8, stacks=[STACK], versions=["2.17.0"])]
    return build_pages(
        tmp_path_factory.mktemp("losses"),
        {
            ("develop-2025-03-16", "py-mpi4py"): held[:2],
            ("develop-2025-03-16", "netlib-scalapack"): held[2:],
            ("develop-2025-03-30", "py-mpi4py"): newer,
            ("develop-2025-03-30", "netlib-scalapack"): [make_spec(9, stacks=["e4s"])],
        },
    )


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["diff", "--by", "lost"], [STACK, "py-mpi4py", "netlib-scalapack", "0.1.1", "0.4.1", "gcc@11.4.0"]),
        (["diff", "--by", "hash"], [STACK, "py-mpi4py", "netlib-scalapack", make_hash(1)[:7]]),
        (["diff", "--by", "configuration"], [STACK, "py-mpi4py", "netlib-scalapack"]),
        (["diff", "--by", "head"], [STACK, "netlib-scalapack", "head"]),
        (["gaps"], [STACK, "netlib-scalapack"]),
        (["have", "netlib-scalapack"], [STACK, make_hash(3)[:7], "0.3.1", "x86_64_v3", "gcc@11.4.0"]),
        (["gate", "--config", "{gates}"], [STACK, "netlib-scalapack", "develop-2025-03-16", "fresh", "coverage"]),
    ],
)
def test_names_are_whole_at_any_usual_width(losses, tmp_path, width, arguments, names):
    gates = tmp_path / "gates.yaml"
    gates.write_text("coverage: [{stack: '*', minimum: 1}]\nlost: {baseline: previous}\nfresh: {days: 10}\n")
    arguments = [one.format(gates=gates) for one in arguments]
    shown, _ = show_on_terminal(width, *arguments, "--warehouse", losses, NO_COLOR="1")
    lines = shown.splitlines()

    assert max(map(cell_len, lines)) <= width
    words = set(re.split(r"[\s,;]+", shown))
    assert [name for name in names if name not in words] == []


def test_a_table_of_losses_without_room_is_split_by_cause(losses):
    options = ("diff", "--by", "lost", "--warehouse", losses)
    narrow = show_on_terminal(80, *options, NO_COLOR="1")[0]
    wide = show_on_terminal(200, *options, NO_COLOR="1")[0]

    assert re.findall("cause: .*?(?=   |\n)", narrow) == [
        "cause: package gone from the stack",
        "cause: version replaced",
    ]
    assert "cause:" not in wide
    rows = json.loads(run(*options, "--format", "json").stdout)
    for shown in (narrow, wide):
        assert all(row["version"] in shown and row["stack"] in shown for row in rows)


def test_variants_of_configurations_are_shown(losses):
    shown = show_on_terminal(200, "diff", "--by", "configuration", "--warehouse", losses, NO_COLOR="1")[0]
    rows = json.loads(run("diff", "--by", "configuration", "--warehouse", losses, "--format", "json").stdout)

    assert [row["variants"] for row in rows if row["variants"] not in shown] == []


def test_a_table_of_two_stacks_names_them_and_programs_get_a_and_b(sample):
    options = ("diff", "develop/e4s", "develop/e4s-neoverse_v1", "--by", "package", "--warehouse", sample)

    assert re.search(r"^package  develop/e4s$", run(*options).stdout, re.MULTILINE)
    assert {row["held_by"] for row in json.loads(run(*options, "--format", "json").stdout)} == {"a"}
