"""Why specs were built again, as ``lost`` answers from indexes: counted again from their JSON in plain Python."""

import json
import shutil
from collections import Counter

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.layout import Layout
from pipeline.store.database import open_database
from tests.makers import ask, make_hash, make_index, make_record, make_spec, thorough, write_v2

FROM, TO = "develop-2025-05-25", "develop-2025-06-01"
LEAVES = {"glibc": ["2.35"], "gmake": ["4.4", "4.4"], "zlib-ng": ["2.2.3", "2.2.4", "2.2.4"]}
"""The versions of the specs of each package that others may depend on: two of one version differ in their hash."""
DEPENDENCIES = [
    (name, version, make_hash(1000 + 10 * number + place))
    for number, (name, versions) in enumerate(LEAVES.items())
    for place, version in enumerate(versions)
]


def make_edge(dependency):
    name, _, hash = dependency
    return {"name": name, "hash": hash, "parameters": {"deptypes": ["build", "link"], "virtuals": []}}


def make_built(number, recipe, dependencies, flags=()):
    """The record of a spec of the one configuration of hdf5; without ``recipe`` as of Spack before 0.18."""
    record = make_record(make_spec(number), dependencies=[make_edge(one) for one in dependencies])
    record["spec"]["parameters"]["cflags"] = list(flags)
    if recipe is None:
        del record["spec"]["package_hash"]
    else:
        record["spec"]["package_hash"] = recipe
    return record


def write_caches(folder, held):
    """An index of e4s for each snapshot of ``held``: its records, and of what may be depended on an external each."""
    leaves = [
        make_record(make_spec(0, hash=hash, versions=[version]), name, in_buildcache=False, external={"path": "/usr"})
        for name, version, hash in DEPENDENCIES
    ]
    for snapshot, records in held.items():
        write_v2(folder / snapshot / "e4s", make_index([*records, *leaves]))
    return folder


def read_nodes(folder, snapshot):
    """The nodes of an index's binaries, and the version of every record, by hash."""
    data = json.loads((folder / snapshot / "e4s" / "build_cache" / "index.json").read_bytes())
    installs = data["database"]["installs"]
    nodes = {hash: record["spec"] for hash, record in installs.items() if record["in_buildcache"]}
    return nodes, {hash: record["spec"]["version"] for hash, record in installs.items()}


def explain(node, others, before, versions):
    """(cause, replaced_by) of a node that is gone; ``others`` are those that are there, of the same configuration."""
    known = {hash: other for hash, other in others.items() if "package_hash" in other}
    if "package_hash" not in node or not known:
        return "unknown", None
    known = {hash: other for hash, other in known.items() if hash not in before} or known
    same = {hash: other for hash, other in known.items() if other["package_hash"] == node["package_hash"]}
    if not same:
        return "recipe changed", None
    edges = {(edge["name"], edge["hash"]) for edge in node["dependencies"]}
    options = []
    for hash, other in same.items():
        differing = edges ^ {(edge["name"], edge["hash"]) for edge in other["dependencies"]}
        # What else a hash covers counts only where no dependency differs.
        unlike = not differing and node["parameters"] != other["parameters"]
        options.append((len(differing), unlike, hash, differing))
    count, unlike, _, differing = min(options, key=lambda option: option[:3])
    if not count:
        return ("unknown" if unlike else "Spack's format changed"), None
    name = min(differing)[0]
    old, new = (
        min((hash for one, hash in side if one == name), default=None)
        for side in (differing & edges, differing - edges)
    )
    same_version = old and new and versions[old] == versions[new]
    spelt = ["none" if one is None else f"/{one[:7]}" if same_version else versions[one] for one in (old, new)]
    return "dependency changed", f"{name} {spelt[0]} -> {spelt[1]}"


def explain_all(folder, snapshots=(FROM, TO)):
    """Counts of (cause, replaced_by), by loops over the two indexes as they lie there."""
    (before, versions), (after, _) = (read_nodes(folder, snapshot) for snapshot in snapshots)
    return Counter(explain(before[hash], after, before, versions) for hash in before.keys() - after.keys())


def ask_lost(warehouse, snapshots=(FROM, TO)):
    """What ``lost`` counts: of neighbours as a build keeps it, the other way round as it compares them."""
    before, after = snapshots
    rows = ask(warehouse, f"select cause, replaced_by, sum(specs) from lost('{before}', '{after}') group by all")
    return {(cause, replaced_by): int(specs) for cause, replaced_by, specs in rows}


# Few hashes, so that some stay; what a hash stands for does not change.
kinds = st.tuples(
    st.sampled_from(["r1", "r1", "r2", None]),
    st.lists(st.sampled_from(DEPENDENCIES), max_size=4, unique=True),
    st.sampled_from([(), (), ("-O2",)]),
)
numbers = st.lists(st.integers(0, 5), min_size=1, max_size=5, unique=True)


@pytest.mark.slow
@thorough(8, 60)
@given(st.lists(kinds, min_size=6, max_size=6), numbers, numbers)
def test_causes_are_those_of_the_raw_indexes(tmp_path_factory, built, before, after):
    records = [make_built(number, *kind) for number, kind in enumerate(built)]
    folder = tmp_path_factory.mktemp("rebuilds")
    held = {FROM: [records[number] for number in before], TO: [records[number] for number in after]}
    source = write_caches(folder / "source", held)
    build([source], folder / "warehouse", jobs=1)

    for snapshots in ((FROM, TO), (TO, FROM)):
        assert ask_lost(folder / "warehouse", snapshots) == explain_all(source, snapshots)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (("r1", [0]), ("r2", [0]), ("recipe changed", None)),
        (("r1", [0, 3]), ("r1", [0, 4]), ("dependency changed", "zlib-ng 2.2.3 -> 2.2.4")),
        (("r1", [4]), ("r1", [5]), ("dependency changed", f"zlib-ng /{make_hash(1021)[:7]} -> /{make_hash(1022)[:7]}")),
        (("r1", []), ("r1", [0, 3]), ("dependency changed", "glibc none -> 2.35")),
        (("r1", [0, 3]), ("r1", [0]), ("dependency changed", "zlib-ng 2.2.3 -> none")),
        (("r1", [0]), ("r1", [0]), ("Spack's format changed", None)),
        (("r1", [0]), ("r1", [0], ["-O2"]), ("unknown", None)),
        ((None, [0]), ("r1", [0]), ("unknown", None)),
    ],
)
def test_a_spec_built_once_and_again(tmp_path, old, new, expected):
    records = [
        make_built(number, recipe, [DEPENDENCIES[one] for one in dependencies], *flags)
        for number, (recipe, dependencies, *flags) in enumerate((old, new))
    ]
    source = write_caches(tmp_path / "source", {FROM: records[:1], TO: records[1:]})
    build([source], tmp_path / "warehouse", jobs=1)

    assert ask_lost(tmp_path / "warehouse") == {expected: 1} == explain_all(source)


def test_what_stayed_is_none_that_was_built_in_place_of_another(tmp_path):
    gone, stayed, new = make_built(1, "r1", []), make_built(2, "r1", DEPENDENCIES[:1]), make_built(3, "r2", [])
    source = write_caches(tmp_path / "source", {FROM: [gone, stayed], TO: [stayed, new]})
    build([source], tmp_path / "warehouse", jobs=1)

    assert ask_lost(tmp_path / "warehouse") == {("recipe changed", None): 1} == explain_all(source)


def test_a_thousand_specs_of_a_configuration_are_not_compared_each_with_each(tmp_path):
    """A million pairs of specs do not fit into this memory; what is lost the other way round is not kept."""
    leaves = [DEPENDENCIES[0], DEPENDENCIES[1], DEPENDENCIES[3]]
    sides = {
        snapshot: [make_built(first + number, "r1", leaves) for number in range(1000)]
        for snapshot, first in ((FROM, 2000), (TO, 4000))
    }
    build([write_caches(tmp_path / "source", sides)], tmp_path / "warehouse", jobs=1)
    with open_database(Layout(tmp_path / "warehouse")) as connection:
        connection.execute("set memory_limit = '200MB'; set max_temp_directory_size = '0B'; set threads = 1")
        rows = connection.execute(f"select cause, specs from lost('{TO}', '{FROM}')").fetchall()

    assert rows == [("Spack's format changed", 1000)]


def test_neighbours_are_not_compared_again(tmp_path):
    sides = {FROM: [make_built(1, "r1", []), make_built(2, "r1", [])], TO: [make_built(3, "r2", [])]}
    build([write_caches(tmp_path / "source", sides)], tmp_path / "warehouse", jobs=1)
    shutil.copy(Layout(tmp_path / "warehouse").database, tmp_path / "copy.duckdb")
    with duckdb.connect(str(tmp_path / "copy.duckdb")) as connection:
        kept = connection.execute(f"from lost('{FROM}', '{TO}')").fetchall()
        connection.execute("delete from changes")
        compared = connection.execute(f"from lost('{FROM}', '{TO}')").fetchall()
        # What is kept is the answer, whatever the tables hold since.
        connection.execute(
            f"insert into changes select '{FROM}', '{TO}', 'hep', 'kept', 'lost', 'c', 'v', 'x', 't', 'r', 9,"
            " null, null, null"
        )
        again = connection.execute(f"from lost('{FROM}', '{TO}')").fetchall()

    assert kept == compared == [("hdf5", "e4s", "1.14.5", "gcc@11.4.0", "x86_64_v3", "recipe changed", None, 2)]
    assert again == [("kept", "hep", "v", "x", "t", "c", "r", 9)]
