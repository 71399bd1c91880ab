"""What a corpus holds in numbers, and how far two annotators of it agree."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from gongbao.conll import ILLEGAL
from gongbao.metrics import Counts, Mistake, evaluate, first_difference, total
from gongbao.schema import DataError, Document, Link, Span, UsageError
from gongbao.sentences import sentences

_SHARES: Final = {"min": 0.0, "median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def _quantiles(values: Iterable[int]) -> dict[str, int]:
    """Nearest-rank quantiles: each of them is one of the values."""
    ordered = sorted(values)
    return {name: ordered[max(0, math.ceil(share * len(ordered)) - 1)] for name, share in _SHARES.items()}


def _told(quantiles: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in quantiles.items())


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """The spans of one label: how many, how many different strings, and their lengths in characters."""

    spans: int
    distinct: int
    length: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"spans": self.spans, "distinct": self.distinct, "length": dict(self.length)}


@dataclass(frozen=True, slots=True)
class RoleStatistics:
    """The links of one role, how many of them lead backward in the text, and their distance.

    The distance is the number of characters between the two spans.
    """

    links: int
    backward: int
    distance: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"links": self.links, "backward": self.backward, "distance": dict(self.distance)}


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures of a corpus. Labels and roles are ordered by frequency; quantiles are min, median, p90, p99, max."""

    documents: int
    characters: int
    sentences: int
    labels: Mapping[str, LabelStatistics]
    roles: Mapping[str, RoleStatistics]
    repaired_tags: int = 0

    @property
    def spans(self) -> int:
        """Spans of all labels."""
        return sum(label.spans for label in self.labels.values())

    @property
    def links(self) -> int:
        """Links of all roles."""
        return sum(role.links for role in self.roles.values())

    @property
    def spans_per_1000(self) -> float:
        """Spans per 1,000 characters; 0 for no text."""
        return 1000 * self.spans / self.characters if self.characters else 0.0

    def __str__(self) -> str:
        told = [
            f"{self.documents} documents, {self.sentences} sentences, {self.characters} characters",
            f"{self.spans} spans ({self.spans_per_1000:.1f} per 1,000 characters), {self.links} links",
        ]
        for name, label in self.labels.items():
            told.append(
                f"{name:12}{label.spans:7} spans {label.distinct:7} strings   length {_told(label.length)}"
            )
        for name, role in self.roles.items():
            told.append(
                f"{name:12}{role.links:7} links {role.backward:7} backward  distance {_told(role.distance)}"
            )
        if self.repaired_tags:
            told.append(f"{self.repaired_tags} illegal tags were repaired")
        return "\n".join(told)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "documents": self.documents,
            "characters": self.characters,
            "sentences": self.sentences,
            "spans": self.spans,
            "links": self.links,
            "spans_per_1000_characters": round(self.spans_per_1000, 2),
            "labels": {name: label.to_json() for name, label in self.labels.items()},
            "roles": {name: role.to_json() for name, role in self.roles.items()},
            "repaired_tags": self.repaired_tags,
        }


def statistics(documents: Sequence[Document]) -> Statistics:
    """Count a corpus."""
    texts: dict[str, list[str]] = defaultdict(list)
    links: dict[str, list[tuple[Span, Span]]] = defaultdict(list)
    for document in documents:
        for span in document.spans:
            texts[span.label].append(span.text)
        for link in document.links:
            links[link.role].append((document.span(link.head), document.span(link.tail)))
    return Statistics(
        documents=len(documents),
        characters=sum(len(d.text) for d in documents),
        sentences=sum(len(sentences(d.text)) for d in documents),
        labels={
            label: LabelStatistics(len(found), len(set(found)), _quantiles(map(len, found)))
            for label, found in sorted(texts.items(), key=lambda item: (-len(item[1]), item[0]))
        },
        roles={
            role: RoleStatistics(
                len(ends),
                sum(tail.start < head.start for head, tail in ends),
                _quantiles(max(h.start, t.start) - min(h.end, t.end) for h, t in ends),
            )
            for role, ends in sorted(links.items(), key=lambda item: (-len(item[1]), item[0]))
        },
        repaired_tags=sum(d.meta.get(ILLEGAL, 0) for d in documents),
    )


# -------------------------------------------------------------------------------------- agreement


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A place that two annotators marked differently: what each of them has there in words, None for nothing.

    Two spans that share characters are one disagreement, and its place holds both.
    """

    document: str
    start: int
    end: int
    first: str | None
    second: str | None

    def __str__(self) -> str:
        place = f"{self.document}, characters {self.start}-{self.end}"
        return f"{place}: {self.first or 'nothing'} | {self.second or 'nothing'}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "document": self.document, "start": self.start, "end": self.end, "first": self.first, "second": self.second,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two annotations agree: counts by label and by role, with the first taken as gold, and each difference.

    F1 is the same whichever of the two is taken as gold.
    """

    documents: int
    spans: Mapping[str, Counts]
    links: Mapping[str, Counts]
    disagreements: tuple[Disagreement, ...]

    @property
    def all_spans(self) -> Counts:
        """The counts over all labels."""
        return total(self.spans.values())

    @property
    def all_links(self) -> Counts:
        """The counts over all roles."""
        return total(self.links.values())

    def __str__(self) -> str:
        rows = [
            ("all spans", self.all_spans),
            *self.spans.items(),
            ("all links", self.all_links),
            *self.links.items(),
        ]
        told = [
            f"{name:12} F1 {c.f1:.3f}   both {c.tp}, first only {c.fn}, second only {c.fp}"
            for name, c in rows
        ]
        return "\n".join([f"{self.documents} documents", *told, *map(str, self.disagreements)])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the counts and rates over all and by name, and the disagreements."""
        return {
            "documents": self.documents,
            "spans": {
                "micro": self.all_spans.to_json(),
                "labels": {name: counts.to_json() for name, counts in self.spans.items()},
            },
            "links": {
                "micro": self.all_links.to_json(),
                "roles": {name: counts.to_json() for name, counts in self.links.items()},
            },
            "disagreements": [d.to_json() for d in self.disagreements],
        }


def agreement(a: Sequence[Document], b: Sequence[Document]) -> Agreement:
    """Compare two annotations of the same documents, matched by id.

    Raises:
        DataError: a document that one of them lacks or has twice, or whose text differs, with the place.
    """
    first, second = _by_id(a, "first"), _by_id(b, "second")
    for one, other, which in ((first, second, "second"), (second, first, "first")):
        absent = next((id for id in one if id not in other), None)
        if absent is not None:
            raise DataError(
                f"the {which} annotation does not have the document", record=absent,
                remedy="compare only what both have annotated",
            )  # fmt: skip
    pairs = [(document, second[id]) for id, document in first.items()]
    for pair in pairs:
        _check_text(*pair)
    counted = evaluate([one for one, _ in pairs], [two for _, two in pairs])
    differ = [_of_spans(mistake) for mistake in counted.mistakes]
    for pair in pairs:
        differ += _of_links(*pair)
    place = {id: n for n, id in enumerate(first)}
    differ.sort(key=lambda d: (place[d.document], d.start, d.end))
    return Agreement(len(pairs), counted.spans, counted.roles, tuple(differ))


def agreements(documents: Sequence[Document]) -> dict[tuple[str, str], Agreement]:
    """Every two annotators compared, each pair on the documents that both have annotated.

    Args:
        documents: of all annotators, their ids ID@ANNOTATOR, as `read_export(…, choose="annotators")` gives them.

    Raises:
        DataError: an id without an annotator, or a text that differs.
        UsageError: no two annotators share a document.
    """
    theirs: dict[str, dict[str, Document]] = {}
    for document in documents:
        base, sign, annotator = document.id.rpartition("@")
        if not sign or not base or not annotator:
            raise DataError(
                "the id names no annotator", record=document.id,
                remedy="import with --choose all, which makes ids ID@ANNOTATOR, or give two files",
            )  # fmt: skip
        theirs.setdefault(annotator, {})[base] = document.replace(id=base)
    found = {}
    for one, other in combinations(sorted(theirs), 2):
        both = [base for base in theirs[one] if base in theirs[other]]
        if both:
            found[one, other] = agreement([theirs[one][b] for b in both], [theirs[other][b] for b in both])
    if not found:
        done = ", ".join(f"{annotator} {len(documents)}" for annotator, documents in sorted(theirs.items()))
        raise UsageError(
            f"no two annotators have annotated the same document (documents of each: {done or 'none'})",
            remedy="give some tasks to two annotators",
        )
    return found


def _by_id(documents: Sequence[Document], which: str) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for document in documents:
        if document.id in found:
            raise DataError(f"the {which} annotation has the document twice", record=document.id)
        found[document.id] = document
    return found


def _check_text(a: Document, b: Document) -> None:
    if a.text != b.text:
        at = first_difference(a.text, b.text)
        raise DataError(
            "the two annotations are of different texts", record=a.id, text=a.text, start=at, end=at + 1,
            remedy="annotate the same text twice, line ends and blanks included",
        )  # fmt: skip


def _of_spans(mistake: Mistake) -> Disagreement:
    first, second = (
        " + ".join(f"{s.label} {s.text!r}" for s in spans) or None
        for spans in (mistake.wanted, mistake.found)
    )
    return Disagreement(mistake.document, *mistake.place, first, second)


def _of_links(a: Document, b: Document) -> list[Disagreement]:
    mine, theirs = ({_placed(d, link) for link in d.links} for d in (a, b))
    return [Disagreement(a.id, start, end, told, None) for start, end, _, told in sorted(mine - theirs)] + [
        Disagreement(a.id, start, end, None, told) for start, end, _, told in sorted(theirs - mine)
    ]


def _placed(document: Document, link: Link) -> tuple[int, int, tuple[Any, ...], str]:
    """The stretch from one end of a link to the other, what makes it the same link, and the link in words."""
    head, tail = document.span(link.head), document.span(link.tail)
    told = f"{head.text!r} →{link.role}→ {tail.text!r}"
    return min(head.start, tail.start), max(head.end, tail.end), (*head.key, *tail.key), told
