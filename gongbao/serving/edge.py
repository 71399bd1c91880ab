"""What every request meets first, and every answer last: guards, limits, headers, errors, the log, the metrics.

Neither the log nor the metrics hold anything of a text, a file's name, a key, a query or a path that is not ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import Response
from fastapi.security import APIKeyHeader, HTTPBearer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gongbao.serving.settings import Keys, is_loopback

log = logging.getLogger("gongbao.serving")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GONE: Final = 499  # what nginx has in its log for it; nobody is there to read it
_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


# ------------------------------------------------------------------------------------------- errors


class Refusal(Exception):  # noqa: N818 - it is one: nothing went wrong in the service
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        code: what programs tell it by.
        message: what is wrong, for people.
        remedy: what to do about it.
        headers: further ones of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, remedy: str | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.remedy = remedy
        self.headers = headers

    def answer(self) -> Response:
        """The error as every caller gets it."""
        error = {"code": self.code, "message": self.message}
        if self.remedy:
            error["remedy"] = self.remedy
        return json_answer({"error": error}, self.status, self.headers)


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    """JSON in UTF-8, a lone surrogate escaped."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Response(body.encode("utf-8", "backslashreplace"), status, dict(headers), "application/json")


def too_large(most: int) -> Refusal:
    """The body has more bytes than may be."""
    return Refusal(
        413, "body_too_large", f"the request has more than {most:,} bytes", "split it",
        {"connection": "close"},
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ metrics


class Metrics:
    """What Prometheus collects, of one application; of all its workers where PROMETHEUS_MULTIPROC_DIR is set."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if self._shared:
            _forget_the_dead(Path(self._shared))
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self.requests = Counter("gongbao_requests", "Answers.", ("route", "status"), registry=own)
        self.seconds = Histogram(
            "gongbao_request_seconds", "From a request's first byte to its answer's last.", ("route",), registry=own,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )  # fmt: skip
        self.gone = Counter("gongbao_gone", "Requests whose callers went before the answer.", registry=own)
        self.characters = Counter("gongbao_characters", "Characters that the model has read.", registry=own)
        self.batch_characters = Histogram(
            "gongbao_batch_characters", "Characters of one batch.", registry=own,
            buckets=(64, 256, 1024, 2048, 4096, 8192, 32_768, 131_072),
        )  # fmt: skip
        self.batch_seconds = Histogram(
            "gongbao_batch_seconds", "The model's time for one batch.", registry=own
        )
        self.waiting = Gauge(
            "gongbao_waiting_characters", "Characters that wait for the model.", registry=own,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.open = Gauge(
            "gongbao_open_requests", "Requests to extract that are being answered.", registry=own,
            multiprocess_mode="livesum",
        )  # fmt: skip

    def batch(self, characters: int, seconds: float) -> None:
        """Count a batch."""
        self.characters.inc(characters)
        self.batch_characters.observe(characters)
        self.batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        if not self._shared:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody, self._shared)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)


def _forget_the_dead(folder: Path) -> None:
    """Leave out of the sums what workers that are gone had open."""
    for file in folder.glob("gauge_livesum_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


# ------------------------------------------------------------------------------------------- guards


_bearer = HTTPBearer(auto_error=False, description="`Authorization: Bearer KEY`")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key, another header")
SECURITY: Final = (_bearer, _header)


class Guard:
    """Lets a request in that has a key; without keys, only one from this machine for this machine.

    A page of another site that the user of this machine visits could send requests here: by its own name for this
    address, or as a form. Without keys both are refused.
    """

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys

    async def __call__(self, request: Request) -> None:
        """Refuse, or do nothing."""
        if self._keys is None:
            _only_this_machine(request)
            return
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        given = key.strip() if kind.lower() == "bearer" else request.headers.get("x-api-key", "")
        if not given or not self._keys.allow(given):
            raise Refusal(
                401, "unauthorized", "there is no such API key" if given else "this service needs an API key",
                "send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`", {"www-authenticate": "Bearer"},
            )  # fmt: skip


def _only_this_machine(request: Request) -> None:
    server = request.scope.get("server")  # None, and no port: a socket of this machine
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    here = server is None or server[1] is None or is_loopback(server[0])
    if not here or not is_loopback(host):
        raise Refusal(
            403, "forbidden", "without API keys this service answers this machine alone",
            "address it as 127.0.0.1 or localhost, or give it a file of keys (GONGBAO_KEYS)",
        )  # fmt: skip
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Refusal(403, "forbidden", "a page of another site may not use this service")


# ----------------------------------------------------------------------------------------- the edge


class Edge:
    """The outermost layer of the application: headers, the limit on bodies, a line of log and the metrics.

    Whatever an endpoint raises ends here as an error in JSON. The log has an error's type and place, but not its
    message, which may quote a text.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_body: int) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._serve(scope, self._limited(receive), sending)
        except Exception as error:
            log.error("%s at %s", type(error).__name__, places(error))
            if status:  # the answer has begun: all that can be done is to break it off
                raise ConnectionAbortedError from None
            failure = Refusal(500, "internal", "this is a mistake in the service; it has been logged")
            await failure.answer()(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", None) or "other"
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - begun)
            if status in (0, GONE):
                self._metrics.gone.inc()
            if route not in ("/healthz", "/readyz", "/metrics"):
                log.info(
                    "%s %s %s %.0f ms", scope["method"], route, "gone" if status in (0, GONE) else status, 1000 * (time.perf_counter() - begun)
                )  # fmt: skip

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body:
            await too_large(self._max_body).answer()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _limited(self, receive: Receive) -> Receive:
        """Refuse a body that does not say its length as soon as it is too long."""
        left = self._max_body

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise too_large(self._max_body)
            return message

        return limited


def places(error: BaseException) -> str:
    """Where an error was raised, innermost first, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))


async def while_there(request: Request, work: Awaitable[Response]) -> Response | None:
    """The answer, or None as soon as the caller has gone: the work is cancelled then, and its place is free.

    The request's body has to be read before.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
