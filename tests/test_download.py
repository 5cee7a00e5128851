"""Files come by URL once, whole, and checked, from real servers on this machine."""

import contextlib
import hashlib
import re
import ssl
import time

import boto3
import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from pipeline.errors import MissingFileError, RemoteError
from pipeline.sources.download import Limits, RemoteFiles
from tests.servers import body, cut, drip, serve, stall, status

FAST = Limits(connect=2, idle=0.4, total=5, attempts=3, pause=0.01)
DATA = b"what an index says" * 100
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def site():
    with serve() as made:
        yield made


@pytest.fixture
def files(tmp_path):
    with RemoteFiles(tmp_path / "cache", limits=FAST) as made:
        yield made


def test_a_file_is_fetched_whole(site, files):
    fetched = files.fetch(site.put("/x", body(DATA)))

    assert fetched.path.read_bytes() == DATA
    assert (fetched.size, fetched.sha256, fetched.was_cached) == (len(DATA), SHA256, False)


def test_an_unchanged_file_is_not_fetched_again(site, files):
    url = site.put("/x", body(DATA))
    files.fetch(url)
    again = files.fetch(url)

    assert (again.was_cached, again.path.read_bytes()) == (True, DATA)
    assert "If-None-Match" in site.asked[1][1]


def test_a_changed_file_is_fetched_again(site, files):
    files.fetch(site.put("/x", body(DATA)))
    again = files.fetch(site.put("/x", body(b"new")))

    assert (again.was_cached, again.path.read_bytes()) == (False, b"new")


def test_a_file_known_by_its_checksum_is_not_even_asked_after(site, files):
    url = site.put("/x", body(DATA))
    files.fetch(url)
    assert files.fetch(url, SHA256).was_cached
    assert site.count("/x") == 1


@pytest.mark.parametrize("code", [404, 410])
def test_a_file_that_is_gone(site, files, code):
    with pytest.raises(MissingFileError, match=f"/x: is gone: {code}"):
        files.fetch(site.put("/x", status(code)))
    assert site.count("/x") == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_failing_server_is_asked_again(site, files, code):
    assert files.fetch(site.put("/x", status(code), body(DATA))).path.read_bytes() == DATA
    assert site.count("/x") == 2


def test_a_server_that_always_fails_is_given_up(site, files):
    with pytest.raises(RemoteError, match="/x: answers 500 Internal Server Error, 3 times"):
        files.fetch(site.put("/x", status(500)))
    assert site.count("/x") == FAST.attempts


def test_it_waits_as_long_as_it_is_asked_but_not_longer_than_its_bound(site, files):
    assert files.fetch(site.put("/x", status(503, Retry_After="3600"), body(DATA))).size == len(DATA)


@pytest.mark.parametrize("code", [400, 401, 403, 418])
def test_other_answers_are_errors_at_once(site, files, code):
    with pytest.raises(RemoteError, match=f"answers {code}"):
        files.fetch(site.put("/x", status(code)))
    assert site.count("/x") == 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(DATA) - 1))
def test_a_truncated_body_is_fetched_again_and_never_kept(tmp_path, length):
    with serve() as site, RemoteFiles(tmp_path / str(length), limits=FAST) as files:
        assert files.fetch(site.put("/x", cut(DATA, length), body(DATA))).path.read_bytes() == DATA
        with pytest.raises(RemoteError, match="/y: "):
            files.fetch(site.put("/y", cut(DATA, length)))
        assert len(list((tmp_path / str(length)).rglob("body"))) == 1
        assert not list((tmp_path / str(length)).rglob("tmp*"))


def test_a_wrong_checksum_is_an_error_and_nothing_is_kept(site, files, tmp_path):
    with pytest.raises(RemoteError, match="is truncated or altered: its SHA-256 is"):
        files.fetch(site.put("/x", body(b"altered")), SHA256)
    assert not list((tmp_path / "cache").rglob("body"))


def test_redirects_are_followed(site, files):
    site.put("/there", body(DATA))
    url = site.put("/x", status(302, Location="/y"))
    site.put("/y", status(307, Location=f"{site.url}/there"))

    assert files.fetch(url).path.read_bytes() == DATA


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://localhost/x", "gopher://x", "s3://b/k"])
def test_redirects_do_not_leave_the_web(site, files, location):
    with pytest.raises(RemoteError, match=r"/x: is redirected to|no URL that can be fetched"):
        files.fetch(site.put("/x", status(302, Location=location)))


def test_redirects_in_a_circle_end(site, files):
    with pytest.raises(RemoteError, match="is redirected more than 5 times"):
        files.fetch(site.put("/x", status(302, Location="/x")))


def test_a_server_that_stalls(site, files):
    with pytest.raises(RemoteError, match="/x: does not answer in time, 3 times"):
        files.fetch(site.put("/x", stall(2)))


def test_a_server_that_is_not_there(files):
    with pytest.raises(RemoteError, match="cannot be reached"):
        files.fetch("http://localhost:1/x")


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_too_large_is_not_kept(site, tmp_path, declared):
    limits = Limits(largest=100, attempts=1)
    length = {} if declared else {"Content_Length": None}
    with (
        RemoteFiles(tmp_path / "cache", limits=limits) as files,
        pytest.raises(RemoteError, match="is larger than 100 bytes"),
    ):
        files.fetch(site.put("/x", body(DATA, **length)))
    assert not list((tmp_path / "cache").rglob("body"))


def test_offline_the_cache_alone_answers(site, files, tmp_path):
    url = site.put("/x", body(DATA))
    files.fetch(url)
    with RemoteFiles(tmp_path / "cache", offline=True) as offline:
        assert offline.fetch(url).path.read_bytes() == DATA
        with pytest.raises(RemoteError, match=r"/y: is not in the cache .*; build once without --offline"):
            offline.fetch(site.url + "/y")
    assert site.count("/x") == 1


@pytest.mark.parametrize("damage", ["body", "entry.json"])
def test_a_damaged_cache_is_fetched_anew(site, files, damage):
    url = site.put("/x", body(DATA))
    damaged = files.fetch(url).path.with_name(damage)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = files.fetch(url)

    assert (again.was_cached, again.path.read_bytes()) == (False, DATA)


def test_many_are_fetched_at_once_and_each_failure_is_its_own(site, files):
    urls = [site.put(f"/{number}", body(str(number).encode())) for number in range(20)]
    counted = []
    got = files.fetch_all([*urls, site.put("/gone", status(404)), urls[0]], counted.append)

    assert [got[url].path.read_bytes() for url in urls] == [str(number).encode() for number in range(20)]
    assert isinstance(got[site.url + "/gone"], MissingFileError)
    assert sum(counted) == sum(len(str(number)) for number in range(20))


def test_tls_is_verified(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serve(context) as site:
        url = site.put("/x", body(DATA))
        with RemoteFiles(tmp_path / "a", limits=FAST) as files, pytest.raises(RemoteError, match="TLS fails"):
            files.fetch(url)
        with RemoteFiles(tmp_path / "b", limits=FAST, verify=trusting) as files:
            assert files.fetch(url).path.read_bytes() == DATA
            insecure = site.put("/y", status(302, Location="http://localhost/x"))
            with pytest.raises(RemoteError, match="is redirected to http"):
                files.fetch(insecure)


def test_secrets_of_a_url_are_not_shown(site, files, tmp_path):
    url = site.put("/x?token=secret", status(403)).replace("localhost", "user:secret@localhost")
    with pytest.raises(RemoteError) as caught:
        files.fetch(url)

    assert "secret" not in str(caught.value)


def test_secrets_are_not_in_the_cache(site, files, tmp_path):
    url = site.put("/x?token=secret", body(DATA)).replace("localhost", "user:secret@localhost")
    kept = files.fetch(url).path.with_name("entry.json")

    assert b"secret" not in kept.read_bytes()
    assert not [path for path in (tmp_path / "cache").rglob("*") if "secret" in path.name]


@pytest.mark.parametrize(
    "url",
    ["http://user:secret@localhost:secret/x", "http://user:secret@[::1/x", "http://u:secret@\x00h", "ftp://u:secret@h"],
)
def test_what_a_library_says_of_a_broken_url_is_not_shown(files, url):
    with pytest.raises(RemoteError, match="is no URL that can be fetched") as caught:
        files.fetch(url)
    assert "secret" not in str(caught.value)


def test_a_user_and_password_go_to_no_other_origin(site, files):
    with serve() as other:
        site.put("/x", status(302, Location="/y"))
        site.put("/y", status(302, Location=other.put("/z", body(DATA))))
        files.fetch(site.url.replace("localhost", "user:secret@localhost") + "/x")

        assert ["Authorization" in headers for _, headers in site.asked] == [True, True]
        assert ["Authorization" in headers for _, headers in other.asked] == [False]


def test_plain_http_leads_to_no_other_host(site, files):
    with pytest.raises(RemoteError, match="/x: is redirected to another host by http, which is not followed"):
        files.fetch(site.put("/x", status(302, Location="http://169.254.169.254/latest/meta-data")))


def test_a_redirect_to_no_url(site, files):
    with pytest.raises(RemoteError, match=r"/x: is redirected to what is no URL$"):
        files.fetch(site.put("/x", status(302, Location="http://user:secret@h:secret/")))
    assert site.count("/x") == 1


def test_each_failed_attempt_is_noted_as_it_happens(site, tmp_path):
    notes = []
    with RemoteFiles(tmp_path / "cache", limits=FAST, note=notes.append) as files:
        url = site.put("/x?token=secret", status(503), cut(DATA, 10), body(DATA))
        files.fetch(url.replace("localhost", "user:secret@localhost"))

    place = re.escape(f"{site.url}/x")
    assert re.fullmatch(rf"{place}: answers 503 Service Unavailable; attempt 2 of 3 in [0-9.]+ seconds", notes[0])
    assert re.fullmatch(rf"{place}: .*; attempt 3 of 3 in [0-9.]+ seconds", notes[1])
    assert len(notes) == 2


@pytest.mark.parametrize("where", ["head", "chunk"])
def test_a_server_that_drips_ends_within_the_limit(site, tmp_path, where):
    limits = Limits(connect=1, idle=5, total=0.6, attempts=3)

    def drip_chunk(handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(50):
                handler.wfile.write(b"0")
                time.sleep(0.1)

    began = time.monotonic()
    with RemoteFiles(tmp_path / "cache", limits=limits) as files:
        url = site.put("/x", drip(0.1) if where == "head" else drip_chunk)
        with pytest.raises(RemoteError, match="/x: takes longer than 1 seconds"):
            files.fetch(url)
    assert time.monotonic() - began < 3
    assert not list((tmp_path / "cache").rglob("tmp*"))


def test_all_attempts_together_end_within_the_limit(site, tmp_path):
    began = time.monotonic()
    limits = Limits(idle=0.4, total=1, attempts=50, pause=0.01)
    with (
        RemoteFiles(tmp_path / "cache", limits=limits) as files,
        pytest.raises(RemoteError, match="takes longer than 1 seconds"),
    ):
        files.fetch(site.put("/x", stall(2)))
    assert time.monotonic() - began < 4


def raw(head: bytes, data: bytes = b""):
    def answer(handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + data)
        handler.close_connection = True

    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(304, Content_Length=None), "answers 304 Not Modified, and nothing of it was there before"),
        (raw(b"HTTP/1.1 200 OK\nContent-Length: x"), "cannot be reached: .*Content-Length, 3 times"),
        (raw(b"HTTP/1.1 200 OK\nContent-Length: 9999999999999999"), "is larger than .* bytes, with"),
        (raw(b"HTTP/1.1 200 OK\nContent-Length: 100", DATA[:10]), "cannot be reached: .*, 3 times"),
        (raw(b"HTTP/1.1 200 OK\nX: " + b"x" * 200_000), "cannot be reached: .*, 3 times"),
        (raw(b"HTTP/1.1 200 OK\nContent-Encoding: br", DATA), "is sent in Content-Encoding 'br', which was not asked"),
        (raw(b"no HTTP at all"), "cannot be reached: .*, 3 times"),
        (raw(b"HTTP/1.1 503 x\nRetry-After: \xb2"), "answers 503 x, 3 times"),
        (raw(b"HTTP/1.1 418 \x1b[31m"), "answers 418$|cannot be reached"),
        (raw(b"HTTP/1.1 302 Found\nLocation: http://[::1"), "is redirected to what is no URL$"),
    ],
)
def test_an_odd_answer_is_one_line(site, files, answer, reason):
    with pytest.raises(RemoteError, match=reason) as caught:
        files.fetch(site.put("/x", answer))
    assert str(caught.value).startswith(f"{site.url}/x: ")
    assert str(caught.value).isprintable()


def test_more_than_the_declared_length_is_cut(site, files):
    assert files.fetch(site.put("/x", raw(b"HTTP/1.1 200 OK\nContent-Length: 10", DATA))).path.read_bytes() == DATA[:10]


def test_an_empty_body_is_an_empty_file(site, files):
    assert files.fetch(site.put("/x", body(b""))).size == 0


def test_proxies_that_cannot_be_used(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:secret@proxy")
    with pytest.raises(RemoteError, match="the proxies of the environment cannot be used: ") as caught:
        RemoteFiles(tmp_path)
    assert "secret" not in str(caught.value)


def test_an_entry_is_not_written_through_a_link(site, files, tmp_path):
    url = site.put("/x", body(DATA))
    folder = files.fetch(url).path.parent
    (folder / "entry.json").unlink()
    (folder / "entry.new").symlink_to(tmp_path / "other")
    files.fetch(url)

    assert not (tmp_path / "other").exists()


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(port=0)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://localhost:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.create_bucket(Bucket="spack-binaries")
    client.put_object(Bucket="spack-binaries", Key="develop/x", Body=DATA, ACL="public-read")
    yield endpoint, client
    server.stop()


@pytest.fixture(params=["anonymous", "with keys"])
def bucket(s3, request, monkeypatch):
    endpoint, client = s3
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "with keys":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    return client


def test_a_file_from_s3_is_fetched_once(bucket, files):
    first, again = files.fetch("s3://spack-binaries/develop/x"), files.fetch("s3://spack-binaries/develop/x")

    assert (first.path.read_bytes(), first.was_cached, again.was_cached) == (DATA, False, True)
    bucket.put_object(Bucket="spack-binaries", Key="develop/x", Body=b"new", ACL="public-read")
    assert files.fetch("s3://spack-binaries/develop/x").path.read_bytes() == b"new"
    bucket.put_object(Bucket="spack-binaries", Key="develop/x", Body=DATA, ACL="public-read")


@pytest.mark.parametrize("url", ["s3://spack-binaries/nothing", "s3://no-bucket/x"])
def test_a_file_that_is_gone_from_s3(bucket, files, url):
    with pytest.raises(MissingFileError, match=f"{url}: is gone"):
        files.fetch(url)


def test_no_s3_server(files, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")
    with pytest.raises(RemoteError, match=r"s3://b/k: .* 3 times"):
        files.fetch("s3://b/k")
