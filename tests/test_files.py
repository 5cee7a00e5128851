"""Files are found wherever they lie, and reading one never blocks, bursts or lies."""

import hashlib
import os

import pytest

from pipeline.errors import Fault
from pipeline.sources import files as source
from pipeline.sources.files import Source, find_sources, in_order, read_page_bytes, scan
from tests.makers import make_page, make_spec, write_page


def paths(folder, **options):
    return [entry.path for entry in in_order(scan(find_sources([folder]), **options))]


def test_folders_are_searched_to_the_bottom(tmp_path):
    for name in ("a/b/c/specs.md", "x.txt", ".hidden/page", "a/y"):
        write_page(tmp_path, "text", name)

    assert paths(tmp_path) == [".hidden/page", "a/b/c/specs.md", "a/y", "x.txt"]


def test_a_single_file_is_a_source_of_its_own_name(tmp_path):
    page = write_page(tmp_path, "text", "specs.md")
    write_page(tmp_path, "text", "other.md")
    (source,) = find_sources([page])

    assert paths(page) == ["specs.md"]
    assert source.locate(next(iter(scan([source])))) == str(page)


def test_git_and_the_warehouse_itself_are_passed_over(tmp_path):
    for name in (".git/config", "warehouse/x", "page"):
        write_page(tmp_path, "text", name)

    assert paths(tmp_path, skip=[tmp_path / "warehouse"]) == ["page"]


def test_links_are_followed_each_folder_once_and_never_in_circles(tmp_path):
    write_page(tmp_path / "elsewhere", "text", "page")
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    (folder / "up").symlink_to(folder)
    (folder / "file").symlink_to(tmp_path / "elsewhere" / "page")

    found = paths(folder)
    assert "file" in found
    assert len(found) == 2
    assert sum(path.endswith("/page") for path in found) == 1


def test_a_folder_that_links_lead_to_goes_by_its_own_name(tmp_path):
    """Whatever order the file system lists them in: ``latest`` beside the snapshot that it leads to."""
    for name in ("develop", "v1"):
        write_page(tmp_path / "source", "text", f"{name}/page")
        for link in ("a-latest", "latest", "z-latest"):
            (tmp_path / "source" / f"{link}-{name}").symlink_to(name)
    write_page(tmp_path / "elsewhere", "text", "deep/page")
    (tmp_path / "source" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "source")
    (tmp_path / "source" / "deep").symlink_to(tmp_path / "elsewhere" / "deep")

    assert paths(tmp_path / "source") == ["deep/page", "develop/page", "v1/page"]


def test_a_link_to_a_folder_whose_name_begins_alike_is_followed(tmp_path):
    write_page(tmp_path / "pages-old", "text", "page")
    write_page(tmp_path / "pages", "text", "own")
    (tmp_path / "pages" / "old").symlink_to(tmp_path / "pages-old")

    assert paths(tmp_path / "pages") == ["old/page", "own"]


def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    assert paths(tmp_path) == []
    assert read_page_bytes(str(tmp_path / "pipe")) == (None, "")


def test_a_source_that_does_not_exist_has_a_fault(tmp_path):
    (source,) = find_sources([tmp_path / "nothing"])
    assert (source.name, source.fault) == (str(tmp_path / "nothing"), "no such file or folder")


def test_a_name_that_is_no_utf8_is_still_an_entry(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.md")).write_text("text")

    assert paths(tmp_path) == ["\\xff.md"]


def test_a_page_comes_with_its_digest(tmp_path):
    text = make_page([make_spec()]).encode()
    page = write_page(tmp_path, text)

    assert read_page_bytes(str(page)) == (text, hashlib.sha256(text).hexdigest())


@pytest.mark.parametrize("text", ["# README\n", "--\n", "x" * 3_000_000])
def test_what_cannot_be_a_page_has_no_bytes(tmp_path, text):
    assert read_page_bytes(str(write_page(tmp_path, text))) == (None, "")


def test_a_page_larger_than_one_read_comes_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "FIRST_READ", 10)
    text = make_page([make_spec(number) for number in range(50)]).encode()

    assert read_page_bytes(str(write_page(tmp_path, text)))[0] == text


def test_a_page_of_200_mb_is_refused_without_reading_it(tmp_path):
    page = write_page(tmp_path, "---\n")
    os.truncate(page, 200_000_000)

    with pytest.raises(Fault, match="larger than 64 MiB"):
        read_page_bytes(str(page))


@pytest.mark.parametrize("kind", ["dangling", "loop", "folder", "gone"])
def test_what_cannot_be_read_is_a_fault_that_says_why(tmp_path, kind):
    path = tmp_path / "page"
    if kind == "dangling":
        path.symlink_to(tmp_path / "nothing")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()

    with pytest.raises(Fault, match=r"cannot be (read|listed)"):
        read_page_bytes(str(path))


def test_a_page_that_keeps_changing_is_a_fault(tmp_path, monkeypatch):
    page = write_page(tmp_path, make_page([make_spec()]))
    read = os.read

    def read_and_change(descriptor, size):
        data = read(descriptor, size)
        with page.open("ab") as file:
            file.write(b"more")
        return data

    monkeypatch.setattr(os, "read", read_and_change)
    with pytest.raises(Fault, match="changes while it is read"):
        read_page_bytes(str(page))


@pytest.mark.parametrize(
    ("root", "place"),
    [
        (Source("/a"), "/a"),
        (Source("/"), "/"),
        (Source("/a", "p.md"), "/a/p.md"),
        (Source("https://me:SECRET@h/x?SECRET"), "https://h/x"),
    ],
)
def test_a_source_is_named_without_what_is_secret(root, place):
    assert root.place == place
