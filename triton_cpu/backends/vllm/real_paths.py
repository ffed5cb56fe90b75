"""Paths of an interpreter that Triton embeds: it takes every letter beyond ASCII apart."""

from __future__ import annotations

import os
from typing import Any


def keep_links_in_real_paths() -> None:
    """Have ``os.path.realpath`` keep a path whose real one this interpreter can't spell.

    An environment in a folder with an accent is reached by way of a link (``triton_cpu/plain.py``). A library
    that follows the link (tvm_ffi does) gets surrogates, which nothing outside Python takes.
    """
    real_path = os.path.realpath

    def spelled(path: Any, **options: Any) -> Any:
        real = real_path(path, **options)
        return real if isinstance(real, bytes) or real.isascii() else os.path.abspath(path)  # noqa: PTH100  that's the point

    vars(os.path)["realpath"] = spelled
