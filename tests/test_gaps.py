"""What can be said of gaps is what a plain walk over the raw JSON of the indexes finds."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ask.gaps import judge_gaps, rank_gaps
from pipeline.build import build
from pipeline.layout import Layout
from pipeline.store.database import open_database
from tests.commands import run
from tests.makers import ask, build_pages, make_index, make_spec, thorough, write_v2
from tests.test_cli import PAGES as SAMPLE
from tests.test_cli import assert_refused
from tests.test_closure import binary, edge, libc, needs

SNAPSHOT = "develop-2025-03-30"
EARLIER = "develop-2025-03-23"


def build_caches(folder, *stacks, snapshot=SNAPSHOT):
    """A warehouse of the indexes of ``stacks``, each its name and records."""
    for name, *records in stacks:
        write_v2(folder / "caches" / snapshot / name, make_index(records))
    build([folder / "caches"], folder / "w", jobs=1)
    return folder / "w"


def ask_gaps(warehouse, *options):
    done = run("gaps", "--warehouse", warehouse, "--format", "json", *options)
    assert done.returncode == 0
    return {(row["stack"], row["package"]): row for row in json.loads(done.stdout)}


def judge_by_walking(indexes):
    """The fewest packages that each gap lacks, by (stack, platform, package), over the JSON of indexes by stack."""
    records = {}
    for index in indexes.values():
        for hash, record in json.loads(index)["database"]["installs"].items():
            if hash not in records or not record["spec"].get("external"):
                records[hash] = record["spec"]
    held = {}
    for stack, index in indexes.items():
        installs = json.loads(index)["database"]["installs"].values()
        pushed = [one["spec"] for one in installs if one["in_buildcache"]]
        held[stack] = {one["hash"]: (one["name"], one["arch"]["platform"]) for one in pushed}
    found = {}
    for stack, own in held.items():
        platforms = {platform for _, platform in own.values()}
        siblings = {other: held[other] for other in held if other != stack}
        for hash, (name, platform) in {h: s for other in siblings.values() for h, s in other.items()}.items():
            if (name, platform) in own.values() or platform not in platforms:
                continue
            seen, missing = [hash], set()
            for one in seen:
                for each in records[one]["dependencies"] if one in records else ():
                    if not {"link", "run"} & set(each["parameters"]["deptypes"]):
                        continue
                    if records.get(each["hash"], {}).get("external"):
                        continue
                    if each["name"] != name and (each["name"], platform) not in own.values():
                        missing.add(each["name"])
                    if each["hash"] not in seen:
                        seen.append(each["hash"])
            gap = (stack, platform, name)
            found[gap] = min(found.get(gap, len(missing)), len(missing))
    return found


NAMES = ("app", "lib", "tool", "zlib", "mpi")


@st.composite
def caches(draw):
    """Indexes of three stacks whose specs need what has a lower number, or what no index describes."""
    count = draw(st.integers(1, 12))
    kinds = [draw(st.sampled_from(["binary", "binary", "hole", "external"])) for _ in range(count)]
    records = []
    for number in range(count):
        others = draw(st.sets(st.integers(0, max(0, number - 1)), max_size=3)) if number else set()
        edges = [
            edge(other, records[other]["spec"]["name"], *draw(st.sampled_from([["link"], ["run"], ["build"]])))
            for other in sorted(others)
        ]
        if draw(st.booleans()):
            edges.append(edge(900, draw(st.sampled_from(NAMES)), "link"))
        if kinds[number] == "external":
            records.append(libc(number, name=draw(st.sampled_from(NAMES))))
        else:
            pushed = kinds[number] == "binary"
            platform = draw(st.sampled_from(["linux", "linux", "darwin"]))
            records.append(
                binary(number, draw(st.sampled_from(NAMES)), *edges, platform=platform, in_buildcache=pushed)
            )
    stacks = {}
    for name in ("a", "b", "c"):
        chosen = draw(st.lists(st.sampled_from(records), unique_by=lambda one: one["spec"]["hash"]))
        stacks[name] = make_index(chosen)
    return stacks


@pytest.mark.slow
@thorough(8, 300)
@given(caches())
def test_states_are_those_of_a_walk(tmp_path_factory, stacks):
    folder = tmp_path_factory.mktemp("gaps")
    for name, index in stacks.items():
        write_v2(folder / "caches" / SNAPSHOT / name, index)
    build([folder / "caches"], folder / "w", jobs=1)
    with open_database(Layout(folder / "w")) as connection:
        snapshots = [name for (name,) in connection.execute("select snapshot from snapshots").fetchall()]
        found = judge_gaps(connection, rank_gaps(connection, SNAPSHOT)) if snapshots else []

    walked = judge_by_walking(stacks)
    assert {(gap.stack, gap.platform, gap.package) for gap in found} == walked.keys()
    for gap in found:
        fewest = walked[gap.stack, gap.platform, gap.package]
        assert (gap.state, len(gap.blocked_by)) == ("blocked" if fewest else "ready", fewest)


def test_a_gap_is_ready_or_says_what_it_is_blocked_by(tmp_path):
    """By the whole closure, by name, whatever the version; externals and what builds need count for nothing."""
    zlib, lib = binary(1, "zlib", needs()), binary(2, "lib", edge(1, "zlib"), edge(5, "cmake", "build"))
    app = binary(3, "app", edge(2, "lib", "run"), needs())
    lean = binary(4, "app", needs())
    cmake, other = binary(5, "cmake"), binary(6, "zlib")
    warehouse = build_caches(
        tmp_path,
        ("full", zlib, lib, app, cmake, libc(90)),
        ("bare", cmake),
        ("some", other, cmake, lean, libc(90)),
    )
    rows = ask_gaps(warehouse)

    assert {key: (row["state"], row["blocked_by"]) for key, row in rows.items()} == {
        ("bare", "app"): ("ready", []),  # of the sibling that needs less
        ("bare", "lib"): ("blocked", ["zlib"]),
        ("bare", "zlib"): ("ready", []),
        ("some", "lib"): ("ready", []),
    }
    table = run("gaps", "--warehouse", warehouse, "--stack", "bare").stdout
    assert re.search(r"\blib\b.*blocked +zlib$", table, re.MULTILINE)


def test_what_no_index_describes_is_missing_by_its_name_and_cycles_are_not_known(tmp_path):
    round_about = [binary(7, "egg", edge(8, "hen")), binary(8, "hen", edge(7, "egg"))]
    held = [binary(1, "app", edge(99, "gone")), *round_about]
    warehouse = build_caches(tmp_path, ("a", *held), ("b", binary(2, "zlib")))
    rows = ask_gaps(warehouse, "--stack", "b")

    assert {key: (row["state"], row["blocked_by"]) for key, row in rows.items()} == {
        ("b", "app"): ("blocked", ["gone"]),
        ("b", "egg"): (None, None),
        ("b", "hen"): (None, None),
    }


@pytest.mark.slow
def test_when_the_stack_had_the_package_last(tmp_path):
    """In an earlier snapshot of the series, and there on the same platform."""
    both, less = [binary(1, "app"), binary(2, "zlib")], [binary(2, "zlib")]
    mac = binary(3, "app", platform="darwin")
    build_caches(tmp_path, ("a", *both), ("b", *both), snapshot="develop-2025-03-09")
    build_caches(tmp_path, ("a", *both), ("b", *both), ("c", *less, mac), snapshot="develop-2025-03-16")
    build_caches(tmp_path, ("a", *both), ("b", *both), ("c", *both), snapshot="v0.23.0")
    build_caches(tmp_path, ("a", *both), ("b", *less), ("c", *less), snapshot=EARLIER)
    build_caches(tmp_path, ("a", *both), ("b", *less), ("c", *less), snapshot="develop")
    warehouse = build_caches(tmp_path, ("a", *both), ("b", *both), ("c", *both), snapshot=SNAPSHOT)

    def find_seen(snapshot):
        return {stack: row["last_seen"] for (stack, _), row in ask_gaps(warehouse, "--snapshot", snapshot).items()}

    assert find_seen(EARLIER) == {"b": "develop-2025-03-16", "c": None}
    # The daily one comes after the weekly ones.
    assert find_seen("develop") == {"b": SNAPSHOT, "c": SNAPSHOT}


def test_what_is_known_stands_in_a_section_of_its_own(tmp_path):
    packages = [binary(number, f"p{number}") for number in range(4)]
    warehouse = build_caches(tmp_path, ("full", *packages), ("bare", binary(9, "q")), ("full2", *packages))
    known = tmp_path / "known.yaml"
    known.write_text(
        "known:\n"
        "- {package: p1, stack: 'b*', reason: no need, expires: 2025-04-30}\n"
        "- {package: p2, reason: once, expires: 2025-04-29}\n"
        "- {stack: other, reason: nowhere, expires: 2025-12-31}\n"
    )
    options = ("gaps", "--warehouse", warehouse, "--stack", "bare", "--known", known, "--today", "2025-04-30")
    done = run(*options)
    first, second = done.stdout.split("\n\nsnapshot: ")

    assert done.returncode == 0
    assert [name for name in ("p0", "p1", "p2", "p3") if name in first] == ["p0", "p2", "p3"]
    assert "known" not in first
    assert re.search(r"p1.*no need.*2025-04-30", second)
    assert "p0" not in second
    assert done.stderr.splitlines() == [
        f"{known}:3: expired on 2025-04-29, counts no more: once",
        f"{known}:4: is of no gap: nowhere",
    ]
    rows = json.loads(run(*options, "--format", "json").stdout)
    assert [(row["package"], row["state"], row["known"], row["expires"]) for row in rows] == [
        ("p0", "ready", None, None),
        ("p2", "ready", None, None),
        ("p3", "ready", None, None),
        ("p1", "ready", "no need", "2025-04-30"),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ": is empty: no gap is in it"),
        ("gaps: []", ":1: known gaps: 'gaps' is no key of it; there are: known"),
        ("known: []", ":1: known: no gap is in it"),
        ("known:\n- {package: a, expires: 2025-01-01}", ":2: known[0]: 'reason' is missing"),
        ("known:\n- {reason: a, expires: 2025-01-01}", ":2: known[0]: 'package' or 'stack' is missing"),
        ("known:\n- {package: a, reason: b, expires: soon}", ":2: known[0].expires: 'soon' is no date"),
        ("known: [", ":1: is no YAML"),
    ],
)
def test_a_wrong_file_of_known_gaps_is_refused_by_its_line(tmp_path, text, fault):
    known = tmp_path / "known.yaml"
    known.write_text(text)
    done = run("gaps", "--known", known, "--warehouse", tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"{known}{fault}" in done.stderr


def test_known_gaps_are_not_of_what_is_expected(tmp_path):
    done = run("gaps", "--known", tmp_path / "k", "--expected", tmp_path / "e")

    assert done.returncode == 2
    assert_refused(run("gaps", "--known", tmp_path / "k", "--warehouse", tmp_path), 1, tmp_path / "k")


def test_gaps_rank_what_most_others_hold(tmp_path):
    stacks = {"zlib": ["a", "b"], "hdf5": ["a"], "cmake": ["a", "b", "c"]}
    pages = {("develop", name): [make_spec(n, stacks=held)] for n, (name, held) in enumerate(stacks.items())}
    warehouse = build_pages(tmp_path, {**pages, ("v1.0", "old"): [make_spec(9, stacks=["d"])]})
    done = run("gaps", "--warehouse", warehouse, "--format", "json")

    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [(row["stack"], row["package"], row["held_by"]) for row in rows] == [
        ("c", "zlib", 2),
        ("b", "hdf5", 1),
        ("c", "hdf5", 1),
    ]
    assert [
        row["package"]
        for row in json.loads(
            run("gaps", "--warehouse", warehouse, "--format", "json", "--stack", "c", "--limit", "1").stdout
        )
    ] == ["zlib"]
    assert run("gaps", "--warehouse", warehouse, "--snapshot", "v1.0").stdout == ""


def test_gaps_are_those_of_the_view(tmp_path):
    warehouse = tmp_path / "w"
    run("build", SAMPLE, "--warehouse", warehouse)
    for snapshot in ("develop", "develop-2025-03-30"):
        with open_database(Layout(warehouse)) as connection:
            found = rank_gaps(connection, snapshot)
        query = f"select snapshot, stack, package, platform, held_by, stacks from gaps where snapshot = '{snapshot}'"
        assert sorted(gap[:6] for gap in found) == sorted(ask(warehouse, query))
        assert [gap.held_by for gap in found] == sorted((gap.held_by for gap in found), reverse=True)
