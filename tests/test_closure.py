"""What closures say is what a plain walk over the raw JSON of an index finds."""

import json
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.spack.versions import version_key
from pipeline.specs.closure import LIBC_COLUMNS, Graph
from pipeline.specs.index import Index
from pipeline.store.extract_index import make_dependencies, make_records, make_specs
from tests.makers import (
    ask,
    binary,
    edge,
    libc,
    make_hash,
    make_index,
    make_page,
    make_spec,
    needs,
    write_page,
    write_v2,
)


def is_compiled(node):
    return "compiler" in node or "compiler" in node.get("annotations", {})


def walk(index):
    """The libc columns of each spec in the cache of an index, by a plain graph walk over its JSON."""
    installs = json.loads(index)["database"]["installs"]
    found = {}
    for hash, record in installs.items():
        if not record["in_buildcache"]:
            continue
        seen, libcs, silent = [hash], set(), False
        for one in seen:
            node = installs.get(one, {}).get("spec")
            if node is None:
                silent = True
                continue
            own = [each for each in node["dependencies"] if "libc" in each["parameters"]["virtuals"]]
            for each in own:
                if each["hash"] in installs:
                    target = installs[each["hash"]]["spec"]
                    libcs.add((target["name"], target["version"], target.get("external", {}).get("path")))
            on_linux = node["arch"]["platform"] == "linux"
            silent |= not own and on_linux and is_compiled(node) and not node.get("external")
            needed = [
                each["hash"]
                for each in node["dependencies"]
                if each in own or {"link", "run"} & set(each["parameters"]["deptypes"])
            ]
            seen += [each for each in needed if each not in seen]
        places = {(name, path) for name, _, path in libcs}
        if len(places) == 1:
            name, version, path = max(libcs, key=lambda one: version_key(one[1]))
            found[hash] = (f"{name}@{version}", version, path, True)
        else:
            found[hash] = (None, None, None, not places and not silent)
    return found


def find(*indexes):
    """The same by the graph of some indexes."""
    specs, records, dependencies = [], [], []
    for number, data in enumerate(indexes):
        read = list(Index(data).read())
        held = [one.spec for one in read if one.kind == "spec"]
        specs.append(make_specs(held, f"{number}", "e4s"))
        records.append(make_records([one for one in read if one.kind != "spec"], f"{number}", "e4s"))
        dependencies.append(make_dependencies([one.spec for one in read]))
    graph = Graph(pl.concat(specs).unique("hash", maintain_order=True), pl.concat(records), pl.concat(dependencies))
    kept = {spec.hash for data in indexes for kind, spec in Index(data).read() if kind == "spec"}
    return {hash: tuple(rest) for hash, *rest in graph.find_libcs().iter_rows() if hash in kept}


# As Spack 1.0 writes an index: what is compiled has an edge of its own, and python is what the others run with.
LIKE_SPACK_1 = [
    libc(90),
    libc(91, "2.28"),
    binary(1, "python", needs(), compiler="gcc@=11.4.0"),
    binary(2, "py-numpy", edge(1, "python", "run"), edge(3, "py-wheel", "build")),
    binary(3, "py-wheel", edge(1, "python", "build", "run")),
    binary(4, "ca-certificates"),
    binary(5, "gmake", edge(4, "ca-certificates", "run"), edge(1, "python", "build", "test")),
    binary(6, "old", needs(91), compiler="gcc@=8.5.0"),
    binary(7, "mixed", edge(6, "old"), edge(1, "python", "run")),
    binary(8, "above", edge(9, "hole", "run")),
    binary(9, "hole", needs(), in_buildcache=False, compiler="gcc@=11.4.0"),
    binary(10, "mac", compiler="apple-clang@=16.0.0", platform="darwin"),
]
NEW, OLD = ("glibc@2.35", "2.35", "/usr", True), ("glibc@2.28", "2.28", "/usr", True)
NO_NEED, NOT_SAID = (None, None, None, True), (None, None, None, False)


def test_a_libc_is_that_of_the_closure():
    index = make_index(LIKE_SPACK_1, "8")
    numbered = {make_hash(number): number for number in range(100)}

    assert {numbered[hash]: row for hash, row in find(index).items()} == {
        **dict.fromkeys((1, 2, 3, 7, 8), NEW),  # of two versions the newer
        **dict.fromkeys((4, 5, 10), NO_NEED),
        6: OLD,
    }
    assert find(index) == walk(index)


def find_one(*records):
    """The libc columns of the first of some records."""
    index = make_index(records, "8")
    found = find(index)
    assert found == walk(index)
    return found[records[0]["spec"]["hash"]]


def test_a_closure_that_leads_out_of_the_index_is_not_known_unless_it_has_a_libc():
    assert find_one(binary(1, "a", edge(2, "gone"))) == NOT_SAID
    assert find_one(binary(1, "a", needs(2))) == NOT_SAID
    assert find_one(binary(1, "a", edge(2, "gone", "build"))) == NO_NEED
    assert find_one(binary(1, "a", edge(2, "gone"), needs()), libc(90)) == NEW


def test_what_is_compiled_on_linux_and_names_no_libc_is_of_before_spack_0_22():
    assert find_one(binary(1, "a", compiler="gcc@=11.4.0")) == NOT_SAID
    assert find_one(binary(1, "a", edge(2, "b")), binary(2, "b", compiler="gcc@=11.4.0")) == NOT_SAID
    assert find_one(binary(1, "a", compiler="msvc@=19.40", platform="windows")) == NO_NEED
    assert find_one(binary(1, "a", edge(2, "mpi")), libc(2, name="openmpi", path="/opt")) == NO_NEED


def test_libcs_of_other_names_or_places_are_no_one_libc():
    upper = binary(1, "a", edge(2, "b"), edge(3, "c"))

    for other in (libc(91, "1.2.4", "musl", "/"), libc(91, path="/opt")):
        name = other["spec"]["name"]
        both = [upper, binary(2, "b", needs()), binary(3, "c", needs(91, name)), libc(90), other]
        assert find_one(*both) == NOT_SAID
        assert find_one(binary(4, "d", edge(1, "a")), *both) == NOT_SAID
        assert find_one(*both[1:])[3]
    assert find_one(binary(1, "a", needs(91), needs(90)), libc(90, "2.9"), libc(91, "2.35")) == NEW


def test_what_one_index_leaves_out_another_holds():
    whole = make_index([binary(1, "a", edge(2, "b")), binary(2, "b", needs()), libc(90)], "8")
    part = make_index([binary(1, "a", edge(2, "b"))], "8")

    assert find(part)[make_hash(1)] == NOT_SAID
    assert find(part, whole)[make_hash(1)] == find(whole, part)[make_hash(1)] == NEW


@st.composite
def indexes(draw):
    """Small indexes of any shape: cycles, holes, edges to nowhere, and several libcs."""
    numbers = st.integers(1, 9)
    records = [libc(90), libc(91, "2.28"), libc(92, "1.2.4", "musl", "/"), libc(93, "2.100", path="/opt")]
    for number in draw(st.sets(numbers)):
        kinds = st.sampled_from([("link",), ("run",), ("build",), ("build", "link"), ("test",)])
        edges = [edge(to, f"p{to}", *draw(kinds)) for to in draw(st.sets(numbers, max_size=3))]
        libcs = st.sets(st.sampled_from([90, 91, 92, 93, 94]), max_size=1)
        edges += [edge(to, "libc", "link", virtuals=["libc"]) for to in draw(libcs)]
        compiler = draw(st.sampled_from(["none", "none", "gcc@=11.4.0"]))
        platform = draw(st.sampled_from(["linux", "linux", "darwin"]))
        there = draw(st.integers(0, 3)) > 0
        records.append(binary(number, f"p{number}", *edges, compiler=compiler, platform=platform, in_buildcache=there))
    return make_index(records, "8")


@pytest.mark.slow
@given(indexes())
def test_a_graph_of_any_shape_says_what_a_plain_walk_finds(index):
    assert find(index) == walk(index)


def test_a_graph_is_walked_in_time_whatever_its_shape():
    size = 12_000
    hashes = [make_hash(number) for number in range(size)]
    # A chain, and a stretch of it in which each needs the ten before: no walk may be by depth or from each alone.
    pairs = [(one, at) for at in range(1, size) for one in range(max(0, at - (10 if at < 6_000 else 1)), at)]
    nodes = pl.DataFrame({"hash": hashes, "package": "p", "version": "1", "compiler": "none", "platform": "linux"})
    specs = nodes.with_columns(external=pl.lit(False), spliced_from=pl.lit(None, pl.String))
    of_libc = pl.DataFrame(
        {"hash": ["libc"], "package": "glibc", "version": "2.35", "compiler": "none", "platform": "linux"}
    )
    records = of_libc.with_columns(
        kind=pl.lit("external"),
        stack=pl.lit("e4s"),
        source=pl.lit(""),
        external_path=pl.lit(None, pl.String),
        external_modules=pl.lit([], pl.List(pl.String)),
        spliced_from=pl.lit(None, pl.String),
    )
    edges = pl.DataFrame(
        {
            "hash": [hashes[0], *(hashes[at] for _, at in pairs)],
            "dependency_hash": ["libc", *(hashes[one] for one, _ in pairs)],
            "deptypes": [["link"]] * (len(pairs) + 1),
            "virtuals": [["libc"], *([[]] * len(pairs))],
        },
        schema_overrides={"virtuals": pl.List(pl.String)},
    )
    began = time.process_time()
    found = Graph(specs, records, edges).find_libcs()

    assert time.process_time() - began < 5
    assert found.filter(pl.col("libc") == "glibc@2.35").height == size


def test_a_build_has_what_its_indexes_say(tmp_path):
    spliced = binary(11, "spliced", build_spec={"name": "spliced", "hash": make_hash(12)}, package_hash="recipe")
    write_v2(tmp_path / "develop" / "e4s", make_index([*LIKE_SPACK_1, spliced], "8"))
    write_v2(tmp_path / "develop" / "hep", make_index([binary(2, "py-numpy", edge(1, "python", "run"))], "8"))
    write_page(tmp_path, make_page([make_spec(1)], "hdf5", "v1.0"))
    summary = build([tmp_path], tmp_path / "warehouse", jobs=1)
    warehouse = tmp_path / "warehouse"
    columns = ", ".join(LIBC_COLUMNS)
    walked = walk(make_index([*LIKE_SPACK_1, spliced], "8"))

    for relation in ("spec_stacks", "specs"):
        rows = ask(warehouse, f"select distinct hash, {columns} from {relation} where snapshot = 'develop'")
        assert {hash: tuple(rest) for hash, *rest in rows} == walked
        assert ask(warehouse, f"select distinct {columns} from {relation} where snapshot = 'v1.0'") == [NOT_SAID]
        assert ask(warehouse, f"select package_hash, spliced_from from {relation} where package = 'spliced'") == [
            ("recipe", make_hash(12))
        ]
        assert ask(warehouse, f"select package_hash, spliced_from from {relation} where snapshot = 'v1.0' limit 1") == [
            (None, None)
        ]
    assert summary.failed == []


def test_what_stays_of_a_published_build_keeps_its_libc(tmp_path):
    hole = [libc(90), binary(1, "above", edge(2, "hole")), binary(2, "hole", needs(), in_buildcache=False)]
    write_v2(tmp_path / "develop" / "e4s", make_index(hole, "8"))
    write_v2(tmp_path / "develop" / "hep", make_index([binary(3, "other"), binary(4, "old", edge(5, "gone"))], "8"))
    query = f"select hash, stack, {', '.join(LIBC_COLUMNS)} from spec_stacks order by all"
    records = "select hash, stack, kind, external_path from records order by all"
    warehouse = tmp_path / "warehouse"
    build([tmp_path / "develop"], warehouse, jobs=1)
    before = ask(warehouse, query), ask(warehouse, records)
    (tmp_path / "develop" / "e4s" / "build_cache" / "index.json").write_text("{")
    write_v2(tmp_path / "develop" / "hep", make_index([binary(3, "other"), binary(6, "new", edge(1, "above"))], "8"))
    summary = build([tmp_path / "develop"], warehouse, jobs=1)

    assert before[0][0] == (make_hash(1), "e4s", *NEW)
    assert ask(warehouse, query) == [
        (make_hash(1), "e4s", *NEW),
        (make_hash(3), "hep", *NO_NEED),
        (make_hash(6), "hep", *NEW),
    ]
    assert ask(warehouse, records) == before[1]
    assert len(before[1]) == 2
    assert summary.failed == []
