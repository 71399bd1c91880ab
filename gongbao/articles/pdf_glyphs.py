"""The glyphs of a PDF, by PDFium: which characters, and where they stand on the page as it is seen."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gongbao.articles.parts import INVISIBLE, Limits, damaged
from gongbao.schema import DataError

# PDFium keeps state of its own for the whole process; two threads in it crash.
_PDFIUM: Final = threading.Lock()
_UNKNOWN: Final = "\ufffd"
_FEW_GLYPHS: Final = 20  # of a page number or the mark of a scanning program


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character and its box in points, heights measured from the top of the page."""

    char: str
    x0: float
    x1: float
    top: float
    bottom: float


def glyphs_of(data: bytes, limits: Limits) -> tuple[list[list[Glyph]], list[int]]:
    """The glyphs of every page, and the numbers of the pages that hold a picture and hardly a glyph.

    Raises:
        DataError: damaged, encrypted, over the limits, fonts that do not say which characters their glyphs are.
    """
    import pypdfium2

    try:
        with _PDFIUM, pypdfium2.PdfDocument(data) as document:
            if len(document) > limits.pages:
                raise DataError(
                    f"the PDF has {len(document)} pages, the limit is {limits.pages}", remedy="split it"
                )
            pages, scanned, total = [], [], 0
            for number, page in enumerate(document, 1):
                glyphs = _glyphs(page, limits.characters - total)
                total += len(glyphs)
                pages.append(glyphs)
                pictures = page.get_objects([pypdfium2.raw.FPDF_PAGEOBJ_IMAGE])
                if len(glyphs) < _FEW_GLYPHS and next(pictures, None) is not None:
                    scanned.append(number)
                page.close()
    except pypdfium2.PdfiumError as error:
        # PDFium's last error may be that of an earlier file.
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD and b"/Encrypt" in data:
            raise DataError(
                "the PDF is encrypted and wants a password", remedy="open it and print or save it without one"
            ) from None
        raise damaged("PDF", str(error).rstrip(".")) from None
    unknown = sum(glyph.char == _UNKNOWN for glyphs in pages for glyph in glyphs)
    if unknown * 20 > total:
        raise DataError(
            f"the fonts of the PDF do not say which characters {unknown} of {total} glyphs are",
            remedy="recognise its text (OCR) with another program, or find the article in another format",
        )
    return pages, scanned


def _glyphs(page: Any, room: int) -> list[Glyph]:
    """The glyphs of a page as it is turned for reading, heights measured from its top.

    Raises:
        DataError: more than `room`.
    """
    layer = page.get_textpage()
    count = layer.count_chars()
    if count > 1.5 * room + 1_000:  # PDFium adds line ends of its own
        raise DataError("the PDF has more text than the limit allows", remedy="split it")
    width, height = page.get_size()
    turn = page.get_rotation()
    glyphs = []
    for n, char in _characters(layer, count):
        box = layer.get_charbox(n, loose=True)
        if char and all(map(math.isfinite, box)):
            glyphs.append(_turned(char, box, turn, width, height))
    layer.close()
    return glyphs


def _characters(layer: Any, count: int) -> Iterator[tuple[int, str]]:
    """Place and character of every glyph. PDFium gives UTF-16, and blanks and line ends of its own, which are left out."""
    from pypdfium2 import raw

    high = 0
    for n in range(count):
        code = raw.FPDFText_GetUnicode(layer.raw, n)
        if high and 0xDC00 <= code < 0xE000:
            yield n, chr(0x10000 + ((high - 0xD800) << 10) + code - 0xDC00)
            high = 0
            continue
        if high:
            yield n - 1, _UNKNOWN
        high = code if 0xD800 <= code < 0xDC00 else 0
        if not high and raw.FPDFText_IsGenerated(layer.raw, n) != 1:
            yield n, _character(code)


def _character(code: int) -> str:
    """What a code stands for: nothing for what is not seen, U+FFFD where the font does not say."""
    if code == 2:
        return "-"  # PDFium's sign for a hyphen at a line's end
    if code == 9:
        return " "
    if code in INVISIBLE or 0xF000 <= code < 0xF100:  # bullets and arrows of symbol fonts
        return ""
    known = 32 <= code < 0xD800 or 0xF900 <= code < 0xFFFD or 0x10000 <= code < 0x110000
    return chr(code) if known else _UNKNOWN


def _turned(
    char: str, box: tuple[float, float, float, float], turn: int, width: float, height: float
) -> Glyph:
    """A glyph as seen on the page; `width` and `height` are those of the page as seen."""
    left, bottom, right, top = box
    if turn == 90:
        return Glyph(char, bottom, top, left, right)
    if turn == 180:
        return Glyph(char, width - right, width - left, bottom, top)
    if turn == 270:
        return Glyph(char, width - top, width - bottom, height - right, height - left)
    return Glyph(char, left, right, height - top, height - bottom)
