"""Two systems side by side on the same gold documents: who gets what, and whether chance alone explains the difference.

comparison = compare(gold, (evaluate(gold, one), one), (evaluate(gold, other), other))
comparison.differences["spans"].p, comparison.found
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from gongbao.counts import Counts, total
from gongbao.metrics import Evaluation, significance
from gongbao.resampling import DRAWS, Difference, paired_difference
from gongbao.schema import Document, Span

Side: TypeAlias = Literal["both", "one", "other", "neither"]
SIDES: Final = ("both", "one", "other", "neither")


@dataclass(frozen=True, slots=True)
class Apart:
    """A span that only one of the two systems has: `by` says which. `right`: it is in gold."""

    document: str
    span: Span
    by: Literal["one", "other"]
    right: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the span as in a document."""
        return {"document": self.document, "span": self.span.to_json(), "by": self.by, "right": self.right}


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    `differences` are of spans, links and facts, `labels` of the spans of one label: F1 of the one minus that of the other.
    `found` counts the gold spans by who has them, `invented` the wrong predicted ones; `documents` counts those on which the one or
    the other has the higher span F1, or both the same. `apart` lists what only one of them has.
    """

    one: Evaluation
    other: Evaluation
    differences: Mapping[str, Difference | None]
    labels: Mapping[str, Difference]
    found: Mapping[Side, int]
    invented: Mapping[Side, int]
    documents: Mapping[Side, int]
    apart: tuple[Apart, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the figures, and every span that only one of them has."""
        return {
            "differences": {k: d.to_json() if d else None for k, d in self.differences.items()},
            "labels": {label: difference.to_json() for label, difference in self.labels.items()},
            "other": self.other.to_json(),
            "found": dict(self.found), "invented": dict(self.invented), "documents": dict(self.documents),
            "apart": [apart.to_json() for apart in self.apart],
        }  # fmt: skip


def compare(
    gold: Sequence[Document],
    one: tuple[Evaluation, Sequence[Document]],
    other: tuple[Evaluation, Sequence[Document]],
    *,
    n: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare two systems, each given as its evaluation and its documents.

    Raises:
        DataError: the two were evaluated on different documents.
    """
    differences = significance(one[0], other[0], n, seed)
    ours, theirs = ({document.id: document for document in documents} for _, documents in (one, other))
    found: Counter[Side] = Counter()
    invented: Counter[Side] = Counter()
    apart: list[Apart] = []
    for document in gold:
        sides = [{span.key: span for span in d[document.id].spans} for d in (ours, theirs)]
        wanted = {span.key: span for span in document.spans}
        for key, span in sorted({**sides[0], **sides[1], **wanted}.items()):
            has = key in sides[0], key in sides[1]
            side: Side = "both" if all(has) else "one" if has[0] else "other" if has[1] else "neither"
            (found if key in wanted else invented)[side] += 1
            if side == "one" or side == "other":
                apart.append(Apart(document.id, span, side, key in wanted))
    pairs = _paired(one[0], other[0])
    return Comparison(
        one[0], other[0], differences, _by_label(pairs, n, seed),
        {side: found[side] for side in SIDES}, {side: invented[side] for side in SIDES[:3]},
        _won(pairs), tuple(apart),
    )  # fmt: skip


def _paired(one: Evaluation, other: Evaluation) -> list[tuple[Mapping[str, Counts], Mapping[str, Counts]]]:
    theirs = {document.id: document.spans for document in other.documents}
    return [(document.spans, theirs[document.id]) for document in one.documents]


def _by_label(
    pairs: Sequence[tuple[Mapping[str, Counts], Mapping[str, Counts]]], n: int, seed: int
) -> dict[str, Difference]:
    labels = sorted({label for pair in pairs for counts in pair for label in counts})
    out = {}
    for label in labels:
        rows = [[counts.get(label, Counts()).row for counts in pair] for pair in pairs]
        difference = paired_difference([row[0] for row in rows], [row[1] for row in rows], n, seed)
        if difference is not None:
            out[label] = difference
    return out


def _won(pairs: Iterable[tuple[Mapping[str, Counts], Mapping[str, Counts]]]) -> dict[Side, int]:
    won: Counter[Side] = Counter()
    for pair in pairs:
        one, other = (total(counts.values()).f1 for counts in pair)
        won["both" if one == other else "one" if one > other else "other"] += 1
    return {side: won[side] for side in ("one", "other", "both")}
