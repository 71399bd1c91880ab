"""From spans to facts: values of amounts and periods, links between spans, and what they say together.

A linker is anything that turns a document with spans into links (`Linker`). The one here goes by rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from gongbao.amounts import parse_amount
from gongbao.periods import parse_period
from gongbao.schema import UNREAD, Document, Fact, LabelScheme, Link, Span
from gongbao.sentences import sentences


class Linker(Protocol):
    """Links between the spans of a document, each with a score."""

    def __call__(self, document: Document) -> Sequence[Link]:
        """The links; the document's own are not looked at."""
        ...


def complete(document: Document, scheme: LabelScheme, linker: Linker) -> Document:
    """The document with values, links and facts, all three made anew from its spans."""
    valued = normalise(document, scheme)
    linked = valued.replace(links=tuple(linker(valued)), facts=(), scheme=scheme)
    return linked.replace(facts=make_facts(linked, scheme))


def prepare_gold(document: Document, scheme: LabelScheme) -> Document:
    """The document with values, and with facts from its own links: what predictions are compared with."""
    valued = normalise(document, scheme)
    return valued.replace(facts=make_facts(valued, scheme))


def normalise(document: Document, scheme: LabelScheme) -> Document:
    """Give each span whose label has values its Amount or Period, None where there is none to be had.

    Relative periods are counted from `meta["published"]`, an ISO date.
    """
    published = document.meta.get("published")
    published = published if isinstance(published, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", published) else None
    spans = []
    for span in document.spans:
        kind = scheme.values.get(span.label)
        value = UNREAD if kind is None else parse_amount(span.text) if kind == "amount" else parse_period(span.text, published)
        spans.append(Span(span.start, span.end, span.label, span.text, span.id, span.score, value))
    return document.replace(spans=tuple(spans))


class RuleLinker:
    """Nearest head before the amount in its sentence; trigger words for the role."""

    def __init__(self, scheme: LabelScheme) -> None:
        self._scheme = scheme

    def __call__(self, document: Document) -> Sequence[Link]:
        """Links of one document."""
        links = []
        for start, end in sentences(document.text):
            head: Span | None = None
            for span in document.spans:
                if not start <= span.start < end:
                    continue
                if span.label in ("METRIC", "PROJECT"):
                    head = span
                elif span.label == "AMOUNT" and head is not None:
                    links.append(Link(head.id, span.id, "VALUE", 0.8))
        return links


def make_facts(document: Document, scheme: LabelScheme) -> tuple[Fact, ...]:
    """One fact for each link."""
    return tuple(Fact(k.head, k.tail, k.role) for k in document.links)
