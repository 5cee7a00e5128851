"""Sizes of binaries, as what lies beside the index of a build cache says them.

::

    MIRROR/v3/manifests/spec/NAME/NAME-VERSION-HASH.spec.manifest.json   contentLength of the tarball
    LAYOUT/index.json, LAYOUT/blobs/sha256/DIGEST                        size of the last layer of each spec's image
    CACHE/sizes/…/sizes.json                                             what was fetched of either by URL

An index itself gives no sizes. A size is that of the tarball as it is stored, compressed.
"""

from __future__ import annotations

import os
import re
from typing import Annotated

import msgspec

from pipeline.errors import Fault
from pipeline.sources.files import make_readable, read_index_bytes, read_small_bytes
from pipeline.sources.oci import LAYOUT_INDEX, list_images

SPEC_MANIFESTS = "v3/manifests/spec"
SPEC_MANIFEST = ".spec.manifest.json"
FIRST_READ, LARGEST_MANIFEST = 2**14, 2**20
"""Bytes; manifests of specs have about 700, or 2,000 where they are signed."""
_TARBALL = re.compile(r"application/vnd\.spack\.install\.v\d+\.tar(\+\w+)?")
_SIGNED, _SIGNATURE = b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP SIGNATURE-----"

Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Stored(msgspec.Struct, gc=False):
    mediaType: str  # noqa: N815 - the manifest's own key
    contentLength: Bytes  # noqa: N815


class _Manifest(msgspec.Struct, gc=False):
    data: list[_Stored]


class _Layer(msgspec.Struct, gc=False):
    size: Bytes


class _Image(msgspec.Struct, gc=False):
    layers: list[_Layer]


_MANIFEST = msgspec.json.Decoder(_Manifest)
_IMAGE = msgspec.json.Decoder(_Image)
_SIZES = msgspec.json.Decoder(dict[str, Bytes])


def read_manifest_size(data: bytes) -> int:
    """The size of the tarball that a spec manifest names, which may be clear-signed.

    Raises:
        ValueError: it is no manifest of a spec, or names no tarball.
    """
    if data.startswith(_SIGNED):
        data = data[data.find(b"{") : data.rfind(_SIGNATURE)]
    try:
        stored = _MANIFEST.decode(data).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is no manifest of a spec: {error}") from None
    for one in stored:
        if _TARBALL.fullmatch(one.mediaType):
            return one.contentLength
    raise ValueError("is no manifest of a spec: it names no tarball")


def read_image_size(data: bytes) -> int:
    """The size of the last layer that the manifest of an image names: that of the spec's own tarball.

    Raises:
        ValueError: it is no manifest of an image with layers.
    """
    try:
        layers = _IMAGE.decode(data).layers
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is no manifest of an image: {error}") from None
    if not layers:
        raise ValueError("is no manifest of an image with a layer")
    return layers[-1].size


def read_manifest_hash(name: str) -> str:
    """The hash in the name of a spec manifest; what stands before it may have been altered to be a file's name."""
    return name.removesuffix(SPEC_MANIFEST).rpartition("-")[2]


def name_manifest(package: str, version: str, hash: str) -> str:
    """The name of a spec's manifest (``polite_filename`` in ``lib/spack/llnl/util/filesystem.py``)."""
    return re.sub(r"[^A-Za-z0-9_+.-]", "_", f"{package}-{version}-{hash}") + SPEC_MANIFEST


def decode_sizes(data: bytes) -> dict[str, int]:
    """Sizes by hash, as they are kept of a mirror.

    Raises:
        ValueError: they are damaged.
    """
    try:
        return _SIZES.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


class Sizes:
    """The sizes of a cache's specs by hash; ``place`` is a folder of spec manifests, an image layout or sizes fetched.

    Each is read when it is asked for. ``warning`` is a line on those that cannot be read, empty where all can.
    """

    def __init__(self, place: str = "") -> None:
        self._known: dict[str, int] = {}
        self._paths: dict[str, str] = {}
        self._read = read_manifest_size
        self._faults = 0
        self._first = ""
        try:
            if os.path.isdir(place):
                self._paths = dict(_list_manifests(place))
            elif os.path.basename(place) == LAYOUT_INDEX:
                self._read = read_image_size
                blobs = os.path.join(os.path.dirname(place), "blobs/sha256")
                self._paths = {hash: f"{blobs}/{digest}" for hash, digest in list_images(read_small_bytes(place))}
            elif place:
                self._known = decode_sizes(read_index_bytes(place)[0])
        except (OSError, ValueError, Fault) as error:
            self._note(place, error)

    def find(self, hash: str) -> int | None:
        """The size of a spec in bytes; None where nothing says it."""
        path = self._paths.get(hash)
        if path is None:
            return self._known.get(hash)
        try:
            return self._read(_read_manifest(path))
        except (OSError, ValueError) as error:
            self._note(path, error)
            return None

    def _note(self, path: str, error: Exception) -> None:
        self._faults += 1
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        self._first = self._first or make_readable(f"{os.path.basename(path)} {reason}")

    @property
    def warning(self) -> str:
        """What could not be read, in a line that names the first; empty where all could."""
        if not self._faults:
            return ""
        if self._faults == 1:
            return f"1 size cannot be read and is not known: {self._first}"
        return f"{self._faults:,} sizes cannot be read and are not known, the first: {self._first}"


def _read_manifest(path: str) -> bytes:
    """The bytes of a manifest, of which there may be a hundred thousand: few calls, and little memory for each.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than a manifest may be.
    """
    # O_NONBLOCK: opening a pipe must not wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        data = part = os.read(descriptor, FIRST_READ)
        while len(part) == FIRST_READ and len(data) <= LARGEST_MANIFEST:
            part = os.read(descriptor, FIRST_READ)
            data += part
    finally:
        os.close(descriptor)
    if len(data) > LARGEST_MANIFEST:
        raise ValueError(f"is larger than {LARGEST_MANIFEST // 2**20} MiB")
    return data


def _list_manifests(folder: str) -> list[tuple[str, str]]:
    """The hash and path of each spec manifest in the folders of packages in ``folder``."""
    return [
        (read_manifest_hash(name), f"{below}/{name}")
        for below, _, names in os.walk(folder)
        for name in names
        if name.endswith(SPEC_MANIFEST)
    ]
