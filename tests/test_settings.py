"""Users' YAML is read as it was written, and each fault is reported with its file, line and place."""

import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import parse_config, read_config
from pipeline.errors import FileFaultsError
from pipeline.settings import RunSettings, SourcesFile, parse_gates, read_gates, read_known_gaps
from pipeline.sources.files import Source, find_sources
from pipeline.yamlfiles.models import SettingsFile
from tests.makers import write_page

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "gates.yaml"
WRITTEN = [*ROOT.glob("examples/*.yaml"), *ROOT.glob("contrib/*.yaml")]


def read_run(text, folder=Path("/x")):
    """The settings of a run, and their faults."""
    file = SettingsFile(text, "c.yaml", folder)
    return file.read(RunSettings), file.list_faults()


# What is accepted


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_every_file_that_comes_with_the_project_is_accepted(path):
    if path.name == "known.yaml":
        assert read_known_gaps(path).known
    else:
        assert (read_gates(path).count if path == EXAMPLE else read_config(path).gates.count) > 0


def test_texts_stay_as_they_were_written():
    text = """
sources:
- {path: 1.10, snapshot: 0.18, stack: 2025-01-01, name: yes, optional: yes}
- {url: https://h/x, snapshot: 0x10, stack: "null"}
warehouse: 007
snapshots: 0.18
stacks: [2025-03-30, 1e3, on]
gates:
  snapshot: 0.20
  lost: {baseline: 2025-01-01, stacks: [1.10], allow: [{package: 7, reason: 1_0, expires: 2025-12-31}]}
"""
    read, faults = read_run(text)

    assert faults == []
    assert [one.model_dump(exclude_none=True) for one in read.sources] == [
        {"path": "1.10", "snapshot": "0.18", "stack": "2025-01-01", "name": "yes", "optional": True},
        {"url": "https://h/x", "snapshot": "0x10", "stack": "null", "optional": False},
    ]
    assert (read.warehouse, read.snapshots, read.stacks) == (Path("/x/007"), ("0.18",), ("2025-03-30", "1e3", "on"))
    assert (read.gates.snapshot, read.gates.lost.baseline, read.gates.lost.stacks) == ("0.20", "2025-01-01", ("1.10",))
    (allowance,) = read.gates.lost.allow
    assert (allowance.package, allowance.stack, allowance.reason) == ("7", "*", "1_0")
    assert allowance.expires == dt.date(2025, 12, 31)
    assert {type(one) for one in (*read.snapshots, *read.stacks, allowance.package)} == {str}


@pytest.mark.parametrize("quote", ["", "'", '"', "!!str "])
def test_dates_and_numbers_may_be_quoted(quote):
    ended = quote if quote in ("'", '"') else ""
    text = (
        f"fresh: {{days: {quote}7{ended}}}\ncoverage: [{{stack: a, minimum: {quote}0.5{ended}}}]\n"
        f"lost: {{baseline: a, allow: [{{stack: a, reason: b, expires: {quote}2025-12-31{ended}}}]}}\n"
    )
    gates = parse_gates(text, "g")

    assert (gates.fresh.days, gates.coverage[0].minimum) == (7, 0.5)
    assert gates.lost.allow[0].expires == dt.date(2025, 12, 31)


@pytest.mark.parametrize(("text", "flag"), [(text, True) for text in ("true", "yes", "on", "True", "YES", "'On'")])
def test_flags_have_the_words_of_yaml(text, flag):
    off = {"true": "false", "yes": "no", "on": "off"}[text.strip("'").lower()]

    assert read_run(f"sources: [{{path: a}}]\nstrict: {text}\n")[0].strict is flag
    assert read_run(f"sources: [{{path: a}}]\nstrict: {off.upper()}\n")[0].strict is not flag


@pytest.mark.parametrize("value", ["e4s", "[e4s]", "[e4s, e4s]"])
def test_one_text_is_a_list_of_it_alone(value):
    assert read_run(f"sources: [{{path: a}}]\nstacks: {value}\nsnapshots: []\n")[0].stacks == ("e4s",)


@pytest.mark.parametrize("nothing", ["", " ~", " null", " !!null ''"])
def test_a_key_of_a_run_without_a_value_is_left_out(nothing):
    bare = read_run("sources: [{path: a}]")
    keys = [key for key in RunSettings.model_fields if key != "sources"]
    given_all = "sources: [{path: a}]\n" + "".join(f"{key}:{nothing}\n" for key in keys)

    assert read_run(given_all) == bare
    assert read_run(f"sources: [{{path: a}}]\nreports:\n  out:{nothing}\n  keep:{nothing}\n") == bare


def test_aliases_and_the_last_of_two_lists_of_sources_count(tmp_path):
    path = write_page(tmp_path, "sources: &a [{path: ., stack: &s e4s}]\nsources: *a\n", "sources.yaml")
    assert find_sources([path]) == [Source(str(tmp_path), None, None, "e4s", str(tmp_path))]
    gates = parse_gates("coverage:\n- &a {stack: b, packages: 1}\n- *a\n", "g")
    assert [one.line for one in gates.coverage] == [2, 2]


# What is refused


def test_all_faults_are_reported_at_once_in_the_order_of_lines():
    text = (
        "log: xml\nnotify: {timeout: 0, file: ''}\nsources:\n- {pth: a}\n- 3\ngates:\n  fresh: {days: -1}\n"
        "jobs: 0\nreports: {formats: [csv, pdf]}\n"
    )
    read, faults = read_run(text)

    assert faults == [
        "c.yaml:1: log: 'xml' is none of: text, json",
        "c.yaml:2: notify.file: a text is expected",
        "c.yaml:2: notify.timeout: '0' is no whole number from 1 on",
        "c.yaml:4: needs one of url and path",
        "c.yaml:4: unknown key 'pth'; known are name, url, path, snapshot, stack, optional",
        "c.yaml:5: is no source: it is not a mapping",
        "c.yaml:7: fresh.days: '-1' is no whole number from 0 on",
        "c.yaml:8: jobs: '0' is no whole number from 1 on",
        "c.yaml:9: reports.formats[1]: 'pdf' is none of: csv, parquet, json, xlsx, markdown, html",
    ]
    assert (read.sources, read.gates, read.jobs, read.notify.timeout) == ((None, None), None, None, 10)


@pytest.mark.parametrize(
    "text",
    [
        "&a {coverage: [*a, *a], lost: *a, ? *a : 1}",
        "&a [*a]",
        "&a {sources: [*a, {path: *a}], reports: *a, notify: {file: *a}, gates: *a}",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n" + "\n".join(f"d{n}: [*c, *c]" for n in range(20)),
        "sources: " + "[" * 150 + "]" * 150,
    ],
)
@pytest.mark.parametrize("model", [RunSettings, SourcesFile])
def test_aliases_and_depth_harm_nothing(text, model):
    file = SettingsFile(text, "c", Path())
    file.read(model)

    assert file.list_faults()
    with pytest.raises(FileFaultsError):
        parse_gates(text, "g")
    with pytest.raises(FileFaultsError):
        parse_config(text, "c")


@pytest.mark.parametrize("number", ["9" * 10, "9" * 5000])
def test_the_size_of_numbers_is_limited(number):
    with pytest.raises(FileFaultsError, match=r"rejects.maximum: '9+' is too large"):
        parse_gates(f"rejects: {{maximum: {number}}}", "g")


def test_no_file_has_an_unprintable_name():
    with pytest.raises(FileFaultsError) as caught:
        parse_gates('coverage: [{stack: a, minimum: 1, expected: "a\\nb"}]', "g")
    assert caught.value.faults == ["g:1: coverage[0].expected: 'a\\nb' is no path"]


# Files of gates


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["g: is empty: no gate is in it"]),
        ("{}", ["g:1: no gate is in it"]),
        (
            "- 1",
            ["g:1: gates: keys are expected: snapshot, coverage, lost, rejects, meta_mismatches, fresh, installable"],
        ),
        ("fresh: [", ["g:1: is no YAML: "]),
        ("\x00", ["g:1: is no YAML: "]),
        ("covrage: []", ["g:1: gates: 'covrage' is no key of it; there are: snapshot, coverage, lost"]),
        ("fresh: {days: 1}\nfresh: {days: 2}", ["g:2: gates: 'fresh' a second time"]),
        ("fresh: 3", ["g:1: fresh: keys are expected: days"]),
        ("fresh: {}", ["g:1: fresh: 'days' is missing"]),
        ("fresh:\n  days: soon", ["g:2: fresh.days: 'soon' is no whole number from 0 on"]),
        ("rejects:\n  maximum: -1", ["g:2: rejects.maximum: '-1' is no whole number from 0 on"]),
        ("coverage: x", ["g:1: coverage: a list is expected"]),
        (
            "coverage:\n- minimum: 1.5\n- stack: [a]\n  packages: 1.5\n"
            "- {stack: a}\n- {stack: a, expected: f, packages: 1}",
            [
                "g:2: coverage[0].minimum: '1.5' is no share from 0 to 1",
                "g:2: coverage[0]: 'stack' is missing",
                "g:3: coverage[1].stack: a text is expected",
                "g:4: coverage[1].packages: '1.5' is no whole number from 0 on",
                "g:5: coverage[2]: 'minimum' or 'packages' is missing",
                "g:6: coverage[3]: 'expected' needs a 'minimum'",
            ],
        ),
        ("coverage: [{stack: a, minimum: .nan}]", ["g:1: coverage[0].minimum: '.nan' is no share from 0 to 1"]),
        ("coverage: [{stack: a, minimum: nan}]", ["g:1: coverage[0].minimum: 'nan' is no share from 0 to 1"]),
        (
            "lost:\n  baseline: ~\n  allow:\n  - {package: a, reason: '', expires: soon}\n"
            "  - {reason: a, expires: 2025-1-1}",
            [
                "g:2: lost.baseline: a text is expected",
                "g:4: lost.allow[0].expires: 'soon' is no date such as 2026-12-31",
                "g:4: lost.allow[0].reason: a text is expected",
                "g:5: lost.allow[1].expires: '2025-1-1' is no date",
                "g:5: lost.allow[1]: 'package' or 'stack' is missing",
            ],
        ),
        ("lost: {}", ["g:1: lost: 'baseline' is missing"]),
        (
            "lost: {baseline: a, allow: [{package: a}]}",
            ["g:1: lost.allow[0]: 'expires' is missing", "g:1: lost.allow[0]: "],
        ),
    ],
)
def test_each_fault_of_a_file_is_a_line_with_its_place(text, faults):
    with pytest.raises(FileFaultsError) as caught:
        parse_gates(text, "g")

    assert len(caught.value.faults) == len(faults), caught.value.faults
    for found, expected in zip(caught.value.faults, faults, strict=True):
        assert found.startswith(expected)
        assert "\n" not in found


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.sampled_from(["*", "previous", "2025-01-01", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "coverage",
                    "stack",
                    "minimum",
                    "packages",
                    "expected",
                    "lost",
                    "baseline",
                    "allow",
                    "reason",
                    "expires",
                    "fresh",
                    "days",
                    "rejects",
                    "maximum",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(junk)
def test_any_file_gives_gates_or_faults(value):
    try:
        gates = parse_gates(json.dumps(value), "g")
    except FileFaultsError as error:
        faults, count = error.faults, 0
    else:
        faults, count = [], gates.count
    assert bool(faults) != bool(count)
    assert all(re.match("g(:[0-9]+)?: ", fault) for fault in faults)


def test_the_example_is_right():
    gates = read_gates(EXAMPLE)

    assert gates.count == 7
    assert gates.coverage[2].expected == EXAMPLE.parent / "expected.txt"
    assert gates.lost.allow[0].expires == dt.date(2025, 6, 30)


# What is loaded


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["build", "{pages}", "--warehouse", "{w}"], ["have", "zlib", "--warehouse", "{w}"]],
    ids=lambda arguments: arguments[0],
)
def test_where_no_such_file_is_read_pydantic_is_not_loaded(arguments, tmp_path):
    pages = ROOT / "tests" / "data" / "pages"
    given_arguments = [one.format(pages=pages, w=tmp_path / "w") for one in arguments]
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('LOADED', 'pydantic' in sys.modules, file=sys.stderr))\n"
        f"from pipeline.cli import cli\ncli({given_arguments!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert "LOADED False" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
