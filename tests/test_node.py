"""A spec is the same spec in every form in which Spack has written it."""

import gzip
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Fault
from pipeline.specs.node import decode_node, read_spec_file
from tests.makers import FLAGS, make_hash, make_record, make_spec

SPEC_FILES = Path(__file__).parent / "data" / "specfiles"


# A concrete spec as plain data, and what Spack would write of it in each version.


def name_texts(letters):
    return st.text(letters, min_size=1, max_size=6)


parameters = st.dictionaries(
    name_texts("abcxyz_"),
    st.booleans() | st.sampled_from(["none", "90", "a b", "it's", "x=y"]) | st.lists(name_texts("abc+"), max_size=3),
    max_size=4,
)
nodes = st.fixed_dictionaries(
    {
        "name": name_texts("abcxyz-"),
        "version": st.sampled_from(["1.0", "main", "2.0rc1", "git.abc=1.0", "2024a"]),
        "platform": st.sampled_from(["linux", "darwin"]),
        "os": st.sampled_from(["ubuntu22.04", "sequoia"]),
        "target": st.sampled_from(["x86_64_v3", "zen4", "m1"]),
        "parameters": parameters,
        "flags": st.dictionaries(st.sampled_from(FLAGS), st.lists(st.sampled_from(["-O2", "-g"]), max_size=2)),
        "patches": st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=2),
        "namespace": st.sampled_from([None, "builtin", "site"]),
        "external": st.booleans(),
        "package_hash": st.sampled_from([None, "x" * 52 + "===="]),
    }
)
edges = st.tuples(st.lists(st.sampled_from(["build", "link", "run", "test"]), min_size=1, unique=True), st.booleans())


@st.composite
def graphs(draw):
    """Nodes of distinct names, each with edges to some that come after it: (deptypes, whether it provides mpi)."""
    drawn = draw(st.lists(nodes, min_size=1, max_size=4, unique_by=lambda node: node["name"]))
    count = len(drawn)
    return drawn, {
        (one, other): draw(edges) for one in range(count) for other in range(one + 1, count) if draw(st.booleans())
    }


COMPILER = ("gcc", "11.4.0")


def write_node(version, number, node, edges, names):
    """A node as Spack writes it in a spec file of a version."""
    target = node["target"]
    written = {
        "name": node["name"],
        "version": node["version"],
        "arch": {
            "platform": node["platform"],
            "platform_os": node["os"],
            "target": target if target == "x86_64_v3" else {"name": target, "vendor": "x", "features": []},
        },
        "parameters": {
            **node["parameters"],
            **({"patches": node["patches"]} if node["patches"] else {}),
            **{flag: node["flags"].get(flag, []) for flag in FLAGS},
        },
    }
    if node["namespace"] is not None:
        written["namespace"] = node["namespace"]
    if node["external"]:
        written["external"] = {"path": "/usr", "module": False if version == 1 else None}
    if version >= 3 and node["package_hash"] is not None:
        written["package_hash"] = node["package_hash"]
    if version < 5:
        written["compiler"] = {"name": COMPILER[0], "version": COMPILER[1]}
    else:
        written["annotations"] = {"original_specfile_version": 4, "compiler": "@=".join(COMPILER)}
    dependencies = []
    for (one, other), (deptypes, provides) in edges.items():
        if one == number:
            related = {"deptypes": deptypes, "virtuals": ["mpi"] if provides else []}
            key, hash = ("build_hash", make_hash(100 + other)) if version == 2 else ("hash", make_hash(other))
            more = {"type": deptypes} if version < 4 else {"parameters": related}
            dependencies.append({"name": names[other], key: hash, **more})
    if version == 1:
        written["dependencies"] = {edge.pop("name"): edge for edge in dependencies}
    elif dependencies:
        written["dependencies"] = dependencies
    written["hash"] = make_hash(number)
    if version < 3:
        written |= {"build_hash": make_hash(100 + number), "full_hash": make_hash(200 + number)}
    if version == 6:
        written["provided_virtuals"] = ["mpi@:3"]
    return {written.pop("name"): written} if version == 1 else written


def write_spec_file(version, graph):
    drawn, edges = graph
    names = [node["name"] for node in drawn]
    written = [write_node(version, number, node, edges, names) for number, node in enumerate(drawn)]
    return json.dumps({"spec": written if version == 1 else {"_meta": {"version": version}, "nodes": written}}).encode()


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_a_spec_is_the_same_in_every_version_of_spec_files(graph):
    found = {version: read_spec_file(write_spec_file(version, graph)) for version in range(1, 7)}
    drawn, edges = graph

    # What only later versions have: virtuals from 4 on, the hash of the recipe from 3 on.
    def without(specs, *keys):
        blank = [spec._replace(**dict.fromkeys(keys)) for spec in specs]
        return [one._replace(dependencies=[edge._replace(virtuals=[]) for edge in one.dependencies]) for one in blank]

    assert found[4] == found[5] == found[6]
    assert found[3] == without(found[4])
    assert found[1] == found[2] == without(found[4], "package_hash")
    for number, (node, spec) in enumerate(zip(drawn, found[6], strict=True)):
        assert spec[:6] == (
            node["name"],
            make_hash(number),
            node["version"],
            "gcc@=11.4.0",
            None,
            {flag: " ".join(values) for flag, values in node["flags"].items() if values},
        )
        assert (spec.platform, spec.os, spec.target) == (node["platform"], node["os"], node["target"])
        assert (spec.patches, spec.namespace, spec.external) == (node["patches"], node["namespace"], node["external"])
        assert spec.package_hash == node["package_hash"]
        assert len(spec.variants) == len(node["parameters"]) + bool(node["patches"])
        assert [tuple(edge) for edge in spec.dependencies] == [
            (make_hash(other), drawn[other]["name"], deptypes, ["mpi"] if provides else [])
            for (one, other), (deptypes, provides) in edges.items()
            if one == number
        ]


@pytest.mark.parametrize(
    ("name", "version", "package_hash", "virtuals"),
    [
        ("v013", "1.10.5", False, []),
        ("v016", "1.10.7", False, []),
        ("v017", "1.10.7", False, []),
        ("v019", "1.12.2", True, []),
        ("v020", "1.12.2", True, ["mpi"]),
    ],
)
def test_spec_files_that_spack_wrote(name, version, package_hash, virtuals):
    first, *others = read_spec_file(gzip.decompress((SPEC_FILES / f"hdf5.{name}.json.gz").read_bytes()))
    hashes = {spec.hash: spec.package for spec in (first, *others)}

    assert (first.package, first.version, first.compiler) == ("hdf5", version, "gcc@=9.4.0")
    assert (first.package_hash is not None) == package_hash
    assert {edge.package for edge in first.dependencies} >= {"openmpi", "zlib"}
    assert [edge.virtuals for edge in first.dependencies if edge.package == "openmpi"] == [virtuals]
    for spec in (first, *others):
        # Whatever they are named by, dependencies are named by their DAG hash.
        assert all(hashes[edge.hash] == edge.package for edge in spec.dependencies)


def test_a_compiler_that_is_a_dependency_is_named_by_its_node():
    edge = {"name": "gcc", "hash": make_hash(2), "parameters": {"deptypes": ["build"], "virtuals": ["c"]}}
    gcc = make_record(make_spec(2, versions=["13.2.0"], compiler="none"), "gcc", external={"path": "/usr"})["spec"]
    spec = make_record(make_spec(1, compiler="none"), dependencies=[edge])["spec"]
    first, second = read_spec_file(json.dumps({"spec": {"_meta": {"version": 5}, "nodes": [spec, gcc]}}).encode())

    assert (first.compiler, first.compilers) == ("gcc@13.2.0", {"c": "gcc@13.2.0"})
    assert (second.compiler, second.external) == ("none", True)


@pytest.mark.parametrize("key", ["hash", "full_hash", "build_hash"])
def test_what_a_spec_is_spliced_from(key):
    node = make_record(make_spec(1), build_spec={"name": "hdf5", key: make_hash(7)})["spec"]

    assert decode_node(msgspec.Raw(json.dumps(node).encode()), "spec").find_build_spec() == make_hash(7)


def test_a_node_may_have_no_parameters():
    node = make_record(make_spec(1))["spec"]
    del node["parameters"]

    assert decode_node(msgspec.Raw(json.dumps(node).encode()), "spec").parameters == {}


NODE = make_record(make_spec(1))["spec"]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (b"{", "file: is no JSON: "),
        (b"[]", "expected 'object', got 'array'"),
        (b"{}", "missing required field 'spec'"),
        (b'{"spec": []}', "spec: has no spec"),
        (b'{"spec": {"nodes": []}}', "spec: "),
        (b'{"spec": {"_meta": {"version": 4}, "nodes": []}}', "spec.nodes: has no spec"),
        (b'{"spec": {"_meta": {"version": 7}, "nodes": [{}]}}', "spec._meta.version: is 7; known are 1 to 6"),
        ({**NODE, "version": 1}, "spec.nodes[0].version: expected 'str', got 'int'"),
        ({**NODE, "name": ""}, "spec.nodes[0].name: is empty or missing"),
        ({**NODE, "hash": "short"}, "spec.nodes[0].hash: is not 32 characters"),
        ({**NODE, "compiler": {"name": "a b", "version": "1"}}, "spec.nodes[0].compiler: "),
        ({**NODE, "version": "1\0"}, "file: holds a NUL character"),
        ({"hdf5": {**NODE, "version": 1}}, "spec.nodes[0].hdf5.version: expected 'str', got 'int'"),
        ({"hdf5": 1}, "spec.nodes[0]: object missing required field 'version'"),
    ],
)
def test_a_broken_spec_file_is_refused_with_the_place(written, fault):
    if isinstance(written, dict):
        written = json.dumps({"spec": {"_meta": {"version": 4}, "nodes": [written]}}).encode()
    with pytest.raises(Fault) as caught:
        read_spec_file(written)

    assert fault in str(caught.value)
