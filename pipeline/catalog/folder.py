"""The folder that is published: how files get there, and the manifest that says which they are.

Files whose names have a digest of their bytes come first, then those with names that stay, and the manifest last: what
is read meanwhile, or half copied to a host, is one build or the other. The files of the build before stay until the
next, for readers that have its catalogue.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.errors import WarehouseError
from pipeline.io.disk import holds_files, measure_file, put_all, remove, renew_file
from pipeline.report.folder import DATA, PUBLISHED, STAGING, refuse_outside

MANIFEST = f"{DATA}/manifest.json"
NAMED_BY_DIGEST = re.compile(r"(?:.*[/.])?[0-9a-f]{16}\.[a-z.]+")
"""A path whose file never changes: its name has a digest of its bytes."""


class PublishedFile(msgspec.Struct, frozen=True):
    """A file of what is published, by its size and the SHA-256 of its bytes."""

    bytes: int
    sha256: str


class Part(msgspec.Struct, frozen=True):
    """A file made of a part of the warehouse alone: a digest of that part, the file, its rows."""

    inputs: str
    path: str
    rows: int


class Manifest(msgspec.Struct):
    """``data/manifest.json``: the files by path, of what ``inputs`` they were made, and those of the build before.

    ``parts`` are by the name of their table or database and what they hold of it.
    """

    schema: int = 0
    inputs: str = ""
    files: dict[str, PublishedFile] = {}
    previous: dict[str, PublishedFile] = {}
    parts: dict[str, Part] = {}

    def __post_init__(self) -> None:
        refuse_outside([*self.files, *self.previous, *(part.path for part in self.parts.values())])

    def is_whole(self, out: Path) -> bool:
        """Whether every file is there, as long as it was."""
        listed = {**self.previous, **self.files}
        return bool(self.files) and holds_files(out, ((path, one.bytes) for path, one in listed.items()))


def read_manifest(out: Path) -> Manifest | None:
    """The manifest in a folder; None where there is none that can be read."""
    try:
        return msgspec.json.decode((out / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def refuse_others(out: Path) -> None:
    """Make sure that a first publication replaces nothing; from then on the folders are known as its own.

    Raises:
        WarehouseError: something stands there.
    """
    for name in PUBLISHED:
        if os.path.lexists(out / name):
            raise WarehouseError(f"{out / name}: was not published here, and would be replaced; move it away")
    renew_file(out / MANIFEST, encode_manifest(Manifest()))


def digest_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Publication:
    """One writing of the folder ``out``; ``files`` are all that it will have, ``written`` those that are new there."""

    def __init__(self, out: Path, staging: Path, last: Manifest) -> None:
        self.out, self.last = out, last
        self._staging = staging
        self._staged: dict[str, Path] = {}
        self.files: dict[str, PublishedFile] = {}
        self.parts: dict[str, Part] = {}

    @property
    def written(self) -> int:
        return len(self._staged)

    def scratch(self) -> Path:
        """A new path for a file that is to be published."""
        return self._staging / secrets.token_hex(8)

    def add(self, path: str, data: bytes) -> None:
        """Publish ``data`` at a path; what has it already stays."""
        one = PublishedFile(len(data), hashlib.sha256(data).hexdigest())
        self.files[path] = one
        if not self._holds(path, one):
            staged = self.scratch()
            staged.write_bytes(data)
            self._staged[path] = staged

    def add_file(self, path: str, file: Path) -> str:
        """Publish a file of the staging folder, or a copy of any other; returns the path.

        ``{digest}`` in the path stands for a digest of its bytes.
        """
        digest = digest_file(file)
        path = path.replace("{digest}", digest[:16])
        one = PublishedFile(file.stat().st_size, digest)
        self.files[path] = one
        if self._holds(path, one):
            return path
        if file.parent != self._staging:
            copy = self.scratch()
            shutil.copyfile(file, copy)
            file = copy
        self._staged[path] = file
        return path

    def keep_part(self, name: str, inputs: str) -> bool:
        """Whether a part is published already, of the same inputs; then it stays."""
        part = self.last.parts.get(name)
        if part is None or not inputs or part.inputs != inputs or part.path not in self.last.files:
            return False
        one = self.last.files[part.path]
        if measure_file(self.out / part.path) != one.bytes:
            return False
        self.files[part.path], self.parts[name] = one, part
        return True

    def add_part(self, name: str, inputs: str, path: str, file: Path, rows: int = 0) -> None:
        """Publish a part of the warehouse as :meth:`add_file` does."""
        self.parts[name] = Part(inputs, self.add_file(path, file), rows)

    def _holds(self, path: str, one: PublishedFile) -> bool:
        if self.last.files.get(path) == one or NAMED_BY_DIGEST.fullmatch(path):
            return measure_file(self.out / path) == one.bytes
        place = self.out / path
        return measure_file(place) == one.bytes and digest_file(place) == one.sha256

    def find_files(self) -> dict[str, Path]:
        """The place of each file until it is published."""
        return {path: self._staged.get(path, self.out / path) for path in self.files}

    def publish(self, schema: int, inputs: str) -> Manifest:
        """Let the files take their places, the manifest last; then what neither build needs is removed."""
        staged = sorted(self._staged.items(), key=lambda one: (not NAMED_BY_DIGEST.fullmatch(one[0]), one[0]))
        put_all((new, self.out / path) for path, new in staged)
        before = {**self.last.previous, **self.last.files} if self.last.inputs == inputs else self.last.files
        previous = {
            path: one
            for path, one in before.items()
            if path not in self.files and NAMED_BY_DIGEST.fullmatch(path) and measure_file(self.out / path) == one.bytes
        }
        manifest = Manifest(schema, inputs, self.files, previous, self.parts)
        renew_file(self.out / MANIFEST, encode_manifest(manifest))
        self._sweep({MANIFEST, *self.files, *previous})
        return manifest

    def _sweep(self, known: set[str]) -> None:
        """Remove what earlier builds published, and the folders that are empty then."""
        for path in {**self.last.files, **self.last.previous}.keys() - known:
            remove(self.out / path)
            for folder in (self.out / path).parents:
                if folder == self.out:
                    break
                with contextlib.suppress(OSError):
                    folder.rmdir()


@contextlib.contextmanager
def publishing(out: Path, last: Manifest) -> Iterator[Publication]:
    """A publication with a staging folder of its own.

    What a killed one left is swept by :meth:`pipeline.report.folder.ReportFolder.hold`.
    """
    staging = out / f"{STAGING}-{secrets.token_hex(8)}"
    staging.mkdir(mode=0o700)
    try:
        yield Publication(out, staging, last)
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(staging)):
            error.filename = str(out)
        raise
    finally:
        remove(staging)
