"""From the bytes of a build-cache index to checked specs: pure functions, no I/O.

An index is the database that Spack writes of a build cache (``lib/spack/spack/database.py``):
``{"database": {"version": "8", "installs": {HASH: RECORD, …}}}`` with records ``{spec, ref_count,
in_buildcache}``. Its version is that of the database, and says little of the specs in it: an index of
version 8 holds old specs beside new ones. What is read here is every form that Spack has written:

=======  ===========  =========================================================================
version  from Spack   form of a spec
=======  ===========  =========================================================================
5        0.13         ``{NAME: {…}}``; dependencies a mapping ``{NAME: {hash, type}}``
6        0.17         ``{name, …}``; dependencies a list ``[{name, hash, type}]``
7        0.21         dependencies ``[{name, hash, parameters: {deptypes, virtuals}}]``
8, 9     1.0, 1.3     no ``compiler``: compilers are dependencies for ``c``, ``cxx``, ``fortran``
=======  ===========  =========================================================================

Only the fields that are used become Python objects, a record at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple

import msgspec

from pipeline.errors import Fault
from pipeline.specs.check import HASH, LONGEST_SPEC, Reject, normalise_compiler

VERSIONS = ("5", "6", "7", "8", "9")
"""The versions of Spack's database whose records are known here."""

LANGUAGES = ("c", "cxx", "fortran")
"""The virtual packages that compilers provide, in the order in which Spack looks for *the* compiler of a
spec (``Spec.compiler`` in ``lib/spack/spack/spec.py``)."""

FLAGS = frozenset({"cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"})
"""Parameters that are compiler flags and no variants (``FlagMap`` in ``lib/spack/spack/spec.py``)."""

_SHORT_PATCH = 7
# NO_QUOTES_NEEDED in lib/spack/spack/spec_parser.py.
_PLAIN_VALUE = re.compile(r"[a-zA-Z0-9,/_.\-\[\]]+")

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Dependency(NamedTuple):
    """A direct dependency of a spec: its hash and package, ``deptypes`` such as link, ``virtuals`` such as mpi."""

    hash: str
    package: str
    deptypes: list[str]
    virtuals: list[str]


class IndexSpec(NamedTuple):
    """A spec that an index says is in its build cache.

    ``compiler`` is as Spack spells it; ``compilers`` is language -> compiler, None where the index tells of
    one compiler and not of languages (specs from before Spack 1.0). ``patches`` are full SHA-256.
    """

    package: str
    hash: str
    version: str
    compiler: str
    compilers: dict[str, str] | None
    compiler_flags: dict[str, str]
    os: str
    platform: str
    target: str
    variants: list[str]
    patches: list[str]
    namespace: str | None
    external: bool
    dependencies: list[Dependency]


class _Target(msgspec.Struct, gc=False):
    name: Text


class _Arch(msgspec.Struct, gc=False):
    platform: Text
    platform_os: Text
    target: Text | _Target


class _Compiler(msgspec.Struct, gc=False):
    name: Text
    version: Text


class _Annotations(msgspec.Struct, gc=False):
    compiler: Text | None = None


class _Relation(msgspec.Struct, gc=False):
    deptypes: list[str] = []
    virtuals: list[str] = []


class _Edge(msgspec.Struct, gc=False):
    name: str = ""
    hash: str | None = None
    build_hash: str | None = None
    type: list[str] | str | None = None
    parameters: _Relation | None = None


_Scalar = bool | str | int | float


class _Node(msgspec.Struct, gc=False):
    version: Text
    arch: _Arch
    parameters: dict[str, _Scalar | list[_Scalar] | None]
    name: str = ""
    hash: str | None = None
    compiler: _Compiler | None = None
    namespace: str | None = None
    external: bool | dict[str, msgspec.Raw] | None = None
    dependencies: list[_Edge] | dict[str, _Edge] = []
    annotations: _Annotations | None = None


class _Record(msgspec.Struct, gc=False):
    spec: msgspec.Raw
    in_buildcache: bool | None = None


class _Database(msgspec.Struct, gc=False):
    version: str | int
    installs: dict[str, msgspec.Raw]


class _File(msgspec.Struct, gc=False):
    database: _Database


_FILE = msgspec.json.Decoder(_File)
_RECORD = msgspec.json.Decoder(_Record)
_NODE = msgspec.json.Decoder(_Node)
_NAMED_NODE = msgspec.json.Decoder(dict[str, _Node])


class Index:
    """The records of one index.

    ``len(index)`` counts all of them. :meth:`read` gives those in the build cache and counts, while it goes,
    the ``externals`` (of the system, such as glibc) and ``holes`` (dependencies that were not pushed), which
    Spack can install nothing from.
    """

    def __init__(self, data: bytes) -> None:
        """Read the outline of an index.

        Raises:
            Fault: it is no JSON, no index, or of a version of Spack's database that is not known.
        """
        try:
            database = _FILE.decode(data).database
        except msgspec.ValidationError as error:
            raise Fault("database", f"is none that Spack writes: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Fault("file", f"is no JSON: {error}") from None
        self.version = str(database.version)
        if self.version not in VERSIONS:
            raise Fault("database.version", f"is {self.version!r}; known are {VERSIONS[0]} to {VERSIONS[-1]}")
        self._installs = database.installs
        # Indexes from before Spack 0.17 do not tell apart what was pushed: all of it counts but externals.
        self._tells = b'"in_buildcache"' in data
        self._compilers: dict[str, str | None] = {}
        self.externals = 0
        self.holes = 0

    def __len__(self) -> int:
        return len(self._installs)

    def read(self) -> Iterator[IndexSpec | Reject]:
        """Each record in the build cache, as a spec or as the reject that it is."""
        for key, raw in self._installs.items():
            try:
                record, node = _decode(raw)
                external = bool(node.external)
                # `deprecated_for` takes no spec out: Spack lists it, and installs it when it is asked to.
                if not (record.in_buildcache if self._tells else not external):
                    if external:
                        self.externals += 1
                    else:
                        self.holes += 1
                    continue
                yield self._make_spec(key, node, external)
            except Fault as fault:
                place = f"database.installs[{key[:80]}]" + (f".{fault.place}" if fault.place else "")
                yield Reject(place, fault.reason, _quote_raw(raw), 1)

    def _make_spec(self, key: str, node: _Node, external: bool) -> IndexSpec:
        if not HASH.fullmatch(key):
            raise Fault("", "its hash is not 32 characters of base32 (a-z, 2-7)")
        if node.hash not in (None, key):
            raise Fault("spec.hash", f"is {node.hash!r}, and not the key it stands under")
        if not node.name:
            raise Fault("spec.name", "is empty or missing")
        dependencies = _list_dependencies(node)
        compiler, compilers = self._find_compilers(node, dependencies)
        target = node.arch.target
        parameters = node.parameters
        spec = IndexSpec(
            package=node.name,
            hash=key,
            version=node.version,
            compiler=compiler,
            compilers=compilers,
            compiler_flags={
                name: " ".join(map(str, _as_list(value)))
                for name, value in parameters.items()
                if name in FLAGS and value
            },
            os=node.arch.platform_os,
            platform=node.arch.platform,
            target=target if isinstance(target, str) else target.name,
            variants=[spell_variant(name, value) for name, value in parameters.items() if name not in FLAGS],
            patches=list(map(str, _as_list(parameters.get("patches")))),
            namespace=node.namespace,
            external=external,
            dependencies=dependencies,
        )
        normalise_compiler(compiler)
        return spec

    def _find_compilers(self, node: _Node, dependencies: list[Dependency]) -> tuple[str, dict[str, str] | None]:
        """*The* compiler of a spec as Spack spells it, and that of each language.

        Up to Spack 0.23 a spec names one; in an index that Spack 1 wrote, an old spec has it among its
        annotations. From 1.0 on it is the first that provides c, then cxx, then fortran to the spec as a build
        dependency, and ``none`` where nothing does.
        """
        if node.compiler is not None:
            return f"{node.compiler.name}@={node.compiler.version}", None
        if node.annotations is not None and node.annotations.compiler is not None:
            return node.annotations.compiler, None
        compilers: dict[str, str] = {}
        for language in LANGUAGES:
            for dependency in dependencies:
                if language in dependency.virtuals and "build" in dependency.deptypes:
                    compilers[language] = self._name_compiler(dependency)
                    break
        return next(iter(compilers.values()), "none"), compilers

    def _name_compiler(self, dependency: Dependency) -> str:
        """A compiler's ``name@version``; its name alone where the index does not hold it."""
        if dependency.hash not in self._compilers:
            raw = self._installs.get(dependency.hash)
            version = None
            if raw is not None:
                try:
                    version = _decode(raw)[1].version
                except Fault:
                    version = None  # The record is a reject of its own.
            self._compilers[dependency.hash] = version
        version = self._compilers[dependency.hash]
        return dependency.package if version is None else f"{dependency.package}@{version}"


def _decode(raw: msgspec.Raw) -> tuple[_Record, _Node]:
    """A record and its spec.

    Raises:
        Fault: with the first key that is missing or of a wrong type.
    """
    try:
        record = _RECORD.decode(raw)
        try:
            node = _NODE.decode(record.spec)
        except msgspec.ValidationError as error:
            node = _decode_named(record.spec, error)
    except msgspec.ValidationError as error:
        raise _explain(error, "") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault("", f"cannot be decoded: {error}") from None
    if b"\\u0000" in bytes(raw):
        raise Fault("", "holds a NUL character")
    return record, node


def _decode_named(spec: msgspec.Raw, error: msgspec.ValidationError) -> _Node:
    """A spec in the form of Spack 0.13: ``{NAME: {…}}``."""
    try:
        ((name, node),) = _NAMED_NODE.decode(spec).items()
    except (ValueError, msgspec.ValidationError):
        raise _explain(error, "spec") from None
    node.name = node.name or name
    return node


def _explain(error: msgspec.ValidationError, place: str) -> Fault:
    """A fault from msgspec's words: ``Expected `str`, got `int` - at `$.arch.target```."""
    reason, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`")
    reason = reason[:1].lower() + reason[1:].replace("`", "'")
    return Fault((place + where).lstrip("."), reason)


def _list_dependencies(node: _Node) -> list[Dependency]:
    """The direct dependencies of a spec, in any of the forms that Spack has written.

    An edge without a hash (of a test dependency that was never concretized) leads nowhere and is left out.
    """
    edges = node.dependencies
    named = edges.items() if isinstance(edges, dict) else ((edge.name, edge) for edge in edges)
    dependencies = []
    for name, edge in named:
        related = edge.parameters or _Relation(_as_texts(edge.type))
        target = edge.hash or edge.build_hash
        if target and name:
            dependencies.append(Dependency(target, name, related.deptypes, related.virtuals))
    return dependencies


def spell_variant(name: str, value: object) -> str:
    """A variant as Spack and its cache pages print it: ``+mpi``, ``~mpi``, ``build_type=Release``, ``k=a,b``.

    A value with other than plain characters is quoted (``quote_if_needed`` in Spack's ``spec_parser.py``);
    patches are cut to their first 7 characters.
    """
    if isinstance(value, bool):
        return f"{'+' if value else '~'}{name}"
    values = [str(one) for one in _as_list(value)]
    if name == "patches":
        values = [one[:_SHORT_PATCH] for one in values]
    return f"{name}={quote_value(','.join(values))}"


def quote_value(value: str) -> str:
    """``value`` in the quotes that Spack would put around it, or as it is where it needs none."""
    if not value or _PLAIN_VALUE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False) if "'" in value else f"'{value}'"


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _as_texts(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _quote_raw(raw: msgspec.Raw) -> str:
    return bytes(raw)[: LONGEST_SPEC * 4].decode("utf-8", "replace")[:LONGEST_SPEC]


def count_by_kind(index: Index) -> Mapping[str, int]:
    """Records, externals and holes of an index that was read to its end."""
    return {"records": len(index), "externals": index.externals, "holes": index.holes}
