"""The data dictionary as Markdown, from the columns' one home."""

from __future__ import annotations

from pipeline.columns import TABLES, VIEWS, Column, Relation, describe_wide


def render_dictionary() -> str:
    """Every table and view with its columns, as the README shows it."""
    parts = ["### Tables", *map(render_relation, TABLES), "### Views", *map(render_relation, VIEWS)]
    return "\n\n".join(parts) + "\n"


def render_relation(relation: Relation) -> str:
    rows = [*map(render_column, relation.columns)]
    if relation.wide:
        rows.append(f"| *each {relation.wide}* | BIGINT | {describe_wide(relation.wide, f'*{relation.wide}*')} |")
    head = ["| column | type | what |", "| --- | --- | --- |"]
    return "\n".join([f"#### `{relation.name}`", relation.description, "", *head, *rows])


def render_column(column: Column) -> str:
    kind = column.type + (", may be NULL" if column.nullable else "")
    return f"| `{column.name}` | {escape(kind)} | {escape(column.description)} |"


def escape(text: str) -> str:
    return text.replace("|", "\\|")
