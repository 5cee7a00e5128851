"""Old and new names of one compiler are one family."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.spack.compilers import compiler_family


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clang", "llvm"),
        ("oneapi", "intel-oneapi-compilers"),
        ("rocmcc", "llvm-amdgpu"),
        ("intel", "intel-oneapi-compilers-classic"),
        ("intel-oneapi-compiler-classic", "intel-oneapi-compilers-classic"),
        ("arm", "acfl"),
    ],
)
def test_a_renamed_compiler_has_its_new_name(old, new):
    assert compiler_family(old) == compiler_family(new) == new


@pytest.mark.parametrize("name", ["gcc", "apple-clang", "cce", "msvc", "nvhpc", "none", "aocc", "fj", "dpcpp", "", "X"])
def test_other_compilers_keep_their_name(name):
    assert compiler_family(name) == name


def test_families_that_share_a_word_stay_apart():
    assert len({compiler_family(name) for name in ("clang", "apple-clang", "rocmcc", "intel", "oneapi")}) == 5


@given(st.text() | st.sampled_from(["clang", "oneapi", "rocmcc", "intel", "arm"]))
def test_a_family_is_its_own_family(name):
    assert compiler_family(compiler_family(name)) == compiler_family(name)
