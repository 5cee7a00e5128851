"""Sizes of binaries: from spec manifests, from the images of a registry, and never 0 for what is not known."""

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.io.progress import Progress
from pipeline.sources.buildcache import Choice
from pipeline.sources.oci import LONGEST_TAG, name_image
from pipeline.sources.sizes import (
    Sizes,
    name_manifest,
    read_image_size,
    read_manifest_hash,
    read_manifest_size,
)
from tests.commands import run
from tests.makers import (
    ask,
    make_hash,
    make_index,
    make_page,
    make_record,
    make_spec,
    parquet_bytes,
    write_page,
    write_v2,
    write_v3,
)
from tests.servers import body, serve, status
from tests.test_oci import LAYER_TYPE, MANIFEST_TYPE, describe, digest, make_image, write_layout

TARBALL = "application/vnd.spack.install.v2.tar+gzip"
SPEC = "application/vnd.spack.spec.v5+json"


def make_stored(kind, length):
    return {
        "contentLength": length,
        "mediaType": kind,
        "compression": "gzip",
        "checksumAlgorithm": "sha256",
        "checksum": "a" * 64,
    }


def make_manifest(size, *others):
    """A spec manifest; which of tarball and spec comes first is not promised."""
    return json.dumps({"version": 3, "data": [*others, make_stored(SPEC, 5), make_stored(TARBALL, size)]}, indent=0)


def write_manifest(mirror, number, manifest, package="hdf5", version="1.14.5"):
    name = f"{package}-{version}-{make_hash(number)}.spec.manifest.json"
    return write_page(mirror, manifest, f"v3/manifests/spec/{package}/{name}")


def make_records(*numbers, **changes):
    return [make_record(make_spec(number, **changes)) for number in numbers]


def write_mirror(mirror, sizes, *unknown):
    """A mirror of layout v3 with manifests of these sizes, by number, and specs without."""
    write_v3(mirror, make_index(make_records(*sizes, *unknown), "8"))
    for number, size in sizes.items():
        write_manifest(mirror, number, make_manifest(size))
    return mirror


def read_sizes(warehouse, table="specs"):
    return dict(ask(warehouse, f"select hash, size_bytes from {table}"))


def sizes_of(numbered):
    return {make_hash(number): size for number, size in numbered.items()}


# In a folder here


def test_manifests_beside_an_index_say_the_sizes(tmp_path):
    write_mirror(tmp_path / "develop/e4s", {1: 100, 2: 0}, 3)

    summary = build([tmp_path / "develop/.."], tmp_path / "w", jobs=1)

    assert summary.passed_over == 0
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: 0, 3: None})
    summed = ask(tmp_path / "w", "select specs, size_bytes, sized_specs from summary_by_stack")
    assert summed == [(3, 100, 2)]
    assert "0 failed" in run("check", "--warehouse", tmp_path / "w").stdout


def test_no_size_is_not_nought(tmp_path):
    write_mirror(tmp_path / "develop/e4s", {}, 1)
    build([tmp_path / "develop/.."], tmp_path / "w", jobs=1)
    assert ask(tmp_path / "w", "select size_bytes, sized_specs from summary_by_stack") == [(None, 0)]


@pytest.mark.parametrize("path", ["v3/manifests/index/index.manifest.json", ""])
def test_a_single_index_or_mirror_has_the_manifests_beside_it(tmp_path, path):
    mirror = write_mirror(tmp_path / "develop/e4s", {1: 100})
    build([mirror / path], tmp_path / "w", jobs=1)
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100})


def test_stacks_may_hold_tarballs_of_several_sizes(tmp_path):
    write_mirror(tmp_path / "c/develop/e4s", {1: 100, 2: 7})
    write_mirror(tmp_path / "c/develop/hep", {1: 90}, 2)
    write_mirror(tmp_path / "c/develop", {1: 100}, 2)

    build([tmp_path / "c"], tmp_path / "w", jobs=1)

    rows = ask(tmp_path / "w", "select hash, stack, size_bytes from spec_stacks order by all")
    one, two = make_hash(1), make_hash(2)
    assert rows == [
        *((one, "e4s", 100), (one, "hep", 90), (one, "root", 100)),
        *((two, "e4s", 7), (two, "hep", None), (two, "root", None)),
    ]
    assert read_sizes(tmp_path / "w") == {one: 90, two: 7}
    assert ask(tmp_path / "w", "select stack, size_bytes, sized_specs from summary_by_stack order by all") == [
        *(("e4s", 107, 2), ("hep", 90, 1))
    ]
    parquet = tmp_path / "w/spec_stacks/*/*.parquet"
    assert sorted(ask(tmp_path / "w", f"select hash, stack, size_bytes from '{parquet}'"), key=repr) == sorted(
        rows, key=repr
    )


def test_a_page_beside_an_index_adds_the_size_that_it_alone_knows(tmp_path):
    write_mirror(tmp_path / "c/develop/e4s", {}, 1)
    write_page(tmp_path / "c", make_page([make_spec(1, size="77", stacks=["hep"])]))
    build([tmp_path / "c"], tmp_path / "w", jobs=1)
    assert ask(tmp_path / "w", "select stack, size_bytes from spec_stacks order by all") == [("e4s", None), ("hep", 77)]


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("", "is no manifest of a spec: Input data was truncated"),
        ("<html>", "is no manifest of a spec: JSON is malformed"),
        (json.dumps({"version": 3, "data": [make_stored(SPEC, 5)]}), "it names no tarball"),
        (make_manifest(-1), "Expected `int` >= 0"),
        (make_manifest(2**63), "Expected `int` <= "),
        (make_manifest("5"), "Expected `int`, got `str`"),
        ("[" * 5000, "is no manifest of a spec"),
        (" " * (2**20 + 1), "is larger than 1 MiB"),
    ],
)
def test_a_damaged_manifest_is_a_warning_and_its_size_not_known(tmp_path, manifest, reason):
    mirror = write_mirror(tmp_path / "develop/e4s", {1: 100, 2: 5})
    write_manifest(mirror, 2, manifest)

    done = run("build", tmp_path / "develop/..", "--warehouse", tmp_path / "w")

    assert done.returncode == 0
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: None})
    (line,) = [line for line in done.stderr.splitlines() if "warning" in line]
    assert "1 size cannot be read and is not known: " in line
    assert f"{make_hash(2)}.spec.manifest.json" in line
    assert reason in line
    assert run("build", tmp_path / "develop/..", "--warehouse", tmp_path / "w").stderr.splitlines() == [line]


def test_a_manifest_longer_than_one_read_is_read(tmp_path):
    mirror = write_mirror(tmp_path / "develop/e4s", {1: 1})
    write_manifest(mirror, 1, make_manifest(123, *(make_stored(SPEC, number) for number in range(1000))))
    build([tmp_path / "develop/.."], tmp_path / "w", jobs=1)
    assert read_sizes(tmp_path / "w") == sizes_of({1: 123})


def test_a_signed_manifest_is_read(tmp_path):
    mirror = write_mirror(tmp_path / "develop/e4s", {1: 1})
    signed = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{make_manifest(123)}\n"
    signature = "-----BEGIN PGP SIGNATURE-----\n\niQ{}\n-----END PGP SIGNATURE-----\n"
    write_manifest(mirror, 1, signed + signature)
    build([tmp_path / "develop/.."], tmp_path / "w", jobs=1)
    assert read_sizes(tmp_path / "w") == sizes_of({1: 123})


@pytest.mark.slow
def test_a_changed_manifest_is_read_and_unchanged_ones_are_not(tmp_path, monkeypatch):
    mirror = write_mirror(tmp_path / "c/develop/e4s", {1: 100, 2: 5})
    build([tmp_path / "c"], tmp_path / "w", jobs=1)
    time.sleep(2.1)  # so long a file counts as one that may change unseen
    build([tmp_path / "c"], tmp_path / "w", jobs=1)
    asked = []
    original = Sizes.find
    monkeypatch.setattr(Sizes, "find", lambda *given: asked.append(given) or original(*given))

    assert build([tmp_path / "c"], tmp_path / "w", jobs=1).rebuilt == 0
    assert asked == []

    write_manifest(mirror, 2, make_manifest(6))
    assert build([tmp_path / "c"], tmp_path / "w", jobs=1).rebuilt == 1
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: 6})

    next(mirror.rglob(f"*{make_hash(1)}*")).unlink()
    build([tmp_path / "c"], tmp_path / "w", jobs=1)
    assert read_sizes(tmp_path / "w") == sizes_of({1: None, 2: 6})
    build([tmp_path / "c"], tmp_path / "anew", jobs=1)
    assert parquet_bytes(tmp_path / "w") == parquet_bytes(tmp_path / "anew")


def test_what_stays_of_a_stale_source_keeps_its_sizes(tmp_path):
    mirror = write_mirror(tmp_path / "c/develop/e4s", {1: 100})
    write_mirror(tmp_path / "c/develop/hep", {1: 90})
    build([tmp_path / "c"], tmp_path / "w", jobs=1)
    for blob in mirror.glob("blobs/*/*/*"):
        blob.write_bytes(b"altered")
    build([tmp_path / "c"], tmp_path / "w", jobs=1)
    assert ask(tmp_path / "w", "select stack, state from sources order by all") == [("e4s", "stale"), ("hep", "loaded")]
    assert ask(tmp_path / "w", "select stack, size_bytes from summary_by_stack order by all") == [
        ("e4s", 100),
        ("hep", 90),
    ]


# In an image layout, and in a registry


def make_spec_image(size):
    layers = [{"mediaType": LAYER_TYPE, "digest": digest(b"dep"), "size": 9}, {"digest": digest(b"own"), "size": size}]
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers}).encode()


def test_the_last_layer_of_an_image_is_the_tarball(tmp_path):
    layout = write_layout(tmp_path / "develop/e4s", make_index(make_records(1, 2, 3), "8"))
    listed = json.loads((layout / "index.json").read_text())
    for number, image in ((1, make_spec_image(100)), (2, b"{}")):
        write_page(layout, image, f"blobs/sha256/{digest(image)[7:]}")
        name = {"org.opencontainers.image.ref.name": f"hdf5-1.14.5-{make_hash(number)}.spack"}
        listed["manifests"].append({**describe(MANIFEST_TYPE, image), "annotations": name})
    (layout / "index.json").write_text(json.dumps(listed))

    done = run("build", tmp_path / "develop/..", "--warehouse", tmp_path / "w")

    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: None, 3: None})
    assert "1 size cannot be read and is not known: " in done.stderr


@pytest.mark.parametrize("data", [b"", b"[]", b'{"layers": []}', b'{"layers": [{"size": -1}]}', b"\xff"])
def test_what_is_no_image_is_named(data):
    with pytest.raises(ValueError, match="is no manifest of an image"):
        read_image_size(data)


# By URL


@pytest.fixture
def site():
    with serve() as made:
        yield made


def build_from(tmp_path, *sources, **options):
    return build(list(sources), tmp_path / "w", jobs=1, cache=tmp_path / "cache", **options)


def serve_mirror(tmp_path, site, sizes, *unknown, name="develop/e4s"):
    write_mirror(tmp_path / "site" / name, sizes, *unknown)
    site.put_folder(tmp_path / "site")
    return f"{site.url}/{name}"


def count_manifests(site):
    return sum("/spec/" in path or (path.endswith(".spack") and "index" not in path) for path, _ in site.asked)


def test_by_url_sizes_are_fetched_where_they_are_asked_for(tmp_path, site):
    mirror = serve_mirror(tmp_path, site, {1: 100, 2: 5})

    build_from(tmp_path, mirror)
    assert read_sizes(tmp_path / "w") == sizes_of({1: None, 2: None})
    assert count_manifests(site) == 0

    build_from(tmp_path, mirror, sizes=True)
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: 5})


@pytest.mark.slow
def test_they_are_fetched_once_for_each_hash(tmp_path, site):
    sizes = {number: 100 + number for number in range(40)}
    mirror = serve_mirror(tmp_path, site, sizes)
    build_from(tmp_path, mirror, sizes=True)
    assert count_manifests(site) == 40

    assert build_from(tmp_path, mirror, sizes=True).rebuilt == 0
    build([mirror], tmp_path / "other", jobs=1, cache=tmp_path / "cache", sizes=True)
    build([mirror], tmp_path / "offline", jobs=1, cache=tmp_path / "cache", sizes=True, offline=True)
    assert count_manifests(site) == 40
    assert read_sizes(tmp_path / "offline") == sizes_of(sizes)
    # A request leaves nothing of itself but the size.
    assert len([*(tmp_path / "cache").iterdir()]) < 8

    more = {**sizes, 99: 1}
    serve_mirror(tmp_path, site, more)
    build_from(tmp_path, mirror, sizes=True)
    assert count_manifests(site) == 41
    assert read_sizes(tmp_path / "w") == sizes_of(more)


def test_what_is_not_there_is_asked_for_once_and_what_fails_again(tmp_path, site, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    mirror = serve_mirror(tmp_path, site, {1: 100, 2: 5}, 3)
    path = f"/develop/e4s/v3/manifests/spec/hdf5/hdf5-1.14.5-{make_hash(2)}.spec.manifest.json"
    site.put(path, status(503))
    lines = []

    class Noting(Progress):
        def note(self, line):
            lines.append(line)

    build_from(tmp_path, mirror, sizes=True, progress=Noting())
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: None, 3: None})
    assert any("warning: 2 of 3 sizes are not known, the first: " in line for line in lines)

    site.put(path, body(make_manifest(6).encode()))
    before = count_manifests(site)
    build_from(tmp_path, mirror, sizes=True)
    assert count_manifests(site) == before + 2
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: 6, 3: None})
    build_from(tmp_path, mirror, sizes=True)
    assert count_manifests(site) == before + 2


def test_a_mirror_that_gives_no_size_is_soon_given_up(tmp_path, site):
    mirror = serve_mirror(tmp_path, site, {}, *range(300))
    summary = build_from(tmp_path, mirror, sizes=True)
    assert (summary.specs, count_manifests(site)) == (300, 16)


def test_a_mirror_of_layout_v2_has_none(tmp_path, site):
    write_v2(tmp_path / "site/develop/e4s", make_index(make_records(1)))
    site.put_folder(tmp_path / "site")
    build_from(tmp_path, f"{site.url}/develop/e4s", sizes=True)
    assert read_sizes(tmp_path / "w") == sizes_of({1: None})


def test_a_registry_has_them_in_its_images(tmp_path, site):
    index = make_index(make_records(1, 2), "8")
    site.put("/v2/me/cache/manifests/index.spack", body(make_image(index)))
    site.put(f"/v2/me/cache/blobs/{digest(index)}", body(index))
    site.put(f"/v2/me/cache/manifests/hdf5-1.14.5-{make_hash(1)}.spack", body(make_spec_image(100)))
    source = site.url.replace("http://", "oci+http://") + "/me/cache"
    build_from(tmp_path, source, sizes=True, choice=Choice(("develop",), ("e4s",)))
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100, 2: None})


def test_sizes_that_are_damaged_in_the_cache_are_fetched_again(tmp_path, site):
    mirror = serve_mirror(tmp_path, site, {1: 100})
    build_from(tmp_path, mirror, sizes=True)
    for kept in (tmp_path / "cache/sizes").rglob("*.json"):
        kept.write_text("{")
    build_from(tmp_path, mirror, sizes=True)
    assert read_sizes(tmp_path / "w") == sizes_of({1: 100})


def test_views_of_one_mirror_share_what_was_fetched(tmp_path, site):
    mirror = serve_mirror(tmp_path, site, {1: 100, 2: 5})
    for view in ("hep", "e4s"):
        write_v3(tmp_path / "site/develop/e4s", make_index(make_records(1), "8"), view=view)
    site.put_folder(tmp_path / "site")
    urls = [f"{mirror}/v3/manifests/index/{view}index.manifest.json" for view in ("", "hep/")]
    build_from(tmp_path, *urls, sizes=True)
    assert count_manifests(site) == 2
    assert ask(tmp_path / "w", "select count(*) from spec_stacks where size_bytes is null") == [(0,)]


@pytest.mark.slow
def test_the_option_and_the_run_file(tmp_path, site):
    mirror = serve_mirror(tmp_path, site, {1: 100})
    done = run("build", mirror, "--sizes", "--warehouse", tmp_path / "w", "--cache", tmp_path / "cache")
    assert (done.returncode, read_sizes(tmp_path / "w")) == (0, sizes_of({1: 100}))

    text = f"sources:\n  - url: {mirror}\nwarehouse: run\ncache: cache2\nsizes: yes\nreports:\n  out: reports\n"
    file = write_page(tmp_path, text, "coverage.yaml")
    assert "with sizes" in run("run", "--config", file, "--dry-run").stdout
    assert run("run", "--config", file).returncode == 0
    assert read_sizes(tmp_path / "run") == sizes_of({1: 100})


# Names


@given(
    st.text("abcdefghijklmnop0123456789-_", min_size=1, max_size=70),
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=70),
    st.integers(0, 10**9).map(make_hash),
)
def test_a_name_ends_with_its_hash_and_is_a_file_s(package, version, hash):
    name, tag = name_manifest(package, version, hash), name_image(package, version, hash)
    assert read_manifest_hash(name) == hash
    assert "/" not in name + tag
    assert tag.removesuffix(".spack").rpartition("-")[2] == hash
    assert len(tag) <= LONGEST_TAG


def test_names_are_as_spack_makes_them():
    assert name_manifest("zlib", "git.ref=1.2", "h") == "zlib-git.ref_1.2-h.spec.manifest.json"
    assert name_image("zlib", "git.ref=1.2", "h") == "zlib-git.ref_1.2-h.spack"
    long = name_image("p" * 100, "1.2.3", make_hash(7))
    assert long == "p" * 64 + f"{'p' * 36}-1.2.3-{make_hash(7)}.spack"[-64:]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_size_or_a_reason(data):
    for read in (read_manifest_size, read_image_size):
        with contextlib.suppress(ValueError):
            assert read(data) >= 0
