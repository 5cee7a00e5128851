"""archspec's graph as rows: what runs where, with every path and no path too many."""

import archspec.cpu
import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.spack.hosts import (
    WELL_KNOWN_HOSTS,
    Ancestry,
    is_known,
    list_ancestry,
    measure_ancestors,
    runs_on,
    satisfies_target,
)

TARGETS = sorted(archspec.cpu.TARGETS)
targets = st.sampled_from([*TARGETS, "graviton2"])


@pytest.fixture(scope="module")
def db():
    db = duckdb.connect()
    columns = "target varchar, ancestor varchar, distance integer, family varchar, vendor varchar"
    db.execute(f"create table target_ancestors ({columns})")
    db.executemany("insert into target_ancestors values (?, ?, ?, ?, ?)", list_ancestry())
    db.execute("create table specs (target varchar)")
    db.executemany("insert into specs values (?)", [(target,) for target in [*TARGETS, "graviton2"]])
    return db


@pytest.mark.parametrize(
    ("host", "target", "expected"),
    [
        ("zen4", "zen4", True),
        ("zen4", "x86_64_v4", True),
        ("zen4", "x86_64_v3", True),
        ("zen4", "x86_64_v2", True),
        ("zen4", "zen3", True),
        ("zen4", "skylake_avx512", False),
        ("zen3", "x86_64_v4", False),
        ("zen3", "x86_64_v3", True),
        ("alderlake", "x86_64_v4", False),
        ("icelake", "zen", False),
        ("icelake", "x86_64_v4", True),
        ("skylake_avx512", "x86_64_v4", True),
        ("neoverse_v2", "neoverse_v1", False),
        ("neoverse_v1", "neoverse_v2", False),
        ("neoverse_v2", "neoverse_n1", True),
        ("neoverse_v1", "neoverse_n1", True),
        ("neoverse_v2", "aarch64", True),
        ("x86_64_v3", "x86_64_v4", False),
        ("x86_64", "aarch64", False),
        ("power9le", "power9", False),
        ("graviton2", "aarch64", False),
        ("neoverse_n1", "graviton2", False),
        ("graviton2", "graviton2", False),
    ],
)
def test_a_host_runs_its_target_and_its_ancestors(db, host, target, expected):
    assert runs_on(target, host) is expected
    usable = db.execute(
        "select specs.target from specs inner join target_ancestors on target_ancestors.ancestor = specs.target "
        "where target_ancestors.target = ?",
        [host],
    ).fetchall()
    assert ((target,) in usable) is expected


def test_a_target_that_archspec_does_not_know_is_unresolved_in_sql(db):
    unresolved = "select specs.target from specs anti join target_ancestors on target_ancestors.target = specs.target"

    assert db.execute(unresolved).fetchall() == [("graviton2",)]
    assert not is_known("graviton2")
    assert measure_ancestors("graviton2") == {}


def test_rows_are_all_of_archspec_and_no_more():
    expected = {(name, name) for name in TARGETS}
    expected |= {(name, ancestor.name) for name in TARGETS for ancestor in archspec.cpu.TARGETS[name].ancestors}
    rows = list_ancestry()

    assert {(row.target, row.ancestor) for row in rows} == expected
    assert len(rows) == len(expected), "each pair once"
    assert rows == sorted(rows)


def test_rows_agree_with_archspec_comparisons():
    for row in list_ancestry():
        assert archspec.cpu.TARGETS[row.target] >= archspec.cpu.TARGETS[row.ancestor]
        assert row.family == archspec.cpu.TARGETS[row.ancestor].family.name


def test_distance_is_by_the_shortest_way():
    assert Ancestry("zen4", "zen4", 0, "x86_64", "AuthenticAMD") in list_ancestry()
    assert Ancestry("zen4", "x86_64_v4", 1, "x86_64", "AuthenticAMD") in list_ancestry()
    assert Ancestry("zen4", "x86_64_v3", 2, "x86_64", "AuthenticAMD") in list_ancestry()
    assert measure_ancestors("x86_64") == {"x86_64": 0}
    assert next(iter(measure_ancestors("icelake"))) == "icelake"


def test_well_known_hosts_are_known_and_each_stands_once():
    names = [host.target for host in WELL_KNOWN_HOSTS]

    assert all(map(is_known, names))
    assert len(set(names)) == len(names)
    assert {host.platform for host in WELL_KNOWN_HOSTS} == {"linux", "darwin"}


@pytest.mark.parametrize(
    ("target", "constraint", "expected"),
    [
        ("zen4", "zen4", True),
        ("zen3", "zen4", False),
        ("x86_64_v3", "zen4", False),
        ("zen3", "zen2,zen3", True),
        ("zen4", "x86_64_v3:", True),
        ("x86_64_v3", "x86_64_v3:", True),
        ("x86_64_v2", "x86_64_v3:", False),
        ("zen2", ":zen3", True),
        ("zen4", ":zen3", False),
        ("x86_64_v4", ":zen3", False),
        ("zen", "x86_64_v3:zen2", True),
        ("x86_64", "x86_64_v3:zen2", False),
        ("icelake", "x86_64_v3:zen2", False),
        ("neoverse_v2", "neoverse_n1:,zen", True),
        ("graviton2", "graviton2", True),
        ("graviton2", "aarch64:", False),
        ("graviton2", ":neoverse_n1", False),
        ("graviton2", ":", True),
    ],
)
def test_target_constraints_mean_what_they_mean_in_spack(target, constraint, expected):
    assert satisfies_target(target, constraint) is expected


@given(targets, targets, targets)
def test_running_is_a_partial_order(first, second, third):
    if runs_on(first, second) and runs_on(second, third):
        assert runs_on(first, third)
    if runs_on(first, second) and runs_on(second, first):
        assert first == second
    assert runs_on(first, first) is is_known(first)


@given(targets, targets, targets)
def test_target_ranges_agree_with_archspec(target, low, high):
    if not (is_known(target) and is_known(low) and is_known(high)):
        return
    found, lowest, highest = (archspec.cpu.TARGETS[name] for name in (target, low, high))

    assert satisfies_target(target, f"{low}:{high}") is (found >= lowest and found <= highest)
    assert satisfies_target(target, f"{low}:") is (found >= lowest)
    assert satisfies_target(target, f":{high}") is (found <= highest)
