"""Scores that are probabilities: of the spans with a score of 0.9, nine in ten are right.

A fine-tuned encoder is surer than it should be. `Calibration` draws its scores back by Platt scaling: the log-odds of a
span's score, times one slope, plus an offset of its label, are the log-odds that it is right (Platt 1999; after Guo et al. 2017, who
use a slope alone). It is fitted on documents that the model did not learn from. The order of the spans of one label
stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gongbao.schema import Document

Floats: TypeAlias = NDArray[np.float64]

BINS: Final = 10
_NEAREST: Final = 5e-5
"""Scores are kept this far from 0 and 1, whose log-odds are infinite; they are written with four decimals."""
_PRIOR: Final = 1.0
"""Strength of the prior that pulls the slope to 1 and the offsets to 0; it counts where there are few spans."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A predicted span's label and score, and whether the gold annotation has it."""

    label: str
    score: float
    right: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """From a model's own score of a span to the probability that the span is right. The default changes nothing."""

    slope: float = 1.0
    offsets: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, score: float, label: str) -> float:
        """The probability, from 0 to 1."""
        odds = self.slope * _log_odds(score) + self.offsets.get(label, 0.0)
        return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0

    @classmethod
    def fit(cls, spans: Iterable[Outcome]) -> Calibration:
        """The most likely slope and offsets (Newton's method), given spans of held-out documents."""
        judged = list(spans)
        labels = sorted({s.label for s in judged})
        if not labels:
            return cls()
        table = np.zeros((len(judged), len(labels) + 1))
        for row, s in zip(table, judged, strict=True):
            row[0] = _log_odds(s.score)
            row[1 + labels.index(s.label)] = 1
        right = np.array([s.right for s in judged], dtype=np.float64)
        found = _most_likely(table, right, np.array([1.0, *(0.0 for _ in labels)]))
        # A slope of 0 or less would turn the order around.
        return cls(
            round(max(0.05, float(found[0])), 4),
            {name: round(float(v), 4) for name, v in zip(labels, found[1:], strict=True)},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"slope": self.slope, "offsets": dict(self.offsets)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """What `to_json` made."""
        return cls(float(data["slope"]), {str(k): float(v) for k, v in data["offsets"].items()})


def outcomes(gold: Sequence[Document], predicted: Sequence[Document]) -> list[Outcome]:
    """The scored spans of predicted documents beside the gold ones of the same ids."""
    keys = {document.id: {span.key for span in document.spans} for document in gold}
    return [
        Outcome(span.label, span.score, span.key in keys[document.id])
        for document in predicted
        for span in document.spans
        if span.score is not None
    ]


@dataclass(frozen=True, slots=True)
class Bin:
    """Spans of about the same score: their mean score, the part of them that is right, and how many they are."""

    score: float
    right: float
    count: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"score": self.score, "right": self.right, "count": self.count}


def calibration_curve(spans: Sequence[Outcome], bins: int = BINS) -> list[Bin]:
    """The spans by score in bins that hold about equally many (Nguyen & O'Connor 2015), the lowest scores first.

    Of a good model most scores lie close to 1, where bins of equal width would throw them together. Equal scores are in one
    bin, so there may be fewer bins, and the order of the spans does not matter.
    """
    table: Floats = np.array([(s.score, s.right) for s in spans], dtype=np.float64).reshape(-1, 2)
    table = table[np.argsort(table[:, 0], kind="stable")]
    size = len(table)
    cuts = {size * n // bins for n in range(1, bins)}
    # Where a cut would part equal scores it is made behind them.
    ends = {int(np.searchsorted(table[:, 0], table[cut - 1, 0], side="right")) for cut in cuts if cut}
    parts = np.split(table, sorted(ends - {size})) if size else []
    return [Bin(float(p[:, 0].mean()), float(p[:, 1].mean()), len(p)) for p in parts]


def calibration_error(spans: Sequence[Outcome], bins: int = BINS) -> float:
    """The expected calibration error: how far the mean score of a bin is from the part that is right, over all spans.

    0.0 without spans.
    """
    found = calibration_curve(spans, bins)
    return sum(b.count * abs(b.score - b.right) for b in found) / len(spans) if found else 0.0


def _most_likely(table: Floats, right: Floats, prior: Floats) -> Floats:
    """The weights of a logistic regression, pulled to `prior`: Newton's method, each step halved until it helps."""

    def loss(weights: Floats) -> float:
        odds = table @ weights
        pull = _PRIOR / 2 * float(((weights - prior) ** 2).sum())
        return float((np.logaddexp(0, odds) - right * odds).sum()) + pull

    found, best = prior, loss(prior)
    for _ in range(100):
        p = 1 / (1 + np.exp(-(table @ found)))
        downhill = table.T @ (right - p) - _PRIOR * (found - prior)
        curve = (table * (p * (1 - p))[:, None]).T @ table + _PRIOR * np.eye(len(found))
        step = np.linalg.solve(curve, downhill)
        while loss(found + step) > best and np.abs(step).max() > 1e-8:
            step = step / 2
        found = found + step
        best = loss(found)
        if np.abs(step).max() < 1e-8:
            break
    return found


def _log_odds(score: float) -> float:
    inside = min(1 - _NEAREST, max(_NEAREST, score))
    return math.log(inside / (1 - inside))
