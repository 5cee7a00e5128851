"""``sql`` answers what reads the warehouse, and nothing else: whatever is tried, no file is written or read."""

import csv
import io

import duckdb
import pytest

from tests.commands import run, run_process


@pytest.fixture(scope="module")
def warehouse(sample):
    return sample


@pytest.fixture
def place(tmp_path):
    """A folder with a file of the user's, in which nothing else may be after a query."""
    (tmp_path / "own.csv").write_text("secret\nmine\n")
    with duckdb.connect(str(tmp_path / "own.duckdb")) as connection:
        connection.execute("create table own as select 'mine' as secret")
    return tmp_path


def digest(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


READS = {
    "select count(*) as n from specs": "157",
    "from snapshots": "develop-2025-03-16",
    "with few as (select 1 as n) from few": "1",
    "values (1), (2)": "2",
    "table snapshots": "develop-2025-03-16",
    "(select 1 as n)": "1",
    "pivot snapshots on kind using count(*) group by snapshot": "develop-2025-03-16",
    "from (pivot snapshots on kind using count(*))": "1",
    "show tables": "coverage_by_stack",
    "describe specs": "package",
    "describe select 1 as n": "n",
    "summarize snapshots": "snapshot",
    "explain select 1": "physical_plan",
    "explain analyze select 1": "analyzed_plan",
    "EXPLAIN (analyze, format json) select 1": "analyzed_plan",
    "/* \uff1d explains */ -- \uff1d\nexplain /* \uff1d */ select 1": "physical_plan",
    "explain (select 1)": "physical_plan",
    "explain pivot snapshots on kind using count(*)": "physical_plan",
    "explain describe specs": "physical_plan",
    "pragma table_info('specs')": "package",
    "PRAGMA Table_Info(specs)": "package",
    "select 1 as n; -- and no more; really": "1",
    "/* ; */ select 1 as n /* ; drop */;;": "1",
    "from query('select 1 as n')": "1",
    "from query_table('snapshots')": "develop-2025-03-16",
    "from lost('develop-2025-03-16', 'develop-2025-03-30') limit 1": "package",
}


@pytest.mark.parametrize("query", READS)
@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_what_reads_is_answered(warehouse, query, format):
    done = run("sql", query, "--warehouse", warehouse, "--format", format)

    assert (done.returncode, done.stderr) == (0, "")
    assert READS[query] in done.stdout


CHANGES = [
    "copy (select 1) to '{place}/new.csv'",
    "copy specs to '{warehouse}/spec_stacks/snapshot=develop/spec_stacks.parquet'",
    "copy (pivot snapshots on kind using count(*)) to '{place}/new.csv'",
    "copy from database warehouse to memory",
    "with new as (copy (select 1) to '{place}/new.csv') select 1",
    "with new as (copy (select 1) to '{place}/new.csv') from new",
    "explain copy (select 1) to '{place}/new.csv'",
    "explain analyze copy (select 1) to '{place}/new.csv'",
    "EXPLAIN /* x */ ANALYZE -- y\n COPY (select 1) to '{place}/new.csv'",
    "explain (analyze, format json) copy (select 1) to '{place}/new.csv'",
    "\nexplain /* \uff1d\uff1d\uff1d */ analyze copy (select 1) to '{place}/new.csv'",
    "explain analyze copy (pivot snapshots on kind using count(*)) to '{place}/new.csv'",
    "explain analyze create temp table new as select 1",
    "explain analyze set threads = 1",
    "explain analyze insert into pages from pages",
    "explain analyze call enable_logging(storage = 'file', storage_path = '{place}/log')",
    "from enable_logging(storage = 'file', storage_path = '{place}/log')",
    "call enable_logging(storage = 'file', storage_path = '{place}/log')",
    "export database '{place}/new'",
    "import database '{place}/new'",
    "attach '{place}/new.duckdb'",
    "attach '{place}/own.duckdb' as own (read_only)",
    "detach warehouse",
    "use memory",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "reset lock_configuration",
    "set variable n = 1",
    "pragma enable_profiling",
    "pragma profiling_output = '{place}/new.json'",
    "pragma show_tables",
    'pragma "version"',
    "call pragma_version()",
    "checkpoint",
    "vacuum",
    "begin",
    "prepare one as select 1",
    "execute one",
    "create temp table new as select 1",
    "create temp table new as pivot snapshots on kind using count(*)",
    "create or replace temp macro specs() as table select 1",
    "create secret (type s3)",
    "comment on table pages is 'x'",
    "drop table pages",
    "truncate pages",
    "insert into pages from pages returning *",
    "update pages set package = 'x' returning *",
    "delete from pages returning *",
    "merge into pages using pages as p on false when matched then delete returning merge_action",
    "with gone as (delete from pages returning *) from gone",
    "with new as (insert into pages from pages returning *) from new",
    "select 1; copy (select 1) to '{place}/new.csv'",
    "select 1 into outfile '{place}/new.csv'",
    "from query('copy (select 1) to ''{place}/new.csv''')",
    "from json_execute_serialized_sql(json_serialize_sql('copy (select 1) to ''{place}/new.csv'''))",
]
FILES = [
    "from read_text('{place}/own.csv')",
    "from read_blob('/proc/self/environ')",
    "from '{place}/own.csv'",
    "from read_csv('{place}/own.csv')",
    "from read_csv_auto('{place}/*.csv')",
    "from sniff_csv('{place}/own.csv')",
    "from read_json('{place}/own.csv')",
    "from read_parquet('{place}/own.csv')",
    "from parquet_metadata('{place}/own.csv')",
    "from glob('{place}/*')",
    "from '{place}/own.duckdb'",
    "from read_duckdb('{place}/own.duckdb', table_name = 'own')",
    "select getenv('HOME')",
    "summarize '{place}/own.csv'",
    "describe '{place}/own.csv'",
    "from query('from ''{place}/own.csv''')",
    "from query_table('{place}/own.csv')",
    "explain analyze from read_text('{place}/own.csv')",
    "explain analyze from '{place}/own.csv'",
    "from json_execute_serialized_sql(json_serialize_sql('from read_text(''{place}/own.csv'')'))",
    "from read_csv('http://127.0.0.1:1/own.csv')",
    "from read_csv('s3://bucket/own.csv')",
    "from sqlite_scan('{place}/own.csv', 'own')",
    "from duckdb_secrets()",
    "from layout",
    "from format",
    "select (select content from read_text('{place}/own.csv'))",
]


@pytest.mark.parametrize("query", [*CHANGES, *FILES])
def test_what_does_more_is_refused_in_a_line(warehouse, place, query):
    before = digest(place), digest(warehouse)
    done = run("sql", query.format(place=place, warehouse=warehouse), "--warehouse", warehouse, "--format", "json")

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "mine" not in done.stderr
    assert (digest(place), digest(warehouse)) == before


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to '{place}/new.csv'",
        "with new as (copy (select 1) to '{place}/new.csv') select 1",
        "explain analyze copy (select 1) to '{place}/new.csv'",
        "from read_csv('{place}/own.csv')",
        "attach '{place}/own.duckdb'",
    ],
)
def test_who_wants_files_is_sent_to_the_shell(warehouse, place, query):
    assert "spack-warehouse shell" in run("sql", query.format(place=place), "--warehouse", warehouse).stderr


def test_the_shell_reads_files_of_ones_own(warehouse, place):
    query = f"select secret from read_csv('{place}/own.csv')"
    assert run_process("shell", "--warehouse", warehouse, "--", "-csv", "-c", query).stdout == "secret\nmine\n"


VALUES = """
    select
        '+mpi' as text, ['+mpi', null] as list, {'a': 1, 'b': 'x'} as struct, 1.50::decimal(9, 2) as price,
        170141183460469231731687303715884105727::hugeint as huge, date '2025-03-30' as day, null as nothing,
        'a,"b"' || chr(10) || chr(13) as awkward, true as yes, map {'k': 1} as mapped, 1e300 as large, '' as empty
"""


def test_an_answer_is_as_duckdb_writes_it(warehouse, tmp_path):
    """The answer passes through Arrow to another connection, and no value changes by that."""
    for format, options in {"csv": "format csv, header", "json": "format json, array true"}.items():
        with duckdb.connect() as connection:
            connection.execute(f"copy ({VALUES}) to '{tmp_path}/expected' ({options})")
        done = run_process("sql", VALUES, "--warehouse", warehouse, "--format", format)
        assert done.stdout == (tmp_path / "expected").read_text(), format
    rows = list(
        csv.reader(io.StringIO(run("sql", VALUES, "--warehouse", warehouse, "--format", "csv").stdout, newline=""))
    )
    assert rows[1][:2] == ["+mpi", "[+mpi, NULL]"]
