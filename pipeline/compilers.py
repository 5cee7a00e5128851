"""Families of compilers: one name for what Spack called differently before and after 1.0."""

from __future__ import annotations

RENAMED = {
    "arm": "acfl",
    "clang": "llvm",
    "intel": "intel-oneapi-compilers-classic",
    "oneapi": "intel-oneapi-compilers",
    "dpcpp": "intel-oneapi-compilers",
    "rocmcc": "llvm-amdgpu",
}
"""Compilers up to Spack 0.23 and the packages that provide them since 1.0 (``BUILTIN_TO_LEGACY_COMPILER``)."""


def compiler_family(name: str) -> str:
    """The family of a compiler's name: that of Spack 1.0, and the name itself where it is the same."""
    return RENAMED.get(name, name)
