"""From the JSON of one spec to a checked spec, in every form that Spack has written: pure functions, no I/O.

A record of an index, a node of a lock file and a node of a spec file are the same thing
(``Spec.to_node_dict`` in ``lib/spack/spack/spec.py``), and this is the one place that reads it. The form
changed with the version of the spec file; a node has no version of its own, so each form is recognised by its keys:

=======  ==========  ================================================================================
version  from Spack  form
=======  ==========  ================================================================================
1        0.13        ``{NAME: {…}}``; dependencies a mapping ``{NAME: {hash, type}}``; also ``full_hash``
2        0.17        ``{name, …}``; dependencies a list ``[{name, build_hash, type}]``
3        0.18        dependencies ``[{name, hash, type}]``; ``package_hash``, the hash of the recipe
4        0.21        dependencies ``[{name, hash, parameters: {deptypes, virtuals}}]``
5        1.0         no ``compiler``: it is a dependency for ``c``, ``cxx`` or ``fortran``; an older spec that
                     is written anew has it in ``annotations``
6        1.3         ``provided_virtuals``
=======  ==========  ================================================================================

Only the fields that are used become Python objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec

from pipeline.errors import Fault
from pipeline.spack.compilers import FLAGS, LANGUAGES
from pipeline.specs.check import HASH_PATTERN, normalise_compiler

SPECFILE_VERSIONS = (1, 2, 3, 4, 5, 6)
"""The versions of Spack's spec files that are known here."""

NUL = b"\\u0000"
"""What no text may hold, as JSON writes it: neither DuckDB nor a file of text can carry it."""

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


class ConcreteSpec(NamedTuple):
    """A spec of which everything is decided.

    ``compiler`` is as Spack spells it; ``compilers`` is language -> compiler, None where the spec names one
    compiler and not languages (before Spack 1.0). ``patches`` are full SHA-256. ``package_hash`` is that of
    its recipe, None before Spack 0.18; ``build_spec`` the hash of the spec that it is spliced from. An
    ``external`` lies at a path of the machine, or is found by its modules, or by both.
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
    package_hash: str | None
    build_spec: str | None
    external_path: str | None
    external_modules: list[str]


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
    full_hash: str | None = None
    build_hash: str | None = None
    type: list[str] | str | None = None
    parameters: _Relation | None = None


class _External(msgspec.Struct, gc=False):
    path: str | None = None
    module: list[str] | str | bool | None = None

    def __bool__(self) -> bool:
        # As Spec.external in lib/spack/spack/spec.py.
        return bool(self.path or self.module)

    def list_modules(self) -> list[str]:
        return [] if isinstance(self.module, bool) else _as_texts(self.module)


_Scalar = bool | str | int | float


class Node(msgspec.Struct, gc=False):
    """One spec as it is written; :func:`make_spec` makes of it what it says."""

    version: Text
    arch: _Arch
    parameters: dict[str, _Scalar | list[_Scalar] | None] = {}
    name: str = ""
    hash: str | None = None
    full_hash: str | None = None
    build_hash: str | None = None
    package_hash: str | None = None
    compiler: _Compiler | None = None
    namespace: str | None = None
    external: bool | _External | None = None
    dependencies: list[_Edge] | dict[str, _Edge] = []
    build_spec: _Edge | None = None
    annotations: _Annotations | None = None

    def list_dependencies(self) -> list[Dependency]:
        """The direct dependencies, by the hashes that the node names them by.

        An edge without a hash (of a test dependency that was never concretized) leads nowhere and is left out.
        """
        edges = self.dependencies
        if isinstance(edges, dict):
            for name, edge in edges.items():
                edge.name = name
            edges = list(edges.values())
        dependencies = []
        for edge in edges:
            related = edge.parameters or _Relation(_as_texts(edge.type))
            hash = edge.hash or _find_old_hash(edge)
            if hash and edge.name:
                dependencies.append(Dependency(hash, edge.name, related.deptypes, related.virtuals))
        return dependencies

    def find_build_spec(self) -> str | None:
        """The hash that names the spec which this one is spliced from; None for all but spliced specs."""
        edge = self.build_spec
        return None if edge is None else edge.hash or _find_old_hash(edge)


_NODE = msgspec.json.Decoder(Node)
_RAWS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_node(raw: msgspec.Raw, place: str) -> Node:
    """The node that stands at ``place`` of a file.

    Raises:
        Fault: with the first key that is missing or of a wrong type.
    """
    try:
        try:
            node = _NODE.decode(raw)
        except msgspec.ValidationError as error:
            node = _decode_named(raw, place, error)
    except msgspec.ValidationError as error:
        raise explain(error, place) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(place, f"cannot be decoded: {error}") from None
    if not node.name:
        raise Fault(f"{place}.name".lstrip("."), "is empty or missing")
    return node


def _decode_named(raw: msgspec.Raw, place: str, error: msgspec.ValidationError) -> Node:
    """A node in the form of version 1, ``{NAME: {…}}``; raises ``error`` where it is none."""
    try:
        ((name, inner),) = _RAWS.decode(raw).items()
    except (ValueError, msgspec.ValidationError):
        raise error from None
    if not bytes(inner).startswith(b"{"):
        raise error
    try:
        node = _NODE.decode(inner)
    except msgspec.ValidationError as inside:
        raise explain(inside, f"{place}.{name}") from None
    node.name = node.name or name
    return node


def explain(error: msgspec.ValidationError, place: str) -> Fault:
    """A fault from msgspec's words: ``Expected `str`, got `int` - at `$.arch.target```."""
    reason, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`")
    reason = reason[:1].lower() + reason[1:].replace("`", "'")
    return Fault((place + where).lstrip("."), reason)


def make_spec(
    node: Node, hash: str, dependencies: list[Dependency], find_version: Callable[[str], str | None]
) -> ConcreteSpec:
    """What a node says, with its hash and dependencies as its file resolves them.

    ``find_version`` gives the version of a dependency by its hash, None where the file does not hold it: a
    compiler that is a dependency is named by it.

    Raises:
        Fault: its compiler is spelt as none is.
    """
    compiler, compilers = _find_compilers(node, dependencies, find_version)
    target = node.arch.target
    parameters = node.parameters
    external = node.external if isinstance(node.external, _External) else _External()
    spec = ConcreteSpec(
        package=node.name,
        hash=hash,
        version=node.version,
        compiler=compiler,
        compilers=compilers,
        compiler_flags={
            name: " ".join(map(str, _as_list(value))) for name, value in parameters.items() if name in FLAGS and value
        },
        os=node.arch.platform_os,
        platform=node.arch.platform,
        target=target if isinstance(target, str) else target.name,
        variants=[spell_variant(name, value) for name, value in parameters.items() if name not in FLAGS],
        patches=list(map(str, _as_list(parameters.get("patches")))),
        namespace=node.namespace,
        external=bool(node.external),
        dependencies=dependencies,
        package_hash=node.package_hash,
        build_spec=None if node.build_spec is None else node.find_build_spec(),
        external_path=external.path or None,
        external_modules=external.list_modules(),
    )
    normalise_compiler(compiler)
    return spec


def _find_compilers(
    node: Node, dependencies: Sequence[Dependency], find_version: Callable[[str], str | None]
) -> tuple[str, dict[str, str] | None]:
    """*The* compiler of a spec as Spack spells it, and that of each language.

    Up to Spack 0.23 a spec names one; where Spack 1 wrote it anew, an old spec has it among its annotations.
    From 1.0 on it is the first that provides c, then cxx, then fortran to the spec as a build dependency
    (``Spec.compiler`` in ``lib/spack/spack/spec.py``), and ``none`` where nothing does.
    """
    if node.compiler is not None:
        return f"{node.compiler.name}@={node.compiler.version}", None
    if node.annotations is not None and node.annotations.compiler is not None:
        return node.annotations.compiler, None
    compilers: dict[str, str] = {}
    for language in LANGUAGES:
        for dependency in dependencies:
            if language in dependency.virtuals and "build" in dependency.deptypes:
                version = find_version(dependency.hash)
                compilers[language] = dependency.package if version is None else f"{dependency.package}@{version}"
                break
    return next(iter(compilers.values()), "none"), compilers


class _Meta(msgspec.Struct, gc=False):
    version: int


class _Body(msgspec.Struct, gc=False):
    meta: _Meta = msgspec.field(name="_meta")
    nodes: list[msgspec.Raw]


class _SpecFile(msgspec.Struct, gc=False):
    spec: _Body | list[msgspec.Raw]


_SPEC_FILE = msgspec.json.Decoder(_SpecFile)


def read_spec_file(data: bytes) -> list[ConcreteSpec]:
    """The specs of a spec file (``.spec.json``): first the one that it is of, then all that it depends on.

    Dependencies are joined by whichever hash they are named by, in version 2 by ``build_hash``, and given by
    their DAG hash.

    Raises:
        Fault: it is no spec file, of a version that is not known, or one of its specs is broken.
    """
    try:
        body = _SPEC_FILE.decode(data).spec
    except msgspec.ValidationError as error:
        raise explain(error, "") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault("file", f"is no JSON: {error}") from None
    if NUL in data:
        raise Fault("file", "holds a NUL character")
    raws, place = (body, "spec") if isinstance(body, list) else (body.nodes, "spec.nodes")
    if not isinstance(body, list) and body.meta.version not in SPECFILE_VERSIONS:
        raise Fault(
            "spec._meta.version", f"is {body.meta.version}; known are {SPECFILE_VERSIONS[0]} to {SPECFILE_VERSIONS[-1]}"
        )
    if not raws:
        raise Fault(place, "has no spec")
    nodes = [decode_node(raw, f"{place}[{number}]") for number, raw in enumerate(raws)]
    for number, node in enumerate(nodes):
        if not HASH_PATTERN.fullmatch(node.hash or ""):
            raise Fault(f"{place}[{number}].hash", "is not 32 characters of base32 (a-z, 2-7)")
    named = join_nodes(nodes)
    versions = {node.hash: node.version for node in nodes}
    specs = []
    for number, node in enumerate(nodes):
        try:
            specs.append(make_spec(node, node.hash or "", resolve_dependencies(node, named), versions.get))
        except Fault as fault:
            raise Fault(f"{place}[{number}].{fault.place}", fault.reason) from None
    return specs


def join_nodes(nodes: Iterable[Node]) -> dict[str, Node]:
    """Nodes by every hash that another may name them by."""
    named: dict[str, Node] = {}
    for node in nodes:
        for hash in (node.build_hash, node.full_hash, node.hash):
            if hash is not None:
                named.setdefault(hash, node)
    return named


def resolve_dependencies(node: Node, named: Mapping[str, Node]) -> list[Dependency]:
    """A node's dependencies by their own DAG hash, where the file names them by another; ``named`` has them."""
    return [
        dependency._replace(hash=named[dependency.hash].hash or dependency.hash)
        if dependency.hash in named
        else dependency
        for dependency in node.list_dependencies()
    ]


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


def _find_old_hash(edge: _Edge) -> str | None:
    """The hash of an edge of before Spack 0.18 (``_LEGACY_DEP_HASH_KEYS`` in ``lib/spack/spack/spec.py``)."""
    return edge.full_hash or edge.build_hash


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _as_texts(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
