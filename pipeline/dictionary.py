"""The data dictionary as Markdown, from the columns' one home."""

from __future__ import annotations

from pipeline.schema import DERIVED_TABLES, MACROS, TABLES, VIEWS, Column, Relation, describe_wide


def render_dictionary() -> str:
    """Every table, view and macro with its columns, as the README shows it."""
    sections = {
        "### Tables": TABLES,
        "### Views": VIEWS,
        "### Table macros: views with parameters": MACROS,
        "### Tables of Spack's rules": DERIVED_TABLES,
    }
    parts = [part for title, relations in sections.items() for part in (title, *map(render_relation, relations))]
    return "\n\n".join(parts) + "\n"


def render_relation(relation: Relation) -> str:
    rows = [*map(render_column, relation.columns)]
    if relation.wide:
        rows.append(f"| *each {relation.wide}* | BIGINT | {describe_wide(relation.wide, f'*{relation.wide}*')} |")
    name = f"#### `{relation.name}`"
    if relation.parameters:
        name = f"#### `{relation.name}({', '.join(map(spell_parameter, relation.parameters))})`"
        rows += [render_parameter(parameter) for parameter in relation.parameters]
    head = ["| column | type | what |", "| --- | --- | --- |"]
    return "\n".join([name, relation.description, "", *head, *rows])


def render_column(column: Column) -> str:
    kind = column.type + (", may be NULL" if column.nullable else "")
    return f"| `{column.name}` | {escape(kind)} | {escape(column.description)} |"


def spell_parameter(parameter: Column) -> str:
    return f"{parameter.name} := null" if parameter.nullable else parameter.name


def render_parameter(parameter: Column) -> str:
    kind = f"{parameter.type}, may be left out" if parameter.nullable else parameter.type
    return f"| parameter `{parameter.name}` | {escape(kind)} | {escape(parameter.description)} |"


def escape(text: str) -> str:
    return text.replace("|", "\\|")
