"""How sure a figure is: the bootstrap over documents, and the test of a difference between two systems.

What is drawn again is whole documents, not spans: the spans of one report stand or fall together, and intervals
from spans would be too narrow. All draws are products of matrices, so that 10,000 take a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gongbao.counts import Row
from gongbao.schema import UsageError

Floats: TypeAlias = NDArray[np.float64]
Interval: TypeAlias = tuple[float, float] | None

DRAWS: Final = 10_000
_CELLS: Final = 1 << 22
"""Weights held at a time, in documents times draws: 32 MB."""


class Resamples:
    """`n` times as many documents as there are, drawn with replacement (Efron 1979). A seed always draws the same.

    Raises:
        UsageError: `n` below 1.
    """

    def __init__(self, documents: int, n: int = DRAWS, seed: int = 0) -> None:
        if n < 1:
            raise UsageError(f"an interval from {n} draws", remedy="draw 1000 or more")
        self.documents = documents
        self.n = n
        self._seed = seed
        # What fits is drawn once for all tables.
        self._drawn = list(self._draw()) if 0 < documents * n <= _CELLS else None

    def f1(self, table: Floats) -> Floats:
        """(n, columns): F1 of the table's (documents, columns, row) in each draw; NaN where there is nothing.

        A row is gold, predicted, found and right. F1 is the harmonic mean of right/predicted and found/gold.
        """
        size, columns, _ = table.shape
        if not size or not columns:
            return np.full((self.n, columns), np.nan)
        flat = table.reshape(size, -1)
        parts = [(weights @ flat).reshape(-1, columns, 4) for weights in self._drawn or self._draw()]
        return f1_of(np.concatenate(parts))

    def _draw(self) -> Iterator[Floats]:
        """How often each draw holds each document: (draws, documents), some draws at a time."""
        size = self.documents
        random = np.random.default_rng(self._seed)
        step = max(1, _CELLS // size)
        for at in range(0, self.n, step):
            rows = min(step, self.n - at)
            drawn = random.integers(size, size=(rows, size)) + np.arange(rows)[:, None] * size
            yield np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(np.float64)


def table_of(rows: Sequence[Mapping[str, Row]], names: Sequence[str]) -> Floats:
    """(documents, names, row), from the rows of each document by name."""
    nothing = (0.0, 0.0, 0.0, 0.0)
    return np.array([[own.get(name, nothing) for name in names] for own in rows], dtype=np.float64).reshape(
        len(rows), len(names), 4
    )


def f1_of(rows: Floats) -> Floats:
    """F1 of rows, the last axis; NaN where there is neither gold nor predicted."""
    gold, predicted, found, right = np.moveaxis(rows, -1, 0)
    up, down = 2 * found * right, found * predicted + right * gold
    out = np.where(gold + predicted > 0, 0.0, np.nan)
    np.divide(up, down, out=out, where=down > 0)
    return out


def mean_of_those_there(values: Floats) -> Floats:
    """The mean of each draw's columns, without those that are NaN; NaN where all are."""
    there = ~np.isnan(values)
    out = np.full(len(values), np.nan)
    sums = np.where(there, values, 0.0).sum(axis=1)
    np.divide(sums, there.sum(axis=1), out=out, where=there.any(axis=1))
    return out


def middle(values: Floats) -> Interval:
    """The middle 95% of the values that are there; None where none is."""
    there = values[~np.isnan(values)]
    if not len(there):
        return None
    low, high = np.quantile(there, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class NamedIntervals:
    """95% intervals of F1 of each name, of all together (micro), and of the mean over names (macro)."""

    each: Mapping[str, Interval]
    micro: Interval
    macro: Interval


def intervals_of(rows: Sequence[Mapping[str, Row]], resamples: Resamples) -> NamedIntervals:
    """The intervals of names whose rows add up, from the rows of each document."""
    names = sorted({name for own in rows for name in own})
    table = table_of(rows, names)
    f1 = resamples.f1(table)
    micro = resamples.f1(table.sum(axis=1, keepdims=True))
    each = {name: middle(f1[:, at]) for at, name in enumerate(names)}
    return NamedIntervals(each, middle(micro[:, 0]), middle(mean_of_those_there(f1)))


# ------------------------------------------------------------------------------------- differences


@dataclass(frozen=True, slots=True)
class Difference:
    """F1 of one system minus that of another on the same documents.

    `interval` is the middle 95% of the difference in resampled documents, the same ones for both. `p` is how often
    chance alone would make a difference as large, either way: by approximate randomisation (Noreen 1989; Yeh 2000), in
    which the two systems' results on a document change places or not, as a coin falls.
    """

    difference: float
    interval: Interval
    p: float

    @property
    def significant(self) -> bool:
        """Whether chance is ruled out at the usual level of 5%."""
        return self.p < 0.05

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "difference": self.difference, "interval": self.interval, "p": self.p, "significant": self.significant,
        }  # fmt: skip


def paired_difference(
    one: Sequence[Row], other: Sequence[Row], n: int = DRAWS, seed: int = 0
) -> Difference | None:
    """The difference in F1 between two systems' rows of the same documents, in the same order; None of nothing."""
    tables = [np.array(rows, dtype=np.float64).reshape(len(rows), 1, 4) for rows in (one, other)]
    sums = [table.sum(axis=0) for table in tables]
    observed = float((f1_of(sums[0]) - f1_of(sums[1]))[0])
    if np.isnan(observed):
        return None
    resamples = Resamples(len(one), n, seed)
    spread = middle((resamples.f1(tables[0]) - resamples.f1(tables[1]))[:, 0])
    random = np.random.default_rng([seed, 1])
    gap = (tables[1] - tables[0]).reshape(len(one), 4)
    extreme = 0
    step = max(1, _CELLS // len(one))
    for at in range(0, n, step):
        swapped = random.integers(2, size=(min(step, n - at), len(one))).astype(np.float64) @ gap
        chance = f1_of(sums[0] + swapped) - f1_of(sums[1] - swapped)
        # What differs in the last digits alone is the same difference.
        extreme += int((np.abs(chance) >= abs(observed) - 1e-12).sum())
    return Difference(observed, spread, (extreme + 1) / (n + 1))
