"""Predictions against gold: precision, recall and F1 of spans, links and facts, how sure they are, and the mistakes.

Counts are made in `counts`, the kinds of mistakes in `mistakes`, intervals in `resampling`; `analysis` goes further, into other
ways to count, buckets and curves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gongbao.calibration import Outcome, calibration_error, outcomes
from gongbao.counts import (
    Counts,
    LinkKey,
    added,
    count_facts,
    count_links,
    count_spans,
    macro_f1,
    total,
)
from gongbao.mistakes import (
    Arrow,
    Kind,
    LinkKind,
    LinkMistake,
    Mistake,
    find_link_mistakes,
    find_mistakes,
)
from gongbao.resampling import (
    DRAWS,
    Difference,
    Floats,
    Interval,
    Resamples,
    mean_of_those_there,
    middle,
    paired_difference,
    table_of,
)
from gongbao.schema import DataError, Document

__all__ = [
    "Arrow", "Counts", "Difference", "DocumentCounts", "Evaluation", "Floats", "Interval", "Intervals", "Kind", "LinkKey",
    "LinkKind", "LinkMistake", "Mistake", "count_facts", "count_links", "count_spans", "evaluate", "find_link_mistakes",
    "find_mistakes", "first_difference", "macro_f1", "middle", "significance", "total",
]  # fmt: skip


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
        return added(document.spans for document in self.documents)

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
        return added(document.links for document in self.documents)

    @property
    def links(self) -> Counts:
        """The counts of all links."""
        return total(self.roles.values())

    @property
    def facts(self) -> Counts:
        """The counts of all facts."""
        return total(document.facts for document in self.documents)

    def intervals(self, n: int = DRAWS, seed: int = 0) -> Intervals:
        """How far F1 would move with other documents of the kind: the percentile bootstrap (Efron 1979).

        `n` times as many documents as there are are drawn with replacement, and the middle 95% of the F1s taken.
        A draw in which a label does not occur says nothing of that label. From a handful of documents the
        intervals are too narrow; from one they have no width at all.

        Raises:
            UsageError: `n` below 1.
        """
        resamples = Resamples(len(self.documents), n, seed)
        labels = list(self.spans)
        rows = [
            {
                **{f"span {label}": counts.row for label, counts in document.spans.items()},
                "spans": total(document.spans.values()).row,
                "links": total(document.links.values()).row,
                "facts": document.facts.row,
            }
            for document in self.documents
        ]
        names = [*(f"span {label}" for label in labels), "spans", "links", "facts"]
        f1 = resamples.f1(table_of(rows, names))
        each = {label: middle(f1[:, at]) for at, label in enumerate(labels)}
        macro = middle(mean_of_those_there(f1[:, : len(labels)]))
        micro, links, facts = (middle(f1[:, at]) for at in (-3, -2, -1))
        return Intervals(micro, macro, each, links, facts)

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


def _check_same_ids(wanted: Mapping[str, object], found: Mapping[str, object]) -> None:
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


def significance(
    one: Evaluation, other: Evaluation, n: int = DRAWS, seed: int = 0
) -> dict[str, Difference | None]:
    """Whether two systems differ on the same documents: F1 of `one` minus that of `other` for spans, links and facts.

    The pairs are documents. None where there is nothing of a kind in gold and in both predictions.

    Raises:
        DataError: a document that only one of the two evaluations has.
    """
    theirs = {document.id: document for document in other.documents}
    _check_same_ids({document.id: document for document in one.documents}, theirs)
    pairs = [(document, theirs[document.id]) for document in one.documents]

    def difference(count: Callable[[DocumentCounts], Counts]) -> Difference | None:
        rows = [(count(ours).row, count(others).row) for ours, others in pairs]
        return paired_difference([row for row, _ in rows], [row for _, row in rows], n, seed)

    return {
        "spans": difference(lambda document: total(document.spans.values())),
        "links": difference(lambda document: total(document.links.values())),
        "facts": difference(lambda document: document.facts),
    }
