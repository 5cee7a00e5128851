"""Spack Warehouse: what is in Spack's binary build caches, as Parquet, DuckDB views and reports.

The modules stand along the data's one-way path, and each imports only from its left::

    columns, errors, layout          words, failures and paths that every stage uses
    source -> parse -> normalise     files -> front matter -> checked specs
    versions, compilers              what is derived from them
    -> extract -> write              batches of pages -> sorted Parquet
    -> state -> warehouse            what a build knew of its input -> DuckDB
    -> checks -> report              offenders -> exported files
    -> build -> cli                  the stages in order -> the command line
"""

__version__ = "0.1.0"
