"""The queries of ``sql/`` in the SQL of other engines, by sqlglot (https://sqlglot.com).

What each reads are the warehouse's tables, by their names. A matrix has the columns that it has in this warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import QueryError
from pipeline.store.database import render
from pipeline.store.sqlfiles import SqlQuery, find_views, list_checks, list_macros, list_views

if TYPE_CHECKING:
    import duckdb

DIALECTS = ("spark", "trino", "athena")


class Asked(NamedTuple):
    """A query, and the SQL of the ``arguments`` that it is asked with, by the names of its parameters.

    Where ``arguments`` is None, parameters stay as markers, which Spark spells ``:name``.
    """

    query: SqlQuery
    arguments: Mapping[str, str] | None = None


def list_all() -> list[Asked]:
    """Every view, in the order in which they are made, every macro and every check."""
    return [Asked(query) for query in (*list_views(), *list_macros(), *list_checks())]


def find_asked(texts: Sequence[str]) -> list[Asked]:
    """What ``texts`` name, after the views that they stand on: names, or calls such as ``usable_on('zen4')``.

    Raises:
        QueryError: there is no such query, or the arguments are not its parameters.
    """
    asked = [_parse(text) for text in texts]
    named = [one.query for one in asked]
    behind = [Asked(view) for view in find_views(named) if view not in named]
    views = [one for one in asked if one.query in list_views()]
    made = sorted([*behind, *views], key=lambda one: list_views().index(one.query))
    return [*made, *(one for one in asked if one not in views)]


def _parse(text: str) -> Asked:
    import sqlglot
    from sqlglot import exp

    queries = {one.query.name: one.query for one in list_all()}
    try:
        call = sqlglot.parse_one(f"select * from {text}", read="duckdb").args["from_"].this.this
    except (sqlglot.ParseError, sqlglot.TokenError, AttributeError, KeyError):
        raise QueryError(f"{text!r} is not a name, nor a macro with its arguments") from None
    name = call.name if isinstance(call, exp.Expression) else ""
    if name not in queries:
        raise QueryError(f"{name or text}: there is no view, macro or check of this name")
    if not isinstance(call, exp.Func):
        return Asked(queries[name])
    parameters = [one.name for one in queries[name].parameters]
    given: dict[str, str] = {}
    for at, value in enumerate(call.expressions):
        by_name = isinstance(value, exp.PropertyEQ | exp.Kwarg)
        key = value.this.name if by_name else parameters[at] if at < len(parameters) else ""
        if key not in parameters or key in given:
            raise QueryError(f"{text}: its parameters are: {', '.join(parameters) or 'none'}")
        given[key] = (value.expression if by_name else value).sql(dialect="duckdb")
    missing = [one.name for one in queries[name].parameters if not one.nullable and one.name not in given]
    if missing:
        raise QueryError(f"{text}: without {', '.join(missing)}")
    return Asked(queries[name], {key: given.get(key, "null") for key in parameters})


def carry(connection: duckdb.DuckDBPyConnection, asked: Asked, dialect: str, pretty: bool = False) -> str:
    """The one statement of a query in a ``dialect``; that of a view makes the view.

    Raises:
        QueryError: sqlglot does not carry it.
    """
    import sqlglot
    from sqlglot import exp

    query = asked.query
    if query.parameters:
        markers = {one.name: f"${one.name}" for one in query.parameters}
        text = query.render(arguments=asked.arguments or markers)
    else:
        text = render(connection, query)
    try:
        tree: Any = sqlglot.parse_one(text, read="duckdb")
        if isinstance(tree, exp.Create):
            tree.set("replace", True)
            if dialect == "spark":
                tree.set("properties", exp.Properties(expressions=[exp.TemporaryProperty()]))
        # Comments are sqlglot's to place, and end up elsewhere.
        sql: str = tree.sql(dialect, pretty=pretty, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.UnsupportedError as error:
        raise QueryError(
            f"{query.name}: sqlglot does not carry it to {dialect}: {str(error).splitlines()[0]}"
        ) from None
    return sql
