"""Spack's spec syntax is read as Spack reads it; what is not, or cannot be answered, is shown at its place."""

import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SpecSyntaxError, WarehouseError
from pipeline.spack.spec import AskedCompiler, Query, parse_spec
from pipeline.spack.variants import parse_variant
from pipeline.spack.versions import parse_versions

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def asked(text="", *, version=None, variants=(), compilers=(), **parts):
    """What a spec should be read as, its parts in short."""
    return Query(
        text=text,
        versions=parse_versions(version) if version else None,
        variants=tuple(map(parse_variant, variants)),
        compilers=tuple(compilers),
        **parts,
    )


def compiler(text, family, version=None, languages=()):
    return AskedCompiler(text, family, parse_versions(version) if version else None, languages)


GCC_11 = compiler("%gcc@11", "gcc", "11")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hdf5", {"package": "hdf5"}),
        ("py-build", {"package": "py-build"}),
        ("7zip", {"package": "7zip"}),
        ("  hdf5\t\n", {"package": "hdf5"}),
        ("builtin.hdf5", {"package": "hdf5", "namespace": "builtin"}),
        ("my.own.hdf5", {"package": "hdf5", "namespace": "my.own"}),
        ("hdf5 namespace=builtin", {"package": "hdf5", "namespace": "builtin"}),
        ("*", {}),
        ("* +mpi", {"variants": ["+mpi"]}),
        # Versions.
        ("hdf5@1.14", {"package": "hdf5", "version": "1.14"}),
        ("hdf5 @1.14", {"package": "hdf5", "version": "1.14"}),
        ("hdf5@ 1.14", {"package": "hdf5", "version": "1.14"}),
        ("hdf5@=1.14", {"package": "hdf5", "version": "=1.14"}),
        ("hdf5@1.2:1.4", {"package": "hdf5", "version": "1.2:1.4"}),
        ("hdf5@:1.4", {"package": "hdf5", "version": ":1.4"}),
        ("hdf5@1.2:", {"package": "hdf5", "version": "1.2:"}),
        ("hdf5@:", {"package": "hdf5", "version": ":"}),
        ("hdf5@1.2,1.4:1.6", {"package": "hdf5", "version": "1.2,1.4:1.6"}),
        ("hdf5@1.2 , =1.4", {"package": "hdf5", "version": "1.2,=1.4"}),
        ("hdf5@1.14:target=zen4", {"package": "hdf5", "version": "1.14:", "target": "zen4"}),
        ("hdf5@1.14:build-type=x", {"package": "hdf5", "version": "1.14:", "variants": ["build-type=x"]}),
        ("hdf5@1.14:api:=v18", {"package": "hdf5", "version": "1.14:", "variants": ["api:=v18"]}),
        ("hdf5@1.14:+mpi", {"package": "hdf5", "version": "1.14:", "variants": ["+mpi"]}),
        ("hdf5@1.14-mpi", {"package": "hdf5", "version": "1.14-mpi"}),
        ("hdf5@develop", {"package": "hdf5", "version": "develop"}),
        ("hdf5@git.main", {"package": "hdf5", "version": "git.main"}),
        ("hdf5@git.feature/x=1.14 +mpi", {"package": "hdf5", "version": "git.feature/x=1.14", "variants": ["+mpi"]}),
        (f"hdf5@{COMMIT}", {"package": "hdf5", "version": COMMIT}),
        (f"hdf5@{COMMIT}=develop", {"package": "hdf5", "version": f"{COMMIT}=develop"}),
        ("@1.14:", {"version": "1.14:"}),
        # Variants.
        ("hdf5+mpi~cxx", {"package": "hdf5", "variants": ["+mpi", "~cxx"]}),
        ("hdf5 -mpi", {"package": "hdf5", "variants": ["-mpi"]}),
        ("hdf5-mpi", {"package": "hdf5-mpi"}),
        ("hdf5++mpi~~cxx --tools", {"package": "hdf5", "variants": ["++mpi", "~~cxx", "--tools"]}),
        ("hdf5 api=v18 fabrics=a,b", {"package": "hdf5", "variants": ["api=v18", "fabrics=a,b"]}),
        ("hdf5 fabrics:=a,b", {"package": "hdf5", "variants": ["fabrics:=a,b"]}),
        ("hdf5 api==v18 x:==y", {"package": "hdf5", "variants": ["api==v18", "x:==y"]}),
        ("hdf5 title='a b@1 ^c' +mpi", {"package": "hdf5", "variants": ["title='a b@1 ^c'", "+mpi"]}),
        (r'hdf5 title="say \"it\""', {"package": "hdf5", "variants": [r'title="say \"it\""']}),
        ("hdf5 fabrics=a%gcc", {"package": "hdf5", "variants": ["fabrics=a%gcc"]}),
        ("+mpi", {"variants": ["+mpi"]}),
        # Compilers.
        ("hdf5%gcc", {"package": "hdf5", "compilers": [compiler("%gcc", "gcc")]}),
        ("hdf5 %gcc@11", {"package": "hdf5", "compilers": [GCC_11]}),
        ("hdf5 % gcc @11:12", {"package": "hdf5", "compilers": [compiler("% gcc @11:12", "gcc", "11:12")]}),
        ("%gcc@11:", {"compilers": [compiler("%gcc@11:", "gcc", "11:")]}),
        ("%gcc@=11.4.0", {"compilers": [compiler("%gcc@=11.4.0", "gcc", "=11.4.0")]}),
        ("%%gcc", {"compilers": [compiler("%%gcc", "gcc")]}),
        ("%none", {"compilers": [compiler("%none", "none")]}),
        ("%builtin.gcc", {"compilers": [compiler("%builtin.gcc", "gcc")]}),
        (
            "hdf5 %oneapi@2024",
            {"package": "hdf5", "compilers": [compiler("%oneapi@2024", "intel-oneapi-compilers", "2024")]},
        ),
        ("%c,cxx=gcc@11", {"compilers": [compiler("%c,cxx=gcc@11", "gcc", "11", ("c", "cxx"))]}),
        ("%[virtuals=c,cxx] gcc", {"compilers": [compiler("%[virtuals=c,cxx] gcc", "gcc", None, ("c", "cxx"))]}),
        (
            "%[deptypes=build virtuals='c'] gcc",
            {"compilers": [compiler("%[deptypes=build virtuals='c'] gcc", "gcc", None, ("c",))]},
        ),
        (
            "%c,cxx=clang@18 %fortran=gcc",
            {
                "compilers": [
                    compiler("%c,cxx=clang@18", "llvm", "18", ("c", "cxx")),
                    compiler("%fortran=gcc", "gcc", None, ("fortran",)),
                ]
            },
        ),
        # Where it runs.
        ("os=ubuntu22.04 platform=linux", {"os": "ubuntu22.04", "platform": "linux"}),
        ("operating_system=rhel8", {"os": "rhel8"}),
        ("target=zen4", {"target": "zen4"}),
        ("target=x86_64_v3:", {"target": "x86_64_v3:"}),
        ("target=x86_64_v3:zen3,icelake", {"target": "x86_64_v3:zen3,icelake"}),
        ("target='zen4'", {"target": "zen4"}),
        ("target=graviton2", {"target": "graviton2"}),
        ("arch=linux-ubuntu22.04-zen4", {"platform": "linux", "os": "ubuntu22.04", "target": "zen4"}),
        ("arch=linux-None-zen4:", {"platform": "linux", "target": "zen4:"}),
        ("arch=zen4", {"target": "zen4"}),
        ("architecture=linux-rhel8-None", {"platform": "linux", "os": "rhel8"}),
        # Hashes.
        ("/abc123", {"hash": "abc123"}),
        ("hdf5/abc123", {"package": "hdf5", "hash": "abc123"}),
        ("hdf5@1.14 /abc", {"package": "hdf5", "version": "1.14", "hash": "abc"}),
        # All of it.
        (
            "hdf5@1.14: +mpi fabrics=ofi target=zen4 %gcc@11",
            {
                "package": "hdf5",
                "version": "1.14:",
                "variants": ["+mpi", "fabrics=ofi"],
                "target": "zen4",
                "compilers": [GCC_11],
            },
        ),
    ],
)
def test_a_spec_is_read(text, expected):
    assert parse_spec(text) == asked(text, **expected)


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("", "", "a spec is expected"),
        ("   ", "", "a spec is expected"),
        ("hdf5@", "@", "no version follows '@'"),
        ("hdf5@@1.14", "@@", "no version follows '@'"),
        ("hdf5 @ +mpi", "@ ", "no version follows '@'"),
        ("hdf5@1.14 @1.12", "@1.12", "a second version"),
        ("hdf5@2:1", "@2:1", "2:1 is an empty range"),
        ("hdf5@=1.2:1.4", "@=", "'1.2:1.4' is not a version"),
        ("hdf5@1:2:3", ":3", "':' belongs between versions"),
        ("hdf5 +", "+", "no variant follows '+'"),
        ("hdf5 ~ ", "~", "no variant follows '~'"),
        ("hdf5 +mpi -", "-", "no variant follows '-'"),
        ("hdf5 +mpi ~mpi", "~mpi", "'mpi' a second time: several values are spelt mpi=a,b"),
        ("hdf5 a=x a=y", "a=y", "'a' a second time"),
        ("hdf5 mpi =true", "=true", "'=' needs a name before it and a value after it"),
        ("hdf5 mpi= true", "= true", "'=' needs a name before it and a value after it"),
        ("hdf5 title='a b", "'", "quotes go around a value, as in name='a b', and must be closed"),
        ("hdf5 'a b", "'", "quotes go around a value"),
        ("hdf5 /", "/", "no hash follows '/'"),
        ("/abc /def", "/def", "a second hash"),
        ("hdf5 zlib", "zlib", "'zlib' begins a second spec"),
        ("+mpi hdf5", "hdf5", "'hdf5' begins a second spec"),
        ("hdf5 %gcc zlib", "zlib", "'zlib' begins a second spec"),
        ("hdf5 %", "", "the name of a compiler is expected after '%'"),
        ("hdf5 %@11", "@11", "the name of a compiler is expected after '%'"),
        ("hdf5 % %gcc", " %gcc", "the name of a compiler is expected after '%'"),
        ("hdf5 %gcc@11@12", "@12", "a second version"),
        ("hdf5 %gcc +mpi", "+mpi", "'+mpi' is asked of gcc here"),
        ("hdf5 %gcc target=zen4", "target", "'target=zen4' is asked of gcc here"),
        ("hdf5 %gcc/abc", "/abc", "'/abc' is asked of gcc here"),
        ("hdf5 %mpi=openmpi", "%mpi", "'mpi' is not c, cxx or fortran"),
        ("hdf5 %[when=+mpi] gcc", "when", "'when' cannot be answered"),
        ("hdf5 ^zlib@1.3 %gcc", "^zlib", "caches' pages hold no dependencies"),
        ("hdf5 ^[virtuals=mpi] openmpi", "^[", "caches' pages hold no dependencies"),
        ("hdf5 ^mpi=openmpi", "^mpi", "caches' pages hold no dependencies"),
        ("^zlib", "^zlib", "caches' pages hold no dependencies"),
        ("hdf5 cflags=-O3", "cflags", "caches do not record compiler flags: cflags cannot be answered"),
        ('hdf5 ldflags=="-O3 -g"', "ldflags", "caches do not record compiler flags"),
        ("hdf5 os=a os=b", "os=b", "a second os"),
        ("hdf5 target=zen4 arch=linux-rhel8-zen3", "arch", "a second target"),
        ("hdf5 target==zen4", "==", "target cannot be propagated"),
        ("hdf5 target=zen4%gcc", "%gcc", "'%' cannot be part of the target; what comes after a value needs a space"),
        ("hdf5 target=zen4+mpi", "+mpi", "'+' cannot be part of the target"),
        ("hdf5 os=rhel8^zlib", "^zlib", "'^' cannot be part of the os"),
        ("hdf5 target=zen9:", "zen9", "'zen9' ends a range and is no target that archspec knows"),
        ("hdf5 target=zen4,,zen3", "zen4,,", "'zen4,,zen3' is not a list of targets"),
        ("hdf5 target=zen:zen2:zen3", "zen:", "is not a list of targets"),
        ("hdf5!", "!", "'!' is not part of a spec"),
        ("hdf5 é", "é", "'é' is not part of a spec"),
        ("./hdf5.json", "./", "'.' is not part of a spec"),
        ("hdf5 @" + "9" * 5000 + ":1", "@9", "is an empty range"),
        ("hdf5 @" + "9" * 5000, "@9", "digits"),
    ],
)
def test_what_cannot_be_read_is_shown_at_its_place(text, at, reason):
    with pytest.raises(SpecSyntaxError) as caught:
        parse_spec(text)

    error = caught.value
    assert error.offset == (text.rindex(at) if at else len(text))
    assert reason in error.reason
    assert isinstance(error, WarehouseError)


def test_an_error_draws_a_caret_under_the_place():
    with pytest.raises(SpecSyntaxError) as caught:
        parse_spec("hdf5@1.14:\t+mpi ^zlib")

    line, caret = caught.value.render().splitlines()
    assert line == "hdf5@1.14: +mpi ^zlib"
    assert caret.startswith(" " * 16 + "^ caches' pages hold no dependencies")
    assert "character 17" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=400, deadline=None)
@given(
    st.text(alphabet="ab1.-_@:=,+~%^/[]'\"* \\é\n", max_size=30)
    | st.lists(
        st.sampled_from(
            ["hdf5", "@1.2", ":", ",", "+mpi", " ", "~", "%", "gcc", "@=", "^", "k=v", ":=", "/a", "'", '"']
        )
    ).map("".join)
    | st.text()
)
def test_any_text_is_read_or_refused_at_a_place_in_it(text):
    error = None
    try:
        query = parse_spec(text)
    except SpecSyntaxError as caught:
        error = caught
    if error is None:
        assert query.text == text
        return
    assert 0 <= error.offset <= len(text)
    line, caret = error.render().split("\n")
    assert len(line) == len(text)
    assert caret.index("^") == error.offset


NO_VARIANTS = "arch architecture namespace operating_system os platform target"
NO_VARIANTS += " cflags cppflags cxxflags fflags ldflags ldlibs"
names = st.text(string.ascii_lowercase + string.digits + "-_", min_size=1, max_size=8).filter(
    lambda name: name[0] != "-" and name not in NO_VARIANTS.split()
)
values = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=6)
specs = st.fixed_dictionaries(
    {
        "package": names,
        "version": st.sampled_from(["", "@1.14", "@=1.14", "@1.2:1.4", "@:1.4", "@1.2,1.4:", "@git.main", "@1.2:"]),
        "booleans": st.dictionaries(names, st.sampled_from(["+", "~", "++", "~~", " -", " --"]), max_size=3),
        "pairs": st.dictionaries(names, st.tuples(st.sampled_from(["=", ":=", "=="]), values), max_size=3),
        "target": st.sampled_from(["", "zen4", "x86_64_v3:", ":zen3", "zen2,zen3"]),
        "compiler": st.sampled_from(["", "%gcc", "%gcc@11:", "%c,cxx=oneapi@2024"]),
    }
)


@settings(max_examples=200, deadline=None)
@given(specs, st.booleans())
def test_the_parts_of_a_spec_come_back_as_they_went_in(parts, tight):
    """Booleans and versions may stand without spaces; pairs need one before them."""
    booleans = {name: sign for name, sign in parts["booleans"].items() if name not in parts["pairs"]}
    glue = "" if tight else " "
    words = [parts["package"], parts["version"], *(sign + name for name, sign in booleans.items())]
    pairs = [name + operator + value for name, (operator, value) in parts["pairs"].items()]
    pairs += [f"target={parts['target']}"] if parts["target"] else []
    text = " ".join([glue.join(words), *pairs, parts["compiler"]])

    query = parse_spec(text)

    assert query.package == parts["package"]
    assert (f"@{query.versions.text}" if query.versions else "") == parts["version"]
    spelt = [sign.strip() + name for name, sign in booleans.items()]
    spelt += [name + operator + value for name, (operator, value) in parts["pairs"].items()]
    assert query.variants == tuple(map(parse_variant, spelt))
    assert (query.target or "") == parts["target"]
    assert " ".join(found.text for found in query.compilers) == parts["compiler"]


def test_before_spack_1_what_follows_a_compiler_is_asked_of_the_package():
    old, new = (
        parse_spec("hdf5 %gcc@11 +mpi api=v18 target=zen4", old=True),
        parse_spec("hdf5 +mpi api=v18 target=zen4 %gcc@11"),
    )

    assert replace(old, text="") == replace(new, text="")
    with pytest.raises(SpecSyntaxError):
        parse_spec("hdf5 %gcc zlib", old=True)
