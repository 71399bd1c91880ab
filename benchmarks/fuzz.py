"""Fuzzing of everything that reads what comes from outside: the readers of files and the normalisers.

usage: python benchmarks/fuzz.py [TARGET…] [--inputs 20000] [--first 0] [--seed 1] [--json]

Each target makes its inputs by numbers (a sound one, broken by some chance changes; or pieces of its grammar in any order),
reads them and holds what comes of it to the contract: a GongbaoError, or documents that are what design.md says they are, that
can be written and are the same when read again. Anything else is a finding: another exception, more than SECONDS of processor time
or MEMORY bytes, a dead process. An input depends on seed, target and number alone: `--first N --inputs 1` repeats it with its
traceback. Slow targets (docx, pdf, Label Studio, facts) get a quarter of the inputs. Printed: a Markdown table. Exit code 1 if there
is a finding.
"""

# ruff: noqa: D103 - a target's name says what it is

import argparse
import copy
import io
import json
import math
import mmap
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from gongbao import amounts, periods
from gongbao.articles import read_article_bytes
from gongbao.config import TrainConfig
from gongbao.corpus import read, write
from gongbao.facts import prepare_gold
from gongbao.files import PACKAGE, bundled
from gongbao.inline import parse, render
from gongbao.label_studio import read_config, read_export, to_export, to_tasks
from gongbao.schema import Amount, Document, GongbaoError, Period, Span, SpanKey, value_from_json
from gongbao.tables import writing

SECONDS: Final = 10  # of processor time for one input
MEMORY: Final = 2 << 30  # bytes of address space beyond what the process has when it begins
STATE: Final = struct.Struct(
    "<QQd"
)  # of a child: the input it is at, how many were refused, the slowest's seconds
SHARED: Final = "/dev/shm"  # a folder in memory, if there is one
CONFIG: Final = bundled("annotations/label_config.xml")
ARTICLE: Final = (
    "{2024年上半年|TIME},{白沙镇|ORG}{粮食产量|METRIC#1}达到{1.2万吨|AMOUNT>1:VALUE},同比增长{3.5%|AMOUNT>1:CHANGE}。\n"
    "新建{灌渠|METRIC#2}{近12公里|AMOUNT>2:VALUE}，{县水务局|ORG}投入{800余万元|AMOUNT}。\n"
    "{去年|TIME}{接待游客|METRIC#3}{30万人次|AMOUNT>3:VALUE}，完成年度目标的{96%|AMOUNT>3:COMPLETION}。"
)
DOCUMENT: Final = parse(ARTICLE, id="report", meta={"title": "半年总结", "published": "2024-07-05"})
TEXT: Final = DOCUMENT.text

Random = random.Random


# -------------------------------------------------------------------------------------- chance changes

BYTES: Final = [
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\x81", b"\r\n", b"\r", b"\n", b"\t", b" ", b"{", b"}", b"[", b"]",
    b"|", b"\\", b'"', b"'", b"<", b">", b"&", b"&#0;", b"&#xD800;", b"&#x110000;", b"&amp;", b"<!--", b"-->", b"<![CDATA[", b"<table>",
    b"<td rowspan=999999999 colspan=999999999>", b"<svg>", b"<script>", b"</", b"<a xmlns:x='y'>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    b"1e999", b"-1", b"99999999999999999999", b"NaN", b"-0.0", b"1e-400", b"true", b"null", b"{}", b"[]", b"\\ud800", b"\\u0000",
    b"endstream", b"endobj", b"/Length 9", b"/Kids [1 0 R]", b"/Count 99999999", b"/FlateDecode", b"xref", b"%%EOF", b"obj", b"stream",
    b"B-METRIC", b"I-AMOUNT", b"E-", b"#1", b">1:VALUE", b"|TIME}", "，".encode(), "亿元".encode(), "\u2028".encode(), "\U0001f600".encode(),
    "é".encode(), "年".encode("gb18030"), "年".encode("utf-16-le"), b"charset=utf-7", b"charset=gb2312", b"Content-Type: text/html\r\n\r\n",
]  # fmt: skip
SCRAP: Final[list[Any]] = [
    None, True, 0, -1, 1, 3, 10**20, 10**400, 0.5, 1e308, "", "a", "0", "s1", "财政", "\0", "\u2028", "x" * 300, [], {}, [[]], [None], ["METRIC"],
    ["METRIC", "AMOUNT"], {"start": 0, "end": 3}, {"id": 1}, "labels", "relation", "2024-02-30", "VALUE", "http://a/b.txt", {"": {}},
]  # fmt: skip


def broken(data: bytes, chance: Random, others: Sequence[bytes] = ()) -> bytes:
    """Bytes with one to six changes, or none."""
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 6))):
        at, length = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 4, 16, 64, 400))
        piece = data[at : at + length]
        match chance.randrange(9):
            case 0 if piece:
                data = data[:at] + bytes([piece[0] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
            case 1:
                data = data[:at] + chance.randbytes(len(piece)) + data[at + length :]
            case 2:
                data = data[:at] + data[at + length :]
            case 3:
                data = data[:at] + piece * chance.choice((2, 3, 50)) + data[at + length :]
            case 4:
                data = data[:at]
            case 5:
                to = chance.randrange(len(data) + 1)
                data = data[:to] + piece + data[to:]
            case 6 if any(others):
                other = chance.choice(list(filter(None, others)))
                data = data[:at] + other[chance.randrange(len(other)) :]
            case _:
                data = data[:at] + chance.choice(BYTES) * chance.choice((1, 1, 1, 2, 200)) + data[at:]
    return data


def changed(value: Any, chance: Random) -> Any:
    """A JSON value with a change somewhere within."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.12:
        return chance.choice(SCRAP)
    if isinstance(value, dict):
        key = chance.choice(list(value))
        rest = {k: v for k, v in value.items() if k != key}
        match chance.randrange(8):
            case 0:
                return rest
            case 1:
                return rest | {chance.choice(("", "id", "text", "x", "value", "spans")): value[key]}
            case _:
                return value | {key: changed(value[key], chance)}
    at = chance.randrange(len(value))
    match chance.randrange(8):
        case 0:
            return value[:at] + value[at + 1 :]
        case 1:
            return [*value, value[at]]
        case _:
            return [*value[:at], changed(value[at], chance), *value[at + 1 :]]


def broken_json(values: Sequence[Any], chance: Random) -> bytes:
    """A value with some changes as JSON, whose bytes are changed too now and then."""
    value = chance.choice(values)
    for _ in range(chance.choice((1, 1, 2, 4))):
        value = changed(value, chance)
    data = json.dumps(value, ensure_ascii=chance.random() < 0.2).encode(errors="replace")
    return broken(data, chance) if chance.random() < 0.2 else data


# ------------------------------------------------------------------------------------------ sound inputs


def page(encoding: str = "utf-8") -> str:
    """A saved page with what such pages have."""
    paragraphs = "".join(f"<p>&nbsp;&nbsp;{line}<br>\n</p>" for line in TEXT.split("\n"))
    return (
        f'<!DOCTYPE html><html><head><meta charset="{encoding}"><title>半年总结 - 白沙镇</title><style>p{{}}</style></head><body>'
        f'<!-- 导航 --><ul><li><a href="/">首页</a></ul><div class="content"><h1>半年总结</h1><span>发布时间：2024-07-05 来源：办公室</span>'
        f"{paragraphs}<table><tr><th>指标<th>数额</tr><tr><td rowspan=2>产量<td>1.2万吨</tr><tr><td>1.1万吨</tr></table>"
        "<script>var a='</p>';</script></div><div>版权所有</div></body></html>"
    )


@cache
def word_file() -> bytes:
    """A Word document with headings, a table and a note."""
    import docx

    report, file = docx.Document(), io.BytesIO()
    report.add_heading("半年总结", 1)
    for line in TEXT.split("\n"):
        report.add_paragraph(line)
    table = report.add_table(2, 2)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "指标"
    table.cell(1, 0).text, table.cell(1, 1).text = "产量", "1.2万吨"
    report.save(file)
    return file.getvalue()


@cache
def word_entries() -> tuple[tuple[str, bytes], ...]:
    with zipfile.ZipFile(io.BytesIO(word_file())) as archive:
        wanted = (
            "[Content_Types].xml",
            "_rels/.rels",
            "word/document.xml",
            "word/styles.xml",
            "docProps/core.xml",
        )
        return tuple((name, archive.read(name)) for name in archive.namelist() if name in wanted)


@cache
def pdf_file() -> bytes:
    """Two pages of text that is not packed, so that changes meet what it says."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    file = io.BytesIO()
    canvas = Canvas(file, pageCompression=0, invariant=True)
    for number in (1, 2):
        canvas.setFont("STSong-Light", 12)
        for n, line in enumerate(TEXT.split("\n")):
            canvas.drawString(72, 700 - 20 * n, line)
        canvas.drawString(280, 40, f"- {number} -")
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def mail(html: str) -> bytes:
    """The page as a browser saves it in one file."""
    import base64
    import quopri

    head = b'From: <Saved by Blink>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n\ttype="text/html"; boundary="x"\r\n\r\n'
    quoted = b"--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quopri.encodestring(html.encode())  # fmt: skip
    packed = b"\r\n--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(html.encode())  # fmt: skip
    return head + quoted + packed + b"\r\n--x--\r\n"


@cache
def exports() -> list[Any]:
    """What Label Studio gives and takes, in its forms."""
    config = read_config(CONFIG)
    documents = [DOCUMENT, DOCUMENT.replace(id="other", links=())]
    return [to_export(documents, config), to_tasks(documents, config)]


@cache
def lines_of() -> list[Any]:
    """Documents as JSON, with values, facts and blocks."""
    whole = prepare_gold(DOCUMENT, read_config(CONFIG).scheme).to_json()
    whole["blocks"] = [
        {"start": 0, "end": 5, "paragraph": 1},
        {"start": 6, "end": 9, "paragraph": 2, "page": 1},
    ]
    whole["model"] = {"name": "tiny", "version": "1"}
    return [whole, DOCUMENT.to_json()]


# --------------------------------------------------------------------------------------------- contracts


def hold(documents: Sequence[Document], folder: Path) -> None:
    """Documents are what they say, and come back from a file and from a table as they were."""
    for document in documents:
        for span in document.spans:
            assert document.text[span.start : span.end] == span.text
    path = folder / "again.jsonl"
    write(documents, path)
    assert read(path) == list(documents)
    with writing(folder / "again.csv", "csv") as add:
        for document in documents:
            add(document)


def article(data: bytes, folder: Path, name: str) -> None:
    document = read_article_bytes(data, name)
    at = 0
    for block in document.blocks:
        assert at <= block.start < block.end <= len(document.text)
        at = block.end
    assert document.text.strip()
    hold([document], folder)


def corpus(data: bytes, folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(data)
    documents = read(path)
    hold(documents, folder)
    for document in documents:
        prepare_gold(document, read_config(CONFIG).scheme)


def notation(data: bytes, folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(data)
    documents = read(path, read_config(CONFIG).scheme)
    hold(documents, folder)
    for document in documents:
        assert parse(render(document), id=document.id, meta=document.meta).text == document.text


def export(data: bytes, folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(data)
    config = read_config(CONFIG)
    for choose in ("best", "all", "predictions", "annotators"):
        with suppress(GongbaoError):  # other labels than ours
            hold(read_export(path, choose=choose).documents, folder)
        found = read_export(path, config, choose=choose)
        hold(found.documents, folder)
        if choose == "best":  # a task that was there twice comes back as one, annotated twice
            again = read_export(to_export(found.documents, config), config, choose="all").documents
            assert sorted(map(marks, again)) == sorted(map(marks, found.documents))


def marks(document: Document) -> tuple[str, list[SpanKey]]:
    return document.text, [span.key for span in document.spans]


def layout(data: bytes, folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(data)
    config = read_config(path)
    assert type(config.scheme).from_json(json.loads(json.dumps(config.scheme.to_json()))) == config.scheme


def settings(data: bytes, folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(data)
    config = TrainConfig.load(path)
    path.write_text(config.to_toml(), encoding="utf-8")
    assert TrainConfig.load(path) == config


def sound(value: Amount | Period | None) -> None:
    if value is None:
        return
    if isinstance(value, Amount):
        sides = [s for s in (value.low, value.high, value.si_low, value.si_high) if s is not None]
        assert all(map(math.isfinite, sides))
        assert value.low is None or value.high is None or value.low <= value.high
        assert value.si_low is None or value.si_high is None or value.si_low <= value.si_high
    else:
        assert value.start is None or value.end is None or value.start <= value.end
    assert value_from_json(json.loads(json.dumps(value.to_json(), allow_nan=False))) == value


def amount(data: bytes, folder: Path, name: str) -> None:
    sound(amounts.parse_amount(data.decode()))


def period(data: bytes, folder: Path, name: str) -> None:
    text, _, published = data.decode().rpartition("\t")
    for day in (None, published):
        sound(periods.parse_period(text, day))


def facts(data: bytes, folder: Path, name: str) -> None:
    asked = json.loads(data)
    spans = [Span(**span) for span in asked["spans"]]
    document = Document("d", asked["text"], {"published": asked["published"]}, tuple(spans))
    whole = prepare_gold(document, read_config(CONFIG).scheme)
    assert (whole.text, [s.key for s in whole.spans]) == (document.text, [s.key for s in document.spans])
    for fact in whole.facts:
        assert whole.span(fact.metric).label == "METRIC"
        assert whole.span(fact.amount).label == "AMOUNT"
    hold([whole], folder)
    with writing(folder / "again.xlsx", "xlsx") as add:
        add(whole)


# ----------------------------------------------------------------------------------------------- targets


def shaken(xml: bytes, chance: Random) -> bytes:
    """XML whose elements and attributes were moved, doubled, dropped or changed; now and then its bytes too."""
    from lxml import etree

    root = etree.fromstring(xml)
    for _ in range(chance.choice((0, 1, 2, 4, 8))):
        nodes = [node for node in root.iter("*") if node is not root]
        if not nodes:
            break
        node, other = chance.choice(nodes), chance.choice(nodes)
        match chance.randrange(7):
            case 0:
                node.getparent().remove(node)
            case 1:
                node.addnext(copy.deepcopy(other))
            case 2:
                node.append(copy.deepcopy(other))
            case 3:
                node.tag = other.tag
            case 4 if node.attrib:
                node.set(chance.choice(node.attrib.keys()), chance.choice(ATTRIBUTES))
            case 5 if other.attrib:
                node.set(chance.choice(other.attrib.keys()), chance.choice(ATTRIBUTES))
            case _:
                node.text = chance.choice((None, "", "\u2028", "，", "7亿元", "<&>", " " * 50))
    data = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return broken(data, chance) if chance.random() < 0.15 else data


ATTRIBUTES: Final = (
    "",
    "0",
    "-1",
    "99999999999999999999",
    "a",
    "true",
    "restart",
    "x:y",
    "$text",
    "label",
    "amount",
    "METRIC,",
    "业",
)


def zipped(chance: Random) -> bytes:
    if chance.random() < 0.2:
        return broken(word_file(), chance, [word_file()])
    buffer, entries = io.BytesIO(), list(word_entries())
    with zipfile.ZipFile(buffer, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in entries:
            if chance.random() < 0.02:
                continue
            if "document" in name or chance.random() < 0.2:
                content = shaken(content, chance)
            archive.writestr(f"{name}x" if chance.random() < 0.02 else name, content)
    return buffer.getvalue()


def tagged(chance: Random) -> bytes:
    rows = []
    for character in TEXT:
        tag = chance.choice(
            ("O", "O", "B-METRIC", "I-METRIC", "E-METRIC", "S-TIME", "M_AMOUNT", "L-AMOUNT", "U-ORG")
        )
        rows.append(f"{'' if character.isspace() else character}{chance.choice((chr(9), ' '))}{tag}")
        if character in "。\n":
            rows.append("")
    return broken(chance.choice(("\n", "\r\n")).join(rows).encode(), chance)


def words_of(*tables: Any) -> list[str]:
    return sorted({word.split("(?")[0] for table in tables for word in table if word and "\\" not in word})


AMOUNT_PIECES: Final = words_of(
    amounts._UNITS, amounts._CURRENCY_BEFORE, *(words.split() for words in [*amounts._BEFORE.values(), *amounts._AFTER.values()]),
    "0123456789零〇一二两三四五六七八九十百千万亿几数半余多来点.,，:：/每-—–~～至到+±%％第分之比 　\n()（）\u2009\u200b²", "０１２３４５６７８９",
    ("10", "2023", "1,234", "0.05", "三分之一", "百分之", "千分之", "万分之", "几十", "数百", "3:1", "人均", "每亩", "每人", "翻一番", "1/3"),
)  # fmt: skip
PERIOD_PIECES: Final = words_of(
    "0123456789零〇一二三四五六七八九十元廿卅年月日号时分:：-—–~～/.、和与及至到第“”\"' 　\n()（）", "０１２３４５６７８９",
    ("2023", "2024", "1999", "23", "前三季度", "季度", "上半年", "下半年", "今年", "去年", "前年", "明年", "本月", "上月", "当年", "同期", "以来",
     "以前", "以后", "截至", "截止", "自", "从", "起", "止", "至今", "目前", "为止", "“十四五”", "十三五", "期间", "初", "末", "底", "中旬", "上旬",
     "下旬", "近三年", "过去五年", "未来", "内", "前", "后", "改革开放", "党的十八大", "新中国成立", "20世纪", "年代", "学年", "次年", "闰", "春节",
     "第一季度", "Q1", "2月29日", "全年", "年内", "年底", "三季度末", "1-8月", "截至目前", "近年来", "00", "9999", "0000", "13月", "32日"),
)  # fmt: skip


def pieces(chance: Random, words: Sequence[str]) -> str:
    if chance.random() < 0.1:
        return "".join(chr(chance.choice((chance.randrange(0x20, 0x3000), chance.randrange(0x4E00, 0xA000), chance.randrange(0xFF00, 0xFFF0), chance.randrange(0xE000, 0x110000)))) for _ in range(chance.randrange(12)))  # fmt: skip
    return "".join(chance.choices(words, k=chance.choice((1, 2, 2, 3, 3, 4, 5, 7, 10, 30))))


def spelled_amount(chance: Random) -> bytes:
    return pieces(chance, AMOUNT_PIECES).encode()


def spelled_period(chance: Random) -> bytes:
    day = (date(1, 1, 1) + timedelta(days=chance.randrange(date.max.toordinal() - 1))).isoformat()
    recent = (date(2000, 1, 1) + timedelta(days=chance.randrange(12_000))).isoformat()
    return f"{pieces(chance, PERIOD_PIECES)}\t{chance.choice((*[recent] * 8, day, '昨天', ''))}".encode()


def marked(chance: Random) -> bytes:
    """Spans with any labels over a text of the pieces of both grammars."""
    labels, text, spans = read_config(CONFIG).scheme.labels, "", []
    for n in range(chance.choice((1, 5, 30))):
        piece = pieces(chance, chance.choice((AMOUNT_PIECES, PERIOD_PIECES, TEXT.split("，")))) or "无"
        if chance.random() < 0.7:
            spans.append({"start": len(text), "end": len(text) + len(piece), "label": chance.choice(labels), "text": piece, "id": f"s{n}"})  # fmt: skip
        text += piece + chance.choice(("", "，", "。", "\n", "、", "；", "分别", "下降", "增长"))
    published = chance.choice(("2024-07-05", "2024", None, "去年", 7))
    return json.dumps({"text": text, "spans": spans, "published": published}).encode()


@dataclass(frozen=True)
class Target:
    """How inputs are made, and what reads them under which name; of slow ones one in `share` of what is asked for."""

    make: Callable[[Random], bytes]
    use: Callable[[bytes, Path, str], None]
    name: str = ""
    share: int = 1


def of(seeds: Callable[[], Sequence[bytes]]) -> Callable[[Random], bytes]:
    return lambda chance: broken(chance.choice(seeds()), chance, seeds())


TARGETS: Final = {
    "txt": Target(of(lambda: [TEXT.encode(e) for e in ("utf-8", "gb18030", "utf-16", "utf-8-sig")]), article, "a.txt"),
    "html": Target(of(lambda: [page().encode(), page("gb2312").encode("gb18030"), page("utf-16").encode("utf-16")]), article, "a.html"),
    "mhtml": Target(of(lambda: [mail(page())]), article, "a.mhtml"),
    "docx": Target(zipped, article, "a.docx", 4),
    "pdf": Target(of(lambda: [pdf_file()]), article, "a.pdf", 4),
    "any bytes": Target(of(lambda: [b"", b"%PDF-1.4\n%%EOF", b"PK\3\4", b"<html>", b"MIME-Version: 1.0\n", b"\xff\xfe", b"{}"]), article, "a"),
    "jsonl": Target(lambda c: b"\n".join(broken_json(lines_of(), c) for _ in range(c.choice((1, 1, 2)))), corpus, "a.jsonl"),
    "json": Target(lambda c: broken_json([*exports(), *lines_of()], c), corpus, "a.json"),
    "label studio": Target(lambda c: broken_json(exports(), c), export, "a.json", 4),
    "conll": Target(tagged, notation, "a.conll"),
    "inline": Target(of(lambda: [ARTICLE.encode(), ARTICLE.replace("\n", "\r\n").encode()]), notation, "a.ann"),
    "label config": Target(lambda c: shaken(CONFIG.read_bytes(), c) if c.random() < 0.7 else broken(CONFIG.read_bytes(), c), layout, "c.xml"),
    "train config": Target(of(lambda: [bundled("configs/default.toml").read_bytes()]), settings, "c.toml"),
    "amounts": Target(spelled_amount, amount),
    "periods": Target(spelled_period, period),
    "facts": Target(marked, facts, share=4),
}  # fmt: skip


# -------------------------------------------------------------------------------------------- the child


def place_of(error: BaseException) -> str:
    """Which exception, and where in gongbao it came from."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(PACKAGE)
    ]
    where = f"{Path(frames[-1].filename).relative_to(PACKAGE)}:{frames[-1].lineno}" if frames else "the check"
    return f"{type(error).__name__} at {where}"


def work(name: str, seed: int, first: int, last: int, at: mmap.mmap, *, loud: bool) -> None:
    """Read inputs; a line for each finding. What was reached and what was refused stands in `at`."""
    target = TARGETS[name]
    have = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (have + MEMORY, have + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    refused, slowest = 0, 0.0
    with tempfile.TemporaryDirectory(dir=SHARED if Path(SHARED).is_dir() else None) as folder:
        for number in range(first, last):
            data = target.make(Random(f"{seed}/{name}/{number}"))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # what takes longer ends this process
            begun = time.process_time()
            try:
                target.use(data, Path(folder), target.name)
            except GongbaoError as error:
                str(error)
                refused += 1
            except Exception as error:
                print(json.dumps([place_of(error), number]), flush=True)
                if loud:
                    traceback.print_exc()
                    print(repr(data[:3000]), file=sys.stderr)
            slowest = max(slowest, time.process_time() - begun)
            at[: STATE.size] = STATE.pack(number + 1, refused, slowest)


# ------------------------------------------------------------------------------------------- the parent


def run(name: str, seed: int, first: int, inputs: int) -> dict[str, Any]:
    """All inputs of a target, in as many processes as die of them and one."""
    total: dict[str, Any] = {"inputs": inputs, "refused": 0, "slowest": 0.0, "findings": {}}
    last, begun = first + inputs, time.perf_counter()
    while first < last:
        with tempfile.NamedTemporaryFile() as place:
            place.write(STATE.pack(first, 0, 0.0))
            place.flush()
            argv = [
                sys.executable,
                __file__,
                name,
                "--seed",
                str(seed),
                "--first",
                str(first),
                "--inputs",
                str(last - first),
            ]
            child = subprocess.run([*argv, "--child", place.name], stdout=subprocess.PIPE, check=False)
            first, refused, slowest = STATE.unpack(Path(place.name).read_bytes())
        findings = [json.loads(line) for line in child.stdout.splitlines()]
        if child.returncode == -signal.SIGPROF:
            findings.append(["more than its time", first])
        elif child.returncode < 0:
            findings.append([f"{signal.Signals(-child.returncode).name} ended the process", first])
        elif child.returncode:
            raise SystemExit("the fuzzing itself failed, see above")
        first += child.returncode != 0
        total["refused"] += refused
        total["slowest"] = max(total["slowest"], slowest)
        for what, number in findings:
            total["findings"].setdefault(what, []).append(number)
    total["read"] = inputs - total["refused"] - sum(map(len, total["findings"].values()))
    return total | {"seconds": time.perf_counter() - begun}


def main(argv: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", choices=[[], *TARGETS], default=[])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.child or asked.inputs == 1:
        with open(asked.child, "r+b") if asked.child else tempfile.TemporaryFile() as file:
            file.truncate(STATE.size)
            with mmap.mmap(file.fileno(), STATE.size) as at:
                last = asked.first + asked.inputs
                work(asked.targets[0], asked.seed, asked.first, last, at, loud=not asked.child)
        return 0
    table = {}
    if not asked.json:
        print(
            "| target | inputs | read | refused | findings | slowest, ms | inputs a second |\n|---|---|---|---|---|---|---|"
        )
    for name in asked.targets or TARGETS:
        table[name] = got = run(name, asked.seed, asked.first, asked.inputs // TARGETS[name].share)
        if not asked.json:
            count = sum(map(len, got["findings"].values()))
            print(f"| {name} | {got['inputs']:,} | {got['read']:,} | {got['refused']:,} | {count} | {1000 * got['slowest']:.0f} | {got['inputs'] / got['seconds']:,.0f} |", flush=True)  # fmt: skip
            for what, numbers in got["findings"].items():
                print(
                    f"{name}: {what}: {len(numbers)} times, --first {numbers[0]}", file=sys.stderr, flush=True
                )
    if asked.json:
        print(json.dumps(table, indent=1))
    return int(any(got["findings"] for got in table.values()))


if __name__ == "__main__":
    sys.exit(main())
