"""What the commands share: options, messages, models by name, articles from whatever holds them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gongbao.process import say
from gongbao.schema import DataError, GongbaoError

if TYPE_CHECKING:
    from gongbao.extractor import Extractor
    from gongbao.schema import Document, LabelScheme

Config = Annotated[
    Path | None,
    typer.Option("--config", help="The labelling configuration (label_config.xml); else the bundled one."),
]
Check = Annotated[
    Path | None,
    typer.Option("--config", help="Check labels and links against this labelling configuration."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Files = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Bundled splits (train dev test shift all) or files.")
]


class Backend(StrEnum):
    """What runs the model."""

    auto = "auto"
    onnx = "onnx"
    torch = "torch"


def print_json(value: Any) -> None:
    """JSON to read, on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=1))


def many(count: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def scheme_of(config: Path | None) -> LabelScheme:
    """The scheme of a labelling configuration; None: the bundled one."""
    from gongbao.files import bundled
    from gongbao.label_studio import read_config

    return read_config(config or bundled("annotations/label_config.xml")).scheme


@contextmanager
def naming_the_option(config: Path | None) -> Iterator[None]:
    """Where the bundled scheme does not have a label or link, tell how to bring another."""
    try:
        yield
    except DataError as error:
        if config is None and "the scheme" in error.problem:
            other = "another scheme is read with --config label_config.xml"
            error.remedy = f"{error.remedy}; {other}" if error.remedy else other
        raise


def load_extractor(model: Path | None, backend: Backend) -> Extractor:
    """The model named, or the default one."""
    from gongbao.extractor import Extractor

    return Extractor.load(model, backend=backend.value)


def read_articles(
    inputs: Iterable[str],
    fail: Callable[[GongbaoError], None],
    published: str | None = None,
    done: Callable[[str], bool] = lambda name: False,
    *,
    parts: bool = False,
) -> Iterator[Document]:
    """Documents of files, folders, JSONL and standard input. What fails is said and handed to `fail`; the rest goes on.

    Args:
        done: asked with the id of each document, before its file is read where that tells the id; what is done is left out.
        parts: a plain text too long to be held comes in parts (articles/long.py).
    """
    from gongbao.articles import read_article_bytes
    from gongbao.corpus import stream

    seen: set[str] = set()

    def problem(error: GongbaoError) -> None:
        say(str(error))
        fail(error)

    def of(item: str) -> Iterator[Document]:
        if item == "-":
            yield from left([read_article_bytes(sys.stdin.buffer.read(), "-")])
        elif item.lower().endswith((".jsonl", ".jsonl.gz")):
            yield from left(stream(item))
        else:
            for path in _paths_of(item):
                if (real := os.path.realpath(path)) in seen:
                    continue
                seen.add(real)
                try:
                    yield from _of_file(path, done, parts)
                except GongbaoError as error:
                    problem(error)

    def left(documents: Iterable[Document]) -> Iterator[Document]:
        return (document for document in documents if not done(document.id))

    for item in inputs:
        try:
            for document in of(item):
                if published and "published" not in document.meta:
                    document = document.replace(meta={**document.meta, "published": published})
                yield document
        except GongbaoError as error:
            problem(error)


def _paths_of(item: str) -> list[Path]:
    from gongbao.articles import SUFFIXES, find_articles

    passed_over: list[Path] = []
    paths = list(find_articles([item], skipped=passed_over.append))
    if passed_over:
        say(f"{item}: {many(len(passed_over), 'file')} of other kinds passed over: {_first(passed_over)}")
    if not paths:
        raise DataError(
            "there is no article in the folder", file=item, remedy=f"articles end in {' '.join(SUFFIXES)}"
        )
    return paths


def _of_file(path: Path, done: Callable[[str], bool], parts: bool) -> Iterator[Document]:
    from gongbao.articles import read_article
    from gongbao.articles.long import is_long, read_in_parts

    name = path.as_posix()
    if parts and is_long(path):
        yield from (part for part in read_in_parts(path, name) if not done(part.id))
    elif not done(name):
        document = read_article(path)
        # A name that is no text has another id.
        if document.id == name or not done(document.id):
            yield document


def _first(paths: Sequence[Path], count: int = 5) -> str:
    names = ", ".join(path.name for path in paths[:count])
    return names if len(paths) <= count else f"{names}, …"


def some(documents: Iterator[Document]) -> Iterator[Document]:
    """The documents if there are any: an output from before is not replaced by one with nothing in it."""
    first = next(documents, None)
    if first is None:
        raise GongbaoError("no report could be read; nothing was written")
    return chain((first,), documents)


def report_failed(failed: Sequence[GongbaoError]) -> None:
    """Exit with code 1 if anything failed."""
    if failed:
        say(f"{many(len(failed), 'input')} could not be read, see above")
        raise typer.Exit(1)


def progress(documents: Iterable[Document], total: int | None = None) -> Iterator[Document]:
    """Pass documents on and tell how many there were."""
    for n, document in enumerate(documents, 1):
        if n % 50 == 0 or n == total:
            say(f"  {n} of {total} documents" if total else f"  {n} documents")
        yield document


def read_all(files: Sequence[str], config: Path | None) -> list[Document]:
    """The documents of all files; labels and links are checked where a configuration is given."""
    from gongbao.corpus import resolve

    scheme = scheme_of(config) if config else None
    return [document for name in files for document in resolve(name, scheme)]
