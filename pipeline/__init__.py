"""Spack Warehouse: what is in Spack's binary build caches, as Parquet, DuckDB views and reports.

Folders are stages along the data's one way, and each imports only what stands to its left::

    sources -> specs -> store -> ask -> report -> publish

    sources    where bytes come from: files, build caches, downloads
    specs      bytes to checked specs: pages, indexes, the nodes of specs
    store      checked specs to frames, Parquet and the DuckDB file; what the last build knew
    ask        questions: have, diff, coverage, gates, what is expected, and how answers are printed
    report     files that people look at: tables, workbook, summary, page
    publish    the site: a page for each package, stack and snapshot, and what leads to them

``spack`` has Spack's own rules; ``schema``, ``settings`` and ``layout`` serve all, as do ``io`` (disk, temporary
folders, streams, progress, URLs) and ``yamlfiles``, which reads the YAML that people write. ``build``, ``schedule``,
``options``, ``queries``, ``questions``, ``sites`` and ``cli`` stand above. ``make lint`` holds every import to that
order.
"""

__version__ = "0.2.0"
