"""What installs without building is what a plain walk over the raw JSON of the indexes finds."""

import json
import shutil
import tarfile
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.specs.closure import Graph
from pipeline.specs.index import Index
from pipeline.specs.installable import MOST_EXTERNALS, NEAREST, find_installs
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

DATA = Path(__file__).parent / "data"


class Walked:
    """What some indexes, by stack, say of each spec in them, by a walk from each over the raw JSON."""

    def __init__(self, indexes):
        installs = {stack: json.loads(index)["database"]["installs"] for stack, index in indexes.items()}
        self.nodes = {hash: one["spec"] for held in installs.values() for hash, one in held.items()}
        externals = {hash for hash, node in self.nodes.items() if node.get("external")}
        caches = {
            stack: {hash for hash, record in held.items() if record["in_buildcache"]}
            for stack, held in installs.items()
        }
        spliced = {hash for hash, node in self.nodes.items() if "build_spec" in node}
        self.installable, self.missing, self.needing = {}, set(), {}
        for stack, cache in caches.items():
            there = cache | caches.get("root", set())
            for hash in cache:
                depths, binaries = self.walk(hash)
                found = {one: depth for one, depth in depths.items() if one not in there | externals | spliced}
                for one, depth in binaries.items():
                    if one not in there:
                        found[one] = min(depth, found.get(one, depth))
                self.installable[hash, stack] = not found
                named = sorted((depth, self.name(one), one) for one, depth in found.items())
                for depth, name, one in named[:NEAREST]:
                    reason = "hole" if one in self.nodes else "unknown"
                    self.missing.add((stack, hash, self.name(hash), name, one, reason, depth))
                for one in externals & depths.keys():
                    node = self.nodes[one]
                    key = (node["name"], node["version"], node["external"]["path"])
                    self.needing.setdefault(key, set()).add((hash, stack))

    def walk(self, hash):
        """How far each part of a closure is, and each binary that one of its parts was spliced from."""
        depths, binaries, waiting = {hash: 0}, {}, [hash]
        for one in waiting:
            node = self.nodes.get(one, {})
            if "build_spec" in node:
                binaries.setdefault(node["build_spec"]["hash"], depths[one] + 1)
            for each in node.get("dependencies", []):
                relation = each["parameters"]
                needed = {"link", "run"} & {*relation["deptypes"]} or "libc" in relation["virtuals"]
                if needed and each["hash"] not in depths:
                    depths[each["hash"]] = depths[one] + 1
                    waiting.append(each["hash"])
        return depths, binaries

    def name(self, hash):
        """The package of a hash, from any index, or from an edge or splice that leads to it."""
        if hash in self.nodes:
            return self.nodes[hash]["name"]
        named = [each["name"] for node in self.nodes.values() for each in node["dependencies"] if each["hash"] == hash]
        spliced = [node["name"] for node in self.nodes.values() if node.get("build_spec", {}).get("hash") == hash]
        return min(named or spliced)


def find(indexes):
    """What the closures of some indexes, by stack, say; and their rows by hash and stack."""
    specs, records, dependencies, places = [], [], [], []
    for stack, data in indexes.items():
        read = list(Index(data).read())
        held = [one.spec for one in read if one.kind == "spec"]
        specs.append(make_specs(held, stack, stack))
        records.append(make_records([one for one in read if one.kind != "spec"], stack, stack))
        dependencies.append(make_dependencies([one.spec for one in read]))
        places += [(one.hash, stack, True) for one in held]
    edges = pl.concat(dependencies)
    graph = Graph(pl.concat(specs).unique("hash", keep="first", maintain_order=True), pl.concat(records), edges)
    schema = {"hash": pl.String, "stack": pl.String, "of_index": pl.Boolean}
    return places, find_installs(graph, pl.DataFrame(places, schema=schema, orient="row"), edges, True)


def agree(indexes):
    """Hold what is found of some indexes to what is walked; returns it by hash and stack."""
    walked = Walked(indexes)
    places, found = find(indexes)
    installable = {place[:2]: one for place, one in zip(places, found.installable, strict=True)}
    assert installable == walked.installable
    assert set(found.missing.rows()) == walked.missing
    assert found.missing.height == len(walked.missing)
    assert found.missing.rows() == sorted(
        found.missing.rows(), key=lambda row: (row[0], row[2], row[1], row[6], row[3], row[4])
    )
    externals = {row[:3]: row[4:] for row in found.externals.rows()}
    assert externals == {
        key: (len({hash for hash, _ in places}), sorted({stack for _, stack in places} - {"root"}))
        for key, places in walked.needing.items()
    }
    return installable


def judge(*records, **others):
    """Whether each spec of a stack e4s with these records is installable, by its number; beside it ``others``."""
    indexes = {"e4s": make_index(records, "8"), **{stack: make_index(held, "8") for stack, held in others.items()}}
    found = agree(indexes)
    return {number: found[make_hash(number), "e4s"] for number in range(100) if (make_hash(number), "e4s") in found}


def hole(number, name, *edges, **changes):
    return binary(number, name, *edges, in_buildcache=False, **changes)


def test_a_part_is_in_the_stack_or_external():
    assert judge(binary(1, "a", edge(2, "b", "run"), needs()), binary(2, "b"), libc(90)) == {1: True, 2: True}
    assert judge(binary(1, "a", edge(2, "b")), hole(2, "b")) == {1: False}
    assert judge(binary(1, "a", edge(2, "b"))) == {1: False}
    assert judge(binary(1, "a", edge(2, "b")), binary(2, "b", edge(3, "c", "run"))) == {1: False, 2: False}


def test_what_is_needed_to_build_or_test_alone_is_not_needed_to_install():
    assert judge(binary(1, "a", edge(2, "b", "build"), edge(3, "c", "test", "build")), hole(2, "b")) == {1: True}


def test_a_part_of_root_serves_every_stack_and_one_of_another_stack_none():
    upper = [binary(1, "a", edge(2, "b")), hole(2, "b")]

    assert judge(*upper, root=[binary(2, "b")]) == {1: True}
    assert judge(*upper, hep=[binary(2, "b")]) == {1: False}


def test_a_spec_of_root_needs_all_of_its_parts_there():
    above = binary(1, "a", edge(2, "b"))
    found = agree({"root": make_index([above]), "e4s": make_index([above, binary(2, "b")])})

    assert found == {(make_hash(1), "root"): False, (make_hash(1), "e4s"): True, (make_hash(2), "e4s"): True}


def test_a_spliced_spec_needs_the_binary_that_it_is_spliced_from():
    spliced = binary(1, "a", build_spec={"name": "a", "hash": make_hash(2)})
    above = binary(3, "c", edge(1, "a"))

    assert judge(spliced, above) == {1: False, 3: False}
    assert judge(spliced, above, hole(2, "a")) == {1: False, 3: False}
    assert judge(spliced, above, binary(2, "a", edge(9, "gone"))) == {1: True, 2: False, 3: True}
    assert judge(spliced, above, root=[binary(2, "a")]) == {1: True, 3: True}
    assert judge(spliced, above, hep=[binary(2, "a")]) == {1: False, 3: False}
    # What it was spliced from may be a part of the same closure.
    assert judge(spliced, binary(4, "d", edge(1, "a"), edge(2, "a"))) == {1: False, 4: False}


def test_a_spliced_spec_that_was_not_pushed_needs_no_more_than_the_binary_that_it_is_spliced_from():
    spliced = hole(1, "a", edge(5, "e"), build_spec={"name": "a", "hash": make_hash(2)})
    above = binary(3, "c", edge(1, "a"))

    assert judge(spliced, above, binary(5, "e")) == {3: False, 5: True}
    assert judge(spliced, above, binary(5, "e"), binary(2, "a")) == {2: True, 3: True, 5: True}
    assert judge(spliced, above, binary(5, "e"), root=[binary(2, "a")]) == {3: True, 5: True}
    # What it runs with must be there all the same.
    assert judge(spliced, above, binary(2, "a"), hole(5, "e")) == {2: True, 3: False}


def test_the_nearest_missing_ones_are_listed_by_depth_and_name():
    many = [edge(number, f"p{number}") for number in range(10, 30)]
    records = [
        binary(1, "a", edge(2, "b"), edge(40, "z")),
        binary(2, "b", *many, edge(41, "a-hole")),
        hole(41, "a-hole", edge(42, "behind")),
        binary(3, "c", edge(41, "a-hole")),
    ]
    index = make_index(records)
    agree({"e4s": index})
    _, found = find({"e4s": index})
    rows = [(row[2], row[3], row[5], row[6]) for row in found.missing.rows()]

    assert rows == [
        ("a", "z", "unknown", 1),
        ("a", "a-hole", "hole", 2),
        *(("a", f"p{number}", "unknown", 2) for number in (10, 11, 12)),
        ("b", "a-hole", "hole", 1),
        *(("b", f"p{number}", "unknown", 1) for number in (10, 11, 12, 13)),
        ("c", "a-hole", "hole", 1),
        ("c", "behind", "unknown", 2),
    ]


@st.composite
def caches(draw):
    """The indexes of up to three stacks of any shape: cycles, holes, edges to nowhere, externals and splices."""
    records = []
    for number in range(1, 10):
        kinds = st.sampled_from([("link",), ("link",), ("run",), ("build",), ("build", "link")])
        edges = [edge(to, f"p{to}", *draw(kinds)) for to in draw(st.sets(st.integers(1, 10), max_size=3))]
        edges += [needs(to) for to in draw(st.sets(st.sampled_from([90, 91, 92]), max_size=1))]
        from_ = draw(st.sampled_from([None] * 5 + [*range(1, 12)]))
        changes = {} if from_ is None else {"build_spec": {"name": f"p{from_}", "hash": make_hash(from_)}}
        records.append(binary(number, f"p{number}", *edges, **changes))
    held = st.lists(st.sampled_from(["held", "held", "held", "hole", "none"]), min_size=9, max_size=9)
    indexes = {}
    for stack in draw(st.sets(st.sampled_from(["e4s", "hep", "root"]), min_size=1)):
        chosen = [
            {**record, "in_buildcache": state == "held"}
            for record, state in zip(records, draw(held), strict=True)
            if state != "none"
        ]
        indexes[stack] = make_index([*chosen, libc(90), libc(91, "2.28", path="/opt")], "8")
    return indexes


@pytest.mark.slow
@given(caches())
def test_a_plain_walk_finds_the_same_in_caches_of_any_shape(indexes):
    agree(indexes)


def test_a_cache_that_spack_wrote_is_walked_alike():
    indexes = [path for path in (DATA / "caches").rglob("*") if path.is_file()]
    walked = 0
    for path in indexes:
        data = path.read_bytes()
        if data.startswith(b'{"database"'):
            walked += len(agree({"e4s": data}))
    assert walked > 10


def test_an_index_of_holes_stays_bounded_in_rows_and_time():
    # A chain of specs, in which each needs about 30 of 60 holes itself, and the first 30,000 others.
    holes = [edge(number, "hole") for number in range(10_000, 10_060)]
    specs = [binary(1, "a", *(edge(number, "hole") for number in range(20_000, 50_000)))]
    specs += [binary(number, "a", edge(number - 1, "a"), *holes[number % 60 :]) for number in range(2, 2_000)]
    index = {"e4s": make_index(specs)}
    began = time.process_time()
    _, found = find(index)

    assert time.process_time() - began < 10
    assert found.missing.height == len(specs) * NEAREST
    assert not found.installable.any()


def test_beyond_many_externals_it_is_not_counted_what_needs_them():
    externals = [libc(number, f"1.{number}", "data") for number in range(1_000, 1_000 + MOST_EXTERNALS + 2)]
    often = [binary(number, "a", edge(1_300 - 43, "data")) for number in (2, 3)]
    once = binary(1, "a", *(edge(number, "data") for number in range(1_000, 1_000 + MOST_EXTERNALS + 2)))
    _, found = find({"e4s": make_index([*externals, *often, once])})
    counted = found.externals.filter(pl.col("specs").is_not_null())

    assert found.externals.height == MOST_EXTERNALS + 2
    assert counted.height == MOST_EXTERNALS
    assert counted.filter(pl.col("specs") == 3)["version"].to_list() == ["1.1257"]
    assert found.externals.filter(pl.col("specs").is_null())["stacks"].null_count() == 2
    assert found.installable.all()


INSTALLS = "select stack, hash, installable from spec_stacks where snapshot = 'develop' order by all"
MISSING = "select stack, hash, missing_hash, reason, depth from missing_dependencies order by all"


def test_a_build_has_what_its_indexes_say(tmp_path):
    of_e4s = [binary(1, "a", edge(2, "b"), needs()), binary(3, "c", edge(1, "a")), hole(2, "b"), libc(90)]
    of_hep = [binary(1, "a", edge(2, "b"), needs()), binary(2, "b"), libc(90)]
    write_v2(tmp_path / "develop" / "e4s", make_index(of_e4s, "8"))
    write_v2(tmp_path / "develop" / "hep", make_index(of_hep, "8"))
    write_page(tmp_path, make_page([make_spec(1)], "hdf5", "v1.0"))
    summary = build([tmp_path], tmp_path / "warehouse", jobs=1)
    warehouse = tmp_path / "warehouse"
    one, two, three = map(make_hash, (1, 2, 3))

    assert summary.failed == []
    assert ask(warehouse, INSTALLS) == [
        ("e4s", one, False),
        ("e4s", three, False),
        ("hep", one, True),
        ("hep", two, True),
    ]
    assert ask(warehouse, "select snapshot, hash, installable from specs order by all") == [
        ("develop", one, True),
        ("develop", two, True),
        ("develop", three, False),
        ("v1.0", one, None),
    ]
    assert ask(warehouse, "select installable from spec_stacks where snapshot = 'v1.0'") == [(None,), (None,)]
    assert ask(warehouse, MISSING) == [("e4s", one, two, "hole", 1), ("e4s", three, two, "hole", 2)]
    assert ask(warehouse, "from external_dependencies") == [("develop", "glibc", "2.35", "/usr", [], 2, ["e4s", "hep"])]


def test_pages_beside_an_index_say_nothing_of_closures(tmp_path):
    index = [binary(1, "a", edge(2, "b")), binary(3, "c", edge(4, "gone")), binary(5, "e")]
    write_v2(tmp_path / "develop" / "e4s", make_index(index, "8"))
    write_page(tmp_path, make_page([make_spec(2, stacks=["e4s"]), make_spec(6, stacks=["hep"])], "b"), "b.md")
    write_page(tmp_path, make_page([make_spec(5, compiler="none", stacks=["e4s", "hep"])], "e"), "e.md")
    build([tmp_path], tmp_path / "warehouse", jobs=1)

    # a needs what only a page describes: it is in the cache, and what it needs itself is not known.
    rows = [(1, "e4s", None), (2, "e4s", None), (3, "e4s", False), (5, "e4s", True), (5, "hep", None), (6, "hep", None)]
    assert ask(tmp_path / "warehouse", INSTALLS) == sorted(
        (stack, make_hash(number), installable) for number, stack, installable in rows
    )


def test_what_stays_of_a_published_build_is_judged_again(tmp_path):
    source, warehouse = tmp_path / "develop", tmp_path / "warehouse"
    write_v2(source, make_index([binary(2, "b")], "8"))
    write_v2(source / "e4s", make_index([binary(1, "a", edge(2, "b"), edge(3, "c")), hole(2, "b"), libc(90)], "8"))
    write_v2(source / "hep", make_index([binary(4, "d")], "8"))
    build([source], warehouse, jobs=1)
    before = ask(warehouse, INSTALLS), ask(warehouse, MISSING)
    (source / "e4s" / "build_cache" / "index.json").write_text("{")
    assert build([source], warehouse, jobs=1).failed == []

    assert before[1] == [("e4s", make_hash(1), make_hash(3), "unknown", 1)]
    assert (ask(warehouse, INSTALLS), ask(warehouse, MISSING)) == before
    write_v2(source, make_index([binary(2, "b"), binary(3, "c")], "8"))
    build([source], warehouse, jobs=1)

    assert ask(warehouse, MISSING) == []
    assert ask(warehouse, "select bool_and(installable) from spec_stacks") == [(True,)]


def test_of_a_warehouse_of_0_1_0_it_is_not_known_what_is_missing(tmp_path):
    with tarfile.open(DATA / "warehouse-0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path / "old", filter="data")
    build([tmp_path / "old"], tmp_path / "warehouse", jobs=1)
    warehouse = tmp_path / "warehouse"
    counts = dict(ask(warehouse, "select installable, count(*) from specs where snapshot = 'v1.1.0' group by all"))
    needing = """
        select count(*) from specs
        where installable and hash in (select hash from dependencies where list_contains(virtuals, 'libc'))
    """

    # It published no records, and so not the glibc that most need: what needs none is known to install.
    assert counts[None] > 10
    assert counts.keys() == {None, True}
    assert ask(warehouse, needing) == [(0,)]
    assert ask(warehouse, "select count(*) from missing_dependencies") == [(0,)]


def test_the_same_caches_give_the_same_tables_whatever_the_jobs(tmp_path):
    source = tmp_path / "develop"
    later = {number: [edge(to, f"p{to}") for to in range(number + 1, 12)] for number in range(1, 9)}
    records = [binary(number, f"p{number}", *edges) for number, edges in later.items()]
    write_v2(source / "e4s", make_index(records, "8"))
    shutil.copytree(source / "e4s", source / "hep")
    tables = []
    for jobs in (1, 2):
        build([source], tmp_path / f"w{jobs}", jobs=jobs)
        tables.append(ask(tmp_path / f"w{jobs}", "from missing_dependencies"))

    assert tables[0] == tables[1]
    assert len(tables[0]) == 2 * 3 * len(records)


@pytest.mark.parametrize("table", ["missing_dependencies", "external_dependencies"])
def test_a_build_of_some_snapshots_leaves_the_rows_of_the_others(tmp_path, table):
    for snapshot in ("v1", "v2"):
        index = make_index([binary(1, "a", edge(2, "b"), needs()), libc(90)], "8")
        write_v2(tmp_path / "source" / snapshot / "e4s", index)
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    before = ask(tmp_path / "warehouse", f"from {table} order by all")
    write_v2(tmp_path / "source" / "v2" / "e4s", make_index([binary(1, "a")], "8"))
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)

    assert [row[0] for row in before] == ["v1", "v2"]
    assert ask(tmp_path / "warehouse", f"from {table}") == before[:1]
