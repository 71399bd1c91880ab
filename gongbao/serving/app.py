"""The application: `create_app(settings)`, for uvicorn or any other ASGI server."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator
from starlette.exceptions import HTTPException

from gongbao import __version__, tables
from gongbao.articles import Limits
from gongbao.extractor import Extractor
from gongbao.facts import is_undated
from gongbao.model_folder import summary
from gongbao.report import extraction_fragment
from gongbao.schema import APPROX, KINDS, DataError, Document, LabelScheme
from gongbao.serving import examples
from gongbao.serving.batching import Batcher, OverloadedError, StoppedError
from gongbao.serving.edge import (
    GONE,
    SECURITY,
    Edge,
    Guard,
    Metrics,
    Refusal,
    json_answer,
    log,
    too_large,
    while_there,
)
from gongbao.serving.page import Page
from gongbao.serving.reading import Upload, plain_name, read_upload
from gongbao.serving.settings import Settings

_FORM: Final = "multipart/form-data"
_UPLOADS: Final = 8  # for each reader: as many are received, wait or are read at a time
_PROBE: Final = Document(id="probe", text="2023年前三季度完成财政收入2.3亿元。")


class Format(StrEnum):
    """What an answer is written as."""

    json = "json"
    jsonl = "jsonl"
    facts = "facts"
    csv = "csv"
    xlsx = "xlsx"
    html = "html"


_TYPES: Final = {
    Format.json: "application/json",
    Format.jsonl: "application/x-ndjson",
    Format.facts: "application/x-ndjson",
    Format.csv: "text/csv; charset=utf-8",
    Format.xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.html: "text/html; charset=utf-8",
}
_NAMES: Final = {
    Format.jsonl: "documents.jsonl", Format.facts: "facts.jsonl", Format.csv: "facts.csv", Format.xlsx: "facts.xlsx",
}  # fmt: skip


class Extraction(BaseModel):
    """A request in JSON: one text or several, and the day that relative times (今年) are counted from."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [dict(examples.REQUEST)]})

    text: str | None = Field(None, description="One text.")
    texts: list[str] | None = Field(None, description="Several; the answer's documents are in their order.")
    published: Annotated[date, Strict()] | None = Field(
        None, description="Publication date, e.g. 2023-11-02."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Extraction:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either `text` or `texts`")
        return self

    def all(self) -> list[str]:
        """The texts."""
        return [self.text] if self.text is not None else self.texts or []


class _Service:
    """What the endpoints share."""

    def __init__(self, settings: Settings, extractor: Extractor | None) -> None:
        self.settings = settings
        self.guard = Guard(settings.open_keys())
        self.metrics = Metrics()
        self._given = extractor
        self._open = self._uploads = 0
        self._readers = asyncio.Semaphore(settings.readers)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Load the model and see that it answers before the first request is let in."""
        settings = self.settings
        given = self._given
        self.extractor = given if given is not None else await asyncio.to_thread(load, settings)
        self.page = Page(settings, self.extractor.folder.scheme, needs_key=settings.keys is not None)
        self.batcher = Batcher(
            self.extractor,
            batch_characters=settings.batch_characters,
            queue_characters=settings.queue_characters,
            patience=settings.timeout,
            observe=self.metrics.batch,
        )
        async with self.batcher:
            await self.batcher([_PROBE])
            log.info("ready: model %s, %s", self.extractor.folder.name, self.extractor.folder.version)
            yield

    # ----------------------------------------------------------------------------------- extract

    async def extract(
        self, request: Request, form: Annotated[Format, Query(alias="format")] = Format.json
    ) -> Response:
        """Read texts or an uploaded file and answer with spans, links, values and facts.

        `format`: `json` (an object with `documents`), `jsonl` (a document a line), `facts` (a fact a line), `csv`, `xlsx`
        (a row a fact), or `html` (a part of a page). Answers 429 with Retry-After as soon as there is too much to do.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            with self._place(upload=kind == _FORM):
                async with asyncio.timeout(self.settings.timeout):
                    given = await self._received(request, kind)
                    answer = await while_there(request, self._answer(given, form))
        except TimeoutError:
            raise Refusal(
                503, "timeout", f"it took longer than {self.settings.timeout:g} s", "send less at a time, or later",
                {"retry-after": "10"},
            ) from None  # fmt: skip
        except OverloadedError as error:
            raise _busy(error.retry_after) from None
        except StoppedError:
            raise Refusal(
                503, "stopping", "the service is going down", "try again", {"retry-after": "5"}
            ) from None
        return answer or Response(status_code=GONE)

    @contextmanager
    def _place(self, upload: bool) -> Iterator[None]:
        """One of the places for requests. Uploads have fewer of them: each may hold a large file in memory."""
        full = self._uploads >= _UPLOADS * self.settings.readers if upload else False
        if full or self._open >= self.settings.max_requests:
            raise OverloadedError(self.batcher.retry_after)
        self._open += 1
        self._uploads += upload
        self.metrics.open.set(self._open)
        try:
            yield
        finally:
            self._open -= 1
            self._uploads -= upload
            self.metrics.open.set(self._open)

    async def _received(self, request: Request, kind: str) -> list[Document] | Upload:
        """What was sent, within the limits."""
        if kind == "application/json":
            # No character takes more than 12 bytes, and an upload of such a size is another matter.
            most = min(self.settings.max_body, 12 * self.settings.max_characters + 10_000)
            return await asyncio.to_thread(self._documents, await _body(request, most))
        if kind == _FORM:
            return await self._upload(request)
        raise Refusal(
            415, "unsupported_media_type", "a request is application/json or multipart/form-data",
            'send {"text": "…"} as JSON, or a file as the form field `file`',
        )  # fmt: skip

    def _documents(self, body: bytes) -> list[Document]:
        try:
            asked = Extraction.model_validate_json(body)
        except ValidationError as error:
            raise _invalid(error) from None
        texts = asked.all()
        if len(texts) > self.settings.max_texts:
            raise Refusal(
                413, "too_many_texts", f"there are {len(texts):,} texts, the limit is {self.settings.max_texts:,}",
                "send them in several requests",
            )  # fmt: skip
        characters, most = sum(map(len, texts)), self.settings.max_characters
        if characters > most:
            raise Refusal(
                413, "text_too_long", f"there are {characters:,} characters, the limit is {most:,}", "split the text"
            )  # fmt: skip
        meta = {"published": asked.published.isoformat()} if asked.published else {}
        return [Document(id=f"text-{n}", text=text, meta=meta) for n, text in enumerate(texts, 1)]

    async def _upload(self, request: Request) -> Upload:
        async with request.form(max_files=1, max_fields=2, max_part_size=1024) as form:
            file, published = form.get("file"), form.get("published") or None
            if file is None or isinstance(file, str):
                raise Refusal(422, "invalid", "the form has no file", "send it as the form field `file`")
            try:
                day = date.fromisoformat(str(published)).isoformat() if published else None
            except ValueError:
                raise Refusal(
                    422, "invalid", "published: this is no date", "write it as 2023-11-02"
                ) from None
            return Upload(plain_name(file.filename), await file.read(), day)

    async def _answer(self, given: list[Document] | Upload, form: Format) -> Response:
        documents = [await self._read(given)] if isinstance(given, Upload) else given
        found = await self.batcher(documents)
        body = await asyncio.to_thread(written, found, form, self.extractor.folder.scheme)
        headers = {"content-disposition": f'attachment; filename="{_NAMES[form]}"'} if form in _NAMES else {}
        return Response(body, headers=headers, media_type=_TYPES[form])

    async def _read(self, upload: Upload) -> Document:
        limits = Limits(
            bytes=self.settings.max_body, characters=self.settings.max_characters, pages=self.settings.max_pages
        )  # fmt: skip
        async with self._readers:
            try:
                return await read_upload(upload, limits, self.settings.timeout)
            except DataError as error:
                over = "the limit is" in error.problem
                raise Refusal(
                    413 if over else 422, "file_too_large" if over else "unreadable_file",
                    f"{error.file}: {error.problem}", error.remedy,
                ) from None  # fmt: skip

    # ------------------------------------------------------------------------------- what there is

    async def schema(self) -> Response:
        """Labels, link roles and what they may join, which labels have values, and the spellings of values."""
        scheme = self.extractor.folder.scheme.to_json()
        return json_answer(scheme | {"kinds": KINDS, "approx": APPROX, "columns": tables.COLUMNS})

    async def models(self) -> Response:
        """The model that answers: name, version, labels, window and the hashes of its files."""
        about = summary(self.extractor.folder)
        del about["path"]  # where it lies is nobody's business
        return json_answer({"models": [about]})

    async def alive(self) -> Response:
        """The process answers."""
        return json_answer({"status": "alive"})

    async def ready(self) -> Response:
        """The model is loaded and answers; 503 if it has not for longer than a request may take."""
        busy = self.batcher.reading_for
        try:
            if busy is None:
                async with asyncio.timeout(self.settings.timeout):
                    await self.batcher([_PROBE])
            elif busy > self.settings.timeout:
                raise TimeoutError
        except (TimeoutError, StoppedError):
            raise Refusal(503, "not_ready", "the model does not answer") from None
        except OverloadedError:
            pass  # it has more than enough to do, and does it
        return json_answer({"status": "ready", "model": self.extractor.folder.identity()})

    async def collected(self) -> Response:
        """Counts and times in Prometheus's text format."""
        self.metrics.waiting.set(self.batcher.waiting)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def people(self, request: Request) -> Response:
        """The page for people."""
        return self.page.answer(request.headers.get("accept-language", ""))

    async def asset(self, name: str) -> Response:
        """A style or script of the page."""
        found = self.page.asset(name)
        if found is None:
            raise Refusal(404, "not_found", "there is nothing here")
        return found


def create_app(settings: Settings | None = None, extractor: Extractor | None = None) -> FastAPI:
    """The service.

    Args:
        settings: left out: those of the environment.
        extractor: the model, if it is loaded already; else the settings' one is loaded when the application starts.

    Raises:
        UsageError: settings that do not fit, or no keys for a service that others can reach.
    """
    service = _Service(settings or Settings.from_environment(), extractor)
    app = FastAPI(
        title="gongbao 公报", version=__version__, summary="Structured facts out of Chinese government reports",
        lifespan=service.lifespan, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
    )  # fmt: skip
    keyed = APIRouter(dependencies=[Depends(service.guard), *(Security(scheme) for scheme in SECURITY)])
    keyed.add_api_route(
        "/v1/extract", service.extract, methods=["POST"], response_class=Response,
        openapi_extra={"requestBody": examples.request_body(Extraction.model_json_schema())},
        responses=examples.RESPONSES,
    )  # fmt: skip
    for path, endpoint in (("/v1/schema", service.schema), ("/v1/models", service.models)):
        keyed.add_api_route(path, endpoint, responses={200: examples.answer(path)})
    keyed.add_api_route("/metrics", service.collected, response_class=Response)
    app.include_router(keyed)
    app.add_api_route("/healthz", service.alive)
    app.add_api_route("/readyz", service.ready)
    app.add_api_route("/", service.people, include_in_schema=False)
    app.add_api_route("/assets/{name}", service.asset, include_in_schema=False)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Edge, metrics=service.metrics, max_body=service.settings.max_body)
    return app


def load(settings: Settings) -> Extractor:
    """The model of the settings, with its share of the cores."""
    threads = settings.threads
    if threads is None and settings.workers > 1:
        threads = max(1, (os.cpu_count() or 1) // settings.workers)
    return Extractor.load(settings.model, backend=settings.backend, threads=threads)


def written(documents: Sequence[Document], form: Format, scheme: LabelScheme) -> bytes:
    """The body of an answer."""
    if form is Format.json:
        return f'{{"documents":[{",".join(d.to_line() for d in documents)}]}}'.encode()
    if form is Format.html:
        undated = any(is_undated(document, scheme) for document in documents)
        return extraction_fragment(documents, labels=scheme.labels, undated=undated).encode()
    with tempfile.TemporaryDirectory(prefix="gongbao-") as folder:
        path = Path(folder) / "answer"
        with tables.writing(path, form.value) as add:
            for document in documents:
                add(document)
        return path.read_bytes()


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large(most)
    return bytes(body)


def _busy(seconds: int) -> Refusal:
    return Refusal(
        429, "overloaded", "there is too much to do at the moment", f"try again in {seconds} s",
        {"retry-after": str(seconds)},
    )  # fmt: skip


def _invalid(error: ValidationError | RequestValidationError) -> Refusal:
    """The first thing that does not fit; what was sent is not repeated."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return Refusal(
        422, "invalid", f"{place}: {message}" if place else message, "see /openapi.json for what is read"
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.answer()


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _invalid(error).answer()


async def _http_error(request: Request, error: Exception) -> Response:
    """Errors of the framework, in the same form as ours."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid")
    message = {404: "there is nothing here", 405: "this method is not for here"}.get(
        error.status_code, error.detail
    )
    return Refusal(error.status_code, code, message, headers=error.headers or {}).answer()
