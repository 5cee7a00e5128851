"""Where readers keep what exceeds their memory, and paths that DuckDB reads as something else."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.errors import WarehouseError
from pipeline.io.temporary import plain_path, private_folder, spill_folder
from pipeline.layout import Layout
from pipeline.store.database import open_database
from pipeline.store.state import digest_files, load_state
from tests.commands import SECONDS, run, run_process
from tests.makers import SAMPLE, rest_slow

# More rows than fit into the least memory that a reader has.
LARGE = """
    select max(number), count(*)
    from (select range as number, hash(range) || repeat('a', 60) as text from range({}) order by text)
"""
ROWS = 2_000_000
ODD_NAMES = [
    b"br[ac]ket*",
    b"\xff\xfe",
    b"~tilde",
    b"md:x",
    b"quo'te\"%20 \n{a,b}",
]


@pytest.fixture
def copy(sample, tmp_path):
    return shutil.copytree(sample, tmp_path / "warehouse", symlinks=True)


def test_a_private_folder_is_ours_alone_and_gone_afterwards():
    with private_folder() as one, private_folder() as two:
        assert one != two
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
        (one / "file").write_text("x")
    assert not one.exists()


def test_nothing_spills_where_no_folder_may_be_written_to(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with spill_folder() as folder:
        assert folder == ""


def test_a_large_query_spills_to_the_temporary_folder_and_leaves_the_warehouse_as_it_is(copy, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = digest_files(Layout(copy).current)
    spilled = []
    with open_database(Layout(copy)) as connection:
        connection.execute("set memory_limit = '100MB'")
        reader = connection.execute(LARGE.format(ROWS).replace("max(number), count(*)", "number"))
        reader.fetchmany(10)
        spilled = [path for path in temporary.rglob("*") if path.is_file() and path.stat().st_size > 1_000_000]
        assert digest_files(Layout(copy).current) == before
    assert spilled
    assert list(temporary.iterdir()) == []
    assert load_state(Layout(copy).current)[0] is not None
    assert "no snapshot changed" in run("build", SAMPLE, "--warehouse", copy).stdout


def forget_privileges():
    """To root too it counts who may write where: prctl(2) takes CAP_DAC_OVERRIDE from what is executed next."""
    if os.geteuid() == 0:
        ctypes.CDLL(None, use_errno=True).prctl(24, 1, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="root's privileges are Linux's")
@pytest.mark.parametrize("command", ["sql", "shell"])
def test_a_user_who_may_not_write_asks_large_questions(copy, tmp_path, command):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    folders = [copy, *(path for path in copy.rglob("*") if path.is_dir() and not path.is_symlink())]
    query = LARGE.format(ROWS * 4)
    if command == "sql":
        arguments = ["sql", query, "--warehouse", str(copy), "--format", "csv"]
    else:
        arguments = ["shell", "--warehouse", str(copy), "--", "-csv", "-c", f"set memory_limit = '150MB'; {query}"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env={**os.environ, "TMPDIR": str(temporary)},
            preexec_fn=forget_privileges,
        )
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"{ROWS * 4 - 1},{ROWS * 4}"
    assert list(temporary.iterdir()) == []
    assert load_state(Layout(copy).current)[0] is not None


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["-csv", "-c", "select current_setting('temp_directory') as place"], 2),
        (["-init", "{init}", "-csv", "-c", "select current_setting('temp_directory') as place"], 4),
        (["-csv", "-f", "{query}"], 2),
    ],
)
def test_the_shell_spills_to_the_temporary_folder_whatever_it_is_given(sample, tmp_path, arguments, lines):
    (tmp_path / "init").write_text(".mode csv\nselect 1 as of_init;")
    (tmp_path / "query").write_text("select current_setting('temp_directory') as place;")
    given = [one.format(init=tmp_path / "init", query=tmp_path / "query") for one in arguments]
    done = run_process("shell", "--warehouse", sample, "--", *given, TMPDIR=str(tmp_path))

    assert done.returncode == 0
    printed = done.stdout.splitlines()
    assert len(printed) == lines
    assert printed[-1].startswith(f"{tmp_path}/spack-warehouse-")
    assert not Path(printed[-1]).exists()


def test_the_shell_has_duckdbs_exit_status(sample):
    assert run_process("shell", "--warehouse", sample, "--", "-c", "from nowhere").returncode == 1


def test_the_shell_ends_with_its_parent_and_leaves_nothing(sample, tmp_path):
    command = [sys.executable, "-m", "pipeline", "shell", "--warehouse", str(sample), "--", "-csv"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdin.write("select 1 as one;\n")
        process.stdin.flush()
        assert process.stdout.readline() == "one\n"
        process.terminate()
        assert process.wait(SECONDS) == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", rest_slow(ODD_NAMES, 2))
def test_a_warehouse_may_stand_in_any_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "brac").mkdir()
    folder = os.fsdecode(name)
    built = run("build", SAMPLE, "--warehouse", folder, "--jobs", 1)
    assert (built.returncode, built.stderr) == (0, "")
    assert "no snapshot changed" in run("build", SAMPLE, "--warehouse", folder, "--jobs", 1).stdout
    assert run("sql", "select count(*) as n from specs", "--warehouse", folder, "--format", "csv").stdout == "n\n157\n"
    assert run("have", "py-wheel", "--warehouse", folder).returncode == 0
    assert run("check", "--warehouse", folder).returncode == 0
    assert run("report", "--warehouse", folder, "--format", "csv,parquet,json", "--snapshot", "develop").returncode == 0
    assert {path.suffix for path in (tmp_path / folder / "reports" / "develop").iterdir()} == {
        ".csv",
        ".json",
        ".parquet",
    }
    assert sorted(os.fsencode(path.name) for path in tmp_path.iterdir()) == sorted([b"brac", name])
    shell = run_process("shell", "--warehouse", folder, "--", "-csv", "-c", "select count(*) as n from specs")
    assert shell.stdout == "n\n157\n"


@pytest.mark.parametrize("name", ["a?access_mode=read_write", "back\\slash"])
def test_a_path_that_duckdb_cannot_open_is_refused_by_its_name(sample, tmp_path, name):
    shutil.copytree(sample, tmp_path / name, symlinks=True)
    for arguments in (["build", SAMPLE], ["sql", "from specs"], ["check"], ["have", "x"], ["report"], ["shell"]):
        done = run(*arguments, "--warehouse", tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"spack-warehouse: {tmp_path / name}")
        assert "DuckDB opens no file" in done.stderr
    assert run("build", SAMPLE, "--warehouse", tmp_path / "new" / name).returncode == 1
    done = run("report", "--warehouse", sample, "--out", tmp_path / "out" / name, "--snapshot", "develop")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / name / "develop" / "gaps.csv").is_file()


def test_a_pattern_reads_no_neighbour(tmp_path):
    """A folder is no pattern that another one matches too."""
    with plain_path(tmp_path / "w*") as plain:
        assert "*" not in str(plain)
        assert os.readlink(plain) == str(tmp_path / "w*")
    assert not plain.parent.exists()


def test_a_path_that_cannot_be_linked_to_is_refused_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with pytest.raises(WarehouseError, match=r"w\?"), plain_path(tmp_path / "w?"):
        pass
    (tmp_path / "t?").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t?"))
    with pytest.raises(WarehouseError, match=r"w\?"), plain_path(tmp_path / "w?"):
        pass


def test_a_query_that_duckdb_gives_up_names_the_warehouse(sample):
    with (
        pytest.raises(WarehouseError, match="duckdb: Conversion Error"),
        open_database(Layout(sample)) as one,
    ):
        one.execute("select cast('x' as integer)")
