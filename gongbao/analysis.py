"""More about an evaluation than its strict scores: other ways to count, curves, buckets, what each kind of mistake costs.

    evaluation = evaluate(gold, predicted)
    analysis = analyse(evaluation, gold, predicted)
    analysis.spans["partial"].micro.f1, analysis.costs["spans"], analysis.to_json()

Every interval is of one bootstrap over documents (`gongbao.resampling`): the same draws for all figures.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from gongbao.buckets import (
    DOCUMENT_DIMENSIONS,
    LINK_DIMENSIONS,
    SPAN_DIMENSIONS,
    amount_labels,
    count_buckets,
    in_order,
    strings_of,
)
from gongbao.calibration import Bin, calibration_curve
from gongbao.counts import Counts, added, fact_values, harmonic_mean, link_keys, same_value, total
from gongbao.matching import Credit, confusion, credit_facts, credit_links, credit_spans
from gongbao.metrics import Evaluation, Interval
from gongbao.mistakes import VALUE_KINDS, Kind, LinkKind, LinkMistake, Mistake, find_link_mistakes
from gongbao.resampling import DRAWS, NamedIntervals, Resamples, intervals_of, middle, table_of
from gongbao.schema import Document

PLOTTED_BINS: Final = 20
"""Bins of the calibration curve, where equal scores do not make them fewer."""
POINTS: Final = 200
"""Points of a curve that are kept."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """The scores by one way to count, by label or role, with their intervals."""

    labels: Mapping[str, Credit]
    micro: Credit
    macro_f1: float
    intervals: NamedIntervals

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "micro": {**self.micro.to_json(), "interval": self.intervals.micro},
            "macro_f1": self.macro_f1,
            "macro_interval": self.intervals.macro,
            "labels": {
                label: {**credit.to_json(), "interval": self.intervals.each[label]}
                for label, credit in self.labels.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Bucket:
    """Strict counts of what lies in a bucket, the documents that it occurs in, and the 95% interval of its F1."""

    name: str
    counts: Counts
    documents: int
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name, **self.counts.to_json(), "documents": self.documents, "interval": self.interval,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """Precision and recall of what has at least the score `threshold`."""

    threshold: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean."""
        return harmonic_mean(self.precision, self.recall)


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision against recall over the score threshold, the highest threshold first.

    `average_precision` is the area below it: the mean precision over the gold, nothing for what is never found. `best` has
    the highest F1; it is chosen on the very data that it is measured on, so the F1 is too high for other data.
    """

    points: tuple[Point, ...]
    average_precision: float
    best: Point

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "average_precision": self.average_precision,
            "best": {"threshold": self.best.threshold, "f1": self.best.f1},
            "points": [[p.threshold, p.precision, p.recall] for p in self.points],
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """A kind of mistake: how many there are, what F1 would be without them, and the difference to what it is."""

    kind: str
    count: int
    mended_f1: float
    cost: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"kind": self.kind, "count": self.count, "f1_without": self.mended_f1, "cost": self.cost}


@dataclass(frozen=True)
class Analysis:
    """What `analyse` found. Mappings are by scheme, by measure (spans, links, facts), by label, or by dimension."""

    spans: Mapping[str, Scheme]
    links: Mapping[str, Scheme]
    facts: Mapping[str, Scheme]
    curves: Mapping[str, Curve]
    label_curves: Mapping[str, Curve]
    calibration: tuple[Bin, ...]
    buckets: Mapping[str, tuple[Bucket, ...]]
    mistakes: tuple[Mistake, ...]
    link_mistakes: tuple[LinkMistake, ...]
    costs: Mapping[str, tuple[Cost, ...]]
    confusion: Mapping[tuple[str | None, str | None], int]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: all the figures; the mistakes themselves are not among them."""
        return {
            "schemes": {
                what: {name: scheme.to_json() for name, scheme in schemes.items()}
                for what, schemes in (("spans", self.spans), ("links", self.links), ("facts", self.facts))
            },
            "precision_recall": {what: curve.to_json() for what, curve in self.curves.items()},
            "precision_recall_by_label": {
                label: curve.to_json() for label, curve in self.label_curves.items()
            },
            "calibration": [found.to_json() for found in self.calibration],
            "buckets": {
                dimension: [bucket.to_json() for bucket in buckets]
                for dimension, buckets in self.buckets.items()
            },
            "costs": {what: [cost.to_json() for cost in costs] for what, costs in self.costs.items()},
            "confusion": [
                {"gold": gold, "predicted": predicted, "count": n}
                for (gold, predicted), n in self.confusion.items()
            ],
        }


def analyse(
    evaluation: Evaluation,
    gold: Sequence[Document],
    predicted: Sequence[Document],
    *,
    training: Iterable[Document] | None = None,
    n: int = DRAWS,
    seed: int = 0,
) -> Analysis:
    """Look closer at an evaluation.

    Args:
        evaluation: what `evaluate` said of these documents.
        gold, predicted: the documents, each in any order.
        training: what the model was trained on, to tell seen spans from unseen ones.
        n: draws of the bootstrap.
    """
    ours, theirs = ({document.id: document for document in documents} for documents in (gold, predicted))
    pairs = [(ours[document.id], theirs[document.id]) for document in evaluation.documents]
    resamples = Resamples(len(pairs), n, seed)

    def schemes(credit: Callable[[Document, Document], dict[str, dict[str, Credit]]]) -> dict[str, Scheme]:
        by_document = [credit(*pair) for pair in pairs]
        names = by_document[0] if by_document else ()
        return {name: _scheme([own[name] for own in by_document], resamples) for name in names}

    link_mistakes = tuple(mistake for pair in pairs for mistake in find_link_mistakes(*pair))
    found = [label for pair in pairs for label in confusion(*pair)]
    return Analysis(
        spans=schemes(credit_spans),
        links=schemes(credit_links),
        facts=schemes(credit_facts),
        curves=_curves(pairs),
        label_curves=_label_curves(pairs),
        calibration=tuple(calibration_curve(evaluation.outcomes, PLOTTED_BINS)),
        buckets=_buckets(pairs, training, resamples),
        mistakes=evaluation.mistakes,
        link_mistakes=link_mistakes,
        costs=_costs(evaluation, link_mistakes),
        confusion=dict(
            sorted(Counter(found).items(), key=lambda item: tuple(label or "" for label in item[0]))
        ),
    )


def _scheme(by_document: Sequence[Mapping[str, Credit]], resamples: Resamples) -> Scheme:
    labels: dict[str, Credit] = {}
    for own in by_document:
        for label, credit in own.items():
            labels[label] = labels.get(label, Credit()) + credit
    labels = dict(sorted(labels.items()))
    rows = [{label: credit.row for label, credit in own.items()} for own in by_document]
    macro = sum(credit.f1 for credit in labels.values()) / len(labels) if labels else 0.0
    return Scheme(labels, sum(labels.values(), Credit()), macro, intervals_of(rows, resamples))


# ----------------------------------------------------------------------------------------- curves


def _curves(pairs: Sequence[tuple[Document, Document]]) -> dict[str, Curve]:
    scored: dict[str, list[tuple[float | None, bool]]] = {"spans": [], "links": [], "facts": []}
    wanted: Counter[str] = Counter()
    for gold, predicted in pairs:
        spans, links, facts = {s.key for s in gold.spans}, set(link_keys(gold)), fact_values(gold)
        wanted += Counter(spans=len(spans), links=len(links), facts=len(facts))
        scored["spans"] += [(span.score, span.key in spans) for span in predicted.spans]
        keys = link_keys(predicted)
        scored["links"] += [(k.score, key in links) for k, key in zip(predicted.links, keys, strict=True)]
        values = fact_values(predicted)
        for fact in predicted.facts:
            key = (predicted.span(fact.metric).key, predicted.span(fact.amount).key, fact.role)
            scored["facts"].append((fact.score, key in facts and same_value(facts[key], values[key])))
    return _drawn(scored, wanted)


def _label_curves(pairs: Sequence[tuple[Document, Document]]) -> dict[str, Curve]:
    """The curves of the spans of each label, those without one left out."""
    scored: dict[str, list[tuple[float | None, bool]]] = defaultdict(list)
    wanted: Counter[str] = Counter()
    for gold, predicted in pairs:
        spans = {span.key for span in gold.spans}
        wanted += Counter(span.label for span in gold.spans)
        for span in predicted.spans:
            scored[span.label].append((span.score, span.key in spans))
    return _drawn(dict(sorted(scored.items())), wanted)


def _drawn(
    scored: Mapping[str, Sequence[tuple[float | None, bool]]], wanted: Mapping[str, int]
) -> dict[str, Curve]:
    curves = {name: curve(those, wanted[name]) for name, those in scored.items()}
    return {name: found for name, found in curves.items() if found is not None}


def curve(scored: Iterable[tuple[float | None, bool]], gold: int) -> Curve | None:
    """The curve of what was predicted, (score, right) each; None where there is nothing, or something without a score."""
    those: list[tuple[float, bool]] = []
    for score, right in scored:
        if score is None:
            return None
        those.append((score, right))
    if not those or not gold:
        return None
    those.sort(key=lambda item: -item[0])
    points: list[Point] = []
    area = 0.0
    tp = 0
    for number, (score, right) in enumerate(those, 1):
        tp += right
        # Of equal scores all are taken or none.
        if number == len(those) or those[number][0] != score:
            point = Point(score, tp / number, tp / gold)
            area += point.precision * (point.recall - (points[-1].recall if points else 0.0))
            points.append(point)
    best = max(points, key=lambda point: point.f1)
    step = max(1, -(-len(points) // POINTS))
    kept = [p for at, p in enumerate(points) if at % step == 0 or at == len(points) - 1]
    return Curve(tuple(kept), area, best)


# ---------------------------------------------------------------------------------------- buckets


def _buckets(
    pairs: Sequence[tuple[Document, Document]], training: Iterable[Document] | None, resamples: Resamples
) -> dict[str, tuple[Bucket, ...]]:
    strings = strings_of(training) if training is not None else None
    amounts = amount_labels(document for pair in pairs for document in pair)
    counted = [count_buckets(*pair, amounts, strings) for pair in pairs]
    out = {}
    for dimension in (*SPAN_DIMENSIONS, *LINK_DIMENSIONS, *DOCUMENT_DIMENSIONS):
        parts = [own.get(dimension, {}) for own in counted]
        sums = added(parts)
        names = in_order(dimension, sums)
        if names:
            f1 = resamples.f1(table_of([{name: c.row for name, c in own.items()} for own in parts], names))
            out[dimension] = tuple(
                Bucket(name, sums[name], sum(name in own for own in parts), middle(f1[:, at]))
                for at, name in enumerate(names)
            )
    return out


# ------------------------------------------------------------------------------------------ costs


def _costs(evaluation: Evaluation, link_mistakes: Sequence[LinkMistake]) -> dict[str, tuple[Cost, ...]]:
    """What each kind costs. Of links there is one more kind, `span`: those of which a span is wrong."""
    links = [mistake for mistake in link_mistakes if mistake.kind not in VALUE_KINDS]
    own = total(mistake.mended for mistake in links)
    counts = evaluation.links
    missed, invented = counts.fn + own.fn, counts.fp + own.fp
    explained = Cost(
        "span", missed + invented, *_mended(counts, Counts(missed, -invented, -missed))
    )  # fmt: skip
    kinds = [kind for kind in get_args(LinkKind) if kind not in VALUE_KINDS]
    out = {
        "spans": tuple(_cost(kind, evaluation.mistakes, evaluation.micro) for kind in get_args(Kind)),
        "links": (*(_cost(kind, link_mistakes, counts) for kind in kinds), explained),
        "facts": tuple(_cost(kind, link_mistakes, evaluation.facts) for kind in VALUE_KINDS),
    }
    there = {"spans": evaluation.micro, "links": counts, "facts": evaluation.facts}
    return {what: costs for what, costs in out.items() if there[what] != Counts()}


def _cost(kind: str, mistakes: Iterable[Mistake | LinkMistake], counts: Counts) -> Cost:
    those = [mistake.mended for mistake in mistakes if mistake.kind == kind]
    return Cost(kind, len(those), *_mended(counts, total(those)))


def _mended(counts: Counts, change: Counts) -> tuple[float, float]:
    f1 = (counts + change).f1
    return f1, f1 - counts.f1
