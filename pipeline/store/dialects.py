"""The queries of ``sql/`` in the SQL of other engines, by sqlglot (https://sqlglot.com).

What each reads are the warehouse's tables, by their names. A matrix has the columns that it has in this warehouse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import NoQueryError, QueryError, suggest
from pipeline.store.database import render
from pipeline.store.sqlfiles import SqlQuery, find_views, list_checks, list_macros, list_views

if TYPE_CHECKING:
    import duckdb

DIALECTS = ("spark", "trino", "athena")
MOST_INLINED = 100
"""How often Spark may work out the steps of a query, each anew wherever it is read. Most queries have 40 at most,
and are worked out in seconds; lost has 300, and loss_heads_between more than 200,000."""


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
        NoQueryError: there is no such query, or the arguments are not its parameters.
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
        table: Any = sqlglot.parse_one(text, into=exp.Table, read="duckdb")
    except sqlglot.errors.SqlglotError:
        table = None
    if not isinstance(table, exp.Table) or table.parts != [table.this]:
        raise NoQueryError(f"{text!r} is not a name, nor a macro with its arguments")
    call = table.this
    name = call.name
    if name not in queries:
        raise NoQueryError(f"no view, macro or check {name or text!r}; {suggest(name, list(queries))}")
    if not isinstance(call, exp.Func):
        return Asked(queries[name])
    parameters = [one.name for one in queries[name].parameters]
    given: dict[str, str] = {}
    for at, value in enumerate(call.expressions):
        by_name = isinstance(value, exp.PropertyEQ | exp.Kwarg)
        key = value.this.name if by_name else parameters[at] if at < len(parameters) else ""
        if key not in parameters or key in given:
            raise NoQueryError(f"{text}: its parameters are: {', '.join(parameters) or 'none'}")
        given[key] = (value.expression if by_name else value).sql(dialect="duckdb")
    missing = [one.name for one in queries[name].parameters if not one.nullable and one.name not in given]
    if missing:
        raise NoQueryError(f"{text}: without {', '.join(missing)}")
    return Asked(queries[name], {key: given.get(key, "null") for key in parameters})


def carry(connection: duckdb.DuckDBPyConnection, asked: Asked, dialect: str, pretty: bool = False) -> list[str]:
    """The statements of a query in a ``dialect``; the last one of a view makes the view, of others it is the query.

    Spark works out a step of a query anew wherever that is read. Of a macro whose steps would be worked out more than
    :data:`MOST_INLINED` times, each step that is read more than once is made a table before it.

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
        # Of a key that a map does not have, and of a place after a list's end, DuckDB gives NULL.
        for one in tree.find_all(exp.Bracket):
            one.set("safe", True)
        trees = [tree]
        if isinstance(tree, exp.Create):
            tree.set("replace", True)
            if dialect == "spark":
                tree.set("properties", exp.Properties(expressions=[exp.TemporaryProperty()]))
        elif dialect == "spark":
            trees = _part(tree, query.name)
        if dialect != "spark":
            _name_types(connection, tree)
        # Comments are sqlglot's to place, and end up elsewhere.
        style: Any = {"pretty": pretty, "comments": False, "unsupported_level": sqlglot.ErrorLevel.RAISE}
        return [one.sql(dialect, **style) for one in trees]
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(
            f"{query.name}: sqlglot does not carry it to {dialect}: {str(error).splitlines()[0]}"
        ) from None


def _part(select: Any, name: str) -> list[Any]:
    """A query after the statements that make tables of its steps, where it is one of very many steps."""
    from sqlglot import exp

    bodies = dict(_flatten(select.copy(), name, {}))
    tables = {step: [table.name for table in body.find_all(exp.Table)] for step, body in bodies.items()}
    reads = {step: [name for name in names if name in bodies] for step, names in tables.items()}
    inlined = Counter({name: 1})
    for step in reversed(bodies):
        for read in reads[step]:
            inlined[read] += inlined[step]
    if inlined.total() <= MOST_INLINED:
        return [select]
    read_by = Counter(chain.from_iterable(reads.values()))

    def find_alone(step: str) -> list[str]:
        """The steps that it alone reads, and those that they alone do, in the order in which they are made."""
        return [one for read in reads[step] if read_by[read] == 1 for one in (*find_alone(read), read)]

    shared = [step for step in bodies if read_by[step] != 1]
    for step in shared:
        for one in find_alone(step):
            bodies[step].with_(one, as_=bodies[one], copy=False)
    return [*(one for step in shared[:-1] for one in _make_table(step, bodies[step])), bodies[name]]


def _make_table(name: str, select: Any) -> list[Any]:
    """Spark's statements that make a table of a query's rows, in place of one of the same name."""
    import sqlglot

    made = sqlglot.parse_one(f"create table {name} using parquet as select 1", read="spark")
    made.set("expression", select)
    return [sqlglot.parse_one(f"drop table if exists {name}", read="spark"), made]


def _flatten(select: Any, name: str, known: Mapping[str, str]) -> list[tuple[str, Any]]:
    """Every step of a query, also those of its steps, by name, in the order in which they are made; itself last.

    A step is named by its query, as ``lost__before``: two queries may have steps of one name. ``known`` are the new
    names of the steps around the query.
    """
    from sqlglot import exp

    known = dict(known)
    steps: list[tuple[str, Any]] = []
    for step in select.ctes:
        steps += _flatten(step.this, f"{name}__{step.alias}", known)
        known[step.alias] = f"{name}__{step.alias}"
    select.set("with_", None)
    for table in select.find_all(exp.Table):
        if table.name in known:
            table.replace(exp.to_table(known[table.name]).as_(table.alias_or_name, table=True))
    return [*steps, (name, select)]


def _name_types(connection: duckdb.DuckDBPyConnection, select: Any) -> None:
    """Annotate the fields of structs with their types, which Trino wants to be written out."""
    from sqlglot import exp
    from sqlglot.optimizer.annotate_types import annotate_types
    from sqlglot.optimizer.qualify import qualify

    structs = list(select.find_all(exp.Struct))
    if not structs:
        return
    schema: dict[str, Any] = {}
    columns = "select table_name, column_name, data_type from duckdb_columns() where not internal"
    for table, column, kind in connection.execute(columns).fetchall():
        schema.setdefault(table, {})[column] = kind
    qualified = qualify(select.copy(), schema=schema, dialect="duckdb", validate_qualify_columns=False)
    typed = annotate_types(qualified, schema=schema, dialect="duckdb")
    for struct, with_types in zip(structs, typed.find_all(exp.Struct), strict=True):
        for one, other in zip((struct, *struct.expressions), (with_types, *with_types.expressions), strict=True):
            one.type = other.type
