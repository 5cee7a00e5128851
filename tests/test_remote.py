"""Remote build caches give what the same files give here."""

import json

import boto3
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from pipeline.build import build
from pipeline.cli import cli
from pipeline.errors import RemoteError, SourceError
from pipeline.sources.buildcache import Choice
from tests.makers import ask, write_v2, write_v3
from tests.servers import body, cut, serve, status
from tests.test_buildcache import ALL, ONE, TWO, listing, stacks, tree

INDEX = "/develop/e4s/build_cache/index.json"


@pytest.fixture
def site():
    with serve() as made:
        yield made


@pytest.fixture
def bucket(tmp_path, site):
    """Two snapshots on a site, in both layouts, with their listing."""
    folder = tree(tmp_path / "bucket")
    listed = []
    for snapshot, stack in ALL:
        mirror = f"{snapshot}/{stack}" if stack != "root" else snapshot
        name = "v3/manifests/index/index.manifest.json" if stack == "hep" else "build_cache/index.json"
        listed.append((snapshot, stack, f"{site.url}/{mirror}/{name}"))
    site.put_folder(listing(folder, *listed))
    return f"{site.url}/cache_spack_io_index.json"


def build_from(tmp_path, *sources, **options):
    warehouse = tmp_path / "warehouse"
    options = {"choice": Choice(), "cache": tmp_path / "cache", "jobs": 1, **options}
    return build(list(sources), warehouse, **options), warehouse


def test_a_listing_gives_all_that_it_names(tmp_path, bucket):
    summary, warehouse = build_from(tmp_path, bucket)

    assert stacks(warehouse) == ALL
    assert (summary.indexes, summary.rejects, summary.failed) == (6, 0, [])
    sources = {source for (source,) in ask(warehouse, "select distinct source from spec_stacks")}
    assert all(source.startswith("http://localhost:") for source in sources)


def test_it_is_what_the_same_files_give_here(tmp_path, bucket):
    _, warehouse = build_from(tmp_path, bucket)
    build([tmp_path / "bucket"], tmp_path / "local", jobs=1)
    query = "select * exclude (source) from spec_stacks order by all"

    assert ask(warehouse, query) == ask(tmp_path / "local", query)


def test_snapshots_and_stacks_are_chosen_before_they_are_fetched(tmp_path, site, bucket):
    _, warehouse = build_from(tmp_path, bucket, choice=Choice(("v*",), ("e4s",)))

    assert stacks(warehouse) == {("v1.0", "e4s"): 2}
    # Index and checksum are asked for at once.
    assert sorted(path for path, _ in site.asked) == [
        "/cache_spack_io_index.json",
        "/v1.0/e4s/build_cache/index.json",
        "/v1.0/e4s/build_cache/index.json.hash",
    ]


def test_nothing_is_fetched_twice_and_an_unchanged_cache_is_no_work(tmp_path, site, bucket):
    build_from(tmp_path, bucket)
    before = len(site.asked)
    summary, _ = build_from(tmp_path, bucket)

    assert summary.rebuilt == 0
    assert all("If-None-Match" in headers for _, headers in site.asked[before:])


def test_one_changed_stack_is_one_changed_snapshot(tmp_path, site, bucket):
    build_from(tmp_path, bucket)
    write_v2(tmp_path / "bucket" / "develop" / "e4s", ONE)
    site.put_folder(tmp_path / "bucket")
    summary, warehouse = build_from(tmp_path, bucket)

    assert summary.rebuilt == 1
    assert stacks(warehouse)["develop", "e4s"] == 1


def test_a_stack_that_is_gone_is_a_reject_and_the_rest_is_loaded(tmp_path, site, bucket):
    site.put(INDEX, status(404))
    summary, warehouse = build_from(tmp_path, bucket)

    assert summary.rejects == 1
    assert set(ALL) - set(stacks(warehouse)) == {("develop", "e4s")}
    assert ask(warehouse, "select path, place, reason, snapshot, stack from rejects") == [
        (site.url + INDEX, "file", "is gone: 404 Not Found", "develop", "e4s")
    ]


def test_a_stack_whose_manifest_is_gone_is_a_reject(tmp_path, site, bucket):
    site.put("/develop/hep/v3/manifests/index/index.manifest.json", status(404))
    _, warehouse = build_from(tmp_path, bucket)

    assert set(ALL) - set(stacks(warehouse)) == {("develop", "hep")}


def test_an_altered_index_is_a_reject(tmp_path, site, bucket):
    site.put(INDEX, body(TWO.replace(b"hdf5", b"hdf6")))
    summary, warehouse = build_from(tmp_path, bucket)

    assert summary.rejects == 1
    assert "is truncated or altered" in ask(warehouse, "select reason from rejects")[0][0]
    assert ("develop", "e4s") not in stacks(warehouse)


@pytest.mark.parametrize("answer", [status(403), status(401), cut(TWO, 100)], ids=["403", "401", "cut"])
def test_a_failure_of_any_other_kind_ends_the_build_and_the_last_warehouse_stays(tmp_path, site, bucket, answer):
    _, warehouse = build_from(tmp_path, bucket)
    write_v2(tmp_path / "bucket" / "v1.0" / "e4s", ONE)
    site.put_folder(tmp_path / "bucket")
    site.put(INDEX, answer)

    with pytest.raises(RemoteError, match=INDEX):
        build_from(tmp_path, bucket)
    assert stacks(warehouse) == ALL


def test_an_index_that_fails_once_is_fetched_again(tmp_path, site, bucket):
    site.put(INDEX, status(500), cut(TWO, 10), body(TWO))

    assert stacks(build_from(tmp_path, bucket)[1]) == ALL


def test_offline_the_cache_is_enough(tmp_path, site, bucket):
    build_from(tmp_path, bucket)
    count = len(site.asked)
    summary, warehouse = build_from(tmp_path, bucket, offline=True)

    assert (summary.rebuilt, len(site.asked), stacks(warehouse)) == (0, count, ALL)


def test_offline_what_was_never_fetched_is_missing(tmp_path, bucket):
    with pytest.raises(RemoteError, match="is not in the cache"):
        build_from(tmp_path, bucket, offline=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/develop/e4s", ("develop", "e4s")),
        ("/develop/e4s/", ("develop", "e4s")),
        ("/develop/hep", ("develop", "hep")),
        (INDEX, ("develop", "e4s")),
        ("/develop/hep/v3/manifests/index/index.manifest.json", ("develop", "hep")),
        ("/v1.0", ("v1.0", "root")),
    ],
)
def test_a_mirror_by_its_url(tmp_path, site, bucket, path, expected):
    assert list(stacks(build_from(tmp_path, site.url + path)[1])) == [expected]


def test_a_blob_by_its_url(tmp_path, site, bucket):
    (blob,) = (path for path in site.answers if path.startswith("/develop/hep/blobs"))

    assert stacks(build_from(tmp_path, site.url + blob)[1]) == {("develop", "hep"): 1}


def test_what_is_no_mirror_is_told_in_one_line(tmp_path, site):
    with pytest.raises(RemoteError, match="/nothing/here: is no mirror"):
        build_from(tmp_path, f"{site.url}/nothing/here")


def test_a_listing_that_is_none(tmp_path, site):
    with pytest.raises(SourceError, match=r"cache_spack_io_index\.json: is no listing"):
        build_from(tmp_path, site.put("/cache_spack_io_index.json", body(b"<html>")))


def test_the_command_line(tmp_path, site):
    site.put_folder(write_v3(tmp_path / "mirror", ONE))
    command = ["build", site.url, "--warehouse", str(tmp_path / "w"), "--cache", str(tmp_path / "cache")]
    named = [*command, "--snapshot", "mine", "--stack", "site"]

    refused = CliRunner().invoke(cli, command)
    assert (refused.exit_code, "--snapshot and --stack" in refused.output) == (1, True)
    assert CliRunner().invoke(cli, named).exit_code == 0
    assert stacks(tmp_path / "w") == {("mine", "site"): 1}
    assert CliRunner().invoke(cli, [*named, "--offline"]).exit_code == 0


def test_a_bucket(tmp_path, monkeypatch):
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        endpoint = f"http://localhost:{server.get_host_and_port()[1]}"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        client.create_bucket(Bucket="spack-binaries")
        folder = tree(tmp_path / "bucket")
        listed = {
            "develop": [
                {"label": stack, "url": f"s3://spack-binaries/develop/{path}"}
                for stack, path in {
                    "e4s": "e4s/build_cache/index.json",
                    "hep": "hep/v3/manifests/index/index.manifest.json",
                    "gone": "gone/build_cache/index.json",
                }.items()
            ]
        }
        (folder / "cache_spack_io_index.json").write_text(json.dumps(listed))
        for file in folder.rglob("*"):
            if file.is_file():
                key = file.relative_to(folder).as_posix()
                client.put_object(Bucket="spack-binaries", Key=key, Body=file.read_bytes(), ACL="public-read")
        summary, warehouse = build_from(tmp_path, "s3://spack-binaries/cache_spack_io_index.json")
    finally:
        server.stop()

    assert stacks(warehouse) == {("develop", "e4s"): 2, ("develop", "hep"): 1}
    assert summary.rejects == 1
    assert ask(warehouse, "select stack, reason from rejects") == [("gone", "is gone: no such bucket or key")]
