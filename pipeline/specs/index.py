"""From the bytes of a build-cache index to checked specs: pure functions, no I/O.

An index is the database that Spack writes of a build cache (``lib/spack/spack/database.py``):
``{"database": {"version": "8", "installs": {HASH_PATTERN: RECORD, …}}}`` with records ``{spec, ref_count,
in_buildcache}``. Its version is that of the database, and says little of the specs in it: an index of
version 8 holds old specs beside new ones. :mod:`pipeline.specs.node` reads a spec in any form; here is
which records there are, and which of them a build cache holds.

Records become Python objects one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from pipeline.errors import Fault
from pipeline.sources.kinds import INSTALL_DATABASE, explain_no_json
from pipeline.specs.check import HASH_PATTERN, LONGEST_SPEC, Reject
from pipeline.specs.node import NUL, ConcreteSpec, Node, decode_node, explain, make_spec

DATABASE_VERSIONS = ("5", "6", "7", "8", "9")
"""The versions of Spack's database whose records are known here."""


Kind = Literal["spec", "external", "hole"]


class Record(NamedTuple):
    """A record of an index, and which kind it is: a spec of the cache, an external or a hole."""

    kind: Kind
    spec: ConcreteSpec


class _Record(msgspec.Struct, gc=False):
    spec: msgspec.Raw
    in_buildcache: bool | None = None


class _Installed(msgspec.Struct, gc=False):
    """The keys of a record by which an install database is known."""

    installed: bool
    path: str | None


class _Key:
    """A key of ``installs``. No two are equal: a hash that stands there twice is two records, not the last of them."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _Database(msgspec.Struct, gc=False):
    version: str | int
    installs: dict[_Key, msgspec.Raw]


class _File(msgspec.Struct, gc=False):
    database: _Database


_FILE = msgspec.json.Decoder(_File, dec_hook=lambda _, text: _Key(text))
_RECORD = msgspec.json.Decoder(_Record)
_INSTALLED = msgspec.json.Decoder(_Installed)


class Index:
    """The records of one index.

    ``len(index)`` counts all of them. :meth:`read` counts, while it goes, those that are no spec of the cache:
    the ``externals`` (of the system, such as glibc) and ``holes`` (dependencies that were not pushed), which
    Spack can install nothing from.
    """

    def __init__(self, data: bytes) -> None:
        """Read the outline of an index.

        Raises:
            Fault: it is no JSON, no index, an install database, or of a version of Spack's database that is not known.
        """
        try:
            database = _FILE.decode(data).database
        except msgspec.ValidationError as error:
            raise Fault("database", f"is none that Spack writes: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Fault("file", explain_no_json(data, str(error))) from None
        self.version = str(database.version)
        if self.version not in DATABASE_VERSIONS:
            raise Fault(
                "database.version", f"is {self.version!r}; known are {DATABASE_VERSIONS[0]} to {DATABASE_VERSIONS[-1]}"
            )
        self._records = database.installs
        # Of two records of one hash the first is kept.
        self._kept = {key.text: raw for key, raw in reversed(self._records.items())}
        # Indexes from before Spack 0.17 do not mark what was pushed: all of it counts but externals.
        self._marks_pushed = b'"in_buildcache"' in data
        if not self._marks_pushed and any(map(_is_installed, self._records.values())):
            raise Fault("database", INSTALL_DATABASE)
        self._has_nul = NUL in data
        self._versions: dict[str, str | None] = {}
        self.externals = 0
        self.holes = 0

    def __len__(self) -> int:
        return len(self._records)

    def read(self) -> Iterator[Record | Reject]:
        """Each record, or the reject that it is.

        A second record of a hash is a reject, whatever it is of.
        """
        # Where no hash stands twice, which of its records is kept needs no number.
        again = len(self._kept) < len(self._records)
        numbers = {key.text: at for at, key in reversed(list(enumerate(self._records, 1)))} if again else {}
        for number, (key, raw) in enumerate(self._records.items(), 1):
            hash = key.text
            try:
                if self._kept[hash] is not raw:
                    reason = f"this is record {number:,} of the index, and record {numbers[hash]:,} is kept"
                    raise Fault("", f"stands there more than once: {reason}")
                record, node = self._decode(raw)
                if not HASH_PATTERN.fullmatch(hash):
                    raise Fault("", "its hash is not 32 characters of base32 (a-z, 2-7)")
                if node.hash not in (None, hash):
                    raise Fault("spec.hash", f"is {node.hash!r}, and not the key it stands under")
                spec = make_spec(node, hash, node.list_dependencies(), self._find_version)
                kind = self._find_kind(record, node)
                self.externals += kind == "external"
                self.holes += kind == "hole"
                yield Record(kind, spec)
            except Fault as fault:
                place = f"database.installs[{hash[:80]}]" + (f".{fault.place}" if fault.place else "")
                yield Reject(place, fault.reason, _quote_raw(raw), 1)

    def _find_kind(self, record: _Record, node: Node) -> Kind:
        # `deprecated_for` takes no spec out: Spack lists it, and installs it when it is asked to.
        if record.in_buildcache if self._marks_pushed else not node.external:
            return "spec"
        return "external" if node.external else "hole"

    def _find_version(self, hash: str) -> str | None:
        """The version of the spec of a hash; None where the index does not hold it."""
        if hash not in self._versions:
            raw = self._kept.get(hash)
            version = None
            if raw is not None:
                try:
                    version = self._decode(raw)[1].version
                except Fault:
                    version = None  # The record is a reject of its own.
            self._versions[hash] = version
        return self._versions[hash]

    def _decode(self, raw: msgspec.Raw) -> tuple[_Record, Node]:
        """A record and its spec.

        Raises:
            Fault: with the first key that is missing or of a wrong type.
        """
        try:
            record = _RECORD.decode(raw)
        except msgspec.ValidationError as error:
            raise explain(error, "") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Fault("", f"cannot be decoded: {error}") from None
        node = decode_node(record.spec, "spec")
        if self._has_nul and NUL in bytes(raw):
            raise Fault("", "holds a NUL character")
        return record, node


def _is_installed(raw: msgspec.Raw) -> bool:
    try:
        _INSTALLED.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _quote_raw(raw: msgspec.Raw) -> str:
    return bytes(raw)[: LONGEST_SPEC * 4].decode("utf-8", "replace")[:LONGEST_SPEC]
