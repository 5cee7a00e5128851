"""Whether a spec in a cache is what a query asks for, and where it falls short: pure functions.

The meaning of each part is that of ``Spec.satisfies`` in Spack for a concrete spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.spack.compilers import compiler_family
from pipeline.spack.hosts import satisfies_target
from pipeline.spack.syntax import AskedCompiler, Query
from pipeline.spack.variants import Variant, meets, read_variants

AXES = ("package", "namespace", "version", "compiler", "variants", "os", "platform", "target", "hash")


@dataclass(frozen=True)
class Candidate:
    """A concrete spec: columns of the view ``specs``.

    ``compilers`` is language -> ``name@version``. It and ``namespace`` are None where the source, such as
    a page, does not tell; a namespace that is not told is not compared.
    """

    package: str
    hash: str
    version: str
    compiler: str
    os: str
    platform: str
    target: str
    variants: tuple[str, ...]
    compilers: Mapping[str, str] | None = None
    namespace: str | None = None


class Miss(NamedTuple):
    """Where a spec falls short: the axis, what was asked, what the spec has (None: nothing of it)."""

    axis: str
    asked: str
    found: str | None


def match(query: Query, spec: Candidate) -> list[str]:
    """The axes on which ``spec`` is not what ``query`` asks for, in the order of :data:`AXES`; none: a hit."""
    return list(dict.fromkeys(miss.axis for miss in find_misses(query, spec)))


def match_variants(query: Query, variants: Iterable[str]) -> str | None:
    """The first variant asked for that a spec's ``variants`` do not meet, as it was asked; None: they meet all."""
    return next((miss.asked for miss in _miss_variants(query.variants, variants)), None)


def find_misses(query: Query, spec: Candidate) -> list[Miss]:
    """Each thing asked for that ``spec`` is not, in the order of :data:`AXES`: the fewer, the nearer it is."""
    return list(_miss_each(query, spec))


def _miss_each(query: Query, spec: Candidate) -> Iterator[Miss]:
    if query.package not in (None, spec.package):
        yield Miss("package", query.package, spec.package)
    if spec.namespace is not None and query.namespace not in (None, spec.namespace):
        yield Miss("namespace", query.namespace, spec.namespace)
    if query.versions is not None and not query.versions.contains(spec.version):
        yield Miss("version", f"@{query.versions.text}", spec.version)
    for asked in query.compilers:
        if not _is_built_by(asked, spec):
            yield Miss("compiler", asked.text, spec.compiler)
    yield from _miss_variants(query.variants, spec.variants)
    if query.os not in (None, spec.os):
        yield Miss("os", query.os, spec.os)
    if query.platform not in (None, spec.platform):
        yield Miss("platform", query.platform, spec.platform)
    if query.target is not None and not satisfies_target(spec.target, query.target):
        yield Miss("target", query.target, spec.target)
    if query.hash is not None and not spec.hash.startswith(query.hash):
        yield Miss("hash", query.hash, spec.hash)


def _miss_variants(asked: Iterable[Variant], variants: Iterable[str]) -> Iterator[Miss]:
    by_name = read_variants(variants)
    for variant in asked:
        found = by_name.get(variant.name)
        if not meets(variant, found):
            yield Miss("variants", variant.text, found.text if found else None)


def _is_built_by(asked: AskedCompiler, spec: Candidate) -> bool:
    """Whether the compiler asked for built ``spec``: its languages, where some are named, or any.

    A page names one compiler, the first that provides C, then C++, then Fortran. It counts for C and
    C++; of Fortran a page tells nothing, and the answer is no.
    """
    compilers = spec.compilers
    if compilers is None:
        compilers = {"c": spec.compiler, "cxx": spec.compiler}
    if asked.languages:
        return all(language in compilers and _is_compiler(asked, compilers[language]) for language in asked.languages)
    return any(_is_compiler(asked, compiler) for compiler in compilers.values())


def _is_compiler(asked: AskedCompiler, compiler: str) -> bool:
    name, _, version = compiler.partition("@")
    if compiler_family(name) != asked.family:
        return False
    return asked.versions is None or (version != "" and asked.versions.contains(version))
