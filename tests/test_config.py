"""A configuration is read as it was meant, and each fault in one is reported with its file and line."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import parse_config, read_config
from pipeline.errors import FileFaultsError
from pipeline.io.workplace import Workplace
from pipeline.settings import Notify, Reports, RunSettings
from pipeline.sources.buildcache import Choice
from pipeline.words import DEFAULT_FORMATS

ROOT = Path(__file__).parent.parent
KEYS = tuple(RunSettings.model_fields)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "gates.yaml").write_text("rejects:\n  maximum: 0\n")
    return tmp_path


def faults_of(text, folder):
    with pytest.raises(FileFaultsError) as caught:
        parse_config(text, "c.yaml", folder)
    return caught.value.faults


def test_what_is_left_out_is_as_documented(folder):
    config = parse_config("sources:\n  - path: pages\n", "c.yaml", folder)

    assert [Path(root.folder) for root in config.sources] == [folder / "pages"]
    assert config.warehouse == folder / "warehouse"
    assert config.out == folder / "warehouse" / "reports"
    assert config.reports == Reports.model_construct(formats=DEFAULT_FORMATS)
    assert config.notify == Notify.model_construct(file=None, webhook=None, timeout=10)
    assert (config.cache, config.offline, config.strict, config.gates) == (None, False, False, None)
    assert config.workplace == Workplace()
    assert (config.choice, config.log) == (Choice(), "text")


def test_a_key_without_a_value_is_left_out(folder):
    keys = [key for key in KEYS if key != "sources"]
    bare = parse_config("sources: [{path: pages}]\n", "c.yaml", folder)

    assert parse_config("sources: [{path: pages}]\n" + "".join(f"{key}:\n" for key in keys), "c.yaml", folder) == bare
    nested = "reports: {out: , formats: ~, keep: null}\nnotify:\n  file:\n  timeout:\n"
    assert parse_config(f"sources: [{{path: pages}}]\n{nested}", "c.yaml", folder) == bare


def test_every_key_is_read(folder):
    text = """
sources:
  - {name: a, path: pages, snapshot: s, stack: t}
  - url: https://example.org/m/
warehouse: w
cache: c
offline: yes
jobs: 2
snapshots: [develop*, v1]
stacks: e4s
strict: true
gates: gates.yaml
reports: {out: ../r, formats: [xlsx, csv, xlsx], snapshots: newest, keep: 3}
notify: {file: n.json, webhook: HOOK_URL, timeout: 5}
log: json
"""
    config = parse_config(text, "c.yaml", folder)

    assert [(root.folder, root.snapshot, root.stack) for root in config.sources] == [
        (str(folder / "pages"), "s", "t"),
        ("https://example.org/m", None, None),
    ]
    assert (config.warehouse, config.cache) == (folder / "w", folder / "c")
    assert (config.offline, config.workplace.jobs, config.strict, config.log) == (True, 2, True, "json")
    assert config.choice == Choice(("develop*", "v1"), ("e4s",))
    assert config.gates.rejects.maximum == 0
    assert config.gates.name == str(folder / "gates.yaml")
    out = folder.parent / "r"
    assert config.out == out
    reports = {"out": out, "formats": ("xlsx", "csv"), "snapshots": ("newest",), "keep": 3}
    assert config.reports == Reports.model_construct(**reports)
    assert config.notify == Notify.model_construct(file=folder / "n.json", webhook="HOOK_URL", timeout=5)


def test_gates_may_stand_in_the_file(folder):
    text = "sources:\n  - path: pages\ngates:\n  fresh:\n    days: 7\n"
    config = parse_config(text, "c.yaml", folder)

    assert (config.gates.fresh.days, config.gates.fresh.line, config.gates.name) == (7, 5, "c.yaml")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["c.yaml: is empty: 'sources' is missing"]),
        ("- a\n", ["c.yaml:1: configuration: keys are expected: " + ", ".join(KEYS)]),
        ("sources: [\n", ["c.yaml:2: is no YAML: expected the node content, but found '<stream end>'"]),
        ("sources: []\n", ["c.yaml:1: sources: no source is in it"]),
        ("sources: pages\n", ["c.yaml:1: sources: a list is expected"]),
        ("{ok}  - path: nowhere\njobs: 0\n", ["c.yaml:4: *"]),
        ("{ok}jobs: " + "[" * 3000, ["c.yaml:3: is nested too deeply"]),
        ('{ok}warehouse: "\\UFFFFFFFF"\n', ["c.yaml:3: is no YAML: the number of an escape *"]),
        ('{ok}warehouse: "\\uD800"\n', ["c.yaml:3: is no YAML: an escape is half of a character"]),
        ("{ok}warehouse: \0\n", ["c.yaml:3: is no YAML: the character U+0000 is not allowed"]),
        ('sources: [{url: "http://[::1"}]', ["c.yaml:1: url: http://[::1: is no URL of https, http, s3 or file"]),
        ("sources: [{path: loop.yaml}]", ["{folder}/loop.yaml:1: {folder}/loop.yaml: names itself *"]),
        ("sources:\n  - url: ftp://a\n", ["c.yaml:2: url: ftp://a: is no URL of https, http, s3 or file"]),
        ("sources:\n  - path: bad.yaml\n", ["{folder}/bad.yaml:1: is no file of sources: it has no key 'sources'"]),
        ("sources:\n  - path: worse.yaml\n", ["{folder}/worse.yaml:2: is no YAML: *"]),
        ("{ok}sourcse: x\n", ["c.yaml:3: configuration: 'sourcse' is no key of it; there are: " + ", ".join(KEYS)]),
        ("{ok}strict: perhaps\n", ["c.yaml:3: strict: 'perhaps' is neither true nor false"]),
        ("{ok}jobs: 0\n", ["c.yaml:3: jobs: '0' is no whole number from 1 on"]),
        (
            "{ok}site:\n  base_url: example.org\n",
            ["c.yaml:4: site.base_url: 'example.org' is not an https:// or http:// address"],
        ),
        ("{ok}site: {docs: docs}\n", ["c.yaml:3: site.docs: 'docs' is not an https:// or http:// address"]),
        ("{ok}site: {ou: s}\n", ["c.yaml:3: site: *'ou'*"]),
        ("{ok}site: {out: pages}\n", ["c.yaml:3: site.out: *pages: holds the source *"]),
        (
            "{ok}site: {out: s}\nnotify: {file: s/n.json}\n",
            ["c.yaml:4: notify.file: *: lies in the folder of the site"],
        ),
        ("{ok}workers: dask\n", ["c.yaml:3: workers: 'dask' is neither local:N nor dask:ADDRESS*"]),
        ("{ok}workers: local:0\n", ["c.yaml:3: workers: 'local:0' is neither local:N nor dask:ADDRESS*"]),
        ("{ok}jobs: 2\nworkers: local:2\n", ["c.yaml:*: jobs and workers both say where to work: name one"]),
        ("{ok}log: xml\n", ["c.yaml:3: log: 'xml' is none of: text, json"]),
        ("{ok}gates: none.yaml\n", ["c.yaml:3: gates: {folder}/none.yaml: No such file or directory"]),
        ("{ok}gates: bad.yaml\n", ["{folder}/bad.yaml:1: gates: 'x' is no key of it; *"]),
        ("{ok}gates:\n  rejects: {maximum: -1}\n", ["c.yaml:4: rejects.maximum: '-1' is no whole number from 0 on"]),
        (
            "{ok}reports:\n  formats: [csv, pdf]\n  keep: 0\n",
            [
                "c.yaml:4: reports.formats[1]: 'pdf' is none of: *",
                "c.yaml:5: reports.keep: '0' is no whole number from 1 on",
            ],
        ),
        (
            "{ok}notify:\n  webhook: https://hooks.example.org/SECRET\n  timeout: soon\n",
            [
                "c.yaml:4: notify.webhook: is no name of an environment variable",
                "c.yaml:5: notify.timeout: 'soon' is no whole number from 0 on",
            ],
        ),
        ("{ok}jobs: ٣\n", ["c.yaml:3: jobs: '٣' is no whole number from 0 on"]),
        ("{ok}jobs: 1_0\n", ["c.yaml:3: jobs: '1_0' is no whole number from 0 on"]),
        (
            "{ok}reports:\n  keep: 12345678901234567890\n",
            ["c.yaml:4: reports.keep: '12345678901234567890' is too large"],
        ),
        ("{ok}reports:\n  formats: []\n", ["c.yaml:4: reports.formats: none is in it; there are: *"]),
        ("{ok}gates:\n  coverage: [{stack: a, minimum: 0_0.5}]\n", ["c.yaml:4: coverage[0].minimum: '0_0.5' is no *"]),
        ("{ok}? [a, {b: c}]\n: x\n", ["c.yaml:3: configuration: that is no key of it; *"]),
        ("sources:\n", ["c.yaml:1: sources: a list is expected"]),
        (
            "{ok}warehouse: ''\nwarehouse: a\n",
            ["c.yaml:3: warehouse: a text is expected", "c.yaml:4: configuration: *"],
        ),
    ],
)
def test_each_fault_has_its_line(folder, text, faults):
    (folder / "bad.yaml").write_text("x: 1\n")
    (folder / "worse.yaml").write_text("x: [\n")
    (folder / "loop.yaml").write_text("sources: [{path: loop.yaml}]\n")
    if text.endswith("bad.yaml\n") and "sources:\n" in text:
        faults = [*faults, "{folder}/bad.yaml:1: unknown key 'x'; known are sources, allow_hosts"]
    found = faults_of(text.replace("{ok}", "sources:\n  - path: pages\n"), folder)

    assert len(found) == len(faults), found
    for fault in faults:
        start, star, _ = fault.replace("{folder}", str(folder)).partition("*")
        assert [one for one in found if one.startswith(start) and (star or one == start)], found


def test_a_missing_source_is_no_fault_of_the_file(folder):
    (folder / "more.yaml").write_text("sources:\n  - path: pages\n  - path: gone\n")
    (folder / "dead.yaml").symlink_to("nowhere")
    text = "sources:\n  - path: more.yaml\n  - path: nowhere\n  - path: dead.yaml\n"
    config = parse_config(text, "c.yaml", folder)

    assert [(Path(source.name), source.fault) for source in config.sources] == [
        (folder / "pages", ""),
        (folder / "gone", "no such file or folder"),
        (folder / "nowhere", "no such file or folder"),
        (folder / "dead.yaml", "No such file or directory"),
    ]


def test_a_configuration_is_no_source_of_itself(folder):
    (folder / "c.yaml").write_text("sources: [{path: other.yaml}]\n")
    (folder / "other.yaml").write_text("sources: [{path: c.yaml}]\n")
    with pytest.raises(FileFaultsError) as caught:
        read_config(folder / "c.yaml")

    (fault,) = caught.value.faults
    assert fault == f"{folder}/other.yaml:1: {folder}/c.yaml: names itself as a source, if only by another file"


def test_messages_have_the_paths_as_they_were_written(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "pages" / "a").mkdir()
    (folder / "more.yaml").write_text("sources: [{path: pages/a}]\n")
    text = f"sources: [{{path: pages}}, {{path: more.yaml}}, {{path: {folder}}}]\n"
    config = parse_config(text, "c.yaml")

    assert config.show_paths(f"in {folder}/pages, {folder}/pages/a") == "in pages, pages/a"
    assert config.show_paths(f"{folder}/pages/p.md: bad") == "pages/p.md: bad"
    for other in (f"{folder}/pages2", f"/x{folder}/pages", f"in {folder}"):
        assert config.show_paths(other) == other
    assert parse_config("sources: [{url: 'https://h/x'}]\n", "c.yaml").show_paths("in /x") == "in /x"


def test_a_webhook_in_the_file_is_not_repeated(folder):
    text = "sources:\n  - path: pages\nnotify: {webhook: 'https://hooks.example.org/SECRET'}\n"
    assert "SECRET" not in "".join(faults_of(text, folder))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(FileFaultsError, match="is not UTF-8 text"):
        read_config(tmp_path / "c.yaml")


def test_what_is_no_path_is_refused(folder):
    text = 'sources: [{path: pages}]\nwarehouse: "a\\nnotification=b"\nnotify: {file: "n\\0"}\n'

    assert faults_of(text, folder) == [
        "c.yaml:2: warehouse: 'a\\nnotification=b' is no path",
        "c.yaml:3: notify.file: 'n\\x00' is no path",
    ]


INTERNAL = ["w", "w/.", "w/pages", "w/pages/x", "w/.builds", "w/.current/x", "w/.lock", "w/warehouse.duckdb", "link/x"]


@pytest.mark.parametrize("path", INTERNAL)
@pytest.mark.parametrize("key", ["reports: {out: %s}", "notify: {file: %s}", "cache: %s"])
def test_what_the_warehouse_keeps_is_not_written_to(folder, path, key):
    (folder / "link").symlink_to("w/.builds")
    text = f"sources: [{{path: pages}}]\nwarehouse: w\n{key % path}\n"
    (fault,) = faults_of(text, folder)

    assert fault.startswith("c.yaml:3: ")
    assert fault.endswith(f": is what the warehouse {folder}/w itself keeps")


def test_no_source_lies_where_a_build_puts_its_own(folder):
    (fault,) = faults_of("warehouse: .\nsources: [{path: pages}]\n", folder)
    assert fault == f"c.yaml:2: sources: {folder}/pages: is what the warehouse {folder} itself keeps"


@pytest.mark.parametrize("path", ["w/reports", "w/site", "../w", "pages2", "w2/pages"])
def test_reports_may_lie_beside_what_the_warehouse_keeps(folder, path):
    config = parse_config(
        f"sources: [{{path: pages}}]\nwarehouse: w\nreports: {{out: {path}}}\nnotify: {{file: w/n.json}}\n",
        "c.yaml",
        folder,
    )
    assert config.out.resolve() == (folder / path).resolve()


def test_a_source_that_holds_the_warehouse_holds_no_report(folder):
    config = parse_config("sources: [{path: .}]\nreports: {out: warehouse/reports}\n", "c.yaml", folder)
    assert config.out == folder / "warehouse" / "reports"


@pytest.mark.parametrize("path", [".", "pages", "pages/reports", "link/reports"])
def test_reports_and_sources_lie_apart(folder, path):
    (folder / "link").symlink_to("pages")
    (fault,) = faults_of(f"sources: [{{path: pages}}]\nreports:\n  out: {path}\n", folder)

    assert fault.startswith("c.yaml:3: reports.out: ")
    assert fault.endswith(f": holds the source {folder}/pages, or lies in it")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("c.yaml", "is this file"),
        ("link.yaml", "is this file"),
        ("page.md", "is a source"),
        ("warehouse/reports/index.json", "lies in the folder of the reports"),
    ],
)
def test_a_notification_replaces_nothing_else(folder, path, reason):
    (folder / "page.md").touch()
    (folder / "link.yaml").symlink_to("c.yaml")
    (folder / "c.yaml").write_text(f"sources: [{{path: page.md}}]\nnotify: {{file: {path}}}\n")
    with pytest.raises(FileFaultsError) as caught:
        read_config(folder / "c.yaml")

    assert caught.value.faults == [f"{folder}/c.yaml:2: notify.file: {folder}/{path}: {reason}"]


def test_the_example_is_read_and_explains_every_key():
    path = ROOT / "examples" / "coverage.yaml"
    text = path.read_text()
    config = read_config(path)

    assert config.gates.count == 2
    assert config.reports.keep == 12
    for key in (*KEYS, "out", "formats", "keep", "file", "webhook", "timeout"):
        assert f"\n{key}:" in text or f"\n# {key}:" in text or f"  {key}:" in text or f"# {key}:" in text, key


words = st.sampled_from([*KEYS, "path", "url", "pages", "newest", "1", "-", "[a]", "{a: b}", "null", "&a", "*a", "? "])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), words, words), max_size=8))
def test_any_text_is_read_or_refused_with_a_line(tmp_path_factory, lines):
    text = "".join(f"{'  ' * depth}{key}: {value}\n" for depth, key, value in lines)
    try:
        parse_config(text, "c.yaml", tmp_path_factory.getbasetemp())
        faults = []
    except FileFaultsError as error:
        faults = error.faults or [""]
    assert all("c.yaml" in fault and "\n" not in fault for fault in faults)
