"""Lock files of every version of Spack expect the same specs, by the hash that caches know them by."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ask.coverage import Coverage, Finding, measure_coverage, read_expected
from pipeline.build import build
from pipeline.errors import FileFaultsError
from pipeline.expected.lists import Expected
from pipeline.expected.lock import parse_lock
from pipeline.layout import Layout
from pipeline.store.database import open_database
from tests.commands import run
from tests.makers import build_pages, make_hash, make_index, make_record, make_spec, write_v2
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


def read(lock, with_build=False):
    return parse_lock(json.dumps(lock), "l", with_build)


def describe(expected):
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
        ("zlib", make_hash(1), False, 1),
    ]
    assert {compiler.text for item in expected.items for compiler in item.queries[0].compilers} == {"%gcc@=11.4.0"}
    assert expected.notes == [
        "l: 1 external specs are expected in no cache",
        "l: 1 spec that nothing links or runs with: see --with-build",
    ]
    key = make_build_hash(1) if version in (2, 3) else make_hash(1)
    assert expected.items[1].place == f"l: concrete_specs.{key}"
    (cmake,) = expected.aside
    assert (cmake.package, cmake.needs, cmake.builds_with) == ("cmake", (make_hash(1),), (make_hash(3),))


@pytest.mark.parametrize("version", NODE_VERSIONS)
def test_what_builds_is_expected_where_it_is_asked_for(version):
    expected = read(write_lock(version, GRAPH), with_build=True)

    assert [(item.package, item.dependents) for item in expected.items] == [("app", 0), ("cmake", 1), ("zlib", 2)]
    assert not expected.aside


@settings(max_examples=40, deadline=None)
@given(graphs(), st.randoms())
def test_any_environment_is_expected_the_same_in_every_version(graph, random):
    nodes, _ = graph
    nodes[0]["external"] = False
    others = random.sample(range(len(nodes)), random.randint(0, len(nodes)))
    roots = [0, *others] if others else []
    for with_build in (False, True):
        first, *others = [describe(read(write_lock(version, graph, roots), with_build)) for version in NODE_VERSIONS]

        assert all(other == first for other in others)
        assert {hash for _, hash, *_ in first} == {make_hash(one) for one in walk(graph, roots, with_build)}


def walk(graph, roots, with_build):
    """The numbers of the nodes that are reached, by the word of the graph alone."""
    nodes, edges = graph
    kinds = {"link", "run", "build"} if with_build else {"link", "run"}
    waiting = list(roots) or [number for number in range(len(nodes)) if not any(other == number for _, other in edges)]
    for one in waiting:
        if not nodes[one]["external"]:
            waiting += [
                other
                for (by, other), (types, _) in edges.items()
                if by == one and kinds & set(types) and other not in waiting
            ]
    return {one for one in waiting if not nodes[one]["external"]}


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
    items = read(lock, with_build=True).items

    assert [(item.text.partition(" ")[0], item.hash) for item in items] == [
        ("top@1.0", make_hash(1)),
        ("lib@1.0", make_hash(4)),
        ("tool@2.0", make_hash(3)),
    ]
    assert items[0].place == f"l: concrete_specs.{make_build_hash(1)}"
    # The other build of top counts for nothing: it is no second dependent, and nothing is reached through it.
    assert [item.dependents for item in items] == [0, 1, 1]


def test_dependencies_of_version_2_may_be_named_by_hash():
    """Spack's documentation says that they are, its own lock files are not so."""
    lock = write_lock(2, GRAPH)
    for written in lock["concrete_specs"].values():
        ((_, node),) = written.items()
        for edge in node["dependencies"].values():
            number = next(number for number in range(4) if make_build_hash(number) == edge["hash"])
            edge["hash"] = make_hash(number)

    assert describe(read(lock)) == describe(read(write_lock(2, GRAPH)))


@pytest.mark.parametrize("version", [0, 9, 10, "x", "9"])
def test_a_version_that_is_not_known_is_reported_in_one_line(version):
    lock = write_lock(8, GRAPH)
    lock["_meta"]["lockfile-version"] = version
    with pytest.raises(FileFaultsError) as caught:
        read(lock)

    assert caught.value.faults == [f"l: _meta.lockfile-version: is {version!r}; known are 1 to 8"]


@pytest.mark.parametrize("version", [1, 3, 6])
def test_a_lock_that_has_no_version_is_read_and_that_is_reported(version):
    lock = write_lock(version, GRAPH)
    del lock["_meta"]
    expected = read(lock)

    assert describe(expected) == describe(read(write_lock(version, GRAPH)))
    assert expected.notes[0] == "l: has no lockfile-version; its specs are looked for by their own hash"


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

    assert asked == dict.fromkeys(("app", "zlib"), "builtin")


def test_roots_of_all_groups_and_of_included_environments_are_reached():
    """A part with roots expects nothing that these do not lead to; groups are of Spack 1.2."""
    inner = {
        "roots": [{"hash": make_hash(3), "spec": "x", "group": "tools"}],
        "concrete_specs": {make_hash(number): make_node(number, f"n{number}") for number in (3, 4)},
    }
    lock = make_lock(*(make_node(number, f"n{number}") for number in range(3)), include_concrete={"/a": inner})
    lock["_meta"]["lockfile-version"] = 7
    lock["roots"] = [{"hash": make_hash(number), "spec": "x", "group": group} for number, group in ((0, "a"), (1, "b"))]

    assert [(item.package, item.root) for item in read(lock).items] == [("n0", True), ("n1", True), ("n3", False)]


def test_what_only_an_external_needs_is_not_expected():
    nodes = [make_node(0, "app", ("mpi", 1)), make_node(1, "mpi", ("hwloc", 2), external={"path": "/opt"})]
    expected = read(make_lock(*nodes, make_node(2, "hwloc")))

    assert [item.package for item in expected.items] == ["app"]
    assert [item.package for item in expected.aside] == ["hwloc"]


# Why specs are not there by their hash


def lay(tmp_path, lock, *nodes, libc=None):
    """What a cache that holds ``nodes`` has of a lock, in the stack of that cache."""
    records = [{"spec": node, "ref_count": 0, "in_buildcache": not node.get("external")} for node in nodes]
    write_v2(tmp_path / "caches" / "develop" / "e4s", make_index(records))
    build([tmp_path / "caches"], tmp_path / "w", jobs=1)
    (tmp_path / "spack.lock").write_text(json.dumps(lock))
    expected = read_expected(tmp_path / "spack.lock")
    with open_database(Layout(tmp_path / "w")) as connection:
        return measure_coverage(connection, expected.items, "develop", ["e4s"], expected.aside)[0]


def list_causes(coverage):
    return [(cause.first.item.package, sorted(one.item.package for one in cause.follows)) for cause in coverage.causes]


def chain(first, *versions):
    """A spec of each version that the next one needs; their hashes are numbered from ``first`` on."""
    return [
        make_node(first + at, f"p{at}", *([(f"p{at - 1}", first + at - 1)] if at else []), version=version)
        for at, version in enumerate(versions)
    ]


def test_all_that_follows_from_one_spec_is_one_cause(tmp_path):
    """The issue's own example, of 256 specs."""
    asked = [make_node(0, "zlib-ng", version="2.2.4")]
    asked += [
        make_node(at, f"p{at}", ("zlib-ng" if at < 3 else f"p{at // 2}", at // 2 if at > 2 else 0))
        for at in range(1, 256)
    ]
    there = [make_node(1000, "zlib-ng", version="2.2.3")]
    there += [make_node(1000 + at, f"p{at}", ("x", 1000)) for at in range(1, 256)]
    coverage = lay(tmp_path, make_lock(*asked, roots=range(128, 256)), *there)

    assert coverage.describe_causes() == [
        "256 missing by hash in e4s, 1 cause: zlib-ng@2.2.4, the cache has 2.2.3; 255 follow"
    ]
    done = run(
        "gaps", "--warehouse", tmp_path / "w", "--expected", tmp_path / "spack.lock", "--items", "--format", "json"
    )
    rows = [row for row in json.loads(done.stdout) if row["stack"] == "e4s"]
    assert {row["cause"] for row in rows} == {"zlib-ng@2.2.4, the cache has 2.2.3"}
    assert "256 missing by hash anywhere, 1 cause: zlib-ng@2.2.4" in done.stderr


OWN = [
    ({"version": "1.0"}, "p0@1.14.5, the cache has 1.0"),
    ({"package_hash": "y" * 52}, "p0@1.14.5, the cache has it otherwise: recipe: asked xxxxxxx, has yyyyyyy"),
    (
        {"parameters": {"mpi": False, "cuda": False, "build_system": "cmake"}},
        "p0@1.14.5, the cache has it otherwise: variants: asked +mpi, has ~mpi",
    ),
    (
        {"compiler": {"name": "gcc", "version": "12.3.0"}},
        "p0@1.14.5, the cache has it otherwise: compiler: asked %gcc@=11.4.0, has gcc@12.3.0",
    ),
    (
        {"arch": {"platform": "linux", "platform_os": "ubuntu22.04", "target": "x86_64_v4"}},
        "p0@1.14.5, the cache has it otherwise: target: asked x86_64_v3, has x86_64_v4",
    ),
    ({"name": "other"}, "p0@1.14.5, the cache has none"),
]


@pytest.mark.parametrize(("changes", "line"), OWN)
def test_each_fact_of_a_spec_may_be_the_cause(tmp_path, changes, line):
    def make(first, **more):
        lower, upper = chain(first, "1.14.5", "1.14.5")
        for node in (lower, upper):
            node["compiler"] = {"name": "gcc", "version": "11.4.0"}
        return [{**lower, **more}, upper]

    coverage = lay(tmp_path, make_lock(*make(0), roots=(1,)), *make(100, **changes))

    assert coverage.describe_causes() == [f"2 missing by hash in e4s, 1 cause: {line}; 1 follow"]


def test_a_libc_may_be_the_cause(tmp_path):
    def make(first, version):
        glibc = make_node(first, "glibc", version=version, external={"path": "/usr"})
        return [glibc, make_node(first + 1, "app", ("glibc", first, "libc"))]

    coverage = lay(tmp_path, make_lock(*make(0, "2.35"), roots=(1,)), *make(100, "2.39"))

    assert coverage.describe_causes() == [
        "1 missing by hash in e4s, 1 cause: "
        "app@1.14.5, the cache has it otherwise: libc: asked glibc@2.35, has glibc@2.39; 0 follow"
    ]


def test_what_is_built_with_is_a_cause_where_all_that_is_linked_is_there(tmp_path):
    def make(first, version):
        app = make_node(first, "app", ("zlib", 50), ("cmake", first + 1))
        app["dependencies"][1]["parameters"]["deptypes"] = ["build"]
        return [app, make_node(50, "zlib"), make_node(first + 1, "cmake", version=version)]

    coverage = lay(tmp_path, make_lock(*make(0, "3.31.6")), *make(100, "3.30.0"))

    assert coverage.describe_causes() == [
        "1 missing by hash in e4s, 1 cause: cmake@3.31.6, the cache has 3.30.0; 1 follow"
    ]


def test_several_causes_are_listed_and_what_none_explains_is_counted(tmp_path):
    asked = chain(0, "1", "1", "1", "1")
    there = chain(100, "2", "1", "2", "1")
    lone = [make_node(20, "lone"), make_node(120, "lone")]
    coverage = lay(tmp_path, make_lock(*asked, lone[0], roots=(3, 20)), *there, lone[1])

    # What follows from one ends where another begins.
    assert list_causes(coverage) == [("p0", ["p1"]), ("p2", ["p3"])]
    assert coverage.describe_causes() == [
        "5 missing by hash in e4s, 2 causes:",
        "  p0@1, the cache has 2; 1 follow",
        "  p2@1, the cache has 2; 1 follow",
        "  1 that differ by their hash alone, or in what is not expected",
    ]


def test_what_is_there_has_no_cause(tmp_path):
    nodes = chain(0, "1", "1")
    coverage = lay(tmp_path, make_lock(*nodes, roots=(1,)), *nodes)

    assert coverage.describe_causes() == []
    assert coverage.row()[-1] == []


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_causes_are_those_of_walking_down(data):
    """By pages' own words: each that is not there and is as asked itself follows from what it needs that is not."""
    count = data.draw(st.integers(1, 8))
    edges = {one: data.draw(st.sets(st.integers(0, one - 1), max_size=2)) if one else set() for one in range(count)}
    changed = data.draw(st.sets(st.integers(0, count - 1)))
    gone = set(changed)
    for one in range(count):
        if edges[one] & gone:
            gone.add(one)

    def find(one):
        return {one} if one in changed else set().union(*(find(other) for other in edges[one] & gone))

    findings = []
    for one in range(count):
        item = Expected(
            f"p{one}", "l", (), make_hash(one), needs=tuple(make_hash(other) for other in sorted(edges[one]))
        )
        found = "nothing" if one in changed else "configuration" if one in gone else "hash"
        example = None if one in changed else object()
        findings.append(Finding(item, found, example, (), (), 1))
    causes = Coverage("develop", "e4s", findings).causes

    follows = {cause.first.item.text: {one.item.text for one in cause.follows} for cause in causes}
    assert follows == {f"p{first}": {f"p{one}" for one in gone - changed if first in find(one)} for first in changed}
