"""Facts as tables: what the rows say, and that every format gives it back and is written whole or not at all."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gongbao import tables
from gongbao.corpus import read
from gongbao.schema import Amount, Block, DataError, Document, Fact, Period, Span, UsageError

TEXT = "柳河镇今年税收2.3亿元。税收下降3.2%。"
ROWS = ("facts", "csv", "xlsx", "parquet")


def make_document(text: str = TEXT, name: str = "a", **changes: object) -> Document:
    """Two facts of 税收; the second inherits its period and its subject."""

    def span(part: str, label: str, value: object, start: int = 0) -> Span:
        start = text.index(part, start)
        return Span(start, start + len(part), label, part, f"{label}{start}", value=value)  # type: ignore[arg-type]

    place = span("柳河镇", "ORG", None)
    when = span("今年", "TIME", Period(date(2023, 1, 1), date(2023, 12, 31)))
    tax = span("税收", "METRIC", None)
    level = span(
        "2.3亿元",
        "AMOUNT",
        Amount("money", 230_000_000, 230_000_000, "CNY", si_low=230_000_000, si_unit="CNY"),
    )
    tax2 = span("税收", "METRIC", None, tax.end)
    fall = span("3.2%", "AMOUNT", Amount("percent", 0.032, None, "ratio", "at_least"))
    fields = {
        "meta": {"title": "税收公报"},
        "spans": (place, when, tax, level, tax2, fall),
        "facts": (
            Fact(tax.id, level.id, "VALUE", when.id, place.id, (), score=0.9),
            Fact(tax2.id, fall.id, "CHANGE", when.id, place.id, ("period", "subject"), "down"),
        ),
        "blocks": (Block(0, len(text), paragraph=2, page=3),),
    }
    return Document(name, text, **(fields | changes))  # type: ignore[arg-type]


def bare(text: str = "税收9家", title: object = None, value: object = None, name: str = "b") -> Document:
    """One fact without period and subject."""
    spans = (Span(0, 2, "METRIC", text[:2], "m"), Span(2, len(text), "AMOUNT", text[2:], "n", value=value))  # type: ignore[arg-type]
    return Document(name, text, {"title": title}, spans, facts=(Fact("m", "n", "VALUE"),))


def load(path: Path, form: str) -> list[dict[str, object]]:
    """The rows of a table with nothing left out; empty cells are None."""
    raw = path.read_bytes()
    if form == "facts":
        return [json.loads(line) for line in raw.decode().splitlines()]
    if form == "csv":
        found = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
        return [{k: v or None for k, v in row.items()} for row in found]
    if form == "parquet":
        return pq.read_table(io.BytesIO(raw)).to_pylist()
    book = openpyxl.load_workbook(io.BytesIO(raw))
    return [
        dict(zip(tables.COLUMNS, (c.value for c in row), strict=True))
        for sheet in book.worksheets
        for row in sheet.iter_rows(min_row=2)
    ]


def save(path: Path, *documents: Document, form: str | None = None) -> Path:
    return save_all(path, documents, form)


def save_all(path: Path, documents: Iterable[Document], form: str | None) -> Path:
    with tables.writing(path, form) as add:
        for document in documents:
            add(document)
    return path


def test_rows_say_the_facts_in_plain_words_and_numbers():
    first, second = tables.rows(make_document())
    assert first == tables.Row(
        document="a", title="税收公报", subject="柳河镇", metric="税收", role="VALUE", direction="", low=230_000_000,
        high=230_000_000, unit="CNY", kind="money", approx="exact", si_low=230_000_000, si_high=None, si_unit="CNY",
        amount="2.3亿元", period="今年", period_start=date(2023, 1, 1), period_end=date(2023, 12, 31),
        sentence="柳河镇今年税收2.3亿元。", start=7, end=12, metric_start=5, metric_end=7, page=3, paragraph=2,
        inherited="", score=0.9,
    )  # fmt: skip
    assert (second.sentence, second.low, second.high, second.approx) == (
        "税收下降3.2%。",
        0.032,
        None,
        "at_least",
    )
    assert (second.role, second.direction) == ("CHANGE", "down")
    assert (second.inherited, second.score) == ("period,subject", None)


def test_rows_of_documents_with_nothing_known():
    assert list(tables.rows(make_document(facts=()))) == []
    (row,) = tables.rows(bare(title=["no text"]))
    assert (row.title, row.subject, row.low, row.unit, row.period, row.period_start) == (
        "",
        "",
        None,
        "",
        "",
        None,
    )
    assert (row.page, row.paragraph, row.sentence) == (None, None, "税收9家")
    (row,) = tables.rows(bare(text="   "))
    assert row.sentence == "   "
    (row,) = tables.rows(bare(value=Amount("count", float("inf"), None, "家")))
    assert row.low is None
    (row,) = tables.rows(bare(value=Amount("count", 10**400, None, "家")))
    assert row.low is None


def test_the_sentence_of_a_link_over_two_sentences_is_both():
    text = "税收好。达9家。完。"
    spans = (Span(0, 2, "METRIC", "税收", "m"), Span(5, 7, "AMOUNT", "9家", "n"))
    (row,) = tables.rows(Document("d", text, spans=spans, facts=(Fact("m", "n", "VALUE"),)))
    assert row.sentence == "税收好。达9家。"


@pytest.mark.parametrize(
    ("path", "name", "form"),
    [
        (None, None, "jsonl"),
        (None, "CSV", "csv"),
        ("x.jsonl", None, "jsonl"),
        ("x.facts.jsonl", None, "facts"),
        ("x.y.CSV", None, "csv"),
        ("x.xlsx", None, "xlsx"),
        ("x.parquet", None, "parquet"),
        ("x.txt", "facts", "facts"),
        (None, "parquet", "parquet"),
    ],
)
def test_format_of(path, name, form, capsysbinary):
    assert tables.format_of(path and Path(path), name) == form


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("x.txt", None, ".facts.jsonl"),
        ("facts", None, "x.txt"),
        ("csv", None, "'csv'"),
        ("x.csv", "ods", "'ods'"),
    ],
)
def test_format_of_refuses(path, name, said):
    with pytest.raises(UsageError) as error:
        tables.format_of(Path(path), name)
    assert said.replace("x.txt", "does not tell") in str(error.value)
    assert "jsonl|facts|csv|xlsx|parquet" in str(error.value)


@pytest.mark.parametrize("form", ROWS)
def test_every_table_gives_the_rows_back(form, tmp_path):
    document = make_document()
    found = load(save(tmp_path / "t", document, bare(), form=form), form)
    wanted = [*tables.rows(document), *tables.rows(bare())]
    assert [list(row) for row in found] == [list(tables.COLUMNS)] * 3
    for row, want in zip(found, wanted, strict=True):
        for name in tables.COLUMNS:
            expected = getattr(want, name)
            if form == "csv":
                expected = None if expected is None else str(expected)
            elif isinstance(expected, date) and form == "facts":
                expected = expected.isoformat()
            given = row[name]
            if hasattr(given, "date"):
                given = given.date()
            assert given == expected or (given is None and expected == ""), name


def test_documents_come_back_from_jsonl(tmp_path):
    document = make_document()
    assert read(save(tmp_path / "t.jsonl", document)) == [document]


@pytest.mark.parametrize("form", ["jsonl", *ROWS])
def test_a_table_of_nothing_is_still_one(form, tmp_path):
    path = save(tmp_path / "t", form=form)
    if form == "jsonl":
        assert path.read_bytes() == b""
    else:
        assert load(path, form) == []
    if form == "csv":
        assert path.read_bytes() == b"\xef\xbb\xbf" + ",".join(tables.COLUMNS).encode() + b"\r\n"


def test_parquet_has_the_same_types_with_and_without_rows(tmp_path):
    full = pq.read_schema(
        save(tmp_path / "a.parquet", make_document(), bare(value=Amount("count", 2**60 + 1, None, "家")))
    )
    empty = pq.read_schema(save(tmp_path / "b.parquet"))
    assert full.equals(empty)
    kinds = {name: full.field(name).type for name in tables.COLUMNS}
    assert kinds["low"] == pa.float64()
    assert kinds["period_start"] == pa.date32()
    assert kinds["start"] == kinds["page"] == pa.int32()
    assert kinds["metric"] == pa.string()


def test_parquet_writes_in_groups(tmp_path):
    document = make_document(facts=make_document().facts * 6_000)
    file = pq.ParquetFile(save(tmp_path / "a.parquet", document, document))
    assert file.metadata.num_rows == 24_000
    assert file.metadata.num_row_groups == 2


def test_xlsx_is_pleasant_to_read(tmp_path):
    sheet = openpyxl.load_workbook(save(tmp_path / "t.xlsx", make_document())).active
    assert sheet.freeze_panes == "A2"
    assert all(cell.font.bold for cell in sheet[1])
    assert not sheet["A2"].font.bold
    assert sheet.column_dimensions["S"].width == 60
    cell = sheet.cell(2, 1 + tables.COLUMNS.index("period_start"))
    assert cell.is_date
    assert sheet.cell(2, 1 + tables.COLUMNS.index("low")).value == 230_000_000


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "＝1", "#N/A"])
def test_no_text_becomes_a_formula(text, tmp_path):
    document = bare(title=text, name=text, value=Amount("count", -9, -9, "家"))
    (row,) = load(save(tmp_path / "t.csv", document), "csv")
    assert row["title"] == row["document"] == (text if text == "#N/A" else f"'{text}")
    assert row["low"] == "-9"
    sheet = openpyxl.load_workbook(save(tmp_path / "t.xlsx", document)).active
    assert sheet["B2"].data_type == "s"
    assert sheet["B2"].value == text


def test_xlsx_takes_what_xml_and_excel_do_not(tmp_path):
    value = Period(date(1840, 6, 1), date(1900, 3, 1))
    document = make_document(meta={"title": "a\x00b\ud800c\n" + "长" * 40_000})
    spans = tuple(
        Span(s.start, s.end, s.label, s.text, s.id, value=value if s.label == "TIME" else s.value)
        for s in document.spans
    )
    row = load(save(tmp_path / "t.xlsx", document.replace(spans=spans)), "xlsx")[0]
    assert str(row["title"]).startswith("abc\n长")
    assert str(row["title"]).endswith("长…")
    assert len(str(row["title"])) == 16_000
    assert row["period_start"] == "1840-06-01"
    assert row["period_end"].date() == date(1900, 3, 1)


def test_xlsx_goes_on_in_a_further_sheet():
    file = io.BytesIO()
    with tables._xlsx(file, sheet_rows=3) as add:
        for name in "abc":
            add(make_document(name=name))
    book = openpyxl.load_workbook(file)
    assert book.sheetnames == ["facts", "facts 2", "facts 3"]
    assert [[row[0] for row in sheet.values] for sheet in book] == [
        ["document", "a", "a"],
        ["document", "b", "b"],
        ["document", "c", "c"],
    ]


@pytest.mark.parametrize(
    ("form", "meta"),
    [
        ("jsonl", {"title": "\ud800"}),
        ("jsonl", {"when": date(2023, 1, 1)}),
        ("jsonl", {"n": float("nan")}),
        *((form, {"title": "\ud800"}) for form in ("facts", "csv", "parquet")),
    ],
)
def test_what_cannot_be_written_is_named_and_the_old_file_stays(form, meta, tmp_path):
    path = tmp_path / "t"
    path.write_text("before")
    with pytest.raises(DataError, match=f"article-9.*{form}"):
        save(path, make_document(), make_document(name="article-9", meta=meta), form=form)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("form", ["jsonl", *ROWS])
def test_a_stop_leaves_what_was_there(form, tmp_path):
    path = tmp_path / "t"
    path.write_text("before")

    def stopped():
        yield make_document()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_all(path, stopped(), form)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_errors_of_the_documents_own_pass_through(tmp_path):
    wrong = DataError("mine")
    with pytest.raises(DataError, match=r"^mine$"), tables.writing(tmp_path / "t.csv"):
        raise wrong


@pytest.mark.parametrize("form", ["jsonl", *ROWS])
def test_standard_output_gets_the_same_as_a_file(form, tmp_path, capsysbinary):
    with tables.writing(None, form) as add:
        add(make_document())
    out = tmp_path / "out"
    out.write_bytes(capsysbinary.readouterr().out)
    path = save(tmp_path / "t", make_document(), form=form)
    if form == "jsonl":
        assert out.read_bytes() == path.read_bytes()
    else:
        assert load(out, form) == load(path, form)


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("form", ["xlsx", "parquet"])
def test_binary_tables_do_not_go_to_a_terminal(form, monkeypatch):
    monkeypatch.setattr("sys.stdout", Terminal())
    assert tables.format_of(None, "csv") == "csv"
    with pytest.raises(UsageError, match="-o FILE"):
        tables.format_of(None, form)


def test_folders_are_refused_and_devices_are_not_replaced(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        save(tmp_path, make_document(), form="csv")
    save(Path("/dev/null"), make_document(), form="csv")
    assert Path("/dev/null").is_char_device()
