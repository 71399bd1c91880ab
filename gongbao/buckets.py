"""Where a model is good and where it is not: its strict counts apart by what spans, sentences, links and documents are like.

    length      characters of the span
    sentence    characters of the sentence that it begins in
    crowd       gold spans that begin in that sentence
    seen        whether the training data has the same words: with this label (seen), with others only (other label), or not (unseen)
    number      how an amount is written: full-width digits, digits with separators of thousands (thousands), other digits, Chinese
                numerals (chinese), or no number at all (words)
    kind        the kind of an amount; unread where it has no value
    distance    characters between the two spans of a link
    genre, level, year, untidy    what the document's metadata says; years by fives

A label is one of amounts where a span of it has an amount as its value. What both sides have lies in one bucket: that of the gold span.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

from gongbao.counts import Counts, LinkKey, count, link_keys
from gongbao.schema import Amount, Document, Span, SpanKey
from gongbao.sentences import sentences

Strings: TypeAlias = Mapping[str, frozenset[str]]
"""The strings that training data has spans on, with the labels of those."""
BucketOf: TypeAlias = Callable[[Span], str | None]

SPAN_DIMENSIONS: Final = ("length", "sentence", "crowd", "seen", "number", "kind")
DOCUMENT_DIMENSIONS: Final = ("genre", "level", "year", "untidy")
LINK_DIMENSIONS: Final = ("distance",)

_FROM: Final = {
    "length": (1, 3, 5, 9, 17),
    "sentence": (1, 21, 41, 81, 161),
    "crowd": (0, 1, 3, 5, 9),
    "distance": (0, 1, 3, 6, 11, 21),
}
"""Where the buckets of a number begin."""
_NAMED: Final = {
    "seen": ("seen", "other label", "unseen"),
    "number": ("digits", "thousands", "full-width", "chinese", "words"),
    "untidy": ("clean", "untidy"),
}
_THOUSANDS = re.compile(r"[0-9][,，][0-9]{3}(?![0-9])")
_CHINESE = re.compile("[零〇一二两三四五六七八九十百千万亿半]")


def strings_of(documents: Iterable[Document]) -> Strings:
    """What is annotated in training data, to tell seen spans by."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for document in documents:
        for span in document.spans:
            found[span.text].add(span.label)
    return {text: frozenset(labels) for text, labels in found.items()}


def in_order(dimension: str, names: Mapping[str, Counts]) -> list[str]:
    """The buckets of a dimension as one wants to read them: numbers and years upward, others the largest first."""
    if dimension in _FROM:
        return [name for name in map(str, _ranges(dimension)) if name in names]
    if dimension in _NAMED:
        return [name for name in _NAMED[dimension] if name in names]
    if dimension == "year":
        return sorted(names)
    return sorted(names, key=lambda name: (-names[name].tp - names[name].fn, name))


def count_buckets(
    gold: Document, predicted: Document, amounts: frozenset[str], strings: Strings | None
) -> dict[str, dict[str, Counts]]:
    """The counts of one document by dimension and bucket.

    Args:
        amounts: the labels that are read as amounts.
        strings: what the training data has; without it nothing is said of `seen`.
    """
    out = {
        dimension: _counted(gold, predicted, bucket_of)
        for dimension, bucket_of in _span_buckets(gold, amounts, strings).items()
    }
    for dimension in DOCUMENT_DIMENSIONS:
        out[dimension] = _counted(gold, predicted, partial(_of_any, _of_document(gold, dimension)))
    out["distance"] = count(link_keys(gold), link_keys(predicted), _distance)
    return out


def amount_labels(documents: Iterable[Document]) -> frozenset[str]:
    """The labels that have an amount as a value somewhere."""
    return frozenset(s.label for d in documents for s in d.spans if isinstance(s.value, Amount))


def _of_any(name: str | None, _span: Span) -> str | None:
    return name


def _counted(gold: Document, predicted: Document, bucket_of: BucketOf) -> dict[str, Counts]:
    buckets: dict[SpanKey, str | None] = {span.key: bucket_of(span) for span in predicted.spans}
    buckets |= {span.key: bucket_of(span) for span in gold.spans}
    wanted, found = (
        [span.key for span in document.spans if buckets[span.key] is not None]
        for document in (gold, predicted)
    )
    return count(wanted, found, lambda key: buckets[key] or "")


def _span_buckets(gold: Document, amounts: frozenset[str], strings: Strings | None) -> dict[str, BucketOf]:
    bounds = sentences(gold.text)
    starts = [start for start, _ in bounds]

    def sentence(span: Span) -> int:
        return max(0, bisect_right(starts, span.start) - 1)

    crowds = Counter(map(sentence, gold.spans))

    def seen(span: Span) -> str | None:
        if strings is None:
            return None
        labels = strings.get(span.text, frozenset())
        return "seen" if span.label in labels else "other label" if labels else "unseen"

    def kind(span: Span) -> str | None:
        if span.label not in amounts:
            return None
        return span.value.kind if isinstance(span.value, Amount) else "unread"

    def sentence_length(span: Span) -> str | None:
        if not bounds:
            return None
        start, end = bounds[sentence(span)]
        return _range_of("sentence", end - start)

    return {
        "length": lambda span: _range_of("length", span.end - span.start),
        "sentence": sentence_length,
        "crowd": lambda span: _range_of("crowd", crowds[sentence(span)]),
        "seen": seen,
        "number": lambda span: number_format(span.text) if span.label in amounts else None,
        "kind": kind,
    }


def number_format(text: str) -> str:
    """How the number in an amount is written."""
    if any("０" <= character <= "９" for character in text):
        return "full-width"
    if _THOUSANDS.search(text):
        return "thousands"
    if any("0" <= character <= "9" for character in text):
        return "digits"
    return "chinese" if _CHINESE.search(text) else "words"


def _distance(key: LinkKey) -> str:
    head, tail, _ = key
    return _range_of("distance", max(0, max(head[0], tail[0]) - min(head[1], tail[1])))


def _of_document(document: Document, dimension: str) -> str | None:
    value = document.meta.get(dimension)
    if dimension == "untidy":
        return {True: "untidy", False: "clean"}.get(value) if isinstance(value, bool) else None
    if dimension == "year":
        try:
            first = int(str(value)) // 5 * 5
        except ValueError:
            return None
        return f"{first}-{first + 4}"
    return value if isinstance(value, str) and value else None


def _ranges(dimension: str) -> Sequence[str]:
    """The names of a number's buckets: `1-2`, `5`, `17+`."""
    starts = _FROM[dimension]
    ends = [start - 1 for start in starts[1:]]
    between = [f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=False)]
    return [*between, f"{starts[-1]}+"]


def _range_of(dimension: str, number: int) -> str:
    return _ranges(dimension)[max(0, bisect_right(_FROM[dimension], number) - 1)]
