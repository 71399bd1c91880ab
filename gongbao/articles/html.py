"""Saved web pages: the article without what stands around it.

The page becomes lines, some of them the body's. Before the body only the headline, a subtitle and the
captions of pictures between the two belong to the article; in it, blocks of links and the lines of the
site's own machinery (打印, 上一篇) do not.
"""

from __future__ import annotations

import email
import email.policy
import re
from datetime import datetime, timedelta, timezone
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

from gongbao.articles.html_lines import (
    FOOT,
    Line,
    all_text,
    lines_of,
    main_element,
    remove_furniture,
    squeeze,
)
from gongbao.articles.parts import Article, Part, assemble, damaged, iso_day, looks_like_title, stated_day
from gongbao.articles.plain import UndecodableError, decode, mostly_utf8
from gongbao.schema import DataError

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_ENCODINGS: Final = {
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "windows-1252": "cp1252",
    "iso-8859-1": "cp1252",
}
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]+?(?:charset|encoding)\s*=\s*["']?\s*([\w-]+)""", re.I)
_TITLE_NAMES: Final = frozenset(("articletitle", "og:title", "headline"))
_DAY_NAMES: Final = frozenset((
    "pubdate", "publishdate", "publish_date", "publishtime", "firstpublishedtime",
    "article:published_time", "datepublished", "dc.date.issued", "article:create_at", "og:release_date",
))  # fmt: skip
_FOUNDER_TITLE = re.compile(r"<founder-title>(.{1,200}?)</founder-title>", re.S)
_FOUNDER_DAY = re.compile(r"<founder-date>(.{1,40}?)</founder-date>", re.S)
_LD_DAY = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')
_WECHAT_SECONDS = re.compile(r"""var ct\s*=\s*["'](1\d{9})["']""")
_TITLE_CUT = re.compile(r"\s*[_|｜]\s*|\s+[-–—]+\s+|[-–—]+")
# Lines of the site, wherever they stand.
_MACHINERY = re.compile(
    r"[【\[(（]?(?:[上下]一[篇条页版](?:\W|$)|分享(?:到|至)\s*(?:[:：]|$)|打印(?:本[页文])?\W*$|关闭(?:窗口|本页)?\W*$|返回(?:顶部|列表|首页)\W*$"
    r"|扫一扫|字[体号]\s*[:：]|放大\s*缩小|阅读原文$|(?:您的)?当前(?:的)?位置\s*[:：]|今天是\s*\d{4}"
    r"|(?:相关|延伸|推荐)(?:链接|阅读|新闻|稿件|文章|推荐)\s*[:：]?$|往期(?:推荐|回顾)\s*[:：]?$|热[门点](?:文章|推荐|新闻)?$)"
)
_INFO = re.compile(
    r"(?:(?:信息|文章|稿件)?来源|作者|编辑|浏览(?:次数|量)?|点击(?:数|量)?|阅读(?:次数|量)?|(?:\w\w)?(?:时间|日期))\s*[:：]"
)
_INFO_MARK = re.compile("[:：]|版")
_CAPTION_LENGTH: Final = 120
_SHORT: Final = 80  # characters of a line that is the site's or gives particulars
_TITLE_LENGTH: Final = 200
_TITLES: Final = 8  # that are compared with
_LAST_PARTS: Final = 3  # that may give the day
_ABOVE: Final = 200  # lines before the body among which the headline is looked for
_CHINA: Final = timezone(timedelta(hours=8))


def read(data: bytes) -> Article:
    """The article of a page.

    Raises:
        DataError: bytes in no known encoding, a page without an article, or nested beyond reason.
    """
    page, encoding, sure = _decode(data)
    root = _parse(page)
    titles, published = _stated(root, page)
    remove_furniture(root)
    main = main_element(root)
    lines = lines_of(root, main)
    parts, title, info = _article(lines, titles)
    if not any(part.text for part in parts):
        raise DataError(
            "the page holds no article, only links or nothing at all",
            remedy="save the page of one article; a page that its script fills has to be saved after it is shown",
        )
    published = published or stated_day(info, [part.text for part in parts[-_LAST_PARTS:]])
    article = assemble(parts, title=title, published=published, encoding=encoding)
    if not sure and "\ufffd" in article.text:
        at = article.text.index("\ufffd")
        raise DataError(
            f"the article holds bytes that are not {encoding}", text=article.text, start=at, end=at + 1,
            remedy="save the page again, as UTF-8",
        )  # fmt: skip
    return article


def read_mhtml(data: bytes) -> Article:
    """The article of a page that a browser saved with its pictures in one file (.mhtml).

    Raises:
        DataError: no page in it, and what `read` refuses.
    """
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    for part in message.walk():
        if part.get_content_type() == "text/html":
            page = part.get_payload(decode=True)
            charset = part.get_content_charset()
            if isinstance(page, bytes):
                return read(
                    b'<meta charset="%s">' % charset.encode("ascii", "ignore") + page if charset else page
                )
    raise damaged("saved web page (.mhtml)")


# ------------------------------------------------------------------------------------- the page's tree


def _decode(data: bytes) -> tuple[str, str, bool]:
    """Text, encoding, and whether every byte was right.

    Content systems cut descriptions and summaries at a byte, so a page may hold broken characters where
    nobody reads them. They are let through here; `read` refuses them in the article.
    """
    declared = _CHARSET.search(data[:4096])
    name = declared.group(1).decode().lower() if declared else ""
    try:
        return *decode(data, _ENCODINGS.get(name)), True
    except UndecodableError:
        encoding = "utf-8" if mostly_utf8(data) else _ENCODINGS.get(name, "gb18030")
        text = data.decode(encoding, "replace")
        if "\0" in text or text.count("\ufffd") > 3 + len(text) // 1000:
            raise
        return text, encoding, False


def _parse(page: str) -> Element:
    from lxml import etree

    # libxml2 would believe a declaration in the page; it is told the encoding instead. Without `huge_tree` it
    # stops at 256 levels, which pages of unclosed <font> reach; HTML has no entities that could grow.
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
    )
    try:
        root: Element | None = etree.fromstring(page.encode("utf-8"), parser)
    except etree.LxmlError as error:
        raise damaged("web page", str(error)) from None
    # It recovers from everything but its own limits, and there it drops the rest without a word.
    stopped = [entry.message for entry in parser.error_log if entry.level == etree.ErrorLevels.FATAL]
    if stopped:
        raise damaged("web page", stopped[0].split(",")[0])
    if root is None:
        raise DataError("the page is empty", remedy="save it again")
    return root


def _stated(root: Element, page: str) -> tuple[list[str], str | None]:
    """The titles that the page declares or shows, the surest first, and its day of publication."""
    said: dict[str, list[str]] = {"title": [], "day": []}
    for element in root.iter("meta", "time", "em", "span"):
        name = (element.get("name") or element.get("property") or element.get("itemprop") or "").lower()
        what = "title" if name in _TITLE_NAMES else "day" if name in _DAY_NAMES else None
        if what:
            said[what].append(element.get("content") or element.get("datetime") or all_text(element))
    said["title"] += _FOUNDER_TITLE.findall(page)
    said["day"] += _FOUNDER_DAY.findall(page) + _LD_DAY.findall(page)
    said["day"] += [str(datetime.fromtimestamp(int(n), _CHINA).date()) for n in _WECHAT_SECONDS.findall(page)]
    said["title"] += [all_text(h1) for h1 in root.iter("h1")]
    for title in root.iter("title"):
        said["title"] += _TITLE_CUT.split(all_text(title))
    titles = dict.fromkeys(title for title in map(squeeze, said["title"]) if 0 < len(title) <= _TITLE_LENGTH)
    return list(titles)[:_TITLES], next((day for day in map(iso_day, said["day"]) if day), None)


# ---------------------------------------------------------------------------------------- the article


def _article(lines: list[Line], titles: list[str]) -> tuple[list[Part], str | None, list[str]]:
    """The article's parts, its title, and the lines near the headline that may give its date."""
    first = next((n for n, line in enumerate(lines) if line.inside), 0)
    body = _without_foot([line for line in lines if line.inside])
    headline = _headline(lines, first, titles)
    around = [] if headline is None else lines[headline + 1 : first]
    parts = [] if headline is None else [Part(lines[headline].text, "heading")]
    for line in around:
        if _is_machinery(line) or line.linked or _is_particular(line.text):
            continue
        if line.text.startswith("—"):
            parts.append(Part(line.text, "heading"))
        elif (
            (line.pictured or line.kind == "caption")
            and len(line.text) <= _CAPTION_LENGTH
            and not stated_day([line.text])
        ):
            parts.append(Part(line.text, "caption"))
    info = [line.text for line in around]
    kept, top = _body(body)
    if kept and parts and kept[0].text == parts[0].text:
        parts.pop(0)
    parts += kept
    title = lines[headline].text if headline is not None else _title_of(kept, titles, top)
    return parts, title, info + top


def _headline(lines: list[Line], end: int, titles: list[str]) -> int | None:
    """The line above the body that says one of the titles, or nearly so (a page's <title> is often shortened).

    Else, where <title> is only the site's name, the line above the particulars that stand above the body.
    """
    best, found = 0.6, None
    for n in range(max(0, end - _ABOVE), end):
        if not _may_be_headline(lines[n]):
            continue
        for title in titles:
            likeness = SequenceMatcher(None, lines[n].text, title, autojunk=False).ratio()
            if likeness >= best:
                best, found = likeness, n
    if found is not None:
        return found
    above = end - 1
    while above >= 0 and _is_particular(lines[above].text):
        above -= 1
    return above if 0 <= above < end - 1 and _may_be_headline(lines[above]) else None


def _may_be_headline(line: Line) -> bool:
    linked = line.linked and line.kind != "heading"
    return 4 <= len(line.text) <= 100 and not linked and line.kind != "table" and looks_like_title(line.text)


def _is_particular(text: str) -> bool:
    return len(text) <= _SHORT and bool(_INFO.match(text) or stated_day([text]))


def _title_of(parts: list[Part], titles: list[str], particulars: list[str]) -> str | None:
    """The title where no line above the body says it: the body's own headline, else what the page declares."""
    first = parts[0] if parts else Part("")
    headline = first.kind == "heading" or (bool(particulars) and looks_like_title(first.text))
    if headline or first.text in titles:
        return first.text
    return titles[0] if titles else None


def _body(lines: list[Line]) -> tuple[list[Part], list[str]]:
    """The lines of the article's element without link blocks, machinery and the particulars under its headline."""
    parts: list[Part] = []
    info: list[str] = []
    begun = False  # prose, or anything else but headings and particulars
    for n, line in enumerate(lines):
        if _is_machinery(line) or _is_links(lines, n):
            continue
        if not begun and line.kind == "paragraph" and _is_particular(line.text):
            info.append(line.text)
            # （2024年1月15日） below the headline is the article's own, 2024-01-15 08:30 the site's.
            dated = stated_day([line.text])
            if not (
                dated
                and "年" in line.text
                and looks_like_title(line.text)
                and not _INFO_MARK.search(line.text)
            ):
                continue
        begun = begun or len(parts) > 2 or len(line.text) > 40
        parts.append(Part(line.text, line.kind))
    return parts, info


def _without_foot(lines: list[Line]) -> list[Line]:
    """The lines up to the one that the site's foot begins with, behind which no sentence of the article follows."""
    feet = [bool(FOOT.match(line.text)) for line in lines]
    last = max((n for n, line in enumerate(lines) if line.text.endswith("。") and not feet[n]), default=-1)
    return lines[: next((n for n in range(last + 1, len(lines)) if feet[n]), len(lines))]


def _is_machinery(line: Line) -> bool:
    return len(line.text) <= _SHORT and not line.text.endswith("。") and bool(_MACHINERY.match(line.text))


def _is_links(lines: list[Line], n: int) -> bool:
    """Whether a line is of a block of links: nearly all link text, and of several links or beside another such."""

    def of_links(at: int) -> bool:
        return 0 <= at < len(lines) and lines[at].linked > 0.6 * len(lines[at].text)

    return of_links(n) and (of_links(n - 1) or of_links(n + 1) or lines[n].links > 1)
