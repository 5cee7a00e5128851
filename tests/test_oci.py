"""OCI mirrors: an image layout on disk, and a real registry."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time

import httpx
import pytest

from pipeline.errors import SourceError
from pipeline.sources.oci import choose_image, choose_layer, locate_index
from pipeline.sources.remote import RegistryAuth
from tests.commands import run
from tests.makers import ask, make_hash, write_page
from tests.test_buildcache import TWO, build_in, rejects, stacks

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"  # as Spack says, though it is plain JSON
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
# Of "me" and "secret", by bcrypt.
HTPASSWD = "me:$2b$05$Ryrm26h0i0lZaguFntSoaege77GbwSZjbiK4H4cZQpwTg4XJ1D1vO\n"


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def describe(kind, data):
    return {"mediaType": kind, "digest": digest(data), "size": len(data)}


def make_image(*layers):
    image = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": describe("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [describe(LAYER_TYPE, layer) for layer in layers],
    }
    return json.dumps(image).encode()


def write_layout(folder, index, tag="index.spack"):
    image = make_image(index)
    for blob in (index, b"{}", image):
        write_page(folder, blob, f"blobs/sha256/{digest(blob)[7:]}")
    named = {**describe(MANIFEST_TYPE, image), "annotations": {"org.opencontainers.image.ref.name": tag}}
    write_page(folder, json.dumps({"schemaVersion": 2, "manifests": [named]}), "index.json")
    write_page(folder, '{"imageLayoutVersion":"1.0.0"}', "oci-layout")
    return folder


def test_an_image_layout_on_disk_is_a_build_cache(tmp_path):
    folder = write_layout(tmp_path / "develop" / "e4s", TWO)
    _, warehouse = build_in(tmp_path, folder)

    assert stacks(warehouse) == {("develop", "e4s"): 2}


def test_an_image_layout_without_index_is_a_reject(tmp_path):
    write_layout(tmp_path / "develop" / "e4s", TWO)
    write_layout(tmp_path / "develop" / "hep", TWO, tag="zlib-1.3.spack")
    _, warehouse = build_in(tmp_path, tmp_path / "develop" / "..")

    assert stacks(warehouse) == {("develop", "e4s"): 2}
    assert "no image is tagged index.spack" in rejects(warehouse)[0][2]


@pytest.mark.parametrize(
    ("url", "manifest"),
    [
        ("oci://ghcr.io/spack/Cache", "https://ghcr.io/v2/spack/cache/manifests/index.spack"),
        ("oci+http://localhost:5000/a/b:tag", "http://localhost:5000/v2/a/b/manifests/index.spack"),
        ("oci://me/cache", "https://index.docker.io/v2/me/cache/manifests/index.spack"),
        ("oci://cache", "https://index.docker.io/v2/library/cache/manifests/index.spack"),
    ],
)
def test_a_url_is_read_as_spack_reads_it(url, manifest):
    assert locate_index(url) == manifest


@pytest.mark.parametrize(
    "url", ["oci://", "oci://ghcr.io/", "oci://ghcr.io/a b", "oci://u:p@ghcr.io/a", "oci://h.io/../x"]
)
def test_a_url_that_names_no_repository_fails_without_its_password(url):
    with pytest.raises(SourceError) as raised:
        locate_index(url)
    assert "u:p" not in str(raised.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"layers":[]}', b'{"layers":[{"digest":"md5:x"}]}', b"\xff"])
def test_what_is_no_manifest_is_named(data):
    for choose in (choose_layer, choose_image):
        with pytest.raises(ValueError, match=r"."):
            choose(data)


BEARER = 'Bearer realm="{}",service="ghcr.io",scope="repository:a/b:pull"'


def ask_registry(monkeypatch, challenges, user=""):
    """The requests that come of a registry's challenges, and the answer to the last one."""
    for name in ("OCI_USERNAME", "OCI_PASSWORD"):
        monkeypatch.setenv(name, user)
    asked = []

    def answer(request):
        asked.append(request)
        if request.url.host == "token.example":
            return httpx.Response(200, json={"token": "t0k"})
        if "Authorization" in request.headers:
            return httpx.Response(200)
        return httpx.Response(401, headers=[("WWW-Authenticate", challenge) for challenge in challenges])

    with httpx.Client(transport=httpx.MockTransport(answer), auth=RegistryAuth()) as client:
        last = client.get("https://ghcr.io/v2/a/b/manifests/index.spack")
    return asked, last.status_code


@pytest.mark.parametrize("user", ["", "me"])
def test_a_token_is_asked_for_before_a_password_is_sent(monkeypatch, user):
    challenges = ['Basic realm="x"', BEARER.format("https://token.example/t")]
    (_, token, last), status = ask_registry(monkeypatch, challenges, user)

    assert status == 200
    assert dict(token.url.params) == {"service": "ghcr.io", "scope": "repository:a/b:pull", "client_id": "spack"}
    assert token.headers.get("Authorization", "").startswith("Basic") == bool(user)
    assert last.headers["Authorization"] == "Bearer t0k"


@pytest.mark.parametrize("challenge", [BEARER.format("http://token.example/t"), 'Basic realm="x"', "Negotiate", ""])
def test_a_login_that_is_unsafe_or_not_possible_is_not_tried(monkeypatch, challenge):
    asked, status = ask_registry(monkeypatch, [challenge])

    assert (len(asked), status) == (1, 401)


@contextlib.contextmanager
def serve_registry(folder, secret):
    """Debian's registry server, on a port of this machine."""
    program = shutil.which("docker-registry")
    if program is None:
        reason = "no docker-registry, so no OCI mirror was read from a registry; on Debian: apt-get install it"
        pytest.fail(reason) if os.environ.get("REGISTRY_REQUIRED") else pytest.skip(reason)
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"localhost:{port}"},
    }
    if secret:
        path = write_page(folder, HTPASSWD, "htpasswd")
        settings["auth"] = {"htpasswd": {"realm": "here", "path": str(path)}}
    config = write_page(folder, json.dumps(settings), "registry.yml")
    server = subprocess.Popen([program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://localhost:{port}/v2/")
                break
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        server.terminate()
        server.wait(10)


def push(host, auth, tag, *layers):
    with httpx.Client(base_url=f"http://{host}", auth=auth) as client:
        for blob in (*layers, b"{}"):
            place = client.post("/v2/site/hpc/blobs/uploads/").headers["Location"]
            client.put(httpx.URL(place).copy_merge_params({"digest": digest(blob)}), content=blob).raise_for_status()
        headers = {"Content-Type": MANIFEST_TYPE}
        put = client.put(f"/v2/site/hpc/manifests/{tag}", content=make_image(*layers), headers=headers)
        put.raise_for_status()


@pytest.mark.parametrize("secret", [False, True])
def test_a_mirror_in_a_registry(tmp_path, secret):
    login = {"OCI_USERNAME": "me", "OCI_PASSWORD": "secret"} if secret else {}
    auth = ("me", "secret") if secret else None
    # An image has the layers of what its spec links and runs with too, and its own is the last.
    below, own = b"of zlib", b"of hdf5 itself"
    with serve_registry(tmp_path, secret) as host:
        push(host, auth, "index.spack", TWO)
        push(host, auth, f"hdf5-1.14.5-{make_hash(1)}.spack", below, own)
        options = ("--warehouse", tmp_path / "w", "--cache", tmp_path / "cache", "--jobs", 1)
        made = run("build", f"oci+http://{host}/site/hpc", "--sizes", *options, **login)
        other = ("--warehouse", tmp_path / "other", "--cache", tmp_path / "none", "--jobs", 1)
        refused = run("build", f"oci+http://{host}/site/{'hpc' if secret else 'none'}", *other)

    assert made.returncode == 0, made.stderr
    assert stacks(tmp_path / "w") == {("site", "hpc"): 2}
    # zlib has no image of its own.
    assert ask(tmp_path / "w", "select hash, size_bytes from specs order by hash") == [
        (make_hash(1), len(own)),
        (make_hash(2), None),
    ]
    assert "1 of 2 sizes are not known" in made.stderr
    (source,) = {source for (source,) in ask(tmp_path / "w", "select distinct source from spec_stacks")}
    assert source == f"http://{host}/v2/site/hpc/manifests/index.spack"
    assert refused.returncode == 1
    assert ("401 Unauthorized" if secret else "404 Not Found") in refused.stderr
