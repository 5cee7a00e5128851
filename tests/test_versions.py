"""Keys sort as Spack sorts versions."""

import functools
import itertools
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.versions import version_key

CHAIN = (
    *("latest", "0.9.1", "0.10", "1.y.0", "1.0", "1.1.1", "1.1.1a", "1.2alpha1", "1.2beta1", "1.2rc1", "1.2"),
    *("1.2-mysuffix", "1.2.0", "1.2.1rc1", "1.2.1", "1.9", "1.10", "2020a"),
    *("stable", "nightly", "trunk", "head", "master", "main", "develop"),
)
BRANCHES = ["stable", "nightly", "trunk", "head", "master", "main", "develop"]


def compare_parts(one, other):
    """Spack's order of two parts: words, numbers, branches; each kind by its own order."""

    def rank(part):
        if isinstance(part, int):
            return 1
        return 2 if part in BRANCHES else 0

    if rank(one) != rank(other):
        return rank(one) - rank(other)
    if rank(one) == 2:
        one, other = BRANCHES.index(one), BRANCHES.index(other)
    return (one > other) - (one < other)


def compare(one, other):
    """Spack's comparison of versions, part by part: the oracle."""

    def cut(version):
        if version.startswith("git.") and "=" in version:
            version = version.split("=")[-1]
        parts = [int(part) if part.isdigit() else part for part in re.findall(r"[0-9]+|[a-zA-Z]+", version)]
        stages = {"alpha": 0, "beta": 1, "rc": 2}
        if len(parts) > 2 and parts[-2] in stages and isinstance(parts[-1], int):
            return parts[:-2], (stages[parts[-2]], parts[-1])
        if len(parts) > 1 and parts[-1] in stages:
            return parts[:-1], (stages[parts[-1]],)
        return parts, (3,)

    (mine, my_stage), (theirs, their_stage) = cut(one), cut(other)
    for left, right in zip(mine, theirs, strict=False):
        if different := compare_parts(left, right):
            return different
    if len(mine) != len(theirs):
        return len(mine) - len(theirs)
    return (my_stage > their_stage) - (my_stage < their_stage)


def sign(number):
    return (number > 0) - (number < 0)


def compare_keys(one, other):
    left, right = version_key(one).encode(), version_key(other).encode()
    return (left > right) - (left < right)


def test_the_golden_chain():
    assert sorted(sorted(CHAIN), key=version_key) == list(CHAIN)
    assert all(compare(one, other) < 0 for one, other in itertools.pairwise(CHAIN)), "the oracle itself"


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.2-rc1", "1.2rc1"), ("1_2", "1.2"), ("git.abc=1.2", "1.2"), ("1.02", "1.2"), ("git.v1=main", "main")],
)
def test_what_spack_takes_for_equal_has_one_key(one, other):
    assert version_key(one) == version_key(other)


def test_a_zero_more_is_another_version():
    assert version_key("1.2") < version_key("1.2.0")


pieces = st.sampled_from(["0", "1", "2", "9", "10", "011", "99999999999999999999", "a", "ab", "b", "Z", "rc", "alpha"])
pieces |= st.sampled_from(["beta", *BRANCHES, "mainly", "x" * 30])
versions = st.lists(st.tuples(pieces, st.sampled_from([".", "-", "_", ""])), min_size=1, max_size=5).map(
    lambda parts: "".join(itertools.chain.from_iterable(parts))
)
versions |= st.builds("git.{}={}".format, st.sampled_from(["abc", "v1.2"]), versions)


@given(versions, versions)
def test_keys_agree_with_spacks_comparison(one, other):
    assert compare_keys(one, other) == sign(compare(one, other))


@given(st.lists(versions, max_size=8))
def test_keys_sort_as_spack_sorts(some):
    by_key = sorted(some, key=version_key)
    by_spack = sorted(some, key=functools.cmp_to_key(compare))

    assert [version_key(one) for one in by_key] == [version_key(one) for one in by_spack]


@given(st.integers(0, 10**5000), st.integers(0, 10**5000))
def test_numbers_of_any_length_are_numbers(one, other):
    sys.set_int_max_str_digits(0)
    assert (version_key(f"1.{one}") < version_key(f"1.{other}")) == (one < other)


@given(st.text(max_size=20))
def test_any_text_has_a_plain_key(text):
    assert version_key(text).isascii()
