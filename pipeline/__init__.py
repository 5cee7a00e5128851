"""Spack Warehouse: what is in Spack's binary build caches, as Parquet, DuckDB views and reports.

The modules stand along the data's one-way path, and each imports only from its left::

    columns, errors, layout, words   names, failures, paths and numbers of things that every stage uses
    versions, compilers, targets     Spack's rules of order, names and compatibility, as keys and rows
    variants -> specsyntax           a spec's variants -> what a spec asks for
    -> specmatch                     -> whether a spec in a cache is that
    sources -> remote, fetch         what to build from -> what of it is fetched by URL
    source -> caches                 files -> which of them are indexes
    parse, index -> normalise        front matter, records -> checked specs
    -> extract -> merge -> write     batches of pages, indexes -> one description each -> sorted Parquet
    -> state -> warehouse            what a build knew of its input -> DuckDB
    -> checks -> report              offenders -> exported files
    have, diff, gaps, gates          the questions that are asked by command
    reader, snapshots, assemble      files -> the Parquet of each snapshot -> a published build
    -> build -> cli                  the stages in order -> the command line
"""

__version__ = "0.1.0"
