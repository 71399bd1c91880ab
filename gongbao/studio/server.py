"""Calls to a Label Studio server through its SDK: what is tried again, what must not be, and what its answers mean.

    refused, 429                       nothing was done: any call is made again, after what Retry-After says
    5xx, slow, cut off                 a call that reads is made again; one that writes may have been carried out, so it
                                       is `Unsure` and the caller looks what has arrived before it sends the rest
    401, 403, 404, 400, a redirection  a message that says what to do; never again
    an answer that is not JSON         the same: a proxy or another program answers; after a call that writes, `Unsure`

The SDK's own retries are off, for it would send an import a second time after a time-out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from gongbao.schema import GongbaoError, UsageError
from gongbao.studio.access import NEW_TOKEN, Access

T = TypeVar("T")
Report = Callable[[str], None]
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between the tries of a call that may be made again."""
_LONGEST_WAIT: Final = 120.0
_BUSY: Final = frozenset({408, 425, 500, 502, 503, 504})


class Unsure(GongbaoError):  # noqa: N818 - says what is known, as KeyboardInterrupt does
    """A call that writes failed in a way that does not tell whether the server carried it out."""


@dataclass(frozen=True)
class _Trouble:
    """What an exception of a call means."""

    problem: str
    remedy: str
    again: bool = False  # the same call may succeed later
    done: bool = False  # it may have been carried out all the same
    wait: float | None = None  # seconds the server asks for


class Server:
    """A Label Studio server. `call` makes every request; `sdk` is the SDK's client, for use inside a call.

    Args:
        access: its address and the token.
        timeout: seconds that an answer may take to begin, or to go on.
        report: is told of every wait.
        sleep, clock: wait, and tell the time in seconds since 1970; tests have their own.
    """

    def __init__(
        self,
        access: Access,
        *,
        timeout: float = 60.0,
        report: Report = lambda line: None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        import httpx
        from label_studio_sdk import LabelStudio

        self.url = access.url
        self.report = report
        self._sleep = sleep
        self.clock = clock
        # A redirection would turn an import into a harmless look at a page: none is followed.
        client = httpx.Client(timeout=timeout, follow_redirects=False)
        with self._explained("signing in"):
            # With the slash an address with a path (https://host/studio) keeps it in the exchange of tokens too.
            client_of: Any = LabelStudio
            self.sdk: Any = client_of(
                base_url=f"{access.url}/",
                api_key=access.token,
                httpx_client=client,
                timeout=timeout,
                max_retries=0,
            )
        self._client = client

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(
        self,
        doing: str,
        request: Callable[[Any], T],
        *,
        writes: bool = False,
        pauses: Sequence[float] = PAUSES,
    ) -> T:
        """What `request`, given the SDK's client, returns.

        Args:
            doing: what it is for, as messages call it: `listing the tasks`.
            writes: it must not be made twice.
            pauses: seconds between the tries.

        Raises:
            Unsure: a call that writes may have been carried out.
            GongbaoError: the server refuses, or does not answer after all tries; the message says what to do.
        """
        for pause in (*pauses, None):
            try:
                return request(self.sdk)
            except GongbaoError:
                raise
            except Exception as error:  # the SDK passes on those of httpx, json and pydantic
                trouble = self._judge(error)
                if trouble is None:
                    raise
            problem = f"{doing}: {trouble.problem}"
            if writes and trouble.done:
                raise Unsure(problem, file=self.url, remedy=trouble.remedy)
            if not trouble.again or pause is None or (trouble.wait or 0) > _LONGEST_WAIT:
                raise GongbaoError(problem, file=self.url, remedy=trouble.remedy)
            self.wait(max(pause, trouble.wait or 0), problem)
        raise AssertionError("the last try returns or raises")

    def wait(self, seconds: float, why: str) -> None:
        """Say why, and wait about so long: several clients do not come back at the same moment."""
        self.report(f"{why}; again in {seconds:.0f} s")
        self._sleep(seconds * random.uniform(1, 1.2))  # noqa: S311 - no secret

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            trouble = self._judge(error)
            if trouble is None:
                raise
            raise GongbaoError(f"{doing}: {trouble.problem}", file=self.url, remedy=trouble.remedy) from None

    def _judge(self, error: Exception) -> _Trouble | None:
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        running = "see that the server runs and that the address is right; the same command then goes on"
        if isinstance(error, ApiError):
            return _of_answer(error.status_code or 0, error.body, error.headers or {}, self.clock())
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            raise UsageError(f"{self.url!r} is no address of a server") from None
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return _Trouble(f"the server cannot be reached ({_short(error)})", running, again=True)
        if isinstance(error, httpx.TimeoutException):
            slow = "the server is slow: give it longer with --timeout, or try when it has less to do"
            return _Trouble("no answer came in time", slow, again=True, done=True)
        if isinstance(error, httpx.TransportError):
            return _Trouble(f"the connection broke off ({_short(error)})", running, again=True, done=True)
        if isinstance(error, ValueError | KeyError | TypeError | AttributeError | httpx.HTTPError):
            return _foreign("it is not in Label Studio's form")
        return None


def _short(error: Exception) -> str:
    return str(error).partition("\n")[0][:120] or type(error).__name__


def _foreign(what: str) -> _Trouble:
    return _Trouble(
        f"an answer came, but {what}",
        "something else than Label Studio answers at this address, such as a proxy's page: open it in a browser",
        done=True,
    )


def _of_answer(status: int, body: Any, headers: Mapping[str, str], now: float) -> _Trouble:
    """What an answer means that the SDK raises for."""
    said = _said(body)
    if 200 <= status < 300:
        return _foreign("it is not JSON")
    if 300 <= status < 400:
        to = next((v for k, v in headers.items() if k.lower() == "location"), "another address")
        return _Trouble(
            f"the server sends on to {to}", "name the address that it sends to, without the path of the API"
        )
    if status == 401:
        return _Trouble(f"the server does not accept the token{said}", NEW_TOKEN)
    if status == 403:
        return _Trouble(
            f"the user of this token may not do that{said}",
            "ask who administers the server, or use another's token",
        )
    if status == 404:
        return _Trouble(
            f"there is no such thing{said}",
            "see that the address is that of a Label Studio and that the project exists",
        )
    if status == 429:
        wait = _retry_after(headers, now)
        asks = f", which asks for {wait:.0f} s" if wait else ""
        return _Trouble(f"too much at once for the server{asks}", "try again later", again=True, wait=wait)
    if status in _BUSY:
        return _Trouble(
            f"the server failed ({status}){said}", "its log says why; the same command then goes on",
            again=True, done=True, wait=_retry_after(headers, now),
        )  # fmt: skip
    if status == 413:
        return _Trouble(
            "the server, or a proxy before it, takes no request of this size", "send less at once: --batch 5"
        )
    return _Trouble(f"the server refuses ({status}){said}", "what it says is all that is known")


def _said(body: Any) -> str:
    """The server's own words, short. A page of HTML says nothing."""
    if isinstance(body, Mapping):
        told = (
            body.get("validation_errors")
            or body.get("detail")
            or {k: v for k, v in body.items() if k != "id"}
        )
        return f": {told!s:.300}"
    return "" if body is None or "<" in str(body)[:200] else f": {body!s:.300}"


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds of a Retry-After header, which gives those or a date."""
    given = next((v for k, v in headers.items() if k.lower() == "retry-after"), None)
    if given is None:
        return None
    try:
        seconds = float(given) if given.strip().isdigit() else parsedate_to_datetime(given).timestamp() - now
    except (ValueError, TypeError):
        return None
    return max(seconds, 0.0)
