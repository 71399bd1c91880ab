"""A page's tree to lines: without its furniture, and knowing which lines are the article's body.

The body is found by going inwards to what holds most of the page's prose, as long as nothing beside it reads
as a part of the article too. Prose is text outside links, weighed by its Chinese punctuation: menus, lists
of headlines and footers have next to none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gongbao.articles.parts import CJK, INVISIBLE

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_BLOCKS: Final = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dir",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4",
    "h5", "h6", "header", "hr", "html", "legend", "li", "main", "menu", "nav", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_CAPTIONS: Final = frozenset(("figcaption", "caption"))
_UNREAD: Final = frozenset((
    "applet", "area", "audio", "button", "canvas", "datalist", "embed", "head", "iframe", "input",
    "map", "math", "nav", "noscript", "object", "option", "script", "select", "style", "svg",
    "template", "textarea", "title", "video",
))  # fmt: skip
# Words of an id or class that name the furniture of a page, not its article.
_FURNITURE: Final = frozenset((
    "ad", "ads", "advert", "aside", "banner", "bdsharebuttonbox", "breadcrumb", "breadcrumbnav",
    "breadcrumbs", "bshare", "comment", "comments", "copyright", "crumb", "crumbs", "foot", "footer",
    "friendlink", "hot", "jiathis", "login", "menu", "nav", "navbar", "navigation", "next", "pager",
    "pagination", "prev", "print", "qr", "qrcode", "rank", "recommend", "related", "relate", "relation",
    "search", "share", "sidebar", "sitemap", "toolbar", "tool", "tools", "topbar",
))  # fmt: skip
# Where the content systems of government sites, newspapers and WeChat keep the body.
_BODY_NAMES: Final = frozenset((
    "js_content", "ucap-content", "trs_editor", "trs_ueditor", "zoom", "ozoom", "article-content",
    "articlecontent", "article_content", "pages_content", "founder-content", "vsb_content",
    "news_content", "newscontent", "content-article", "artibody",
))  # fmt: skip
# What the foot of a site begins with.
FOOT = re.compile(
    r"[主承]办(?:单位)?\s*[:：]|技术支持\s*[:：]|版权(?:所有|声明)|免责声明|建议使用.{0,40}(?:分辨率|浏览)|网站标识码"
    r"|.{0,3}(?:ICP)?备案号|.?ICP备|.?公网安备|Copyright|©",
    re.I,
)
_PROSE_MARK = re.compile("[，。；：！？、]")
_NAME_WORD = re.compile(r"[a-z0-9]+")
_CJK_BREAK = re.compile(rf"(?<=[{CJK}])[ \t\r\f]*\n[ \t\r\n\f]*(?=[{CJK}])")
_BLANKS = re.compile(r"[ \t\r\n\v\f\xa0]+")
# Browsers show nothing for these either.
_UNSEEN: Final = INVISIBLE | dict.fromkeys((*range(9), *range(14, 32), 127, 0xFFFE, 0xFFFF))
_MOST: Final = 0.5  # of the prose
_TEASER_SHARE: Final = 0.1  # of a teaser's text that is links


@dataclass(slots=True)
class Line:
    """A line of a page.

    `inside` says whether it is in the article's element, `linked` how many of its characters are link text and `links`
    of how many links, `pictured` whether a picture stands between it and the line before.
    """

    text: str
    kind: str
    inside: bool
    linked: int
    links: int
    pictured: bool


def all_text(element: Element) -> str:
    """All text in an element, as it stands in the source."""
    return "".join(map(str, element.itertext()))


def _is_link(element: Element) -> bool:
    # Old pages leave <a name="top"> open around all that follows.
    return element.tag == "a" and (element.get("href") is not None or element.get("name") is None)


def _linked_length(element: Element) -> int:
    return sum(len(all_text(link)) for link in element.iter("a") if _is_link(link))


def _names(element: Element) -> str:
    return f"{element.get('id', '')} {element.get('class', '')} {element.tag}".lower()


def remove_furniture(root: Element) -> None:
    """Take out what is never the article: by its tag, when hidden, or by a telling id or class.

    An id or class tells nothing where the element holds most of the prose (<div class="print">).
    """
    prose = _prose(root)
    total = prose[root]
    for element in list(root.iter()):
        style = (element.get("style") or "").replace(" ", "").lower()
        named = not _FURNITURE.isdisjoint(_NAME_WORD.findall(_names(element)))
        hidden = "display:none" in style or "hidden" in element.attrib
        if element.tag in _UNREAD or ((named or hidden) and prose[element] < total * _MOST):
            element.clear(keep_tail=True)


def _prose(root: Element) -> dict[Element, float]:
    """How much prose every element holds: punctuation marks and fifty characters outside links count one."""
    elements = list(root.iter())
    linked = {inner for link in root.iter("a") if _is_link(link) for inner in link.iter()}
    prose: dict[Element, float] = {}
    for element in reversed(elements):
        own = 0.0 if element in linked else _weight(element.text)
        for child in element:
            own += prose[child] + (0.0 if element in linked else _weight(child.tail))
        prose[element] = 0.0 if element.tag in _UNREAD else own
    return prose


def _weight(text: str | None) -> float:
    return len(text.strip()) / 50 + len(_PROSE_MARK.findall(text)) if text else 0.0


def main_element(root: Element) -> Element:
    """The element that is the article's body: what holds all elements that are named as bodies, else see above."""
    prose = _prose(root)
    named = {e for e in root.iter() if prose[e] > 0 and not _BODY_NAMES.isdisjoint(_names(e).split())}
    outer = [e for e in named if named.isdisjoint(e.iterancestors())]
    if outer and sum(prose[e] for e in outer) >= prose[root] * _MOST:
        return _around_all(outer)
    main = root
    while True:
        inner = max(main, key=lambda element: prose[element], default=None)
        if inner is None or prose[inner] < prose[main] * _MOST or not _holds_blocks(inner):
            return main
        if any(_is_prose(text) for text in (main.text, *(child.tail for child in main))) or any(
            _is_article(beside) for beside in main if beside is not inner and prose[beside] > 0
        ):
            return main
        main = inner


def _around_all(elements: list[Element]) -> Element:
    """The innermost element that holds all of some, or the only one itself."""
    first, *others = ([element, *element.iterancestors()] for element in elements)
    shared = set(first).intersection(*others)
    return next(element for element in first if element in shared)


def _is_article(element: Element) -> bool:
    """Whether an element reads as a part of the article: sentences, which are neither teasers nor the site's foot."""
    text = squeeze(all_text(element))
    return _is_prose(text) and not FOOT.match(text) and _linked_share(element) <= _TEASER_SHARE


def _is_prose(text: str | None) -> bool:
    return text is not None and "。" in text


def _linked_share(element: Element) -> float:
    return _linked_length(element) / max(1, len("".join(all_text(element).split())))


def _holds_blocks(element: Element) -> bool:
    return any(inner.tag in _BLOCKS or inner.tag == "br" for inner in element.iterdescendants())


# ------------------------------------------------------------------------------------------ its lines


def lines_of(root: Element, main: Element) -> list[Line]:
    """The page as lines in reading order; a table of data is one line with its rows below each other."""
    from lxml import etree

    flow = _Flow(main)
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "end":
            flow.leave(element)
        elif flow.enter(element):
            walk.skip_subtree()
    flow.end_line()
    return flow.lines


class _Flow:
    """Gathers text into lines while a page is walked through, element by element."""

    def __init__(self, main: Element) -> None:
        self.lines: list[Line] = []
        self.main = main
        self.around = set(main.iterancestors())
        self.pieces: list[str] = []
        self.kinds: list[str] = []  # of the headings and captions around
        self.inside = self.pictured = False
        self.in_links = self.in_pre = 0
        self.linked = self.links = 0  # characters of link text and links of this line

    def enter(self, element: Element) -> bool:
        """Take in an element's start; whether that was all of it."""
        self._border(element)
        tag = element.tag
        if element is self.main:
            self.inside = True
        rows = _rows(element) if tag == "table" and element not in self.around else None
        if rows:
            self.lines += _table(element, rows, self.inside)
            return True
        if tag in _HEADINGS or tag in _CAPTIONS:
            self.kinds.append("heading" if tag in _HEADINGS else "caption")
        self.in_pre += tag == "pre"
        self.in_links += _is_link(element)
        self.links += _is_link(element)
        self.pictured = self.pictured or tag == "img"
        self._add(element.text)
        return False

    def leave(self, element: Element) -> None:
        """Take in an element's end and the text behind it."""
        self._border(element)
        tag = element.tag
        if element is self.main:
            self.inside = False
        if tag in _HEADINGS or tag in _CAPTIONS:
            self.kinds.pop()
        self.in_pre -= tag == "pre"
        self.in_links -= _is_link(element)
        self._add(element.tail)

    def _border(self, element: Element) -> None:
        if element.tag in _BLOCKS or element.tag == "br" or element is self.main:
            self.end_line()

    def _add(self, text: str | None) -> None:
        for n, stretch in enumerate((text or "").split("\n") if self.in_pre else [text or ""]):
            if n:
                self.end_line()
            self.pieces.append(stretch)
            self.linked += len(stretch.strip()) if self.in_links else 0

    def end_line(self) -> None:
        """Make what was gathered since the last line a line, if it shows anything."""
        text = squeeze("".join(self.pieces))
        if text:
            kind = self.kinds[-1] if self.kinds else "paragraph"
            self.lines.append(Line(text, kind, self.inside, self.linked, self.links, self.pictured))
            self.pictured = False
        self.pieces.clear()
        self.linked = self.links = 0


def squeeze(text: str) -> str:
    """White space as a browser shows it, but a source line that ends between two ideographs leaves no blank."""
    return _BLANKS.sub(" ", _CJK_BREAK.sub("", text.translate(_UNSEEN))).strip()


def _rows(table: Element) -> list[list[str]] | None:
    """The cells of a table of data, None for a table that only lays out the page."""
    if next(table.iterdescendants("table"), None) is not None:
        return None
    rows = [
        [" ".join(line.text for line in lines_of(cell, cell)) for cell in row if cell.tag in ("td", "th")]
        for row in table.iter("tr")
    ]
    return rows if sum(1 for row in rows if sum(map(bool, row)) > 1) > 1 else None


def _table(table: Element, rows: list[list[str]], inside: bool) -> Iterator[Line]:
    for caption in table.iterchildren("caption"):
        text = squeeze(all_text(caption))
        if text:
            yield Line(text, "caption", inside, 0, 0, False)
    text = "\n".join("\t".join(row) for row in rows if any(row))
    links = sum(1 for link in table.iter("a") if _is_link(link))
    yield Line(text, "table", inside, _linked_length(table), links, False)
