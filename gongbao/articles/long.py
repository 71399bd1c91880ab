"""Plain texts too long to be held: read in parts, each a Document of its own."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gongbao.articles import plain
from gongbao.articles.parts import Limits
from gongbao.schema import DataError, Document

LONG: Final = 4_000_000
"""Bytes from which a text is read in parts."""
_PART: Final = 1 << 20  # bytes of a part, before it is cut at the end of a line
_WHOLE: Final = Limits()


def is_long(path: Path) -> bool:
    """Whether a file is a plain text of more than LONG bytes, in an encoding that can be cut at any line end (not UTF-16)."""
    if path.suffix.lower() != ".txt" or not path.is_file() or path.stat().st_size <= LONG:
        return False
    try:
        with path.open("rb") as file:
            return file.read(2) not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    except OSError:  # whoever reads it whole says why it cannot be
        return False


def read_in_parts(path: Path, name: str) -> Iterator[Document]:
    """A text's parts in its order, of whole lines where these are shorter than a part, with the ids NAME#1, NAME#2 and so on.

    `meta` has of each its number (`part`) and how many characters stand before it (`offset`), and of all the title and the date of
    the first.

    Raises:
        DataError: not readable, or bytes that are no text; the parts before have been given by then.
    """
    first: dict[str, Any] = {}
    offset = 0
    try:
        for number, data in enumerate(_parts(path), 1):
            article = plain.read(data, _WHOLE)
            if number == 1:
                first = {key: article.meta[key] for key in ("title", "published") if key in article.meta}
            meta = {**first, "source": path.name, "format": "txt", "encoding": article.meta["encoding"], "part": number, "offset": offset}  # fmt: skip
            yield Document(f"{name}#{number}", article.text, meta, blocks=article.blocks)
            offset += len(article.text)
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror}", file=name) from None
    except DataError as error:
        raise error.within(file=name) from None


def _parts(path: Path) -> Iterator[bytes]:
    """Cut behind line ends: in UTF-8 and GB18030 the byte of LF is part of no other character."""
    with path.open("rb") as file:
        rest = b""
        while data := file.read(_PART):
            rest += data
            end = rest.rfind(b"\n") + 1
            if end:
                yield rest[:end]
                rest = rest[end:]
            elif len(rest) > _WHOLE.bytes:
                raise DataError(f"a line has more than {_WHOLE.bytes:,} bytes", remedy="break it into lines")
        if rest:
            yield rest
