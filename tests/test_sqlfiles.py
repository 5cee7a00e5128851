"""The SQL files, and which views a query stands on."""

from pipeline import sqlfiles


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_views_behind_a_query_are_found_through_other_views(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlfiles, "sql_folder", lambda: tmp_path)
    write(tmp_path, "010_ground.sql", "-- ground: as in from unused\ncreate view ground as\nselect t.a from t;")
    write(tmp_path, "020_unused.sql", "create view unused as select t.ground from t;")
    write(tmp_path, "030_upper.sql", "create view upper as\nwith part as (select g.a from ground as g)\nfrom part;")
    check = write(tmp_path, "checks/all.sql", "select t.a from t\ninner join\n    upper on true;")

    assert [sqlfiles.view_name(file) for file in sqlfiles.find_views([check])] == ["ground", "upper"]
    assert sqlfiles.find_views([]) == []


def test_the_views_that_the_checks_are_named_after_are_behind_them():
    found = {sqlfiles.view_name(file) for file in sqlfiles.find_views(sqlfiles.check_files())}
    named = {file.stem.removesuffix("_totals").removesuffix("_in_range") for file in sqlfiles.check_files()}

    assert found >= named & {sqlfiles.view_name(file) for file in sqlfiles.view_files()}
    assert "specs" in found
    assert "survival" not in found
