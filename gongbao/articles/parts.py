"""What the readers of the formats share: the pieces of an article, its limits, and how it says its date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from gongbao.schema import Block, DataError

# Invisible characters that sites put between letters: they would split words and shift offsets for nothing.
INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
# Ideographs, kana and full-width forms: between two of these a line end of the source is no blank.
CJK: Final = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff—…“”‘’·"

_DAY = r"((?:19|20)\d\d)\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})(?!\d)\s*[日号]?"
_CLOCK = r"(?:[\sT]*\d{1,2}[:：]\d\d(?:[:：]\d\d)?)?"
_LABEL = r"(?:发布|发文|发稿|刊发|刊登|成文|印发|公布|发表)(?:时间|日期)\s*[:：]?\s*"
LABELLED_DAY: Final = re.compile(_LABEL + _DAY)
_LONE_DAY = re.compile(rf"[\s(（\[【]*{_DAY}{_CLOCK}[\s)）\]】]*(?:星期[一二三四五六日天])?\s*")
# With its source, its page in the newspaper, or to the minute.
_SOURCED_DAY = re.compile(
    rf"(?:来源|稿源)\s*[:：].*?{_DAY}|{_DAY}{_CLOCK}.{{0,20}}?(?:来源|稿源)\s*[:：]"
    rf"|{_DAY}\s*(?:星期.\s*)?第?\s*[A-Z]?\d+\s*版|{_DAY}[\sT]*\d{{1,2}}[:：]\d\d"
)
_ANY_DAY = re.compile(_DAY)
_COMPACT_DAY = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read before it is refused.

    Args:
        bytes: size of the file.
        characters: length of the article.
        pages: pages of a PDF.
        expanded: bytes of all entries of a zip archive (a .docx is one) unpacked.
        ratio: unpacked bytes to packed bytes of an archive that unpacks to more than 10 MB.
    """

    bytes: int = 50_000_000
    characters: int = 10_000_000
    pages: int = 2_000
    expanded: int = 200_000_000
    ratio: int = 100


@dataclass(frozen=True, slots=True)
class Part:
    """One paragraph, heading, caption, note or table (rows as lines) of an article.

    A part that is `joined` goes on with the paragraph before it, on another page.
    """

    text: str
    kind: str = "paragraph"
    page: int | None = None
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Article:
    """What a format's reader found: the text, where its blocks are, and what the file says of itself."""

    text: str
    blocks: tuple[Block, ...]
    meta: dict[str, Any] = field(default_factory=dict)


def assemble(parts: Iterable[Part], **meta: str | None) -> Article:
    """Parts one below the other, a line end between two; `meta` without what is not known."""
    texts: list[str] = []
    blocks: list[Block] = []
    at = paragraph = 0
    for part in parts:
        if texts and not part.joined:
            texts.append("\n")
            at += 1
        paragraph += not part.joined
        blocks.append(Block(at, at + len(part.text), paragraph, page=part.page, kind=part.kind))
        texts.append(part.text)
        at += len(part.text)
    return Article("".join(texts), tuple(blocks), {key: value for key, value in meta.items() if value})


def check_length(text: str, limits: Limits) -> None:
    """Refuse an article over the limit."""
    if len(text) > limits.characters:
        raise DataError(
            f"the article has {len(text):,} characters, the limit is {limits.characters:,}", remedy="split it"
        )


def looks_like_title(line: str) -> bool:
    """Whether a first line reads as a title: short, and no sentence or salutation."""
    return 2 <= len(line) <= 60 and not line.endswith(tuple("。；;，,：:！!？?、"))


def iso_day(value: str) -> str | None:
    """The first day that a value like `2023-11-02 08:15` or `20231102` names, as an ISO date."""
    found = _ANY_DAY.search(value) or _COMPACT_DAY.match(value.strip())
    return _iso(found.groups()) if found else None


def stated_day(lines: Iterable[str]) -> str | None:
    """The day that a text's first lines give as its publication, None where they do not say one.

    A line says so when it labels the day (发布时间：…), is nothing but a day, or gives the source, the newspaper's
    page or the minute with it. A day in a sentence, of a meeting say, is no publication date.
    """
    for line in lines:
        found = (
            LABELLED_DAY.search(line)
            or _LONE_DAY.fullmatch(line)
            or (len(line) <= 80 and _SOURCED_DAY.search(line))
        )
        day = _iso(found.groups()) if found else None
        if day:
            return day
    return None


def _iso(groups: Iterable[str | None]) -> str | None:
    year, month, day = [int(group) for group in groups if group]
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def damaged(what: str, detail: str = "") -> DataError:
    """The error for a file that says it is `what` and cannot be read as such."""
    return DataError(
        f"the file is no {what} or a damaged one{f' ({detail})' if detail else ''}",
        remedy=f"fetch or save it again; if a program opens it, save it there as a new {what}",
    )
