"""Read what a cache is expected to hold by a ``spack.yaml``; pure functions.

The rules are those of Spack's page "Environments" and of its ``lib/spack/spack/environment/list.py``: a
definition may refer to those before it, ``$^name`` and ``$%name`` put the sigil before each of its specs, a
matrix is the product of its rows less what an ``exclude`` is satisfied by.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from pipeline.errors import FileFaultsError, SpecSyntaxError
from pipeline.expected.lists import Collector, ExpectedList, SpecText, parse_lenient, part_flags, part_nodes
from pipeline.spack.hosts import satisfies_target
from pipeline.spack.spec import AskedCompiler, Query
from pipeline.spack.variants import meets
from pipeline.spack.versions import VersionList
from pipeline.yamlfiles.values import compose

MOST_SPECS = 100_000
"""More specs than this are no list but a mistake in a matrix."""
DEEPEST = 20


@dataclass(frozen=True)
class Matrix:
    """The product of rows of specs and of matrices, less what ``exclude`` names."""

    rows: tuple[tuple[SpecText | Matrix, ...], ...]
    exclude: tuple[SpecText, ...]
    line: int
    sigil: str = ""


def parse_environment(text: str, name: str) -> ExpectedList:
    """What the specs of a ``spack.yaml`` are, definitions and matrices written out.

    Raises:
        FileFaultsError: it is no environment, or says something wrong; a line for each fault.
    """
    reader = Collector(name)
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
    definitions: dict[str, tuple[SpecText | Matrix, ...]] = {}
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


def _read_sequence(reader: Collector, node: yaml.Node | None, what: str) -> list[yaml.Node]:
    if node is None or _is_null(node):
        return []
    if not isinstance(node, yaml.SequenceNode):
        reader.refuse(_line(node), f"{what}: a list is expected")
        return []
    return list(node.value)


def _read_definition(reader: Collector, node: yaml.Node, definitions: dict[str, tuple[SpecText | Matrix, ...]]) -> None:
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
    reader: Collector,
    node: yaml.Node | None,
    definitions: Mapping[str, tuple[SpecText | Matrix, ...]],
    what: str,
    depth: int = 0,
) -> tuple[SpecText | Matrix, ...]:
    """A list of specs, references and matrices, its references resolved."""
    entries: list[SpecText | Matrix] = []
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
            entries.append(SpecText(item.value.strip(), _line(item)))
    return tuple(entries)


def _read_mapped(
    reader: Collector, node: yaml.Node, definitions: Mapping[str, tuple[SpecText | Matrix, ...]], depth: int
) -> list[SpecText | Matrix]:
    """What a mapping among specs stands for: a matrix, or a group of specs (Spack 1.2)."""
    keys = _read_mapping(node)
    entries: list[SpecText | Matrix] = []
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
                tuple(SpecText(str(one.value), _line(one)) for one in excluded),
                _line(node),
            )
        )
    elif not group:
        reader.refuse(_line(node), "a mapping among specs has a key 'matrix'")
    return entries


def _resolve(
    reader: Collector, node: yaml.Node, definitions: Mapping[str, tuple[SpecText | Matrix, ...]]
) -> list[SpecText | Matrix]:
    """The specs that ``$name``, ``$^name`` or ``$%name`` stands for."""
    sigil, name = re.fullmatch(r"\$([\^%]?)(.*)", node.value, re.DOTALL).groups()  # type: ignore[union-attr]
    if name not in definitions:
        reader.refuse(_line(node), f"{node.value}: no definition {name!r} stands before it")
        return []
    found: list[SpecText | Matrix] = []
    for entry in definitions[name]:
        if isinstance(entry, Matrix):
            found.append(Matrix(entry.rows, entry.exclude, entry.line, sigil) if sigil else entry)
        else:
            found.append(SpecText(sigil + entry.text, entry.line))
    return found


def _expand(reader: Collector, entry: SpecText | Matrix) -> list[list[SpecText]]:
    """The combinations of constraints that an entry stands for."""
    if isinstance(entry, SpecText):
        return [[entry]]
    rows: list[list[list[SpecText]]] = []
    for row in entry.rows:
        combinations: list[list[SpecText]] = []
        for cell in row:
            expanded = _expand(reader, cell)
            if isinstance(cell, Matrix):
                # As in Spack, what a matrix in a matrix gives is one constraint of the outer one.
                expanded = [
                    [SpecText(" ".join(one.text for one in combination), cell.line)] for combination in expanded
                ]
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
            constraints[0] = SpecText(entry.sigil + first.text, first.line)
        results.append(constraints)
    return results


def _is_excluded(reader: Collector, constraints: Sequence[SpecText], exclude: SpecText) -> bool:
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


def _read_nodes(reader: Collector, one: SpecText) -> list[Query] | None:
    node, dependencies = part_nodes(one.text)
    queries = []
    for text in (node, *dependencies):
        plain, _ = part_flags(text)
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
