"""The first pages of cache.spack.io, of 2021: a listing, and a spec file beside it for each binary."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.sources.buildcache import Choice
from pipeline.specs import page as parse
from pipeline.specs.page import parse_page
from tests.commands import run
from tests.makers import (
    ask,
    make_hash,
    make_page,
    make_record,
    make_spec,
    parquet_bytes,
    rejects,
    rest_slow,
    write_page,
)

ARCH = "arch=linux-ubuntu22.04-x86_64_v3"


def make_node(number, package="adiak", **changes):
    """A node of a spec file of version 2, as the site had them: joined by whatever hash the edge names."""
    spec = make_spec(number, compiler="gcc@=9.3.0", **changes)
    return make_record(spec, package)["spec"]


def make_spec_file(node, *others, version=2):
    node = {**node, "dependencies": [{"name": o["name"], "hash": o["hash"], "type": ["link"]} for o in others]}
    return json.dumps({"spec": {"_meta": {"version": version}, "nodes": [node, *others]}}, indent=4)


def write_first(folder, files, package="adiak", front=""):
    """A first page and its spec files: ``files`` are their texts, or None for one that is not there."""
    path = folder / "_cache" / package
    # Real keys are longer than YAML lets a key on one line be.
    text = f"{package}@0.1.1%gcc@9.3.0+mpi {ARCH} " + " ".join(f"^dep{n}@1.0 {ARCH}" for n in range(40))
    listing = "".join(f' - "{text}": spec-{number}.json\n' for number in range(len(files)))
    meta = json.dumps({"versions": ["1.14.5"], "compilers": ["gcc@9.3.0"]})
    head = f'---\ntitle: "{package}"\nlayout: cache\ncategory: package\n{front}meta: {meta}\nspec_files: \n'
    for number, one in enumerate(files):
        if one is not None:
            write_page(path, one, f"spec-{number}.json")
    return write_page(path, f"{head}{listing}---\n", "index.md")


def make_files(count):
    return [make_spec_file(make_node(number), make_node(900 + number, "zlib")) for number in range(count)]


def test_a_binary_is_the_first_node_of_a_spec_file_and_stands_in_root(tmp_path):
    write_first(tmp_path / "site", make_files(3))

    summary = build([tmp_path / "site"], tmp_path / "w", jobs=1)

    assert (summary.pages, summary.specs, summary.rejects, summary.passed_over) == (1, 3, 0, 0)
    rows = ask(
        tmp_path / "w", "select snapshot, package, hash, stacks, in_root, compiler, variants from specs order by hash"
    )
    variants = ["build_system=cmake", "+mpi", "~cuda"]
    assert rows == [("first-pages", "adiak", make_hash(number), [], True, "gcc@9.3.0", variants) for number in range(3)]
    assert ask(tmp_path / "w", "select stack from spec_stacks") == [("root",)] * 3
    assert ask(tmp_path / "w", "select * from meta_mismatches") == []
    done = run("check", "--warehouse", tmp_path / "w")
    assert done.returncode == 0
    assert "0 failed, 0 with warnings" in done.stdout


@pytest.mark.slow
def test_the_snapshot_is_as_the_user_names_it(tmp_path):
    page = write_first(tmp_path / "site", make_files(1))
    write_page(tmp_path, "sources:\n  - {path: site, snapshot: autumn}\n", "sources.yaml")
    for sources, choice, expected in (
        ([tmp_path / "site"], Choice(("v0.16",)), "v0.16"),
        ([page], Choice(("v0.16",)), "v0.16"),
        ([tmp_path / "sources.yaml"], Choice(), "autumn"),
        ([page], Choice(), "first-pages"),
    ):
        build(sources, tmp_path / "w", jobs=1, choice=choice)
        assert ask(tmp_path / "w", "select snapshot from snapshots") == [(expected,)]


def test_another_name_in_a_file_of_sources_moves_the_snapshot(tmp_path):
    write_first(tmp_path / "site", make_files(1))
    for name in ("autumn", "winter"):
        write_page(tmp_path, f"sources:\n  - {{path: site, snapshot: {name}}}\n", "sources.yaml")
        build([tmp_path / "sources.yaml"], tmp_path / "w", jobs=1)
        assert ask(tmp_path / "w", "select snapshot from snapshots") == [(name,)]


def test_a_pattern_is_no_name(tmp_path):
    write_first(tmp_path / "site", make_files(1))
    build([tmp_path / "site"], tmp_path / "w", jobs=1, choice=Choice(("first*",)))
    assert ask(tmp_path / "w", "select snapshot from snapshots") == [("first-pages",)]


def test_a_snapshot_that_the_page_names_is_its_own(tmp_path):
    write_first(tmp_path / "site", make_files(1), front="categories: [package, v0.18]\n")
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    assert ask(tmp_path / "w", "select snapshot from snapshots") == [("v0.18",)]


@pytest.mark.slow
def test_beside_a_later_page_the_package_counts_once(tmp_path):
    first = write_first(tmp_path / "site", make_files(2))
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    later = write_page(first.parent, make_page([make_spec(7)], "adiak", "v0.18"), "specs.md")

    summary = build([tmp_path / "site"], tmp_path / "w", jobs=1)

    assert ask(tmp_path / "w", "select snapshot, hash from specs") == [("v0.18", make_hash(7))]
    assert (summary.gone, [row.state for row in summary.sources]) == (["first-pages"], ["loaded"])

    later.unlink()
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    assert ask(tmp_path / "w", "select snapshot, count(*) from specs group by all") == [("first-pages", 2)]


def count_read(monkeypatch):
    from pipeline.store import extract

    read = []
    original = extract.read_spec_bytes
    monkeypatch.setattr(extract, "read_spec_bytes", lambda page, name: read.append(name) or original(page, name))
    return read


@pytest.mark.slow
@pytest.mark.parametrize("change", rest_slow(["other bytes", "gone", "new"]))
def test_a_changed_spec_file_is_read_and_unchanged_ones_cost_nothing(tmp_path, monkeypatch, change):
    files = make_files(3)
    write_first(tmp_path / "site", [*files[:2], None if change == "new" else files[2]])
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    time.sleep(2.1)  # Change times cannot be set: so long a file counts as one that may change unseen.
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    read = count_read(monkeypatch)

    assert build([tmp_path / "site"], tmp_path / "w", jobs=1).rebuilt == 0
    assert read == []

    spec_file = tmp_path / "site/_cache/adiak/spec-2.json"
    if change == "gone":
        spec_file.unlink()
    else:
        spec_file.write_text(make_spec_file(make_node(5)) if change == "other bytes" else files[2])
    assert build([tmp_path / "site"], tmp_path / "w", jobs=1).rebuilt == 1
    expected = {"other bytes": [0, 1, 5], "gone": [0, 1], "new": [0, 1, 2]}[change]
    assert ask(tmp_path / "w", "select hash from specs order by hash") == [(make_hash(n),) for n in expected]
    build([tmp_path / "site"], tmp_path / "anew", jobs=1)
    assert (
        parquet_bytes(tmp_path / "w").items()
        >= {name: data for name, data in parquet_bytes(tmp_path / "anew").items() if "sources" not in name}.items()
    )


def test_each_broken_spec_file_is_a_reject_that_names_it_and_the_rest_is_loaded(tmp_path):
    good = make_files(1)[0]
    broken = [
        good,
        None,
        "<html>",
        make_spec_file(make_node(1), version=9),
        json.dumps({"spec": {"_meta": {"version": 2}, "nodes": []}}),
        make_spec_file({**make_node(2), "hash": "short"}),
        make_spec_file(make_node(3, "zlib")),
        good,
        make_spec_file({**make_node(4), "arch": {"platform": "linux"}}),
        b"\x1f\x8bbroken",
    ]
    page = write_first(tmp_path / "site", broken)
    page.write_text(page.read_text().replace("spec-9.json\n", 'spec-9.json\n - "x": ../../secret.json\n - "y"\n', 1))

    summary = build([tmp_path / "site"], tmp_path / "w", jobs=1)

    assert (summary.specs, summary.rejects) == (1, 11)
    found = {place: reason for _, place, reason in rejects(tmp_path / "w")}
    assert sorted(found, key=lambda place: int(place[11:-1])) == [f"spec_files[{n}]" for n in range(1, 12)]
    for number, words in enumerate(
        (
            "spec-1.json is missing",
            "spec-2.json: file: is no JSON",
            "spec-3.json: spec._meta.version: is 9",
            "spec-4.json: spec.nodes: has no spec",
            "spec-5.json: spec.nodes[0].hash: is not 32",
            "spec-6.json: spec.nodes[0].name: is 'zlib', and the page's is 'adiak'",
            "spec-7.json: spec.nodes[0].hash: " + make_hash(0) + " stands already in spec-0.json",
            "spec-8.json: spec.nodes[0].arch: object missing required field",
            "spec-9.json cannot be read: cannot be unpacked as gzip",
            "names '../../secret.json', which is no spec-N.json beside the page",
            "names '- \"y', which is no spec-N.json",
        ),
        1,
    ):
        assert found[f"spec_files[{number}]"].startswith(words)
    assert "0 failed" in run("check", "--warehouse", tmp_path / "w").stdout


@pytest.mark.parametrize("value", ["[a, b]", "text", "", "{a: b}"])
def test_a_listing_of_another_shape_is_a_reject(tmp_path, value):
    write_page(tmp_path / "site", f"---\ntitle: x\nspec_files: {value}\n---\n")
    write_page(tmp_path / "site", make_page([make_spec()]), "good.md")
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    assert rejects(tmp_path / "w") == [("page.md", "spec_files", "is no list of spec files, each on a line of its own")]


def test_a_page_of_no_binaries_is_one(tmp_path):
    write_page(tmp_path / "site", "---\ntitle: x\ncategory: package\nspec_files: []\n---\n")
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    assert ask(tmp_path / "w", "select snapshot, package, specs from pages") == [("first-pages", "x", 0)]


def test_an_empty_list_of_stacks_stays_a_reject(tmp_path):
    write_page(tmp_path / "site", make_page([make_spec(0, stacks=[]), make_spec(1)]))
    build([tmp_path / "site"], tmp_path / "w", jobs=1)
    assert rejects(tmp_path / "w") == [("page.md", "spec_details[0].stacks", "is empty")]


def test_both_generations_stand_in_one_batch_in_their_order(tmp_path):
    site = tmp_path / "site"
    for at, package in enumerate(("zlib", "adiak", "hdf5")):
        write_first(site, [make_spec_file(make_node(at, package))], package)
        later = [make_spec(100 * at + number) for number in range(1, 4)]
        write_page(site, make_page(later, f"{package}-x"), f"{package}/page.md")

    build([site], tmp_path / "w", jobs=1)

    counts = "select snapshot, package, count(*) from spec_stacks where stack = 'root' group by all order by all"
    packages = ("adiak", "hdf5", "zlib")
    assert ask(tmp_path / "w", counts) == [
        *(("develop", f"{package}-x", 3) for package in packages),
        *(("first-pages", package, 1) for package in packages),
    ]


def test_spec_files_with_no_page_beside_them_are_passed_over(tmp_path):
    write_page(tmp_path / "site", make_page([make_spec()]))
    write_page(tmp_path / "site/other", make_files(1)[0], "spec-0.json")
    assert build([tmp_path / "site"], tmp_path / "w", jobs=1).passed_over == 1


@given(st.lists(st.text(st.characters(blacklist_characters="\n\r\0", codec="utf-8"), max_size=30), max_size=5))
def test_any_text_of_a_spec_leaves_the_name_of_its_file(texts):
    listing = "".join(f" - {json.dumps(text, ensure_ascii=False)}: spec-{n}.json\n" for n, text in enumerate(texts))
    page = parse_page(f"---\ntitle: x\ncategory: package\nspec_files:{' []' * (not texts)}\n{listing}---\n".encode())
    assert page.spec_files == [f"spec-{number}.json" for number in range(len(texts))]


def test_a_long_listing_is_no_yaml_and_has_no_limit_of_its_own():
    line = f' - "{"x" * 5000}": spec-0.json\n'
    count = parse.LARGEST_YAML // len(line) + 2
    page = parse_page(f"---\ntitle: x\nspec_files:\n{line * count}---\n".encode())
    assert len(page.spec_files) == count
