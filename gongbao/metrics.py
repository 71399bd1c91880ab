"""Predictions against gold: precision, recall and F1 of spans, links and facts, how sure they are, and the mistakes.

A span is right when start, end and label are; a link when both its spans and its role are; a fact when its
metric, amount and role are and the amount is read as the same value. The figures for spans are those of
seqeval in its strict mode.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from gongbao.calibration import Outcome, calibration_error, outcomes
from gongbao.schema import UNREAD, Amount, DataError, Document, Span, SpanKey, UsageError, Value

LinkKey: TypeAlias = tuple[SpanKey, SpanKey, str]
Interval: TypeAlias = tuple[float, float] | None
Kind: TypeAlias = Literal["missed", "invented", "wrong label", "boundary"]
LinkKind: TypeAlias = Literal["missed", "invented", "wrong role", "wrong head", "wrong value"]
Key = TypeVar("Key", bound=Hashable)
Floats: TypeAlias = NDArray[np.float64]

# ----------------------------------------------------------------------------------------- counts


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
        precision, recall = self.precision, self.recall
        return 2 * precision * recall / (precision + recall) if self.tp else 0.0

    def to_json(self) -> dict[str, int | float]:
        """The counts and the rates."""
        return {
            "tp": self.tp, "fp": self.fp, "fn": self.fn,
            "precision": self.precision, "recall": self.recall, "f1": self.f1,
        }  # fmt: skip


def total(counts: Iterable[Counts]) -> Counts:
    """The sum: over labels it gives the micro average."""
    return sum(counts, Counts())


def macro_f1(counts: Mapping[str, Counts]) -> float:
    """The mean F1 of the labels that occur, in gold or predicted; 0.0 where none does."""
    rates = [c.f1 for _, c in sorted(counts.items()) if c != Counts()]
    return float(np.mean(rates)) if rates else 0.0


def count_spans(gold: Iterable[Span | SpanKey], predicted: Iterable[Span | SpanKey]) -> dict[str, Counts]:
    """Counts by label for one document. A span given twice counts once."""
    return _count(map(_key, gold), map(_key, predicted), lambda key: key[2])


def count_links(gold: Document, predicted: Document) -> dict[str, Counts]:
    """Counts by role for one document; the ids of the spans do not matter."""
    return _count(_links(gold), _links(predicted), lambda key: key[2])


def count_facts(gold: Document, predicted: Document) -> Counts:
    """Counts of the facts of one document, which must be there already, with the values of their amounts.

    A fact is known by its metric, its amount and its role, and said once. Low, high, unit and approximation of
    the amount must agree, numbers to one part in 10⁹; an amount that was not read agrees with none that was.
    """
    wanted, found = _facts(gold), _facts(predicted)
    tp = sum(key in found and _same_value(value, found[key]) for key, value in wanted.items())
    return Counts(tp, len(found) - tp, len(wanted) - tp)


def _key(span: Span | SpanKey) -> SpanKey:
    return span.key if isinstance(span, Span) else span


def _links(document: Document) -> list[LinkKey]:
    return [(document.span(k.head).key, document.span(k.tail).key, k.role) for k in document.links]


def _facts(document: Document) -> dict[LinkKey, Value]:
    amounts = [(fact, document.span(fact.amount)) for fact in document.facts]
    return {(document.span(f.metric).key, amount.key, f.role): amount.value for f, amount in amounts}


def _same_value(one: Value, other: Value) -> bool:
    if isinstance(one, Amount) and isinstance(other, Amount):
        return (
            (one.unit, one.approx) == (other.unit, other.approx)
            and _same_number(one.low, other.low)
            and _same_number(one.high, other.high)
        )
    return (None if one is UNREAD else one) == (None if other is UNREAD else other)


def _same_number(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9)


def _count(gold: Iterable[Key], predicted: Iterable[Key], name: Callable[[Key], str]) -> dict[str, Counts]:
    wanted, found = set(gold), set(predicted)
    tp, fp, fn = (Counter(map(name, keys)) for keys in (wanted & found, found - wanted, wanted - found))
    return {n: Counts(tp[n], fp[n], fn[n]) for n in sorted(tp | fp | fn)}


# --------------------------------------------------------------------------------------- mistakes


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that went wrong in a document. `gold` is None for an invented span, `predicted` for a missed one.

    Two spans that share characters are one mistake: `wrong label` where their labels differ, whatever their
    ends, else `boundary`.
    """

    document: str
    kind: Kind
    gold: Span | None
    predicted: Span | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the spans as in a document."""
        return {
            "document": self.document,
            "kind": self.kind,
            "gold": self.gold.to_json() if self.gold else None,
            "predicted": self.predicted.to_json() if self.predicted else None,
        }


def find_mistakes(gold: Document, predicted: Document) -> list[Mistake]:
    """The mistakes of one document in the order of the text, each wrong span in exactly one of them.

    Spans that agree are taken out first. Then those are paired that share most characters; between equals those of
    one label go first, then those that stand first. So spans with the same ends always meet: they share all.
    """
    right = {span.key for span in gold.spans} & {span.key for span in predicted.spans}
    wanted = [span for span in gold.spans if span.key not in right]
    found = [span for span in predicted.spans if span.key not in right]
    mistakes = []
    paired: set[int] = set()  # by identity: the two documents may use the same ids
    for one, other in sorted(_overlapping(wanted, found), key=_closeness):
        if paired.isdisjoint((id(one), id(other))):
            paired |= {id(one), id(other)}
            kind: Kind = "boundary" if one.label == other.label else "wrong label"
            mistakes.append(Mistake(gold.id, kind, one, other))
    mistakes += [Mistake(gold.id, "missed", span, None) for span in wanted if id(span) not in paired]
    mistakes += [Mistake(gold.id, "invented", None, span) for span in found if id(span) not in paired]
    return sorted(mistakes, key=lambda m: min(s.start for s in (m.gold, m.predicted) if s))


def _overlapping(wanted: Sequence[Span], found: Sequence[Span]) -> list[tuple[Span, Span]]:
    """All pairs that share a character; both are flat and in order, so one sweep finds them."""
    pairs = []
    i = j = 0
    while i < len(wanted) and j < len(found):
        one, other = wanted[i], found[j]
        if one.start < other.end and other.start < one.end:
            pairs.append((one, other))
        if one.end <= other.end:
            i += 1
        else:
            j += 1
    return pairs


def _closeness(pair: tuple[Span, Span]) -> tuple[int, bool, int]:
    """Sorts the pairs that belong together most to the front."""
    one, other = pair
    shared = min(one.end, other.end) - max(one.start, other.start)
    return -shared, one.label != other.label, min(one.start, other.start)


@dataclass(frozen=True, slots=True)
class Arrow:
    """A link with its spans at hand. `score` is the model's, None for gold."""

    head: Span
    tail: Span
    role: str
    score: float | None = None

    @property
    def key(self) -> LinkKey:
        """What makes two links of one text the same."""
        return self.head.key, self.tail.key, self.role

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the spans as in a document."""
        out: dict[str, Any] = {"head": self.head.to_json(), "tail": self.tail.to_json(), "role": self.role}
        return out if self.score is None else {**out, "score": self.score}


@dataclass(frozen=True, slots=True)
class LinkMistake:
    """One link that went wrong between spans that are right. `gold` is None for an invented one, `predicted` for a missed one.

    `wrong role`: both ends agree. `wrong head`: only the tail does, whatever the role. `wrong value`: the link is right, and
    its fact's amount is read as another value.
    """

    document: str
    kind: LinkKind
    gold: Arrow | None
    predicted: Arrow | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "document": self.document,
            "kind": self.kind,
            "gold": self.gold.to_json() if self.gold else None,
            "predicted": self.predicted.to_json() if self.predicted else None,
        }


def find_link_mistakes(gold: Document, predicted: Document) -> list[LinkMistake]:
    """The mistakes in the links of one document in the order of the text, each wrong link in at most one of them.

    A link of which a span is wrong is left out: the span's mistake explains it.
    """
    wanted, found = _arrows(gold), _arrows(predicted)
    values, others = _facts(gold), _facts(predicted)
    mistakes = [
        LinkMistake(gold.id, "wrong value", wanted[key], found[key])
        for key in wanted.keys() & found.keys() & values.keys() & others.keys()
        if not _same_value(values[key], others[key])
    ]
    spans = {span.key for span in gold.spans} & {span.key for span in predicted.spans}
    missed, invented = (
        {key: arrow for key, arrow in these.items() if key not in those and spans.issuperset(key[:2])}
        for these, those in ((wanted, found), (found, wanted))
    )
    # Of the links that may be meant to be the same those meet first that share most.
    alike: tuple[tuple[LinkKind, Callable[[LinkKey], Hashable]], ...] = (
        ("wrong role", lambda key: key[:2]),
        ("wrong head", lambda key: key[1:]),
        ("wrong head", lambda key: key[1]),
    )
    for kind, shared in alike:
        mistakes += [LinkMistake(gold.id, kind, *pair) for pair in _taken_pairs(missed, invented, shared)]
    mistakes += [LinkMistake(gold.id, "missed", arrow, None) for arrow in missed.values()]
    mistakes += [LinkMistake(gold.id, "invented", None, arrow) for arrow in invented.values()]
    return sorted(mistakes, key=lambda m: min((a.tail.start, *a.key) for a in (m.gold, m.predicted) if a))


def _arrows(document: Document) -> dict[LinkKey, Arrow]:
    arrows = (Arrow(document.span(k.head), document.span(k.tail), k.role, k.score) for k in document.links)
    return {arrow.key: arrow for arrow in arrows}


def _taken_pairs(
    missed: dict[LinkKey, Arrow], invented: dict[LinkKey, Arrow], shared: Callable[[LinkKey], Hashable]
) -> Iterator[tuple[Arrow, Arrow]]:
    """Takes those out of both that agree in what `shared` says, one of each at a time."""
    waiting = defaultdict(list)
    for key in invented:
        waiting[shared(key)].append(key)
    for key in list(missed):
        if others := waiting[shared(key)]:
            yield missed.pop(key), invented.pop(others.pop(0))


# ------------------------------------------------------------------------------------- evaluation


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """The counts of one document: spans by label, links by role, facts."""

    id: str
    spans: Mapping[str, Counts]
    links: Mapping[str, Counts]
    facts: Counts


@dataclass(frozen=True, slots=True)
class Intervals:
    """95% intervals of F1, (low, high); None for what never occurs."""

    micro: Interval
    macro: Interval
    labels: Mapping[str, Interval]
    links: Interval
    facts: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: each interval two numbers, or null."""
        return {
            "micro": self.micro, "macro": self.macro, "labels": dict(self.labels),
            "links": self.links, "facts": self.facts,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draws:
    """F1 in each of n draws of documents, (n,) each; NaN where nothing of the kind was drawn."""

    micro: Floats
    macro: Floats
    labels: Mapping[str, Floats]
    links: Floats
    facts: Floats


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: the counts of each document, the mistakes in their spans, and what became of each scored span."""

    documents: tuple[DocumentCounts, ...]
    mistakes: tuple[Mistake, ...]
    outcomes: tuple[Outcome, ...] = ()

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error of the spans' scores; None where there are none."""
        return calibration_error(self.outcomes) if self.outcomes else None

    @property
    def spans(self) -> dict[str, Counts]:
        """Counts by label, the labels in order."""
        return _added(document.spans for document in self.documents)

    @property
    def micro(self) -> Counts:
        """The counts of all spans."""
        return total(self.spans.values())

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the labels that occur."""
        return macro_f1(self.spans)

    @property
    def roles(self) -> dict[str, Counts]:
        """Counts of the links by role, the roles in order."""
        return _added(document.links for document in self.documents)

    @property
    def links(self) -> Counts:
        """The counts of all links."""
        return total(self.roles.values())

    @property
    def facts(self) -> Counts:
        """The counts of all facts."""
        return total(document.facts for document in self.documents)

    def intervals(self, n: int = 10_000, seed: int = 0) -> Intervals:
        """How far F1 would move with other documents of the kind: the percentile bootstrap (Efron 1979).

        `n` times as many documents as there are are drawn with replacement, and the middle 95% of the F1s taken.
        A draw in which a label does not occur says nothing of that label. From a handful of documents the
        intervals are too narrow; from one they have no width at all.

        Raises:
            UsageError: `n` below 1.
        """
        draws = self.resampled(n, seed)
        each = {label: middle(f1) for label, f1 in draws.labels.items()}
        return Intervals(
            middle(draws.micro), middle(draws.macro), each, middle(draws.links), middle(draws.facts)
        )

    def resampled(self, n: int = 10_000, seed: int = 0) -> Draws:
        """The F1s that `intervals` takes the middle of. Of the same number of documents the same are drawn.

        Raises:
            UsageError: `n` below 1.
        """
        if n < 1:
            raise UsageError(f"an interval from {n} draws", remedy="draw 1000 or more")
        labels = list(self.spans)
        table = np.array(
            [
                [
                    *(_row(document.spans.get(label, Counts())) for label in labels),
                    _row(total(document.spans.values())),
                    _row(total(document.links.values())),
                    _row(document.facts),
                ]
                for document in self.documents
            ],
            dtype=np.float64,
        ).reshape(len(self.documents), len(labels) + 3, 3)
        f1 = _resampled_f1(table, n, seed)
        by_label = f1[:, : len(labels)]
        occurs = ~np.isnan(by_label)
        macro = np.full(n, np.nan)
        np.divide(
            np.where(occurs, by_label, 0.0).sum(axis=1),
            occurs.sum(axis=1),
            out=macro,
            where=occurs.any(axis=1),
        )
        each = {label: by_label[:, at] for at, label in enumerate(labels)}
        return Draws(f1[:, -3], macro, each, f1[:, -2], f1[:, -1])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: all the figures, and how many mistakes there are of each kind."""
        return {
            "documents": len(self.documents),
            "spans": {
                "micro": self.micro.to_json(),
                "macro_f1": self.macro_f1,
                "labels": {label: counts.to_json() for label, counts in self.spans.items()},
            },
            "links": {
                "micro": self.links.to_json(),
                "roles": {role: counts.to_json() for role, counts in self.roles.items()},
            },
            "facts": self.facts.to_json(),
            "calibration_error": self.calibration_error,
            "mistakes": dict(sorted(Counter(mistake.kind for mistake in self.mistakes).items())),
        }


def evaluate(gold: Sequence[Document], predicted: Sequence[Document]) -> Evaluation:
    """Compares predicted documents with gold ones of the same ids, in any order.

    Facts are compared as they stand in the documents: the caller derives them, and the values, on both sides.

    Raises:
        DataError: an id that one side lacks or has twice; a text that differs, with the first place where it does.
    """
    found = _by_id(predicted, "predicted")
    wanted = _by_id(gold, "gold")
    _check_same_ids(wanted, found)
    documents, mistakes = [], []
    for name, document in wanted.items():
        other = found[name]
        _check_same_text(document, other)
        documents.append(
            DocumentCounts(
                name,
                count_spans(document.spans, other.spans),
                count_links(document, other),
                count_facts(document, other),
            )
        )
        mistakes += find_mistakes(document, other)
    return Evaluation(tuple(documents), tuple(mistakes), tuple(outcomes(gold, predicted)))


def _by_id(documents: Iterable[Document], side: str) -> dict[str, Document]:
    out: dict[str, Document] = {}
    for document in documents:
        if document.id in out:
            raise DataError(f"the {side} documents have this id twice", record=document.id)
        out[document.id] = document
    return out


def _check_same_ids(wanted: Mapping[str, Document], found: Mapping[str, Document]) -> None:
    for names, side, remedy in (
        ([name for name in wanted if name not in found], "predicted", "predict all gold documents"),
        ([name for name in found if name not in wanted], "gold", "leave out what has no gold"),
    ):
        if names:
            more = f" (one of {len(names)})" if len(names) > 1 else ""
            raise DataError(f"not among the {side} documents{more}", record=names[0], remedy=remedy)


def first_difference(one: str, other: str) -> int:
    """Where two texts begin to differ; the length of the shorter one if it begins the other."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _check_same_text(gold: Document, predicted: Document) -> None:
    if gold.text == predicted.text:
        return
    at = first_difference(gold.text, predicted.text)
    ours, theirs = (
        repr(text[at : at + 8]) if at < len(text) else "the end" for text in (gold.text, predicted.text)
    )
    raise DataError(
        f"the texts differ: the gold one goes on with {ours}, the predicted one with {theirs}",
        record=gold.id, text=gold.text, start=at, end=at + 1, remedy="predict the very text that was annotated",
    )  # fmt: skip


def _added(parts: Iterable[Mapping[str, Counts]]) -> dict[str, Counts]:
    out: dict[str, Counts] = {}
    for part in parts:
        for name, counts in part.items():
            out[name] = out.get(name, Counts()) + counts
    return dict(sorted(out.items()))


# -------------------------------------------------------------------------------------- bootstrap

_CELLS: Final = 1 << 22
"""Weights held at a time, in documents times draws: 32 MB."""


def _row(counts: Counts) -> tuple[int, int, int]:
    return counts.tp, counts.fp, counts.fn


def _resampled_f1(table: Floats, n: int, seed: int) -> Floats:
    """(n, columns): F1 of the table's (documents, columns, [tp fp fn]) in each draw; NaN for 0/0."""
    size, columns, _ = table.shape
    out = np.full((n, columns), np.nan)
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // max(1, size))
    for at in range(0, n if size else 0, step):
        rows = min(step, n - at)
        # How often each draw holds each document; its counts are then one product of matrices.
        drawn = random.integers(size, size=(rows, size)) + np.arange(rows)[:, None] * size
        weights = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(np.float64)
        tp, fp, fn = np.moveaxis((weights @ table.reshape(size, -1)).reshape(rows, columns, 3), 2, 0)
        whole = 2 * tp + fp + fn
        np.divide(2 * tp, whole, out=out[at : at + rows], where=whole > 0)
    return out


def middle(values: Floats) -> Interval:
    """The middle 95% of the values that are there; None where none is."""
    there = values[~np.isnan(values)]
    if not len(there):
        return None
    low, high = np.quantile(there, [0.025, 0.975])
    return float(low), float(high)
