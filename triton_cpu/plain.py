"""Plain names for paths that Triton's Python backend can't take.

It starts its model processes through a shell, without quotes, and their Python takes paths in ASCII alone:
a space or an accent anywhere in a path ends in a server that never gets ready. Such a path gets a link.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

PLAIN = re.compile(r"[A-Za-z0-9_./+=@,-]+")


class NoPlainPathError(RuntimeError):
    """There is no place for the links. Its text is one line that says what to do."""


def plain(path: Path) -> Path:
    """``path`` itself, or the same by way of a link whose own path is plain.

    The link, made if it is missing, stands for the part up to the last name that isn't plain: what lies
    below keeps its place, as an environment's programs and its packages have to.
    Raises NoPlainPathError.
    """
    path = path.absolute()
    strange = [place for place, name in enumerate(path.parts) if not PLAIN.fullmatch(name)]
    if not strange:
        return path
    target = Path(*path.parts[: strange[-1] + 1])
    return _link_to(target) / path.relative_to(target)


def plain_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment, in which each path that exists has a plain name. Raises NoPlainPathError."""
    return {
        name: os.pathsep.join(
            str(plain(Path(part))) if _is_path(part) else part for part in value.split(os.pathsep)
        )
        for name, value in environment.items()
    }


def _is_path(text: str) -> bool:
    return text.startswith("/") and not PLAIN.fullmatch(text) and Path(text).exists()


def _link_to(target: Path) -> Path:
    folder = _links()
    link = folder / hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    try:
        if not link.is_symlink() or link.readlink() != target:
            draft = folder / f".{link.name}-{os.getpid()}"
            draft.symlink_to(target)
            draft.replace(link)  # at once, also where another start makes the same one
    except OSError as error:
        raise NoPlainPathError(f"{link} can't be made ({error.strerror}): remove {folder}.") from None
    return link


def _links() -> Path:
    """Our folder of links: nobody else may be able to turn one of them."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere")
    if not (PLAIN.fullmatch(str(base)) and base.is_dir() and os.access(base, os.W_OK)):
        base = Path("/tmp")  # noqa: S108  the folder in it is checked
    folder = base / f"avalua-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise NoPlainPathError(f"{folder} can't be made: {error.strerror}.") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise NoPlainPathError(
            f"{folder} is not ours alone: remove it, or set XDG_RUNTIME_DIR to a folder of yours."
        )
    return folder
