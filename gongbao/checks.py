"""Every rule that a corpus breaks, with its place.

    error    edge-blank         a span begins or ends in white space
             edge-mark          … or in punctuation, marks in pairs that are both inside it excepted
             pair               a bracket or quotation mark in a span without its partner
             label, link        a label, or a link between labels, that the scheme does not have
             tail-links         a span that two links lead to
             empty-document     nothing but white space
             duplicate-id       an id that an earlier document has
    warning  link-sentences     a link from one sentence to another
             duplicate-text     the text of an earlier document, white space and width aside
             published          a publication date that is none: periods such as 今年 have no dates without it
             control-character  a control or other invisible character

These are breaches, to be mended. What merely looks wrong, and may be right, is listed by `gongbao.suspects`. The rules know
labels from the scheme only.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from gongbao.facts import publication_date
from gongbao.schema import Document, LabelScheme, Span
from gongbao.sentences import sentences
from gongbao.splitting import folded

Severity: TypeAlias = Literal["error", "warning"]

SEVERITY: Final[Mapping[str, Severity]] = {
    "edge-blank": "error", "edge-mark": "error", "pair": "error", "label": "error", "link": "error",
    "tail-links": "error", "empty-document": "error", "duplicate-id": "error",
    "link-sentences": "warning", "duplicate-text": "warning", "published": "warning",
    "control-character": "warning",
}  # fmt: skip
"""All rules, and how bad it is to break them."""

_PAIRS = {
    "“": "”",
    "‘": "’",
    "「": "」",
    "『": "』",
    "（": "）",
    "(": ")",
    "【": "】",
    "《": "》",
    "〈": "〉",
    "〔": "〕",
    "[": "]",
}
_SAME = str.maketrans("（）", "()")  # a bracket may open wide and close narrow
_UNIT_MARKS = "%％‰‱′″"  # punctuation to Unicode, but part of a quantity
_SIGN = re.compile(r"[-−－+＋]\d")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd]+"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule and the characters it is about."""

    document: str
    start: int
    end: int
    rule: str
    message: str
    severity: Severity

    def __str__(self) -> str:
        return f"{self.document}, characters {self.start}-{self.end}: {self.severity}, {self.rule}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "document": self.document, "start": self.start, "end": self.end, "rule": self.rule,
            "message": self.message, "severity": self.severity,
        }  # fmt: skip


def check(documents: Sequence[Document], scheme: LabelScheme) -> list[Finding]:
    """What is wrong with the documents, in their order and the order of their text. The module lists the rules."""
    ids: set[str] = set()
    texts: dict[str, str] = {}
    found = []
    for document in documents:
        own = [
            *_of_document(document, ids, texts),
            *_of_spans(document, scheme),
            *_of_links(document, scheme),
        ]
        found += sorted(own, key=lambda f: (f.start, f.end))
    return found


def _finding(document: Document, place: Span | tuple[int, int], rule: str, message: str) -> Finding:
    start, end = (place.start, place.end) if isinstance(place, Span) else place
    return Finding(document.id, start, end, rule, message, SEVERITY[rule])


# -------------------------------------------------------------------------------------- documents


def _of_document(document: Document, ids: set[str], texts: dict[str, str]) -> Iterator[Finding]:
    everything = 0, len(document.text)
    if document.id in ids:
        yield _finding(document, everything, "duplicate-id", "an earlier document has the same id")
    ids.add(document.id)
    key = folded(document.text)
    if not key:
        yield _finding(document, everything, "empty-document", "there is no text")
    elif key in texts:
        yield _finding(document, everything, "duplicate-text", f"the text is that of {texts[key]}")
    else:
        texts[key] = document.id
    published = document.meta.get("published")
    if published and publication_date(document) is None:
        yield _finding(
            document, everything, "published", f"{published!r:.60} is no date: write it as 2023-11-02"
        )
    for match in _INVISIBLE.finditer(document.text):
        named = ", ".join(sorted({f"U+{ord(c):04X}" for c in match[0]}))
        yield _finding(document, match.span(), "control-character", f"invisible: {named}")


# ------------------------------------------------------------------------------------------ spans


def _of_spans(document: Document, scheme: LabelScheme) -> Iterator[Finding]:
    for span in document.spans:
        if span.label not in scheme.labels:
            yield _finding(document, span, "label", f"the scheme has no label {span.label}")
        if span.text != span.text.strip():
            yield _finding(document, span, "edge-blank", f"{span.text!r} begins or ends in white space")
        partners, alone = _partners(span.text)
        if alone:
            yield _finding(
                document, span, "pair", f"{span.text!r} holds {span.text[alone[0]]} without its partner"
            )
        at_edge = [span.text[n] for n in (0, -1) if _is_loose(span.text, n % len(span.text), partners)]
        if at_edge:
            yield _finding(
                document, span, "edge-mark", f"{span.text!r} begins or ends in {' and '.join(at_edge)}"
            )


def _partners(text: str) -> tuple[set[int], list[int]]:
    """The places of the paired marks in a text whose partner is there too, and of those that stand alone.

    Straight quotes look the same on both sides: two of them are a pair, and of an odd number the last is alone.
    """
    paired: set[int] = set()
    alone: list[int] = []
    opened: list[int] = []
    quotes = [n for n, c in enumerate(text) if c == '"']
    for n, character in enumerate(text):
        if character in _PAIRS:
            opened.append(n)
        elif character in _PAIRS.values():
            wanted = character.translate(_SAME)
            if opened and _PAIRS[text[opened[-1]]].translate(_SAME) == wanted:
                paired |= {opened.pop(), n}
            elif not (character == "’" and text[n - 1 : n].isascii()):  # an apostrophe
                alone.append(n)
    if len(quotes) % 2:
        alone.append(quotes.pop())
    return paired | set(quotes), sorted(alone + opened)


def _is_loose(text: str, at: int, partners: set[int]) -> bool:
    """Whether the character at an edge of a span is punctuation that does not belong to it."""
    character = text[at]
    return (
        unicodedata.category(character).startswith("P")
        and character not in _UNIT_MARKS
        and at not in partners
        and not (at == 0 and _SIGN.match(text))
    )


# ------------------------------------------------------------------------------------------ links


def _of_links(document: Document, scheme: LabelScheme) -> Iterator[Finding]:
    starts = [start for start, _ in sentences(document.text)]
    tails: defaultdict[str, list[str]] = defaultdict(list)
    for link in document.links:
        head, tail = document.span(link.head), document.span(link.tail)
        tails[tail.id].append(f"{head.text!r} →{link.role}")
        place = min(head.start, tail.start), max(head.end, tail.end)
        told = f"{head.label} {head.text!r} →{link.role}→ {tail.label} {tail.text!r}"
        if not scheme.allows(head.label, tail.label, link.role):
            yield _finding(document, place, "link", f"the scheme has no such link: {told}")
        if bisect_right(starts, head.start) != bisect_right(starts, tail.start):
            yield _finding(document, place, "link-sentences", f"from one sentence to another: {told}")
    for tail_id, links in tails.items():
        if len(links) > 1:
            tail = document.span(tail_id)
            yield _finding(
                document, tail, "tail-links", f"{len(links)} links lead to {tail.text!r}: {', '.join(links)}"
            )
