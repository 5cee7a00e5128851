"""One pointer publishes a build; what is left over goes; folders can be moved and copied."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import unicodedata
import warnings
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.errors import WarehouseError
from pipeline.io.disk import hold_lock, renew_file, replacing
from pipeline.layout import Layout, partition_name
from pipeline.report.export import export_reports
from pipeline.report.folder import folder_name
from tests.commands import run, run_as, run_process
from tests.makers import ask, build_pages, make_spec, rest_slow, write_pages


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_snapshots_name_survives_as_a_folder(snapshot):
    name = partition_name(snapshot)

    assert unquote(name.removeprefix("snapshot=")) == snapshot
    assert "/" not in name


def fold(name):
    """A name as file systems compare it that know neither case nor spellings of an accent, nor dots at the end."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold()).rstrip(". ")


alike = st.text("aAkK\u212aée\u0301ﬁi.% ~2", min_size=1, max_size=6)


@given(alike, alike)
def test_snapshots_that_differ_have_folders_that_differ_everywhere(one, other):
    for make in (partition_name, folder_name):
        assert (fold(make(one)) == fold(make(other))) == (one == other)


@pytest.mark.parametrize("name", ["develop", "develop-2025-03-30", "v0.23.1", "pr12345_e4s-cache.1", "a~b"])
def test_a_plain_name_is_its_folders(name):
    assert partition_name(name) == f"snapshot={name}"
    assert folder_name(name) == name


@pytest.mark.parametrize("name", ["con", "NUL", "aux.v1", "com1", "lpt9.txt", "v1.", "v1 "])
def test_no_folder_has_a_name_that_windows_keeps(name):
    made = folder_name(name)

    assert unquote(made) == name
    assert made.partition(".")[0].lower() not in {"con", "nul", "aux", "com1", "lpt9"}
    assert not made.endswith((".", " "))


def test_snapshots_that_differ_by_case_keep_apart(tmp_path):
    pages = {(name, "p"): [make_spec(at)] for at, name in enumerate(["v1", "V1", "Vé", "v1."])}
    warehouse = build_pages(tmp_path, pages)
    query = (
        f"select distinct snapshot from read_parquet('{warehouse}/spec_stacks/*/*.parquet', hive_partitioning = true)"
    )

    assert {name for (name,) in ask(warehouse, query)} == {"v1", "V1", "Vé", "v1."}
    assert {one.name for one in (warehouse / "spec_stacks").iterdir()} == {
        "snapshot=v1",
        "snapshot=%561",
        "snapshot=%56%C3%A9",
        "snapshot=v1%2E",
    }


def builds(warehouse):
    return sorted(folder.name for folder in (warehouse / ".builds").iterdir())


@pytest.fixture
def warehouse(tmp_path):
    return build_pages(tmp_path, {("develop", "p"): [make_spec(1)]})


def rebuild(tmp_path, number):
    write_pages(tmp_path / "source", {("develop", "p"): [make_spec(number)]})
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)


@pytest.mark.slow
def test_the_published_build_and_the_one_before_it_are_kept(tmp_path, warehouse):
    assert builds(warehouse) == ["000001"]
    for number in range(2, 6):
        rebuild(tmp_path, number)
    assert builds(warehouse) == ["000004", "000005"]


def test_what_interrupted_builds_left_is_removed(tmp_path, warehouse):
    (warehouse / ".builds" / "000002.unfinished" / "scratch").mkdir(parents=True)
    (warehouse / ".builds" / "000007").mkdir()
    (warehouse / ".current.new").symlink_to("x")
    (warehouse / ".mine.new").write_text("not of a build")
    rebuild(tmp_path, 1)

    assert builds(warehouse) == ["000001"]
    assert not os.path.lexists(warehouse / ".current.new")
    assert (warehouse / ".mine.new").exists()


@pytest.mark.parametrize("name", ["pages", "rejects", "warehouse.duckdb"])
def test_a_build_replaces_nothing_but_a_warehouse(tmp_path, name):
    write_pages(tmp_path / "source", {("develop", "p"): [make_spec(1)]})
    mine = tmp_path / "w" / name / "mine.md" if "." not in name else tmp_path / "w" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(WarehouseError, match=f"{tmp_path / 'w' / name}: is no part of a warehouse"):
        build([tmp_path / "source"], tmp_path / "w", jobs=1)

    assert mine.read_text() == "mine"


def test_a_build_never_takes_its_own_source_away(tmp_path):
    write_pages(tmp_path / "pages", {("develop", "p"): [make_spec(1)]})
    before = sorted(tmp_path.rglob("*.md"))
    with pytest.raises(WarehouseError):
        build([tmp_path / "pages"], tmp_path, jobs=1)

    assert sorted(tmp_path.rglob("*.md")) == before


def test_links_are_relative_and_a_moved_folder_works(tmp_path, warehouse):
    moved = tmp_path / "else" / "where"
    moved.parent.mkdir()
    shutil.move(warehouse, moved)

    assert ask(moved, "select count(*) from specs") == [(1,)]
    assert len(list(moved.glob("spec_stacks/*/*.parquet"))) == 1


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_works_and_can_be_built_again(tmp_path, warehouse, links):
    copy = tmp_path / "copy"
    shutil.copytree(warehouse, copy, symlinks=links)
    assert ask(copy, "select count(*) from specs") == [(1,)]
    write_pages(tmp_path / "source", {("develop", "q"): [make_spec(2)]})
    build([tmp_path / "source"], copy, jobs=1)

    assert ask(copy, "select count(*) from specs") == [(2,)]
    assert (copy / ".current").is_symlink()
    assert builds(copy) in (["000001"], ["000001", "000002"])


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path, warehouse):
    (warehouse / "README.md").write_text("mine")
    (warehouse / "reports").mkdir()
    rebuild(tmp_path, 3)

    assert (warehouse / "README.md").read_text() == "mine"
    assert (warehouse / "reports").is_dir()


def test_a_file_is_renewed_at_once_or_left_alone(tmp_path):
    path = tmp_path / "made" / "index.json"
    renew_file(path, b"one")
    before = path.stat()

    renew_file(path, b"one")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    renew_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_ino != before.st_ino, "a reader of the old one goes on with it"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_published_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """Files, then their folder, then the rename, then the folder above: of builds, reports and single files."""
    done = []
    flush, rename = os.fsync, os.replace

    def note_flush(descriptor):
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    def note_rename(path, target):
        done.append(("renamed", str(target)))
        rename(path, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(Path, "replace", note_rename)
    warehouse = build_pages(tmp_path, {("develop", "p"): [make_spec(1)]})
    reports = export_reports(Layout(warehouse), formats=["csv"])
    current = Layout(warehouse).current.folder

    def before(place):
        at = done.index(("renamed", str(place)))
        return [one for one in done[:at] if isinstance(one, str)], done[at + 1]

    flushed, after = before(current)
    (unfinished,) = {path for path in map(Path, flushed) if path.name.endswith(".unfinished")}
    assert {str(unfinished / path.relative_to(current)) for path in current.rglob("*")} <= set(flushed)
    assert after == str(current.parent)
    flushed, after = before(warehouse / "reports" / "develop")
    assert len({one for one in flushed if one.endswith(".csv")}) == len(reports)
    assert after == str(warehouse / "reports")
    flushed, after = before(warehouse / "reports" / "index.json")
    assert re.fullmatch(rf"{warehouse}/reports/\.index\.json\.[0-9a-f]{{16}}\.new", flushed[-1])


STRAY = (".DS_Store", ".nfs000000000000", "Thumbs.db", "mine/notes.txt", "000009", "0000099x/a", "²")


@pytest.mark.slow
def test_sweeping_leaves_what_is_no_build_and_is_never_fatal(tmp_path, warehouse):
    for name in STRAY:
        path = warehouse / ".builds" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (warehouse / ".builds" / "000003.unfinished").symlink_to("nowhere")
    for number in range(2, 5):
        rebuild(tmp_path, number)

    assert {"000003", "000004"} <= set(builds(warehouse))
    assert "000001" not in builds(warehouse)
    assert all((warehouse / ".builds" / name).read_text() == "mine" for name in STRAY)
    assert ask(warehouse, "select count(*) from specs") == [(1,)]


def test_a_hidden_file_in_the_published_build_is_no_damage(tmp_path, warehouse):
    (Layout(warehouse).current.folder / ".DS_Store").write_text("")
    (warehouse / "pages" / ".nfs0001").write_text("")

    assert build([tmp_path / "source"], warehouse, jobs=1).rebuilt == 0
    (warehouse / "pages" / "another.parquet").write_text("")
    assert build([tmp_path / "source"], warehouse, jobs=1).rebuilt == 1


@contextlib.contextmanager
def keeping(folder):
    """Let nobody remove what is in a folder, if he is not root; root neither, where the file system can do that."""
    if os.geteuid():
        folder.chmod(0o500)
    elif shutil.which("chattr") is None or subprocess.run(["chattr", "+i", folder], check=False).returncode:
        pytest.skip("root may remove everything")
    try:
        yield
    finally:
        if os.geteuid():
            folder.chmod(0o700)
        else:
            subprocess.run(["chattr", "-i", folder], check=True)


def test_a_build_that_cannot_be_removed_is_named_and_ends_nothing(tmp_path, warehouse):
    stays = warehouse / ".builds" / "000009"
    stays.mkdir()
    (stays / "file").write_text("")
    with keeping(stays):
        done = run("build", tmp_path / "source", "--warehouse", warehouse)

    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"{stays}: cannot be removed, and stays"]


def test_nothing_is_written_through_a_link_that_was_put_where_it_waits(tmp_path):
    """Earlier names could be foreseen."""
    (tmp_path / "victim").write_text("mine")
    for name in (".index.json.new", ".x.new"):
        (tmp_path / name).symlink_to("victim")
    renew_file(tmp_path / "index.json", b"one")
    with replacing(tmp_path / "x") as file:
        file.write(b"two")
        (waits,) = (path for path in tmp_path.glob(".x.*.new"))
        assert not waits.is_symlink()

    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "x").read_bytes() == b"two"


def test_what_cannot_be_written_is_named_by_its_place_and_leaves_nothing(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError) as caught, replacing(tmp_path / "x") as file:
        file.write(b"two")
    assert caught.value.filename == str(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_others_cannot_put_anything_into_an_unfinished_build(tmp_path):
    layout = Layout(tmp_path)
    unfinished = layout.begin(layout.builds)
    assert stat.S_IMODE(unfinished.folder.stat().st_mode) == 0o700
    layout.publish(unfinished)

    (tmp_path / "plain").mkdir()
    assert layout.current.folder.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_of_builds_that_another_user_linked_is_refused(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".builds").symlink_to(tmp_path / "elsewhere")
    Layout(tmp_path / "w").begin(tmp_path / "w/.builds")

    if os.geteuid() == 0:
        os.lchown(tmp_path / "w" / ".builds", 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(WarehouseError, match="is a link that another user made"):
        Layout(tmp_path / "w").begin(tmp_path / "w/.builds")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_locked_by_a_file(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    waited = threading.Event()
    order = []

    def build_second():
        with hold_lock(tmp_path / ".lock", waited.set):
            order.append("second")

    second = threading.Thread(target=build_second)
    with warnings.catch_warnings(), hold_lock(tmp_path / ".lock", pytest.fail):
        warnings.simplefilter("error")
        second.start()
        assert waited.wait(60)
        order.append("first")
    second.join(60)

    assert order == ["first", "second"]
    assert not (tmp_path / ".lock.lease").exists()


def test_another_fault_of_a_lock_names_it(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError) as caught, hold_lock(tmp_path / ".lock", pytest.fail):
        pass
    assert caught.value.filename == str(tmp_path / ".lock")


LEFT = """
import os, sys
from pathlib import Path
from pipeline.io.disk import hold_lock
with hold_lock(Path(sys.argv[1]), sys.exit):
    os._exit(9)
"""


def test_a_lock_of_a_process_that_was_killed_is_free(tmp_path, faults):
    preload = {"LD_PRELOAD": str(faults), "FAULTS_BELOW": str(tmp_path), "FAULTS_CALL": "flock"}
    none = {**os.environ, **preload, "FAULTS_AT": "1", "FAULTS_MORE": "1", "FAULTS_ERRNO": str(errno.ENOSYS)}
    for _ in range(2):
        # The second takes what the first left, at once: its process is no more.
        command = [sys.executable, "-c", LEFT, str(tmp_path / ".lock")]
        done = subprocess.run(command, env=none, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (9, "")
        assert (tmp_path / ".lock.lease").exists()


@pytest.mark.slow
def test_a_run_needs_no_locks_of_the_file_system(tmp_path, faults):
    write_pages(tmp_path / "source", {("develop", "p"): [make_spec(1)]})
    (tmp_path / "c.yaml").write_text("sources: [{path: source}]\nwarehouse: w\nreports: {out: out, formats: [csv]}\n")
    preload = {"LD_PRELOAD": str(faults), "FAULTS_BELOW": str(tmp_path), "FAULTS_CALL": "flock", "FAULTS_MORE": "1"}
    environment = {**preload, "FAULTS_AT": "1", "FAULTS_ERRNO": str(errno.ENOSYS)}
    done = run_process("run", "--config", "c.yaml", cwd=tmp_path, **environment)

    assert (done.returncode, len(done.stderr.splitlines())) == (0, 8), done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"develop", "index.json", "index.html"}
    assert not list(tmp_path.rglob("*.lease"))


@pytest.fixture
def open_folder():
    """A folder that any user can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_user_without_a_home_builds_from_what_is_local(open_folder):
    run_as_nobody = partial(run_as, open_folder, 54321)
    open_folder.chmod(0o777)
    write_pages(open_folder / "source", {("develop", "p"): [make_spec(1)]})

    done = run_as_nobody("build", "source", "--warehouse", "w")
    assert (done.returncode, done.stderr) == (0, "")
    (open_folder / "c.yaml").write_text("sources: [{path: source}]\nwarehouse: w\n")
    done = run_as_nobody("run", "--config", "c.yaml", "--paths")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition("=")[0] for line in done.stdout.splitlines()] == ["warehouse", "reports", "site"]

    done = run_as_nobody("build", "https://localhost:1/x", "--warehouse", "w")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--cache DIR" in done.stderr
    assert "XDG_CACHE_HOME" in done.stderr
    (open_folder / "c.yaml").write_text("sources: [{url: https://localhost:1/x}]\nwarehouse: w\n")
    done = run_as_nobody("run", "--config", "c.yaml", "--paths")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


GROUP = 54300


def share(folder, *, group_may_write):
    """A folder of a group's, as ``chgrp GROUP`` and ``chmod g+ws`` make it."""
    os.chown(folder, 54321, GROUP)
    folder.chmod(0o2775 if group_may_write else 0o755)


@pytest.mark.slow
@pytest.mark.parametrize("umask", rest_slow([0o002, 0o022]))
def test_two_users_of_a_group_build_in_turn(open_folder, umask):
    as_user = {user: partial(run_as, open_folder, user, group=GROUP, umask=umask) for user in (54321, 54322)}
    (open_folder / "c.yaml").write_text(
        "sources: [{path: source}]\nwarehouse: w\nreports: {formats: [csv]}\nnotify: {file: w/notice.json}\n"
    )
    (open_folder / "w").mkdir()
    share(open_folder / "w", group_may_write=True)
    for number, user in enumerate((54321, 54322, 54321)):
        write_pages(open_folder / "source", {("develop", "p"): [make_spec(number)], ("v1", "p"): [make_spec(0)]})
        done = as_user[user]("run", "--config", "c.yaml")
        assert done.returncode == 0, done.stderr
        assert "cannot" not in done.stderr
    assert ask(open_folder / "w", "select count(*) from specs") == [(2,)]
    assert builds(open_folder / "w") == ["000002", "000003"]


@pytest.mark.slow
def test_a_folder_that_is_not_shared_says_how_in_a_line(open_folder):
    write_pages(open_folder / "source", {("develop", "p"): [make_spec(1)]})
    (open_folder / "w").mkdir()
    first = partial(run_as, open_folder, 54321, group=GROUP, umask=0o022)
    assert first("--version").returncode == 0
    share(open_folder / "w", group_may_write=False)
    assert first("build", "source", "--warehouse", "w").returncode == 0
    done = run_as(open_folder, 54322, "build", "source", "--warehouse", "w", group=GROUP, umask=0o022)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("spack-warehouse: w/.lock: Permission denied; to share it with a group, let its owner run: ")
    (open_folder / "share.sh").write_text(line.partition("run: ")[2].replace("GROUP", str(GROUP)))
    subprocess.run(["sh", "share.sh"], cwd=open_folder, check=True)
    done = run_as(open_folder, 54322, "build", "source", "--warehouse", "w", group=GROUP, umask=0o022)
    assert (done.returncode, done.stderr) == (0, "")
