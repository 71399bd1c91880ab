"""Texts with their spans: what is gold, what is predicted, where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gongbao.comparison import Apart, ApartLink
from gongbao.metrics import Arrow, LinkKey, LinkMistake, Mistake
from gongbao.mistakes import VALUE_KINDS
from gongbao.report.pages import exact_text, meta_text, short, value_text
from gongbao.schema import Document, Span

_CONTEXT: Final = 80  # characters of its sentence on either side of a mistake
_LONGEST: Final = 400  # characters of a mistake that are shown


@dataclass(frozen=True)
class Tag:
    """A small note behind a span, on the span itself or on a link that ends there.

    `sign` is − for what only gold has, + for what only the prediction has, ≠ where the two differ.
    """

    text: str
    sign: str = ""
    link: bool = False

    def __str__(self) -> str:
        return f"{self.sign} {self.text}".lstrip()


@dataclass(frozen=True)
class Piece:
    """A stretch of text within one gold span, one predicted span, both, or neither.

    `gold` and `predicted` are the numbers of their labels; `tip` is shown on hover and focus, the tags behind it.
    """

    text: str
    gold: int | None = None
    predicted: int | None = None
    tip: str = ""
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class Article:
    """A document to be shown; `hidden` characters at its end are not."""

    id: str
    place: int
    title: str
    about: tuple[str, ...]
    pieces: tuple[Piece, ...]
    hidden: int
    spans: int


@dataclass(frozen=True)
class Example:
    """A mistake in its sentence, which may go on before and after."""

    mistake: Mistake | LinkMistake | Apart | ApartLink
    start: int
    end: int
    pieces: tuple[Piece, ...]
    before: bool
    after: bool


def article(
    gold: Document,
    predicted: Document,
    mistakes: Sequence[Mistake],
    numbers: Mapping[str, int],
    place: int,
    most: int,
) -> Article:
    """The first `most` characters of an article, with its spans, its links and the mistakes made in it."""
    tags: dict[int, list[Tag]] = defaultdict(list)
    for mistake in mistakes:
        tags[mistake.place[1]].append(_mistake_tag(mistake))
    wanted, found = _links(gold), _links(predicted)
    for link, (text, end) in (wanted | found).items():
        sign = "" if link in wanted and link in found else "−" if link in wanted else "+"
        tags[end].append(Tag(text, sign, link=True))
    shown = min(len(gold.text), most)
    pieces = _pieces(gold.text, 0, shown, gold.spans, predicted.spans, numbers, tags)
    published, source = meta_text(gold, "published"), meta_text(gold, "source")
    # The id of a document that was read from a file is the file's path, and its source the file's name.
    about = tuple(text for text in (published, "" if gold.id.endswith(source) else source) if text)
    return Article(
        gold.id,
        place,
        meta_text(gold, "title"),
        about,
        tuple(pieces),
        len(gold.text) - shown,
        len(gold.spans),
    )


def example(
    text: str, mistake: Mistake, bounds: Sequence[tuple[int, int]], numbers: Mapping[str, int]
) -> Example:
    """A mistake in its sentence, or in the part of it that is near; `bounds` are those of the text's sentences."""
    tags = {mistake.place[1]: [_mistake_tag(mistake)]}
    return _example(text, mistake, bounds, numbers, mistake.wanted, mistake.found, tags)


def apart_example(
    text: str, apart: Apart, bounds: Sequence[tuple[int, int]], numbers: Mapping[str, int]
) -> Example:
    """A span that one system alone predicted, in its sentence; gold has it too if it is right."""
    span = apart.span
    tags = {span.end: [Tag(short(span.label), "" if apart.right else "+")]}
    return _example(text, apart, bounds, numbers, [span] if apart.right else [], [span], tags)


def apart_link_example(
    text: str,
    apart: ApartLink,
    gold: Sequence[Span],
    bounds: Sequence[tuple[int, int]],
    numbers: Mapping[str, int],
) -> Example:
    """A link or fact of one system alone, in its sentence or sentences; `gold` are the annotated spans of the text."""
    arrow = apart.arrow
    ends = sorted((arrow.head, arrow.tail), key=lambda span: span.key)
    there = {span.key for span in gold}
    if apart.what == "facts":
        tag = Tag(f"= {value_text(arrow.tail.value)}")
    else:
        tag = Tag(_arrow_text(arrow), "" if apart.right else "+", link=True)
    right = [span for span in ends if span.key in there]
    return _example(text, apart, bounds, numbers, right, ends, {arrow.tail.end: [tag]})


def link_example(
    text: str, mistake: LinkMistake, bounds: Sequence[tuple[int, int]], numbers: Mapping[str, int]
) -> Example:
    """A mistake in a link in its sentence or sentences. Its spans are right, so each is shown as gold and predicted."""
    arrows = [(arrow, sign) for arrow, sign in ((mistake.gold, "−"), (mistake.predicted, "+")) if arrow]
    found = {span.key: span for arrow, _ in arrows for span in (arrow.head, arrow.tail)}
    spans = [found[key] for key in sorted(found)]
    if mistake.kind in VALUE_KINDS:
        notes = [Tag(" → ".join(value_text(arrow.tail.value) for arrow, _ in arrows), "≠")]
    else:
        notes = [Tag(_arrow_text(arrow), sign, link=True) for arrow, sign in arrows]
    tags = {arrows[0][0].tail.end: notes}
    return _example(text, mistake, bounds, numbers, spans, spans, tags)


def _example(
    text: str,
    mistake: Mistake | LinkMistake | Apart | ApartLink,
    bounds: Sequence[tuple[int, int]],
    numbers: Mapping[str, int],
    gold: Sequence[Span],
    predicted: Sequence[Span],
    tags: Mapping[int, Sequence[Tag]],
) -> Example:
    start = min(span.start for span in (*gold, *predicted))
    end = max(span.end for span in (*gold, *predicted))
    around = [bound for bound in bounds if bound[0] < end and bound[1] > start]
    whole = min([start, *(bound[0] for bound in around)]), max([end, *(bound[1] for bound in around)])
    first = max(whole[0], start - _CONTEXT)
    last = min(whole[1], end + _CONTEXT, start + _LONGEST)
    placed = {min(at, last): those for at, those in tags.items()}
    pieces = tuple(_pieces(text, first, last, gold, predicted, numbers, placed))
    return Example(mistake, start, end, pieces, before=first > whole[0], after=last < whole[1])


def _pieces(
    text: str,
    start: int,
    end: int,
    gold: Sequence[Span],
    predicted: Sequence[Span],
    numbers: Mapping[str, int],
    tags: Mapping[int, Sequence[Tag]],
) -> Iterator[Piece]:
    """The text from `start` to `end`, cut wherever a span begins or ends; tags stand at the ends of pieces."""
    edges = {edge for span in (*gold, *predicted) for edge in (span.start, span.end)}
    cuts = sorted({start, end} | {edge for edge in edges if start < edge < end})
    wanted, found = _Cursor(gold), _Cursor(predicted)
    for at, to in pairwise(cuts):
        one, other = wanted.over(at), found.over(at)
        notes = tuple(tags.get(to, ()))
        yield Piece(
            text[at:to],
            numbers[one.label] if one else None,
            numbers[other.label] if other else None,
            _tip(one, other, (str(tag) for tag in notes if tag.link)),
            notes,
        )


class _Cursor:
    """Finds the span over a character, for characters in order."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._at = 0

    def over(self, offset: int) -> Span | None:
        while self._at < len(self._spans) and self._spans[self._at].end <= offset:
            self._at += 1
        span = self._spans[self._at] if self._at < len(self._spans) else None
        return span if span and span.start <= offset else None


def _mistake_tag(mistake: Mistake) -> Tag:
    wanted, found = len(mistake.wanted), len(mistake.found)
    labels = dict.fromkeys(short(span.label) for span in (*mistake.wanted, *mistake.found))
    sign = "≠" if wanted and found else "−" if wanted else "+"
    many = f" {wanted} → {found}" if wanted + found > 2 else ""
    return Tag(" → ".join(labels) + many, sign)


def _links(document: Document) -> dict[LinkKey, tuple[str, int]]:
    """Each link, known as metrics know it: what its tag says, and where its tail ends."""
    arrows = (Arrow(document.span(k.head), document.span(k.tail), k.role) for k in document.links)
    return {arrow.key: (_arrow_text(arrow), arrow.tail.end) for arrow in arrows}


def _arrow_text(arrow: Arrow) -> str:
    """What stands behind the tail of a link."""
    return f"{short(arrow.role)} ← {short(arrow.head.text)}"


def _tip(gold: Span | None, predicted: Span | None, links: Iterable[str]) -> str:
    """A line on the span, or one each on gold and predicted where they differ, and the links that end here."""
    if gold and predicted and gold.key == predicted.key and _said(gold) in ("", _said(predicted)):
        lines = [f"{predicted.label}{_said(predicted)}{_sure(predicted)}"]
    else:
        lines = [f"标注 gold: {gold.label}{_said(gold)}"] if gold else []
        if predicted:
            lines.append(f"预测 predicted: {predicted.label}{_said(predicted)}{_sure(predicted)}")
    return "\n".join([*lines, *links])


def _said(span: Span) -> str:
    """The value as people write it, and as the data has it where that is different."""
    texts = dict.fromkeys((value_text(span.value), exact_text(span.value)))
    return f" · {' = '.join(texts)}" if any(texts) else ""


def _sure(span: Span) -> str:
    return "" if span.score is None else f" · {span.score:.3f}"
