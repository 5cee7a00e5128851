"""Remote build caches give what the same files give here."""

import gzip
import json

import boto3
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from pipeline.build import build
from pipeline.cli import cli
from pipeline.errors import SourceError
from pipeline.io.progress import Progress
from pipeline.sources.buildcache import Choice
from pipeline.sources.download import RemoteFiles
from pipeline.sources.files import find_sources
from pipeline.sources.remote import fetch_indexes
from tests.commands import run
from tests.makers import ask, write_page, write_v2, write_v3
from tests.servers import body, cut, serve, status
from tests.test_buildcache import ALL, ONE, OTHER, THREE, TWO, listing, stacks, tree

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


def test_an_altered_blob_is_a_reject(tmp_path, site, bucket):
    (blob,) = (path for path in site.answers if path.startswith("/develop/hep/blobs"))
    site.put(blob, body(ONE.replace(b"hdf5", b"hdf6")))
    summary, warehouse = build_from(tmp_path, bucket)

    assert summary.rejects == 1
    assert "is truncated or altered" in ask(warehouse, "select reason from rejects")[0][0]
    assert ("develop", "hep") not in stacks(warehouse)


def test_an_index_whose_checksum_beside_it_is_out_of_step_is_loaded_with_a_warning(tmp_path, site, bucket):
    site.put(INDEX, body(ONE))
    done = run("build", bucket, "--warehouse", tmp_path / "w", "--cache", tmp_path / "cache", "--jobs", 1)

    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith(f"warning: {site.url}{INDEX}: is not as the .hash beside it says, and is loaded: ")
    assert stacks(tmp_path / "w")["develop", "e4s"] == 1


@pytest.mark.parametrize("answer", [status(403), status(404), status(500), body(b"x" * 100)])
def test_an_index_without_a_checksum_is_loaded(tmp_path, site, bucket, answer, monkeypatch):
    monkeypatch.setattr(RemoteFiles, "_wait", lambda *_: 0)
    site.put(f"{INDEX}.hash", answer)

    assert stacks(build_from(tmp_path, bucket)[1]) == ALL


@pytest.mark.parametrize("answer", [status(403), status(401), body(b"<!DOCTYPE html><title>Log in</title>")])
def test_each_layout_of_a_mirror_is_tried(tmp_path, site, bucket, answer):
    site.put("/develop/e4s/v3/manifests/index/index.manifest.json", answer)
    site.put("/develop/hep/build_cache/index.json", answer)
    _, warehouse = build_from(tmp_path, f"{site.url}/develop/e4s", f"{site.url}/develop/hep")

    assert stacks(warehouse) == {("develop", "e4s"): 2, ("develop", "hep"): 1}


@pytest.mark.parametrize("keys", [True, False])
def test_a_bucket_that_denies_what_is_not_there(tmp_path, site, monkeypatch, keys):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
        if keys and "KEY" in name:
            monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.url)
    for name in ("v3/manifests/index/index.manifest.json", "build_cache/index.json.hash"):
        site.put(f"/bucket/develop/e4s/{name}", status(403))
    modified = "Wed, 01 Jan 2025 00:00:00 GMT"
    site.put("/bucket/develop/e4s/build_cache/index.json", body(TWO, Last_Modified=modified))
    _, warehouse = build_from(tmp_path, "s3://bucket/develop/e4s")

    assert stacks(warehouse) == {("develop", "e4s"): 2}


def test_that_no_layout_of_a_mirror_can_be_read_names_each(tmp_path, site):
    site.put("/m/v3/manifests/index/index.manifest.json?token=secret", status(403))
    site.put("/m/build_cache/index.json?token=secret", body(b"<html>"))
    url = site.url.replace("localhost", "user:secret@localhost")
    done = run("build", f"{url}/m?token=secret", "--warehouse", tmp_path / "w", "--cache", tmp_path / "cache")

    each = (
        "v3/manifests/index/index.manifest.json answers 403 Forbidden; "
        "build_cache/index.json is an HTML page (a login page?)"
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"spack-warehouse: {site.url}/m: is no mirror that can be read: {each}\n",
    )


def test_a_server_that_fails_is_not_taken_for_one_without_the_newer_layout(tmp_path, site, bucket, monkeypatch):
    monkeypatch.setattr(RemoteFiles, "_wait", lambda *_: 0)
    site.put("/develop/e4s/v3/manifests/index/index.manifest.json", status(500))

    with pytest.raises(SourceError, match="answers 500"):
        build_from(tmp_path, f"{site.url}/develop/e4s")


def test_a_mirror_of_the_older_layout_is_read_offline(tmp_path, bucket, site):
    build_from(tmp_path, f"{site.url}/develop/e4s")

    assert stacks(build_from(tmp_path, f"{site.url}/develop/e4s", offline=True)[1]) == {("develop", "e4s"): 2}


@pytest.mark.slow
def test_a_run_notes_warnings_and_retries(tmp_path, site, bucket, monkeypatch):
    monkeypatch.setattr(RemoteFiles, "_wait", lambda *_: 0)
    site.put(INDEX, status(503), body(ONE))
    config = {"sources": [{"url": bucket}], "cache": "cache", "warehouse": "w", "jobs": "1"}
    done = run("run", "--config", write_page(tmp_path, json.dumps(config), "c.yaml"))

    assert done.returncode == 0
    assert f"  {site.url}{INDEX}: answers 503 Service Unavailable; attempt 2 of 5 in 0.0 seconds" in done.stderr
    assert f"  warning: {site.url}{INDEX}: is not as the .hash beside it says" in done.stderr


def pack(data):
    return body(gzip.compress(data), Content_Encoding="gzip")


def test_what_a_server_packs_is_read(tmp_path, site, bucket):
    for path, answers in site.answers.items():
        if path.startswith(("/cache_spack", "/develop")):
            site.answers[path] = [pack((tmp_path / "bucket" / path[1:]).read_bytes())]
            assert answers
    done = run("build", bucket, "--warehouse", tmp_path / "w", "--cache", tmp_path / "cache", "--jobs", 1)

    assert (done.returncode, done.stderr) == (0, "")
    assert stacks(tmp_path / "w") == ALL


def copied(site, tmp_path, *listed):
    """A site below /copy that has a listing of what lies elsewhere."""
    folder = listing(tmp_path / "copied", *listed)
    for file in folder.rglob("*"):
        if file.is_file():
            site.put(f"/copy/{file.relative_to(folder).as_posix()}", body(file.read_bytes()))
    return f"{site.url}/copy/cache_spack_io_index.json"


def test_the_files_of_a_copied_bucket_are_found_below_its_listing(tmp_path, site):
    write_v2(tmp_path / "copied" / "develop" / "e4s", TWO)
    write_v3(tmp_path / "copied" / "develop" / "hep", ONE)
    url = copied(
        site,
        tmp_path,
        ("develop", "e4s", "s3://spack-binaries/develop/e4s/build_cache/index.json"),
        ("develop", "hep", "https://b.invalid/develop/hep/v3/manifests/index/index.manifest.json"),
        ("develop", "again", "develop/e4s/build_cache/index.json"),
    )
    _, warehouse = build_from(tmp_path, url)

    assert stacks(warehouse) == {("develop", "e4s"): 2, ("develop", "hep"): 1, ("develop", "again"): 2}
    assert {path.partition("#")[0] for (path,) in ask(warehouse, "select path from pages")} == {
        f"{site.url}/copy/develop/e4s/build_cache/index.json",
        f"{site.url}/copy/develop/hep/v3/manifests/index/index.manifest.json",
    }


def test_a_listing_leads_to_no_other_host_that_is_not_allowed(tmp_path, site):
    with serve() as other:
        write_v2(tmp_path / "copied" / "develop" / "e4s", ONE)
        other.put_folder(write_v2(tmp_path / "other" / "develop" / "hep", TWO).parents[1])
        named = f"{other.url}/develop/hep/build_cache/index.json"
        url = copied(
            site,
            tmp_path,
            ("develop", "e4s", "s3://b/develop/e4s/build_cache/index.json"),
            ("develop", "hep", named.replace("localhost", "me:secret@localhost")),
        )
        build_from(tmp_path, url)
        (row,) = ask(tmp_path / "warehouse", "select path, reason from rejects")

        assert row == (
            f"{site.url}/copy/develop/hep/build_cache/index.json",
            f"is gone: 404 Not Found; the listing names {named}, which it may lead to only with --allow-host",
        )
        assert other.asked == []

        command = ["--warehouse", tmp_path / "w", "--cache", tmp_path / "cache", "--jobs", 1]
        allowed = run("build", url, *command, "--allow-host", other.url.removeprefix("http://"))
        assert (allowed.returncode, stacks(tmp_path / "w")) == (0, {("develop", "e4s"): 1, ("develop", "hep"): 2})

        file = write_page(tmp_path, json.dumps({"sources": [{"url": url}], "allow_hosts": other.url[7:]}), "s.yaml")
        assert run("build", file, *command).returncode == 0
        assert stacks(tmp_path / "w")["develop", "hep"] == 2


def test_no_listing_leads_to_a_bucket_with_the_users_keys(tmp_path, site, monkeypatch):
    with serve() as s3:
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        url = copied(site, tmp_path, ("develop", "e4s", "s3://evil/develop/e4s/build_cache/index.json"))
        with pytest.raises(SourceError, match="only with --allow-host"):
            build_from(tmp_path, url)
        assert s3.asked == []

        with pytest.raises(SourceError, match="is gone"):
            build_from(tmp_path, url, allow_hosts=["s3://evil"])
        assert "/evil/develop/e4s/build_cache/index.json" in [path for path, _ in s3.asked]


def test_what_is_no_host_is_wrong_usage(tmp_path):
    done = run("build", tmp_path, "--allow-host", "https://me:secret@h/")

    assert (done.returncode, "is no HOST, HOST:PORT or s3://BUCKET" in done.stderr) == (2, True)
    assert "secret" not in done.stderr


def test_a_listing_is_read_with_the_password_of_its_source(tmp_path, site, bucket):
    build_from(tmp_path, bucket.replace("localhost", "user:secret@localhost"))

    assert all("Authorization" in headers for _, headers in site.asked)
    database = tmp_path / "warehouse"
    shown = ask(database, "select path from pages union all select source from spec_stacks")
    assert all(path.startswith("http://localhost:") for (path,) in shown)


def test_an_install_database_is_named(tmp_path, site):
    database = json.dumps({"database": {"version": "7", "installs": {}}}).encode()
    url = site.put("/opt/.spack-db/index.json", body(database))

    with pytest.raises(SourceError, match=r"index\.json: is an install database and no build cache$"):
        build_from(tmp_path, url)


def test_what_fails_is_named_and_the_others_are_fetched(tmp_path, site, bucket):
    site.put("/v1.0/e4s/build_cache/index.json", status(403))
    sources = find_sources([f"{site.url}/nothing", bucket, "oci://me@host/image"])
    with RemoteFiles(tmp_path / "cache") as files:
        entries, failed = fetch_indexes(sources, Choice(), files, Progress())

    assert len(entries) == 6
    assert [entry.index.fault for entry in entries if entry.index.fault] == ["answers 403 Forbidden"]
    assert failed.keys() == {0, 2}
    assert failed[0].startswith("is no mirror that can be read: ")
    assert failed[2].startswith("names a user; set OCI_USERNAME")


SECRETS = [
    "htps://me:se/cret@h/x",
    "ftp://me:secret@h/x",
    "https://me:se/cret@h",
    "https://me:se cret@h/x",
    "me:secret@h",
]


@pytest.mark.parametrize("url", [*SECRETS, "http://me:secret@localhost:1/x?token=secret", "oci://me:secret@h/x"])
def test_no_password_reaches_the_terminal(tmp_path, url, monkeypatch):
    monkeypatch.setattr(RemoteFiles, "_wait", lambda *_: 0)
    file = write_page(tmp_path, json.dumps({"sources": [{"url": url}, {"path": url}, url, {url: 1}]}), "s.yaml")
    broken = write_page(tmp_path, f"sources: [{{url: &{url} }}]", "broken.yaml")
    for source in (url, file, broken):
        done = run("build", source, "--warehouse", tmp_path / "w", "--cache", tmp_path / "cache", "--jobs", 1)
        assert done.returncode == 1
        assert "cret" not in done.stdout + done.stderr, source


@pytest.mark.parametrize("answer", [status(403), status(401), cut(TWO, 100)], ids=["403", "401", "cut"])
def test_an_index_that_cannot_be_fetched_stays_as_it_was(tmp_path, site, bucket, answer):
    _, warehouse = build_from(tmp_path, bucket)
    write_v2(tmp_path / "bucket" / "v1.0" / "e4s", ONE)
    site.put_folder(tmp_path / "bucket")
    site.put(INDEX, answer)

    summary, _ = build_from(tmp_path, bucket)
    assert not summary.is_whole(strict=False)
    # What changed elsewhere is there, and of the index what it was.
    assert stacks(warehouse) == {**ALL, ("v1.0", "e4s"): 1}
    assert ask(warehouse, "select snapshot, stack from sources where state = 'stale'") == [("develop", "e4s")]


def test_an_index_that_fails_once_is_fetched_again(tmp_path, site, bucket):
    site.put(INDEX, status(500), cut(TWO, 10), body(TWO))

    assert stacks(build_from(tmp_path, bucket)[1]) == ALL


def test_offline_the_cache_is_enough(tmp_path, site, bucket):
    build_from(tmp_path, bucket)
    count = len(site.asked)
    summary, warehouse = build_from(tmp_path, bucket, offline=True)

    assert (summary.rebuilt, len(site.asked), stacks(warehouse)) == (0, count, ALL)


def test_offline_what_was_never_fetched_is_missing(tmp_path, bucket):
    with pytest.raises(SourceError, match="is not in the cache"):
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


def test_what_is_no_mirror_is_reported_in_one_line(tmp_path, site):
    with pytest.raises(SourceError, match="/nothing/here: is no mirror"):
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


@pytest.fixture
def bucket_client(monkeypatch):
    """A client of a real S3 server that has the bucket ``spack-binaries``."""
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
        client.create_bucket(Bucket="spack-binaries", ACL="public-read")
        yield client
    finally:
        server.stop()


def upload(client, folder):
    """Puts all files of a folder into the bucket."""
    for file in folder.rglob("*"):
        if file.is_file():
            key = file.relative_to(folder).as_posix()
            client.put_object(Bucket="spack-binaries", Key=key, Body=file.read_bytes(), ACL="public-read")


def test_a_bucket(tmp_path, bucket_client):
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
    upload(bucket_client, folder)
    summary, warehouse = build_from(tmp_path, "s3://spack-binaries/cache_spack_io_index.json")

    assert stacks(warehouse) == {("develop", "e4s"): 2, ("develop", "hep"): 1}
    assert summary.rejects == 1
    assert ask(warehouse, "select stack, reason from rejects") == [("gone", "is gone: no such bucket or key")]


@pytest.mark.parametrize(
    ("whole", "chosen", "expected"),
    [
        (None, (), {"some": 1, "deep/er": 1}),
        (ONE, (), {"some": 1, "deep/er": 1, "mirror": 1}),
        (THREE, (), {"some": 1, "deep/er": 1, "root": 3}),
        (THREE, ("some",), {"some": 1}),
        (THREE, ("r*",), {"root": 3}),
    ],
)
def test_views_of_a_bucket_are_stacks(tmp_path, bucket_client, whole, chosen, expected):
    mirror = write_v3(tmp_path / "bucket" / "develop" / "mirror", ONE, view="some")
    write_v3(mirror, OTHER, view="deep/er")
    if whole is not None:
        write_v3(mirror, whole)
    upload(bucket_client, tmp_path / "bucket")
    _, warehouse = build_from(tmp_path, "s3://spack-binaries/develop/mirror", choice=Choice(stacks=chosen))
    _, offline = build_from(
        tmp_path / "offline",
        "s3://spack-binaries/develop/mirror",
        choice=Choice(stacks=chosen),
        cache=tmp_path / "cache",
        offline=True,
    )

    assert stacks(warehouse) == stacks(offline) == {("develop", stack): count for stack, count in expected.items()}


def test_views_by_http_are_those_that_are_named(tmp_path, site):
    mirror = write_v3(write_v3(tmp_path / "site" / "develop" / "mirror", ONE, view="some"), THREE)
    site.put_folder(tmp_path / "site")
    _, warehouse = build_from(
        tmp_path,
        f"{site.url}/develop/mirror",
        f"{site.url}/{mirror.relative_to(tmp_path / 'site')}/v3/manifests/index/some/index.manifest.json",
    )

    assert stacks(warehouse) == {("develop", "mirror"): 3, ("develop", "some"): 1}
