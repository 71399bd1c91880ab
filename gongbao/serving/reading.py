"""Uploaded files, each read in a process of its own.

A file from anywhere may be made to crash its reader, to fill the memory or to take for ever. In a process of its own it
harms nobody else, and the process is killed when its time is up or its sender has gone. It also has the event loop
free, and pdfium, which must not run in two threads, alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from gongbao.articles import Limits, read_article_bytes
from gongbao.files import PACKAGE
from gongbao.schema import DataError, Document, GongbaoError

MEMORY: Final = 2 << 30  # bytes of address space for one reader
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent: its name by `plain_name`, all of it, and the day for one that does not say its own."""

    name: str
    data: bytes
    published: str | None = None


def plain_name(name: str | None) -> str:
    """The last part of an uploaded file's name, shortened in front. It is shown and tells the format; no file is opened by it."""
    last = PurePosixPath((name or "").replace("\\", "/").replace("\0", "")).name
    return last[-_LONGEST_NAME:] or "upload"


async def read_upload(upload: Upload, limits: Limits, seconds: float) -> Document:
    """The article in an uploaded file.

    Args:
        upload: the file.
        limits: what is refused.
        seconds: processor time for the reader; how long it may take by the clock is the caller's to say, by cancelling.

    Raises:
        DataError: what `read_article_bytes` raises, and if the reader did not survive the file.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "gongbao.serving.reading",
        json.dumps({"name": upload.name, "limits": asdict(limits), "seconds": seconds}),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": os.defpath, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        out, _ = await process.communicate(upload.data)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise DataError(
            "reading the file took too much time or memory, or crashed the reader", file=upload.name,
            remedy="open it in a program and save it anew, or give its text",
        )  # fmt: skip
    document = await asyncio.to_thread(_document, out)
    if upload.published and "published" not in document.meta:
        return document.replace(meta={**document.meta, "published": upload.published})
    return document


def _document(out: bytes) -> Document:
    answer: dict[str, Any] = json.loads(out)
    if "problem" in answer:
        raise DataError(answer["problem"], file=answer["file"], remedy=answer["remedy"])
    return Document.from_json(answer)


def _main(argument: str) -> None:
    """Read standard input and write the document, or what is wrong with the file, as JSON."""
    import resource

    asked = json.loads(argument)
    seconds = int(asked["seconds"]) + 1
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError):  # a stricter limit holds already, or (macOS) there is none of this kind
            resource.setrlimit(what, (most, most))
    warnings.simplefilter("ignore")
    try:
        document = read_article_bytes(
            sys.stdin.buffer.read(), asked["name"], limits=Limits(**asked["limits"])
        )
        answer = document.to_json()
    except GongbaoError as error:
        answer = {"problem": error.problem, "file": str(error.file), "remedy": error.remedy}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main(sys.argv[1])
