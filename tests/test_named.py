"""What to build from: paths, URLs and YAML files of sources, with a line for each fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.errors import SourceError, WarehouseError
from pipeline.sources.files import Source, find_sources
from tests.makers import write_page, write_v2
from tests.test_buildcache import ONE, TWO, stacks


def write(tmp_path, text):
    return write_page(tmp_path, text, "sources.yaml")


def test_paths_and_urls_are_sources_each_once(tmp_path):
    page = write_page(tmp_path, "x")
    given_sources = [tmp_path, page, "https://host/x/", str(tmp_path), "https://host/x", "s3://b/k"]

    assert find_sources(given_sources) == [
        Source(str(tmp_path), written=str(tmp_path)),
        Source(str(tmp_path), "page.md", written=str(page)),
        Source("https://host/x"),
        Source("s3://b/k"),
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("ftp://h/x", "ftp://h/x: is no URL of https, http, s3 or file"),
        ("http://[::1", "is no URL of https, http, s3 or file"),
    ],
)
def test_what_is_no_source(source, reason):
    with pytest.raises(SourceError, match=reason):
        find_sources([source])


def test_a_file_of_sources(tmp_path):
    path = write(
        tmp_path,
        """
sources:
  - {name: one, url: "https://host/mirror", snapshot: mine, stack: e4s}
  - name: two
    path: mirrors/site
    stack: "1.10"
""",
    )
    write_v2(tmp_path / "mirrors" / "site", ONE)

    assert find_sources([path]) == [
        Source("https://host/mirror", None, "mine", "e4s"),
        Source(str(tmp_path / "mirrors" / "site"), None, None, "1.10", str(tmp_path / "mirrors" / "site")),
    ]


def test_mirrors_are_named_as_the_file_says(tmp_path):
    write_v2(tmp_path / "a", ONE)
    write_v2(tmp_path / "b" / "deep", TWO)
    path = write(
        tmp_path,
        "sources:\n- {path: a, snapshot: s, stack: x}\n- {path: b, snapshot: s, stack: y}\n- {path: b, stack: z}\n",
    )
    build([path], tmp_path / "warehouse", jobs=1)

    assert stacks(tmp_path / "warehouse") == {("s", "x"): 1, ("s", "y"): 2, ("b", "z"): 2}


def test_one_name_for_several_mirrors_is_refused(tmp_path):
    write_v2(tmp_path / "t" / "a", ONE)
    write_v2(tmp_path / "t" / "b", ONE)

    with pytest.raises(SourceError, match="is given one name, and holds 2 mirrors"):
        build([write(tmp_path, "sources: [{path: t, stack: x}]")], tmp_path / "warehouse", jobs=1)


FAULTS = {
    "": ["1: is no file of sources"],
    "[]": ["1: is no file of sources"],
    "source: []": ["1: unknown key 'source'", "1: is no file of sources"],
    "sources: x": ["1: sources: is not a list"],
    "sources: []": ["1: sources: is not a list"],
    "sources:\n- x": ["2: is no source"],
    "sources:\n- {}": ["2: needs one of url and path"],
    "sources:\n- {url: 'https://h/x', path: .}": ["2: needs one of url and path"],
    "sources:\n- {url: 'ftp://h/x'}": ["2: url: ftp://h/x: is no URL of https, http, s3 or file"],
    "sources:\n- path: .\n  stack: [a]\n  snap: x": ["3: stack: is not a text", "4: unknown key 'snap'"],
    "sources:\n- path: .\n  path: .": ["3: path: is given a second time"],
    "sources:\n- path: .\n  stack:": ["3: stack: is not a text"],
    "sources: {": ["1: is no YAML"],
    "sources:\n- {url: 'http://[::1'}": ["2: url: http://[::1: is no URL of https, http, s3 or file"],
    "sources: [{path: sources.yaml}]": ["1: ", "sources.yaml: names itself as a source"],
    "sources: [{path: ., ? [a] : x}]": ["1: unknown key that; known are name"],
    'sources:\n- path: .\n  snapshot: "a\\nb"': ["3: snapshot: 'a\\nb' cannot be printed"],
    "sources: !!python/name:os.system": ["1: sources: is not a list"],
}


@pytest.mark.parametrize("text", FAULTS)
def test_each_fault_has_its_line(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(WarehouseError) as caught:
        find_sources([path])
    lines = getattr(caught.value, "faults", [str(caught.value)])

    for expected in FAULTS[text]:
        assert any(expected in line for line in lines), lines
    assert all(line.startswith(f"{path}:") for line in lines)


@given(st.text(max_size=60))
def test_any_text_is_sources_or_faults(tmp_path_factory, text):
    path = write(tmp_path_factory.mktemp("any"), text.encode("utf-8", "replace"))
    with pytest.raises(WarehouseError):
        find_sources([path])
