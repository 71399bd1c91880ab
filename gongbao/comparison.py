"""Two systems side by side on the same gold documents: who gets what, and whether chance alone explains the difference.

comparison = compare(gold, (evaluate(gold, one), one), (evaluate(gold, other), other))
comparison.differences["spans"].p, comparison.found
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from gongbao.counts import Counts, fact_values, link_keys, same_value, total
from gongbao.metrics import Arrow, Evaluation, significance
from gongbao.mistakes import arrows_of
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


@dataclass(frozen=True, slots=True)
class ApartLink:
    """A link that only one of the two systems has, or a fact that both link and only one reads right. `right`: it is in gold."""

    document: str
    what: Literal["links", "facts"]
    arrow: Arrow
    by: Literal["one", "other"]
    right: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the spans as in a document."""
        return {
            "document": self.document, "what": self.what, **self.arrow.to_json(), "by": self.by, "right": self.right,
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    `differences` are of spans, links and facts, `labels` of the spans of one label: F1 of the one minus that of the other.
    `found` counts what is in gold by who has it, spans, links and facts, `invented` what is predicted and wrong; `documents` counts those
    on which the one or the other has the higher span F1, or both the same. `apart` lists the spans that only one of them has,
    `apart_links` the links, and the facts that both link and only one of them reads right.
    """

    one: Evaluation
    other: Evaluation
    differences: Mapping[str, Difference | None]
    labels: Mapping[str, Difference]
    found: Mapping[str, Mapping[Side, int]]
    invented: Mapping[str, Mapping[Side, int]]
    documents: Mapping[Side, int]
    apart: tuple[Apart, ...]
    apart_links: tuple[ApartLink, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the figures, and all that only one of them has."""
        return {
            "differences": {k: d.to_json() if d else None for k, d in self.differences.items()},
            "labels": {label: difference.to_json() for label, difference in self.labels.items()},
            "other": self.other.to_json(),
            "found": {what: dict(sides) for what, sides in self.found.items()},
            "invented": {what: dict(sides) for what, sides in self.invented.items()},
            "documents": dict(self.documents),
            "apart": [apart.to_json() for apart in self.apart],
            "apart_links": [apart.to_json() for apart in self.apart_links],
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
    found: dict[str, Counter[Side]] = {what: Counter() for what in differences}
    invented: dict[str, Counter[Side]] = {what: Counter() for what in differences}
    apart: list[Apart] = []
    apart_links: list[ApartLink] = []
    for document in gold:
        one_has, other_has = ours[document.id], theirs[document.id]
        rights = zip(
            _keys(document, document), _keys(document, one_has), _keys(document, other_has), strict=True
        )
        for what, (wanted, *sides) in zip(differences, rights, strict=True):
            for key in wanted.union(*sides):
                (found if key in wanted else invented)[what][_side(key in sides[0], key in sides[1])] += 1
        apart += _apart(document, one_has, other_has)
        apart_links += _apart_links(document, one_has, other_has)
    pairs = _paired(one[0], other[0])
    return Comparison(
        one[0], other[0], differences, _by_label(pairs, n, seed),
        {what: {side: counted[side] for side in SIDES} for what, counted in found.items()},
        {what: {side: counted[side] for side in SIDES[:3]} for what, counted in invented.items()},
        _won(pairs), tuple(apart), tuple(apart_links),
    )  # fmt: skip


def _keys(gold: Document, document: Document) -> tuple[set[Hashable], set[Hashable], set[Hashable]]:
    """What makes the spans, links and facts of a document the same as another's; a fact whose value is not gold's is another."""
    values = fact_values(gold)
    facts = {
        (key, key not in values or same_value(value, values[key]))
        for key, value in fact_values(document).items()
    }
    return {span.key for span in document.spans}, set(link_keys(document)), set(facts)


def _side(one: bool, other: bool) -> Side:
    if one and other:
        return "both"
    return "one" if one else "other" if other else "neither"


def _apart(gold: Document, one: Document, other: Document) -> Iterator[Apart]:
    """The spans that only one of two has, in the order of the text."""
    wanted = {span.key for span in gold.spans}
    ours, theirs = ({span.key: span for span in document.spans} for document in (one, other))
    for key in sorted(ours.keys() ^ theirs.keys()):
        if key in ours:
            yield Apart(gold.id, ours[key], "one", key in wanted)
        else:
            yield Apart(gold.id, theirs[key], "other", key in wanted)


def _apart_links(gold: Document, one: Document, other: Document) -> Iterator[ApartLink]:
    """The links that only one of two has, then the facts of which only one has the value right, each in the order of the text."""
    wanted = set(link_keys(gold))
    ours, theirs = arrows_of(one), arrows_of(other)
    for key in sorted(ours.keys() ^ theirs.keys()):
        by: Literal["one", "other"] = "one" if key in ours else "other"
        yield ApartLink(gold.id, "links", (ours | theirs)[key], by, key in wanted)
    values, one_values, other_values = (fact_values(document) for document in (gold, one, other))
    for key in sorted(values.keys() & one_values.keys() & other_values.keys() & ours.keys() & theirs.keys()):
        one_right, other_right = (same_value(those[key], values[key]) for those in (one_values, other_values))
        if one_right != other_right:
            yield ApartLink(
                gold.id, "facts", (ours if one_right else theirs)[key], "one" if one_right else "other", True
            )


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
