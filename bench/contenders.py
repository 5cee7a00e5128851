"""What is compared: the project's stages, and other ways of getting at the same specs.

``python -m bench.contenders NAME SOURCE SCRATCH`` runs one. The others read, decode and (where they
write) write; they validate, normalise and reject nothing.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

MARK = b"\nspec_details: "


def list_pages(source: Path) -> list[str]:
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names)


def read_details(source: Path) -> Iterator[bytes]:
    """The JSON of each page's spec_details."""
    for page in list_pages(source):
        with open(page, "rb") as file:
            data = file.read()
        start = data.index(MARK) + len(MARK)
        yield data[start : data.index(b"\n", start)]


def read_bytes(source: Path, scratch: Path) -> None:
    """Reading the bytes, and nothing else."""
    for page in list_pages(source):
        with open(page, "rb") as file:
            file.read()


def extract(source: Path, scratch: Path) -> None:
    """Spack Warehouse: extract (validated, normalised, rejects, pages; final Parquet)."""
    from pipeline.io.progress import Progress
    from pipeline.io.workers import open_workers
    from pipeline.io.workplace import HERE
    from pipeline.layout import Layout
    from pipeline.sources.files import find_sources, in_order, scan
    from pipeline.store.batches import Reader, write_snapshots
    from pipeline.store.state import choose_pages

    layout = Layout(scratch / "extract")
    build = layout.begin(layout.builds)
    spilled = build.folder / "scratch"
    spilled.mkdir()
    sources = find_sources([source])
    with open_workers(HERE, print) as workers:
        workers.start()
        entries = in_order(scan(sources))
        reader = Reader(workers, sources, spilled, Progress())
        reader.send(entries)
        write_snapshots(build, reader, choose_pages(sources, reader.collect()))


def build(source: Path, scratch: Path) -> None:
    """Spack Warehouse: whole build (views, comments, checks)."""
    from pipeline.build import build as run

    shutil.rmtree(scratch / "warehouse", ignore_errors=True)
    run([source], scratch / "warehouse")


def rebuild_unchanged(source: Path, scratch: Path) -> None:
    """Spack Warehouse: build again, nothing changed."""
    from pipeline.build import build as run

    run([source], scratch / "warehouse")


def rebuild_one_snapshot(source: Path, scratch: Path) -> None:
    """Spack Warehouse: build again, one page of one snapshot changed."""
    from pipeline.build import build as run

    page = source
    while page.is_dir():
        # Not from a list of all: making one takes longer than what is measured takes to look at them.
        page = random.choice(list(page.iterdir()))
    with page.open("rb+") as file:
        text = file.read()
        at = text.index(b'"size": "', text.index(MARK)) + len(b'"size": "')
        end = text.index(b'"', at)
        size = b"-" if text[at:end] != b"-" else b"1"
        file.seek(0)
        file.write(text[:at] + size + text[end:])
        file.truncate()
    run([source], scratch / "warehouse")


def orjson_loads(source: Path, scratch: Path) -> None:
    """orjson.loads (Python objects of every page, kept)."""
    import orjson

    _kept = [orjson.loads(details) for details in read_details(source)]


def site(source: Path, scratch: Path) -> None:
    """Site of all snapshots, with reports and data."""
    shutil.rmtree(scratch / "site", ignore_errors=True)
    site_again(source, scratch)


def site_again(source: Path, scratch: Path) -> None:
    """The same site again, nothing changed."""
    run_command("site", "--warehouse", scratch / "warehouse", "--out", scratch / "site")


def site_changed(source: Path, scratch: Path) -> None:
    """The same site again, one page of one snapshot changed."""
    site_again(source, scratch)


def report(source: Path, scratch: Path) -> None:
    """Reports of one snapshot in all formats."""
    shutil.rmtree(scratch / "reports", ignore_errors=True)
    report_again(source, scratch)


def report_again(source: Path, scratch: Path) -> None:
    """The same reports again, nothing changed."""
    formats = "csv,parquet,json,xlsx,markdown,html"
    places = ("--warehouse", scratch / "warehouse", "--out", scratch / "reports")
    run_command("report", *places, "--snapshot", "latest", "--format", formats)


def run_command(*arguments: object) -> None:
    """Run a command of the project as a user does."""
    from pipeline.__main__ import main

    sys.argv = ["spack-warehouse", *map(str, arguments)]
    main()


def arrow_json(source: Path, scratch: Path) -> None:
    """PyArrow's JSON reader to one Parquet file."""
    import pyarrow.json
    import pyarrow.parquet

    lines = io.BytesIO(b"".join(b'{"specs": %s}\n' % details for details in read_details(source)))
    options = pyarrow.json.ReadOptions(block_size=16 * 2**20)
    table = pyarrow.json.read_json(lines, options)
    pyarrow.parquet.write_table(table, scratch / "arrow.parquet", compression="zstd")


def polars_ndjson(source: Path, scratch: Path) -> None:
    """Polars read_ndjson to one Parquet file."""
    import polars

    lines = io.BytesIO(b"".join(b'{"specs": %s}\n' % details for details in read_details(source)))
    polars.read_ndjson(lines).explode("specs").unnest("specs").explode("stacks").write_parquet(
        scratch / "polars.parquet"
    )


def duckdb_statement(source: Path, scratch: Path) -> None:
    """One DuckDB statement: read_text, from_json, unnest, COPY."""
    import duckdb

    shape = '[{"compiler":"VARCHAR","hash":"VARCHAR","os":"VARCHAR","platform":"VARCHAR","size":"VARCHAR",'
    shape += '"stacks":["VARCHAR"],"target":"VARCHAR","variants":["VARCHAR"],"versions":["VARCHAR"]}]'
    duckdb.execute(
        f"""
        copy (
            with pages as (
                select filename, regexp_extract(content, 'spec_details: (\\[.*\\])', 1) as details
                from read_text('{source}/**/*.md')
            ),
            specs as (select filename, unnest(from_json(details, '{shape}')) as spec from pages)
            select
                split_part(filename, '/', -3) as snapshot, split_part(filename, '/', -2) as package,
                spec.hash, unnest(spec.stacks) as stack, spec.versions[1] as version, spec.compiler,
                spec.os, spec.platform, spec.target, spec.variants, spec.size
            from specs
            order by all
        ) to '{scratch}/duckdb.parquet' (format parquet, compression zstd)
        """
    )


def yaml_libyaml(source: Path, scratch: Path) -> None:
    """PyYAML with libyaml."""
    import yaml

    load_every(source, SAMPLES["yaml_libyaml"], yaml.CSafeLoader)


def yaml_safe_load(source: Path, scratch: Path) -> None:
    """PyYAML safe_load."""
    import yaml

    load_every(source, SAMPLES["yaml_safe_load"], yaml.SafeLoader)


def load_every(source: Path, nth: int, loader: type) -> None:
    import yaml

    for page in list_pages(source)[::nth]:
        with open(page, "rb") as file:
            next(yaml.load_all(file, Loader=loader))


CONTENDERS: dict[str, Callable[[Path, Path], None]] = {
    function.__name__: function
    for function in (
        read_bytes,
        extract,
        build,
        rebuild_unchanged,
        rebuild_one_snapshot,
        arrow_json,
        polars_ndjson,
        orjson_loads,
        duckdb_statement,
        yaml_libyaml,
        yaml_safe_load,
    )
}

PUBLISHED: dict[str, Callable[[Path, Path], None]] = {
    function.__name__: function for function in (site, site_again, site_changed, report, report_again)
}
"""What is made of a warehouse, once each and in this order; the page changes before ``site_changed``."""
SAMPLES = {"yaml_libyaml": 20, "yaml_safe_load": 200}
"""Those that read only every n-th page, since all would take minutes; their times are multiplied."""


if __name__ == "__main__":
    name, source, scratch = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    scratch.mkdir(parents=True, exist_ok=True)
    {**CONTENDERS, **PUBLISHED}[name](source, scratch)
