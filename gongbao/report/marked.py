"""Texts with their spans: what is gold, what is predicted, where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gongbao.metrics import Mistake, SpanKey
from gongbao.report.pages import meta_text, short, value_text
from gongbao.schema import Document, Span

_CONTEXT: Final = 80  # characters of its sentence on either side of a mistake
_LONGEST: Final = 400  # characters of a mistake that are shown


@dataclass(frozen=True)
class Tag:
    """A small note behind a span. `sign` is − for what only gold has, + for what only the prediction has."""

    text: str
    sign: str = ""


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
    about: tuple[str, ...]
    pieces: tuple[Piece, ...]
    hidden: int
    mistakes: int
    spans: int


@dataclass(frozen=True)
class Example:
    """A mistake in its sentence, which may go on before and after."""

    mistake: Mistake
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
        tags[_end(mistake)].append(_mistake_tag(mistake))
    wanted, found = _links(gold), _links(predicted)
    for link, (text, end) in (wanted | found).items():
        sign = "" if link in wanted and link in found else "−" if link in wanted else "+"
        tags[end].append(Tag(text, sign))
    shown = min(len(gold.text), most)
    pieces = _pieces(gold.text, 0, shown, gold.spans, predicted.spans, numbers, tags)
    about = tuple(text for key in ("title", "published", "source") if (text := meta_text(gold, key)))
    return Article(
        gold.id, place, about, tuple(pieces), len(gold.text) - shown, len(mistakes), len(gold.spans)
    )


def example(
    text: str, mistake: Mistake, bounds: Sequence[tuple[int, int]], numbers: Mapping[str, int]
) -> Example:
    """A mistake in its sentence, or in the part of it that is near; `bounds` are those of the text's sentences."""
    start, end = _start(mistake), _end(mistake)
    around = [bound for bound in bounds if bound[0] < end and bound[1] > start]
    whole = min([start, *(bound[0] for bound in around)]), max([end, *(bound[1] for bound in around)])
    first = max(whole[0], start - _CONTEXT)
    last = min(whole[1], end + _CONTEXT, start + _LONGEST)
    gold, predicted = ([span] if span else [] for span in (mistake.gold, mistake.predicted))
    tags = {min(end, last): [_mistake_tag(mistake)]}
    pieces = tuple(_pieces(text, first, last, gold, predicted, numbers, tags))
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
        yield Piece(
            text[at:to],
            numbers[one.label] if one else None,
            numbers[other.label] if other else None,
            _tip(one, other),
            tuple(tags.get(to, ())),
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


def _start(mistake: Mistake) -> int:
    return min(span.start for span in (mistake.gold, mistake.predicted) if span)


def _end(mistake: Mistake) -> int:
    return max(span.end for span in (mistake.gold, mistake.predicted) if span)


def _mistake_tag(mistake: Mistake) -> Tag:
    labels = [span.label for span in (mistake.gold, mistake.predicted) if span]
    sign = "≠" if len(labels) == 2 else "−" if mistake.gold else "+"
    return Tag(" → ".join(short(label) for label in dict.fromkeys(labels)), sign)


def _links(document: Document) -> dict[tuple[SpanKey, SpanKey, str], tuple[str, int]]:
    """Each link, known as metrics know it: what its tag says, and where its tail ends."""
    out = {}
    for link in document.links:
        head, tail = document.span(link.head), document.span(link.tail)
        out[head.key, tail.key, link.role] = f"{short(link.role)} ← {short(head.text)}", tail.end
    return out


def _tip(gold: Span | None, predicted: Span | None) -> str:
    if gold and predicted and gold.key == predicted.key and _said(gold) in ("", _said(predicted)):
        return f"{predicted.label}{_said(predicted)}{_sure(predicted)}"
    lines = [f"标注 gold: {gold.label}{_said(gold)}"] if gold else []
    if predicted:
        lines.append(f"预测 predicted: {predicted.label}{_said(predicted)}{_sure(predicted)}")
    return "\n".join(lines)


def _said(span: Span) -> str:
    text = value_text(span.value)
    return f" · {text}" if text else ""


def _sure(span: Span) -> str:
    return "" if span.score is None else f" · {span.score:.3f}"
