"""Scores with their intervals, and ranks that respect significance.

Both are from the bootstrap over documents (Efron 1979; paired, for two systems, as in Koehn 2004 and Berg-Kirkpatrick et
al. 2012): all entries of a test set are scored on the same 10,000 draws of its documents. Where an entry has several runs,
each draw takes as many of them, with replacement, and the mean of their F1s, so that luck with the seed counts too.

One system is significantly better than another where the middle 95% of the differences of their F1s, draw by draw, lies
above zero. That is no order: A may be like B and B like C, and A better than C. So an entry's rank is one more than the
number of entries that are significantly better than it: the rank needs no chain of comparisons, the highest F1 has rank 1,
and two entries that cannot be told apart from all the others alike share one. Those that an entry cannot be told apart from are
named beside it. Each pair is tested by itself, at 5%: among many entries some differences are chance.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from gongbao.counts import Counts, total
from gongbao.leaderboard.entries import Entry, RunScore, Score, Scores
from gongbao.metrics import DocumentCounts
from gongbao.resampling import Floats, Resamples, middle

Run: TypeAlias = Sequence[DocumentCounts]
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry's rank by one measure, and the names of those that it cannot be told apart from."""

    rank: int
    like: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: an entry and its standing by spans, links and facts."""

    entry: Entry
    standings: Mapping[str, Standing]

    @property
    def rank(self) -> int:
        """The rank by spans, which orders the table."""
        return self.standings["spans"].rank


class Resampled:
    """F1 in each draw of one entry. `name` decides which runs a draw takes, so that entries draw theirs independently."""

    def __init__(self, name: str, runs: Sequence[Run], documents: Resamples) -> None:
        self._runs, self._documents = runs, documents
        random = np.random.default_rng(zlib.crc32(name.encode()))
        size, count = documents.n, len(runs)
        drawn = random.integers(count, size=(size, count)) + np.arange(size)[:, None] * count
        self._weights = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)

    def f1(self, counted: Callable[[DocumentCounts], Counts]) -> Floats:
        """(draws,): the mean F1 of the runs in what is counted, NaN where there is nothing to count."""
        tables = [[counted(tally).row for tally in run] for run in self._runs]
        table = np.array(tables, dtype=np.float64).transpose(1, 0, 2)  # documents, runs, row
        f1 = self._documents.f1(table)
        there = ~np.isnan(f1)
        weights = self._weights * there
        out = np.full(len(f1), np.nan)
        whole = weights.sum(axis=1)
        np.divide((weights * np.where(there, f1, 0.0)).sum(axis=1), whole, out=out, where=whole > 0)
        return out


MEASURES: Final[Mapping[str, Callable[[DocumentCounts], Counts]]] = {
    "spans": lambda tally: total(tally.spans.values()),
    "links": lambda tally: total(tally.links.values()),
    "facts": lambda tally: tally.facts,
}


def scores(name: str, runs: Sequence[Run]) -> Scores:
    """The scores of an entry of one or several runs, to six decimals."""
    resampled = Resampled(name, runs, Resamples(len(runs[0])))

    def score(counted: Callable[[DocumentCounts], Counts]) -> Score:
        return _score([total(map(counted, run)) for run in runs], resampled.f1(counted))

    labels = sorted({label for run in runs for tally in run for label in tally.spans})
    return Scores(
        labels={label: score(lambda tally, own=label: tally.spans.get(own, Counts())) for label in labels},  # type: ignore[misc]
        **{measure: score(counted) for measure, counted in MEASURES.items()},
    )


def _score(counts: Sequence[Counts], draws: Floats) -> Score:
    rates = np.array([[c.f1, c.precision, c.recall] for c in counts])
    f1, precision, recall = (round(float(rate), _DIGITS) for rate in rates.mean(axis=0))
    found = middle(draws)
    return Score(
        f1=f1,
        interval=(round(found[0], _DIGITS), round(found[1], _DIGITS)) if found else None,
        deviation=round(float(rates[:, 0].std(ddof=1)), _DIGITS) if len(counts) > 1 else None,
        precision=precision,
        recall=recall,
        gold=counts[0].tp + counts[0].fn,
    )


def run_score(run: Run, seed: int | None, model: str | None) -> RunScore:
    """The F1s of one run."""
    f1 = {measure: round(total(map(counted, run)).f1, _DIGITS) for measure, counted in MEASURES.items()}
    return RunScore(seed, model, **f1)


def better(one: Floats, other: Floats) -> bool:
    """Whether the first system's F1s, draw by draw, are significantly above the second's."""
    differences = middle(one - other)
    return differences is not None and differences[0] > 0


def rank(entries: Sequence[tuple[Entry, Sequence[Run]]]) -> list[Row]:
    """The rows of a test set's table: by rank in spans, those of one rank by F1 and name."""
    documents = Resamples(len(entries[0][1][0]) if entries else 0)
    resampled = [Resampled(entry.name, runs, documents) for entry, runs in entries]
    standings: list[dict[str, Standing]] = [{} for _ in entries]
    for measure, counted in MEASURES.items():
        draws = [r.f1(counted) for r in resampled]
        above = [[better(other, own) for other in draws] for own in draws]
        for n, own in enumerate(above):
            like = [
                entry.name
                for m, (entry, _) in enumerate(entries)
                if m != n and not own[m] and not above[m][n]
            ]
            standings[n][measure] = Standing(1 + sum(own), tuple(sorted(like)))
    rows = [Row(entry, standing) for (entry, _), standing in zip(entries, standings, strict=True)]
    return sorted(rows, key=lambda row: (row.rank, -row.entry.scores.spans.f1, row.entry.name))
