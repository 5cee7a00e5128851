"""What files expect, and how much of it is there: Spack's rules of environments, counts by hand."""

import itertools
import json
import re
import shutil

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ask.coverage import measure_coverage, read_expected, weigh_packages
from pipeline.errors import FileFaultsError
from pipeline.expected.environment import entails, parse_environment
from pipeline.expected.lists import parse_list, part_nodes
from pipeline.expected.lock import parse_lock
from pipeline.layout import Layout
from pipeline.spack.spec import find_misses, parse_spec
from pipeline.store.database import open_database
from tests.makers import build_pages, make_hash, make_spec, thorough
from tests.test_cli import assert_refused, run
from tests.test_matching import HDF5, candidates

PAGES = {
    ("develop", "hdf5"): [
        make_spec(1, versions=["1.14.5"], stacks=["e4s", "root"]),
        make_spec(2, versions=["1.12.3"], stacks=["hep", "root"], variants=["~mpi", "fabrics=ofi,verbs"]),
    ],
    ("develop", "zlib"): [make_spec(3, versions=["1.3.1"], variants=["+pic"], stacks=["e4s", "hep", "root"])],
    ("develop", "py-numpy"): [make_spec(4, versions=["2.0"], compiler="none", variants=[], stacks=["root"])],
    ("develop", "gmake"): [make_spec(5, versions=["4.4"], platform="darwin", os="sequoia", stacks=["mac", "root"])],
    ("v1.0", "old"): [make_spec(6)],
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return build_pages(tmp_path_factory.mktemp("expected"), PAGES)


def list_texts(expected):
    return [item.text for item in expected.items]


def read_faults(parse, text):
    with pytest.raises(FileFaultsError) as caught:
        parse(text, "file")
    return caught.value.faults


# Lists


def test_a_list_has_a_spec_to_a_line_and_comments():
    expected = parse_list("# all\n\nhdf5@1.14: +mpi  # why\n  zlib\nzlib\npy-numpy#no\n".replace("#no", " #no"), "f")

    assert list_texts(expected) == ["hdf5@1.14: +mpi", "zlib", "py-numpy"]
    assert [item.place for item in expected.items] == ["f:3", "f:4", "f:6"]
    assert expected.notes == []


def test_what_cannot_be_answered_is_left_out_and_reported():
    expected = parse_list("hdf5 +mpi cflags='-O2 -g' ^mpich@4 %gcc ^zlib\nzlib\n", "f")

    assert [query.text for query in expected.items[0].queries] == ["hdf5 +mpi"]
    assert expected.notes == [
        "f:1: not evaluated: ^mpich@4 %gcc",
        "f:1: not evaluated: ^zlib",
        "f:1: not evaluated: cflags='-O2 -g'",
    ]


def test_every_fault_of_a_list_is_reported():
    assert read_faults(parse_list, "hdf5@\nzlib\n+mpi\n") == ["file:1: 'hdf5@', character 5: no version follows '@'"]
    assert read_faults(parse_list, "zlib\n+mpi\n") == ["file:2: '+mpi' names no package"]
    assert read_faults(parse_list, "a b\nc d\n")[1].startswith("file:2: 'c d', character 3: 'd' begins a second spec")
    assert read_faults(parse_list, "# nothing\n") == ["file: no spec is expected in it"]


@given(st.lists(st.sampled_from(["^", "a", " ", "'", '"', "x='^'", "=", "\n"]), max_size=12).map("".join))
def test_parting_a_spec_loses_only_carets_and_spaces(text):
    node, dependencies = part_nodes(text)

    assert re.sub(r"[\s^]", "", text) == re.sub(r"[\s^]", "", "".join([node, *dependencies]))


def test_a_quoted_caret_parts_nothing():
    assert part_nodes("a x='b^c' ^d") == ("a x='b^c'", ["d"])


# spack.yaml


ENVIRONMENT = """\
spack:
  definitions:
  - packages: [hdf5@1.14, 'zlib+pic']
  - compilers: ['%gcc@11', '%clang']
  - mpis: [mpich, openmpi]
  - packages: [py-numpy]
    when: platform == 'linux'
  specs:
  - cmake
  - $packages
  - matrix:
    - [$packages]
    - [$compilers]
    exclude: ['zlib%clang', hdf5@1.14 %gcc]
  - matrix:
    - [trilinos]
    - [$^mpis]
    exclude: [trilinos ^mpich]
  view: true
"""


def test_definitions_and_matrices_are_written_out():
    expected = parse_environment(ENVIRONMENT, "e")

    assert list_texts(expected) == [
        "cmake",
        "hdf5@1.14",
        "zlib+pic",
        "py-numpy",
        "hdf5@1.14 %clang",
        "zlib+pic %gcc@11",
        "py-numpy %gcc@11",
        "py-numpy %clang",
        "trilinos ^openmpi",
    ]
    assert [item.place for item in expected.items][:2] == ["e:9", "e:3"]
    assert expected.notes == [
        "e:7: not evaluated: when: platform == 'linux'; the specs of 'packages' below it are expected",
        "e:5: not evaluated: ^openmpi",
    ]


OLD_ENVIRONMENT = """\
spack:
  packages:
    all: {target: [x86_64]}
  definitions:
  - system:
    - matrix:
      - - zlib@1.2.8 cppflags=-O3
        - tcl ^zlib@1.2.8 cppflags=-O3
        - sdk
            +adios2
            +ascent
        - macsio@1.1+scr^scr@2.0.0~fortran^silo~fortran
      - ['%gcc@7.5.0 target=x86_64']
  - built:
    - matrix:
      - [scalapack]
      - [^mpich, ^openmpi]
      - ['%gcc@8.4.0']
      exclude: [^openmpi]
  specs:
  - $system
  - matrix:
    - [$built]
    - [+shared]
  - py-scipy^openblas
"""


def test_environments_of_old_stacks_are_read_too():
    """Shapes of the stacks in Spack's own CI, before 1.0."""
    expected = parse_environment(OLD_ENVIRONMENT, "e")

    assert list_texts(expected) == [
        "zlib@1.2.8 cppflags=-O3 %gcc@7.5.0 target=x86_64",
        "tcl ^zlib@1.2.8 cppflags=-O3 %gcc@7.5.0 target=x86_64",
        "sdk +adios2 +ascent %gcc@7.5.0 target=x86_64",
        "macsio@1.1+scr^scr@2.0.0~fortran^silo~fortran %gcc@7.5.0 target=x86_64",
        "scalapack ^mpich %gcc@8.4.0 +shared",
        "py-scipy^openblas",
    ]
    assert {query.target for item in expected.items[:4] for query in item.queries} == {None, "x86_64"}
    assert [variant.text for variant in expected.items[4].queries[0].variants] == []
    assert expected.items[4].queries[-1].variants[0].text == "+shared"
    assert "e:13: read as before Spack 1.0, all but the compiler asked of the package: %gcc@7.5.0 target=x86_64" in (
        expected.notes
    )


def write_environment(specs, definitions="[]", more=""):
    return f"spack:\n  definitions: {definitions}\n  specs: {specs}\n{more}"


@pytest.mark.parametrize(
    ("specs", "texts"),
    [
        ("[{matrix: [[a, b], [+x, ~x]]}]", ["a +x", "a ~x", "b +x", "b ~x"]),
        ("[{matrix: [[a], [{matrix: [['%gcc'], ['@1', '@2']]}]]}]", ["a %gcc @1", "a %gcc @2"]),
        ("[{matrix: [[a, b], [+x]], exclude: ['a+x', b~x]}]", ["b +x"]),
        ("[{matrix: [[a@1.2, a@1.3]], exclude: ['a@1.2:1.2.9,1.2']}]", ["a@1.3"]),
        ("[{matrix: [[a], [target=zen4, target=zen3]], exclude: ['target=x86_64_v4:']}]", ["a target=zen3"]),
        ("[{matrix: [[a], ['%c=gcc', '%gcc']], exclude: ['%c=gcc']}]", ["a %gcc"]),
        ("[a, null, a]", ["a"]),
        ("[{group: tools, specs: [a, {matrix: [[b], [+x]]}], needs: [c]}, d]", ["a", "b +x", "d"]),
    ],
)
def test_specs_of_environments(specs, texts):
    assert list_texts(parse_environment(write_environment(specs), "e")) == texts


def test_a_matrix_is_the_product_less_what_satisfies_an_exclude():
    """An exclude takes out what is sure to satisfy it."""
    rows = [["hdf5", "zlib"], ["@1.14.5", "@2.0rc1:"], ["+mpi", "~mpi"], ["%gcc@11", "%oneapi"]]
    exclude = ["hdf5+mpi", "@2: %gcc", "zlib@1.14 ~mpi"]
    expected = parse_environment(write_environment(json.dumps([{"matrix": rows, "exclude": exclude}])), "e")

    def excluded(name, version, mpi, compiler):
        return (
            (name == "hdf5" and mpi == "+mpi")
            # In Spack's order 2 < 2.0rc1.
            or (version == "@2.0rc1:" and compiler == "%gcc@11")
            or (name == "zlib" and version == "@1.14.5" and mpi == "~mpi")
        )

    assert list_texts(expected) == [" ".join(one) for one in itertools.product(*rows) if not excluded(*one)]


constraints = st.sampled_from(
    ["hdf5", "zlib", "@1.14", "@1.2:", "@=1.14.5", "+mpi", "~mpi", "fabrics=ofi", "fabrics:=ofi,verbs", "api=v18"]
) | st.sampled_from(["os=rhel8", "platform=linux", "target=zen4", "target=x86_64_v3:", "%gcc", "%gcc@11", "%llvm"])


@settings(max_examples=300, deadline=None)
@given(st.lists(constraints, min_size=1, max_size=4, unique=True), constraints, candidates)
def test_what_is_entailed_is_met_by_all_that_meet_the_rest(texts, asked, spec):
    given = [parse_spec(text) for text in texts]
    if entails(given, parse_spec(asked)) and all(not find_misses(query, spec) for query in given):
        assert not find_misses(parse_spec(asked), spec)
    if asked in texts:
        assert entails(given, parse_spec(asked))


def test_toolchains_and_what_is_added_elsewhere_are_reported():
    text = write_environment(
        "[a %tools, b]", more="  toolchains: {tools: '%gcc'}\n  packages: {all: {}}\n  include:: [x]\n"
    )
    expected = parse_environment(text, "e")

    assert expected.items[0].queries[0].compilers == ()
    assert expected.notes == [
        "e:6: not evaluated: what include: adds to the specs",
        "e:5: not evaluated: what packages: adds to the specs",
        "e:3: not evaluated: the toolchain %tools",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("spack: {specs: [$x]}", "file:1: $x: no definition 'x' stands before it"),
        ("spack: {specs: x}", "file:1: specs: a list is expected"),
        ("spack: {specs: [[a]]}", "file:1: specs: a spec or a matrix is expected"),
        ("spack: {specs: [{exclude: [a]}]}", "file:1: a mapping among specs has a key 'matrix'"),
        (
            "spack:\n  specs:\n  - matrix: [[a]]\n    sigil: ^",
            "file:4: 'sigil' is no key of a matrix: there are matrix and exclude",
        ),
        (
            "spack: {definitions: [{a: [x], b: [y]}]}",
            "file:1: a definition has one name and perhaps a 'when', not: a, b",
        ),
        ("spack: {definitions: [{when: 'x'}]}", "file:1: a definition has one name and perhaps a 'when', not: none"),
        ("spack:\n  specs:\n  - a b", "file:3: 'a b', character 3: 'b' begins a second spec"),
        ("spack: {specs: [{matrix: [[a], [b]]}]}", "file:1: 'a b' names several packages: a, b"),
        ("spack: {specs: []}", "file: no spec is expected in it"),
        ("spack:\n  specs: [", "file:2: is no YAML: "),
        ("specs: [a]", "file: is no spack.yaml: it has no key 'spack'"),
        ("", "file: is no spack.yaml: it has no key 'spack'"),
        ("\x00", "file:1: is no YAML: "),
        (f"spack: {{specs: [{{matrix: [{', '.join(['[a, a, a, a]'] * 9)}]}}]}}", "file:1: the matrix has more than"),
        ("spack: {specs: &a [{matrix: [*a]}]}", "file"),
    ],
)
def test_faults_of_environments_name_the_line(text, fault):
    assert read_faults(parse_environment, text)[0].startswith(fault)


# spack.lock


def make_node(name, version="1.0", dependencies=(), **more):
    return {
        "name": name,
        "version": version,
        "arch": {"platform": "linux", "platform_os": "ubuntu22.04", "target": {"name": "x86_64_v3"}},
        "parameters": {"mpi": True, "cuda": False, "build_system": "cmake", "cflags": [], "cxxflags": ["-O"]},
        "dependencies": [
            {"name": name, "hash": hash, "parameters": {"deptypes": ["build", "link"], "virtuals": virtuals}}
            for name, hash, virtuals in dependencies
        ],
        **more,
    }


GCC = make_node("gcc", "11.4.0", external={"path": "/usr"})
LOCK = {
    "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
    "roots": [{"hash": make_hash(90), "spec": "hdf5"}, {"hash": make_hash(94), "spec": "old"}],
    "concrete_specs": {
        # The same configuration as the page's spec 1, under another hash.
        make_hash(90): make_node(
            "hdf5", "1.14.5", [("zlib", make_hash(3), []), ("gcc", make_hash(99), ["c"]), ("x", make_hash(91), [])]
        ),
        make_hash(3): make_node("zlib", "9.9", [("gmake", make_hash(92), [])]),
        make_hash(91): make_node("py-numpy", "3.0", [("zlib", make_hash(3), [])], parameters={"k": ["a", "b"]}),
        make_hash(92): make_node("gmake", "4.4", compiler={"name": "clang", "version": "18"}),
        make_hash(94): make_node("old"),
        make_hash(99): GCC,
    },
}


def test_a_lock_expects_its_concrete_specs_and_no_externals():
    expected = parse_lock(json.dumps(LOCK), "l")
    items = {item.package: item for item in expected.items}

    assert [item.package for item in expected.items] == ["hdf5", "old", "gmake", "py-numpy", "zlib"]
    assert [item.root for item in expected.items] == [True, True, False, False, False]
    assert {name: item.dependents for name, item in items.items()} == {
        "hdf5": 0,
        "old": 0,
        "gmake": 1,
        "py-numpy": 1,
        "zlib": 2,
    }
    (query,) = items["hdf5"].queries
    assert [variant.text for variant in query.variants] == ["+mpi", "~cuda", "build_system=cmake"]
    assert [compiler.text for compiler in query.compilers] == ["%gcc@=11.4.0"]
    assert (query.platform, query.os, query.target) == ("linux", "ubuntu22.04", "x86_64_v3")
    assert items["gmake"].queries[0].compilers[0].family == "llvm"
    assert items["py-numpy"].queries[0].variants[0].values == {"a", "b"}
    assert expected.notes == ["l: 1 external specs are expected in no cache"]


def test_an_old_lock_is_read_too():
    node = make_node("zlib")
    node.pop("name")
    node["dependencies"] = {"gmake": {"hash": make_hash(2), "type": ["build", "run"]}}
    node["arch"]["target"] = "x86_64_v3"
    specs = {make_hash(1): {"zlib": node}, make_hash(2): make_node("gmake")}

    items = parse_lock(json.dumps({"roots": [], "concrete_specs": specs}), "l").items
    assert [(item.package, item.dependents) for item in items] == [("gmake", 1), ("zlib", 0)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "file: is no JSON: "),
        ("[]", "file: is no spack.lock"),
        ('{"concrete_specs": []}', "file: is no spack.lock"),
        ('{"concrete_specs": {}}', "file: no spec is expected in it"),
        ('{"concrete_specs": {"abc": 1}}', "file: concrete_specs.abc: is no spec of a lock file"),
        ('{"concrete_specs": {"abc": {"name": "x", "version": "1"}}}', "file: concrete_specs.abc: is no spec"),
        ('{"roots": 1, "concrete_specs": {"abc": {"name": "x", "version": "@", "arch": {"target": "a"}}}}', "file: "),
    ],
)
def test_faults_of_locks_name_the_place(text, fault):
    assert read_faults(parse_lock, text)[0].startswith(fault)


def list_places(value, place=()):
    yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from list_places(value[key], (*place, key))


@settings(max_examples=200, deadline=None)
@given(
    place=st.sampled_from(list(list_places(LOCK))[1:]),
    junk=st.sampled_from([None, 0, 1, "", "x", "@", [], [1], [None], ["x"], {}, {"hash": []}, {"x": 1}, True]),
)
def test_a_broken_lock_is_refused_or_read_and_nothing_else(place, junk):
    lock = json.loads(json.dumps(LOCK))
    *outer, last = place
    holder = lock
    for key in outer:
        holder = holder[key]
    holder[last] = junk
    try:
        expected = parse_lock(json.dumps(lock), "l")
    except FileFaultsError as error:
        faults, items = error.faults, []
    else:
        faults, items = [], expected.items
    assert all(fault.startswith("l: ") for fault in faults)
    for item in items:
        find_misses(item.queries[0], HDF5)


# How much is there


def measure(warehouse, items, stacks=()):
    with open_database(Layout(warehouse)) as connection:
        return measure_coverage(connection, items, "develop", stacks)


def test_three_of_four_are_three_quarters_and_the_missing_one_is_listed(warehouse, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("hdf5@1.14:\nzlib+pic\npy-numpy\nhdf5@1.16:\n")
    done = run("gaps", "--warehouse", warehouse, "--expected", path, "--format", "json")

    assert done.returncode == 3
    rows = json.loads(done.stdout)
    assert rows[0] == {
        "snapshot": "develop",
        "stack": "*",
        "expected": 4,
        "present": 3,
        "by_hash": None,
        "share": 0.75,
        "weighted_share": None,
        "missing": ["hdf5@1.16:"],
        "causes": None,
    }
    assert [(row["stack"], row["present"], row["missing"]) for row in rows[1:]] == [
        ("e4s", 2, ["py-numpy", "hdf5@1.16:"]),
        ("hep", 1, ["hdf5@1.14:", "py-numpy", "hdf5@1.16:"]),
        ("mac", 0, ["hdf5@1.14:", "zlib+pic", "py-numpy", "hdf5@1.16:"]),
    ]
    assert done.stderr == (f"missing everywhere: {path}:4: hdf5@1.16:: nearest: version: asked @1.16:, has 1.14.5\n")


def test_all_of_it_present_ends_with_0(warehouse, tmp_path):
    path = tmp_path / "list"
    path.write_text("hdf5\nzlib\n")

    assert run("gaps", "--warehouse", warehouse, "--expected", path).returncode == 0
    assert run("gaps", "--warehouse", warehouse, "--expected", path, "--stack", "e4s").returncode == 0
    mac = run("gaps", "--warehouse", warehouse, "--expected", path, "--stack", "e4s", "--stack", "mac")
    assert mac.returncode == 3
    assert mac.stderr.splitlines()[0] == f"missing in mac: {path}:1: hdf5: nothing of the package is there"


def test_of_a_misspelt_name_in_a_list_the_nearest_are_suggested(warehouse, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("hdff5\nhdf5 os=ubuntu2204\n")
    done = run("gaps", "--warehouse", warehouse, "--expected", path)

    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"missing everywhere: {path}:1: hdff5: nothing of the package is there; no package 'hdff5' in the warehouse; "
        "did you mean hdf5?",
        f"missing everywhere: {path}:2: hdf5 os=ubuntu2204: nearest: os: asked ubuntu2204, has ubuntu22.04; "
        "no os 'ubuntu2204' in the warehouse; did you mean ubuntu22.04?",
    ]


def test_a_lock_is_looked_for_by_hash_and_then_by_configuration(warehouse):
    items = parse_lock(json.dumps(LOCK), "l").items
    anywhere, *stacks = measure(warehouse, items)

    assert {finding.item.package: finding.found for finding in anywhere.findings} == {
        "hdf5": "configuration",
        "zlib": "hash",
        "py-numpy": "package",
        "gmake": "package",
        "old": "nothing",
    }
    # hdf5 weighs 1, zlib 3, of 1 + 3 + 2 + 2 + 1.
    assert anywhere.row()[2:7] == (5, 2, 1, 0.4, 4 / 9)
    assert [coverage.stack for coverage in stacks] == ["e4s", "hep", "mac"]
    assert stacks[1].row()[2:5] == (5, 1, 1)


def test_items_list_each_expected_spec(warehouse, tmp_path):
    path = tmp_path / "spack.lock"
    path.write_text(json.dumps(LOCK))
    done = run("gaps", "--warehouse", warehouse, "--expected", path, "--items", "--format", "json", "--stack", "hep")
    rows = {row["expected"].partition("@")[0]: row for row in json.loads(done.stdout)}

    assert done.returncode == 3
    assert rows["zlib"]["found"] == "hash"
    assert (rows["zlib"]["hash"], rows["zlib"]["weight"]) == (make_hash(3), 3)
    assert rows["hdf5"]["nearest"].startswith("version: asked @=1.14.5, has 1.12.3")
    assert rows["old"] == {
        "snapshot": "develop",
        "stack": "hep",
        "expected": f"old@1.0 /{make_hash(94)[:7]}",
        "place": f"{path}: concrete_specs.{make_hash(94)}",
        "root": True,
        "weight": 1,
        "found": "nothing",
        "hash": None,
        "nearest": None,
        "cause": "old@1.0, the cache has none",
    }


def test_weights_come_from_the_dependencies_of_the_warehouse(warehouse, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(warehouse, copy, symlinks=True)
    with duckdb.connect(str((copy / "warehouse.duckdb").resolve())) as connection:
        assert weigh_packages(connection, "develop") is None
        connection.execute(
            """
            insert into dependencies
            select * from (values
                ('develop', $1, $3, 'zlib', ['build'], ['zlib-api']),
                ('develop', $2, $3, 'zlib', ['link'], []),
                ('develop', $4, $3, 'zlib', ['link'], []),
                ('v1.0', $5, $3, 'zlib', ['link'], [])
            ) as edges (snapshot, hash, dependency_hash, dependency, deptypes, virtuals)
            """,
            [make_hash(1), make_hash(2), make_hash(3), make_hash(4), make_hash(6)],
        )
        # Two hashes of hdf5 are one package.
        assert weigh_packages(connection, "develop") == {"zlib": 2}
        items = parse_list("zlib\nnowhere\n", "f").items
        row = measure_coverage(connection, items, "develop")[0].row()
        assert row[5:7] == (0.5, 0.75)


specs = st.lists(
    st.tuples(st.sampled_from(["hdf5", "zlib", "gmake", "none"]), st.sampled_from(["", "@1.14", "+mpi", "+pic"])).map(
        "".join
    ),
    min_size=1,
    max_size=5,
    unique=True,
)


@thorough(8, 25)
@given(specs=specs)
def test_shares_are_those_of_counting_pages(warehouse, specs):
    for coverage in measure(warehouse, parse_list("\n".join(specs), "f").items):
        present = 0
        for text in specs:
            query = parse_spec(text)
            present += any(
                package == query.package
                and (coverage.stack == "*" or coverage.stack in spec["stacks"])
                and (query.versions is None or query.versions.contains(spec["versions"][0]))
                and all(variant.text in spec["variants"] for variant in query.variants)
                for (snapshot, package), records in PAGES.items()
                if snapshot == "develop"
                for spec in records
            )
        assert coverage.row()[2:4] == (len(specs), present)
        assert coverage.row()[5] == present / len(specs)
        assert len(coverage.missing) == len(specs) - present


# The command


def test_wrong_usage_and_wrong_files(warehouse, tmp_path):
    assert run("gaps", "--warehouse", warehouse, "--items").returncode == 2
    assert_refused(run("gaps", "--warehouse", warehouse, "--expected", tmp_path / "no"), 1, tmp_path / "no")
    assert_refused(run("gaps", "--warehouse", warehouse, "--snapshot", "v9"), 1, "'v9'", "develop")
    path = tmp_path / "list"
    path.write_text("a b\nzlib\nhdf5@\n")
    done = run("gaps", "--warehouse", warehouse, "--expected", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == [f"{path}:1:", f"{path}:3:"]
    path.write_bytes(b"\xff")
    assert_refused(run("gaps", "--warehouse", warehouse, "--expected", path), 1, path, "UTF-8")


def test_a_file_is_read_by_its_name(tmp_path):
    for name, text in (("spack.yaml", ENVIRONMENT), ("spack.lock", json.dumps(LOCK)), ("list.txt", "zlib\n")):
        path = tmp_path / name
        path.write_text(text)
        assert str(path) in read_expected(path).items[0].place
