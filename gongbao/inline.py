r"""The inline notation: a text with its spans and links written into it, to be read and edited by hand.

`{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE}` marks two spans and a VALUE link from the first to the second.
In the text itself `{`, `|`, `}` and `\` are written with a `\` in front; nothing else is changed, so that
taking the notation away gives back the text to the character. Labels, ids and roles are any names
without white space and without the notation's own marks `{ | } \ # > :`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from gongbao.schema import DataError, Document, LabelScheme, Link, Span

_NAME = r"[^\s{}|\\#>:]+"
_TOKEN = re.compile(r"\\(?P<escaped>[{|}\\])|(?P<mark>[{|}\\])|(?P<plain>[^{|}\\]+)")
_TAG = re.compile(rf"\|(?P<label>{_NAME})(?:\#(?P<id>{_NAME}))?(?:>(?P<head>{_NAME}):(?P<role>{_NAME}))?\}}")
_NO_ROLE = re.compile(rf"\|{_NAME}(?:#{_NAME})?>(?:{_NAME}:?)?\}}")
_ESCAPE = re.compile(r"[{|}\\]")


def parse(
    text: str, *, id: str, scheme: LabelScheme | None = None, meta: Mapping[str, Any] | None = None
) -> Document:
    """The document that a text in the notation stands for; its spans are named s1, s2, … in order.

    Raises:
        DataError: the notation is broken or names what is not there, or the scheme forbids a label or a
            link. It gives line and column in the annotated text and shows the place.
    """
    return _Reader(text, id, scheme).document(meta or {})


def render(document: Document) -> str:
    """The document in the notation. `parse` gives back its text, its spans and its links.

    Ids of spans are given anew, and scores, values, facts and blocks are not written.

    Raises:
        DataError: a tail with two links, which the notation cannot hold, or a name with a mark of the
            notation in it.
    """
    heads = {link.head for link in document.links}
    numbers = {span.id: n for n, span in enumerate((s for s in document.spans if s.id in heads), 1)}
    link_to: dict[str, Link] = {}
    for link in document.links:
        if link.tail in link_to:
            _refuse(
                document,
                document.span(link.tail),
                "has two links, the notation holds one",
                "drop one of them",
            )
        link_to[link.tail] = link
    out, at = [], 0
    for span in document.spans:
        tag = _name(document, span, span.label)
        if span.id in numbers:
            tag += f"#{numbers[span.id]}"
        if span.id in link_to:
            link = link_to[span.id]
            tag += f">{numbers[link.head]}:{_name(document, span, link.role)}"
        out += [_escape(document.text[at : span.start]), "{", _escape(span.text), "|", tag, "}"]
        at = span.end
    return "".join([*out, _escape(document.text[at:])])


def _escape(text: str) -> str:
    return _ESCAPE.sub(r"\\\g<0>", text)


def _name(document: Document, span: Span, name: str) -> str:
    if not re.fullmatch(_NAME, name):
        _refuse(document, span, f"has the name {name!r}, which the notation cannot hold", "rename it")
    return name


def _refuse(document: Document, span: Span, problem: str, remedy: str) -> NoReturn:
    raise DataError(
        f"the {span.label} {span.text!r} {problem}", record=document.id, text=document.text, start=span.start,
        end=span.end, remedy=f"{remedy}, or store the document as JSON lines",
    )  # fmt: skip


@dataclass(frozen=True)
class _Tagged:
    """A span as read: its document offsets and its tag, a match of _TAG in the annotated text."""

    start: int
    end: int
    tag: re.Match[str]


class _Reader:
    def __init__(self, source: str, document: str, scheme: LabelScheme | None) -> None:
        self.source = source
        self.id = document
        self.scheme = scheme

    def document(self, meta: Mapping[str, Any]) -> Document:
        self.text: list[str] = []
        tagged = list(self._tagged())
        text = "".join(self.text)
        spans = [
            Span(t.start, t.end, t.tag["label"], text[t.start : t.end], id=f"s{n}")
            for n, t in enumerate(tagged, 1)
        ]
        return Document(
            id=self.id, text=text, meta=meta, spans=tuple(spans), links=tuple(self._links(tagged, spans)),
            scheme=self.scheme,
        )  # fmt: skip

    def _tagged(self) -> Iterator[_Tagged]:
        """The spans in order; the text without the notation gathers in `self.text`."""
        at = length = 0
        opened: tuple[int, int] | None = None  # where the span began, in the source and in the text
        while token := _TOKEN.match(self.source, at):
            at = token.end()
            mark = token["mark"]
            if not mark:
                piece = token["escaped"] or token["plain"]
                self.text.append(piece)
                length += len(piece)
            elif mark == "{" and opened is None:
                opened = token.start(), length
            elif mark == "|" and opened is not None:
                tag = self._tag(token.start())
                if length == opened[1]:
                    self._fail("a span without text", opened[0], tag.end())
                yield _Tagged(opened[1], length, tag)
                at, opened = tag.end(), None
            else:
                self._stray(mark, token.start(), opened)
        if opened is not None:
            self._fail("a span that is not closed", opened[0], opened[0] + 1, "close it with |LABEL}")

    def _stray(self, mark: str, at: int, opened: tuple[int, int] | None) -> NoReturn:
        if mark == "{":
            self._fail("a span inside a span", at, at + 1, r"spans are flat; write \{ for the character")
        if mark == "}" and opened is not None:
            self._fail(
                "a span without a label",
                opened[0],
                at + 1,
                r"write {text|LABEL}, or \{ and \} for the characters",
            )
        self._fail(f"a {mark} that belongs to no span", at, at + 1, rf"write \{mark} for the character")

    def _tag(self, at: int) -> re.Match[str]:
        tag = _TAG.match(self.source, at)
        if tag is None:
            close = self.source.find("}", at)
            end = close + 1 if close >= 0 else at + 1
            if close < 0 or "\n" in self.source[at:close]:
                self._fail(
                    "a tag that is not closed",
                    at,
                    at + 1,
                    "write {text|LABEL}, {text|LABEL#1} or {text|LABEL>1:ROLE}",
                )
            if _NO_ROLE.match(self.source, at):
                self._fail("a link without a role", at, end, "write {text|LABEL>1:ROLE}")
            self._fail("not a tag", at, end, "write {text|LABEL}, {text|LABEL#1} or {text|LABEL>1:ROLE}")
        if self.scheme is not None and tag["label"] not in self.scheme.labels:
            self._fail(
                f"the label {tag['label']!r} is not in the scheme",
                *tag.span("label"),
                f"it has {', '.join(self.scheme.labels)}",
            )
        return tag

    def _links(self, tagged: list[_Tagged], spans: list[Span]) -> Iterator[Link]:
        named: dict[str, Span] = {}
        for each, span in zip(tagged, spans, strict=True):
            if (name := each.tag["id"]) is not None:
                if name in named:
                    self._fail(
                        f"the id {name!r} a second time", *each.tag.span("id"), "give every span its own id"
                    )
                named[name] = span
        for each, span in zip(tagged, spans, strict=True):
            tag = each.tag
            if (name := tag["head"]) is None:
                continue
            head = named.get(name)
            if head is None:
                self._fail(f"a link to the id {name!r}, which no span has", *tag.span("head"))
            if head is span:
                self._fail("a link from a span to itself", *tag.span("head"))
            if self.scheme is not None and not self.scheme.allows(head.label, span.label, tag["role"]):
                self._fail(
                    f"the scheme has no {tag['role']!r} link from {head.label} {head.text!r} to {span.label} {span.text!r}",
                    tag.start("head"), tag.end("role"),
                    f"its link roles are {', '.join(r.name for r in self.scheme.roles) or 'none'}",
                )  # fmt: skip
            yield Link(head.id, span.id, tag["role"])

    def _fail(self, problem: str, start: int, end: int, remedy: str | None = None) -> NoReturn:
        line = self.source.count("\n", 0, start) + 1
        column = start - (self.source.rfind("\n", 0, start) + 1) + 1
        raise DataError(
            problem, record=f"{self.id}, line {line}, column {column}", text=self.source, start=start, end=end,
            remedy=remedy,
        )  # fmt: skip
