"""Tags beside pages: which stacks each snapshot should have, and a check of it."""

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.errors import FileFaultsError
from pipeline.sources.tags import LARGEST, MOST_ROWS, parse_tags
from tests.commands import run
from tests.makers import ask, make_spec, write_page, write_pages

PAGES = {
    ("develop", "hdf5"): [make_spec(1, stacks=["e4s", "root"]), make_spec(2, stacks=["hep"])],
    ("v1.0", "hdf5"): [make_spec(3, stacks=["e4s"])],
}
AGREED = [
    {"name": "develop", "stacks": ["e4s", "hep", "root"]},
    {"name": "v1.0", "stacks": ["e4s"]},
    {"name": "v0.9", "stacks": ["not", "here"]},
]


def write_site(folder, tags):
    write_pages(folder, PAGES)
    return write_page(folder, tags if isinstance(tags, str | bytes) else yaml.safe_dump(tags), "_data/tags.yaml")


def check(warehouse):
    """What the check says: its line and those of its offenders."""
    lines = run("check", "--warehouse", warehouse).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if "stacks_are_as_tagged" in line)
    end = start + 1
    while lines[end].startswith(" "):
        end += 1
    return lines[start:end]


@pytest.mark.parametrize("source", ["", "_cache"])
def test_snapshots_that_have_the_stacks_of_the_tags_pass(tmp_path, source):
    write_site(tmp_path / "site", AGREED)
    done = run("build", tmp_path / "site" / source, "--warehouse", tmp_path / "w")
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(tmp_path / "w", "select count(*) from tags") == [(6,)]
    assert check(tmp_path / "w")[0].startswith("ok")


def test_stacks_that_do_not_agree_are_listed_and_change_with_the_file(tmp_path):
    tags = write_site(tmp_path / "site", [{"name": "develop", "stacks": ["e4s", "gone"]}])

    done = run("build", tmp_path / "site/_cache", "--warehouse", tmp_path / "w")

    assert done.returncode == 0
    assert "stacks_are_as_tagged" in done.stderr
    shown = "\n".join(check(tmp_path / "w"))
    assert [words in shown for words in ("gone", "tagged, and no spec of it is here", "hep", "not tagged")] == [
        True
    ] * 4
    assert "v1.0" not in shown

    tags.write_text(yaml.safe_dump(AGREED))
    assert run("build", tmp_path / "site/_cache", "--warehouse", tmp_path / "w").stderr == ""
    assert check(tmp_path / "w")[0].startswith("ok")
    assert "no snapshot changed" in run("build", tmp_path / "site/_cache", "--warehouse", tmp_path / "w").stdout
    tags.unlink()
    run("build", tmp_path / "site/_cache", "--warehouse", tmp_path / "w")
    assert ask(tmp_path / "w", "select count(*) from tags") == [(0,)]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        ("- name: [", ":1: is no YAML: "),
        ("{a: b}", "is no list of snapshots"),
        ("", "is no list of snapshots"),
        ("[" * 3000, "is nested too deeply"),
        ("x" * (LARGEST + 1), "is larger than 1 MiB"),
        ("- a\n- {name: x}\n- {name: develop, stacks: [e4s, hep]}\n", ":1: is no snapshot with a name and a list of"),
        ("- {name: develop, stacks: [e4s, hep]}\n- {name: [], stacks: []}\n", ":2: is no snapshot with a name"),
        ("- {name: develop, stacks: [e4s, hep, {a: b}]}\n", ":1: is no snapshot with a name"),
        (f"- &a {{name: d, stacks: [{'x,' * 1000}]}}\n" + "- *a\n" * 200, f"lists more than {MOST_ROWS:,} stacks"),
    ],
)
def test_a_damaged_file_is_a_line_and_nothing_is_lost(tmp_path, tags, reason):
    write_site(tmp_path / "site", tags)

    for _ in range(2):
        done = run("build", tmp_path / "site", "--warehouse", tmp_path / "w")
        assert done.returncode == 0
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
        assert f"{tmp_path}/site/_data/tags.yaml" in line
        assert reason in line
        assert ask(tmp_path / "w", "select count(*) from specs") == [(3,)]


def test_what_cannot_be_opened_is_a_line(tmp_path):
    tags = write_site(tmp_path / "site", AGREED)
    tags.unlink()
    tags.mkdir()
    done = run("build", tmp_path / "site", "--warehouse", tmp_path / "w")
    assert done.returncode == 0
    assert "_data/tags.yaml: cannot be read" in done.stderr


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5)


@given(st.dictionaries(names, st.lists(names, max_size=4), max_size=4))
def test_what_is_written_is_read(tags):
    text = yaml.safe_dump([{"name": name, "stacks": stacks} for name, stacks in tags.items()], allow_unicode=True)
    warnings = []
    found = list(parse_tags(text.encode(), "tags", warnings))
    assert (found, warnings) == ([(name, stack) for name, stacks in tags.items() for stack in stacks], [])


@given(st.binary(max_size=80) | st.text("-[]{}:&*a \n\"'", max_size=60).map(str.encode))
def test_any_bytes_are_tags_or_a_line(data):
    with contextlib.suppress(FileFaultsError):
        assert all(len(row) == 2 for row in parse_tags(data, "tags", []))


def test_a_build_by_program_has_them_too(tmp_path):
    write_site(tmp_path / "site", AGREED)
    summary = build([tmp_path / "site"], tmp_path / "w", jobs=1)
    assert [one.name for one in summary.checks if one.offenders] == []
