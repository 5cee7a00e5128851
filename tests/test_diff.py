"""The command diff: its counts are brute force's, its rows the macros', its refusals one line."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given

from pipeline.ask.diff import CAUSES, ORDERS, Question, SnapshotDiff, list_changes
from pipeline.build import build
from pipeline.layout import Layout
from pipeline.store.database import open_database
from tests.makers import build_pages, make_spec, thorough, write_page, write_pages
from tests.test_changes import BROKEN, FROM, TO, Changes, two_snapshots
from tests.test_cli import assert_refused, run
from tests.test_views import alike


@pytest.mark.slow
@thorough(3, 30)
@given(two_snapshots())
def test_the_summary_is_what_brute_force_counts(tmp_path_factory, made):
    pages, broken = made
    changes = Changes(pages, broken)
    written = {key: [*specs, BROKEN] if key in broken else specs for key, specs in pages.items()}
    warehouse = build_pages(tmp_path_factory.mktemp("diff"), written, {key: {} for key in written})
    with open_database(Layout(warehouse)) as connection:
        summary = SnapshotDiff(connection, Question(FROM, TO)).summary
        rows = {by: list_changes(connection, Question(FROM, TO), by) for by in ORDERS}

    counts = {(what, change): count for what, change, _, _, _, count in summary.totals}
    before, after = ({spec["hash"] for _, _, spec in changes.of(key)} for key in (FROM, TO))
    assert counts["hashes", "kept"] == len(before & after)
    held = {key: {row[1:8] for row in changes.oracle.configurations() if row[0] == key} for key in (FROM, TO)}
    assert counts["configurations", "kept"] == sum(any(alike(one, two) for two in held[TO]) for one in held[FROM])
    for what, found in (("hashes", changes.hash_diff()), ("configurations", changes.configuration_diff())):
        assert {change: counts[what, change] for change in ("lost", "gained")} == {
            "lost": sum(row[0] == "lost" for row in found),
            "gained": sum(row[0] == "gained" for row in found),
        }
    lost = Counter()
    for _, stack, *_, cause, _, count in changes.lost():
        lost[cause, stack] += count
    listed = [*summary.losses, *summary.unknown]
    assert {(cause, stack): count for _, _, cause, stack, _, count in listed} == lost
    assert {row[1] for row in summary.losses} <= {"lost"}
    assert {row[1:3] for row in summary.unknown} <= {("unknown", "source missing")}
    assert [row[0] for row in summary.causes] == sorted({row[2] for row in summary.losses}, key=CAUSES.index)
    assert sum(row[2] for row in summary.causes) == sum(row[-1] for row in summary.losses)
    gained = Counter(stack for row in changes.configuration_diff() if row[0] == "gained" for stack in row[-2] or [None])
    assert {row[3]: row[-1] for row in summary.gains} == gained
    assert set(rows["lost"]) == changes.lost()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    pages = {
        (FROM, "hdf5"): [make_spec(1), make_spec(2, stacks=["hep"]), make_spec(3, stacks=["old", "root"])],
        (TO, "hdf5"): [make_spec(11), make_spec(2, stacks=["hep"]), make_spec(4, versions=["2.0"], stacks=["new"])],
        (FROM, "zlib"): [make_spec(5)],
    }
    folder = tmp_path_factory.mktemp("command")
    source = write_pages(folder / "source", pages)
    write_page(source, "", f"_cache/{TO}/zlib/specs.md")
    build([source], folder / "warehouse", jobs=1)
    return folder / "warehouse"


def diff(warehouse, *arguments):
    return run("diff", *arguments, "--warehouse", warehouse)


def test_a_table_sums_up(warehouse):
    done = diff(warehouse, FROM, TO)

    assert done.returncode == 0
    for part in ("stack removed", "unknown", "configurations", "stack: new"):
        assert part in done.stdout
    assert "source missing" not in done.stdout
    assert done.stderr == (
        f"not known to be lost: 1 spec of {FROM}, for {TO} has no whole page of the package; "
        "see: --by lost, cause source missing\n"
    )


def test_csv_and_json_say_the_same(warehouse):
    table = csv.DictReader(io.StringIO(diff(warehouse, FROM, TO, "--format", "csv").stdout))
    rows = json.loads(diff(warehouse, FROM, TO, "--format", "json").stdout)

    assert [{key: str("" if value is None else value) for key, value in row.items()} for row in rows] == list(table)
    assert [tuple(row.values()) for row in rows] == [
        ("hashes", "lost", None, None, 1, 2),
        ("hashes", "gained", None, None, 1, 2),
        ("hashes", "kept", None, None, 1, 1),
        ("configurations", "lost", None, None, 0, 0),
        ("configurations", "gained", None, None, 1, 1),
        ("configurations", "kept", None, None, 1, 1),
        ("specs", "lost", "stack removed", "old", 1, 1),
        ("specs", "lost", "unknown", "e4s", 1, 1),
        ("specs", "unknown", "source missing", "e4s", 1, 1),
        ("configurations", "gained", None, "new", 1, 1),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--by", "lost"], [("hdf5", "old"), ("hdf5", "e4s"), ("zlib", "e4s")]),
        (["--by", "lost", "--package", "zlib"], [("zlib", "e4s")]),
        (["--by", "lost", "--stack", "o*"], [("hdf5", "old")]),
        (["--by", "lost", "--limit", "1"], [("hdf5", "old")]),
    ],
)
def test_losses_are_listed(warehouse, options, expected):
    done = diff(warehouse, FROM, TO, "--format", "json", *options)

    assert done.returncode == 0
    assert [(row["package"], row["stack"]) for row in json.loads(done.stdout)] == expected


def test_hashes_and_configurations_are_listed(warehouse):
    hashes = json.loads(diff(warehouse, FROM, TO, "--by", "hash", "--format", "json").stdout)
    new = json.loads(diff(warehouse, FROM, TO, "--by", "configuration", "--stack", "new", "--format", "json").stdout)

    assert [(row["change"], row["stacks"]) for row in hashes] == [
        ("lost", ["e4s"]),
        ("lost", ["old"]),
        ("gained", ["e4s"]),
        ("gained", ["new"]),
    ]
    assert [(row["change"], row["version"], row["stacks"]) for row in new] == [("gained", "2.0", ["new"])]


@pytest.mark.parametrize("arguments", [("develop-2025-05-26", TO), (FROM, "develop-2025-05-26")])
def test_a_snapshot_that_is_not_there_is_refused(warehouse, arguments):
    assert_refused(diff(warehouse, *arguments), 1, "'develop-2025-05-26'", FROM, TO)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ([], "from develop-2025-03-30 to develop"),
        (["2025-03-16", "develop"], "from develop-2025-03-16 to develop"),
        (["develop/e4s", "latest"], "from develop/e4s to develop/e4s"),
        (["develop-2025-03-16", "develop"], None),
    ],
)
def test_what_a_word_means_is_said(sample, typed, line):
    errors = run("diff", *typed, "--warehouse", sample).stderr.splitlines()
    assert [one for one in errors if one.startswith("from ")] == ([line] if line else [])


@pytest.mark.slow
def test_near_snapshots_are_named_where_there_are_many(tmp_path):
    pages = {(f"develop-2025-{month:02}-01", "a"): [make_spec(1)] for month in range(1, 13)}
    done = diff(build_pages(tmp_path, pages), "develop-2025-03-02", "develop-2025-12-01")

    assert_refused(done, 1, "did you mean develop-2025-03-01")
    assert done.stderr.count("develop-2025-") == 4


def test_a_stack_that_is_not_there_is_refused(warehouse):
    assert_refused(diff(warehouse, FROM, TO, "--stack", "nope"), 1, "'nope'", "old")


@pytest.mark.parametrize("options", [[], ["--by", "lost"], ["develop", "develop-2025-03-30"]])
def test_a_package_that_is_in_no_snapshot_is_refused_with_what_may_be_meant(sample, options):
    done = run("diff", *options, "--package", "py-bild", "--warehouse", sample)

    assert (done.returncode, done.stdout) == (1, "")
    assert "no package 'py-bild' in the warehouse; did you mean py-build?" in done.stderr
