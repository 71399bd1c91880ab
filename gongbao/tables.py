"""Facts as a table, one row a fact, and whole documents as JSON lines: to a file or to standard output.

    jsonl    whole documents, one a line (the Document contract)
    facts    rows as JSON objects, one a line
    csv      UTF-8 with BOM, which Excel needs for Chinese; lines end in CR LF, dates are ISO
    xlsx     one sheet, a further one wherever Excel's limit of rows is reached
    parquet  typed columns, the same with no rows

All but xlsx hold a few documents in memory at most, xlsx keeps its rows in a temporary file. A file appears whole or
not at all.

A text that a spreadsheet would run as a formula (`=1+1`) is made harmless: in xlsx it is written as text, in csv
it gets a leading `'`.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import re
import shutil
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from gongbao.files import replacing
from gongbao.schema import Amount, DataError, Document, Fact, Period, UsageError
from gongbao.sentences import sentences

Add: TypeAlias = Callable[[Document], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One fact in plain words and numbers; the fields are the columns of every table, in their order.

    Args:
        document, title: the document's id, and its title where `meta` has one.
        subject, metric: their texts.
        role: what the amount is to the metric.
        direction: of a change, `up` or `down`; empty where it is unclear, and for other roles.
        low, high, unit, kind, approx: the amount as read (schema.Amount), empty where it could not be.
        si_low, si_high, si_unit: the same in SI units where the unit can be converted.
        amount, period: their texts.
        period_start, period_end: the first and the last day.
        sentence: the sentence of metric and amount, or those from the one to the other.
        start, end: the amount's characters in the document's text; metric_start, metric_end: the metric's.
        page, paragraph: where the amount stood in the source, from 1.
        inherited: which of period and subject stand further up than the sentence, joined by a comma.
        score: between 0 and 1; empty for gold.
    """

    document: str
    title: str
    subject: str
    metric: str
    role: str
    direction: str
    low: float | None
    high: float | None
    unit: str
    kind: str
    approx: str
    si_low: float | None
    si_high: float | None
    si_unit: str
    amount: str
    period: str
    period_start: date | None
    period_end: date | None
    sentence: str
    start: int
    end: int
    metric_start: int
    metric_end: int
    page: int | None
    paragraph: int | None
    inherited: str
    score: float | None


COLUMNS: Final = tuple(field.name for field in fields(Row))
_cells: Final[Callable[[Row], tuple[Any, ...]]] = attrgetter(*COLUMNS)


def rows(document: Document) -> Iterator[Row]:
    """One row for each fact of the document, in the order of its facts."""
    if not document.facts:
        return
    bounds = sentences(document.text) or [(0, len(document.text))]
    title = document.meta.get("title")
    for fact in document.facts:
        yield _row(document, fact, bounds, title if isinstance(title, str) else "")


def _row(document: Document, fact: Fact, bounds: list[tuple[int, int]], title: str) -> Row:
    metric, amount = document.span(fact.metric), document.span(fact.amount)
    period = document.span(fact.period) if fact.period else None
    value = amount.value if isinstance(amount.value, Amount) else None
    days = period.value if period is not None and isinstance(period.value, Period) else None
    block = document.block_at(amount.start)
    first, last = min(metric.start, amount.start), max(metric.start, amount.start)
    return Row(
        document=document.id,
        title=title,
        subject=document.span(fact.subject).text if fact.subject else "",
        metric=metric.text,
        role=fact.role,
        direction=fact.direction or "",
        low=_finite(value.low) if value else None,
        high=_finite(value.high) if value else None,
        unit=value.unit if value else "",
        kind=value.kind if value else "",
        approx=value.approx if value else "",
        si_low=_finite(value.si_low) if value else None,
        si_high=_finite(value.si_high) if value else None,
        si_unit=(value.si_unit or "") if value else "",
        amount=amount.text,
        period=period.text if period else "",
        period_start=days.start if days else None,
        period_end=days.end if days else None,
        sentence=document.text[_sentence_at(bounds, first)[0] : _sentence_at(bounds, last)[1]],
        start=amount.start,
        end=amount.end,
        metric_start=metric.start,
        metric_end=metric.end,
        page=block.page if block else None,
        paragraph=block.paragraph if block else None,
        inherited=",".join(fact.inherited),
        score=fact.score,
    )


def _sentence_at(bounds: list[tuple[int, int]], offset: int) -> tuple[int, int]:
    # The sentence before serves for an offset in the gap behind it, which only a span of blanks has.
    return bounds[max(0, bisect_right(bounds, (offset, math.inf)) - 1)]


def _finite(number: float | None) -> float | None:
    """The number, None where no table could hold it."""
    try:
        return number if number is not None and math.isfinite(float(number)) else None
    except OverflowError:
        return None


# ------------------------------------------------------------------------------------------ where to


def format_of(path: Path | None, name: str | None = None) -> str:
    """The format to write: the one named, else by the suffix of `path`; documents (jsonl) if neither is given.

    Raises:
        UsageError: there is no such format, the suffix tells of none, or xlsx or parquet would go to a terminal.
    """
    choose = f"--format {'|'.join(FORMATS)}"
    if name is not None:
        form = name.lower()
        if form not in FORMATS:
            raise UsageError(f"there is no format {name!r}", remedy=choose)
    elif path is None:
        form = "jsonl"
    else:
        lower = path.name.lower()
        form = "facts" if lower.endswith(".facts.jsonl") else path.suffix.lower().removeprefix(".")
        if form not in FORMATS:
            raise UsageError(
                f"the name {path.name!r} does not tell the format",
                remedy=f"{choose}, or a name that ends in .jsonl, .facts.jsonl, .csv, .xlsx or .parquet",
            )
    if path is None and form in _BINARY and sys.stdout.isatty():
        raise UsageError(f"{form} is not for a terminal", remedy="write it to a file: -o FILE")
    return form


@contextmanager
def writing(path: Path | None, form: str | None = None) -> Iterator[Add]:
    """Write documents one by one: yields `add(document)`.

    Args:
        path: the file, which appears when the block ends well; None is standard output.
        form: one of FORMATS; None: by the file's name.

    Raises:
        UsageError: what `format_of` raises; `path` is a folder.
        DataError: from `add`, a document that the format cannot hold.
    """
    form = format_of(path, form)
    with _target(path, form) as file, _WRITERS[form](file) as add:

        def checked(document: Document) -> None:
            try:
                add(document)
            except DataError:
                raise
            except (TypeError, ValueError) as error:
                # A lone surrogate, an infinite number, or something in `meta` that is no JSON.
                raise DataError(
                    f"the document cannot be written as {form}: {error}", record=document.id
                ) from error

        yield checked


@contextmanager
def _target(path: Path | None, form: str) -> Iterator[IO[bytes]]:
    if path is None and form in _BINARY:
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    elif path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.is_dir():
        raise UsageError(f"{path} is a folder", remedy="give the name of a file")
    elif path.exists() and not path.is_file():  # a pipe or a device, which must not be replaced by a file
        with path.open("wb") as file:
            yield file
    else:
        with replacing(path, "wb") as file:
            yield file


# -------------------------------------------------------------------------------------- the formats


@contextmanager
def _jsonl(file: IO[bytes]) -> Iterator[Add]:
    yield lambda document: _put(file, document.to_line() + "\n")


@contextmanager
def _facts(file: IO[bytes]) -> Iterator[Add]:
    def line(row: Row) -> str:
        cells = dict(zip(COLUMNS, _cells(row), strict=True))
        return json.dumps(cells, ensure_ascii=False, default=date.isoformat, allow_nan=False) + "\n"

    yield lambda document: _put(file, "".join(map(line, rows(document))))


_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")
"""How a text begins that a spreadsheet takes for a formula, or that hides one behind blanks."""


@contextmanager
def _csv(file: IO[bytes]) -> Iterator[Add]:
    def put(lines: list[tuple[Any, ...]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        _put(file, text.getvalue())

    def cell(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    file.write(codecs.BOM_UTF8)
    put([COLUMNS])
    yield lambda document: put([tuple(map(cell, _cells(row))) for row in rows(document)])


def _put(file: IO[bytes], text: str) -> None:
    file.write(text.encode("utf-8"))


_ARROW: Final = {
    "str": "string",
    "int": "int32",
    "int | None": "int32",
    "float | None": "float64",
    "date | None": "date32",
}  # the annotations of Row
_ROW_GROUP = 20_000


@contextmanager
def _parquet(file: IO[bytes]) -> Iterator[Add]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = [_ARROW[str(field.type)] for field in fields(Row)]
    schema = pa.schema(list(zip(COLUMNS, map(pa.type_for_alias, types), strict=True)))
    group: list[tuple[Any, ...]] = []

    def flush() -> None:
        columns = zip(*group, strict=True) if group else ((),) * len(COLUMNS)
        writer.write_table(
            pa.table([_typed(c, t) for c, t in zip(columns, types, strict=True)], schema=schema)
        )
        group.clear()

    def add(document: Document) -> None:
        new = [_cells(row) for row in rows(document)]
        "".join(
            v for row in new for v in row if isinstance(v, str)
        ).encode()  # raises here, not in a later flush
        group.extend(new)
        if len(group) >= _ROW_GROUP:
            flush()

    with pq.ParquetWriter(file, schema) as writer:
        yield add
        flush()


def _typed(column: tuple[Any, ...], kind: str) -> tuple[Any, ...]:
    # pyarrow makes no float of an integer that a float64 does not hold exactly.
    return tuple(None if v is None else float(v) for v in column) if kind == "float64" else column


_SHEET_ROWS: Final = 1_048_576  # Excel's limit, the header included
_CELL: Final = 16_000  # characters; Excel's limit is 32,767 UTF-16 units
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FIRST_DAY: Final = date(1900, 3, 1)  # before it Excel's calendar is wrong, or has no days
_WIDTHS: Final = {
    "document": 18, "title": 30, "subject": 18, "metric": 24, "role": 13, "low": 15, "high": 15, "amount": 14,
    "period": 16, "period_start": 12, "period_end": 12, "sentence": 60, "inherited": 15,
}  # fmt: skip


@contextmanager
def _xlsx(file: IO[bytes], sheet_rows: int = _SHEET_ROWS) -> Iterator[Add]:
    """Long texts are cut with `…`, characters that XML forbids are left out, and days before Excel's first are texts."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    sheet: Any = None
    left = 0

    def text(value: str) -> Any:
        value = _NOT_XML.sub("", value)
        written = WriteOnlyCell(sheet, value if len(value) <= _CELL else value[: _CELL - 1] + "…")
        written.data_type = "s"  # whatever it looks like: a formula, an error
        return written

    def cell(value: Any) -> Any:
        if isinstance(value, date) and value < _FIRST_DAY:
            value = value.isoformat()
        return (text(value) if value else None) if isinstance(value, str) else value

    def new_sheet() -> None:
        nonlocal sheet, left
        number = len(book.worksheets) + 1
        sheet = book.create_sheet("facts" if number == 1 else f"facts {number}")
        sheet.freeze_panes = "A2"
        for n, name in enumerate(COLUMNS, 1):
            sheet.column_dimensions[get_column_letter(n)].width = _WIDTHS.get(name, 10)
        header = [text(name) for name in COLUMNS]
        for written in header:
            written.font = Font(bold=True)
        sheet.append(header)
        left = sheet_rows - 1

    def add(document: Document) -> None:
        nonlocal left
        for row in rows(document):
            if not left:
                new_sheet()
            sheet.append([cell(value) for value in _cells(row)])
            left -= 1

    new_sheet()
    try:
        yield add
    except BaseException:
        for begun in book.worksheets:
            begun.close()  # openpyxl would complain when it is collected
        raise
    # By way of a file of its own: on a full disk the archive's destructor would print a traceback behind our message.
    with tempfile.TemporaryFile() as whole:
        book.save(whole)
        whole.seek(0)
        shutil.copyfileobj(whole, file)


_WRITERS: Final[dict[str, Callable[[IO[bytes]], AbstractContextManager[Add]]]] = {
    "jsonl": _jsonl,
    "facts": _facts,
    "csv": _csv,
    "xlsx": _xlsx,
    "parquet": _parquet,
}
FORMATS: Final = tuple(_WRITERS)
_BINARY: Final = ("xlsx", "parquet")
