"""Places where an annotation is likely to be wrong, the surest first: for a person to look at.

Nothing here is a breach of a rule (`gongbao.checks` lists those); each is something that the rest of the corpus, a
model that has not seen the article, or the link rules would have otherwise.

    invented, missed, wrong label, boundary …, merged, split
                        what a held-out model reads differently: a span it adds, one it does not see, one it names
                        otherwise, one it draws otherwise (`gongbao.mistakes`). Sureness: the model's probability for its own
                        reading, of a missed span the probability that it is none (confident learning, Northcutt et al.
                        2021, with exact span probabilities in place of a class's)
    label-differs       a string that has another label in half of its places or more; the share of the other places
    unlabelled          a string without a label that has one in most places; the share that has it
    edge                a span that is a character or two longer or shorter than the same words with the same label are elsewhere;
                        the share of the other form
    no-link             a span without a link, of a label most of whose spans have one; that share
    link                what the link rules would link otherwise; half the precision of the rule
    value               a span whose text does not read as the value its label stands for; 0.5

Several that are about the same characters are one, of the surest kind. A gold span that crosses the end of a sentence cannot be
read by a model at all and is told as missed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from gongbao.amounts import parse_amount
from gongbao.facts import publication_date
from gongbao.linking import RuleLinker
from gongbao.metrics import Mistake, find_link_mistakes, find_mistakes
from gongbao.periods import parse_period
from gongbao.schema import Document, LabelScheme, Span, SpanKey

_AROUND: Final = 24
"""Characters shown on each side."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An annotated document as a model sees that has not learned from it.

    `predicted` holds the model's spans with their scores, `gold` the probability it gives each annotated span.
    """

    predicted: Document
    gold: Mapping[SpanKey, float]


@dataclass(frozen=True, slots=True)
class Suspect:
    """Characters `start:end` of a document, why they are suspected, and how surely, from 0 to 1.

    `annotated` says what stands there, `proposed` what would stand there instead; either may be empty.
    """

    document: str
    start: int
    end: int
    kind: str
    sureness: float
    annotated: str
    proposed: str
    context: str

    def __str__(self) -> str:
        told = f"{self.annotated or 'nothing'} → {self.proposed or 'nothing'}"
        return f"{self.sureness:.2f} {self.kind}: {self.document}, characters {self.start}-{self.end}: {told}\n    {self.context}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "document": self.document, "start": self.start, "end": self.end, "kind": self.kind,
            "sureness": round(self.sureness, 4), "annotated": self.annotated, "proposed": self.proposed,
            "context": self.context,
        }  # fmt: skip


def suspects(
    documents: Sequence[Document], scheme: LabelScheme, judged: Mapping[str, Judged] | None = None
) -> list[Suspect]:
    """What to look at in annotated documents, the surest first.

    Args:
        documents: with unique ids.
        scheme: their labels and roles.
        judged: by document id, what a model that has not learned from the document says of it; documents
            without are judged by the other rules alone.
    """
    strings = _Strings(documents)
    linked = _link_shares(documents, scheme)
    linker = RuleLinker(scheme)
    found: list[Suspect] = []
    for document in documents:
        own = [
            *_by_strings(document, strings),
            *_by_links(document, scheme, linked, linker),
            *_by_values(document, scheme),
        ]
        if judged and document.id in judged:
            own += _by_model(document, judged[document.id])
        found += _one_a_place(own)
    return sorted(found, key=lambda s: (-s.sureness, s.document, s.start))


def _one_a_place(found: Iterable[Suspect]) -> list[Suspect]:
    surest: dict[tuple[int, int], Suspect] = {}
    for suspect in found:
        place = suspect.start, suspect.end
        if place not in surest or surest[place].sureness < suspect.sureness:
            surest[place] = suspect
    return list(surest.values())


def _suspect(
    document: Document, place: tuple[int, int], kind: str, sureness: float, annotated: str, proposed: str
) -> Suspect:
    start, end = place
    text = document.text
    shown = f"{text[max(0, start - _AROUND) : start]}【{text[start:end]}】{text[end : end + _AROUND]}"
    return Suspect(document.id, start, end, kind, sureness, annotated, proposed, " ".join(shown.split()))


def _said(span: Span) -> str:
    return f"{span.label} {span.text!r}"


# ------------------------------------------------------------------------------------------ model


def _by_model(document: Document, judged: Judged) -> Iterator[Suspect]:
    for mistake in find_mistakes(document, judged.predicted):
        told = (" + ".join(map(_said, spans)) for spans in (mistake.wanted, mistake.found))
        yield _suspect(document, mistake.place, mistake.kind, _sureness(mistake, judged), *told)


def _sureness(mistake: Mistake, judged: Judged) -> float:
    if mistake.predicted is not None:
        return mistake.predicted.score or 0.0
    assert mistake.gold is not None
    return 1.0 - judged.gold.get(mistake.gold.key, 0.0)


# ---------------------------------------------------------------------------------------- strings


class _Strings:
    """Which strings are labelled how often as what in all documents, and how often not at all.

    Strings of one character say too little. A place counts as unlabelled where no span touches it and no longer
    labelled string stands.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self.labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for document in documents:
            for span in document.spans:
                if len(span.text) > 1:
                    self.labels[span.text][span.label] += 1
        # The first two characters of a string lead to the lengths it may have, the longest first.
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for text in self.labels:
            lengths[text[:2]].add(len(text))
        self.lengths = {head: sorted(found, reverse=True) for head, found in lengths.items()}
        self.bare = Counter(text for document in documents for _, text in self.unlabelled(document))

    def unlabelled(self, document: Document) -> Iterator[tuple[int, str]]:
        """Where strings stand without a label that have one elsewhere."""
        text = document.text
        free = 0
        for span in [*document.spans, None]:
            end = span.start if span else len(text)
            at = free
            while at < end - 1:
                for length in self.lengths.get(text[at : at + 2], ()):
                    if at + length <= end and text[at : at + length] in self.labels:
                        yield at, text[at : at + length]
                        at += length
                        break
                else:
                    at += 1
            free = span.end if span else end

    def count(self, text: str, label: str) -> int:
        """How often the text has the label."""
        return self.labels[text][label] if text in self.labels else 0


def _by_strings(document: Document, strings: _Strings) -> Iterator[Suspect]:
    for span in document.spans:
        place = span.start, span.end
        labels = strings.labels.get(span.text, Counter[str]())
        if len(labels) > 1 and 2 * labels[span.label] <= labels.total():
            other, _ = next((label, n) for label, n in labels.most_common() if label != span.label)
            share = 1 - labels[span.label] / labels.total()
            yield _suspect(
                document, place, "label-differs", share, _said(span), f"{other} {span.text!r}, as elsewhere"
            )
        yield from _by_edges(document, span, strings)
    for start, text in strings.unlabelled(document):
        labelled, bare = strings.labels[text].total(), strings.bare[text]
        if labelled > bare:
            label = strings.labels[text].most_common(1)[0][0]
            yield _suspect(
                document, (start, start + len(text)), "unlabelled", labelled / (labelled + bare), "",
                f"{label} {text!r}, as in {labelled} places",
            )  # fmt: skip


def _by_edges(document: Document, span: Span, strings: _Strings) -> Iterator[Suspect]:
    """The same words a little longer or shorter, where those are more often annotated with the label."""
    at = bisect_left(document.spans, span.start, key=lambda s: s.start)
    before = document.spans[at - 1].end if at else 0
    behind = document.spans[at + 1].start if at + 1 < len(document.spans) else len(document.text)
    own = strings.count(span.text, span.label)
    best: tuple[int, int, int] | None = None
    for left in range(-2, 3):
        for right in range(-2, 3):
            start, end = span.start + left, span.end + right
            if (left, right) == (0, 0) or not before <= start < end - 1 or end > behind:
                continue
            count = strings.count(document.text[start:end], span.label)
            # Twice may be chance: 收入 and 总收入 are both in order.
            if count > 2 and count > 2 * own and (best is None or count > best[0]):
                best = count, start, end
    if best:
        count, start, end = best
        place = min(start, span.start), max(end, span.end)
        other = f"{span.label} {document.text[start:end]!r}, as in {count} places"
        yield _suspect(document, place, "edge", count / (count + own) / 2, _said(span), other)


# ------------------------------------------------------------------------------------------ links


def _link_shares(documents: Sequence[Document], scheme: LabelScheme) -> dict[str, float]:
    """The share of the spans of each label that roles lead from that have a link."""
    heads = {label for role in scheme.roles for label in role.heads}
    spans: Counter[str] = Counter()
    linked: Counter[str] = Counter()
    for document in documents:
        spans.update(span.label for span in document.spans)
        linked.update(document.span(head).label for head in {link.head for link in document.links})
    return {label: linked[label] / spans[label] for label in heads if spans[label]}


def _by_links(
    document: Document, scheme: LabelScheme, linked: Mapping[str, float], linker: RuleLinker
) -> Iterator[Suspect]:
    heads = {link.head for link in document.links}
    for span in document.spans:
        if linked.get(span.label, 0.0) > 0.5 and span.id not in heads:
            yield _suspect(
                document, (span.start, span.end), "no-link", linked[span.label], _said(span), "a link from it"
            )
    for mistake in find_link_mistakes(document, document.replace(links=tuple(linker(document)), facts=())):
        arrows = [a for a in (mistake.gold, mistake.predicted) if a]
        place = (
            min(s.start for a in arrows for s in (a.head, a.tail)),
            max(s.end for a in arrows for s in (a.head, a.tail)),
        )
        told = [
            "" if a is None else f"{a.head.text} →{a.role}→ {a.tail.text}"
            for a in (mistake.gold, mistake.predicted)
        ]
        # Half of what the rules are worth: their mistakes are more than those of an annotator.
        sureness = max(a.score or 0.5 for a in arrows) / 2
        yield _suspect(document, place, "link", sureness, *told)


# ----------------------------------------------------------------------------------------- values

_SOME_DAY: Final = date(2023, 11, 1)
"""今年 means a year only in a report of a known day. Where the day is not known, any shows whether the text reads."""


def _by_values(document: Document, scheme: LabelScheme) -> Iterator[Suspect]:
    day = publication_date(document) or _SOME_DAY
    for span in document.spans:
        kind = scheme.values.get(span.label)
        unread = (kind == "amount" and parse_amount(span.text) is None) or (
            kind == "period" and parse_period(span.text, day) is None
        )
        if unread:
            told = "an amount" if kind == "amount" else "a period"
            yield _suspect(
                document, (span.start, span.end), "value", 0.5, _said(span), f"what reads as {told}"
            )
