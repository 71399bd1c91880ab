"""Plain text: which encoding its bytes are in, and its lines as paragraphs."""

from __future__ import annotations

import codecs
import re

from gongbao.articles.parts import Article, Limits, check_length, looks_like_title, published_day
from gongbao.schema import Block, DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
# Chinese in UTF-8: ideographs, CJK punctuation and full-width forms. GB18030 text has hardly any such triple.
_UTF8_CJK = re.compile(rb"[\xe3-\xe9][\x80-\xbf]{2}|\xef[\xbc\xbd][\x80-\xbf]")
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_LINE = re.compile(r"[^\n]*[^\s][^\n]*")


class UndecodableError(DataError):
    """Bytes that are no character of the encoding."""


def decode(data: bytes, other: str | None = None) -> tuple[str, str]:
    """The text of `data` without its byte order mark, and the name of its encoding.

    A byte order mark decides; else the first of UTF-8, `other` and GB18030 in which every byte is right.
    That GB18030 is asked last is safe: Chinese in GB18030 is practically never valid UTF-8, the other way round
    it may be, which is why damaged UTF-8 is told from its triples and never read as GB18030.

    Raises:
        DataError: bytes that are no text in these encodings, with the offset of the first; binary data.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _text(_strict(data, encoding, len(mark))), encoding
    candidates = ["utf-8"] if mostly_utf8(data) else ["utf-8", *([other] if other else []), "gb18030"]
    errors = []
    for encoding in candidates:
        try:
            return _text(data.decode(encoding)), encoding
        except UnicodeDecodeError as error:
            errors.append(error)
    if b"\0" in data:
        raise _binary()
    raise _undecodable(max(errors, key=lambda error: error.start), candidates)


def mostly_utf8(data: bytes) -> bool:
    """Whether most bytes above ASCII belong to Chinese characters in UTF-8, be the others right or wrong."""
    high = len(data) - len(data.translate(None, bytes(range(0x80, 0x100))))
    return high > 0 and 3 * len(_UTF8_CJK.findall(data)) > high / 2


def _strict(data: bytes, encoding: str, start: int) -> str:
    try:
        return data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        error.start += start
        raise _undecodable(error, [encoding]) from None


def _undecodable(error: UnicodeDecodeError, encodings: list[str]) -> UndecodableError:
    names = " or ".join(encodings)
    if error.reason in ("unexpected end of data", "truncated data", "incomplete multibyte sequence"):
        return UndecodableError(
            f"the text ends at byte {error.start} inside a character ({names})", remedy="fetch it again"
        )
    return UndecodableError(
        f"at byte {error.start} the text is not {names}",
        remedy="open it in an editor with its right encoding and save it as UTF-8",
    )


def _text(text: str) -> str:
    if "\0" in text or len(_CONTROL.findall(text)) * 100 > len(text):
        raise _binary()
    return text


def _binary() -> DataError:
    return DataError(
        "the file is binary data, not text", remedy="give the article as .txt, .html, .docx or .pdf"
    )


def read(data: bytes, limits: Limits) -> Article:
    """The text with LF as line end and otherwise to the character; every line that shows something is a block.

    Raises:
        DataError: see `decode`; too long.
    """
    text, encoding = decode(data)
    check_length(text, limits)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    blocks = tuple(Block(*found.span(), n) for n, found in enumerate(_LINE.finditer(text), 1))
    lines = [text[block.start : block.end].strip() for block in blocks]
    meta = {
        "title": lines[0] if lines and looks_like_title(lines[0]) else None,
        "published": published_day(lines),
    }
    return Article(
        text, blocks, {key: value for key, value in meta.items() if value} | {"encoding": encoding}
    )
