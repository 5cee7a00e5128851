"""Lock files of every version of Spack expect the same specs, by the hash that caches know them by."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ask.coverage import measure_coverage
from pipeline.ask.lock import parse_lock
from pipeline.errors import FileFaultsError
from pipeline.layout import Layout
from pipeline.store.database import open_database
from tests.makers import build_pages, make_hash, make_record, make_spec
from tests.test_node import graphs, write_node

NODE_VERSIONS = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 5, 8: 6}
"""The version of spec files whose nodes a lock file has (the readers in Spack's ``environment.py``)."""


def make_build_hash(number):
    return make_hash(100 + number)


def write_lock(version, graph, roots=(0,)):
    """A lock file as Spack writes it in a version; the numbers of nodes are those of their hashes."""
    drawn, edges = graph
    names = [node["name"] for node in drawn]
    make_key = make_build_hash if version in (2, 3) else make_hash
    specs = {}
    for number, node in enumerate(drawn):
        written = write_node(NODE_VERSIONS[version], number, node, edges, names)
        if version < 3:
            inner = written[node["name"]]
            if version == 1:
                del inner["hash"]
            for edge, other in zip(
                inner["dependencies"].values(), (other for one, other in edges if one == number), strict=True
            ):
                edge["hash"] = make_key(other)
        specs[make_key(number)] = written
    meta = {"file-type": "spack-lockfile", "lockfile-version": version}
    listed = [{"hash": make_key(root), "spec": names[root]} for root in roots]
    return {"_meta": meta, "roots": listed, "concrete_specs": specs}


def read(lock):
    return parse_lock(json.dumps(lock), "l")


def tell(expected):
    """What counts of the items: all but where they stand."""
    return [
        (
            item.text,
            item.hash,
            item.root,
            item.dependents,
            item.queries[0].variants,
            [compiler.text for compiler in item.queries[0].compilers],
            (item.queries[0].platform, item.queries[0].os, item.queries[0].target),
        )
        for item in expected.items
    ]


def plain(name, **more):
    node = {"name": name, "version": "1.0", "platform": "linux", "os": "rhel8", "target": "zen4", "parameters": {}}
    return {
        **node,
        "flags": {},
        "patches": [],
        "namespace": "builtin",
        "external": False,
        "package_hash": None,
        **more,
    }


LINK, BUILD = (["build", "link"], False), (["build"], False)
GRAPH = (
    [plain("app", parameters={"mpi": True}), plain("zlib"), plain("cmake"), plain("perl", external=True)],
    {(0, 1): LINK, (0, 2): BUILD, (2, 1): LINK, (2, 3): BUILD},
)


@pytest.mark.parametrize("version", NODE_VERSIONS)
def test_each_version_expects_the_same(version):
    expected = read(write_lock(version, GRAPH))

    assert [(item.package, item.hash, item.root, item.dependents) for item in expected.items] == [
        ("app", make_hash(0), True, 0),
        ("cmake", make_hash(2), False, 1),
        ("zlib", make_hash(1), False, 2),
    ]
    assert {compiler.text for item in expected.items for compiler in item.queries[0].compilers} == {"%gcc@=11.4.0"}
    assert expected.notes == ["l: 1 external specs are expected in no cache"]
    key = make_build_hash(2) if version in (2, 3) else make_hash(2)
    assert expected.items[1].place == f"l: concrete_specs.{key}"


@settings(max_examples=40, deadline=None)
@given(graphs(), st.randoms())
def test_any_environment_is_expected_the_same_in_every_version(graph, random):
    nodes, _ = graph
    nodes[0]["external"] = False
    roots = random.sample(range(len(nodes)), random.randint(0, len(nodes)))
    first, *others = [tell(read(write_lock(version, graph, roots))) for version in NODE_VERSIONS]

    assert all(other == first for other in others)
    assert {hash for _, hash, *_ in first} == {
        make_hash(number) for number, node in enumerate(nodes) if not node["external"]
    }


@pytest.mark.parametrize("version", [2, 3])
def test_of_nodes_that_share_a_hash_the_first_from_the_roots_counts(version):
    """As in Spack's own test data: one hash for two builds of ``top``, which differ in a build dependency."""
    graph = (
        [plain("top"), plain("top"), plain("tool"), plain("tool", version="2.0"), plain("lib")],
        {(0, 2): BUILD, (0, 4): LINK, (1, 3): BUILD, (1, 4): LINK},
    )
    lock = write_lock(version, graph, roots=(1, 0))
    for written in lock["concrete_specs"].values():
        node = written.get("top", written)
        if node.get("hash") == make_hash(0):
            node["hash"] = make_hash(1)
    items = read(lock).items

    assert [(item.text.partition(" ")[0], item.hash) for item in items] == [
        ("top@1.0", make_hash(1)),
        ("lib@1.0", make_hash(4)),
        ("tool@1.0", make_hash(2)),
        ("tool@2.0", make_hash(3)),
    ]
    assert items[0].place == f"l: concrete_specs.{make_build_hash(1)}"
    # The other build of top is no second dependent.
    assert [item.dependents for item in items] == [0, 1, 0, 1]


def test_dependencies_of_version_2_may_be_named_by_hash():
    """Spack's documentation says that they are, its own lock files are not so."""
    lock = write_lock(2, GRAPH)
    for written in lock["concrete_specs"].values():
        ((_, node),) = written.items()
        for edge in node["dependencies"].values():
            number = next(number for number in range(4) if make_build_hash(number) == edge["hash"])
            edge["hash"] = make_hash(number)

    assert tell(read(lock)) == tell(read(write_lock(2, GRAPH)))


@pytest.mark.parametrize("version", [0, 9, 10, "x", "9"])
def test_a_version_that_is_not_known_is_told_in_one_line(version):
    lock = write_lock(8, GRAPH)
    lock["_meta"]["lockfile-version"] = version
    with pytest.raises(FileFaultsError) as caught:
        read(lock)

    assert caught.value.faults == [f"l: _meta.lockfile-version: is {version!r}; known are 1 to 8"]


@pytest.mark.parametrize("version", [1, 3, 6])
def test_a_lock_that_tells_no_version_is_read_and_that_is_told(version):
    lock = write_lock(version, GRAPH)
    del lock["_meta"]
    expected = read(lock)

    assert tell(expected) == tell(read(write_lock(version, GRAPH)))
    assert expected.notes[0] == "l: tells no lockfile-version; its specs are looked for by their own hash"


@pytest.mark.parametrize("version", [4, 5, 6, 7, 8])
def test_a_key_that_is_not_the_hash_of_its_spec_is_a_fault(version):
    lock = write_lock(version, GRAPH)
    lock["concrete_specs"][make_hash(1)]["hash"] = make_hash(9)
    with pytest.raises(FileFaultsError) as caught:
        read(lock)

    place = f"concrete_specs.{make_hash(1)}"
    why = f"hash: is {make_hash(9)!r}, and not the key it stands under"
    assert caught.value.faults == [f"l: {place}: is no spec of a lock file: {why}"]


def make_node(number, name, *dependencies, **more):
    """A node of a lock file from Spack 1.0 on that has no compiler."""
    edges = [
        {
            "name": other,
            "hash": make_hash(to),
            "parameters": {"deptypes": ["build", "link"], "virtuals": list(virtuals)},
        }
        for other, to, *virtuals in dependencies
    ]
    return make_record(make_spec(number, compiler="none"), name, dependencies=edges, **more)["spec"]


def make_lock(*nodes, roots=(0,), **more):
    return {
        "_meta": {"lockfile-version": 6},
        "roots": [{"hash": make_hash(root), "spec": "x"} for root in roots],
        "concrete_specs": {node["hash"]: node for node in nodes},
        **more,
    }


def test_the_compiler_of_a_language_is_that_of_the_build():
    app = make_node(0, "app", ("llvm", 2, "cxx"), ("gcc", 1, "c"), ("gcc-runtime", 3, "fortran"))
    nodes = [app, make_node(1, "gcc"), make_node(2, "llvm"), make_node(3, "gcc-runtime")]
    app["dependencies"][2]["parameters"]["deptypes"] = ["link"]
    items = {item.package: item for item in read(make_lock(*nodes)).items}

    assert [compiler.text for compiler in items["app"].queries[0].compilers] == ["%gcc@=1.14.5"]
    assert items["gcc"].queries[0].compilers == ()


def test_a_compiler_that_the_lock_does_not_hold_is_asked_for_by_name():
    (item,) = read(make_lock(make_node(0, "app", ("gcc", 99, "c")))).items

    assert [compiler.text for compiler in item.queries[0].compilers] == ["%gcc"]


def test_included_environments_are_expected_too_however_deep():
    inner = {"roots": [{"hash": make_hash(3), "spec": "x"}], "concrete_specs": {make_hash(3): make_node(3, "deep")}}
    outer = {
        "roots": [{"hash": make_hash(2), "spec": "x"}],
        "concrete_specs": {make_hash(2): make_node(2, "mid", ("zlib", 1)), make_hash(1): make_node(1, "zlib")},
        "include_concrete": {"/b": inner},
    }
    items = read(make_lock(make_node(0, "app", ("zlib", 1)), include_concrete={"/a": outer})).items

    assert [(item.package, item.root, item.dependents) for item in items] == [
        ("app", True, 0),
        ("deep", False, 0),
        ("mid", False, 0),
        ("zlib", False, 2),
    ]
    assert items[1].place == f"l: include_concrete./a.include_concrete./b.concrete_specs.{make_hash(3)}"


def test_what_specs_are_spliced_from_is_not_expected():
    build_spec = {"name": "app", "hash": make_hash(5)}
    nodes = [
        make_node(0, "app", ("zlib-ng", 1), ("shared", 2), build_spec=build_spec),
        make_node(1, "zlib-ng"),
        make_node(2, "shared"),
        make_node(5, "app", ("zlib", 6), ("shared", 2)),
        make_node(6, "zlib"),
    ]
    expected = read(make_lock(*nodes))

    assert [(item.package, item.hash, item.dependents) for item in expected.items] == [
        ("app", make_hash(0), 0),
        ("shared", make_hash(2), 1),
        ("zlib-ng", make_hash(1), 1),
    ]
    assert expected.notes == ["l: 2 specs that are there only to splice others from are expected in no cache"]
    # A build spec that is asked for by itself is expected.
    assert len(read(make_lock(*nodes, roots=(0, 5))).items) == 5


def test_what_a_cache_has_of_old_locks(tmp_path):
    """A spec is found by its own hash, not by the key of version 3; one of another compiler is not there."""
    pages = {("develop", "app"): [make_spec(0)], ("develop", "zlib"): [make_spec(9, compiler="gcc@=12.3.0")]}
    warehouse = build_pages(tmp_path, pages)
    page = make_spec()
    same = {"version": "1.14.5", "target": page["target"], "os": page["os"]}
    parameters = {"build_system": "cmake", "mpi": True, "cuda": False}
    graph = ([plain("app"), plain("zlib", parameters=parameters, **same)], {(0, 1): LINK})
    for version in (3, 6):  # of version 6 the compiler stands in annotations
        with open_database(Layout(warehouse)) as connection:
            anywhere = measure_coverage(connection, read(write_lock(version, graph)).items, "develop")[0]

        assert {one.item.package: one.found for one in anywhere.findings} == {"app": "hash", "zlib": "package"}
        ((miss,),) = [one.misses for one in anywhere.findings if one.found == "package"]
        assert miss.axis == "compiler"


def test_a_spec_of_another_namespace_is_not_what_a_lock_expects():
    asked = {item.package: item.queries[0].namespace for item in read(write_lock(6, GRAPH)).items}

    assert asked == dict.fromkeys(("app", "cmake", "zlib"), "builtin")
