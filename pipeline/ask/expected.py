"""Read what a cache is expected to hold: a list of specs, a ``spack.yaml`` or a ``spack.lock``; pure functions.

The rules of ``spack.yaml`` are those of Spack's page "Environments" and of its
``lib/spack/spack/environment/list.py``: a definition may refer to those before it, ``$^name`` and
``$%name`` put the sigil before each of its specs, a matrix is the product of its rows less what an
``exclude`` is satisfied by. What cannot be told from a cache (dependencies after ``^``, compiler flags)
or without the machine in question (``when``) is left out of the question, and each time a note says so.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from pipeline.errors import FileFaultsError, SpecSyntaxError
from pipeline.spack.compilers import compiler_family
from pipeline.spack.hosts import satisfies_target
from pipeline.spack.syntax import LANGUAGES, AskedCompiler, Query, parse_spec
from pipeline.spack.variants import Variant, meets
from pipeline.spack.versions import VersionList, parse_versions, split_ref
from pipeline.yamlvalues import compose, read_text

MOST_SPECS = 100_000
"""More specs than this are no list but a mistake in a matrix."""
DEEPEST = 20

_FLAGS = ("cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs")
_QUOTED = r"""'[^']*'|"[^"]*\""""
_FLAG = re.compile(rf"(?<!\S)(?:{'|'.join(_FLAGS)})(?::?==?)(?:{_QUOTED}|\S*)\s*")
_PART = re.compile(rf"(?:{_QUOTED}|[^'\"^]|['\"])+|\^")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True)
class Expected:
    """One thing expected: a spec that meets every one of ``queries``, best the one of ``hash``.

    ``place`` is where the file says so. ``dependents`` counts the specs of the file that depend on it
    directly, None where the file has no dependencies.
    """

    text: str
    place: str
    queries: tuple[Query, ...]
    hash: str | None = None
    root: bool = True
    dependents: int | None = None

    @property
    def package(self) -> str | None:
        return next((query.package for query in self.queries if query.package), None)


@dataclass(frozen=True)
class ExpectedList:
    """What a file expects, in its order, each once; ``notes`` say what of it is not evaluated."""

    items: list[Expected]
    notes: list[str]


def read_expected(path: Path) -> ExpectedList:
    """What a file expects: by its name a ``.yaml``, a ``.lock`` or ``.json``, else a list, a spec to a line.

    Raises:
        FileFaultsError: the file says something wrong; each fault names file and line.
        OSError: it cannot be read.
    """
    name = str(path)
    text = read_text(path)
    if path.suffix in (".yaml", ".yml"):
        return parse_environment(text, name)
    if path.suffix in (".lock", ".json"):
        return parse_lock(text, name)
    return parse_list(text, name)


class Text(NamedTuple):
    """A spec as a file spells it, and its line."""

    text: str
    line: int


@dataclass(frozen=True)
class Matrix:
    """The product of rows of specs and of matrices, less what ``exclude`` names."""

    rows: tuple[tuple[Text | Matrix, ...], ...]
    exclude: tuple[Text, ...]
    line: int
    sigil: str = ""


@dataclass
class Reader:
    """What is collected while one file is read: faults, notes, and what specs turned out to be."""

    name: str
    toolchains: frozenset[str] = frozenset()
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        self.faults.append(f"{self.name}:{line}: {reason}")

    def note(self, line: int, reason: str) -> None:
        note = f"{self.name}:{line}: {reason}"
        if note not in self.notes:
            self.notes.append(note)

    def expect(self, constraints: Sequence[Text], line: int) -> Expected | None:
        """The one spec that is all of ``constraints``."""
        queries = [query for one in constraints if (query := self.read(one)) is not None]
        text = " ".join(one.text for one in constraints)
        named = {query.package for query in queries if query.package}
        if len(named) > 1:
            self.refuse(line, f"{text!r} names several packages: {', '.join(sorted(named))}")
        elif not named and not any(query.hash for query in queries):
            if not self.faults:
                self.refuse(line, f"{text!r} names no package")
        else:
            return Expected(text, f"{self.name}:{line}", tuple(queries))
        return None

    def read(self, one: Text) -> Query | None:
        """The query of one spec without what cannot be answered; None where nothing is left, or it is wrong."""
        node, dependencies = part_nodes(one.text)
        plain, flags = _FLAG.sub("", node).strip(), _FLAG.findall(node)
        for aside in (*(f"^{dependency}" for dependency in dependencies), *map(str.strip, flags)):
            self.note(one.line, f"not evaluated: {aside}")
        if not plain:
            return None
        try:
            query, old = parse_lenient(plain)
        except SpecSyntaxError as error:
            self.refuse(one.line, str(error))
            return None
        if old:
            self.note(one.line, f"read as before Spack 1.0, all but the compiler asked of the package: {plain}")
        kept = []
        for compiler in query.compilers:
            if compiler.family in self.toolchains:
                self.note(one.line, f"not evaluated: the toolchain {compiler.text}")
            else:
                kept.append(compiler)
        return replace(query, compilers=tuple(kept))

    def finish(self, items: Iterable[Expected]) -> ExpectedList:
        """The list, each text once.

        Raises:
            FileFaultsError: there were faults, or nothing is expected.
        """
        found = {item.text: item for item in reversed(list(items))}
        if not found and not self.faults:
            self.faults.append(f"{self.name}: no spec is expected in it")
        if self.faults:
            raise FileFaultsError(list(dict.fromkeys(self.faults)))
        return ExpectedList(list(reversed(found.values())), self.notes)


def parse_lenient(text: str) -> tuple[Query, bool]:
    """The query of a spec, and whether it could be read only as before Spack 1.0: many an environment is that old.

    Raises:
        SpecSyntaxError: with the place and the reason.
    """
    try:
        return parse_spec(text), False
    except SpecSyntaxError as error:
        try:
            return parse_spec(text, old=True), True
        except SpecSyntaxError:
            raise error from None


def part_nodes(text: str) -> tuple[str, list[str]]:
    """A spec's own text, and that of each dependency after a ``^`` outside quotes."""
    nodes = [""]
    for part in _PART.findall(text):
        if part == "^":
            nodes.append("")
        else:
            nodes[-1] += part
    return nodes[0].strip(), [node.strip() for node in nodes[1:]]


def parse_list(text: str, name: str) -> ExpectedList:
    """What a list expects: a spec to a line; what follows a ``#`` is a comment."""
    reader = Reader(name)
    items = []
    for number, line in enumerate(text.splitlines(), 1):
        spec = _COMMENT.sub("", line).strip()
        if spec and (item := reader.expect([Text(spec, number)], number)) is not None:
            items.append(item)
    return reader.finish(items)


# spack.yaml


def parse_environment(text: str, name: str) -> ExpectedList:
    """What the specs of a ``spack.yaml`` are, definitions and matrices written out."""
    reader = Reader(name)
    root = compose(text, name)
    top = _read_mapping(root)
    environment = top.get("spack") or top.get("env")
    if environment is None:
        raise FileFaultsError([f"{name}: is no spack.yaml: it has no key 'spack'"])
    keys = _read_mapping(environment)
    reader.toolchains = frozenset(_read_mapping(keys.get("toolchains")))
    for key in ("include", "include_concrete", "packages"):
        if key in keys:
            reader.note(_line(keys[key]), f"not evaluated: what {key}: adds to the specs")
    definitions: dict[str, tuple[Text | Matrix, ...]] = {}
    for node in _read_sequence(reader, keys.get("definitions"), "definitions"):
        _read_definition(reader, node, definitions)
    entries = _read_specs(reader, keys.get("specs"), definitions, "specs")
    items = []
    for entry in entries:
        for combination in _expand(reader, entry):
            item = reader.expect(combination, entry.line)
            if item is not None:
                items.append(item)
    return reader.finish(items)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _read_mapping(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """The keys of a mapping; Spack's ``key::`` (which overrides instead of adding) is ``key``."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value).rstrip(":"): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _is_null(node: yaml.Node | None) -> bool:
    return node is None or node.tag == "tag:yaml.org,2002:null"


def _read_sequence(reader: Reader, node: yaml.Node | None, what: str) -> list[yaml.Node]:
    if node is None or _is_null(node):
        return []
    if not isinstance(node, yaml.SequenceNode):
        reader.refuse(_line(node), f"{what}: a list is expected")
        return []
    return list(node.value)


def _read_definition(reader: Reader, node: yaml.Node, definitions: dict[str, tuple[Text | Matrix, ...]]) -> None:
    """Add one entry of ``definitions`` to those before it."""
    keys = _read_mapping(node)
    when = keys.pop("when", None)
    if len(keys) != 1:
        names = ", ".join(keys) or "none"
        reader.refuse(_line(node), f"a definition has one name and perhaps a 'when', not: {names}")
        return
    ((name, value),) = keys.items()
    if when is not None:
        reader.note(_line(when), f"not evaluated: when: {when.value}; the specs of {name!r} below it are expected")
    entries = _read_specs(reader, value, definitions, name)
    definitions[name] = definitions.get(name, ()) + entries


def _read_specs(
    reader: Reader,
    node: yaml.Node | None,
    definitions: Mapping[str, tuple[Text | Matrix, ...]],
    what: str,
    depth: int = 0,
) -> tuple[Text | Matrix, ...]:
    """A list of specs, references and matrices, its references resolved."""
    entries: list[Text | Matrix] = []
    if depth > DEEPEST and node is not None:
        reader.refuse(_line(node), f"{what}: lists stand in each other too deeply")
        return ()
    for item in _read_sequence(reader, node, what):
        if isinstance(item, yaml.MappingNode):
            entries += _read_mapped(reader, item, definitions, depth)
        elif _is_null(item):
            continue
        elif not isinstance(item, yaml.ScalarNode):
            reader.refuse(_line(item), f"{what}: a spec or a matrix is expected")
        elif item.value.startswith("$"):
            entries += _resolve(reader, item, definitions)
        else:
            entries.append(Text(item.value.strip(), _line(item)))
    return tuple(entries)


def _read_mapped(
    reader: Reader, node: yaml.Node, definitions: Mapping[str, tuple[Text | Matrix, ...]], depth: int
) -> list[Text | Matrix]:
    """What a mapping among specs stands for: a matrix, or a group of specs (Spack 1.2)."""
    keys = _read_mapping(node)
    entries: list[Text | Matrix] = []
    group = {"group", "specs", "needs", "explicit", "override"} if "group" in keys or "specs" in keys else set()
    for key, value in keys.items():
        if key not in {"matrix", "exclude"} | group:
            reader.refuse(_line(value), f"{key!r} is no key of a matrix: there are matrix and exclude")
        elif key == "override":
            reader.note(_line(value), "not evaluated: override")
    if "specs" in keys:
        entries += _read_specs(reader, keys["specs"], definitions, "specs", depth + 1)
    if "matrix" in keys:
        rows = _read_sequence(reader, keys["matrix"], "matrix")
        excluded = _read_sequence(reader, keys.get("exclude"), "exclude")
        entries.append(
            Matrix(
                tuple(_read_specs(reader, row, definitions, "matrix", depth + 1) for row in rows),
                tuple(Text(str(one.value), _line(one)) for one in excluded),
                _line(node),
            )
        )
    elif not group:
        reader.refuse(_line(node), "a mapping among specs has a key 'matrix'")
    return entries


def _resolve(
    reader: Reader, node: yaml.Node, definitions: Mapping[str, tuple[Text | Matrix, ...]]
) -> list[Text | Matrix]:
    """The specs that ``$name``, ``$^name`` or ``$%name`` stands for."""
    sigil, name = re.fullmatch(r"\$([\^%]?)(.*)", node.value, re.DOTALL).groups()  # type: ignore[union-attr]
    if name not in definitions:
        reader.refuse(_line(node), f"{node.value}: no definition {name!r} stands before it")
        return []
    found: list[Text | Matrix] = []
    for entry in definitions[name]:
        if isinstance(entry, Matrix):
            found.append(Matrix(entry.rows, entry.exclude, entry.line, sigil) if sigil else entry)
        else:
            found.append(Text(sigil + entry.text, entry.line))
    return found


def _expand(reader: Reader, entry: Text | Matrix) -> list[list[Text]]:
    """The combinations of constraints that an entry stands for."""
    if isinstance(entry, Text):
        return [[entry]]
    rows: list[list[list[Text]]] = []
    for row in entry.rows:
        combinations: list[list[Text]] = []
        for cell in row:
            expanded = _expand(reader, cell)
            if isinstance(cell, Matrix):
                # As in Spack, what a matrix in a matrix gives is one constraint of the outer one.
                expanded = [[Text(" ".join(one.text for one in combination), cell.line)] for combination in expanded]
            combinations += expanded
        rows.append(combinations)
    if not rows:
        return []
    if math.prod(map(len, rows)) > MOST_SPECS:
        reader.refuse(entry.line, f"the matrix has more than {MOST_SPECS:,} specs")
        return []
    results = []
    for combination in itertools.product(*rows):
        constraints = [one for part in combination for one in part]
        if any(_is_excluded(reader, constraints, one) for one in entry.exclude):
            continue
        if entry.sigil:
            first = constraints[0]
            constraints[0] = Text(entry.sigil + first.text, first.line)
        results.append(constraints)
    return results


def _is_excluded(reader: Reader, constraints: Sequence[Text], exclude: Text) -> bool:
    """Whether a combination satisfies an ``exclude``, its dependencies included."""
    asked = _read_nodes(reader, exclude)
    given = [_read_nodes(reader, one) for one in constraints]
    if asked is None or any(nodes is None for nodes in given):
        return False
    roots = [nodes[0] for nodes in given if nodes]
    dependencies = [[node] for nodes in given if nodes for node in nodes[1:]]
    return entails(roots, asked[0]) and all(
        any(entails(dependency, one) for dependency in dependencies) for one in asked[1:]
    )


def _read_nodes(reader: Reader, one: Text) -> list[Query] | None:
    node, dependencies = part_nodes(one.text)
    queries = []
    for text in (node, *dependencies):
        plain = _FLAG.sub("", text).strip()
        try:
            queries.append(parse_lenient(plain)[0] if plain else Query(""))
        except SpecSyntaxError as error:
            reader.refuse(one.line, str(error))
            return None
    return queries


def entails(given: Sequence[Query], asked: Query) -> bool:
    """Whether every spec that meets all of ``given`` surely meets ``asked`` (``Spec.satisfies`` of abstract specs)."""

    def some(name: str) -> bool:
        value = getattr(asked, name)
        return value is None or any(getattr(one, name) == value for one in given)

    def reaches(target: str) -> bool:
        held = [one.target for one in given if one.target]
        return any(one == target or (not set(one) & set(":,") and satisfies_target(one, target)) for one in held)

    return (
        all(map(some, ("package", "namespace", "platform", "os")))
        and (asked.hash is None or any((one.hash or "").startswith(asked.hash) for one in given))
        and (asked.target is None or reaches(asked.target))
        and (asked.versions is None or any(_is_within(one.versions, asked.versions) for one in given))
        and all(
            any(found.name == variant.name and meets(variant, found) for one in given for found in one.variants)
            for variant in asked.variants
        )
        and all(
            any(_is_such(found, compiler) for one in given for found in one.compilers) for compiler in asked.compilers
        )
    )


def _is_within(inner: VersionList | None, outer: VersionList) -> bool:
    return inner is not None and all(
        any(
            wide.low <= part.low and part.high <= wide.high and (wide.ref is None or wide.ref == part.ref)
            for wide in outer.ranges
        )
        for part in inner.ranges
    )


def _is_such(found: AskedCompiler, asked: AskedCompiler) -> bool:
    return (
        found.family == asked.family
        and set(asked.languages) <= set(found.languages)
        and (asked.versions is None or _is_within(found.versions, asked.versions))
    )


# spack.lock


def parse_lock(text: str, name: str) -> ExpectedList:
    """What a ``spack.lock`` expects: each of its concrete specs that is no external.

    Raises:
        FileFaultsError: it is no lock file.
    """
    try:
        lock = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise FileFaultsError([f"{name}: is no JSON: {error}"]) from None
    if not isinstance(lock, dict) or not isinstance(lock.get("concrete_specs"), dict):
        raise FileFaultsError([f"{name}: is no spack.lock: it has no concrete_specs"])
    try:
        nodes = _collect_nodes(lock)
        roots = {root["hash"] for root in lock.get("roots") or []}
        dependents = Counter(hash for node in nodes.values() for hash in {edge.hash for edge in _read_edges(node)})
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFaultsError([f"{name}: is no spack.lock: {error!r}"]) from None
    items, faults, externals = [], [], 0
    for hash, node in nodes.items():
        try:
            if node.get("external"):
                externals += 1
                continue
            query = _read_node(node, nodes)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            faults.append(f"{name}: concrete_specs.{hash}: is no spec of a lock file: {error!r}")
            continue
        items.append(
            Expected(
                text=f"{query.text} /{hash[:7]}",
                place=f"{name}: concrete_specs.{hash}",
                queries=(query,),
                hash=hash,
                root=hash in roots,
                dependents=dependents[hash],
            )
        )
    if not items and not faults:
        faults.append(f"{name}: no spec is expected in it")
    if faults:
        raise FileFaultsError(faults)
    items.sort(key=lambda item: (not item.root, item.text))
    return ExpectedList(items, [f"{name}: {externals} external specs are expected in no cache"] if externals else [])


class _Edge(NamedTuple):
    hash: str
    virtuals: tuple[str, ...]


def _collect_nodes(lock: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The concrete specs by hash, those of included environments too."""
    nodes: dict[str, dict[str, Any]] = {}
    included = lock.get("include_concrete")
    for part in (lock, *(included.values() if isinstance(included, dict) else ())):
        for hash, node in part.get("concrete_specs", {}).items():
            if isinstance(node, dict) and "name" not in node and len(node) == 1:
                # Before version 4 of the format: {hash: {name: the rest}}.
                ((name, rest),) = node.items()
                node = {"name": name, **rest} if isinstance(rest, dict) else node
            nodes.setdefault(hash, node if isinstance(node, dict) else {})
    return nodes


def _read_edges(node: Mapping[str, Any]) -> list[_Edge]:
    edges = node.get("dependencies") or []
    listed = edges.values() if isinstance(edges, dict) else edges
    return [
        _Edge(edge["hash"], tuple((edge.get("parameters") or {}).get("virtuals") or ()))
        for edge in listed
        if isinstance(edge, dict) and "hash" in edge
    ]


def _read_node(node: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> Query:
    """The query of exactly what a concrete spec is: what a user sees of it."""
    name, version, arch = str(node["name"]), str(node["version"]), node["arch"]
    target = arch["target"] if isinstance(arch["target"], str) else arch["target"]["name"]
    for part in (arch["platform"], arch["platform_os"], target):
        if not isinstance(part, str):
            raise TypeError(f"{part!r} in its arch is no text")
    return Query(
        text=f"{name}@{version}",
        package=name,
        versions=parse_versions(version if split_ref(version)[0] is not None else f"={version}"),
        variants=tuple(_read_parameters(node.get("parameters") or {})),
        compilers=tuple(_read_compiler(node, nodes)),
        platform=arch["platform"],
        os=arch["platform_os"],
        target=target,
    )


def _read_parameters(parameters: Mapping[str, Any]) -> Iterable[Variant]:
    for name, value in parameters.items():
        if name in _FLAGS:
            continue
        if isinstance(value, bool):
            yield Variant(name, frozenset({str(value)}), True, False, f"{'+' if value else '~'}{name}")
        else:
            values = [str(one) for one in value] if isinstance(value, list) else str(value).split(",")
            yield Variant(name, frozenset(values), True, False, f"{name}={','.join(values)}")


def _read_compiler(node: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> Iterable[AskedCompiler]:
    """The compiler: told by itself (before Spack 1.0), or the first dependency that provides C, C++ or Fortran."""
    compiler = node.get("compiler")
    if compiler is None:
        edges = _read_edges(node)
        for language in LANGUAGES:
            compiler = compiler or next((nodes.get(edge.hash) for edge in edges if language in edge.virtuals), None)
    if compiler:
        name, version = str(compiler["name"]), str(compiler["version"])
        text = f"%{name}@={version}"
        yield AskedCompiler(text, compiler_family(name), parse_versions(f"={version}"))
