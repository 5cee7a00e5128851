"""Words for snapshots, and stacks compared: the rule alone, and by the commands that take them."""

import json
import re

import pytest

from pipeline.ask.diff import compare_with_previous
from pipeline.ask.scope import Snapshot, find_snapshot, list_snapshots
from pipeline.build import build
from pipeline.layout import Layout
from pipeline.report.page import render_page
from pipeline.report.shared import Shared
from pipeline.report.summary import escape, write_summary
from pipeline.store.database import open_database
from tests.makers import build_pages, make_spec, write_caches
from tests.test_cli import assert_refused, run

WEEKS = ["develop-2025-03-02", "develop-2025-03-09", "develop-2025-03-16", "develop-2025-03-23"]


def weekly(name):
    return Snapshot(name, "weekly", name.removeprefix("develop-"))


HELD = [Snapshot("develop", "develop", None), *map(weekly, reversed(WEEKS)), Snapshot("v1", "release", None)]


@pytest.mark.parametrize(
    ("name", "seen_from", "expected"),
    [
        ("latest", "develop", "develop"),
        ("newest", "v1", "develop"),
        ("v1", "develop", "v1"),
        ("previous", "develop", WEEKS[3]),
        ("previous", WEEKS[3], WEEKS[2]),
        ("previous", WEEKS[0], None),
        ("-0d", "develop", WEEKS[3]),
        ("-7d", "develop", WEEKS[2]),
        ("-7d", WEEKS[2], WEEKS[1]),
        ("-8d", "develop", WEEKS[1]),
        ("-21d", "develop", WEEKS[0]),
        ("-22d", "develop", None),
        ("7d", "develop", None),
    ],
)
def test_words_are_seen_from_a_snapshot(name, seen_from, expected):
    anchor = next(one for one in HELD if one.name == seen_from)
    found = find_snapshot(name, anchor, HELD, pytest.fail)

    assert (found and found.name) == expected


@pytest.mark.parametrize("name", ["latest", "newest", "previous", "-7d"])
def test_a_snapshot_so_named_comes_first(name):
    odd = Snapshot(name, "other", None)

    assert find_snapshot(name, HELD[0], [*HELD, odd], pytest.fail) == odd


def test_days_need_a_weekly_snapshot():
    assert find_snapshot("-7d", HELD[-1], HELD[-1:], pytest.fail) is None


def test_previous_skips_a_snapshot_that_is_not_whole_and_says_so():
    amiss = {WEEKS[3]: "stale: pages", WEEKS[0]: "other"}
    held = [one._replace(not_whole=amiss.get(one.name)) for one in HELD]
    notes = []
    found = find_snapshot("previous", held[0], held, notes.append)

    assert found.name == WEEKS[2]
    assert notes == [f"previous is not {WEEKS[3]}: stale: pages"]


@pytest.fixture(scope="module")
def stale(tmp_path_factory):
    """Three weeks, of which the second can no longer be read: it is stale."""
    folder = tmp_path_factory.mktemp("stale")
    sources = [
        write_caches(folder / week, {(week, "hdf5"): [make_spec(1), make_spec(number)]})
        for number, week in enumerate(WEEKS[1:], 2)
    ]
    build(sources, folder / "warehouse", jobs=1)
    for index in sources[1].rglob("index.json"):
        index.write_text("{")
    build(sources, folder / "warehouse", jobs=1)
    return folder / "warehouse"


@pytest.mark.slow
def test_the_view_of_previous_snapshots_is_of_the_same_rule(stale):
    with open_database(Layout(stale)) as connection:
        snapshots = list_snapshots(connection)
        view = dict(connection.execute("select snapshot, previous from previous_snapshots").fetchall())
    found = {one.name: find_snapshot("previous", one, snapshots, lambda line: None) for one in snapshots}

    assert view == {name: before.name for name, before in found.items() if before is not None}
    assert view == {WEEKS[3]: WEEKS[1], WEEKS[2]: WEEKS[1]}


SKIPPED = f"previous is not {WEEKS[2]}: stale since "


def test_diff_skips_a_stale_snapshot_and_names_it(stale):
    done = diff(stale, "--format", "json", "--by", "hash")

    assert done.returncode == 0
    assert done.stderr.startswith(SKIPPED)
    assert "and 1 other source\n" in done.stderr
    assert len(json.loads(done.stdout)) == 2
    assert diff(stale, WEEKS[1], WEEKS[3], "--format", "json", "--by", "hash").stdout == done.stdout


def test_what_is_skipped_is_named_once(stale):
    done = diff(stale, "previous/hep", "previous/e4s", "--format", "json")

    assert done.returncode == 1
    assert done.stderr.count(SKIPPED) == 1


def test_a_gate_skips_a_stale_baseline_and_names_it(stale, tmp_path):
    (tmp_path / "gates.yaml").write_text("snapshot: latest\nlost: {baseline: previous}\n")
    done = run("gate", "--config", tmp_path / "gates.yaml", "--warehouse", stale)

    assert done.returncode == 0, done.stderr
    assert f"gates.yaml:2: {SKIPPED}" in done.stderr


def test_the_summary_and_the_page_name_what_they_skip(stale):
    with open_database(Layout(stale)) as connection:
        compared = compare_with_previous(connection, WEEKS[3])
        summary = write_summary(Shared(connection), compared)
        page = render_page(compared, Shared(connection)).html.decode()

    assert f"## Lost since {escape(WEEKS[1])}\n" in summary
    assert escape(SKIPPED) in summary
    assert SKIPPED in page
    assert re.search(rf"(Worse than|Better than|Steady since) {WEEKS[1]}</h2>", page)


@pytest.mark.parametrize("days", ["latest", "-0d", WEEKS[3]])
def test_a_gate_takes_words(stale, tmp_path, days):
    (tmp_path / "gates.yaml").write_text(f"snapshot: {days}\nlost: {{baseline: -14d}}\n")
    done = run("gate", "--config", tmp_path / "gates.yaml", "--warehouse", stale)

    assert done.returncode == 0, done.stderr
    missing = run("gate", "--config", tmp_path / "gates.yaml", "--baseline", "-15d", "--warehouse", stale)
    assert missing.returncode == 3
    assert "the baseline -15d is not in the warehouse" in missing.stdout


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    specs = [make_spec(1, stacks=["e4s", "root"]), make_spec(2, stacks=["e4s", "hep"]), make_spec(3, stacks=["hep"])]
    pages = {
        ("develop", "hdf5"): specs,
        ("develop", "zlib"): [make_spec(5, stacks=["hep"])],
        (WEEKS[3], "hdf5"): specs[:1],
        (WEEKS[2], "hdf5"): specs[1:2],
    }
    return build_pages(tmp_path_factory.mktemp("places"), pages, {key: {} for key in pages})


def diff(warehouse, *arguments):
    return run("diff", *arguments, "--warehouse", warehouse)


def test_stacks_are_counted(warehouse):
    done = diff(warehouse, "develop/e4s", "latest/hep", "--format", "json")

    assert done.returncode == 0, done.stderr
    rows = {row.pop("what"): row for row in json.loads(done.stdout)}
    assert rows["package"] == {"only_first": 0, "only_second": 1, "both": 1}
    assert rows["hash"] == {"only_first": 1, "only_second": 2, "both": 1}


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["develop/e4s", "develop/hep"], [("a", "hdf5"), ("b", "hdf5"), ("b", "zlib")]),
        (["latest/root", "previous/e4s"], []),
        (["-7d/hep", "-0d/e4s"], [("a", "hdf5"), ("b", "hdf5")]),
        (["-7d", "develop/hep"], [("b", "hdf5"), ("b", "zlib")]),
    ],
)
def test_hashes_that_one_stack_alone_has_are_listed(warehouse, places, expected):
    done = diff(warehouse, *places, "--by", "hash", "--format", "json")

    assert done.returncode == 0, done.stderr
    assert [(row["held_by"], row["package"]) for row in json.loads(done.stdout)] == expected


def test_packages_that_one_stack_alone_has_are_listed(warehouse):
    done = diff(warehouse, "latest/e4s", "latest/hep", "--by", "package", "--format", "json")

    assert [(row["held_by"], row["package"]) for row in json.loads(done.stdout)] == [("b", "zlib")]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["develop/none", "latest"], 1, "no stack 'develop/none' in the warehouse"),
        (["develop/hep", WEEKS[3]], 1, f"no stack '{WEEKS[3]}/hep' in the warehouse"),
        (["none/hep", "latest"], 1, "no snapshot 'none/hep' in the warehouse"),
        (["-99d", "latest"], 1, "no snapshot '-99d' in the warehouse"),
        (["develop"], 2, "Missing argument 'TO'"),
        (["develop/e4s", "develop/hep", "--by", "lost"], 2, "--by lost"),
        (["--by", "package"], 2, "--by package is of SNAPSHOT/STACK"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(warehouse, arguments, status, said):
    done = diff(warehouse, *arguments)

    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if status == 1:
        assert_refused(done, 1, said)


@pytest.mark.parametrize(
    "command",
    [["have", "hdf5", "--snapshot"], ["gaps", "--snapshot"], ["report", "--format", "markdown", "--snapshot"]],
)
@pytest.mark.parametrize("word", ["latest", "previous", "-7d"])
def test_words_are_taken_where_a_snapshot_is_asked_for(warehouse, command, word):
    named = {"latest": "develop", "previous": WEEKS[3], "-7d": WEEKS[2]}[word]
    by_word, by_name = (run(*command, one, "--warehouse", warehouse) for one in (word, named))

    assert by_word.returncode == by_name.returncode == 0, by_word.stderr
    assert by_word.stdout == by_name.stdout
