"""Links by a log-linear model that learned from annotated links.

An amount has one owner in its sentence or none, so every amount is one choice: nothing, or one of the heads of the
sentence with a role. Each choice has features, each feature a weight, and

    P(choice) = exp(sum of its weights) / (the same over all choices of this amount)

(conditional logit, McFadden 1974; a mention-ranking model as in Denis & Baldridge 2008, with "nothing" among the candidates). What the rules of
`linking` would have is one of the features, so that the model knows what they know and learns where they fail. The
score of a link is its probability.

Features are words a person can read, such as `gap=,同比增长` or `tag=%`, and so is the file of weights (JSON). They are made from the spans
and the text alone: a linker fits any encoder and both back ends. The labels come from the scheme.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gongbao.files import replacing
from gongbao.linking import LinkLabels, RuleLinker
from gongbao.schema import DataError, Document, LabelScheme, Link, Span
from gongbao.sentences import sentences

FORMAT: Final = 1
NOTHING: Final = "none"

Features = Sequence[tuple[str, Sequence[str]]]
"""Pairs of a group of weights and the features that are looked up there."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An owner of an amount: a head and a role, or neither."""

    head: Span | None
    role: str
    features: Features


@dataclass(frozen=True, slots=True)
class Choices:
    """An amount with all its possible owners; the first is nothing."""

    tail: Span
    among: Sequence[Choice]


class LearnedLinker:
    """Links by the weights of a model.

    Args:
        scheme: its labels and roles.
        weights: by group, then by feature; what is not there is 0.
    """

    def __init__(self, scheme: LabelScheme, weights: Mapping[str, Mapping[str, float]]) -> None:
        self.weights = weights
        self._choices = _Chooser(scheme)

    def __call__(self, document: Document) -> Sequence[Link]:
        """The links of one document, at most one to an amount, each with its probability."""
        links = []
        for amount in self._choices(document):
            scores = np.array([self._score(choice) for choice in amount.among])
            best = int(scores.argmax())
            chosen = amount.among[best]
            if chosen.head is not None:
                probability = 1 / float(np.exp(scores - scores[best]).sum())
                links.append(Link(chosen.head.id, amount.tail.id, chosen.role, round(probability, 4)))
        return links

    def _score(self, choice: Choice) -> float:
        found = 0.0
        for group, features in choice.features:
            weights = self.weights.get(group)
            if weights:
                found += sum([weights[f] for f in features if f in weights])
        return found

    def save(self, path: Path) -> None:
        """Write the weights as JSON."""
        with replacing(path) as file:
            json.dump({"format": FORMAT, "weights": self.weights}, file, ensure_ascii=False, indent=0)

    @classmethod
    def load(cls, path: Path, scheme: LabelScheme) -> LearnedLinker:
        """Read what `save` wrote.

        Raises:
            DataError: the file is damaged or of a format that this version does not know.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise DataError(
                    f"format {data['format']} is not known here", file=path, remedy="update gongbao"
                )
            weights = {
                str(group): {str(name): float(weight) for name, weight in own.items()}
                for group, own in data["weights"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"the linker's weights are damaged: {type(error).__name__}: {error}",
                file=path,
                remedy="copy the model folder again, whole",
            ) from None
        return cls(scheme, weights)


class _Chooser:
    """The choices of a document's amounts with their features."""

    def __init__(self, scheme: LabelScheme) -> None:
        self._scheme = scheme
        self._labels = LinkLabels.of(scheme)
        self._rules = RuleLinker(scheme)

    def __call__(self, document: Document) -> Iterator[Choices]:
        spans = [s for s in document.spans if s.label in self._labels.heads or s.label in self._labels.tails]
        starts = [s.start for s in spans]
        by_rule = {link.tail: link for link in self._rules(document)} if spans else {}
        for start, end in sentences(document.text) if spans else ():
            items = spans[bisect_left(starts, start) : bisect_left(starts, end)]
            if len(items) > 1:
                view = _View(document.text, start, end, items, self._labels)
                for at, item in enumerate(items):
                    if item.label in self._labels.tails:
                        yield self._of(view, at, by_rule.get(item.id))

    def _of(self, view: _View, at: int, ruled: Link | None) -> Choices:
        tail = view.items[at]
        context = view.around(at)
        among = [Choice(None, "", ((NOTHING, [*context, f"rule={ruled is not None}"]),))]
        for n in view.near(at):
            head = view.items[n]
            roles = [
                r.name for r in self._scheme.roles if self._scheme.allows(head.label, tail.label, r.name)
            ]
            if not roles:
                continue
            pair = view.between(n, at)
            ours = ruled is not None and ruled.head == head.id
            rule = f"{ruled.role} {ruled.score}" if ours and ruled else ""
            for role in roles:
                among.append(
                    Choice(head, role, (
                        ("head", [*pair, f"rule={ours} {head.label}"]),
                        (role, [*pair, f"rule={rule}", f"rule={ours and ruled is not None and ruled.role == role}"]),
                        (f"{role} {head.label}", context),
                    ))
                )  # fmt: skip
        return Choices(tail, among)


REACH: Final = 12
"""How many heads on each side of an amount are thought of. A sentence of a flattened table can hold hundreds."""
_LEAD: Final = 12
_FOLLOW: Final = 8
_GAP: Final = 20

_DIGITS = re.compile(r"[\d０-９][\d０-９.,．，]*")
_CLAUSES = re.compile(r"[，,;；:：]")
_NUMERALS = re.compile(
    r"[\d.,，．０-９\s零〇一二三四五六七八九十百千万亿多余几近约超过逾不足以上左右下内—\-–~～至到两半数]+"
)


def _plain(text: str) -> str:
    """With every number as one 0."""
    return _DIGITS.sub("0", text)


class _View:
    """A sentence with its items, heads and tails in order."""

    def __init__(self, text: str, start: int, end: int, items: Sequence[Span], labels: LinkLabels) -> None:
        self.items = items
        self._text, self._start, self._end, self._labels = text, start, end, labels
        self._heads = [n for n, item in enumerate(items) if item.label in labels.heads]
        self._units = [_NUMERALS.sub("", i.text)[-3:] if i.label in labels.tails else "" for i in items]

    def near(self, at: int) -> list[int]:
        """The heads nearest to an item."""
        place = bisect_left(self._heads, at)
        return self._heads[max(0, place - REACH) : place + REACH]

    def around(self, at: int) -> list[str]:
        """Features of an amount alone."""
        item = self.items[at]
        before = self.items[at - 1] if at else None
        after = self.items[at + 1] if at + 1 < len(self.items) else None
        lead = _plain(
            self._text[max(self._start, item.start - _LEAD, before.end if before else 0) : item.start]
        )
        follow = _plain(
            self._text[item.end : min(self._end, item.end + _FOLLOW, after.start if after else self._end)]
        )
        return [
            "any", f"unit={self._units[at]}", f"tag={_plain(item.text)[-3:]}",
            f"before={before.label if before else ''}", f"after={after.label if after else ''}",
            f"heads={min(len(self._heads), 4)}",
            *(f"lead={lead[-n:]}" for n in (1, 2, 3, 4, 8) if len(lead) >= n), f"no lead={not lead}",
            *(f"says={lead[n : n + 2]}" for n in range(len(lead) - 1)),
            *(f"follow={follow[:n]}" for n in (1, 2, 3) if len(follow) >= n), f"no follow={not follow}",
        ]  # fmt: skip

    def between(self, n: int, at: int) -> list[str]:
        """Features of a head and an amount."""
        head, tail, unit = self.items[n], self.items[at], self._units[at]
        first, last = (n, at) if n < at else (at, n)
        side = f"{head.label} {'<' if n < at else '>'}"
        inner = range(first + 1, last)
        metrics = sum(self.items[k].label in self._labels.metrics for k in inner)
        heads = sum(self.items[k].label in self._labels.heads for k in inner) - metrics
        tails = len(inner) - metrics - heads
        same = sum(self._units[k] == unit for k in inner if self.items[k].label in self._labels.tails)
        gap = _plain(self._gap(first, last))
        clauses = len(_CLAUSES.findall(gap))
        depth = sum(gap.count(c) for c in "（(") - sum(gap.count(c) for c in "）)")
        behind = sum(
            self.items[k].label in self._labels.metrics for k in range(n + 1, min(len(self.items), n + 6))
        )
        found = [
            side, f"{side} {min(metrics, 4)} {min(heads, 3)} {min(tails, 4)}", f"{side} {min(tails, 4)} clauses={min(clauses, 4)}",
            f"{side} {min(metrics, 3)} {min(tails, 3)} unit={unit}", f"{side} far={int(math.log2(tail.start - head.end + 1 if n < at else head.start - tail.end + 1))}",
            f"{side} depth={max(-2, min(2, depth))}", f"{side} same={min(same, 3)} {min(metrics, 2)}",
            f"{side} turn={min(metrics, 4) - min(tails, 4)}", f"metrics behind={min(behind, 3)}",
            f"end={head.text[-1]} {unit}", f"end={head.text[-2:]}", f"end={head.text[-2:]} {unit}", f"end={head.text[-3:]}",
            f"lead={self._text[max(self._start, head.start - 2) : head.start]} {side[-1]}",
            f"gap={side[-1]} {gap if len(gap) <= 10 else 'long'}", f"gap begins={side[-1]} {gap[:4]}", f"gap ends={gap[-3:]} {min(tails, 2)}",
            f"{side} 分别={'分别' in gap} {min(metrics, 3)} {min(tails, 3)}", f"{side} 其中={'其中' in gap} {min(tails, 2)}",
        ]  # fmt: skip
        if n < at:
            found += [f"gap has={gap[k : k + 2]}" for k in range(min(len(gap) - 1, _GAP))]
        return found

    def _gap(self, first: int, last: int) -> str:
        """The text between two items, its ends; other items in it as the first letter of their label."""
        if last - first > 6:
            return ""
        out, place = [], self.items[first].end
        for item in self.items[first + 1 : last]:
            out += [self._text[place : item.start], item.label[:1]]
            place = item.end
        return "".join([*out, self._text[place : self.items[last].start]])


def choices(documents: Sequence[Document], scheme: LabelScheme) -> Iterator[tuple[Choices, int]]:
    """The choices of all amounts of annotated documents, each with the number of the right one.

    An amount whose annotated link leads to no choice (out of its sentence, or out of REACH) is left out.
    """
    chooser = _Chooser(scheme)
    for document in documents:
        gold = {link.tail: (link.head, link.role) for link in document.links}
        for found in chooser(document):
            wanted = gold.get(found.tail.id)
            keys = [(c.head.id, c.role) if c.head else None for c in found.among]
            if wanted in keys:
                yield found, keys.index(wanted)
