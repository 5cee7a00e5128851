"""The files of ``sql/``: the queries that they make, what they say of them, and which views a query stands on."""

import subprocess
import sys

import pytest

from pipeline.schema import GLOSSARY, META_LISTS, SPEC_STACKS, Column
from pipeline.store import sqlfiles
from pipeline.store.sqlfiles import (
    describe_macros,
    describe_views,
    find_views,
    list_checks,
    list_files,
    list_macros,
    list_stored,
    list_views,
    sql_folder,
)

CACHED = (list_views, list_macros, list_checks)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder in place of ``sql/``."""
    monkeypatch.setattr(sqlfiles, "sql_folder", lambda: tmp_path)
    for one in CACHED:
        one.cache_clear()
    yield tmp_path
    for one in CACHED:
        one.cache_clear()


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_the_views_behind_a_query_are_found_through_other_views(folder):
    write(folder, "views/010_ground.sql", "-- ground: as in from unused\ncreate view ground as\nselect t.a from t;")
    write(folder, "views/020_unused.sql", "create view unused as select t.ground from t;")
    write(folder, "views/030_upper.sql", "create view upper as\nwith part as (select g.a from ground as g)\nfrom part;")
    write(folder, "checks/all.sql", "select t.a, -- not from unused\nfrom t\ninner join\n    upper on true;")

    assert [view.name for view in find_views(list_checks())] == ["ground", "upper"]
    assert find_views([]) == []


def test_the_views_that_the_checks_are_named_after_are_behind_them():
    found = {view.name for view in find_views(list_checks())}
    named = {check.name.removesuffix("_totals").removesuffix("_in_range") for check in list_checks()}

    assert found >= named & {view.name for view in list_views()}
    assert "specs" in found
    assert "survival" not in found


def test_a_file_of_an_axis_makes_a_query_for_each(folder):
    write(folder, "views/020_share_by_axis.sql", "{{ axis }} of {{ table }}")
    write(folder, "views/010_axis_by_other.sql", "{{ axis }} and {{ other }} of {{ table }}")

    assert {view.name: view.render() for view in list_views()} == {
        "stack_by_compiler": "stack and compiler of spec_stacks",
        "stack_by_target": "stack and target of spec_stacks",
        "compiler_by_target": "compiler and target of specs",
        "share_by_stack": "stack of spec_stacks",
        "share_by_compiler": "compiler of specs",
        "share_by_target": "target of specs",
    }


def test_a_view_is_described_by_its_file(folder):
    text = """\
-- held: what is held: a row per
-- package. Not described by this. See other.
create view held as
with first as (
    select
        wrong,  -- not this
    from pages
)

select
    package,
    -- one that
    -- may be NULL
    max(
        greatest(a, b),
        1
    ) as most,
    first.stack,  -- beside it
from first
union all
select
    other,
from pages;
"""
    write(folder, "views/010_held.sql", text)
    (held,) = [view.describe() for view in list_views()]

    assert (held.name, held.description, held.wide) == ("held", "What is held: a row per package.", None)
    assert held.columns == (
        Column("package", "", GLOSSARY["package"]),
        Column("most", "", "one that may be NULL", nullable=True),
        Column("stack", "", "beside it"),
    )


def test_the_parameters_of_a_macro_stand_in_its_head(folder):
    text = "-- of: some. More.\n--   to_snapshot\n--   name := null: what: it is\nselect\n    hash,\nfrom {{ name }};"
    write(folder, "macros/of.sql", text)
    (macro,) = list_macros()

    assert macro.parameters == (
        Column("to_snapshot", "VARCHAR", GLOSSARY["to_snapshot"]),
        Column("name", "VARCHAR", "what: it is", nullable=True),
    )
    assert macro.rule == "some. More."
    assert macro.render(arguments={"name": "pages"}).endswith("from pages;")


def test_a_column_that_nothing_describes_is_an_error(folder):
    write(folder, "views/010_odd.sql", "-- odd: some.\ncreate view odd as\nselect\n    unheard_of,\nfrom pages;")

    with pytest.raises(KeyError, match="unheard_of"):
        list_views()[0].describe()


def test_every_file_makes_a_query():
    queries = [*list_views(), *list_macros(), *list_checks(), *list_stored().values()]
    made = {query.path for query in queries}
    parts = set((sql_folder() / "parts").glob("*.sql"))

    assert made | parts == set(list_files()) == set(sql_folder().rglob("[!.]*.*"))
    texts = [query.text for query in queries] + [part.read_text() for part in parts]
    for part in parts:
        assert any(f"include '{part.name}'" in text for text in texts)


def test_the_glossary_has_no_word_that_nothing_uses():
    used = {name for relation in (*describe_views(), *describe_macros()) for name in relation.names}
    used |= {one.name for macro in list_macros() for one in macro.parameters}

    assert set(GLOSSARY) - used == set()


def test_templates_know_the_tables():
    (check,) = [check for check in list_checks() if check.name == "no_nulls"]

    assert all(f" {one.name} is null" in check.render() for one in SPEC_STACKS.columns if not one.nullable)
    assert not any(f" {one.name} is null" in check.render() for one in SPEC_STACKS.columns if one.nullable)
    (view,) = [view for view in list_views() if view.name == "meta_mismatches"]
    assert all(f"pages.meta_{name} as" in view.render() for name in META_LISTS)


def test_help_reads_no_sql():
    code = "import sys, pipeline.cli; sys.exit('pipeline.store.sqlfiles' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
