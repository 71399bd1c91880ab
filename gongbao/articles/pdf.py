"""PDF with a text layer: glyphs to rows, rows to columns, rows to paragraphs.

A PDF knows glyphs and where they stand, nothing of lines or paragraphs. Glyphs that overlap in height make a
row, wide gaps cut a row into segments. Rows that recur at the same height are running heads. A row continues
the paragraph above it unless it is indented, set apart or in another size, or its first word would still
have fitted on the row above.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, takewhile
from statistics import median
from typing import Final

from gongbao.articles.parts import (
    CJK,
    Article,
    Limits,
    Part,
    assemble,
    damaged,
    looks_like_title,
    published_day,
)
from gongbao.articles.pdf_glyphs import Glyph, glyphs_of
from gongbao.schema import DataError

_TAIL: Final = 4_096  # bytes at the end that must hold the end-of-file mark
_EDGE_ROWS: Final = 3  # rows at the top and at the bottom of a page that may be running heads
_SAME_HEIGHT: Final = 6.0  # points
_CELL_GAP: Final = 1.2  # ems between two segments of a row
_BLANK_GAP: Final = 0.18  # ems between two words
_COLUMN_ROWS: Final = 5  # rows that make a column
_SURE_ROWS: Final = 8  # rows that show their margins
_HEADING_SIZE: Final = 1.2  # of the usual size
_TOP_PARTS: Final = 8  # that may hold the title
_SENTENCE_END: Final = tuple("。！？；：”’）)!?;:")
_PAGE_NUMBER = re.compile(
    r"[\s\-–—·~～|]*第?\s*\d{1,4}\s*页?(?:\s*[/,，共]\s*共?\s*\d{1,4}\s*页?)?[\s\-–—·~～|]*"
)
_PROSE_MARK = re.compile("[，。；]")
_IDEOGRAPHS = re.compile(f"[{CJK}]")
_FIRST_WORD = re.compile(rf"(?:[{CJK}]|[^\s{CJK}]+)[，。；：、！？）》”’]*")


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stretch of a row without a wide gap. `size` is the height of its glyphs, `word` the width of its first word."""

    text: str
    x0: float
    x1: float
    top: float
    size: float
    word: float


_Row = list[_Segment]


@dataclass(frozen=True, slots=True)
class _Column:
    """Rows that are read one below the other, on which page, and the margins they are set to."""

    page: int
    rows: list[_Row]
    left: float
    right: float


def read(data: bytes, limits: Limits) -> Article:
    """The text of all pages; `meta["unread_pages"]` lists pages that are pictures with hardly any text.

    Raises:
        DataError: damaged, cut short, encrypted, scanned without a text layer, over the limits, fonts that do not
            say which characters their glyphs are.
    """
    # PDFium rebuilds what it can of a torn file, so that pages would be missing without a word.
    if b"%%EOF" not in data[-_TAIL:]:
        raise damaged("PDF", "it is cut short")
    pages, scanned = glyphs_of(data, limits)
    rows = [list(_rows(glyphs)) for glyphs in pages]
    if len(scanned) == len(pages) or not any(rows):
        raise DataError(
            "the PDF has pictures of pages but no text" if scanned else "the PDF has no text",
            remedy="recognise its text (OCR) with another program and give the result",
        )
    parts = list(_paragraphs(_columns(_without_running(rows))))
    top = parts[:_TOP_PARTS]
    title = next((part for part in top if part.kind == "heading"), parts[0])
    article = assemble(
        parts,
        title=title.text if title.kind != "table" and looks_like_title(title.text) else None,
        published=published_day([line for part in parts for line in part.text.split("\n")]),
    )
    return Article(
        article.text, article.blocks, article.meta | ({"unread_pages": scanned} if scanned else {})
    )


# --------------------------------------------------------------------------------------------- the rows


def _rows(glyphs: Iterable[Glyph]) -> Iterator[_Row]:
    """Glyphs that stand at the same height, from the top of the page down."""
    row: list[Glyph] = []
    for glyph in sorted(glyphs, key=lambda g: g.top + g.bottom):
        if row:
            middle = (row[0].top + row[0].bottom) / 2
            if (glyph.top + glyph.bottom) / 2 - middle > (row[0].bottom - row[0].top) / 2:
                yield from _row(row)
                row = []
        row.append(glyph)
    yield from _row(row)


def _row(glyphs: list[Glyph]) -> Iterator[_Row]:
    size = median(g.bottom - g.top for g in glyphs) if glyphs else 0.0
    segments: _Row = []
    stretch: list[Glyph] = []
    text, blank = "", False
    for glyph in sorted(glyphs, key=lambda g: g.x0):
        if glyph.char.isspace():
            blank = True
            continue
        gap = glyph.x0 - stretch[-1].x1 if stretch else 0.0
        if gap > _CELL_GAP * size:
            segments.append(_segment(text, stretch, size))
            stretch, text = [], ""
        elif stretch:
            ideographs = len(_IDEOGRAPHS.findall(text[-1] + glyph.char))
            wide = gap > _BLANK_GAP * size
            # Between ideographs a blank glyph may be there for justification only: it has to be seen too.
            if (blank and (wide or ideographs < 2)) or (wide and not ideographs):
                text += " "
        stretch.append(glyph)
        text += glyph.char
        blank = False
    if stretch:
        yield [*segments, _segment(text, stretch, size)]


def _segment(text: str, glyphs: list[Glyph], size: float) -> _Segment:
    word = _FIRST_WORD.match(text)
    last = glyphs[word.end() - 1] if word else glyphs[-1]
    return _Segment(
        text,
        glyphs[0].x0,
        max(g.x1 for g in glyphs),
        min(g.top for g in glyphs),
        size,
        last.x1 - glyphs[0].x0,
    )


def _text(row: _Row) -> str:
    return " ".join(segment.text for segment in row)


def _without_running(pages: list[list[_Row]]) -> list[list[_Row]]:
    """The pages without running heads and feet and without page numbers.

    A row near a page's edge is one where two in five pages, at least two, have the same row at the same height,
    digits ignored: left and right pages may have their own, and the first may have none. A head on one page
    alone cannot be told from text.
    """

    def keys(row: _Row) -> list[tuple[str, int]]:
        height = round(row[0].top / _SAME_HEIGHT)
        return [(re.sub(r"\d+|\s", "", _text(row)), height + d) for d in (0, -1, 1)]

    edges = [{keys(row)[0] for row in [*rows[:_EDGE_ROWS], *rows[-_EDGE_ROWS:]]} for rows in pages]
    seen = Counter(key for edge in edges for key in edge)
    often = max(2, 0.4 * len(pages))

    def runs(row: _Row) -> bool:
        text = _text(row)
        recurs = sum(seen[key] for key in keys(row)) >= often and not _PROSE_MARK.search(text)
        return recurs or bool(_PAGE_NUMBER.fullmatch(text))

    def below_heads(rows: list[_Row]) -> list[_Row]:
        # From the edge inwards, and no further than the first row that does not recur.
        return rows[len(list(takewhile(runs, rows[:_EDGE_ROWS]))) :]

    bare = [below_heads(below_heads(rows)[::-1])[::-1] for rows in pages]
    return bare if any(bare) else pages  # pages of nothing else are no heads


# ------------------------------------------------------------------------------------------ the columns


def _columns(pages: list[list[_Row]]) -> list[_Column]:
    """The rows in reading order: where two columns of prose stand side by side, the left one first."""
    found = [(page, *column) for page, rows in enumerate(pages, 1) for column in _bands(rows)]
    wholes = {
        slot: _margins([row for _, s, rows in found for row in rows if s == slot]) for _, slot, _ in found
    }
    return [
        # A page with a few rows says little of its margins: they may all be first lines.
        _Column(page, rows, *(_margins(rows) if len(rows) >= _SURE_ROWS else wholes[slot]))
        for page, slot, rows in found
    ]


def _bands(rows: list[_Row]) -> Iterator[tuple[str, list[_Row]]]:
    """The rows of a page from band to band: whole rows, or the left and then the right of two columns."""
    gutter = _gutter([segment for row in rows for segment in row])
    if gutter is None:
        yield "whole", rows
        return

    def crosses(row: _Row) -> bool:
        return any(segment.x0 < gutter < segment.x1 for segment in row)

    for across, band in groupby(rows, crosses):
        band_rows = list(band)
        left = [cells for row in band_rows if (cells := [s for s in row if s.x0 < gutter])]
        right = [cells for row in band_rows if (cells := [s for s in row if s.x0 >= gutter])]
        if across or not left or not right:
            yield "whole", band_rows
        else:
            yield "left", left
            yield "right", right


def _gutter(segments: list[_Segment]) -> float | None:
    """Where the right one of two columns of prose begins, None where there are none.

    Many segments begin there near the middle of the page, and on both sides they fill their column, which
    the cells of a table do not.
    """
    if len(segments) < 4 * _COLUMN_ROWS:
        return None
    left, right = min(s.x0 for s in segments), max(s.x1 for s in segments)
    width = right - left
    starts = Counter(round(s.x0) for s in segments if left + 0.35 * width < s.x0 < left + 0.65 * width)
    if not starts:
        return None
    gutter = starts.most_common(1)[0][0] - 2.0
    sides = [[s for s in segments if s.x1 <= gutter + 2], [s for s in segments if s.x0 >= gutter]]
    widths = [gutter - left, right - gutter]
    if all(
        len(side) >= _COLUMN_ROWS and median(s.x1 - s.x0 for s in side) > 0.6 * width
        for side, width in zip(sides, widths, strict=True)
    ):
        return gutter
    return None


def _margins(rows: list[_Row]) -> tuple[float, float]:
    """Left and right of rows: the leftmost place where several begin, and where those that are full end.

    A full row may be an em short, or by a stop an em too long.
    """
    starts = Counter(round(row[0].x0) for row in rows)
    several = [x for x, n in starts.items() if n >= max(2, 0.08 * len(rows))] or list(starts)
    end = max(row[-1].x1 for row in rows)
    full = median(row[-1].x1 for row in rows if row[-1].x1 >= end - 3 * row[-1].size)
    return float(min(several)), full


# --------------------------------------------------------------------------------------- the paragraphs


def _paragraphs(columns: list[_Column]) -> Iterator[Part]:
    rows = [row for column in columns for row in column.rows]
    body = median(row[0].size for row in rows)
    steps = [b[0].top - a[0].top for c in columns for a, b in pairwise(c.rows) if b[0].top > a[0].top]
    step = median(steps) if steps else body
    part: Part | None = None
    before: tuple[_Column, _Row] | None = None
    for column in columns:
        for row, in_table in zip(column.rows, _tables(column.rows), strict=True):
            kind = "table" if in_table else "heading" if row[0].size > _HEADING_SIZE * body else "paragraph"
            text = "\t".join(s.text for s in row) if in_table else _text(row)
            if (
                part is None
                or before is None
                or part.kind != kind
                or _begins(kind, before, (column, row), step)
            ):
                if part is not None:
                    yield part
                part = Part(text, kind, column.page)
            elif in_table:
                part = replace(part, text=f"{part.text}\n{text}")
            else:
                head, link = _link(part.text, text)
                if part.page == column.page:
                    part = replace(part, text=head + link + text)
                else:
                    yield replace(part, text=head)
                    part = Part(link + text, kind, column.page, joined=True)
            before = column, row
    if part is not None:
        yield part


def _tables(rows: list[_Row]) -> list[bool]:
    """Which rows are rows of a table: several cells, as has the row above or below."""
    cells = [len(row) > 1 for row in rows]
    return [
        here and (above or below)
        for above, here, below in zip([False, *cells], cells, [*cells[1:], False], strict=False)
    ]


def _begins(kind: str, before: tuple[_Column, _Row], now: tuple[_Column, _Row], step: float) -> bool:
    """Whether a row begins a paragraph rather than go on with that of the row before it in reading order."""
    (column_above, above), (column, row) = before, now
    if kind == "table":
        return column is not column_above
    first, last, size = row[0], above[-1], row[0].size
    if abs(first.size - above[0].size) > 0.2 * size:
        return True
    if column is column_above and first.top - above[0].top > 1.5 * step + 0.2 * size:
        return True
    if kind == "heading":
        return column is not column_above
    if first.x0 - column.left > 1.2 * size:
        return True
    room = column_above.right - last.x1 - first.word
    return room > (0.8 if last.text.endswith(_SENTENCE_END) else 3.0) * size


def _link(text: str, following: str) -> tuple[str, str]:
    """The text without a hyphen that only the line end put there, and what stands between it and what follows.

    Between ideographs nothing. Where lines break at any character numbers are broken too (35. | 5亿元), so in
    Chinese text only two Latin words get a blank.
    """
    if text.endswith("-") and len(text) > 1 and text[-2].isalpha() and following[0].islower():
        return text[:-1], ""
    if _IDEOGRAPHS.search(text[-1] + following[0]):
        return text, ""
    latin = not _IDEOGRAPHS.search(text)
    return text, " " if latin or (text[-1].isalpha() and following[0].isalpha()) else ""
