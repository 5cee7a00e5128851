"""Read what a cache is expected to hold by a ``spack.lock``; pure functions.

A lock file (``lib/spack/spack/environment/environment.py``) holds the nodes of an environment's concrete
specs, which :mod:`pipeline.specs.node` reads, each under a key::

    {"_meta": {"lockfile-version": 6}, "roots": [{"hash": KEY, "spec": …}], "concrete_specs": {KEY: {…}},
     "include_concrete": {PATH: {"roots": …, "concrete_specs": …}}}

Dependencies and roots are named by key. In version 1 it is the hash, which the node itself does not have;
in versions 2 and 3 it is the build hash, and what caches know the spec by is the node's own ``hash``; from
version 4 on the two are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import NamedTuple

import msgspec

from pipeline.errors import Fault, FileFaultsError
from pipeline.expected.lists import Expected, ExpectedList
from pipeline.io.progress import number_of
from pipeline.spack.compilers import compiler_family
from pipeline.spack.spec import AskedCompiler, Query
from pipeline.spack.variants import parse_variant
from pipeline.spack.versions import parse_versions, split_ref
from pipeline.specs.check import normalise_compiler
from pipeline.specs.node import ConcreteSpec, Dependency, Node, decode_node, explain, make_spec, resolve_dependencies

LOCK_VERSIONS = ("1", "2", "3", "4", "5", "6", "7", "8")
"""The versions of Spack's lock files that are known here."""
_KEYED_OTHERWISE = ("1", "2", "3")
"""Those whose keys are not the hashes of their nodes."""
_NEEDED = {"link", "run"}
"""Kinds of dependencies without which a binary does not work."""


class _Meta(msgspec.Struct):
    version: int | str | None = msgspec.field(name="lockfile-version", default=None)


class _Root(msgspec.Struct):
    hash: str


class _Part(msgspec.Struct, kw_only=True):
    """A lock file's own specs, or those of an environment that it includes (Spack 0.22)."""

    roots: list[_Root] | None = None
    concrete_specs: dict[str, msgspec.Raw] = {}
    include_concrete: dict[str, _Part] | None = None


class _Lock(_Part, kw_only=True):
    concrete_specs: dict[str, msgspec.Raw]
    meta: _Meta | None = msgspec.field(name="_meta", default=None)


class _Held(NamedTuple):
    """A node of a lock file: where it stands, and the keys of what it depends on, each with what for."""

    place: str
    node: Node
    hash: str
    edges: list[tuple[str, Dependency]]


_LOCK = msgspec.json.Decoder(_Lock)


def parse_lock(text: str, name: str, with_build: bool = False) -> ExpectedList:
    """What a ``spack.lock`` expects: what its roots, and those of the environments that it includes, link and run with.

    ``with_build`` adds what builds those in turn. An external is taken as it is, and nothing that it needs is expected.
    The specs that others are spliced from, and what only these depend on, are not expected, either.

    Raises:
        FileFaultsError: it is no lock file, or of a version that is not known.
    """
    lock = _decode_lock(text, name)
    held, faults = _read_nodes(lock, name)
    if faults:
        raise FileFaultsError(faults)
    notes = []
    if lock.meta is None or lock.meta.version is None:
        notes.append(f"{name}: has no lockfile-version; its specs are looked for by their own hash")
    named = {key for one in held.values() for key, _ in one.edges}
    named |= {one.node.find_build_spec() or "" for one in held.values()}
    starts = list(_list_roots(lock, held, named))
    reached = _reach(held, starts)
    expected = _expect(held, reached, starts, {*_NEEDED, "build"} if with_build else _NEEDED)
    roots = {held[root.hash].hash for root in lock.roots or () if root.hash in held}
    dependents = Counter(
        hash for one in expected for hash in {held[key].hash for key, _ in reached[one].edges} & expected
    )
    nodes = {key: one.node for key, one in held.items()}
    versions = {one.hash: one.node.version for one in held.values()}
    items: list[Expected] = []
    aside: list[Expected] = []
    for hash, (place, node, _, edges) in reached.items():
        if node.external:
            continue
        try:
            query = make_query(make_spec(node, hash, resolve_dependencies(node, nodes), versions.get))
        except (Fault, ValueError) as error:
            faults.append(f"{name}: {place}: is no spec of a lock file: {error}")
            continue
        needs = {held[key].hash for key, edge in edges if _is_for(edge, _NEEDED)}
        item = Expected(
            text=f"{query.text} /{hash[:7]}",
            place=f"{name}: {place}",
            queries=(query,),
            hash=hash,
            root=hash in roots,
            dependents=dependents[hash],
            needs=tuple(sorted(needs)),
            builds_with=tuple(sorted({held[key].hash for key, _ in edges} - needs)),
            package_hash=node.package_hash,
            libc=_find_libc(held, edges),
        )
        (items if hash in expected else aside).append(item)
    if not items and not faults:
        faults.append(f"{name}: no spec is expected in it")
    if faults:
        raise FileFaultsError(faults)
    items.sort(key=lambda item: (not item.root, item.text))
    externals = len(reached) - len(items) - len(aside)
    if externals:
        notes.append(f"{name}: {externals} external specs are expected in no cache")
    if aside:
        notes.append(f"{name}: {number_of(len(aside), 'spec')} that nothing links or runs with: see --with-build")
    spliced = len({one.hash for one in held.values()} - reached.keys())
    if spliced:
        notes.append(f"{name}: {spliced} specs that are there only to splice others from are expected in no cache")
    return ExpectedList(items, notes, aside)


def _decode_lock(text: str, name: str) -> _Lock:
    try:
        lock = _LOCK.decode(text)
    except msgspec.ValidationError as error:
        raise FileFaultsError([f"{name}: is no spack.lock: {_say_where(explain(error, ''))}"]) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileFaultsError([f"{name}: is no JSON: {error}"]) from None
    version = lock.meta and lock.meta.version
    if version is not None and str(version) not in LOCK_VERSIONS:
        known = f"known are {LOCK_VERSIONS[0]} to {LOCK_VERSIONS[-1]}"
        raise FileFaultsError([f"{name}: _meta.lockfile-version: is {version!r}; {known}"])
    return lock


def _read_nodes(lock: _Lock, name: str) -> tuple[dict[str, _Held], list[str]]:
    """The nodes of a lock file by key, those of included environments too, and what is wrong with any."""
    version = str(lock.meta.version) if lock.meta and lock.meta.version is not None else None
    places: dict[str, str] = {}
    nodes: dict[str, Node] = {}
    faults = []
    for place, key, raw in _list_nodes(lock, ""):
        if key in places:
            continue
        places[key] = place
        try:
            node = decode_node(raw, "")
            if node.hash is None:
                node.hash = key
            if version is not None and version not in _KEYED_OTHERWISE and node.hash != key:
                raise Fault("hash", f"is {node.hash!r}, and not the key it stands under")
        except Fault as fault:
            faults.append(f"{name}: {place}: is no spec of a lock file: {_say_where(fault)}")
        else:
            nodes[key] = node
    # Spack's docs say that version 2 names dependencies by their hash, its own lock files name them by key.
    keys = {node.hash or key: key for key, node in reversed(nodes.items())} | {key: key for key in nodes}
    held = {}
    for key, node in nodes.items():
        edges = [(keys[one.hash], one) for one in node.list_dependencies() if one.hash in keys]
        held[key] = _Held(places[key], node, node.hash or key, edges)
    return held, faults


def _say_where(fault: Fault) -> str:
    return f"{fault.place}: {fault.reason}" if fault.place else fault.reason


def _list_nodes(part: _Part, place: str) -> Iterator[tuple[str, str, msgspec.Raw]]:
    """The place, key and node of each concrete spec, a lock file's own first."""
    for key, raw in part.concrete_specs.items():
        yield f"{place}concrete_specs.{key}", key, raw
    for path, included in (part.include_concrete or {}).items():
        yield from _list_nodes(included, f"{place}include_concrete.{path}.")


def _list_roots(part: _Part, held: Mapping[str, _Held], named: Set[str]) -> Iterator[str]:
    """The keys of the roots of a lock file, and of the environments that it includes, in all of their groups.

    A part without any has as its roots those of its specs that are not ``named`` by others.
    """
    keys = [root.hash for root in part.roots or () if root.hash in held]
    yield from keys or (key for key in part.concrete_specs if key not in named)
    for included in (part.include_concrete or {}).values():
        yield from _list_roots(included, held, named)


def _reach(held: Mapping[str, _Held], starts: Iterable[str]) -> dict[str, _Held]:
    """The nodes that an environment's specs are made of, by hash: all but what only build specs lead to.

    Before version 4 several nodes may share a hash; as in Spack the one counts that is reached first from the
    roots in their order (``Environment._read_lockfile_dict``).
    """
    reached: dict[str, _Held] = {}
    seen = set()
    waiting = [*starts][::-1]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            reached.setdefault(held[key].hash, held[key])
            waiting += [edge for edge, _ in held[key].edges[::-1]]
    return reached


def _expect(
    held: Mapping[str, _Held], reached: Mapping[str, _Held], starts: Iterable[str], kinds: Set[str]
) -> set[str]:
    """The hashes of what is no external, and is reached from ``starts`` by dependencies of ``kinds``."""
    expected: set[str] = set()
    waiting = [held[key].hash for key in starts]
    while waiting:
        hash = waiting.pop()
        if hash not in expected and not reached[hash].node.external:
            expected.add(hash)
            waiting += [held[key].hash for key, edge in reached[hash].edges if _is_for(edge, kinds)]
    return expected


def _is_for(edge: Dependency, kinds: Set[str]) -> bool:
    """Whether a dependency is of one of some ``kinds``; one that does not say what it is for may be of any."""
    return not edge.deptypes or not kinds.isdisjoint(edge.deptypes)


def _find_libc(held: Mapping[str, _Held], edges: Iterable[tuple[str, Dependency]]) -> str | None:
    libcs = [held[key].node for key, edge in edges if "libc" in edge.virtuals]
    return f"{libcs[0].name}@{libcs[0].version}" if libcs else None


def make_query(spec: ConcreteSpec) -> Query:
    """The query of exactly what a concrete spec is: what a user sees of it.

    Raises:
        ValueError: its version or a variant is spelt as none is.
    """
    exact = spec.version if split_ref(spec.version)[0] is not None else f"={spec.version}"
    return Query(
        text=f"{spec.package}@{spec.version}",
        package=spec.package,
        versions=parse_versions(exact),
        variants=tuple(parse_variant(text)._replace(exact=True, propagated=False) for text in spec.variants),
        compilers=tuple(_ask_compiler(spec.compiler)),
        platform=spec.platform,
        os=spec.os,
        target=spec.target,
        namespace=spec.namespace,
    )


def _ask_compiler(spelt: str) -> Iterator[AskedCompiler]:
    compiler, name, version = normalise_compiler(spelt)
    if version is not None:
        yield AskedCompiler(f"%{name}@={version}", compiler_family(name), parse_versions(f"={version}"))
    elif compiler != "none":
        yield AskedCompiler(f"%{name}", compiler_family(name))
