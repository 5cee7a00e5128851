"""What gates let pass, held to counting; what cannot be judged does not pass; files of gates and their faults."""

import csv
import datetime as dt
import io
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ask.gates import (
    Shortfall,
    Verdict,
    annotate,
    find_snapshot,
    judge,
)
from pipeline.ask.scope import Snapshot, list_snapshots
from pipeline.build import build
from pipeline.layout import Layout
from pipeline.settings import parse_gates
from pipeline.store.database import open_database
from tests.makers import (
    ask,
    binary,
    build_pages,
    edge,
    make_index,
    make_page,
    make_spec,
    thorough,
    write_page,
    write_v2,
)
from tests.test_cli import assert_refused, run

EXAMPLE = Path(__file__).parent.parent / "examples" / "gates.yaml"
TODAY = dt.date(2025, 4, 1)
GONE = "no source of the snapshot lists it: it is lost, or its source is missing"
OLD, NEW = "develop-2025-03-16", "develop-2025-03-30"

# (stack, package) of each snapshot.
HELD = {
    OLD: {"hdf5": ["e4s", "hep", "root"], "zlib": ["e4s", "old", "root"], "cmake": ["root"], "gmake": ["root", "e4s"]},
    NEW: {"hdf5": ["e4s", "root"], "zlib": ["e4s", "hep", "root"], "gmake": ["root"]},
    "v0.23.1": {"hdf5": ["e4s"]},
}


def lay_out(held):
    return {
        (snapshot, package): [make_spec(number, stacks=stacks)]
        for snapshot, packages in held.items()
        for number, (package, stacks) in enumerate(packages.items())
    }


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return build_pages(tmp_path_factory.mktemp("gates"), lay_out(HELD))


def hold(warehouse, text, today=TODAY):
    with open_database(Layout(warehouse)) as connection:
        return judge(connection, parse_gates(text, "g"), today)


def list_short(verdict):
    return [(one.gate, one.stack, one.package) for one in verdict.shortfalls]


# What fails


def test_coverage_is_held_to_shares_and_numbers(warehouse):
    verdict = hold(
        warehouse,
        f"""
snapshot: {NEW}
coverage:
- {{stack: e4s, minimum: 0.6}}
- {{stack: '*', minimum: 0.5}}
- {{stack: e4s, packages: 3}}
- {{stack: hep*, packages: 1, minimum: 0.3}}
""",
    )

    assert verdict.shortfalls == [
        Shortfall(
            "coverage", NEW, "1 of the snapshot's 3 packages are present", 5, "hep", None, "0.5 at least", "0.3333"
        ),
        Shortfall("coverage", NEW, "too few packages", 6, "e4s", None, "3 packages at least", "2"),
    ]
    assert verdict.summary() == "g: 2 of 4 gates hold"


def test_a_stack_that_is_not_there_does_not_pass(warehouse):
    (short,) = hold(warehouse, f"snapshot: {NEW}\ncoverage: [{{stack: radiuss*, minimum: 0}}]").shortfalls

    assert (short.stack, short.reason[:16]) == ("radiuss*", "cannot be judged")


def test_a_share_is_never_shown_as_the_minimum_that_it_misses(warehouse):
    (short,) = hold(warehouse, f"snapshot: {NEW}\ncoverage: [{{stack: e4s, minimum: 0.66667}}]").shortfalls

    assert float(short.found) < 0.66667


def test_coverage_of_what_is_expected(warehouse, tmp_path):
    (tmp_path / "list.txt").write_text("hdf5\nzlib\nzlib@9\nnowhere\n")
    text = f"snapshot: {NEW}\ncoverage:\n- {{stack: '*', expected: list.txt, minimum: 0.5}}\n"
    config = tmp_path / "gates.yaml"
    config.write_text(text)
    done = run("gate", "--warehouse", warehouse, "--config", config, "--format", "json")

    assert done.returncode == 3
    (row,) = json.loads(done.stdout)
    assert (row["stack"], row["found"]) == ("hep", "0.25")
    assert row["reason"] == "1 of 4 expected are present; missing: hdf5, zlib@9, nowhere"
    (tmp_path / "list.txt").write_text("a b\n")
    assert_refused(run("gate", "--warehouse", warehouse, "--config", config), 1, "list.txt:1", "second spec")


def test_lost_packages_and_stacks_are_named(warehouse):
    verdict = hold(warehouse, f"snapshot: {NEW}\nlost:\n  baseline: {OLD}\n")

    assert [(one.stack, one.package, one.reason) for one in verdict.shortfalls] == [
        ("e4s", "gmake", "lost"),
        ("hep", "hdf5", "lost"),
        ("old", None, "the stack was removed"),
        # In no stack of the baseline either: it is gone from the mirror, which has pages of the other packages.
        ("root", "cmake", "lost, and in no other stack"),
    ]
    assert {one.line for one in verdict.shortfalls} == {3}


def test_allowances_count_through_their_last_day(warehouse):
    text = f"""
snapshot: {NEW}
lost:
  baseline: previous
  stacks: [e4s, hep, old]
  allow:
  - {{package: gm*, stack: e4s, reason: one, expires: 2025-04-01}}
  - {{stack: old, reason: two, expires: 2025-12-31}}
  - {{package: hdf5, reason: three, expires: 2025-03-31}}
  - {{package: zlib, stack: hep, reason: four, expires: 2099-01-01}}
"""
    verdict = hold(warehouse, text)
    assert [(one.stack, one.package, one.reason) for one in verdict.shortfalls] == [
        ("hep", "hdf5", "lost; was allowed until 2025-03-31: three")
    ]
    assert verdict.notes == [
        (9, "expired on 2025-03-31, counts no more: three"),
        (10, "allows nothing that was lost: four"),
    ]
    assert list_short(hold(warehouse, text, dt.date(2025, 4, 2))) == [("lost", "e4s", "gmake"), ("lost", "hep", "hdf5")]
    assert list_short(hold(warehouse, text, dt.date(2025, 3, 31))) == []


def test_a_stack_is_gone_unless_each_of_its_packages_may_be(tmp_path):
    held = {OLD: {"hdf5": ["e4s", "old"], "zlib": ["e4s", "old"]}, NEW: {"hdf5": ["e4s"], "zlib": ["e4s"]}}
    warehouse = build_pages(tmp_path, lay_out(held))
    text = f"snapshot: {NEW}\nlost:\n  baseline: {OLD}\n  allow: [{{package: %s, reason: r, expires: 2026-01-01}}]"

    assert list_short(hold(warehouse, text % "hdf5")) == [("lost", "old", None)]
    assert list_short(hold(warehouse, text % "'*'")) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("snapshot: v9\nrejects: {maximum: 0}", "cannot be judged: the snapshot is not in the warehouse"),
        (f"snapshot: {NEW}\nlost: {{baseline: v9}}", "cannot be judged: the baseline v9 is not in the warehouse"),
        (f"snapshot: {NEW}\nlost: {{baseline: {NEW}}}", f"cannot be judged: the baseline {NEW} is the snapshot itself"),
        (
            f"snapshot: {OLD}\nlost: {{baseline: previous}}",
            "cannot be judged: the baseline previous is not in the warehouse",
        ),
        (
            f"snapshot: {NEW}\nlost: {{baseline: {OLD}, stacks: [e5s]}}",
            f"cannot be judged: no such stack is in the baseline {OLD}; did you mean e4s?",
        ),
    ],
)
def test_what_cannot_be_judged_fails(warehouse, text, reason):
    verdict = hold(warehouse, text)

    assert [one.reason for one in verdict.shortfalls] == [reason]
    assert verdict.summary() == "g: 0 of 1 gates hold"


@pytest.mark.slow
def test_a_rejected_page_is_no_loss_but_cannot_be_judged(tmp_path):
    source = tmp_path / "source"
    good = make_spec(1)
    write_page(source, make_page([good], "hdf5", OLD), "old/hdf5.md")
    write_page(source, make_page([make_spec(4)], "zlib", OLD), "old/zlib.md")
    write_page(source, make_page([make_spec(2, hash="?")], "hdf5", NEW, meta={}), "new/hdf5.md")
    write_page(source, make_page([make_spec(5), make_spec(3)], "cmake", NEW, meta={"num_specs": 9}), "new/cmake.md")
    run("build", source, "--warehouse", tmp_path / "w")
    text = f"snapshot: {NEW}\nlost: {{baseline: previous}}\nrejects: {{maximum: 0}}\nmeta_mismatches: {{maximum: 0}}"
    verdict = hold(tmp_path / "w", text)

    assert list_short(verdict) == [
        ("lost", "e4s", "hdf5"),
        ("lost", "e4s", "zlib"),
        ("rejects", None, None),
        ("meta_mismatches", None, None),
    ]
    hdf5, zlib, rejects, mismatches = verdict.shortfalls
    assert hdf5.reason == "cannot be judged: specs of the package were rejected"
    assert zlib.reason == "lost, and in no other stack"
    assert (rejects.asked, rejects.found) == ("0 at most", "1")
    assert rejects.reason.startswith("such as new/hdf5.md: spec_details[0].hash: ")
    assert mismatches.reason == "such as cmake: num_specs: said 9, found 2"
    write_page(source, "", "broken.md")
    run("build", source, "--warehouse", tmp_path / "w")
    reasons = {one.package: one.reason for one in hold(tmp_path / "w", text).shortfalls}
    assert reasons["zlib"] == "lost, or in what could not be read: 1 file"
    assert hold(tmp_path / "w", f"snapshot: {NEW}\nrejects: {{maximum: 2}}").shortfalls == []


@pytest.mark.parametrize(("pages", "reason"), [(2, "lost, and in no other stack"), (1, GONE)])
def test_a_page_that_is_not_there_proves_a_loss_where_most_others_are(tmp_path, pages, reason):
    held = {OLD: {name: ["e4s"] for name in "abcd"}, NEW: {name: ["e4s"] for name in "abcd"[:pages]}}
    warehouse = build_pages(tmp_path, lay_out(held))
    verdict = hold(warehouse, f"snapshot: {NEW}\nlost: {{baseline: {OLD}}}")

    assert {one.package: one.reason for one in verdict.shortfalls}["d"] == reason
    proved = {package for (package,) in ask(warehouse, f"select package from absences where snapshot = '{NEW}'")}
    assert ("d" in proved) == (reason != GONE)


def test_a_page_or_an_index_that_says_nothing_proves_a_loss(tmp_path):
    held = {OLD: {"hdf5": ["e4s"], "zlib": ["e4s"]}, NEW: {"zlib": ["e4s"], "hdf5": []}}
    pages = {**lay_out(held), (NEW, "hdf5"): []}
    warehouse = build_pages(tmp_path, pages)
    text = f"snapshot: {NEW}\nlost: {{baseline: {OLD}}}"
    assert [one.reason for one in hold(warehouse, text).shortfalls] == ["lost, and in no other stack"]

    with duckdb.connect(str((warehouse / "warehouse.duckdb").resolve())) as connection:
        connection.execute("delete from pages where package = 'hdf5'")
        assert [one.reason for one in judge(connection, parse_gates(text, "g"), TODAY).shortfalls] == [GONE]
        connection.execute("update pages set stack = 'e4s', package = null")
        (short,) = judge(connection, parse_gates(text, "g"), TODAY).shortfalls
        assert short.reason == "lost, and in no other stack"


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Two of four specs of e4s install without building, and the one of root; of a page it is not known."""
    folder = tmp_path_factory.mktemp("installable")
    missing = [binary(number, "a", edge(9, "gone")) for number in (1, 2)]
    write_v2(folder / "source/develop", make_index([binary(5, "c")]))
    write_v2(folder / "source/develop/e4s", make_index([*missing, binary(3, "b"), binary(4, "b", edge(5, "c"))]))
    write_page(folder / "source", make_page([make_spec(6, stacks=["hep"])]))
    build([folder / "source"], folder / "warehouse", jobs=1)
    return folder


def test_too_few_specs_of_a_stack_install_without_building(caches, tmp_path):
    config = tmp_path / "gates.yaml"
    config.write_text("installable:\n- {stack: '[er]*', minimum: 0.75}\n- {stack: e4s, minimum: 0.5}\n")
    done = run("gate", "--warehouse", caches / "warehouse", "--config", config, "--format", "json")

    (row,) = json.loads(done.stdout)
    assert (done.returncode, row["gate"], row["stack"], row["asked"], row["found"]) == (
        *(3, "installable", "e4s", "0.75 at least", "0.5"),
    )
    assert row["reason"] == "2 of 4 specs install without building: see missing_dependencies"
    assert row["place"] == f"{config}:2"
    assert done.stderr == f"{config}: 1 of 2 gates hold\n"


def test_what_pages_do_not_say_cannot_be_judged_to_install(caches, warehouse):
    (short,) = hold(caches / "warehouse", "installable: [{stack: hep, minimum: 1}]").shortfalls
    assert short.reason == "cannot be judged: no source says it of 1 spec, as pages do not"
    assert hold(caches / "warehouse", "installable: [{stack: hep, minimum: 0}]").shortfalls == []
    shorts = hold(warehouse, f"snapshot: {NEW}\ninstallable: [{{stack: '*', minimum: 0.1}}]").shortfalls
    assert [(one.stack, one.reason[:16]) for one in shorts] == [
        (stack, "cannot be judged") for stack in ("e4s", "hep", "root")
    ]
    (short,) = hold(warehouse, f"snapshot: {NEW}\ninstallable: [{{stack: radiuss*, minimum: 0}}]").shortfalls
    assert (short.stack, short.reason[:16]) == ("radiuss*", "cannot be judged")


def test_without_root_of_today_what_is_missing_cannot_be_judged(caches, tmp_path):
    shutil.copytree(caches / "source", tmp_path / "source")
    (tmp_path / "source/develop/build_cache/index.json").write_text("{")
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    (short,) = hold(tmp_path / "warehouse", "installable: [{stack: e4s, minimum: 0.75}]").shortfalls

    assert short.reason.startswith("cannot be judged: failed: the stack root of ")
    assert hold(tmp_path / "warehouse", "installable: [{stack: e4s, minimum: 0.25}]").shortfalls == []


@pytest.mark.parametrize(("days", "today", "short"), [(2, "2025-04-01", 0), (1, "2025-04-01", 1), (0, "2025-03-30", 0)])
def test_a_stale_snapshot_is_reported(warehouse, days, today, short):
    verdict = hold(warehouse, f"fresh: {{days: {days}}}", dt.date.fromisoformat(today))

    assert len(verdict.shortfalls) == short
    if short:
        assert (verdict.shortfalls[0].snapshot, verdict.shortfalls[0].found) == (NEW, "2 days")


def test_without_a_weekly_snapshot_freshness_cannot_be_judged(tmp_path):
    warehouse = build_pages(tmp_path, lay_out({"develop": {"hdf5": ["e4s"]}}))
    (short,) = hold(warehouse, "fresh: {days: 9}").shortfalls

    assert short.reason.startswith("cannot be judged")


def test_previous_is_the_one_before_in_its_series():
    names = [("develop", "develop"), ("w2", "weekly"), ("w1", "weekly"), ("v2", "release"), ("v1", "release")]
    snapshots = [Snapshot(name, kind, None) for name, kind in names]
    chosen = {one.name: find_snapshot("previous", one, snapshots, str) for one in snapshots}

    assert {name: one and one.name for name, one in chosen.items()} == {
        "develop": "w2",
        "w2": "w1",
        "w1": None,
        "v2": "v1",
        "v1": None,
    }


def test_the_newest_snapshot_is_develop_then_weekly_then_release(tmp_path, warehouse):
    with open_database(Layout(warehouse)) as connection:
        assert [one.name for one in list_snapshots(connection)] == [NEW, OLD, "v0.23.1"]
    odd = lay_out({name: {"x": ["e4s"]} for name in ("v1.2", "v1.10", "branch", "develop")})
    with open_database(Layout(build_pages(tmp_path, odd))) as connection:
        assert [one.name for one in list_snapshots(connection)] == ["develop", "v1.10", "v1.2", "branch"]


held = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(st.sampled_from(["s", "t", "root"]), min_size=1, unique=True),
    min_size=1,
)


@pytest.mark.slow
@thorough(4, 15)
@given(old=held, new=held, allowed=st.sampled_from(["", "a", "[ab]"]), stack=st.sampled_from(["*", "s"]))
def test_losses_are_those_of_comparing_pages(tmp_path_factory, old, new, allowed, stack):
    warehouse = build_pages(tmp_path_factory.mktemp("lost"), lay_out({OLD: old, NEW: new}))
    allowance = {"package": allowed, "stack": stack, "reason": "r", "expires": str(TODAY)}
    lost = {"baseline": OLD, "allow": [allowance] if allowed else []}
    gates = parse_gates(json.dumps({"snapshot": NEW, "lost": lost}), "g")
    with open_database(Layout(warehouse)) as connection:
        verdict = judge(connection, gates, TODAY)

    kept = {stack for stacks in new.values() for stack in stacks}
    expected = set()
    for package, stacks in old.items():
        for one in stacks:
            if one in new.get(package, []) or (allowed and package in allowed and stack in ("*", one)):
                continue
            if one == "root":
                if stacks == ["root"] and package not in new:
                    expected.add(("lost", one, package))
            else:
                expected.add(("lost", one, package if one in kept else None))
    assert set(list_short(verdict)) == expected
    assert len(verdict.shortfalls) == len(expected)


# The command


def test_the_command_shows_what_fails_and_ends_with_3(warehouse, tmp_path):
    config = tmp_path / "gates.yaml"
    config.write_text(
        f"snapshot: {NEW}\nlost:\n  baseline: previous\n  stacks: [hep]\n"
        "  allow: [{stack: hep, reason: '=x', expires: 2025-01-01}]\nfresh: {days: 1}\n"
    )
    arguments = ["gate", "--warehouse", warehouse, "--config", config, "--today", "2025-04-10"]
    done = run(*arguments)

    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"{config}:5: expired on 2025-01-01, counts no more: =x",
        f"{config}: 0 of 2 gates hold",
    ]
    rows = json.loads(run(*arguments, "--format", "json").stdout)
    assert "was allowed until 2025-01-01: =x" in rows[0]["reason"]
    assert [row["gate"] for row in rows] == ["lost", "fresh"]
    assert rows[1]["place"] == f"{config}:6"
    assert [row["gate"] for row in csv.DictReader(io.StringIO(run(*arguments, "--format", "csv").stdout))] == [
        "lost",
        "fresh",
    ]
    assert run(*arguments).stdout == done.stdout


def test_gates_that_hold_end_with_0(warehouse, tmp_path):
    config = tmp_path / "gates.yaml"
    config.write_text("rejects: {maximum: 0}\nfresh: {days: 100000}\n")
    done = run("gate", "--warehouse", warehouse, "--config", config)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{config}: 2 of 2 gates hold\n")
    assert run("gate", "--warehouse", warehouse, "--config", config, "--format", "json").stdout == "[]\n"
    assert run("gate", "--warehouse", warehouse, "--config", config, "--format", "github").stdout == ""
    assert run("gate", "--warehouse", warehouse, "--config", config, "--snapshot", "v9").returncode == 3
    assert run("gate", "--warehouse", warehouse, "--config", config, "--baseline", OLD).returncode == 2
    assert run("gate", "--warehouse", warehouse, "--config", config, "--today", "x").returncode == 2


def test_the_command_line_names_another_snapshot_and_baseline(warehouse, tmp_path):
    config = tmp_path / "gates.yaml"
    config.write_text("snapshot: v9\nlost: {baseline: v8}\n")
    arguments = ["--snapshot", NEW, "--baseline", "v0.23.1"]

    assert run("gate", "--warehouse", warehouse, "--config", config, *arguments).returncode == 0


def test_a_wrong_file_is_refused(warehouse, tmp_path):
    config = tmp_path / "gates.yaml"
    assert_refused(run("gate", "--warehouse", warehouse, "--config", config), 1, config)
    config.write_bytes(b"\xff")
    assert_refused(run("gate", "--warehouse", warehouse, "--config", config), 1, config, "UTF-8")
    config.write_text("fresh: {days: x}\nrejects: {most: 1}\n")
    done = run("gate", "--warehouse", warehouse, "--config", config)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == [
        f"{config}:1:",
        f"{config}:2:",
        f"{config}:2:",
    ]


def test_annotations_of_the_example_are_githubs(tmp_path):
    run("build", Path(__file__).parent / "data" / "pages", "--warehouse", tmp_path / "w")
    arguments = ["--config", "examples/gates.yaml", "--today", "2025-04-05", "--format", "github"]
    done = run("gate", "--warehouse", tmp_path / "w", *arguments, cwd=EXAMPLE.parent.parent)

    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "::error file=examples/gates.yaml,line=19,title=lost%2C e4s%2C py-packaging::develop-2025-03-30: "
        f"asked as in develop-2025-03-16, found none: {GONE}"
    )
    assert [line.split(" ")[0] for line in lines] == ["::error"] * 4 + ["::warning"]


texts = st.text(st.sampled_from("ab%:,\r\n ="), max_size=8)


@given(texts, texts, texts)
def test_annotations_are_one_line_and_lose_nothing(stack, package, reason):
    verdict = Verdict(parse_gates("fresh: {days: 1}", "g"), [Shortfall("lost", "", reason, 1, stack, package)])
    (line,) = annotate(verdict)

    match = re.fullmatch(r"::error file=g,line=1,title=([^:,\r\n]*)::([^\r\n]*)", line)
    assert unquote(match[1]) == ", ".join(filter(None, ["lost", stack, package]))
    assert unquote(match[2]) == reason


@pytest.mark.parametrize(
    ("gates", "answer"),
    [
        ("snapshot: latset\nrejects: {maximum: 0}", "the snapshot is not in the warehouse; did you mean latest?"),
        ("coverage: [{stack: E4S, minimum: 0}]", "its source may be missing; did you mean e4s?"),
        ("installable: [{stack: e4ss, minimum: 0}]", "its source may be missing; did you mean e4s?"),
        ("lost: {baseline: develop-2025-03-61}", "did you mean develop-2025-03-16"),
        ("lost: {baseline: latest}", "the baseline latest is the snapshot itself\n"),
        ("lost: {baseline: develop-2025-03-16, stacks: [e4ss]}", "did you mean e4s?"),
    ],
)
def test_of_a_misspelt_name_the_nearest_are_suggested(tmp_path, sample, gates, answer):
    (tmp_path / "gates.yaml").write_text(f"{gates}\n")
    done = run("gate", "--config", tmp_path / "gates.yaml", "--warehouse", sample, "--format", "json")

    assert done.returncode == 3
    assert any(answer in f"{row['reason']}\n" for row in json.loads(done.stdout)), done.stdout
