"""What was found, invented and missed of spans, links and facts, counted, and the rates that follow.

A span is right when start, end and label are; a link when both its spans and its role are; a fact when its
metric, amount and role are and the amount is read as the same value. The figures for spans are those of
seqeval in its strict mode.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from gongbao.schema import UNREAD, Amount, Document, Span, SpanKey, Value

LinkKey: TypeAlias = tuple[SpanKey, SpanKey, str]
Row: TypeAlias = tuple[float, float, float, float]
"""Gold, predicted, what of the gold was found, what of the predicted is right: all that an F1 is made of."""
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many were found (tp), invented (fp) and missed (fn). A rate of nothing, 0/0, is 0.0."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """The part of the predicted that is right."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """The part of the gold that was found."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def row(self) -> Row:
        """The counts as the bootstrap takes them."""
        return self.tp + self.fn, self.tp + self.fp, self.tp, self.tp

    def to_json(self) -> dict[str, int | float]:
        """The counts and the rates."""
        return {
            "tp": self.tp, "fp": self.fp, "fn": self.fn,
            "precision": self.precision, "recall": self.recall, "f1": self.f1,
        }  # fmt: skip


def harmonic_mean(precision: float, recall: float) -> float:
    """F1 of the two rates; 0.0 where both are."""
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def total(counts: Iterable[Counts]) -> Counts:
    """The sum: over labels it gives the micro average."""
    return sum(counts, Counts())


def added(parts: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    """The sum of each name, the names in order."""
    out: dict[str, Counts] = {}
    for part in parts:
        for name, counts in part.items():
            out[name] = out.get(name, Counts()) + counts
    return dict(sorted(out.items()))


def macro_f1(counts: Mapping[str, Counts]) -> float:
    """The mean F1 of the labels that occur, in gold or predicted; 0.0 where none does."""
    rates = [c.f1 for _, c in sorted(counts.items()) if c != Counts()]
    return float(np.mean(rates)) if rates else 0.0


def count_spans(gold: Iterable[Span | SpanKey], predicted: Iterable[Span | SpanKey]) -> dict[str, Counts]:
    """Counts by label for one document. A span given twice counts once."""
    return count(map(_key, gold), map(_key, predicted), lambda key: key[2])


def total_spans(pairs: Iterable[tuple[Iterable[Span | SpanKey], Iterable[Span | SpanKey]]]) -> Counts:
    """The counts over all labels of several documents, gold and predicted spans of each."""
    return total(counts for gold, predicted in pairs for counts in count_spans(gold, predicted).values())


def count_links(gold: Document, predicted: Document) -> dict[str, Counts]:
    """Counts by role for one document; the ids of the spans do not matter."""
    return count(link_keys(gold), link_keys(predicted), lambda key: key[2])


def count_facts(gold: Document, predicted: Document) -> Counts:
    """Counts of the facts of one document, which must be there already, with the values of their amounts.

    A fact is known by its metric, its amount and its role, and said once. Low, high, unit and approximation of
    the amount must agree, numbers to one part in 10⁹; an amount that was not read agrees with none that was.
    """
    wanted, found = fact_values(gold), fact_values(predicted)
    tp = sum(key in found and same_value(value, found[key]) for key, value in wanted.items())
    return Counts(tp, len(found) - tp, len(wanted) - tp)


def count(gold: Iterable[Key], predicted: Iterable[Key], name: Callable[[Key], str]) -> dict[str, Counts]:
    """Counts of what is the same on both sides, by name. What is given twice counts once."""
    wanted, found = set(gold), set(predicted)
    tp, fp, fn = (Counter(map(name, keys)) for keys in (wanted & found, found - wanted, wanted - found))
    return {n: Counts(tp[n], fp[n], fn[n]) for n in sorted(tp | fp | fn)}


def _key(span: Span | SpanKey) -> SpanKey:
    return span.key if isinstance(span, Span) else span


def link_keys(document: Document) -> list[LinkKey]:
    """What makes a document's links the same as another's."""
    return [(document.span(k.head).key, document.span(k.tail).key, k.role) for k in document.links]


def fact_values(document: Document) -> dict[LinkKey, Value]:
    """A document's facts, each as a link is known, with the values of their amounts."""
    amounts = [(fact, document.span(fact.amount)) for fact in document.facts]
    return {(document.span(f.metric).key, amount.key, f.role): amount.value for f, amount in amounts}


def same_value(one: Value, other: Value) -> bool:
    """Whether low, high, unit and approximation agree, or neither could be read."""
    if isinstance(one, Amount) and isinstance(other, Amount):
        return (one.unit, one.approx) == (other.unit, other.approx) and same_numbers(one, other)
    return (None if one is UNREAD else one) == (None if other is UNREAD else other)


def same_numbers(one: Amount, other: Amount) -> bool:
    """Whether low and high agree, whatever their unit."""
    return _same_number(one.low, other.low) and _same_number(one.high, other.high)


def _same_number(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9)
