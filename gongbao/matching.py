"""Other ways to count a span, a link or a fact as right, and the best one-to-one matching that each is counted on.

    strict      start, end and label agree
    boundary    start and end agree, whatever the label
    label       the two share a character and their labels agree
    partial     half a point where the two share a character, a whole one where start and end agree, whatever the label

Each gold span is matched with at most one predicted span and the other way round, and of all such matchings the one
that scores most is taken, so that the order of the spans does not matter. `boundary`, `label` and `partial` are the modes exact,
type and partial of SemEval 2013 task 9.1, which nervaluate counts too, but by taking the first partner that offers itself.

Both sides are flat, so the pairs that share characters form a staircase, along which the best matching is found in one pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gongbao.counts import Row, fact_values, harmonic_mean, link_keys, same_value
from gongbao.schema import Document, SpanKey

Worth: TypeAlias = Callable[[SpanKey, SpanKey], float]

SPAN_SCHEMES: Final[Mapping[str, Worth]] = {
    "strict": lambda one, other: float(one == other),
    "boundary": lambda one, other: float(one[:2] == other[:2]),
    "label": lambda one, other: float(one[2] == other[2]),
    "partial": lambda one, other: 1.0 if one[:2] == other[:2] else 0.5,
}
"""What a gold and a predicted span that share characters are worth to each other."""
LINK_SCHEMES: Final = ("strict", "ends")
"""`ends`: both spans of the link are right, whatever the role."""
FACT_SCHEMES: Final = ("value", "link")
"""`value`: metric, amount and role are right and the amount is read as the same value; `link`: whatever it is read as."""


@dataclass(frozen=True, slots=True)
class Credit:
    """How many there are, and the points that they got. Points of one label may differ on the two sides, as it may be
    matched with another; over all labels they are the same. A rate of nothing is 0.0.
    """

    gold: int = 0
    predicted: int = 0
    found: float = 0.0
    right: float = 0.0

    def __add__(self, other: Credit) -> Credit:
        return Credit(
            self.gold + other.gold,
            self.predicted + other.predicted,
            self.found + other.found,
            self.right + other.right,
        )

    @property
    def precision(self) -> float:
        """Points of the predicted, each."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Points of the gold, each."""
        return self.found / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return harmonic_mean(self.precision, self.recall)

    @property
    def row(self) -> Row:
        """As the bootstrap takes it."""
        return self.gold, self.predicted, self.found, self.right

    def to_json(self) -> dict[str, Any]:
        """The counts, the points and the rates."""
        return {
            "gold": self.gold, "predicted": self.predicted, "found": self.found, "right": self.right,
            "precision": self.precision, "recall": self.recall, "f1": self.f1,
        }  # fmt: skip


def overlapping(gold: Sequence[SpanKey], predicted: Sequence[SpanKey]) -> list[tuple[int, int]]:
    """All pairs that share a character, as places in the two; both are flat and in order, so one sweep finds them."""
    pairs = []
    i = j = 0
    while i < len(gold) and j < len(predicted):
        one, other = gold[i], predicted[j]
        if one[0] < other[1] and other[0] < one[1]:
            pairs.append((i, j))
        if one[1] <= other[1]:
            i += 1
        else:
            j += 1
    return pairs


def best_matching(
    gold: Sequence[SpanKey], predicted: Sequence[SpanKey], worth: Worth
) -> list[tuple[int, int, float]]:
    """The one-to-one matching that is worth most, as (gold, predicted, worth) by places; both are flat and in order.

    Of matchings that are worth the same the one with most equal labels is taken, then the one that shares most characters.
    """
    pairs = [
        (i, j, w) for i, j in overlapping(gold, predicted) if (w := worth(gold[i], predicted[j]))
    ]  # in the order of the text on both sides
    # best[k]: the most that the first k pairs are worth together. Those that share a span stand side by side, so what
    # may be taken beside pair k is all in front of the first pair with either of its spans.
    best: list[tuple[float, int, int]] = [(0.0, 0, 0)]
    before: list[int] = []
    first_of_gold: dict[int, int] = {}
    first_of_predicted: dict[int, int] = {}
    for k, (i, j, w) in enumerate(pairs):
        free = min(first_of_gold.setdefault(i, k), first_of_predicted.setdefault(j, k))
        one, other = gold[i], predicted[j]
        shared = min(one[1], other[1]) - max(one[0], other[0])
        points, labels, characters = best[free]
        taken = points + w, labels + (one[2] == other[2]), characters + shared
        before.append(free if taken > best[k] else -1)
        best.append(max(best[k], taken))
    chosen = []
    k = len(pairs)
    while k:
        if before[k - 1] < 0:
            k -= 1
        else:
            chosen.append(pairs[k - 1])
            k = before[k - 1]
    return chosen[::-1]


def credit_spans(gold: Document, predicted: Document) -> dict[str, dict[str, Credit]]:
    """By scheme and label, what one document's spans are credited with."""
    ours, theirs = ([span.key for span in document.spans] for document in (gold, predicted))
    out = {}
    for scheme, worth in SPAN_SCHEMES.items():
        matched = best_matching(ours, theirs, worth)
        out[scheme] = _credited(
            [key[2] for key in ours],
            [key[2] for key in theirs],
            [(ours[i][2], theirs[j][2], w) for i, j, w in matched],
        )
    return out


def credit_links(gold: Document, predicted: Document) -> dict[str, dict[str, Credit]]:
    """By scheme and role, what one document's links are credited with."""
    ours, theirs = dict.fromkeys(link_keys(gold)), dict.fromkeys(link_keys(predicted))
    same = [(key[2], key[2], 1.0) for key in ours if key in theirs]
    waiting = defaultdict(list)
    for head, tail, role in theirs:
        if (head, tail, role) not in ours:
            waiting[head, tail].append(role)
    other = [
        (role, waiting[head, tail].pop(0), 1.0)
        for head, tail, role in ours
        if (head, tail, role) not in theirs and waiting[head, tail]
    ]
    roles = [key[2] for key in ours], [key[2] for key in theirs]
    return {"strict": _credited(*roles, same), "ends": _credited(*roles, [*same, *other])}


def credit_facts(gold: Document, predicted: Document) -> dict[str, dict[str, Credit]]:
    """By scheme and role, what one document's facts are credited with."""
    ours, theirs = fact_values(gold), fact_values(predicted)
    linked = [key for key in ours if key in theirs]
    valued = [key for key in linked if same_value(ours[key], theirs[key])]
    roles = [key[2] for key in ours], [key[2] for key in theirs]
    value, link = (_credited(*roles, [(key[2], key[2], 1.0) for key in keys]) for keys in (valued, linked))
    return {"value": value, "link": link}


def _credited(
    gold: Iterable[str], predicted: Iterable[str], matched: Iterable[tuple[str, str, float]]
) -> dict[str, Credit]:
    """By name, from the names of both sides and of the pairs with their points."""
    out: defaultdict[str, Credit] = defaultdict(Credit)
    for name in gold:
        out[name] += Credit(gold=1)
    for name in predicted:
        out[name] += Credit(predicted=1)
    for one, other, points in matched:
        out[one] += Credit(found=points)
        out[other] += Credit(right=points)
    return dict(sorted(out.items()))


def confusion(gold: Document, predicted: Document) -> list[tuple[str | None, str | None]]:
    """The labels of matched spans (as `partial` matches them), and of those that have no partner with None beside."""
    ours, theirs = ([span.key for span in document.spans] for document in (gold, predicted))
    matched = best_matching(ours, theirs, SPAN_SCHEMES["partial"])
    left, right = {i for i, _, _ in matched}, {j for _, j, _ in matched}
    pairs: list[tuple[str | None, str | None]] = [(ours[i][2], theirs[j][2]) for i, j, _ in matched]
    pairs += [(key[2], None) for i, key in enumerate(ours) if i not in left]
    pairs += [(None, key[2]) for j, key in enumerate(theirs) if j not in right]
    return pairs
