"""Build caches are found wherever they lie, and give what their pages would."""

import datetime as dt
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.cli import cli
from pipeline.errors import SourceError
from pipeline.schema import DEPENDENCIES, OF_INDEX, SPEC_STACKS
from pipeline.sources import files
from pipeline.sources.buildcache import Choice, choose_blob, find_indexes, place_mirror
from pipeline.sources.files import find_sources, scan
from pipeline.store.extract_index import extract_index
from pipeline.store.history import Wishes
from tests.commands import run
from tests.makers import (
    ask,
    make_hash,
    make_index,
    make_record,
    make_spec,
    parquet_bytes,
    rejects,
    specs,
    thorough,
    write_caches,
    write_page,
    write_pages,
    write_v2,
    write_v3,
)

DATA = Path(__file__).parent / "data" / "caches"
ONE = make_index([make_record(make_spec(1))])
TWO = make_index([make_record(make_spec(1)), make_record(make_spec(2), "zlib")])
OTHER = make_index([make_record(make_spec(3))])
THREE = make_index([make_record(make_spec(number)) for number in (1, 2, 3)])
INDEX_COLUMNS = (
    *("compilers", "patches", "compiler_flags", "namespace", "external"),
    *(column.name for column in OF_INDEX),
)
COMMON = [
    name
    for name in SPEC_STACKS.names
    if name not in (*INDEX_COLUMNS, "source", "size_bytes", "tarball_url", "installable")
]


def build_in(tmp_path, *sources, choice=None):
    """A warehouse of sources, the summary and the warehouse's folder."""
    warehouse = tmp_path / "warehouse"
    return build(list(sources), warehouse, jobs=1, choice=choice or Choice()), warehouse


def stacks(warehouse):
    """The specs of each snapshot and stack."""
    query = "select snapshot, stack, count(*) from spec_stacks group by all order by all"
    return {(snapshot, stack): count for snapshot, stack, count in ask(warehouse, query)}


def tree(folder):
    """Two snapshots as they stand in Spack's bucket."""
    for snapshot in ("develop", "v1.0"):
        write_v2(folder / snapshot, TWO)
        write_v2(folder / snapshot / "e4s", TWO)
        write_v3(folder / snapshot / "hep", ONE)
    return folder


def listing(folder, *listed):
    """A listing of (snapshot, stack, URL)."""
    made = {}
    for snapshot, stack, url in listed:
        made.setdefault(snapshot, []).append({"label": stack, "url": url})
    write_page(folder, json.dumps(made), "cache_spack_io_index.json")
    return folder


ALL = {
    (snapshot, stack): count
    for snapshot in ("develop", "v1.0")
    for stack, count in {"e4s": 2, "hep": 1, "root": 2}.items()
}


def test_a_tree_of_stacks(tmp_path):
    summary, warehouse = build_in(tmp_path, tree(tmp_path / "bucket"))

    assert stacks(warehouse) == ALL
    assert (summary.indexes, summary.pages, summary.specs, summary.rows, summary.rejects) == (6, 0, 4, 10, 0)
    assert summary.failed == []
    assert ask(warehouse, "select snapshot, count(*) from specs where in_root group by all order by all") == [
        ("develop", 2),
        ("v1.0", 2),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("develop", {key: count for key, count in ALL.items() if key[0] == "develop"}),
        ("develop/e4s", {("develop", "e4s"): 2}),
        ("develop/e4s/build_cache/index.json", {("develop", "e4s"): 2}),
        ("develop/hep", {("develop", "hep"): 1}),
        ("develop/hep/v3/manifests/index/index.manifest.json", {("develop", "hep"): 1}),
    ],
)
def test_a_part_of_it_has_the_same_names(tmp_path, source, expected):
    _, warehouse = build_in(tmp_path, tree(tmp_path / "bucket") / source)

    assert stacks(warehouse) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(("v*",)), {key for key in ALL if key[0] == "v1.0"}),
        (Choice((), ("e4s", "ro*")), {key for key in ALL if key[1] != "hep"}),
        (Choice(("develop",), ("h?p",)), {("develop", "hep")}),
    ],
)
def test_snapshots_and_stacks_can_be_chosen(tmp_path, choice, expected):
    _, warehouse = build_in(tmp_path, tree(tmp_path / "bucket"), choice=choice)

    assert set(stacks(warehouse)) == expected


@pytest.mark.slow
def test_another_choice_is_another_warehouse(tmp_path):
    source = tree(tmp_path / "bucket")
    build_in(tmp_path, source)
    _, warehouse = build_in(tmp_path, source, choice=Choice(("develop",)))
    assert {snapshot for snapshot, _ in stacks(warehouse)} == {"develop"}

    summary, _ = build_in(tmp_path, source)
    assert stacks(warehouse) == ALL
    assert build_in(tmp_path, source)[0].rebuilt == 0
    assert summary.rebuilt == 2


def test_pages_can_be_chosen_by_snapshot_and_have_all_their_stacks(tmp_path):
    pages = {("develop", "p"): [make_spec(1)], ("v1.0", "p"): [make_spec(1)]}
    source = write_pages(tmp_path / "pages", pages)
    _, warehouse = build_in(tmp_path, source, choice=Choice(("v1*",)))
    held = stacks(warehouse)
    assert {snapshot for snapshot, _ in held} == {"v1.0"}

    build_in(tmp_path, source, choice=Choice(("v1*",), ("none",)))
    assert stacks(warehouse) == held


def test_that_nothing_was_chosen_is_reported_with_the_choice(tmp_path):
    source = write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(1)]})
    page = write_page(tmp_path, "no page", "passwd")
    with pytest.raises(SourceError, match=f"found, taking only the snapshots zz: {source}: "):
        build_in(tmp_path, source, choice=Choice(("zz",)))
    with pytest.raises(SourceError, match=f"found: {page}: is neither a page nor an index"):
        build_in(tmp_path, page)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (Choice(), ""),
        (Choice(("a", "v*")), "only the snapshots a, v*"),
        (Choice(("a",), ("e4s",)), "only the snapshots a; of build caches only the stacks e4s"),
    ],
)
def test_a_choice_is_described(choice, text):
    assert choice.describe() == text


def test_a_single_mirror_is_named_on_the_command_line(tmp_path):
    mirror = write_v2(tmp_path / "x" / "y", ONE)
    command = ["build", str(mirror), "--warehouse", str(tmp_path / "w"), "--snapshot", "mine", "--stack", "site"]
    result = CliRunner().invoke(cli, command)

    assert result.exit_code == 0, result.output
    assert "1 index in 1 snapshot, 1 spec, 1 row, 0 rejects" in result.output
    assert stacks(tmp_path / "w") == {("mine", "site"): 1}


@pytest.mark.parametrize(
    ("mirror", "is_root", "placed"),
    [
        ("/b/develop/e4s", False, ("develop", "e4s")),
        ("/b/develop", True, ("develop", "root")),
        ("/b/develop-2025-03-30", False, ("develop-2025-03-30", "root")),
        ("/b/v0.23.1", False, ("v0.23.1", "root")),
        ("/b/mine", True, ("mine", "root")),
        ("https://host/b/v1.0/hep", False, ("v1.0", "hep")),
    ],
)
def test_a_mirror_is_the_stack_and_snapshot_of_its_last_folders(mirror, is_root, placed):
    assert place_mirror(mirror, is_root) == placed


def test_a_mirror_without_folders_to_name_it_is_refused_with_what_to_do():
    with pytest.raises(SourceError, match="--snapshot and --stack"):
        place_mirror("/mirror", is_root=False)


def test_a_listing_names_what_stands_below_it(tmp_path):
    folder = tmp_path / "bucket"
    write_v2(folder / "odd" / "place", ONE)
    write_v3(folder / "new", TWO)
    (blob,) = (path.relative_to(folder).as_posix() for path in (folder / "new" / "blobs").rglob("*") if path.is_file())
    listing(
        folder,
        ("develop", "e4s", "s3://spack-binaries/odd/place/build_cache/index.json"),
        ("develop", "hep", f"s3://spack-binaries/{blob}"),
        ("develop", "root", "https://binaries.spack.io/new/v3/manifests/index/index.manifest.json"),
    )
    _, warehouse = build_in(tmp_path, folder)

    assert stacks(warehouse) == {("develop", "e4s"): 1, ("develop", "hep"): 2, ("develop", "root"): 2}


def test_a_listing_may_name_one_index_for_several_stacks(tmp_path):
    url = "s3://b/place/build_cache/index.json"
    folder = write_v2(tmp_path / "bucket" / "place", ONE).parent
    _, warehouse = build_in(tmp_path, listing(folder, ("develop", "e4s", url), ("develop", "hep", url)))

    assert stacks(warehouse) == {("develop", "e4s"): 1, ("develop", "hep"): 1}


def test_a_listed_stack_that_is_gone_is_a_reject_and_not_an_empty_stack(tmp_path):
    folder = listing(
        write_v2(tmp_path / "bucket" / "develop" / "e4s", ONE).parents[1],
        ("develop", "e4s", "s3://b/develop/e4s/build_cache/index.json"),
        ("develop", "hep", "s3://b/develop/hep/build_cache/index.json"),
    )
    summary, warehouse = build_in(tmp_path, folder)

    assert stacks(warehouse) == {("develop", "e4s"): 1}
    assert summary.rejects == 1
    why = "is not there, though cache_spack_io_index.json lists it"
    assert ask(warehouse, "select path, place, reason, snapshot, stack, specs from rejects") == [
        ("develop/hep/build_cache/index.json", "file", why, "develop", "hep", None)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "<!doctype html>",
        '{"develop": [{"label": "e4s"}]}',
        '{"d": [{"label": "", "url": "x"}]}',
        '{"d": [{"label": "a\\u0000", "url": "x"}]}',
        '{"d": [{"label": "a", "url": "x\\u0000"}]}',
        '{"d": [{"label": "a", "url": "http://[::1"}]}',
    ],
)
def test_a_broken_listing_ends_the_build_in_one_line(tmp_path, text):
    write_page(tmp_path, text, "bucket/cache_spack_io_index.json")

    with pytest.raises(SourceError, match=r"cache_spack_io_index\.json: is no listing"):
        build_in(tmp_path, tmp_path / "bucket")


@pytest.mark.parametrize("up", ["..", "%2e%2E", "x\\.."])
def test_a_listing_cannot_lead_out_of_its_folder(tmp_path, up):
    write_v2(tmp_path / "outside", ONE)
    folder = listing(tmp_path / "bucket", ("develop", "e4s", f"s3://b/{up}/outside/build_cache/index.json"))

    with pytest.raises(SourceError, match="is no listing"):
        build_in(tmp_path, folder)


@pytest.mark.parametrize("url", ["{outside}/build_cache/index.json", "file://{outside}/build_cache/index.json"])
def test_an_absolute_path_in_a_listing_is_one_below_its_folder(tmp_path, url):
    outside = write_v2(tmp_path / "outside", ONE)
    folder = listing(tmp_path / "bucket", ("develop", "e4s", url.format(outside=outside)))
    with pytest.raises(SourceError, match="is not there, though"):
        build_in(tmp_path, folder)


@pytest.mark.parametrize("name", ["stack", "snapshot", "named"])
@pytest.mark.parametrize("write", [write_v2, write_v3])
def test_a_name_that_is_no_utf8_is_spelt_out(tmp_path, write, name):
    odd = os.fsdecode(b"od\xff")
    folders = {"stack": ("develop", odd), "snapshot": (odd, "e4s"), "named": (odd, odd)}[name]
    mirror = write(tmp_path.joinpath(*folders), ONE)
    names = ["--snapshot", "mine", "--stack", odd] if name == "named" else []
    done = run("build", mirror, "--warehouse", tmp_path / "w", "--jobs", 1, *names)

    expected = {"stack": ("develop", r"od\xff"), "snapshot": (r"od\xff", "e4s"), "named": ("mine", r"od\xff")}
    assert (done.returncode, stacks(tmp_path / "w")) == (0, {expected[name]: 1})


def test_a_mirror_in_a_folder_whose_name_is_no_utf8_is_a_reject(tmp_path):
    write_v3(tmp_path / "tree" / "develop" / os.fsdecode(b"od\xff"), ONE)
    write_v2(tmp_path / "tree" / "develop" / "e4s", ONE)
    _, warehouse = build_in(tmp_path, tmp_path / "tree")

    assert stacks(warehouse) == {("develop", "e4s"): 1}
    assert rejects(warehouse)[0][0].startswith(r"develop/od\xff/")


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_mirror_of_layout_v3(tmp_path, compression):
    _, warehouse = build_in(tmp_path, write_v3(tmp_path / "develop" / "e4s", TWO, compression))

    assert stacks(warehouse) == {("develop", "e4s"): 2}


@pytest.mark.slow
def test_views_are_stacks_and_a_whole_index_that_holds_them_is_root(tmp_path):
    mirror = write_v3(tmp_path / "develop" / "e4s", ONE, view="some")
    write_v3(mirror, OTHER, view="deep/er")
    _, warehouse = build_in(tmp_path, mirror)
    views = {("develop", "some"): 1, ("develop", "deep/er"): 1}
    assert stacks(warehouse) == views

    write_v3(mirror, TWO)
    build_in(tmp_path, mirror)
    assert stacks(warehouse) == {**views, ("develop", "e4s"): 2}

    write_v3(mirror, THREE)
    build_in(tmp_path, mirror)
    assert stacks(warehouse) == {**views, ("develop", "root"): 3}


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("some", {("develop", "some"): 1}),
        ("deep/*", {("develop", "deep/er"): 1}),
        ("root", {("develop", "root"): 3}),
        ("mine", {("develop", "mine"): 3}),
    ],
)
def test_a_stack_that_is_named_is_a_view_or_else_the_whole(tmp_path, stack, expected):
    mirror = write_v3(tmp_path / "develop", THREE)
    write_v3(write_v3(mirror, ONE, view="some"), OTHER, view="deep/er")
    _, warehouse = build_in(tmp_path, mirror, choice=Choice(stacks=(stack,)))

    assert stacks(warehouse) == expected


def test_a_source_that_names_no_view_of_a_mirror_of_views_fails(tmp_path):
    mirror = write_v3(tmp_path / "develop", ONE, view="some")
    sources = write_page(tmp_path, f"sources:\n  - {{path: {mirror}, snapshot: develop, stack: other}}\n", "s.yaml")
    made = run("build", sources, "--warehouse", tmp_path / "warehouse")

    assert made.returncode == 1
    assert "has no view 'other' and no index of the whole; its views are some" in made.stderr


def test_a_whole_index_that_cannot_be_read_keeps_its_name_and_is_a_reject(tmp_path):
    mirror = write_v3(write_v3(tmp_path / "develop" / "e4s", ONE, view="some"), b"{")
    _, warehouse = build_in(tmp_path, mirror)

    assert stacks(warehouse) == {("develop", "some"): 1}
    assert ask(warehouse, "select stack from rejects") == [("e4s",)]


def test_the_manifest_of_a_view_alone_is_its_stack(tmp_path):
    mirror = write_v3(tmp_path / "develop", ONE, view="some")
    _, warehouse = build_in(tmp_path, mirror / "v3/manifests/index/some/index.manifest.json")

    assert stacks(warehouse) == {("develop", "some"): 1}


def test_both_layouts_of_one_mirror_are_one_stack(tmp_path):
    mirror = write_v2(write_v3(tmp_path / "develop" / "e4s", TWO), ONE)
    summary, warehouse = build_in(tmp_path, mirror)

    assert stacks(warehouse) == {("develop", "e4s"): 2}
    assert summary.failed == []
    assert sorted(ask(warehouse, "select specs, repeated from pages")) == [(1, 0), (1, 1)]


def entry(version, checksum="a" * 64, **more):
    media_type = f"application/vnd.spack.db.v{version}+json"
    return {"contentLength": 1, "mediaType": media_type, "checksumAlgorithm": "sha256", "checksum": checksum, **more}


def test_of_several_indexes_in_a_manifest_the_newest_known_is_chosen():
    blobs = [entry(8, "8" * 64), entry(9, "9" * 64), entry(12, "c" * 64), {**entry(9), "mediaType": "text/plain"}]

    assert choose_blob(json.dumps({"version": 3, "data": blobs}).encode()) == "9" * 64


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{}", b"[]", json.dumps({"data": []}).encode(), json.dumps({"data": [entry(10)]}).encode()]
    + [json.dumps({"data": [entry(8, checksum)]}).encode() for checksum in ("", "../../x", "A" * 64)],
)
def test_a_manifest_that_names_no_index_is_a_reject(tmp_path, manifest):
    write_page(tmp_path / "develop" / "e4s", manifest, "v3/manifests/index/index.manifest.json")
    write_v2(tmp_path / "develop" / "hep", ONE)
    _, warehouse = build_in(tmp_path, tmp_path / "develop")

    ((path, place, reason),) = rejects(warehouse)
    assert (path, place) == ("e4s/v3/manifests/index/index.manifest.json", "file")
    assert reason.startswith("is no manifest of an index: ")
    assert stacks(warehouse) == {("develop", "hep"): 1}


def test_an_index_that_is_not_as_its_name_says_is_never_loaded(tmp_path):
    write_v3(tmp_path / "develop" / "hep", ONE)
    mirror = write_v3(tmp_path / "develop" / "e4s", TWO)
    (index,) = [path for path in mirror.rglob("*") if path.is_file() and path.read_bytes() == TWO]
    index.write_bytes(TWO.replace(b"hdf5", b"hdf6"))
    _, warehouse = build_in(tmp_path, tmp_path / "develop")

    assert stacks(warehouse) == {("develop", "hep"): 1}
    ((path, place, reason),) = rejects(warehouse)
    assert (path, place) == ("e4s/v3/manifests/index/index.manifest.json", "file")
    assert "is truncated or altered" in reason


def test_an_index_whose_checksum_beside_it_is_out_of_step_is_loaded_with_a_warning_each_time(tmp_path):
    index = write_v2(tmp_path / "develop" / "e4s", TWO, checksum="0" * 64) / "build_cache" / "index.json"
    command = ["build", tmp_path / "develop", "--warehouse", tmp_path / "w", "--jobs", 1, "--strict"]
    sha256 = hashlib.sha256(TWO).hexdigest()
    warning = f"is not as the .hash beside it says, and is loaded: its SHA-256 is {sha256}, not {'0' * 64}"

    for _ in range(2):
        done = run(*command)
        assert (done.returncode, done.stderr) == (0, f"warning: {index}: {warning}\n")
    assert stacks(tmp_path / "w") == {("develop", "e4s"): 2}
    assert rejects(tmp_path / "w") == []


def test_a_warning_is_part_of_what_reading_gave(tmp_path):
    write_v2(tmp_path / "develop" / "e4s", TWO, checksum="0" * 64)
    (source,) = find_sources([tmp_path])
    (entry,) = find_indexes([source], scan([source]), Choice())
    (tmp_path / "scratch").mkdir()
    seen = extract_index(source, entry, tmp_path / "scratch", 0)

    assert seen.num_specs == 2
    assert seen.warning.startswith("is not as the .hash beside it says")


@pytest.mark.parametrize("checksum", [b"", b"no checksum", b"\xff", b"\x1f\x8b no gzip"])
def test_what_is_no_checksum_beside_an_index_says_nothing(tmp_path, checksum):
    mirror = write_v2(tmp_path / "develop" / "e4s", ONE)
    (mirror / "build_cache" / "index.json.hash").write_bytes(checksum)

    assert run("build", mirror, "--warehouse", tmp_path / "w", "--jobs", 1).stderr == ""


def test_a_blob_that_is_not_there_is_named(tmp_path):
    mirror = write_v3(tmp_path / "develop" / "e4s", ONE)
    shutil.rmtree(mirror / "blobs")
    with pytest.raises(SourceError, match="No such file"):
        build_in(tmp_path, mirror)


def test_broken_packing_is_named(tmp_path):
    mirror = write_v3(tmp_path / "develop" / "e4s", b"\x1f\x8bnot gzip")
    with pytest.raises(SourceError, match="cannot be unpacked as gzip"):
        build_in(tmp_path, mirror)


def test_real_caches_of_spack_1(tmp_path):
    _, warehouse = build_in(tmp_path, DATA / "spack-1.1", DATA / "spack-1.0-test")

    assert stacks(warehouse) == {("caches", "spack-1.1"): 14, ("caches", "spack-1.0-test"): 6}
    assert ask(warehouse, "select compiler, count(*) from specs group by all order by all") == [
        ("gcc@10.2.1", 4),
        ("gcc@7.5.0", 11),
        ("none", 5),
    ]
    # Each package but the external compiler and libc is in the cache, and so are its dependencies.
    query = """
        select distinct dependency from dependencies
        where snapshot || dependency_hash not in (select snapshot || hash from specs) order by all
    """
    assert ask(warehouse, query) == [("gcc",), ("glibc",)]


snapshots_of_packages = st.tuples(st.sampled_from(["develop", "v1.0"]), st.sampled_from(["hdf5", "zlib"]))
own_stacks = st.lists(st.sampled_from(["e4s", "hep", "radiuss", "root"]), min_size=1, unique=True)


@st.composite
def caches(draw):
    """The specs of each (snapshot, package), a hash in one package only, in stacks that folders can be named by."""
    pages = {}
    taken = set()
    for key in draw(st.lists(snapshots_of_packages, min_size=1, unique=True)):
        held = []
        for spec in draw(st.lists(specs, min_size=1, max_size=5, unique_by=lambda spec: spec["hash"])):
            if (key[0], spec["hash"]) not in taken:
                taken.add((key[0], spec["hash"]))
                variants = draw(st.sampled_from([[], ["+mpi"], ["~mpi", "build_type=Release", "cuda_arch=80,90"]]))
                held.append({**spec, "stacks": draw(own_stacks), "variants": variants, "size": "-", "tarball": None})
        if held:
            pages[key] = held
    return pages


@pytest.mark.slow
@thorough(1, 10)
@given(caches())
def test_a_cache_as_pages_and_as_indexes_gives_the_same_rows(tmp_path_factory, pages):
    tmp_path = tmp_path_factory.mktemp("both")
    build([write_pages(tmp_path / "pages", pages)], tmp_path / "of_pages", jobs=1)
    build([write_caches(tmp_path / "indexes", pages)], tmp_path / "of_indexes", jobs=1)
    query = f"select {', '.join(COMMON)} from spec_stacks order by all"

    assert ask(tmp_path / "of_indexes", query) == ask(tmp_path / "of_pages", query)
    both = build([tmp_path / "pages", tmp_path / "indexes"], tmp_path / "of_both", jobs=1)
    assert ask(tmp_path / "of_both", query) == ask(tmp_path / "of_pages", query)
    assert (both.rejects, both.failed) == (0, [])
    # What an index says comes before what a page does.
    assert ask(tmp_path / "of_both", "select distinct namespace from spec_stacks") == [("builtin",)]


def test_descriptions_that_contradict_each_other_are_rejects(tmp_path):
    write_v2(tmp_path / "develop" / "e4s", make_index([make_record(make_spec(1, versions=["1"]))]))
    write_v2(tmp_path / "develop" / "hep", make_index([make_record(make_spec(1, versions=["2"]))]))
    summary, warehouse = build_in(tmp_path, tmp_path / "develop")

    assert stacks(warehouse) == {("develop", "e4s"): 1}
    assert rejects(warehouse) == [
        (
            "hep/build_cache/index.json",
            f"hash {make_hash(1)}",
            "the hash is already that of another spec in the same snapshot: e4s/build_cache/index.json keeps it",
        )
    ]
    assert summary.failed == []


def test_dependencies_are_those_of_specs_and_holes_each_once(tmp_path):
    edge = {
        "name": "zlib",
        "hash": make_hash(2),
        "parameters": {"deptypes": ["build", "link"], "virtuals": ["zlib-api"]},
    }
    index = make_index(
        [
            make_record(make_spec(1), dependencies=[edge]),
            make_record(make_spec(2), "zlib"),
            make_record(make_spec(3), "hole", in_buildcache=False, dependencies=[edge]),
            make_record(make_spec(4), "reject", version=5, dependencies=[edge]),
        ]
    )
    write_v2(tmp_path / "develop" / "e4s", index)
    write_v2(tmp_path / "develop" / "hep", index)
    _, warehouse = build_in(tmp_path, tmp_path / "develop")

    assert ask(warehouse, f"select {', '.join(DEPENDENCIES.names)} from dependencies order by hash") == [
        ("develop", make_hash(number), make_hash(2), "zlib", ["build", "link"], ["zlib-api"]) for number in (1, 3)
    ]


def test_externals_and_holes_are_records_of_each_index(tmp_path):
    glibc = make_record(
        make_spec(7, versions=["2.35"], compiler="none"),
        "glibc",
        in_buildcache=False,
        external={"path": "/usr", "module": None},
    )
    hole = make_record(make_spec(3), "zlib", in_buildcache=False, build_spec={"name": "zlib", "hash": make_hash(9)})
    write_v2(tmp_path / "develop" / "e4s", make_index([make_record(make_spec(1)), glibc, hole], "8"))
    write_v2(tmp_path / "develop" / "hep", make_index([make_record(make_spec(3), "zlib"), glibc]))
    write_v2(tmp_path / "v1.0" / "e4s", make_index([make_record(make_spec(1))]))
    summary, warehouse = build_in(tmp_path, tmp_path)
    columns = "stack, hash, package, version, kind, compiler, external_path, external_modules, spliced_from, source"
    system = (make_hash(7), "glibc", "2.35", "external", "none", "/usr", [], None)
    zlib = (make_hash(3), "zlib", "1.14.5", "hole", "gcc@11.4.0", None, [], make_hash(9))

    assert ask(warehouse, f"select {columns} from records order by all") == [
        ("e4s", *zlib, "develop/e4s/build_cache/index.json"),
        ("e4s", *system, "develop/e4s/build_cache/index.json"),
        ("hep", *system, "develop/hep/build_cache/index.json"),
    ]
    assert ask(warehouse, "select distinct snapshot, os, platform, target, namespace from records") == [
        ("develop", "ubuntu22.04", "linux", "x86_64_v3", "builtin")
    ]
    assert [path.parent.name for path in sorted((warehouse / "records").rglob("*.parquet"))] == [
        "snapshot=develop",
        "snapshot=v1.0",
    ]
    assert summary.failed == []
    shutil.rmtree(tmp_path / "v1.0")
    write_v2(tmp_path / "develop-2025-03-30" / "e4s", make_index([glibc]))
    again, warehouse = build_in(tmp_path, tmp_path)

    assert (again.rebuilt, again.gone, again.failed) == (1, ["v1.0"], [])
    assert ask(warehouse, "select snapshot, count(*) from records group by all order by all") == [
        ("develop", 3),
        ("develop-2025-03-30", 1),
    ]


def change(source, step):
    """One change of a tree of caches."""
    index = source / "develop" / "e4s" / "build_cache" / "index.json"
    if step == "more":
        write_v2(source / "develop" / "e4s", make_index([make_record(make_spec(n)) for n in range(1, 5)]))
    elif step == "gone":
        shutil.rmtree(source / "develop" / "hep")
    elif step == "damaged":
        index.write_bytes(index.read_bytes()[:-9])
    elif step == "touched":
        index.write_bytes(index.read_bytes())
    elif step == "checksum":
        index.with_name("index.json.hash").write_text(hashlib.sha256(b"").hexdigest())
    else:
        write_v3(source / "v1.0" / "new", TWO)


@pytest.mark.slow
@thorough(1, 6)
@given(st.permutations(["more", "gone", "damaged", "touched", "checksum", "new"]), st.integers(1, 4))
def test_an_incremental_build_gives_the_bytes_of_a_full_one(tmp_path_factory, steps, count):
    tmp_path = tmp_path_factory.mktemp("edits")
    source = tree(tmp_path / "bucket")
    # As the source is, whatever was there before.
    as_it_is = {"jobs": 1, "wishes": Wishes(accept=frozenset([str(source)])), "today": dt.date(2025, 4, 1)}
    build([source], tmp_path / "kept", **as_it_is)
    for step in steps[:count]:
        change(source, step)
        build([source], tmp_path / "kept", **as_it_is)
    build([source], tmp_path / "anew", **as_it_is)

    assert parquet_bytes(tmp_path / "kept") == parquet_bytes(tmp_path / "anew")
    query = "select * from pages order by all"
    assert ask(tmp_path / "kept", query) == ask(tmp_path / "anew", query)


def test_other_files_of_a_mirror_are_not_read(tmp_path):
    mirror = write_v2(tmp_path / "develop" / "e4s", ONE)
    write_page(mirror, b"---\nspec_details: nonsense\n---\n", "build_cache/x.spec.json")
    summary, _ = build_in(tmp_path, mirror)

    assert (summary.passed_over, summary.rejects, summary.indexes) == (0, 0, 1)


def test_pages_beside_a_mirror_are_read_whatever_their_folder_is_called(tmp_path):
    write_v2(tmp_path / "develop" / "e4s", ONE)
    write_pages(tmp_path / "develop" / "v3" / "blobs", {("v1.0", "p"): [make_spec(1)]})
    summary, _ = build_in(tmp_path, tmp_path / "develop")

    assert (summary.pages, summary.indexes) == (1, 1)


@pytest.mark.parametrize("name", ["a'b", "a b", "=cmd", "ü", "<script>"])
def test_odd_names_of_stacks(tmp_path, name):
    _, warehouse = build_in(tmp_path, write_v2(tmp_path / "develop" / name, ONE))

    assert stacks(warehouse) == {("develop", name): 1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (TWO[:-9], "is no JSON: Input data was truncated"),
        (b'{"database": ' + b"[" * 100_000, "is none that Spack writes"),
        (TWO.replace(b"zlib", b"zl\0b"), "is no JSON: JSON is malformed"),
        (b"\xff" + TWO, "is no JSON"),
        (b"<html>404</html>", "is an HTML page (a login page?)"),
    ],
    ids=["empty", "cut", "deep", "NUL", "no UTF-8", "HTML"],
)
def test_a_broken_index_is_a_reject_and_the_rest_is_loaded(tmp_path, data, reason):
    write_page(tmp_path / "develop" / "e4s", data, "build_cache/index.json")
    write_v2(tmp_path / "develop" / "hep", ONE)
    _, warehouse = build_in(tmp_path, tmp_path / "develop")

    assert stacks(warehouse) == {("develop", "hep"): 1}
    ((path, place, found),) = rejects(warehouse)
    assert path == "e4s/build_cache/index.json"
    assert place in ("file", "database")
    assert found.startswith(reason)


def test_a_hash_twice_in_an_index_is_a_reject_and_all_records_are_accounted_for(tmp_path):
    records = [make_record(make_spec(1, versions=[version])) for version in ("1.0", "2.0")]
    pairs = ", ".join(f'"{make_hash(1)}": {json.dumps(record)}' for record in records)
    write_v2(tmp_path / "m", f'{{"database": {{"version": "7", "installs": {{{pairs}}}}}}}'.encode())
    _, warehouse = build_in(tmp_path, tmp_path / "m")

    assert ask(warehouse, "select version from spec_stacks") == [("1.0",)]
    assert ask(warehouse, "select records, specs, rejects, externals, holes, repeated from pages") == [
        (2, 1, 1, 0, 0, 0)
    ]
    ((_, place, reason),) = rejects(warehouse)
    assert place == f"database.installs[{make_hash(1)}]"
    assert "more than once" in reason
    assert CliRunner().invoke(cli, ["check", "--warehouse", str(warehouse)]).exit_code == 0


def test_an_index_that_grows_beyond_all_bounds_when_unpacked_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_INDEX", 2**20)
    with pytest.raises(SourceError, match="is larger than 1 MiB when unpacked"):
        build_in(tmp_path, write_v3(tmp_path / "develop" / "e4s", b" " * 2**21, "gzip"))


def test_pipes_and_circles_in_a_mirror_are_not_waited_for(tmp_path):
    mirror = write_v2(tmp_path / "develop" / "e4s", ONE)
    (mirror / "build_cache" / "index.json.hash").unlink()
    os.mkfifo(mirror / "build_cache" / "index.json.hash")
    for name, make in (("hep", os.mkfifo), ("radiuss", lambda path: path.symlink_to("index.json"))):
        (tmp_path / "develop" / name / "build_cache").mkdir(parents=True)
        make(tmp_path / "develop" / name / "build_cache" / "index.json")
    _, warehouse = build_in(tmp_path, tmp_path / "develop")

    assert stacks(warehouse) == {("develop", "e4s"): 1}
    assert [path for path, _, _ in rejects(warehouse)] == ["radiuss/build_cache/index.json"]
