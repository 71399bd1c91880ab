"""The service: the application in this process, and a real one in a process of its own."""

import asyncio
import gc
import io
import json
import logging
import os
import re
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import docx
import httpx
import openpyxl
import pytest
from reportlab.pdfgen.canvas import Canvas

from gongbao import Extractor, __version__
from gongbao.articles import Limits
from gongbao.cli import main
from gongbao.facts import prepare_gold
from gongbao.inline import parse
from gongbao.schema import DataError, Document, UsageError
from gongbao.serving import examples
from gongbao.serving.app import create_app
from gongbao.serving.batching import Batcher, OverloadedError, StoppedError
from gongbao.serving.page import language_of
from gongbao.serving.reading import Upload, plain_name, read_upload
from gongbao.serving.settings import Keys, Settings, is_loopback, variable_of

TEXT = "2023年前三季度,青石镇完成财政收入2.3亿元,占年度任务的88.6%。"
KEY, OTHER_KEY = "a-key-of-the-tests", "another-key-of-them"
FORM_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
HERE = "http://127.0.0.1:8000"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def extractor(tiny_model):
    return Extractor.load(tiny_model)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# of the tests\n\n{KEY}\n  {OTHER_KEY}  \n", encoding="utf-8")
    return path


class Held:
    """An extractor that waits, with everything but the service's own probe, until it is let go."""

    def __init__(self, extractor):
        self._extractor = extractor
        self.folder = extractor.folder
        self.go = threading.Event()
        self.begun = threading.Event()
        self.batches = []

    def __call__(self, documents):
        if documents[0].id != "probe":
            self.batches.append([d.text for d in documents])
            self.begun.set()
            assert self.go.wait(60)
        return self._extractor(documents)

    async def has_begun(self):
        assert await asyncio.to_thread(self.begun.wait, 60)


@asynccontextmanager
async def serving(extractor, settings=None, base_url=HERE, **limits):
    """A client of the application, which runs in this process."""
    app = create_app(settings or Settings(**limits), extractor)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base_url) as client,
    ):
        client.app = app
        yield client


def error_of(answer):
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json().values()
    assert error["message"]
    return answer.status_code, error["code"]


def word_file(*paragraphs):
    report, file = docx.Document(), io.BytesIO()
    for paragraph in paragraphs:
        report.add_paragraph(paragraph)
    report.save(file)
    return file.getvalue()


def pdf_file(pages):
    file = io.BytesIO()
    canvas = Canvas(file)
    for n in range(pages):
        canvas.drawString(100, 700, f"Page {n} of a report with GDP of 5 billion")
        canvas.showPage()
    canvas.save()
    return file.getvalue()


async def until(happened):
    """Let others run until it has happened."""
    for _ in range(10_000):
        if happened():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it has not happened")


# ------------------------------------------------------------------------------- settings and keys


def test_settings_come_from_the_environment_and_options_before_it():
    found = Settings.from_environment(
        {"GONGBAO_PORT": "9000", "GONGBAO_TIMEOUT": "2.5", "GONGBAO_MODEL": "", "GONGBAO_CACHE": "/tmp", "HOME": "/"},
        port=9001, host=None,
    )  # fmt: skip
    assert (found.port, found.timeout, found.model, found.host) == (9001, 2.5, None, "127.0.0.1")
    assert Settings.from_environment(found.to_environment()) == found


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GONGBAO_PORT": "eighty"}, "GONGBAO_PORT is 'eighty'"),
        ({"GONGBAO_TIMEOUT": "0"}, "GONGBAO_TIMEOUT is '0'"),
        ({"GONGBAO_BACKEND": "tensorflow"}, "GONGBAO_BACKEND"),
        ({"GONGBAO_KEY": "keys.txt"}, "did you mean GONGBAO_KEYS?"),
        ({"GONGBAO_MAX_CHARACTER": "9"}, "did you mean GONGBAO_MAX_CHARACTERS?"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_by_its_name(environment, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        raise_shown(lambda: Settings.from_environment(environment))


def raise_shown(call):
    """Errors with all they say, the remedy included."""
    try:
        call()
    except UsageError as error:
        raise UsageError(str(error)) from None


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("LOCALHOST", True), ("::1", True), ("[::1]", True),
        ("::ffff:127.0.0.1", True), ("0.0.0.0", False), ("::", False), ("10.1.2.3", False), ("", False), ("example.org", False),
        ("127.0.0.1.example.org", False), ("localhost.example.org", False),
    ],
)  # fmt: skip
def test_loopback(host, own):
    assert is_loopback(host) is own


def test_without_keys_the_service_listens_on_loopback_alone():
    assert Settings().open_keys() is None
    with pytest.raises(UsageError, match="open to everybody who can reach"):
        Settings(host="0.0.0.0").open_keys()
    with pytest.raises(UsageError, match="open to everybody"):
        create_app(Settings(host="0.0.0.0"))


def test_keys_come_and_go_without_a_restart(keys, caplog):
    found = Keys(keys)
    assert found.allow(KEY)
    assert found.allow(OTHER_KEY)
    assert not any(map(found.allow, ("", "# of the tests", KEY[:-1], KEY + "x", "钥匙", "\ud800")))

    keys.write_text(f"{OTHER_KEY}\nthe-newest-of-the-keys\n", encoding="utf-8")
    assert (found.allow(KEY), found.allow(OTHER_KEY), found.allow("the-newest-of-the-keys")) == (
        False,
        True,
        True,
    )
    for content in (None, "# nobody\n", "short\n", b"\xff\xfe\xff"):
        if content is None:
            keys.unlink()
        else:
            keys.write_bytes(content if isinstance(content, bytes) else content.encode())
        assert not found.allow(OTHER_KEY), "while there are no keys to read, nobody gets in"
    keys.write_text(f"{KEY}\n", encoding="utf-8-sig")
    assert found.allow(KEY)
    assert not any(key in caplog.text for key in (KEY, OTHER_KEY, "short", "newest"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("# none\n", "holds none"),
        (f"{KEY}\nshort\n", "the key in line 2 has fewer"),
    ],
)
def test_a_file_of_keys_that_lets_nobody_or_anybody_in_is_refused_at_the_start(tmp_path, content, said):
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=said) as caught:
        Keys(path)
    assert "short" not in str(caught.value)
    assert str(path) in str(caught.value)


# ---------------------------------------------------------------------------------------- batching


def documents_of(*texts):
    return [Document(id=text, text=text) for text in texts]


class Model:
    """Reads a text by giving it back; `go` lets it on, `batches` are what it was given."""

    def __init__(self, free=True):
        self.go = threading.Event()
        self.begun = threading.Event()
        self.batches = []
        if free:
            self.go.set()

    def __call__(self, documents):
        self.batches.append([d.text for d in documents])
        self.begun.set()
        assert self.go.wait(60)
        if any(d.text.startswith("bad") for d in documents):
            raise ValueError("a text that the model fails on")
        return [d.replace(meta={"read": True}) for d in documents]


@asynccontextmanager
async def first_held(**options):
    """A batcher whose model is at the text `first`: whatever comes now waits."""
    model = Model(free=False)
    options = {"batch_characters": 100, "queue_characters": 1000} | options
    async with Batcher(model, **options) as batcher:
        first = asyncio.create_task(batcher(documents_of("first")))
        assert await asyncio.to_thread(model.begun.wait, 60)
        try:
            yield batcher, model, first
        finally:
            model.go.set()
            await asyncio.gather(first, return_exceptions=True)


@pytest.mark.anyio
async def test_what_waits_is_read_together_and_everybody_gets_his_own():
    async with first_held(batch_characters=10_000) as (batcher, model, first):
        callers = [asyncio.create_task(batcher(documents_of(f"a{n}", f"b{n}"))) for n in range(5)]
        await until(lambda: batcher.waiting)
        model.go.set()
        answers = await asyncio.gather(*callers)
        assert [[d.text for d in answer] for answer in answers] == [[f"a{n}", f"b{n}"] for n in range(5)]
        assert all(d.meta["read"] for answer in answers for d in answer)
        assert [d.text for d in await first] == ["first"]
        assert [len(batch) for batch in model.batches] == [1, 10]
        assert (batcher.waiting, batcher.reading_for) == (0, None)
        assert await batcher([]) == []


@pytest.mark.anyio
async def test_a_long_list_does_not_hold_up_a_single_text():
    async with first_held(batch_characters=1) as (batcher, model, _):
        listed = asyncio.create_task(batcher(documents_of("a", "b", "c")))
        await until(lambda: batcher.waiting)
        single = asyncio.create_task(batcher(documents_of("single")))
        await asyncio.sleep(0)
        model.go.set()
        await asyncio.gather(listed, single)
        assert model.batches == [["first"], ["a"], ["single"], ["b"], ["c"]]


@pytest.mark.anyio
async def test_a_text_longer_than_a_batch_or_the_queue_is_read_alone():
    async with Batcher(Model(), batch_characters=10, queue_characters=10) as batcher:
        (found,) = await batcher(documents_of("长" * 500))
        assert found.text == "长" * 500


@pytest.mark.anyio
async def test_a_full_queue_refuses_at_once_and_has_room_again_when_somebody_goes():
    async with first_held() as (batcher, model, _):
        waiting = asyncio.create_task(batcher(documents_of("w" * 900)))
        await until(lambda: batcher.waiting)
        with pytest.raises(OverloadedError) as refused:
            await batcher(documents_of("x" * 200))
        assert refused.value.retry_after >= 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert batcher.waiting == 0
        later = asyncio.create_task(batcher(documents_of("x" * 200)))
        await until(lambda: batcher.waiting)
        model.go.set()
        await later
        assert "w" * 900 not in [text for batch in model.batches for text in batch]


@pytest.mark.anyio
async def test_who_would_wait_in_vain_is_refused_at_once():
    async with first_held(patience=5.0) as (batcher, model, _):
        model.go.set()
        await until(lambda: batcher.reading_for is None)
        model.go.clear()
        model.begun.clear()
        batcher._speed = 10.0  # characters a second, measured
        ahead = asyncio.create_task(batcher(documents_of("y" * 300)))
        await until(model.begun.is_set)
        with pytest.raises(OverloadedError) as refused:
            await batcher(documents_of("z"))
        assert refused.value.retry_after == 34
        model.go.set()
        await ahead


@pytest.mark.anyio
async def test_others_do_not_suffer_for_a_text_that_the_model_fails_on():
    async with first_held() as (batcher, model, _):
        bad = asyncio.create_task(batcher(documents_of("bad", "x" * 90)))
        good = asyncio.create_task(batcher(documents_of("good")))
        await until(lambda: batcher.waiting)
        model.go.set()
        with pytest.raises(ValueError, match="fails on"):
            await bad
        assert [d.text for d in await good] == ["good"]
        assert batcher.waiting == 0
        assert await batcher(documents_of("afterwards"))


@pytest.mark.anyio
async def test_what_still_waits_when_the_service_goes_down_is_told():
    model = Model(free=False)
    async with Batcher(model, batch_characters=1, queue_characters=1000) as batcher:
        callers = [asyncio.create_task(batcher(documents_of(text))) for text in ("a", "b")]
        await until(model.begun.is_set)
    model.go.set()
    with pytest.raises(StoppedError):
        await callers[1]
    with pytest.raises(StoppedError):
        await batcher(documents_of("c"))
    callers[0].cancel()
    await asyncio.gather(*callers, return_exceptions=True)


# ----------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("report.docx", "report.docx"), ("../../etc/passwd", "passwd"), (r"C:\报告\年报.pdf", "年报.pdf"), ("/", "upload"),
        ("", "upload"), (None, "upload"), ("a\0b.txt", "ab.txt"), ("x" * 999 + ".pdf", "x" * 196 + ".pdf"), ("..", ".."),
    ],
)  # fmt: skip
def test_of_a_name_only_the_last_part_is_taken(given, name):
    assert plain_name(given) == name


@pytest.mark.anyio
@pytest.mark.parametrize("fault", ["exit(1)", "os.abort()", "bytearray(3 << 30)", "while True: pass"])
async def test_a_reader_that_dies_or_takes_for_ever_harms_nobody(monkeypatch, tmp_path, fault):
    reader = tmp_path / "python"
    code = f"import os, sys\nfrom gongbao.serving import reading\ndef fail(*given, **limits):\n    {fault}\n"
    code += "reading.read_article_bytes = fail\nreading._main(sys.argv[-1])\n"
    (tmp_path / "fault.py").write_text(code)
    reader.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/fault.py" "$@"\n')
    reader.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(reader))
    with pytest.raises(DataError, match="crashed the reader"):
        await read_upload(Upload("a.txt", TEXT.encode()), Limits(), 0.0)


@pytest.mark.anyio
async def test_a_reader_is_ended_when_its_sender_goes():
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = set(children.read_text().split())
    task = asyncio.create_task(read_upload(Upload("a.docx", word_file(TEXT)), Limits(), 5.0))
    await until(lambda: set(children.read_text().split()) - before)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not set(children.read_text().split()) - before


# ------------------------------------------------------------------------------------- the answers


@pytest.mark.anyio
async def test_texts_are_answered_as_the_extractor_reads_them(extractor):
    texts = [TEXT, "", "𠮷林县完成财政收入2.3亿元。\r\n"]
    published = {"published": "2023-11-02"}
    async with serving(extractor) as client:
        one = await client.post("/v1/extract", json={"text": TEXT} | published)
        several = await client.post("/v1/extract", json={"texts": texts})
        assert (await client.post("/v1/extract", json={"texts": []})).json() == {"documents": []}
    (document,) = (Document.from_json(d) for d in one.json()["documents"])
    assert document == extractor(Document(id="text-1", text=TEXT, meta=published))
    assert document.facts
    assert [Document.from_json(d) for d in several.json()["documents"]] == extractor(texts)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["txt", "html", "docx"])
async def test_uploads_are_read_as_files_are(extractor, kind):
    content = {
        "txt": TEXT.encode("gb18030"), "docx": word_file(TEXT),
        "html": f"<html><body><p>{TEXT}</p></body></html>".encode(),
    }[kind]  # fmt: skip
    async with serving(extractor) as client:
        answer = await client.post(
            "/v1/extract", files={"file": (f"../报告.{kind}", content)}, data={"published": "2023-11-02"}
        )
    (found,) = answer.json()["documents"]
    document = Document.from_json(found)
    assert document.text.strip() == TEXT
    assert document.meta["published"] == "2023-11-02"
    assert (document.id, document.meta["format"]) == (f"报告.{kind}", kind)
    assert document.facts


@pytest.mark.anyio
async def test_a_pdf_is_read_with_its_pages(extractor):
    async with serving(extractor) as client:
        answer = await client.post("/v1/extract", files={"file": ("a.pdf", pdf_file(2))})
    (found,) = answer.json()["documents"]
    assert {block["page"] for block in found["blocks"]} == {1, 2}


@pytest.mark.anyio
async def test_every_format(extractor):
    async with serving(extractor) as client:

        async def ask(form):
            answer = await client.post(f"/v1/extract?format={form}", json={"text": TEXT})
            assert answer.status_code == 200
            assert ("content-disposition" in answer.headers) == (form not in ("json", "html"))
            return answer

        (line,) = (await ask("jsonl")).text.splitlines()
        facts = len(Document.from_json(json.loads(line)).facts)
        assert facts >= 2
        assert len((await ask("facts")).text.splitlines()) == facts
        assert (await ask("csv")).content.startswith("\ufeffdocument,".encode())
        xlsx = await ask("xlsx")
        html = await ask("html")
    assert openpyxl.load_workbook(io.BytesIO(xlsx.content)).active.max_row == facts + 1
    assert xlsx.headers["content-disposition"] == 'attachment; filename="facts.xlsx"'
    assert "<mark" in html.text
    assert html.text.count("<tr") == facts + 1
    assert "Times like 今年 have no dates" not in html.text


@pytest.mark.anyio
async def test_html_is_escaped_and_says_what_has_no_date(extractor):
    async with serving(extractor) as client:
        answer = await client.post(
            "/v1/extract?format=html",
            json={"text": "<script>alert(1)</script>今年以来,全区固定资产投资达到46.8亿元。"},
        )
    assert "<script" not in answer.text
    assert "&lt;" in answer.text
    assert "Times like 今年 have no dates" in answer.text


@pytest.mark.anyio
async def test_what_the_service_says_of_itself(extractor):
    async with serving(extractor) as client:
        schema, models = (await client.get("/v1/schema")).json(), (await client.get("/v1/models")).json()
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        ready = (await client.get("/readyz")).json()
        await client.post("/v1/extract", json={"text": TEXT})
        await client.get("/nowhere/at/all")
        metrics = (await client.get("/metrics")).text
    scheme = extractor.folder.scheme
    assert (schema["labels"], schema["values"]) == (list(scheme.labels), dict(scheme.values))
    (model,) = models["models"]
    assert (model["name"], "path" in model) == ("tiny", False)
    assert ready == {"status": "ready", "model": extractor.folder.identity()}
    assert 'gongbao_requests_total{route="/v1/extract",status="200"} 1.0' in metrics
    assert 'gongbao_requests_total{route="other",status="404"} 1.0' in metrics
    assert "gongbao_open_requests 0.0" in metrics
    assert "process_resident_memory_bytes" in metrics
    assert "nowhere" not in metrics
    (read,) = re.findall(r"^gongbao_characters_total (\S+)", metrics, re.M)
    assert float(read) >= len(TEXT)


@pytest.mark.anyio
async def test_openapi_shows_examples_that_hold(extractor, scheme):
    async with serving(extractor) as client:
        api = (await client.get("/openapi.json")).json()
        request = api["paths"]["/v1/extract"]["post"]["requestBody"]["content"]
        for example in request["application/json"]["examples"].values():
            assert (await client.post("/v1/extract", json=example["value"])).status_code == 200
    assert api["info"]["version"] == __version__
    assert set(api["paths"]) == {"/v1/extract", "/v1/schema", "/v1/models", "/metrics", "/healthz", "/readyz"}
    assert "file" in request["multipart/form-data"]["schema"]["required"]
    answers = api["paths"]["/v1/extract"]["post"]["responses"]
    assert {"200", "401", "403", "413", "415", "422", "429", "503"} <= set(answers)
    assert api["paths"]["/v1/extract"]["post"]["security"]
    assert "security" not in api["paths"]["/healthz"]["get"]

    (shown,) = answers["200"]["content"]["application/json"]["example"]["documents"]
    gold = parse(
        "{2023年前三季度|TIME},全镇完成{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},占年度任务的{88.6%|AMOUNT>1:COMPLETION}",
        id="text-1", scheme=scheme, meta={"published": "2023-11-02"},
    )  # fmt: skip
    made, document = prepare_gold(gold, scheme), Document.from_json(shown, scheme)
    assert document.text == examples.REQUEST["text"] == made.text
    assert [(s.key, s.value) for s in document.spans] == [(s.key, s.value) for s in made.spans]
    assert [(f.role, f.inherited) for f in document.facts] == [(f.role, f.inherited) for f in made.facts]


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "Invalid JSON"),
        (b'{"text": "\\ud800"}', "Invalid JSON"),
        (b'"a text"', "object"),
        (b"{}", "either `text` or `texts`"),
        (b'{"text": "a", "texts": []}', "either `text` or `texts`"),
        (b'{"text": 5}', "text: "),
        (b'{"texts": ["a", null]}', "texts.1: "),
        (b'{"text": "a", "publishd": "2023-11-02"}', "publishd: "),
        (b'{"text": "a", "published": "soon"}', "published: "),
        (b'{"text": "a", "published": 1700000000}', "published: "),
    ],
)
async def test_json_that_is_no_request(extractor, body, said):
    async with serving(extractor) as client:
        answer = await client.post(
            "/v1/extract", content=body, headers={"content-type": "application/json; charset=utf-8"}
        )
    assert error_of(answer) == (422, "invalid")
    assert said in answer.json()["error"]["message"]


@pytest.mark.anyio
async def test_forms_that_are_no_request(extractor):
    async with serving(extractor) as client:
        boundary = {"content-type": "multipart/form-data; boundary=x"}
        for sent in (
            {"files": {"document": ("a.txt", b"a")}},
            {"files": {"file": ("a.txt", b"a")}, "data": {"published": "soon"}},
            {"files": [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]},
            {"files": {"file": ("a.txt", b"a")}, "data": {"published": "9" * 5000}},
        ):
            status, code = error_of(await client.post("/v1/extract", **sent))
            assert (status in (400, 422), code) == (True, "invalid")
        text_for_file = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--x--\r\n'
        for content in (b"", b"no form", text_for_file):
            answer = await client.post("/v1/extract", content=content, headers=boundary)
            assert answer.json()["error"]["code"] == "invalid"
    gc.collect()  # files of forms that were given up are closed: a warning would fail the test


@pytest.mark.anyio
async def test_every_limit_has_its_error(extractor):
    limits = {"max_body": 60_000, "max_characters": 300, "max_texts": 3, "max_pages": 2}
    async with serving(extractor, **limits) as client:

        async def refused(**sent):
            return error_of(await client.post("/v1/extract", **sent))

        async def stream(size):
            yield FORM_HEAD
            for _ in range(size // 1000):
                yield b"x" * 1000

        as_json, as_form = (
            {"content-type": "application/json"},
            {"content-type": "multipart/form-data; boundary=x"},
        )
        assert await refused(json={"texts": ["a"] * 4}) == (413, "too_many_texts")
        assert await refused(json={"texts": ["长" * 150] * 2 + ["a"]}) == (413, "text_too_long")
        assert await refused(content=b"x" * 60_001, headers=as_json) == (413, "body_too_large")
        assert await refused(content=stream(20_000), headers=as_json) == (413, "body_too_large")
        assert await refused(content=stream(70_000), headers=as_form) == (413, "body_too_large")
        assert await refused(files={"file": ("a.txt", "长" * 301)}) == (413, "file_too_large")
        assert await refused(files={"file": ("a.pdf", pdf_file(3))}) == (413, "file_too_large")
        assert await refused(files={"file": ("a.pdf", b"%PDF-1.4 nothing")}) == (422, "unreadable_file")
        assert await refused(files={"file": ("a.exe", b"MZ")}) == (422, "unreadable_file")
        assert await refused(files={"file": ("a.txt", b" ")}) == (422, "unreadable_file")
        assert await refused(content=b"text", headers={"content-type": "text/plain"}) == (
            415,
            "unsupported_media_type",
        )
        assert await refused(content=b"text") == (415, "unsupported_media_type")
        assert error_of(await client.post("/v1/extract?format=doc", json={"text": "a"})) == (422, "invalid")
        assert error_of(await client.get("/v1/extract")) == (405, "method_not_allowed")
        assert (await client.post("/v1/extract", json={"texts": ["长" * 100] * 3})).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path", ["/assets/../pyproject.toml", "/assets/%2e%2e/app.py", "/assets//etc/passwd", "/assets/..%2f..%2fetc%2fpasswd", "/docs"]
)  # fmt: skip
async def test_nothing_else_is_served(extractor, path):
    async with serving(extractor) as client:
        assert error_of(await client.get(path)) == (404, "not_found")


@pytest.mark.anyio
async def test_keys_open_what_needs_one(extractor, keys):
    settings = Settings(keys=keys, host="0.0.0.0")
    async with serving(extractor, settings, base_url="http://gongbao.example.org") as client:
        for path in ("/v1/schema", "/v1/models", "/metrics"):
            assert error_of(await client.get(path)) == (401, "unauthorized")
        for headers in (
            {"authorization": f"Bearer {KEY}x"},
            {"authorization": f"Basic {KEY}"},
            {"x-api-key": "钥".encode()},
        ):
            answer = await client.post("/v1/extract", json={"text": TEXT}, headers=headers)
            assert error_of(answer) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"authorization": f"bearer {OTHER_KEY}"}, {"x-api-key": KEY}):
            assert (await client.post("/v1/extract", json={"text": TEXT}, headers=headers)).status_code == 200
        for path in ("/", "/healthz", "/readyz", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        assert 'id="key"' in (await client.get("/")).text


@pytest.mark.anyio
async def test_without_keys_only_this_machine_is_answered(extractor):
    async with serving(extractor) as client:
        good = ({"host": "localhost:8000"}, {"host": "[::1]:8000"}, {"origin": HERE})
        bad = (
            {"host": "gongbao.example.org"}, {"host": "[::1"}, {"host": ""}, {"origin": "https://example.org"}, {"origin": "null"},
        )  # fmt: skip
        for headers in good:
            assert (await client.get("/v1/schema", headers=headers)).status_code == 200
        for headers in bad:
            assert error_of(await client.get("/v1/schema", headers=headers)) == (403, "forbidden")
    # Another server was told to listen on all addresses: the settings cannot know.
    async with serving(extractor, base_url="http://10.1.2.3:8000") as client:
        assert error_of(await client.get("/v1/schema", headers={"host": "127.0.0.1"})) == (403, "forbidden")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/schema", "/nowhere", "/openapi.json"])
async def test_every_answer_has_the_security_headers(extractor, path):
    async with serving(extractor) as client:
        headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == ("no-cache" if path == "/" else "no-store")


# ------------------------------------------------------------------------------------- under load


@pytest.mark.anyio
async def test_the_event_loop_goes_on_while_the_model_reads(extractor):
    held = Held(extractor)
    async with serving(held) as client:
        asked = asyncio.create_task(client.post("/v1/extract", json={"text": TEXT}))
        await held.has_begun()
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        upload = asyncio.create_task(client.post("/v1/extract", files={"file": ("a.docx", word_file(TEXT))}))
        others = [
            asyncio.create_task(client.post("/v1/extract", json={"text": f"{TEXT}{n}"})) for n in range(5)
        ]
        await until(lambda: client_waits(client) > 5 * len(TEXT))
        assert not any(task.done() for task in (asked, upload, *others))
        held.go.set()
        answers = await asyncio.gather(asked, upload, *others)
    assert [answer.status_code for answer in answers] == [200] * 7
    for n, answer in enumerate(answers[2:]):
        assert answer.json()["documents"][0]["text"] == f"{TEXT}{n}"
    assert len(held.batches[1]) >= 5, "what had gathered was read together"


def client_waits(client):
    """Characters that wait in the application behind a client."""
    (route,) = (r for r in client.app.routes if getattr(r, "path", "") == "/healthz")
    return route.endpoint.__self__.batcher.waiting


@pytest.mark.anyio
async def test_too_much_is_refused_at_once_with_the_time_to_come_again(extractor):
    held = Held(extractor)
    async with serving(held, queue_characters=500) as client:
        first = asyncio.create_task(client.post("/v1/extract", json={"text": TEXT}))
        await held.has_begun()
        second = asyncio.create_task(client.post("/v1/extract", json={"text": "长" * 400}))
        await until(lambda: client_waits(client))
        refused = await client.post("/v1/extract", json={"text": "长" * 400})
        assert error_of(refused) == (429, "overloaded")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await client.get("/readyz")).status_code == 200
        held.go.set()
        assert {(await task).status_code for task in (first, second)} == {200}
    held = Held(extractor)
    async with serving(held, max_requests=1) as client:
        first = asyncio.create_task(client.post("/v1/extract", json={"text": TEXT}))
        await held.has_begun()
        assert error_of(await client.post("/v1/extract", json={"text": "a"})) == (429, "overloaded")
        held.go.set()
        assert (await first).status_code == 200
        assert (await client.post("/v1/extract", json={"text": "a"})).status_code == 200


@pytest.mark.anyio
async def test_what_takes_too_long_is_told_and_frees_its_place(extractor):
    held = Held(extractor)
    async with serving(held, timeout=0.2) as client:
        late = [
            await client.post("/v1/extract", json={"text": TEXT}),
            await client.post("/v1/extract", files={"file": ("a.txt", TEXT)}),
        ]
        assert [error_of(answer) for answer in late] == [(503, "timeout")] * 2
        assert "retry-after" in late[0].headers
        assert client_waits(client) == 0
        assert error_of(await client.get("/readyz")) == (503, "not_ready")
        held.go.set()
        await until(lambda: held.batches and client_waits(client) == 0)


@pytest.mark.anyio
async def test_a_caller_who_goes_frees_his_place(extractor):
    held = Held(extractor)
    async with serving(held) as client:
        first = asyncio.create_task(client.post("/v1/extract", json={"text": TEXT}))
        await held.has_begun()
        leave = asyncio.Event()
        messages = [{"type": "http.request", "body": json.dumps({"text": "走了的人"}).encode()}]
        sent = []

        async def receive():
            if messages:
                return messages.pop()
            await leave.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/extract", "raw_path": b"/v1/extract", "query_string": b"", "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")], "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 1), "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        gone = asyncio.create_task(client.app(scope, receive, send))
        await until(lambda: client_waits(client))
        leave.set()
        await gone
        assert client_waits(client) == 0
        held.go.set()
        assert (await first).status_code == 200
        assert "gongbao_gone_total 1.0" in (await client.get("/metrics")).text
    assert held.batches == [[TEXT]]


@pytest.mark.anyio
async def test_a_mistake_of_ours_is_logged_without_the_text(extractor, caplog):
    class Broken(Held):
        def __call__(self, documents):
            if documents[0].id == "probe":
                return self._extractor(documents)
            raise RuntimeError(f"cannot read {documents[0].text}")

    caplog.set_level(logging.DEBUG)
    async with serving(Broken(extractor)) as client:
        answer = await client.post("/v1/extract?format=json", json={"text": "机密的文字"})
    assert error_of(answer) == (500, "internal")
    assert "RuntimeError at " in caplog.text
    assert "test_serving.py" in caplog.text
    assert "机密" not in caplog.text + answer.text


@pytest.mark.anyio
async def test_a_model_that_cannot_be_loaded_ends_the_start(tmp_path):
    app = create_app(Settings(model=tmp_path))
    with pytest.raises(UsageError, match="holds no gongbao model"):
        async with app.router.lifespan_context(app):
            raise AssertionError("it started")


@pytest.mark.anyio
async def test_the_settings_model_is_loaded(tiny_model):
    async with serving(None, model=tiny_model, workers=2) as client:
        (model,) = (await client.get("/v1/models")).json()["models"]
    assert model["name"] == "tiny"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "zh-Hans"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"), ("en-GB,en;q=0.9", "en"), ("de,en;q=0.5,zh;q=0.4", "en"),
        ("de-DE", "zh-Hans"), ("en;q=0,zh;q=0.1", "zh-Hans"), ("en;q=x,zh", "zh-Hans"), ("*", "zh-Hans"), ("EN", "en"),
    ],
)  # fmt: skip
def test_the_language_that_is_asked_for(accepted, language):
    assert language_of(accepted) == language


@pytest.mark.anyio
async def test_the_page_holds_to_the_policy(extractor):
    async with serving(extractor) as client:
        english = await client.get("/", headers={"accept-language": "en"})
        assert '<html lang="en"' in english.text
        assert 'id="key"' not in english.text
        assert english.headers["vary"] == "Accept-Language"
        assert not re.search(r"\son\w+=|\sstyle=|<style|<script>|https?://|//\w", english.text)
        for asset in re.findall(r"assets/[\w.]+", english.text):
            answer = await client.get(f"/{asset}")
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert not re.search(r"url\(|@import|https?://", answer.text)


# -------------------------------------------------------------------------------- the command line


def test_serve_refuses_before_it_starts(tmp_path, tiny_model, capsys, monkeypatch):
    short = tmp_path / "keys"
    short.write_text("short\n")
    monkeypatch.setenv("GONGBAO_TIMEOUT", "")
    for arguments, said in (
        (["--host", "0.0.0.0"], "name a file of API keys"),
        (["--host", "0.0.0.0", "--keys", str(short)], "fewer than 16"),
        (["--port", "99999"], "GONGBAO_PORT"),
        (["--model", str(tmp_path)], "holds no gongbao model"),
    ):
        assert main(["serve", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_serve_runs_one_process_or_several(tiny_model, monkeypatch, capsys):
    served = []

    def run(server):
        server.started = True
        served.append(server.config)
        raise SystemExit(143)  # as uvicorn ends on SIGTERM

    monkeypatch.setattr("uvicorn.Server.run", run)
    assert main(["serve", "--model", str(tiny_model), "--port", "0"]) == 0
    monkeypatch.setattr("uvicorn.Server.run", lambda server: None)
    assert main(["serve", "--model", str(tiny_model), "--port", "0"]) == 1
    assert "could not be started" in capsys.readouterr().err

    def run_many(app, **options):
        served.append(options)
        assert os.environ["GONGBAO_MODEL"] == str(tiny_model)
        assert Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).is_dir()

    monkeypatch.setattr("uvicorn.run", run_many)
    for name in [*map(variable_of, Settings.model_fields), "PROMETHEUS_MULTIPROC_DIR"]:
        monkeypatch.setenv(name, "")  # so that they are as before afterwards
        monkeypatch.delenv(name)
    assert main(["serve", "--model", str(tiny_model), "--workers", "2"]) == 0
    assert (served[1]["workers"], served[1]["factory"]) == (2, True)


# ------------------------------------------------------------------------------- a real process

# The model waits for a file to appear, so that what happens meanwhile can be seen.
GATE = """
import os, time
from gongbao.extractor import Extractor
read = Extractor.__call__
def held(self, documents):
    while documents[0].id != "probe" and not os.path.exists(os.environ["GATE"]):
        time.sleep(0.01)
    return read(self, documents)
Extractor.__call__ = held
"""


def metric(service, name):
    (value,) = re.findall(rf"^{name} (\S+)$", httpx.get(f"{service.url}/metrics").text, re.M)
    return float(value)


def test_many_callers_each_get_their_own(start_service, extractor, keys):
    service = start_service("--keys", str(keys), "--host", "0.0.0.0")
    texts = [f"{TEXT}{n}" for n in range(48)]
    with (
        httpx.Client(base_url=service.url, headers={"x-api-key": KEY}) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        answers = list(pool.map(lambda text: client.post("/v1/extract?x=秘密", json={"text": text}), texts))
        client.post("/v1/extract", files={"file": ("秘密.txt", TEXT)})
        client.get("/v1/秘密")
        keys.write_text(f"{OTHER_KEY}\n", encoding="utf-8")
        assert client.get("/v1/schema").status_code == 401
    found = [Document.from_json(answer.json()["documents"][0]) for answer in answers]
    assert [d.text for d in found] == texts
    assert [d.facts for d in found] == [d.facts for d in extractor(texts)]
    log = service.log()
    assert log.count("POST /v1/extract 200") == len(texts) + 1
    assert not any(secret in log for secret in (KEY, OTHER_KEY, TEXT[:8], "秘密", "%E7%A7%98"))


def test_sigterm_drains(start_service, tmp_path):
    gate = tmp_path / "gate"
    service = start_service(before=GATE, environment={"GATE": str(gate)})
    with httpx.Client(base_url=service.url, timeout=60) as client, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.post, "/v1/extract", json={"text": f"{TEXT}{n}"}) for n in range(8)]
        service.eventually(lambda: metric(service, "gongbao_open_requests") == 8)
        service.process.send_signal(signal.SIGTERM)
        service.eventually(lambda: "Shutting down" in service.log())
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{service.url}/v1/extract", json={"text": "zu spät"})
        gate.touch()
        assert [task.result().status_code for task in asked] == [200] * 8
        assert asked[3].result().json()["documents"][0]["text"] == f"{TEXT}3"
    assert service.process.wait(60) == 0
    assert "Traceback" not in service.log()


def test_overload_and_callers_who_go(start_service, tmp_path):
    gate = tmp_path / "gate"
    service = start_service(before=GATE, environment={"GATE": str(gate), "GONGBAO_QUEUE_CHARACTERS": "1000"})
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(httpx.post, f"{service.url}/v1/extract", json={"text": TEXT}, timeout=60)
        service.eventually(lambda: metric(service, "gongbao_open_requests") == 1)
        impatient = httpx.post
        with pytest.raises(httpx.ReadTimeout):
            impatient(
                f"{service.url}/v1/extract", json={"text": "长" * 900}, timeout=httpx.Timeout(60, read=0.5)
            )
        service.eventually(lambda: metric(service, "gongbao_waiting_characters") == 0)

        second = pool.submit(httpx.post, f"{service.url}/v1/extract", json={"text": "长" * 900}, timeout=60)
        service.eventually(lambda: metric(service, "gongbao_waiting_characters") > 0)
        refused = httpx.post(f"{service.url}/v1/extract", json={"text": "长" * 900})
        assert error_of(refused) == (429, "overloaded")
        assert refused.headers["retry-after"].isdecimal()
        gate.touch()
        assert (first.result().status_code, second.result().status_code) == (200, 200)
    assert metric(service, "gongbao_gone_total") == 1
    assert "gone" in service.log()


def test_bodies_over_the_limit_on_the_wire(start_service):
    service = start_service(environment={"GONGBAO_MAX_BODY": "200000"})

    def chunks():
        yield FORM_HEAD
        for _ in range(1000):
            yield b"x" * 1000

    form = {"content-type": "multipart/form-data; boundary=x"}
    url = f"{service.url}/v1/extract"
    assert error_of(httpx.post(url, content=b"x" * 5_000_000, headers=form)) == (413, "body_too_large")
    assert error_of(httpx.post(url, content=chunks(), headers=form)) == (413, "body_too_large")
    assert httpx.post(url, json={"text": TEXT}).status_code == 200
    assert "Traceback" not in service.log()


def test_a_worker_that_is_killed_leaves_no_caller_without_an_answer_or_an_error(start_service):
    service = start_service("--workers", "2")
    ready = service.eventually(
        lambda: (
            (found := re.findall(r"process \[(\d+)\]", service.log()))
            and len(found) >= 3
            and service.log().count("startup complete") == 2
            and found
        )
    )
    worker = int(re.search(r"Started server process \[(\d+)\]", service.log())[1])
    assert str(worker) in ready
    ended = Counter()

    def ask(n):
        if n == 40:
            os.kill(worker, signal.SIGKILL)
        try:
            answer = httpx.post(f"{service.url}/v1/extract", json={"text": f"{TEXT}{n}"}, timeout=60)
        except httpx.TransportError:  # not a timeout: that would be an answer that never came
            ended["error"] += 1
        else:
            assert answer.json()["documents"][0]["text"] == f"{TEXT}{n}"
            ended[answer.status_code] += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(150)))
    assert ended.total() == 150
    assert ended[200] > 100
    assert ended["error"] == 150 - ended[200]
    service.eventually(lambda: service.log().count("startup complete") == 3)  # another took its place
    assert httpx.post(f"{service.url}/v1/extract", json={"text": TEXT}).status_code == 200
    assert metric(service, "gongbao_open_requests") == 0
