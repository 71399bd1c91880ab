"""Files of articles to Documents: plain text, saved web pages, Word documents, PDF with a text layer.

    document = read_article("reports/2023.docx")

The text is the article alone; `document.blocks` give the paragraph, and in a PDF the page, of every character
that is not a gap between two paragraphs; `document.meta` has what the file says of itself: title, published,
and the file's name and format.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from gongbao.articles.parts import Article, Limits, check_length, damaged
from gongbao.schema import DataError, Document

__all__ = ["SUFFIXES", "Limits", "find_articles", "read_article", "read_article_bytes"]

_FORMATS: Final = {
    ".txt": "txt", ".html": "html", ".htm": "html", ".mhtml": "mhtml", ".mht": "mhtml", ".docx": "docx", ".pdf": "pdf",
}  # fmt: skip
SUFFIXES: Final = tuple(_FORMATS)
_LIMITS: Final = Limits()
_HEAD: Final = 4_096  # bytes that tell the format
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?>(?:<\?xml[^>]*>|<!--.*?-->)\s*)*<(?:!doctype\s+html|html|head|body|meta|title|script)\b",
    re.I | re.S,
)
_MHTML = re.compile(rb"(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?content-type:\s*multipart/related", re.I)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Beside the hidden files, and ~$NAME.docx that Word leaves beside a document that is open.
_OF_THE_SYSTEM: Final = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UNREADABLE: Final = {
    _OLE: (
        "a Word document of the old kind (.doc) or another old Office file",
        "open it in Word or WPS and save it as .docx",
    ),
    b"{\\rtf": ("rich text (RTF)", "open it in Word or WPS and save it as .docx"),
    b"\x89PNG": ("a picture", "recognise its text (OCR) with another program"),
    b"\xff\xd8\xff": ("a picture", "recognise its text (OCR) with another program"),
    b"\x1f\x8b": ("a gzip archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
}


def read_article(path: Path | str, *, id: str | None = None, limits: Limits = _LIMITS) -> Document:
    """The article in a file.

    Args:
        path: a file; what it holds decides its format, its suffix only where the content does not tell.
        id: the document's id; the path as given if left out.
        limits: see Limits.

    Raises:
        DataError: no file, not readable, over a limit, damaged, protected, no article in it. The error names the file.
    """
    try:
        data = _load(path, limits)
        return read_article_bytes(data, os.fspath(path), id=id, limits=limits)
    except DataError as error:
        raise error.within(file=_shown(path)) from None


def read_article_bytes(
    data: bytes, name: str, *, id: str | None = None, limits: Limits = _LIMITS
) -> Document:
    """The article in the bytes of a file, an upload or the standard input.

    Args:
        data: the whole content.
        name: the file's name or path: its suffix is the format where the content does not tell; without a suffix
            it is text.
        id: the document's id; `name` if left out.
        limits: see Limits.

    Raises:
        DataError: like `read_article`.
    """
    shown = _shown(name) or "-"
    try:
        _check_size(len(data), limits)
        if not data.strip(b"\0 \t\r\n\f\v"):
            raise DataError("the file is empty" if not data else "the file holds nothing but blanks")
        kind = _format(data, name)
        article = _read(kind, data, limits)
        if not any(article.text[block.start : block.end].strip() for block in article.blocks):
            raise DataError(f"the {kind} file holds no text")
        check_length(article.text, limits)
    except DataError as error:
        raise error.within(file=shown) from None
    meta = article.meta | {"source": PurePosixPath(shown).name or shown, "format": kind}
    return Document(id=id or shown, text=article.text, meta=meta, blocks=article.blocks)


def find_articles(
    inputs: Iterable[Path | str], *, skipped: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """The files to read, each once: those named, and in folders all with a known suffix, sorted.

    Hidden files and folders, the locks of open documents and what a system keeps for itself (Thumbs.db) are
    passed over without a word.

    Args:
        inputs: files and folders. A file that several of them reach is given at the first.
        skipped: called, once for a file, with every other file of a folder that is not read because of its suffix.

    Raises:
        DataError: an input that does not exist, a named file of a format that is not read.
    """
    seen: set[tuple[str, bool]] = set()
    for given in map(Path, inputs):
        for path in _under(given):
            wanted = path == given or _suffix(path.name) in _FORMATS
            file = os.path.realpath(path), wanted  # what a folder holds unread may still be named
            if file in seen:
                continue
            seen.add(file)
            if wanted:
                yield path
            elif skipped:
                skipped(path)


# -------------------------------------------------------------------------------------------- files


def _under(path: Path) -> Iterator[Path]:
    """A named file that may be an article, or all visible files of a folder."""
    try:
        if path.is_dir():
            yield from _walk(path)
            return
        if not path.exists():
            raise FileNotFoundError
        if path.is_file():  # not a pipe: looking into it would take from it
            with path.open("rb") as file:
                _format(file.read(_HEAD), path.name)
    except (OSError, ValueError) as error:
        failure = error if isinstance(error, DataError) else _unreadable(error)
        raise failure.within(file=_shown(path)) from None
    yield path


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise _unreadable(error).within(file=_shown(error.filename or folder))

    for root, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith((".", "~$")) and name.lower() not in _OF_THE_SYSTEM:
                yield Path(root, name)


def _load(path: Path | str, limits: Limits) -> bytes:
    try:
        path = Path(path)
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise DataError("this is a folder, not a file", remedy="name the files in it")
        if not stat.S_ISREG(status.st_mode):
            raise DataError("this is no ordinary file", remedy="write its content to a file")
        _check_size(status.st_size, limits)
        with path.open("rb") as file:
            return file.read(limits.bytes + 1)
    except (OSError, ValueError) as error:
        raise (error if isinstance(error, DataError) else _unreadable(error)) from None


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.bytes:
        raise DataError(
            f"the file has {size / 1e6:,.1f} MB, the limit is {limits.bytes / 1e6:,.1f} MB", remedy="split it"
        )


def _unreadable(error: OSError | ValueError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError("there is no such file or folder", remedy="check the path")
    if isinstance(error, PermissionError):
        return DataError("it may not be read", remedy="ask for the right to read it")
    return DataError(
        f"it cannot be read: {getattr(error, 'strerror', None) or error}", remedy="check the path"
    )


def _shown(path: object) -> str:
    """A path as text that can be written: names that are not UTF-8 come from the system with lone surrogates."""
    text = path if isinstance(path, str) else os.fsdecode(path)  # type: ignore[arg-type]
    return _SURROGATE.sub("\ufffd", Path(text).as_posix() if text else "")


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


# ------------------------------------------------------------------------------------------- formats


def _format(data: bytes, name: str) -> str:
    """The format of a file by its first bytes, else by its suffix.

    Raises:
        DataError: a format that is not read, a suffix that is not known or does not fit the content.
    """
    for magic, (what, remedy) in _UNREADABLE.items():
        if data.startswith(magic):
            if "EncryptedPackage".encode("utf-16-le") in data:
                what, remedy = (
                    "an Office file with a password",
                    "open it in Word or WPS and save it without one",
                )
            raise DataError(f"the file is {what}, which is not read", remedy=remedy)
    head, suffix = data[:_HEAD], _suffix(name)
    if head.startswith(b"%PDF-") or (suffix == ".pdf" and b"%PDF-" in head[:1024]):
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "docx"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    if _MHTML.match(head):
        return "mhtml"
    if _HTML.match(head):
        return "html"
    kind = _FORMATS.get(suffix, "" if suffix else "txt")
    if not kind:
        raise DataError(
            f"{suffix} files are not read", remedy=f"give the article as one of {' '.join(SUFFIXES)}"
        )
    if kind == "docx":
        raise damaged("Word document (.docx)", "it does not begin like one")
    if kind == "pdf":
        raise damaged("PDF", "it does not begin like one")
    return kind


def _read(kind: str, data: bytes, limits: Limits) -> Article:
    # Each brings its library, which only those pay for who read such a file.
    if kind == "pdf":
        from gongbao.articles import pdf

        return pdf.read(data, limits)
    if kind == "docx":
        from gongbao.articles import docx

        return docx.read(data, limits)
    if kind == "txt":
        from gongbao.articles import plain

        return plain.read(data, limits)
    from gongbao.articles import html

    return html.read_mhtml(data) if kind == "mhtml" else html.read(data)
