"""What the readers of the formats share: the pieces of an article, its limits, and how it says its date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from gongbao.schema import Block, DataError

# Invisible characters that sites put between letters: they would split words and shift offsets for nothing.
INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
# Ideographs, kana and full-width forms: between two of these a line end of the source is no blank.
CJK: Final = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff—…“”‘’·"

_DAY = r"((?:19|20)\d\d)\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})(?!\d)(?:\s*[日号])?"
_CLOCK = r"(?:[\sT]*\d{1,2}[:：]\d\d(?:[:：]\d\d)?)?"
_PUBLISHED = re.compile(r"(?:发布|发稿|刊发|刊登|公布|发表)(?:时间|日期)[\s:：\[【(（]*" + _DAY)
_SIGNED = re.compile(
    rf"(?:发文|成文|印发)(?:时间|日期)[\s:：\[【(（]*{_DAY}|^[^，。；]{{0,30}}?{_DAY}\s*印发$"
)
# With its source, its page in the newspaper, or to the minute.
_SOURCED = re.compile(
    rf"(?:来源|稿源)\s*[:：].*?{_DAY}|{_DAY}{_CLOCK}.{{0,20}}?(?:来源|稿源)\s*[:：]"
    rf"|{_DAY}\s*(?:星期.\s*)?第?\s*[A-Z]?\d+\s*版|{_DAY}[\sT]*\d{{1,2}}[:：]\d\d"
)
_ALONE = re.compile(rf"[\s(（\[【]*{_DAY}{_CLOCK}[\s)）\]】]*(?:星期[一二三四五六日天])?\s*")
# Who signs or prints: an office, a paper, a site. Meetings (大会, 会议) are none, their day is another.
_NAME = re.compile(
    r"(?!在|关于|根据|经|对|向)[^:：]+(?:局|厅|委|办|部|署|院|处|府|[公办]室|委员会|管委会|协会|联合会|商会|政协|网|报|社|台|站|队|所|公司"
    r"|集团|中心|融媒|发布|客户端|频道|镇|乡|街道|社区|村|银行|在线)"
)
_PARTICULAR = re.compile(
    r"(?:(?:信息|文章|稿件)?(?:来源|稿源)|发布(?:单位|机构)|发文(?:机关|单位)|作者|供稿|(?:责任)?编辑|责编|字[号体]|(?:浏览|阅读|点击)(?:次数|量|数)?)[:：]"
)
_OCCASION = re.compile(
    r"[，。；！？]|会议|地点|时间|活动|召开|举行|讲话|截[至止]|[上下]午|[自从至于在到]\s*(?=(?:19|20)\d\d)"
)
_CHINESE_DAY = re.compile(
    r"([一二][九〇○零OＯ0][〇○零OＯ0一二三四五六七八九]{2})年(十[一二]?|[一二三四五六七八九])月([二三]?十[一二三四五六七八九]?|[一二三四五六七八九])[日号]"
)
_CHINESE_DIGITS: Final = str.maketrans("〇○零OＯ一二三四五六七八九", "00000123456789")
_TOP_LINES: Final = 12  # that may give the day
_LAST_LINES: Final = 3
_SHORT: Final = 80  # characters of a line that gives particulars
_NAMES: Final = 30  # characters beside the day in a line of names
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


def published_day(lines: Sequence[str]) -> str | None:
    """The day of publication that a whole article says, all its lines given; see `stated_day`."""
    shown = [line for line in lines if line.strip()]
    return stated_day(shown[:_TOP_LINES], shown[_TOP_LINES:][-_LAST_LINES:])


def stated_day(top: Iterable[str], bottom: Iterable[str] = ()) -> str | None:
    """The day that a text's first and last lines give as its publication, None where they do not say one.

    The surest that is said counts: a day labelled as that of publication, then as that of signing; above the
    text the day with its source, the newspaper's page or the minute, then one that stands alone or with nothing
    but the names of offices, papers and people; then such a day below the text, as official documents close.
    Two different days that are equally sure are none. A day in a sentence, of a meeting say, is no publication date.
    """
    head, foot = ([_arabic(line.strip()) for line in lines] for lines in (top, bottom))
    ranks = (
        [_PUBLISHED.search(line) for line in head + foot],
        [_SIGNED.search(line) for line in head + foot],
        [_SOURCED.search(line) for line in head if len(line) <= _SHORT],
        [_ALONE.fullmatch(line) or _named(line) for line in head],
        [_ALONE.fullmatch(line) or _named(line) for line in foot],
    )
    for found in ranks:
        days = {day for match in found if match and (day := _iso(match.groups()))}
        if days:
            return days.pop() if len(days) == 1 else None
    return None


def _named(line: str) -> re.Match[str] | None:
    """The day of a short line that otherwise holds only names, one of them of an office, a paper or a site.

    A name may touch the day behind it; behind the day it has to be set off, or the line is a headline.
    """
    day = _ANY_DAY.search(line)
    if not day or not re.match(r"$|[\s|｜)）\]】]", line[day.end() :]) or _OCCASION.search(line):
        return None
    rest = f"{line[: day.start()]} {line[day.end() :]}".strip()
    if len(rest) > _NAMES:
        return None
    names = [_PARTICULAR.sub("", name, count=1) for name in re.split(r"[\s|｜/、()（）\[\]【】]+", rest)]
    offices = [bool(_NAME.fullmatch(name)) for name in names]
    others = [name for name, office in zip(names, offices, strict=True) if not office]
    # What is no office is a person, a column or the size of the letters.
    named = any(offices) and all(len(name) <= 4 and not re.search("[:：]", name) for name in others)
    return day if named else None


def _arabic(line: str) -> str:
    """The line with days like 二〇二三年三月二十日 in Arabic digits."""

    def number(text: str) -> str:
        tens, ten, ones = text.translate(_CHINESE_DIGITS).partition("十")
        return f"{tens or 1}{ones or 0}" if ten else tens

    return _CHINESE_DAY.sub(lambda day: "{}年{}月{}日".format(*map(number, day.groups())), line)


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
