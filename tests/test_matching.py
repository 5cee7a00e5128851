"""A spec is a hit only if every part is as asked, and a miss names exactly the parts that are not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.spack.spec import AXES, Candidate, Miss, find_misses, match, parse_spec

HDF5 = Candidate(
    package="hdf5",
    hash="abcdefghijklmnopqrstuvwxyz234567",
    version="1.14.5",
    compiler="gcc@11.4.0",
    os="ubuntu22.04",
    platform="linux",
    target="x86_64_v3",
    variants=("+mpi", "~cxx", "api=default", "build_system=cmake", "fabrics=ofi,verbs", "patches=1ea4349,24f587b"),
)
ROCBLAS = Candidate(
    package="rocblas",
    hash="rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr",
    version="6.3.3",
    compiler="llvm-amdgpu@6.3.3",
    os="ubuntu24.04",
    platform="linux",
    target="graviton2",
    variants=("amdgpu_target:=auto", "+tensile"),
    compilers={"c": "llvm-amdgpu@6.3.3", "cxx": "llvm-amdgpu@6.3.3", "fortran": "gcc@13.2.0"},
    namespace="builtin",
)
WHEEL = replace(HDF5, package="py-wheel", version="0.45.1", compiler="none", variants=("build_system=python_pip",))


@pytest.mark.parametrize(
    ("text", "spec", "axes"),
    [
        ("hdf5", HDF5, []),
        ("hdf5@1.14: +mpi %gcc", HDF5, []),
        ("zlib", HDF5, ["package"]),
        ("*", HDF5, []),
        ("+mpi", HDF5, []),
        # version
        ("hdf5@1.14", HDF5, []),
        ("hdf5@=1.14", HDF5, ["version"]),
        ("hdf5@=1.14.5", HDF5, []),
        ("hdf5@1.12,1.14.5:", HDF5, []),
        ("hdf5@:1.14.4", HDF5, ["version"]),
        # compiler
        ("hdf5 %gcc@11", HDF5, []),
        ("hdf5 %gcc@11:", HDF5, []),
        ("hdf5 %gcc@=11.4", HDF5, ["compiler"]),
        ("hdf5 %gcc@12", HDF5, ["compiler"]),
        ("hdf5 %clang", HDF5, ["compiler"]),
        ("hdf5 %c,cxx=gcc@11", HDF5, []),
        ("hdf5 %gcc %clang", HDF5, ["compiler"]),
        ("%oneapi@2024", replace(HDF5, compiler="intel-oneapi-compilers@2024.2.1"), []),
        ("%intel-oneapi-compilers@2024", replace(HDF5, compiler="oneapi@2024.2.1"), []),
        ("%none", WHEEL, []),
        ("%none", HDF5, ["compiler"]),
        ("%gcc", WHEEL, ["compiler"]),
        ("%gcc@11", replace(HDF5, compiler="gcc"), ["compiler"]),
        ("%gcc@:11", replace(HDF5, compiler="gcc"), ["compiler"]),
        ("%gcc", replace(HDF5, compiler="gcc"), []),
        # Of Fortran a page says nothing; an index does.
        ("%fortran=gcc", HDF5, ["compiler"]),
        ("%fortran=gcc@13", ROCBLAS, []),
        ("%c=gcc", ROCBLAS, ["compiler"]),
        ("%rocmcc", ROCBLAS, []),
        ("%gcc@13", ROCBLAS, []),
        ("%c=rocmcc %fortran=gcc", ROCBLAS, []),
        ("%fortran=gcc", replace(ROCBLAS, compilers={"c": "gcc@13.2.0"}), ["compiler"]),
        ("%gcc", replace(ROCBLAS, compilers={}), ["compiler"]),
        # variants
        ("fabrics=verbs", HDF5, []),
        ("fabrics:=verbs", HDF5, ["variants"]),
        ("fabrics:=verbs,ofi", HDF5, []),
        ("fabrics=*", HDF5, []),
        ("fabrics=tcp ~mpi", HDF5, ["variants"]),
        ("mpi=True cxx=false", HDF5, []),
        ("++mpi", HDF5, []),
        ("++shared", HDF5, []),
        ("+shared", HDF5, ["variants"]),
        ("patches=1ea4349f8c", HDF5, []),
        ("amdgpu_target=auto", ROCBLAS, []),
        # os, platform, target: exactly this one, as in Spack
        ("os=ubuntu22.04 platform=linux target=x86_64_v3", HDF5, []),
        ("os=rhel8", HDF5, ["os"]),
        ("platform=darwin", HDF5, ["platform"]),
        ("target=zen4", HDF5, ["target"]),
        ("target=x86_64_v2:", HDF5, []),
        ("target=:zen4", HDF5, []),
        ("target=aarch64:", ROCBLAS, ["target"]),
        ("target=graviton2", ROCBLAS, []),
        ("arch=linux-rhel8-zen4", HDF5, ["os", "target"]),
        # hash
        ("/abcdef", HDF5, []),
        ("hdf5/b", HDF5, ["hash"]),
        # namespace, where it is known
        ("builtin.hdf5", HDF5, []),
        ("builtin.rocblas", ROCBLAS, []),
        ("amd.rocblas", ROCBLAS, ["namespace"]),
        (
            "zlib@1.3 +pic os=rhel8 platform=darwin target=m1 /zzz %apple-clang",
            HDF5,
            ["package", "version", "compiler", "variants", "os", "platform", "target", "hash"],
        ),
    ],
)
def test_a_miss_names_the_axes_that_failed(text, spec, axes):
    assert match(parse_spec(text), spec) == axes


def test_misses_say_what_was_asked_and_what_is_there():
    query = parse_spec("hdf5@1.12 +cxx +shared fabrics:=verbs target=zen4 %gcc@12:")

    assert find_misses(query, HDF5) == [
        Miss("version", "@1.12", "1.14.5"),
        Miss("compiler", "%gcc@12:", "gcc@11.4.0"),
        Miss("variants", "+cxx", "~cxx"),
        Miss("variants", "+shared", None),
        Miss("variants", "fabrics:=verbs", "fabrics=ofi,verbs"),
        Miss("target", "zen4", "x86_64_v3"),
    ]


def test_the_first_variant_that_fails_is_named():
    query = parse_spec("+mpi fabrics:=verbs +cxx")

    assert next(miss.asked for miss in find_misses(query, HDF5) if miss.axis == "variants") == "fabrics:=verbs"
    assert "variants" not in match(parse_spec("+mpi fabrics=verbs"), HDF5)


names = st.sampled_from(["mpi", "cxx", "api", "fabrics", "patches"])
words = st.sampled_from(["ofi", "verbs", "1ea4349", "v18"])
boolean = st.tuples(st.sampled_from("+~"), names).map("".join)
pair = st.tuples(names, st.sampled_from(["=", ":="]), st.lists(words, min_size=1, unique=True).map(",".join)).map(
    "".join
)
candidates = st.builds(
    Candidate,
    package=st.sampled_from(["hdf5", "zlib"]),
    hash=st.text("abc234567", min_size=32, max_size=32),
    version=st.sampled_from(["1.14.5", "1.2", "develop", "2.0rc1", "git.main=1.2"]),
    compiler=st.sampled_from(["gcc@11.4.0", "oneapi@2024.2.1", "none", "llvm@18.1.8"]),
    os=st.sampled_from(["ubuntu22.04", "rhel8"]),
    platform=st.sampled_from(["linux", "darwin"]),
    target=st.sampled_from(["x86_64_v3", "zen4", "graviton2"]),
    variants=st.lists(
        boolean | pair, max_size=4, unique_by=lambda text: text.strip("+~").split("=")[0].rstrip(":")
    ).map(tuple),
)


def spell(spec):
    """A spec as Spack prints it, exactly itself."""
    version = spec.version if spec.version.startswith("git.") else f"={spec.version}"
    name, _, compiler_version = spec.compiler.partition("@")
    return (
        f"{spec.package}@{version} {' '.join(spec.variants)} arch={spec.platform}-{spec.os}-{spec.target} "
        f"/{spec.hash} %{name}" + (f"@={compiler_version}" if compiler_version else "")
    )


@settings(max_examples=150, deadline=None)
@given(candidates)
def test_a_spec_is_what_its_own_text_asks_for(spec):
    assert match(parse_spec(spell(spec)), spec) == []


@settings(max_examples=150, deadline=None)
@given(candidates, candidates)
def test_a_spec_misses_another_on_the_axes_where_they_differ(asked, found):
    axes = match(parse_spec(spell(asked)), found)

    assert axes == [axis for axis in AXES if axis in axes], "in the order of the axes"
    for axis in ("package", "version", "compiler", "os", "platform", "target", "hash"):
        assert (axis in axes) is (getattr(asked, axis) != getattr(found, axis))
    if set(asked.variants) <= set(found.variants):
        assert "variants" not in axes
