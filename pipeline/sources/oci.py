"""OCI mirrors: a build cache in a registry of images, or in an image layout on disk.

The index is the one layer of the image tagged ``index.spack``, plain JSON whatever its media type says (Spack,
``binary_distribution.py``)::

    GET https://HOST/v2/NAME/manifests/index.spack     oci://HOST/NAME; by http for oci+http://
    GET https://HOST/v2/NAME/blobs/sha256:DIGEST
    LAYOUT/index.json, LAYOUT/blobs/sha256/DIGEST      on disk, beside LAYOUT/oci-layout
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from pipeline.errors import SourceError
from pipeline.io.urls import show_url

INDEX_TAG = "index.spack"
SPEC_TAG = ".spack"
LONGEST_TAG = 128
"""Characters; of a longer tag the middle is left out."""
LAYOUT = "oci-layout"
LAYOUT_INDEX = "index.json"
USER, PASSWORD = "OCI_USERNAME", "OCI_PASSWORD"
"""The environment's credentials; without both, requests are anonymous."""
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_DEFAULT_HOST = "index.docker.io"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_REF_NAME = "org.opencontainers.image.ref.name"


class _Described(msgspec.Struct):
    digest: str
    annotations: dict[str, str] | None = None

    @property
    def tag(self) -> str:
        """What an image layout tags it by; empty where it has no tag."""
        return (self.annotations or {}).get(_REF_NAME, "").rpartition(":")[2]


class _Image(msgspec.Struct):
    layers: list[_Described]


class _Layout(msgspec.Struct):
    manifests: list[_Described]


def locate_index(url: str) -> str:
    """The URL of the manifest of the index of an OCI mirror: host and name as Spack reads them.

    Raises:
        SourceError: it names no registry and repository, or a user, who is to be named in the environment.
    """
    scheme, _, rest = url.partition("://")
    host, slash, name = rest.partition("/")
    if not slash or not (re.search(r"[.:A-Z]", host) or host == "localhost"):
        host, name = _DEFAULT_HOST, rest if slash else f"library/{rest}"
    if "@" in rest:
        raise SourceError(f"{show_url(url)}: names a user; set {USER} and {PASSWORD} instead")
    name = (name.rpartition(":")[0] or name).lower()
    if not _NAME.fullmatch(name):
        raise SourceError(f"{show_url(url)}: names no repository of a registry, as oci://HOST/NAME does")
    return f"{'http' if scheme.lower() == 'oci+http' else 'https'}://{host}/v2/{name}/manifests/{INDEX_TAG}"


def is_index_tag(url: str) -> bool:
    """Whether a URL is that of the manifest of an OCI mirror's index."""
    return url.endswith(f"/manifests/{INDEX_TAG}")


def choose_layer(manifest: bytes) -> str:
    """The SHA-256 of the index that the manifest of its image names.

    Raises:
        ValueError: it is no manifest of an image with one layer.
    """
    try:
        layers = msgspec.json.decode(manifest, type=_Image).layers
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if len(layers) != 1:
        raise ValueError(f"its image has {len(layers)} layers, and that of an index has one")
    return _read_digest(layers[0])


def choose_image(layout: bytes) -> str:
    """The SHA-256 of the manifest of the image that an image layout's ``index.json`` tags as an index.

    Raises:
        ValueError: it is no such file, or tags none.
    """
    for one in _read_layout(layout):
        if one.tag == INDEX_TAG:
            return _read_digest(one)
    raise ValueError(f"no image is tagged {INDEX_TAG}; whoever keeps it runs spack buildcache update-index")


def list_images(layout: bytes) -> Iterator[tuple[str, str]]:
    """The hash of each spec that has an image in an image layout, and the SHA-256 of the image's manifest.

    Raises:
        ValueError: it is no ``index.json`` of an image layout.
    """
    for one in _read_layout(layout):
        if one.tag.endswith(SPEC_TAG) and one.tag != INDEX_TAG:
            yield one.tag.removesuffix(SPEC_TAG).rpartition("-")[2], _read_digest(one)


def name_image(package: str, version: str, hash: str) -> str:
    """The tag of a spec's image, as Spack makes one of it (``_oci_default_tag`` in ``binary_distribution.py``)."""
    tag = re.sub(r"[^\w.-]", "_", f"{package}-{version}-{hash}{SPEC_TAG}", flags=re.ASCII)
    return tag if len(tag) <= LONGEST_TAG else tag[: LONGEST_TAG // 2] + tag[-LONGEST_TAG // 2 :]


def _read_layout(layout: bytes) -> list[_Described]:
    try:
        return msgspec.json.decode(layout, type=_Layout).manifests
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _read_digest(described: _Described) -> str:
    if found := _DIGEST.fullmatch(described.digest):
        return found[1]
    raise ValueError(f"its digest is no SHA-256: {described.digest[:80]!r}")
