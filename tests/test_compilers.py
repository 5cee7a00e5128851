"""Spack's old and new names of a compiler are one family."""

import pytest

from pipeline.compilers import compiler_family
from tests.makers import ask, build_pages, make_spec


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clang", "llvm"),
        ("oneapi", "intel-oneapi-compilers"),
        ("rocmcc", "llvm-amdgpu"),
        ("intel", "intel-oneapi-compilers-classic"),
        ("arm", "acfl"),
    ],
)
def test_a_renamed_compiler_is_one_family(old, new):
    assert compiler_family(old) == compiler_family(new) == new


@pytest.mark.parametrize("name", ["gcc", "apple-clang", "cce", "msvc", "none", "mine"])
def test_the_others_are_a_family_of_their_own(name):
    assert compiler_family(name) == name


def test_both_spellings_group_together_in_the_warehouse(tmp_path):
    specs = [make_spec(1, compiler="oneapi@=2024.2.1"), make_spec(2, compiler="intel-oneapi-compilers@2024.2.1")]
    warehouse = build_pages(tmp_path, {("develop", "p"): specs})

    assert ask(warehouse, "select compiler_family, count(*) from specs group by all") == [("intel-oneapi-compilers", 2)]
    assert ask(warehouse, "select count(distinct compiler_raw) from specs") == [(2,)]
