"""The queries of ``sql/``: views, table macros and checks, and what their files say of them.

A file opens with the name of its query and what that is; of a view or macro the first sentence is its
description, and an indented line names each parameter of a macro, with ``:= null`` where it may be left out.
A column is described by the comments beside it in the last select, or else by :data:`pipeline.schema.GLOSSARY`;
where that mentions NULL it may hold one.

What is the same for stack, compiler and target is one file, with ``axis`` in its name: it makes a query for each
of them, and with ``axis`` and ``other`` one for each two. Every file is a Jinja template; see :meth:`SqlQuery.render`.
What several queries have alike they include: a file of ``sql/parts/``, or a macro.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path

import jinja2

from pipeline.schema import AXES, GLOSSARY, MATRIX_COLUMNS, META_LISTS, SPEC_STACKS, Column, Relation

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FunctionLoader(lambda name: _read_part(name)),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
)
_USED = re.compile(r"\b(?:from|join)\s+(\w+)")
_COMMENT = re.compile(r"--.*")
_PARAMETER = re.compile(r"^--   (?P<name>\w+)(?P<optional> := null)?(?:: (?P<description>.*))?$", re.MULTILINE)

_FILLED = [column for column in SPEC_STACKS.columns if not column.nullable]
_OF_PLACE = ("snapshot", "hash", "stack", "source", "installable")
_SAME = [column for column in SPEC_STACKS.columns if column.name not in _OF_PLACE]
COLUMNS_OF_SPECS: Mapping[str, Sequence[str]] = {
    "filled": [column.name for column in _FILLED],
    "named": [column.name for column in _FILLED if column.type == "VARCHAR"],
    "said": [one.name for one in _SAME if one.name not in ("package", "size_bytes", "tarball_url")],
    "same": [f"cast({one.name} as varchar)" if one.type.startswith("MAP") else one.name for one in _SAME],
}
"""Of ``spec_stacks``: what is never NULL, what is no empty text either, what every place of a spec says
alike, and what a hash has alike in every stack."""


@dataclass(frozen=True)
class SqlQuery:
    """A view, macro or check: its name and file, and for which ``axis`` (and ``other``) where there are several."""

    name: str
    path: Path
    axis: str = ""
    other: str = ""

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def is_wide(self) -> bool:
        """Whether it needs to know which values of its axis have a column in the matrix."""
        return "in columns " in self.text or "columns | " in self.text

    @cached_property
    def parameters(self) -> tuple[Column, ...]:
        """Those of a macro."""
        return tuple(
            Column(found["name"], "VARCHAR", found["description"] or GLOSSARY[found["name"]], bool(found["optional"]))
            for found in _PARAMETER.finditer(self.text)
        )

    def render(self, columns: Iterable[tuple[str, str]] = (), arguments: Mapping[str, str] | None = None) -> str:
        """The SQL of the query.

        ``columns`` are value and name, as SQL, of each column of a matrix; ``arguments`` are SQL in place of the
        parameters, by default their own names. ``table`` has a row for each hash and value of the axis.
        """
        return _compile(self.text).render(
            **COLUMNS_OF_SPECS,
            axis=self.axis,
            other=self.other,
            table="spec_stacks" if self.axis == "stack" else "specs",
            columns=list(columns),
            axes=AXES,
            lists=META_LISTS,
            most_columns=MATRIX_COLUMNS,
            **(arguments or {one.name: one.name for one in self.parameters}),
        )

    def find_names(self) -> set[str]:
        """What the query reads: tables, views, and parts of itself."""
        return set(_USED.findall(_COMMENT.sub("", self.render())))

    @cached_property
    def rule(self) -> str:
        """What the head of the file says after the name, but for the parameters."""
        lines = self.render().splitlines()
        head = lines[: next(number for number, line in enumerate(lines) if not line.startswith("--"))]
        said = " ".join(line.removeprefix("-- ") for line in head if not _PARAMETER.match(line))
        return said.removeprefix(f"{self.name}: ")

    def describe(self) -> Relation:
        """The view or macro, but for the types of its columns."""
        sentence = self.rule.split(". ")[0].removesuffix(".")
        description = f"{sentence[0].upper()}{sentence[1:]}."
        columns = tuple(_find_columns(self.render()))
        return Relation(self.name, description, columns, self.axis if self.is_wide else None, self.parameters)


def _read_part(name: str) -> str | None:
    """What a query may include: a part of several, or a macro with the same parameters."""
    files = [sql_folder() / folder / name for folder in ("parts", "macros")]
    return next((file.read_text() for file in files if file.is_file()), None)


@cache
def _compile(text: str) -> jinja2.Template:
    return _TEMPLATES.from_string(text)


def _find_columns(query: str) -> Iterator[Column]:
    """The columns of the last select, which is the first that is not indented."""
    lines = iter(query.splitlines())
    for line in lines:
        if line.startswith("select"):
            break
    said: list[str] = []
    depth = 0
    for line in lines:
        if line.startswith("from "):
            return
        code, _, comment = line.partition("--")
        said += [comment.strip()] if comment else []
        depth += code.count("(") - code.count(")")
        if not depth and code.rstrip().endswith(","):
            name = re.findall(r"\w+", code)[-1]
            description = " ".join(said) or GLOSSARY[name]
            yield Column(name, "", description, nullable="NULL" in description)
            said = []


@cache
def sql_folder() -> Path:
    """``sql/`` beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).parents[1]
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


def list_files() -> list[Path]:
    """Every file of ``sql/``, in order."""
    return sorted(sql_folder().rglob("*.sql"))


@cache
def list_views() -> list[SqlQuery]:
    """The views in the order in which they are made, that of the numbers of their files."""
    return _list_queries("views")


@cache
def list_stored() -> Mapping[str, SqlQuery]:
    """What the DuckDB file has in place of the long table and of a view that brings it together, by name."""
    return {query.name: query for query in _list_queries("stored")}


@cache
def list_macros() -> list[SqlQuery]:
    """The table macros: views with parameters, asked as ``from usable_on('zen4')``."""
    return _list_queries("macros")


@cache
def list_checks() -> list[SqlQuery]:
    """The checks by name: queries that return the offenders."""
    return sorted(_list_queries("checks"), key=lambda query: query.name)


def _list_queries(folder: str) -> list[SqlQuery]:
    return [query for path in sorted((sql_folder() / folder).glob("*.sql")) for query in _expand(path)]


def _expand(path: Path) -> Iterator[SqlQuery]:
    """The queries that a file makes."""
    words = path.stem.lstrip("0123456789_").split("_")
    chosen: Iterable[tuple[str, str]] = [("", "")]
    if "axis" in words:
        chosen = combinations(AXES, 2) if "other" in words else [(axis, "") for axis in AXES]
    for axis, other in chosen:
        yield SqlQuery("_".join({"axis": axis, "other": other}.get(word, word) for word in words), path, axis, other)


def find_views(queries: Iterable[SqlQuery]) -> list[SqlQuery]:
    """The views that queries stand on, directly or by other views, in order."""
    used = {name for query in queries for name in query.find_names()}
    found = []
    for view in reversed(list_views()):
        if view.name in used:
            found.append(view)
            used |= view.find_names()
    return found[::-1]


@cache
def describe_views() -> list[Relation]:
    return [query.describe() for query in list_views()]


@cache
def describe_macros() -> list[Relation]:
    return [query.describe() for query in list_macros()]
