"""Every form of index and spec that Spack has written gives the same kind of rows."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Fault
from pipeline.specs.check import Reject
from pipeline.specs.index import Index
from pipeline.specs.node import ConcreteSpec, quote_value, spell_variant
from tests.makers import make_hash, make_index, make_record, make_spec, unique_specs

DATA = Path(__file__).parent / "data"
V3_BLOB = next((DATA / "caches" / "spack-1.1" / "blobs").rglob("68*/*"))


def read_all(data):
    """An index, and what each of its records is."""
    index = Index(data)
    return index, list(index.read())


def read(data):
    """An index, the specs in its cache, and its rejects."""
    index, found = read_all(data)
    return index, [one if isinstance(one, Reject) else one.spec for one in found if is_held(one)]


def is_held(one):
    return isinstance(one, Reject) or one.kind == "spec"


def read_one(record, *more, version="7"):
    """The first of the records, read."""
    _, found = read(make_index([record, *more], version))
    return found[0]


def test_an_index_of_spack_1_1_gives_what_spack_lists_as_its_own():
    index, specs = read(V3_BLOB.read_bytes())

    assert (index.version, len(index), index.externals, index.holes) == ("8", 16, 2, 0)
    assert Counter(spec.compiler for spec in specs) == {"gcc@7.5.0": 11, "none": 3}
    assert {json.dumps(spec.compilers) for spec in specs if spec.compiler == "none"} == {"{}"}


def test_an_index_with_old_specs_beside_new_ones():
    index, specs = read((DATA / "caches" / "spack-1.0-test" / "build_cache" / "index.json").read_bytes())

    assert (len(index), len(specs), index.externals) == (7, 6, 1)
    assert Counter((spec.package, spec.compiler, spec.target) for spec in specs) == {
        ("libelf", "gcc@=10.2.1", "core2"): 1,
        ("libdwarf", "gcc@=10.2.1", "core2"): 1,
        ("libelf", "gcc@10.2.1", "m1"): 1,
        ("libdwarf", "gcc@10.2.1", "m1"): 1,
        ("gcc-runtime", "none", "m1"): 1,
        ("compiler-wrapper", "none", "m1"): 1,
    }
    (old,) = [spec for spec in specs if (spec.package, spec.target) == ("libdwarf", "core2")]
    (new,) = [spec for spec in specs if (spec.package, spec.target) == ("libdwarf", "m1")]
    assert (old.compilers, new.compilers) == (None, {"c": "gcc@10.2.1", "cxx": "gcc@10.2.1"})


SPEC_FILES = {  # hdf5 as Spack 0.13 to 0.20 wrote it, and the version of the database of each
    "v013": ("5", "1.10.5", "skylake_avx512"),
    "v016": ("5", "1.10.7", "icelake"),
    "v017": ("6", "1.10.7", "icelake"),
    "v019": ("6", "1.12.2", "icelake"),
    "v020": ("7", "1.12.2", "icelake"),
}


@pytest.mark.parametrize("name", SPEC_FILES)
def test_specs_in_every_form_since_spack_0_13(name):
    version, hdf5, target = SPEC_FILES[name]
    nodes = json.loads(gzip.decompress((DATA / "specfiles" / f"hdf5.{name}.json.gz").read_bytes()))["spec"]
    nodes = nodes["nodes"] if isinstance(nodes, dict) else nodes
    installs = {(node if "hash" in node else next(iter(node.values())))["hash"]: {"spec": node} for node in nodes}
    index, specs = read(json.dumps({"database": {"version": version, "installs": installs}}).encode())
    by_name = {spec.package: spec for spec in specs}
    spec = by_name["hdf5"]

    assert not [one for one in specs if isinstance(one, Reject)]
    assert len(specs) + index.externals == len(nodes)
    assert (spec.version, spec.target, spec.compiler, spec.os) == (hdf5, target, "gcc@=9.4.0", "ubuntu20.04")
    assert {"openmpi", "zlib"} <= {edge.package for edge in spec.dependencies}
    assert all("link" in edge.deptypes for edge in spec.dependencies if edge.package == "zlib")
    # Spec files of these versions name dependencies by their build hash, databases by the hash.
    known = [node if "hash" in node else next(iter(node.values())) for node in nodes]
    assert {edge.hash for edge in spec.dependencies} <= {
        one.get(key) for one in known for key in ("hash", "build_hash")
    }


def test_what_is_not_in_the_cache_is_counted_and_left_out():
    records = [
        make_record(make_spec(1), "binary"),
        make_record(make_spec(2), "glibc", in_buildcache=False, external={"path": "/usr"}),
        make_record(make_spec(3), "hole", in_buildcache=False),
        make_record(make_spec(4), "old", deprecated_for=make_hash(1)),
    ]
    index, specs = read(make_index(records))

    assert [spec.package for spec in specs] == ["binary", "old"]
    assert (len(index), index.externals, index.holes) == (4, 1, 1)


@pytest.mark.parametrize(
    ("external", "kind", "path", "modules"),
    [
        ({"path": "/usr", "module": None, "extra_attributes": {}}, "external", "/usr", []),
        ({"path": None, "module": ["cray-mpich/8.1"]}, "external", None, ["cray-mpich/8.1"]),
        ({"path": "/opt", "module": "mpich"}, "external", "/opt", ["mpich"]),  # Spack 0.13
        ({"path": "/opt", "module": False}, "external", "/opt", []),  # Spack 0.16
        (True, "external", None, []),
        ({}, "hole", None, []),
        (False, "hole", None, []),
        (None, "hole", None, []),
    ],
)
def test_what_is_not_in_the_cache_is_an_external_or_a_hole(external, kind, path, modules):
    _, (one,) = read_all(make_index([make_record(make_spec(1), "mpich", in_buildcache=False, external=external)]))

    assert (one.kind, one.spec.package, one.spec.hash) == (kind, "mpich", make_hash(1))
    assert (one.spec.external, one.spec.external_path, one.spec.external_modules) == (kind == "external", path, modules)


def test_an_index_from_before_pushes_were_marked_lists_all_but_externals():
    records = [make_record(make_spec(1), "a"), make_record(make_spec(2), "b", external={"path": "/usr"})]
    for record in records:
        del record["in_buildcache"]
    index, specs = read(make_index(records, "5"))

    assert ([spec.package for spec in specs], index.externals) == (["a"], 1)


def edge(number, name, deptypes=("build",), virtuals=()):
    return {
        "name": name,
        "hash": make_hash(number),
        "parameters": {"deptypes": list(deptypes), "virtuals": list(virtuals)},
    }


@pytest.mark.parametrize(
    ("dependencies", "compiler", "compilers"),
    [
        ([], "none", {}),
        ([edge(90, "gcc")], "none", {}),  # needed, but not to compile with: so with gcc-runtime
        ([edge(90, "gcc", ["link"], ["c"])], "none", {}),
        ([edge(90, "gcc", virtuals=["fortran-rt"])], "none", {}),
        ([edge(90, "gcc", virtuals=["fortran"])], "gcc@13.2.0", {"fortran": "gcc@13.2.0"}),
        (
            [edge(90, "gcc", virtuals=["fortran"]), edge(91, "llvm", virtuals=["c", "cxx"])],
            "llvm@19.1.7",
            {"c": "llvm@19.1.7", "cxx": "llvm@19.1.7", "fortran": "gcc@13.2.0"},
        ),
        ([edge(99, "gcc", virtuals=["cxx"])], "gcc", {"cxx": "gcc"}),  # the index does not hold it
    ],
)
def test_the_compiler_is_the_first_that_provides_c_then_cxx_then_fortran(dependencies, compiler, compilers):
    compiled = make_record(make_spec(1), "p", dependencies=dependencies)
    nodes = [
        make_record(make_spec(90, versions=["13.2.0"]), "gcc", in_buildcache=False, external={"path": "/usr"}),
        make_record(make_spec(91, versions=["19.1.7"]), "llvm"),
    ]
    for record in (compiled, *nodes):
        del record["spec"]["annotations"]
    spec = read_one(compiled, *nodes, version="8")

    assert (spec.compiler, spec.compilers) == (compiler, compilers)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("mpi", True, "+mpi"),
        ("mpi", False, "~mpi"),
        ("cuda_arch", "90", "cuda_arch=90"),
        ("cuda_arch", ["80", "90"], "cuda_arch=80,90"),
        ("fabrics", ["ofi", "verbs"], "fabrics=ofi,verbs"),
        ("languages", ["c", "c++"], "languages='c,c++'"),
        ("note", "it's", 'note="it\'s"'),
        ("empty", [], "empty="),
        (
            "patches",
            ["26090f418891757af46a", "b231fcc4d5cff05e5c3a"],
            "patches=26090f4,b231fcc",
        ),
    ],
)
def test_variants_are_spelt_as_spack_prints_them(name, value, text):
    assert spell_variant(name, value) == text


@given(st.text(min_size=1))
def test_a_quoted_value_reads_back(value):
    quoted = quote_value(value)

    if quoted.startswith('"') and value != quoted:
        assert json.loads(quoted) == value
    else:
        assert quoted in (value, f"'{value}'")


def test_flags_and_patches_are_kept_apart():
    record = make_record(make_spec(1, variants=["+mpi"]))
    patch = "22af3471f3fd87c0fe8917bf9c811c6d806de6c8b9867d30a1e3d383a1b929d7"
    record["spec"]["parameters"] |= {"cflags": ["-O2", "-g"], "ldflags": [], "patches": [patch]}
    spec = read_one(record)

    assert spec.variants == ["+mpi", "patches=22af347"]
    assert (spec.patches, spec.compiler_flags) == ([patch], {"cflags": "-O2 -g"})


@given(unique_specs())
def test_each_record_is_a_spec_once(specs):
    index, found = read(make_index(make_record(spec) for spec in specs))

    assert [type(one) for one in found] == [ConcreteSpec] * len(specs)
    assert [(one.hash, one.version, one.os, one.platform, one.target) for one in found] == [
        (spec["hash"], spec["versions"][0], spec["os"], spec["platform"], spec["target"]) for spec in specs
    ]
    assert len(index) == len(specs)


BROKEN = {
    "spec is missing": (lambda r: r.pop("spec"), "", "missing required field 'spec'"),
    "version is a number": (lambda r: r["spec"].update(version=1.1), "spec.version", "expected 'str', got 'float'"),
    "no version": (lambda r: r["spec"].pop("version"), "spec", "missing required field 'version'"),
    "no name": (lambda r: r["spec"].pop("name"), "spec.name", "is empty or missing"),
    "arch is a text": (lambda r: r["spec"].update(arch="x"), "spec.arch", "expected 'object', got 'str'"),
    "no target": (lambda r: r["spec"]["arch"].pop("target"), "spec.arch", "missing required field 'target'"),
    "parameter is a mapping": (lambda r: r["spec"]["parameters"].update(x={}), "spec.parameters[...]", "got 'object'"),
    "another hash": (lambda r: r["spec"].update(hash=make_hash(5)), "spec.hash", "and not the key"),
    "odd compiler": (
        lambda r: r["spec"].update(compiler={"name": "a b", "version": "1"}),
        "compiler",
        "is not name@version",
    ),
    "a NUL": (lambda r: r["spec"].update(version="1\0"), "", "holds a NUL character"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_a_reject_and_the_rest_is_read(name):
    change, place, reason = BROKEN[name]
    record = make_record(make_spec(1))
    change(record)
    installs = {make_hash(1): record, make_hash(2): make_record(make_spec(2))}
    _, (reject, spec) = read(json.dumps({"database": {"version": "7", "installs": installs}}).encode())

    assert spec.hash == make_hash(2)
    assert reject.place == f"database.installs[{make_hash(1)}]" + f".{place}" * bool(place)
    assert reason in reject.reason
    assert reject.specs == 1
    assert reject.raw.startswith("{")


def join_records(pairs, version="7"):
    """An index of records under keys, which may stand there more than once."""
    installs = ", ".join(f"{json.dumps(key)}: {json.dumps(record)}" for key, record in pairs)
    return f'{{"database": {{"version": "{version}", "installs": {{{installs}}}}}}}'.encode()


def test_a_hash_that_stands_there_twice_is_a_reject_and_the_first_is_kept():
    first, second = make_record(make_spec(1, versions=["1.0"])), make_record(make_spec(1, versions=["2.0"]))
    other = make_record(make_spec(2), "zlib", in_buildcache=False)
    pairs = [(make_hash(1), first), (make_hash(2), other), (make_hash(1), second), (make_hash(2), 5)]
    index, found = read(join_records(pairs))
    (spec,) = [one for one in found if isinstance(one, ConcreteSpec)]
    rejects = [one for one in found if isinstance(one, Reject)]

    assert spec.version == "1.0"
    assert [one.place for one in rejects] == [f"database.installs[{make_hash(number)}]" for number in (1, 2)]
    assert [one.reason for one in rejects] == [
        "stands there more than once: this is record 3 of the index, and record 1 is kept",
        "stands there more than once: this is record 4 of the index, and record 2 is kept",
    ]
    assert '"2.0"' in rejects[0].raw
    assert len(index) == 4 == len(found) + index.externals + index.holes


def test_a_text_that_looks_like_a_record_is_none():
    text = f'{{"{make_hash(1)}": {{"spec": {{}}}}}}, "{make_hash(1)}": {{"spec": {{}}}}'
    record = make_record(make_spec(1), ref_count=text)
    record["spec"]["parameters"]["note"] = text
    record[make_hash(1)] = {"spec": {}}
    index, (spec,) = read(make_index([record]))

    assert (len(index), spec.hash) == (1, make_hash(1))


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=8))
def test_the_records_of_an_index_add_up(drawn):
    pairs = [(make_hash(number), make_record(make_spec(number), in_buildcache=there)) for number, there in drawn]
    index, found = read(join_records(pairs))
    first = dict(reversed(drawn))

    assert len(index) == len(drawn) == len(found) + index.externals + index.holes
    assert [one.hash for one in found if isinstance(one, ConcreteSpec)] == [
        make_hash(number) for number in dict.fromkeys(number for number, _ in drawn) if first[number]
    ]


@pytest.mark.parametrize("key", ["short", make_hash(1).upper(), make_hash(1)[:-1] + "0"])
def test_a_key_that_is_no_hash_is_a_reject(key):
    record = make_record(make_spec(1), hash=key)
    reject = read_one(record)

    assert "not 32 characters of base32" in reject.reason


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "file"),
        (b"{", "file"),
        (b"\xff\xfe", "file"),
        (b"[]", "database"),
        (b"{}", "database"),
        (b'{"database": {"version": "7"}}', "database"),
        (b'{"database": {"version": "7", "installs": []}}', "database"),
        (b'{"database": {"version": "4", "installs": {}}}', "database.version"),
        (b'{"database": {"version": "10", "installs": {}}}', "database.version"),
        (b'{"database": {"version": "7", "installs": {}}} x', "file"),
        (b'{"a":' * 100_000, "file"),
    ],
)
def test_what_is_no_index_is_refused_in_one_line(data, place):
    with pytest.raises(Fault) as caught:
        Index(data)

    assert caught.value.place == place
    assert "\n" not in caught.value.reason


@given(st.data())
def test_an_index_cut_off_anywhere_is_refused(data):
    whole = make_index([make_record(make_spec(1)), make_record(make_spec(2))])
    end = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(Fault):
        Index(whole[:end])
