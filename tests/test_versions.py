"""Keys order versions as Spack does, and ranges of keys hold what Spack's constraints hold."""

from __future__ import annotations

import itertools
from pathlib import Path

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.spack.versions import INFINITIES, parse_versions, satisfies, split_ref, version_key
from tests import spack_versions as spack

GOLDEN = (
    "latest < 0.9.1 < 0.10 < 1.y.0 < 1.0 < 1.1.1 < 1.1.1a < 1.2alpha1 < 1.2beta1 < 1.2rc1 < 1.2 < 1.2-mysuffix "
    "< 1.2.0 < 1.2.1rc1 < 1.2.1 < 1.9 < 1.10 < 2020a < stable < nightly < trunk < head < master < main < develop"
)
CHAIN = GOLDEN.split(" < ")
REAL = (Path(__file__).parent / "data" / "versions.txt").read_text().split()
COMMIT = "0123456789abcdef0123456789abcdef01234567"

words = st.sampled_from(
    [*INFINITIES, *spack.STAGES, "a", "b", "Z", "z", "zA", "A", "aa", "y", "mains", "maim", "Develop", "git", "p", "v"]
)
numbers = st.one_of(
    st.integers(0, 12).map(str),
    st.sampled_from(["00", "01", "007", "99999999", "100000000", "20240101123456", "9" * 40, "1" + "0" * 120]),
    st.integers(0, 10**30).map(str),
)
components = st.one_of(numbers, words)


@st.composite
def versions(draw):
    """Versions of few kinds of component, so that many begin alike or are equal."""
    parts = draw(st.lists(components, min_size=1, max_size=5))
    separators = draw(
        st.lists(st.sampled_from(["", ".", "-", "_", ".", "--"]), min_size=len(parts), max_size=len(parts))
    )
    return "".join(part + separator for part, separator in zip(parts, separators, strict=True)).rstrip("-_.")


def sign(first, second):
    return (first > second) - (first < second)


def test_the_golden_chain_is_ordered():
    keys = list(map(version_key, CHAIN))

    assert keys == sorted(set(keys))


def test_the_golden_chain_is_ordered_in_sql():
    rows = [(version, version_key(version)) for version in reversed(CHAIN)]
    db = duckdb.connect()
    db.execute("create table versions (version varchar, version_key varchar)")
    db.executemany("insert into versions values (?, ?)", rows)

    assert [row[0] for row in db.execute("select version from versions order by version_key").fetchall()] == CHAIN
    assert db.execute("select max_by(version, version_key), min_by(version, version_key) from versions").fetchone() == (
        "develop",
        "latest",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1.2-rc1", "1.2rc1"),
        ("1.2.rc.1", "1.2rc1"),
        ("2_0", "2.0"),
        ("2-0", "2.0"),
        ("10.0001", "10.1"),
        ("1.2.", "1.2"),
        ("git.abc=1.2", "1.2"),
        ("git.feature/x=1.2rc1", "1.2rc1"),
        (f"{COMMIT}=develop", "develop"),
        ("ref=1.2", "git.other=1.2"),
        ("1.2final", "1.2"),
    ],
)
def test_versions_that_spack_holds_equal_have_one_key(first, second):
    assert version_key(first) == version_key(second)
    assert spack.place(first) == spack.place(second)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.2", "1.2.0"),
        ("1.0", "1.1"),
        ("1.x", "1.0"),
        ("6.0alpha", "6.0alpha0"),
        ("6.0alpha2", "6.0beta"),
        ("6.0rc", "6.0rc0"),
        ("6.0rc2", "6.0rc10"),
        ("1.2", "1.2final1"),
        ("1.develop", "2.1"),
        ("1.1", "1.develop"),
        ("develop.1", "develop.2"),
        ("develop", "develop.1"),
        ("1.mydevelopment", "1.1"),
        ("Develop", "1.0"),
        ("system", "9.0"),
        ("xyz10", "xyz10.1"),
        ("1b.fc17", "1.fc17"),
        ("1.fc17", "1g.fc17"),
        ("1.0a", "1.0aa"),
        ("1.0Z", "1.0a"),
        ("rc1", "0"),
        ("1rc1", "1"),
        ("99999999", "100000000"),
        ("9" * 9, "1" + "0" * 9),
        ("9" * 99, "1" + "0" * 99),
        ("9" * 5000, "1" + "0" * 5000),
        ("develop", "git.unknown"),
        ("git.a", "git.b"),
        ("git.main=1.1", "1.2"),
        ("1.1", f"{COMMIT}=1.2"),
    ],
)
def test_lower_versions_have_lower_keys(lower, higher):
    assert version_key(lower) < version_key(higher)


@pytest.mark.parametrize("text", ["", " ", ".", "é", "1.2 é", "=1.2", "git.", "a=b=c", "\x00", "~", "1" * 10_000])
def test_every_text_has_a_key(text):
    assert version_key(text)


def test_keys_are_printable_ascii():
    assert all(version_key(version).isascii() and version_key(version).isprintable() for version in REAL)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(versions(), versions())
def test_keys_compare_as_spack_compares(first, second):
    assert sign(version_key(first), version_key(second)) == sign(spack.place(first), spack.place(second))


@settings(max_examples=200, deadline=None)
@given(components.flatmap(lambda common: st.lists(versions().map(lambda end: f"{common}.{end}"), max_size=12)))
def test_sorting_by_key_is_sorting_by_spack(found):
    """Keys are texts, whose order is total; sorting leaves equal versions as they stood in both."""
    assert sorted(found, key=version_key) == sorted(found, key=spack.place)


@settings(max_examples=200, deadline=None)
@given(versions(), versions(), st.sampled_from(["git.main=", "git.a/b.c=", f"{COMMIT}=", "ref="]))
def test_a_git_version_compares_as_the_version_assigned(first, second, ref):
    assume(not spack.is_git(first))

    assert sign(version_key(ref + first), version_key(second)) == sign(version_key(first), version_key(second))


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text())
def test_bytes_compare_as_characters(first, second):
    """Python compares code points and DuckDB bytes of UTF-8: in a key they must say the same."""
    keys = version_key(first), version_key(second)
    assert sign(*keys) == sign(*(key.encode() for key in keys))


def test_each_pair_of_real_versions_compares_as_spack_compares():
    keyed = [(version_key(version), spack.place(version)) for version in REAL]

    assert len(keyed) > 500
    for first, second in itertools.combinations(keyed, 2):
        assert sign(first[0], second[0]) == sign(first[1], second[1])


@pytest.mark.parametrize(
    ("version", "ref", "assigned"),
    [
        ("1.2", None, "1.2"),
        ("gitmain", None, "gitmain"),
        ("=1.2", None, "=1.2"),
        ("git.main", "main", None),
        ("git.main=1.2", "main", "1.2"),
        ("git.main=1.2:1.4", "main", None),
        ("main=1.2", "main", "1.2"),
        (COMMIT, COMMIT, None),
        (f"git.{COMMIT}=develop", COMMIT, "develop"),
        (COMMIT[1:], None, COMMIT[1:]),
    ],
)
def test_git_versions_are_distinguished_from_others(version, ref, assigned):
    assert split_ref(version) == (ref, assigned)


@pytest.mark.parametrize(
    ("version", "constraint", "expected"),
    [
        ("1.14", "@1.14", True),
        ("1.14.3", "@1.14", True),
        ("1.14-custom", "@1.14", True),
        ("1.140", "@1.14", False),
        ("1.1", "@1.14", False),
        ("1.14rc1", "@1.14", False),
        ("1.14.0rc1", "@1.14", True),
        ("1.14", "@=1.14", True),
        ("1.14.0", "@=1.14", False),
        ("1.14.3", "@=1.14", False),
        ("1_14", "@=1.14", True),
        ("1.4.2", "@1.2:1.4", True),
        ("1.3.5-7", "@1.2:1.4", True),
        ("1.5", "@1.2:1.4", False),
        ("1.1", "@1.2:1.4", False),
        ("1.4.2", "@1.2:1.4.0", False),
        ("1.4.9", "@:1.4", True),
        ("1.5", "@:1.4", False),
        ("develop", "@1.2:", True),
        ("1.2.0rc3", "@1.2:", True),
        ("1.2.1rc3", "@1.2.1:", False),
        ("1.2.0alpha1", "@:1.1", False),
        ("1.2.0alpha1", "@:1.2", True),
        ("1.2.0", "@1.2.0alpha1:", True),
        ("1.2.0", "@:1.2.0rc345", False),
        ("1.2.0rc345", "@:1.2.0rc345", True),
        ("1.2.0rc346", "@:1.2.0rc345", False),
        ("1.2.0rc0", "@:1.2.0rc", False),
        ("1.2", "@1.2,1.4:1.6", True),
        ("1.3", "@1.2,1.4:1.6", False),
        ("1.6.1", "@1.2, 1.4:1.6", True),
        ("1.7.1", "@1.0:1.5,=1.7.1", True),
        ("0", "@:", True),
        ("develop.local", "@develop", True),
        ("main", "@develop", False),
        ("2020a", "@2020", True),
        ("4.7v6", "@4.7", True),
        ("1.1.1", "@1.0:1", True),
        ("1.2.9", "@1.2.0:1.2", True),
        # A prerelease is below its release and above all that the release before it begins.
        ("1.5alpha1", "@:1.4", True),
        # Words count on by their last letter.
        ("1.2aa", "@1.2a", True),
        ("1.2b", "@1.2a", False),
        ("1.2Zz", "@1.2Z", True),
        ("1.2a", "@1.2Z", False),
        ("1.2zA", "@1.2z", False),
        ("1.maina", "@1.maim", True),
        ("1.maio", "@1.maim", False),
        ("1.5", "@1.maim", False),
        # Git versions: in ranges by the version assigned, by name only where asked for.
        ("git.main=1.4.2", "@1.4", True),
        ("git.main=1.4.2", "@=1.4.2", False),
        ("git.main=1.4.2", "@git.main", True),
        ("main=1.4.2", "@git.main", True),
        ("git.main=1.4.2", "@git.main=1.4.2", True),
        ("git.main=1.4.2", "@git.main=1.4", False),
        ("git.main=1.4.2", "@=git.main=1.4.2", True),
        ("git.main=1.4.2", "@git.main=1.4:", True),
        ("git.main=1.4.2", "@git.main=1.5:", False),
        ("git.main=1.4.2", "@git.devel", False),
        ("1.4.2", "@git.main=1.4.2", False),
        (f"{COMMIT}=1.4.2", f"@git.{COMMIT}", True),
        ("git.main", "@git.main", True),
        ("git.main", "@:", True),
        ("git.main", "@1.2:", False),
        ("1" * 41, f"@{'1' * 40}:", True),
    ],
)
def test_a_version_satisfies_a_constraint_as_in_spack(version, constraint, expected):
    assert satisfies(version, constraint) is expected
    assert satisfies(version, constraint.removeprefix("@")) is expected
    if not spack.is_git(version) and "git" not in constraint:
        assert spack.satisfies(version, constraint[1:].replace(" ", "")) is expected


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(versions(), versions(), versions(), st.sampled_from(["{0}", "={0}", "{0}:", ":{0}", "{0}:{1}", "{0},{1}:", ":"]))
def test_ranges_hold_what_spack_ranges_hold(version, first, second, shape):
    first, second = sorted([first, second], key=spack.place)
    constraint = shape.format(first, second)
    assume(
        not spack.is_git(version) and "git." not in constraint and not spack.is_git(first) and not spack.is_git(second)
    )

    assert satisfies(version, constraint) == spack.satisfies(version, constraint)


@settings(max_examples=200, deadline=None)
@given(versions())
def test_a_version_is_in_the_ranges_it_ends(version):
    assume(not spack.is_git(version))

    for constraint in (version, f"={version}", f"{version}:", f":{version}", f"{version}:{version}"):
        assert satisfies(version, constraint)


def test_ranges_are_bounds_that_sql_can_use():
    (bounds,) = parse_versions("@1.2:1.4").ranges
    db = duckdb.connect()
    db.execute("create table versions (version varchar, version_key varchar)")
    db.executemany("insert into versions values (?, ?)", [(version, version_key(version)) for version in REAL])
    query = "select version from versions where version_key >= ? and version_key < ?"

    found = {row[0] for row in db.execute(query, [bounds.low, bounds.high]).fetchall()}

    assert found == {version for version in REAL if spack.satisfies(version, "1.2:1.4")}
    assert len(found) > 10


@pytest.mark.parametrize(
    ("constraint", "reason"),
    [
        ("", "'' is not a version"),
        ("@", "'' is not a version"),
        ("@1.2,", "'' is not a version"),
        ("@=", "'' is not a version"),
        ("@2:1.0", "2:1.0 is an empty range: 1.0 comes before 2"),
        ("@1:2:3", "'2:3' is not a version"),
        ("@=1.2:1.4", "'1.2:1.4' is not a version"),
        ("@1!2", "'1!2' is not a version"),
        ("@-1", "'-1' is not a version"),
        ("@git.", "'git.' names no git ref"),
        ("@git.a=b=c", "'b=c' is not a version"),
    ],
)
def test_what_is_no_constraint_is_refused(constraint, reason):
    with pytest.raises(ValueError, match="^" + reason.replace(".", r"\.") + "$"):
        parse_versions(constraint)
