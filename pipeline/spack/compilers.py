"""Compilers: their families (Spack's old and new name of one compiler, joined), languages and flags."""

from __future__ import annotations

LANGUAGES = ("c", "cxx", "fortran")
"""The virtual packages that compilers provide, in the order in which Spack looks for *the* compiler of a
spec (``Spec.compiler`` in ``lib/spack/spack/spec.py``)."""

FLAGS = frozenset({"cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"})
"""Parameters that are compiler flags and no variants (``FlagMap`` in ``lib/spack/spack/spec.py``)."""

RENAMED = {
    "arm": "acfl",
    "clang": "llvm",
    "intel": "intel-oneapi-compilers-classic",
    # Spack's own table of old names spells this package so, in the singular.
    "intel-oneapi-compiler-classic": "intel-oneapi-compilers-classic",
    "oneapi": "intel-oneapi-compilers",
    "rocmcc": "llvm-amdgpu",
}
"""Up to Spack 0.23 -> from 1.0, where compilers are packages (``lib/spack/spack/aliases.py`` in Spack)."""


def compiler_family(name: str) -> str:
    """The one name of a compiler that Spack has called by several: that of its package in Spack 1.0.

    ``oneapi`` and ``intel-oneapi-compilers`` are ``intel-oneapi-compilers``. A name without a second
    one (``gcc``, ``apple-clang``, ``cce``, ``msvc``, ``nvhpc``, ``none``, any unknown one) is its own.
    """
    return RENAMED.get(name, name)
