"""What went wrong, sorted into kinds: spans, links and values, each wrong thing once.

Spans
    missed, invented    a gold span that shares no character with a predicted one that is left over, and the reverse
    wrong label         the two share characters and their labels differ, whatever their ends
    boundary short      of one label: the predicted one lies in the gold one
    boundary long       of one label: the gold one lies in the predicted one
    boundary shifted    of one label: they share characters, and neither lies in the other
    merged              two or more gold spans of one label lie in one predicted span of that label
    split               two or more predicted spans of one label lie in one gold span of that label

Links between right spans
    wrong role, wrong head, missed, invented; and of a right link whose amount has another value: unread (one side has
    no value), wrong unit, wrong magnitude, wrong approximation, the first of these that holds
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from gongbao.counts import Counts, LinkKey, fact_values, same_numbers, same_value
from gongbao.matching import overlapping
from gongbao.schema import Amount, Document, Span, Value

Kind: TypeAlias = Literal[
    "missed", "invented", "wrong label", "boundary short", "boundary long", "boundary shifted", "merged",
    "split",
]  # fmt: skip
LinkKind: TypeAlias = Literal[
    "missed", "invented", "wrong role", "wrong head", "unread", "wrong unit", "wrong magnitude",
    "wrong approximation",
]  # fmt: skip
VALUE_KINDS: Final = ("unread", "wrong unit", "wrong magnitude", "wrong approximation")
"""Kinds of mistakes in the value of a right link: they cost facts, not links."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that went wrong in a document. `gold` is None for an invented span, `predicted` for a missed one.

    `others` are the further gold spans that were merged into `predicted`, or the further predicted spans that `gold`
    was split into.
    """

    document: str
    kind: Kind
    gold: Span | None
    predicted: Span | None
    others: tuple[Span, ...] = ()

    @property
    def wanted(self) -> tuple[Span, ...]:
        """The gold spans in it."""
        return (*((self.gold,) if self.gold else ()), *(self.others if self.kind == "merged" else ()))

    @property
    def found(self) -> tuple[Span, ...]:
        """The predicted spans in it."""
        return (
            *((self.predicted,) if self.predicted else ()),
            *(self.others if self.kind == "split" else ()),
        )

    @property
    def place(self) -> tuple[int, int]:
        """From its first character to behind its last."""
        spans = (*self.wanted, *self.found)
        return min(span.start for span in spans), max(span.end for span in spans)

    @property
    def mended(self) -> Counts:
        """What is added to the counts where it is put right."""
        return Counts(len(self.wanted), -len(self.found), -len(self.wanted))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the spans as in a document."""
        out = _json(self)
        return {**out, "others": [span.to_json() for span in self.others]} if self.others else out


def find_mistakes(gold: Document, predicted: Document) -> list[Mistake]:
    """The mistakes of one document in the order of the text, each wrong span in exactly one of them.

    Spans that agree are taken out first, then those that were merged or split. Then those are paired that share most
    characters; between equals those of one label go first, then those that stand first. So spans with the same ends always
    meet: they share all.
    """
    right = {span.key for span in gold.spans} & {span.key for span in predicted.spans}
    wanted = [span for span in gold.spans if span.key not in right]
    found = [span for span in predicted.spans if span.key not in right]
    pairs = [(wanted[i], found[j]) for i, j in overlapping([s.key for s in wanted], [s.key for s in found])]
    mistakes = list(_many_to_one(gold.id, pairs))
    taken = {id(span) for m in mistakes for span in (*m.wanted, *m.found)}  # two documents may use one id
    for one, other in sorted(pairs, key=_closeness):
        if taken.isdisjoint((id(one), id(other))):
            taken |= {id(one), id(other)}
            mistakes.append(Mistake(gold.id, _kind_of(one, other), one, other))
    mistakes += [Mistake(gold.id, "missed", span, None) for span in wanted if id(span) not in taken]
    mistakes += [Mistake(gold.id, "invented", None, span) for span in found if id(span) not in taken]
    return sorted(mistakes, key=lambda m: m.place[0])


def _many_to_one(name: str, pairs: Sequence[tuple[Span, Span]]) -> Iterator[Mistake]:
    """What was merged, and what was split: no span can be both in one and in the other."""
    merged, split = defaultdict(list), defaultdict(list)
    for one, other in pairs:
        if one.label == other.label:
            if _within(one, other):
                merged[other.key].append((one, other))
            if _within(other, one):
                split[one.key].append((one, other))
    for many in merged.values():
        if len(many) > 1:
            (first, whole), *rest = many
            yield Mistake(name, "merged", first, whole, tuple(one for one, _ in rest))
    for many in split.values():
        if len(many) > 1:
            (whole, first), *rest = many
            yield Mistake(name, "split", whole, first, tuple(other for _, other in rest))


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _kind_of(gold: Span, predicted: Span) -> Kind:
    if gold.label != predicted.label:
        return "wrong label"
    if _within(predicted, gold):
        return "boundary short"
    return "boundary long" if _within(gold, predicted) else "boundary shifted"


def _closeness(pair: tuple[Span, Span]) -> tuple[int, bool, int]:
    """Sorts the pairs that belong together most to the front."""
    one, other = pair
    shared = min(one.end, other.end) - max(one.start, other.start)
    return -shared, one.label != other.label, min(one.start, other.start)


# ------------------------------------------------------------------------------------------ links


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

    `wrong role`: both ends agree. `wrong head`: only the tail does, whatever the role. Of the VALUE_KINDS the link is right, and
    its fact's amount is read as another value.
    """

    document: str
    kind: LinkKind
    gold: Arrow | None
    predicted: Arrow | None

    @property
    def mended(self) -> Counts:
        """What is added to the counts, of links or of facts, where it is put right."""
        wanted, found = int(self.gold is not None), int(self.predicted is not None)
        return Counts(wanted, -found, -wanted)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return _json(self)


def _json(mistake: Mistake | LinkMistake) -> dict[str, Any]:
    return {
        "document": mistake.document,
        "kind": mistake.kind,
        "gold": mistake.gold.to_json() if mistake.gold else None,
        "predicted": mistake.predicted.to_json() if mistake.predicted else None,
    }


def find_link_mistakes(gold: Document, predicted: Document) -> list[LinkMistake]:
    """The mistakes in the links of one document in the order of the text, each wrong link in at most one of them.

    A link of which a span is wrong is left out: the span's mistake explains it.
    """
    wanted, found = arrows_of(gold), arrows_of(predicted)
    values, others = fact_values(gold), fact_values(predicted)
    mistakes = [
        LinkMistake(gold.id, _value_kind(values[key], others[key]), wanted[key], found[key])
        for key in wanted.keys() & found.keys() & values.keys() & others.keys()
        if not same_value(values[key], others[key])
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


def _value_kind(gold: Value, predicted: Value) -> LinkKind:
    if not isinstance(gold, Amount) or not isinstance(predicted, Amount):
        return "unread"
    if gold.unit != predicted.unit:
        return "wrong unit"
    return "wrong approximation" if same_numbers(gold, predicted) else "wrong magnitude"


def arrows_of(document: Document) -> dict[LinkKey, Arrow]:
    """A document's links, each by what makes it the same as another's."""
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
