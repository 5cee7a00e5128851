"""What the command publish writes, held against what it was made of and by those who made the formats."""

import hashlib
import io
import json
import re
import shutil

import duckdb
import frictionless
import jsonschema
import msgspec
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.build import build
from pipeline.catalog import publish, tables
from pipeline.catalog.folder import read_manifest
from pipeline.catalog.promise import PROMISES, SCHEMA, describe_schema, keep_promise, list_tables, read_promises
from pipeline.catalog.publish import Wish, publish_data
from pipeline.layout import Layout
from pipeline.schema import AXES
from pipeline.store.database import open_database
from tests.commands import run
from tests.makers import ask, build_pages, make_spec, write_pages
from tests.promise import encode_promise
from tests.servers import serve, serve_folder
from tests.sites import CACHES, write_site_sources

BASE_URL = "https://data.example.org/spack"
ODD = "o'dd snapshot/é%20"


@pytest.fixture(scope="module")
def published(build_once):
    """A warehouse of caches and pages, with odd names and rejects, and what is published of it; not to be changed."""

    def make(folder):
        pages = write_pages(folder / "pages", {(ODD, "hdf5"): [make_spec(90), make_spec(91, hash="bad")]})
        build([write_site_sources(folder / "source"), pages], folder / "warehouse", jobs=1)
        wish = Wish(base_url=BASE_URL, licence="CC-BY-4.0")
        publish_data(Layout(folder / "warehouse"), folder / "out", wish)

    return build_once("publication", make)


@pytest.fixture
def copy(published, tmp_path):
    """A copy of what is published, to be harmed."""
    return shutil.copytree(published / "out", tmp_path / "out")


def list_all(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_json(path):
    return json.loads(path.read_bytes())


@pytest.mark.slow
def test_each_table_loads_into_an_empty_duckdb_by_the_published_schema(published):
    data = published / "out" / "data"
    package = read_json(data / "datapackage.json")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{published / 'warehouse' / 'warehouse.duckdb'}' as warehouse (read_only)")
        connection.execute((data / "schemas" / "v1" / "tables.sql").read_text())
        for resource in package["resources"]:
            path = str(data / resource["path"]).replace("'", "''")
            connection.execute(
                f"insert into {resource['table']} by name from read_parquet('{path}', hive_partitioning = false)"
            )
        held = {one["table"] for one in package["resources"]}
        for table in held:
            ways = (
                f"from {table} except all from warehouse.{table}",
                f"from warehouse.{table} except all from {table}",
            )
            assert [connection.execute(f"select count(*) from ({way})").fetchall() for way in ways] == [[(0,)], [(0,)]]
        assert held == set(list_tables())
        described = connection.execute("select count(*) from duckdb_columns() where not internal and comment is null")
        assert described.fetchall() == [(0,)]


def test_polars_pyarrow_and_pandas_read_every_file(published):
    data = published / "out" / "data"
    for resource in read_json(data / "datapackage.json")["resources"]:
        path, rows = data / resource["path"], resource["rows"]
        names = [one["name"] for one in read_json(data / resource["schema"])["fields"]]
        assert pl.read_parquet(path, hive_partitioning=False).columns == names
        assert pq.ParquetFile(path).read().num_rows == rows
        assert pd.read_parquet(io.BytesIO(path.read_bytes())).shape == (rows, len(names))
        schema = pq.ParquetFile(path).schema_arrow
        required = {
            one["name"] for one in read_json(data / resource["schema"])["fields"] if one.get("constraints") is not None
        }
        assert {field.name for field in schema if not field.nullable} == required
        assert all(field.metadata[b"description"] for field in schema)


def test_the_descriptions_name_every_file_with_bytes_digest_and_columns(published):
    data = published / "out" / "data"
    package = read_json(data / "datapackage.json")
    assert list(frictionless.Package.metadata_validate(package)) == []
    found = {path.relative_to(data).as_posix(): path for path in data.rglob("*.parquet")}
    assert {one["path"] for one in package["resources"]} == set(found)
    for one in package["resources"]:
        content = found[one["path"]].read_bytes()
        assert (one["bytes"], one["hash"]) == (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
        assert one["path"].endswith(f"{one['hash'][7:23]}.parquet")
        schema = read_json(data / one["schema"])
        assert list(frictionless.Schema.metadata_validate(schema)) == []
        assert [(field["name"], field["description"]) for field in schema["fields"]] == [
            (column.name, column.description) for column in list_tables()[one["table"]].columns
        ]
    assert {field.get("unit") for field in read_json(data / "schemas/v1/pages.json")["fields"]} == {"byte", "1", None}
    assert {one["title"] for one in package["sources"]} == {str(published / "source"), str(published / "pages")}
    assert package["licenses"] == [{"title": "CC-BY-4.0", "name": "CC-BY-4.0"}]

    croissant = read_json(data / "croissant.json")
    objects = [one for one in croissant["distribution"] if one["@type"] == "cr:FileObject"]
    assert {one["@id"]: one["sha256"] for one in objects} == {
        one["path"]: one["hash"][7:] for one in package["resources"]
    }
    assert all(one["contentUrl"].startswith(f"{BASE_URL}/data/") for one in objects)
    fields = [field["@id"] for records in croissant["recordSet"] for field in records["field"]]
    assert fields == [f"{name}/{column.name}" for name, table in list_tables().items() for column in table.columns]


def test_without_a_licence_it_says_that_the_sources_state_none(sample, tmp_path):
    done = run("publish", "--warehouse", sample, "--out", tmp_path)

    assert done.returncode == 0
    assert "no catalog.duckdb" in done.stderr
    assert "no page to ask in SQL" in done.stderr
    assert (tmp_path / "data" / "LICENSE.txt").read_text() == "The sources of the data state no licence.\n"
    assert "licenses" not in read_json(tmp_path / "data" / "datapackage.json")
    assert not (tmp_path / "sql").exists()
    assert not (tmp_path / "catalog.duckdb").exists()
    assert (tmp_path / "data" / "warehouse.duckdb").read_bytes() == (sample / "warehouse.duckdb").read_bytes()


def test_the_page_links_to_every_file_and_has_lines_that_work(published, tmp_path):
    data = published / "out" / "data"
    page = (data / "index.html").read_text()
    links = set(re.findall(r'href="([^":]+)"', page))
    assert {path.relative_to(data).as_posix() for path in data.rglob("*.parquet")} <= links
    assert all((data / link).is_file() for link in links)
    assert f"attach &#39;{BASE_URL}/catalog.duckdb&#39; as spack (read_only);" in page
    for program in ("DuckDB", "Polars", "pandas", "R"):
        assert f"<h3>{program}" in page


def test_the_same_warehouse_gives_the_same_bytes_and_nothing_is_written_twice(published, tmp_path):
    wish = Wish(base_url=BASE_URL, licence="CC-BY-4.0")
    layout = Layout(published / "warehouse")
    publish_data(layout, tmp_path / "out", wish)
    first, second = list_all(published / "out"), list_all(tmp_path / "out")
    # DuckDB's own file has another layout each time.
    assert {path for path in first if first[path] != second.get(path)} <= {"catalog.duckdb", "data/manifest.json"}
    assert set(first) == set(second)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert publish_data(layout, tmp_path / "out", wish).written == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == times


@pytest.mark.slow
def test_only_what_changed_is_written_and_the_build_before_stays_until_the_next(tmp_path, monkeypatch):
    out = tmp_path / "out"
    source = tmp_path / "source"

    def publish_pages(*numbers):
        shutil.rmtree(source, ignore_errors=True)
        pages = {("develop", "hdf5"): [make_spec(one) for one in numbers], ("v0.22.0", "zlib"): [make_spec(50)]}
        build([write_pages(source, pages)], tmp_path / "warehouse", jobs=1)
        publish_data(Layout(tmp_path / "warehouse"), out, Wish())
        return {path.relative_to(out).as_posix() for path in out.rglob("specs/*/*.parquet")}

    written = []
    write = tables.write_table
    monkeypatch.setattr(
        tables, "write_table", lambda *given: written.append((given[1].name, given[2])) or write(*given)
    )
    first = publish_pages(1)
    written.clear()
    second = publish_pages(1, 2)
    assert ("specs", "develop") in written
    assert ("specs", "v0.22.0") not in written
    assert first < second
    assert len(second) == 3
    third = publish_pages(1, 2, 3)
    assert len(third) == 3
    assert third & first == {path for path in first if "v0.22.0" in path}
    releases = read_json(out / "releases.json")["releases"]
    assert [list(one) for one in releases] == [["date", "schema", "files", "bytes", "rows", "sha256"]] * 3
    assert len({one["sha256"] for one in releases}) == 3
    assert run("publish", "--verify", out).returncode == 0
    manifest = read_manifest(out)
    parquet = [path for path in manifest.files if path.endswith(".parquet")]
    listing = "".join(f"{hashlib.sha256((out / path).read_bytes()).hexdigest()}  {path}\n" for path in sorted(parquet))
    assert releases[-1]["sha256"] == hashlib.sha256(listing.encode()).hexdigest()
    assert releases[-1]["bytes"] == sum((out / path).stat().st_size for path in parquet)
    assert releases[-1]["rows"] == sum(pq.ParquetFile(out / path).metadata.num_rows for path in parquet)


def test_verify_names_what_is_missing_other_and_alien(copy):
    assert run("publish", "--verify", copy).returncode == 0
    missing = next(copy.rglob("specs/*/*.parquet"))
    missing.unlink()
    other = copy / "api" / "v1" / "snapshots.json"
    other.write_bytes(other.read_bytes().replace(b"develop", b"DEVELOP"))
    longer = copy / "data" / "LICENSE.txt"
    longer.write_text("longer")
    (copy / "data" / "specs" / "alien.parquet").touch()
    (copy / "README").touch()  # beside what is published, and of nobody's concern
    done = run("publish", "--verify", copy)

    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("4 faults in ")
    assert f"missing: {missing.relative_to(copy).as_posix()}" in lines
    assert "other: api/v1/snapshots.json: its SHA-256 is another" in lines
    assert any(line.startswith("other: data/LICENSE.txt: 6 bytes") for line in lines)
    assert "alien: data/specs/alien.parquet" in lines


def test_verify_holds_a_url_to_its_manifest(copy):
    with serve_folder(copy) as url:
        assert run("publish", "--verify", url).returncode == 0
        missing = next(copy.rglob("spec_stacks/*/*.parquet"))
        missing.unlink()
        (copy / "releases.json").write_text("{}")
        manifest = copy / "data" / "manifest.json"
        listed = read_json(manifest)
        alien = next(path for path in listed["files"] if path.startswith("data/tags/"))
        del listed["files"][alien]
        manifest.write_text(json.dumps(listed))
        done = run("publish", "--verify", f"{url}/")

    assert done.returncode == 3
    assert f"missing: {missing.relative_to(copy).as_posix()}" in done.stderr
    assert "other: releases.json: 2 bytes" in done.stderr
    assert f"alien: {alien}: described, and not listed" in done.stderr


def test_what_is_no_publication_is_refused_in_a_line(tmp_path, sample):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").touch()
    done = run("publish", "--warehouse", sample, "--out", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "data: was not published here, and would be replaced" in done.stderr
    for place in (tmp_path, tmp_path / "nowhere"):
        done = run("publish", "--verify", place)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "nothing was published here" in done.stderr
    (tmp_path / "data" / "manifest.json").write_text("[]")
    assert "is not a manifest" in run("publish", "--verify", tmp_path).stderr
    with serve() as server:
        assert run("publish", "--verify", server.url).returncode == 1
    for usage in ([], ["--out", "a", "--verify", "b"], ["--out", "a", "--base-url", "ftp://x"]):
        assert run("publish", *usage).returncode == 2


def test_an_interrupted_publication_leaves_the_last_one_whole(copy, published, monkeypatch):
    before = list_all(copy)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish, "write_api", fail)
    done = run("publish", "--warehouse", published / "warehouse", "--out", copy, "--base-url", "https://other.example")

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert list_all(copy) == before


def test_the_schema_is_as_it_was_promised(sample):
    with open_database(Layout(sample)) as connection:
        now = encode_promise(describe_schema(connection))

    assert now == (PROMISES / f"{SCHEMA}.json").read_text(), (
        "what is published is another: raise SCHEMA in pipeline/catalog/promise.py, run python -m tests.promise, and "
        "say in docs/data.md what changed"
    )
    assert [one.version for one in read_promises()] == list(range(SCHEMA, 0, -1))


def test_an_old_version_of_the_schema_is_still_written_beside_the_new(sample, tmp_path, monkeypatch):
    """With a version before the first, which had fewer tables, and of one fewer columns."""
    (now,) = read_promises()
    hosts = msgspec.structs.replace(now.tables["hosts"], columns=now.tables["hosts"].columns[:2])
    old = msgspec.structs.replace(now, version=0, tables={"hosts": hosts, "tags": now.tables["tags"]})
    monkeypatch.setattr(publish, "read_promises", lambda: [now, old])
    publish_data(Layout(sample), tmp_path, Wish())
    package = read_json(tmp_path / "data" / "datapackage.v0.json")
    newest = {one["path"] for one in read_json(tmp_path / "data" / "datapackage.json")["resources"]}

    assert {one["table"] for one in package["resources"]} == {"hosts", "tags"}
    for one in package["resources"]:
        path = tmp_path / "data" / one["path"]
        names = [field["name"] for field in read_json(tmp_path / "data" / one["schema"])["fields"]]
        assert pl.read_parquet(path).columns == names
        assert (one["path"] in newest) == (one["table"] == "tags")
    assert run("publish", "--verify", tmp_path).returncode == 0


def test_a_column_that_is_gone_cannot_be_promised():
    (now,) = read_promises()
    gone = msgspec.structs.replace(now.tables["hosts"], columns=[("speed", "BIGINT", False)])
    promise = msgspec.convert(msgspec.to_builtins(msgspec.structs.replace(now, tables={"hosts": gone})), type(now))

    with pytest.raises(LookupError, match="speed"):
        keep_promise(promise, "hosts")


class TestApi:
    @pytest.fixture
    def api(self, published):
        return published / "out" / "api" / "v1"

    def test_every_file_is_as_its_schema_says(self, api):
        schemas = {path.stem: read_json(path) for path in (api / "schemas").iterdir()}
        seen = set()
        for path in api.rglob("*.json"):
            kind = path.parent.name if path.parent.name in ("package", "stack") else path.stem
            if path.parent.name != "schemas":
                jsonschema.Draft202012Validator(schemas[kind]).validate(read_json(path))
                assert list(read_json(path)) == schemas[kind]["required"]
                seen.add(kind)
        assert seen == set(schemas)
        for schema in schemas.values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_packages_and_stacks_are_those_of_the_caches(self, api):
        """Counted in the caches' own lists, but for what the pages add."""
        for (snapshot, stack), binaries in CACHES.items():
            (listed,) = [one for one in read_json(api / "stacks.json")["stacks"] if one["stack"] == stack]
            rows = {one["snapshot"]: one for one in read_json(api / listed["path"])["snapshots"]}
            assert rows[snapshot]["packages"] == len({one.package for one in binaries})
            assert rows[snapshot]["specs"] == len({one.number for one in binaries})
        listed = {one["package"]: one for one in read_json(api / "packages.json")["packages"]}
        assert set(listed) == {one.package for binaries in CACHES.values() for one in binaries}
        hdf5 = read_json(api / listed["hdf5"]["path"])["snapshots"]
        for (snapshot, stack), binaries in CACHES.items():
            versions = {one.version for one in binaries if one.package == "hdf5"}
            (row,) = [one for one in hdf5 if one["snapshot"] == snapshot] or [{"by_stack": []}]
            assert {v for one in row["by_stack"] if one["stack"] == stack for v in one["versions"]} == versions

    def test_latest_is_the_newest_weekly_snapshot(self, api, published):
        latest = read_json(api / "latest.json")

        assert latest["snapshot"] == max(snapshot for snapshot, _ in CACHES if snapshot.startswith("develop-"))
        for axis in AXES:
            query = f"select {axis}, packages, specs from summary_by_{axis} where snapshot = '{latest['snapshot']}'"
            rows = [(one[axis], one["packages"], one["specs"]) for one in latest[f"by_{axis}"]]
            assert rows == sorted(ask(published / "warehouse", query))


def test_the_rows_of_a_package_are_read_by_less_than_a_megabyte(tmp_path):
    """Of 40,000 rows of one snapshot: the row groups that may hold a package, by their statistics, and the footer."""
    pages = {
        ("develop", f"package-{number:03}"): [
            make_spec(number * 100 + one, stacks=[f"stack-{stack}" for stack in range(10)], versions=[f"1.{one}"])
            for one in range(40)
        ]
        for number in range(100)
    }
    layout = Layout(build_pages(tmp_path, pages))
    publish_data(layout, tmp_path / "out", Wish())
    (path,) = (tmp_path / "out").rglob("spec_stacks/*/*.parquet")
    metadata = pq.ParquetFile(path).metadata
    position = metadata.schema.names.index("package")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    bounds = [(group.column(position).statistics.min, group.column(position).statistics.max) for group in groups]
    touched = [group for group, (least, most) in zip(groups, bounds, strict=True) if least <= "package-050" <= most]

    assert metadata.num_rows == 40_000
    assert len(groups) == 3
    assert bounds == sorted(bounds)
    read = sum(group.column(number).total_compressed_size for group in touched for number in range(group.num_columns))
    assert read + metadata.serialized_size < 1_000_000


def test_large_files_and_sites_are_noted(published, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "LARGE_FILE", 1_000_000)
    monkeypatch.setattr(publish, "LARGE_SITE", 2_000_000)
    summary = publish_data(Layout(published / "warehouse"), published / "out", Wish(BASE_URL, licence="CC-BY-4.0"))

    assert summary.written == 0
    assert any(line.startswith("data/warehouse.duckdb: ") and "GitHub takes" in line for line in summary.notes)
    assert any("in all, more than" in line for line in summary.notes)


def test_data_without_a_site_lead_to_no_front_page(published):
    assert 'href="../index.html"' not in (published / "out" / "data" / "index.html").read_text()


def test_a_site_has_the_data_too_and_is_verified_as_a_whole(sample_copy, tmp_path):
    out = tmp_path / "site"
    arguments = ("site", "--warehouse", sample_copy, "--out", out, "--format", "markdown", "--base-url", BASE_URL)
    assert run(*arguments).returncode == 0
    assert (out / "catalog.duckdb").is_file()
    front = (out / "index.html").read_text()
    assert 'href="data/index.html"' in front
    assert '<a href="../index.html">Spack Warehouse</a>' in (out / "data" / "index.html").read_text()
    # Of the page to ask in SQL there is neither, without its engine.
    assert 'href="sql/index.html"' not in front
    assert run("publish", "--verify", out).returncode == 0
    assert ", 0 written" in run(*arguments).stdout.splitlines()[-1]

    (out / "package" / "py-build" / "index.html").unlink()
    (out / "package" / "alien.html").touch()
    done = run("publish", "--verify", out)
    assert done.returncode == 3
    assert done.stderr.splitlines()[:2] == ["missing: package/py-build/index.html", "alien: package/alien.html"]


@pytest.mark.parametrize("path", ["../victim", "/tmp/victim", "data/../../victim", "a\\b", ""])
@pytest.mark.parametrize("key", ["files", "previous"])
def test_a_manifest_that_leads_out_of_its_folder_is_none(sample, tmp_path, key, path):
    """Whoever edited it: nothing outside is read, published or removed."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    out = tmp_path / "out"
    manifest = {"inputs": "x", key: {path: {"bytes": 4, "sha256": "0" * 64}}}
    (out / "data").mkdir(parents=True)
    (out / "data" / "manifest.json").write_text(json.dumps(manifest))

    done = run("publish", "--warehouse", sample, "--out", out)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    held = run("publish", "--verify", out)
    assert held.returncode == 1
    assert "leads out of the folder" in held.stderr or "lists no file" in held.stderr
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("command", [["publish"], ["publish", "--format", "delta"], ["site"]])
@pytest.mark.parametrize("place", ["", ".builds", ".builds/000001/data"])
def test_nothing_is_published_into_the_warehouse_s_own_files(sample_copy, command, place):
    out = sample_copy / place
    before = sorted(sample_copy.rglob("*"))
    done = run(*command, "--warehouse", sample_copy, "--out", out)

    assert done.returncode == 1
    assert "keeps its own files; name another folder" in done.stderr
    assert sorted(sample_copy.rglob("*")) == before
