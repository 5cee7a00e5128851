"""Variants in all of Spack's spellings, and when a concrete spec's is what is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.spack.variants import Variant, meets, normalise_variants, parse_variant, read_variants, unquote

SHA = "1ea4349f8c1f2a0d" * 4


@pytest.mark.parametrize(
    ("text", "name", "values", "exact", "propagated"),
    [
        ("+mpi", "mpi", {"True"}, True, False),
        ("~mpi", "mpi", {"False"}, True, False),
        ("-mpi", "mpi", {"False"}, True, False),
        ("++mpi", "mpi", {"True"}, True, True),
        ("~~mpi", "mpi", {"False"}, True, True),
        ("--mpi", "mpi", {"False"}, True, True),
        ("+ mpi", "mpi", {"True"}, True, False),
        ("mpi=true", "mpi", {"True"}, True, False),
        ("mpi=FALSE", "mpi", {"False"}, True, False),
        ("mpi==True", "mpi", {"True"}, True, True),
        ("api=v18", "api", {"v18"}, False, False),
        ("api:=v18", "api", {"v18"}, True, False),
        ("api==v18", "api", {"v18"}, False, True),
        ("api:==v18", "api", {"v18"}, True, True),
        ("fabrics=ofi,verbs", "fabrics", {"ofi", "verbs"}, False, False),
        ("fabrics:=verbs,ofi,ofi", "fabrics", {"ofi", "verbs"}, True, False),
        ("fabrics=*", "fabrics", set(), False, False),
        ("fabrics:=*", "fabrics", set(), False, False),
        ("dev_path=/a/b=c", "dev_path", {"/a/b=c"}, False, False),
        ("title='a, b=c'", "title", {"a", "b=c"}, False, False),
        ('title="it\'s"', "title", {"it's"}, False, False),
        (r'title="say \"it\""', "title", {'say "it"'}, False, False),
        ("cuda_arch=90", "cuda_arch", {"90"}, False, False),
        ("cuda_arch=none", "cuda_arch", {"none"}, False, False),
        ("romio-filesystem=ufs", "romio-filesystem", {"ufs"}, False, False),
        ("name=", "name", {""}, False, False),
    ],
)
def test_spellings(text, name, values, exact, propagated):
    assert parse_variant(text) == Variant(name, frozenset(values), exact, propagated, text)


@pytest.mark.parametrize("text", ["", "mpi", "+", "=v", "+a b", "a b=c", "!x", ":=v"])
def test_what_is_no_variant_is_refused(text):
    with pytest.raises(ValueError, match="is not a variant"):
        parse_variant(text)


def test_what_is_no_variant_of_a_spec_is_passed_over():
    assert list(read_variants(["+mpi", "", "!", "api=v18"])) == ["mpi", "api"]


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        ("+mpi", "+mpi", True),
        ("+mpi", "~mpi", False),
        ("~mpi", "~mpi", True),
        ("+mpi", None, False),
        ("~mpi", None, False),
        ("mpi=True", "+mpi", True),
        ("++mpi", "+mpi", True),
        ("++mpi", "~mpi", False),
        ("++mpi", None, True),
        ("api==v18", None, True),
        ("fabrics=verbs", "fabrics=ofi,verbs", True),
        ("fabrics:=verbs", "fabrics=ofi,verbs", False),
        ("fabrics:=verbs,ofi", "fabrics=ofi,verbs", True),
        ("fabrics=verbs,ofi", "fabrics:=ofi,verbs", True),
        ("fabrics:=ofi,verbs", "fabrics:=ofi,verbs", True),
        ("fabrics=verbs", "fabrics:=ofi,verbs", True),
        ("fabrics=ofi,verbs", "fabrics=verbs", False),
        ("fabrics=verb", "fabrics=verbs", False),
        ("fabrics=*", "fabrics=verbs", True),
        ("fabrics=*", None, False),
        ("build_type:=Release", "build_type=Release", True),
        ("build_type=release", "build_type=Release", False),
        ("title='a b'", 'title="a b"', True),
        ("patches=1ea4349", "patches=1ea4349,24f587b", True),
        (f"patches={SHA}", "patches=1ea4349,24f587b", True),
        ("patches=1ea4349", f"patches={SHA}", True),
        ("patches=1ea", f"patches={SHA}", True),
        (f"patches:={SHA}", "patches=1ea4349,24f587b", False),
        (f"patches:=24f587b,{SHA}", "patches=1ea4349,24f587b", True),
        ("patches=ffffff1", "patches=1ea4349,24f587b", False),
        (f"other={SHA}", "other=1ea4349", False),
    ],
)
def test_a_spec_meets_a_variant(asked, found, expected):
    assert meets(parse_variant(asked), parse_variant(found) if found else None) is expected


values = st.lists(st.sampled_from(["ofi", "verbs", "tcp", "psm2"]), min_size=1, max_size=4, unique=True)


@given(values, values, st.sampled_from(["=", ":="]))
def test_exact_is_equality_and_else_inclusion(asked, found, spelling):
    spec = parse_variant(f"fabrics{spelling}{','.join(found)}")

    assert meets(parse_variant(f"fabrics={','.join(asked)}"), spec) is (set(asked) <= set(found))
    assert meets(parse_variant(f"fabrics:={','.join(asked)}"), spec) is (set(asked) == set(found))


@given(st.text())
def test_quotes_come_off_as_they_went_on(value):
    if "\\" not in value:
        assert unquote('"' + value.replace('"', r"\"") + '"') == value


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ""),
        (["build_system=cmake", "+mpi", "~cuda"], "build_system=cmake ~cuda +mpi"),
        (["-cuda", "mpi=true", "build_system:=cmake"], "build_system=cmake ~cuda +mpi"),
        (["fabrics=verbs,ofi"], "fabrics=ofi,verbs"),
        (["fabrics:=ofi,verbs"], "fabrics=ofi,verbs"),
        ([f"patches={SHA},24f587b"], "patches=1ea4349,24f587b"),
        (['cflags="-O2 -g"'], 'cflags="-O2 -g"'),
        (["cflags=-O2 -g"], 'cflags="-O2 -g"'),
        (["k=*", "no variant"], '"no variant" k=*'),
    ],
)
def test_variants_have_one_spelling(texts, expected):
    assert normalise_variants(texts) == expected


spelt = st.builds(
    lambda name, spelling, found: f"{name}{spelling}{','.join(found)}",
    st.sampled_from(["fabrics", "k"]),
    st.sampled_from(["=", ":="]),
    values,
) | st.sampled_from(["+mpi", "~mpi", "-mpi", "mpi=true", "mpi=False", "k=a b", 'k="a b"', 'k=a"b'])


@given(st.lists(spelt, max_size=4), st.lists(spelt, max_size=4))
def test_the_spelling_is_the_same_where_the_meaning_is(some, others):
    def mean(texts):
        return {(variant.name, variant.values) for variant in map(parse_variant, texts)}

    assert (normalise_variants(some) == normalise_variants(others)) is (mean(some) == mean(others))
