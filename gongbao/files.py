"""Files: written whole or not at all, hashed, and found where they are bundled."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PACKAGE = Path(__file__).parent
_LONGEST = 230  # bytes


@contextmanager
def replacing(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file beside `path` and rename it over `path` when the block ends well.

    On any error, an interrupt included, `path` is as it was and nothing is left beside it. Text is
    UTF-8 with the line ends as they are given. A symbolic link stays one: what it leads to is replaced.
    """
    path = Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name may have 255 bytes, and what is added to it needs some of them.
    prefix = os.fsencode(f".{path.name}")[:_LONGEST].decode(errors="ignore")
    handle, name = tempfile.mkstemp(prefix=f"{prefix}.", suffix=".part", dir=path.parent)
    beside = Path(name)
    try:
        text = "b" not in mode
        with open(handle, mode, encoding="utf-8" if text else None, newline="" if text else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(_mode_of(path))
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int:
    """The mode of the file that is replaced; for a new one what the umask leaves (mkstemp makes 0600)."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundled(name: str) -> Path:
    """The path of a file that comes with gongbao, e.g. `annotations/label_config.xml`.

    In a checkout it stands at the top; in a wheel it lies in the package.
    """
    for root in (PACKAGE / "bundled", PACKAGE.parent):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} does not come with this installation of gongbao")
