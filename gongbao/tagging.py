"""Spans as tags, one a character, and the best tags of a model's output.

The tags are BIOES: `O` outside, and for each label B-X I-X E-X around a span of several characters, S-X on
a span of one. A sequence is legal when it says exactly one set of spans. Decoding never leaves the legal
sequences, and the score of a span is its exact probability among them:

    P(span) = (weight of all legal sequences that hold the span) / (weight of all legal sequences)

where the weight of a sequence is the product of its characters' probabilities, as in a linear-chain CRF whose
transitions are 1 or 0. The recursions are forward-backward and Viterbi (Rabiner 1989) over few states:
between two characters one is either outside all spans or inside a span of one label. A tag is then a move:

    O S   outside → outside        B   outside → inside        I   inside → inside        E   inside → outside
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gongbao.schema import DataError, SpanKey

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

FLOOR: Final = -1e6
"""Log probabilities below this, -inf among them, count as this: a sequence always has a legal reading, and an
impossible tag stands in it only where every legal sequence has one."""

LONG: Final = 4096
"""A longer sequence is read alone, in pieces of BLOCK characters side by side: its length alone decides."""

BLOCK: Final = 256

BATCH: Final = 1 << 17
"""Characters read side by side, padding included: at most about 1 kB of memory each."""


# ------------------------------------------------------------------------------------------- tags


@dataclass(frozen=True)
class TagSet:
    """The tags of some labels: `O`, then `B-X I-X E-X S-X` for each label in order; a tag's id is its place.

    Raises:
        DataError: no labels, an empty label, a label named twice.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.labels or not all(self.labels):
            raise DataError(f"tags need labels, each of them with a name; these are {self.labels!r}")
        if len(set(self.labels)) < len(self.labels):
            raise DataError(f"a label occurs twice in {', '.join(self.labels)}")

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags in the order of their ids."""
        return ("O", *(f"{kind}-{label}" for label in self.labels for kind in "BIES"))

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each tag."""
        return {tag: n for n, tag in enumerate(self.tags)}

    @cached_property
    def transitions(self) -> NDArray[np.bool_]:
        """(tags, tags): whether the column's tag may follow the row's."""
        return _frozen(self._to[:, None] == self._from[None, :])

    @cached_property
    def start(self) -> NDArray[np.bool_]:
        """(tags,): whether a sequence may begin with the tag."""
        return _frozen(self._from == 0)

    @cached_property
    def end(self) -> NDArray[np.bool_]:
        """(tags,): whether a sequence may end with the tag."""
        return _frozen(self._to == 0)

    @cached_property
    def _from(self) -> Ints:
        """(tags,): the state before each tag: 0 outside, 1 and up inside the label of that number."""
        inside = ((0, n, n, 0) for n in range(1, len(self.labels) + 1))
        return np.array([0, *(state for four in inside for state in four)], dtype=np.int64)

    @cached_property
    def _to(self) -> Ints:
        """(tags,): the state behind each tag."""
        inside = ((n, n, 0, 0) for n in range(1, len(self.labels) + 1))
        return np.array([0, *(state for four in inside for state in four)], dtype=np.int64)

    def encode(self, spans: Iterable[SpanKey], length: int) -> Ints:
        """(length,): the tag ids of a text of `length` characters with these (start, end, label).

        Raises:
            DataError: a span that is empty, outside the text, of an unknown label, or overlaps another.
        """
        out = np.zeros(length, dtype=np.int64)
        for start, end, label in spans:
            if not 0 <= start < end <= length:
                raise DataError(
                    f"the {label} span {start}-{end} does not lie in a text of {length} characters"
                )
            if label not in self.labels:
                raise DataError(
                    f"the label {label!r} has no tags", remedy=f"there are {', '.join(self.labels)}"
                )
            if out[start:end].any():
                raise DataError(
                    f"the {label} span {start}-{end} overlaps another; tags can only say flat spans"
                )
            first = self.ids[f"B-{label}"]
            if end - start == 1:
                out[start] = first + 3
            else:
                out[start], out[start + 1 : end - 1], out[end - 1] = first, first + 1, first + 2
        return out

    def decode(self, tag_ids: ArrayLike) -> list[SpanKey]:
        """The (start, end, label) of a legal sequence of tag ids, in order: the inverse of `encode`.

        For a sequence that may be illegal, `spans_of_tags` defines what it says.

        Raises:
            DataError: an id that is none, or a tag that may not stand where it does; both with their place.
        """
        ids = np.asarray(tag_ids, dtype=np.int64).reshape(-1)
        strange = np.flatnonzero((ids < 0) | (ids >= len(self.tags)))
        if len(strange):
            at = int(strange[0])
            raise DataError(
                f"{ids[at]} at character {at} is no tag id; they go from 0 to {len(self.tags) - 1}"
            )
        states = np.concatenate([[0], self._to[ids]])
        wrong = np.flatnonzero(states[:-1] != self._from[ids])
        if len(wrong):
            at = int(wrong[0])
            before = f"follow {self.tags[ids[at - 1]]}" if at else "begin a sequence"
            raise DataError(f"{self.tags[ids[at]]} at character {at} cannot {before}")
        if states[-1] != 0:
            raise DataError(f"the sequence ends with {self.tags[ids[-1]]}, inside a span")
        return self._spans(ids)

    def _spans(self, ids: Ints) -> list[SpanKey]:
        """`decode` for ids known to be legal: the n-th B or S opens what the n-th E or S closes."""
        spoken = np.flatnonzero(ids)
        kinds = (ids[spoken] - 1) % 4
        starts = spoken[(kinds == 0) | (kinds == 3)]
        ends = spoken[kinds >= 2] + 1
        labels = (ids[starts] - 1) // 4
        return [
            (start, end, self.labels[n])
            for start, end, n in zip(starts.tolist(), ends.tolist(), labels.tolist(), strict=True)
        ]


def spans_of_tags(tags: Iterable[str]) -> list[SpanKey]:
    """The (start, end, label) that a sequence of written tags says, legal or not.

    A span is `S-X`, or `B-X I-X … E-X` unbroken and of one label; every other tag says nothing. That is how
    seqeval reads IOBES in its strict mode, so that scores can be compared with published ones.

    Raises:
        DataError: a tag that is neither `O` nor one of B I E S with a label.
    """
    spans: list[SpanKey] = []
    begun, begun_label = 0, ""
    for n, tag in enumerate(tags):
        kind, _, label = tag.partition("-")
        if tag != "O" and not (kind in ("B", "I", "E", "S") and label):
            raise DataError(f"{tag!r} at character {n} is no tag", remedy="write O, B-X, I-X, E-X or S-X")
        if kind == "B":
            begun, begun_label = n, label
        elif kind == "S":
            spans.append((n, n + 1, label))
            begun_label = ""
        elif kind == "E" and label == begun_label:
            spans.append((begun, n + 1, label))
            begun_label = ""
        elif label != begun_label:
            begun_label = ""
    return spans


def _frozen(array: NDArray[np.bool_]) -> NDArray[np.bool_]:
    array.flags.writeable = False
    return array


# --------------------------------------------------------------------------------------- decoding


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A span that was read, and its probability among all legal readings, from 0 to 1."""

    start: int
    end: int
    label: str
    score: float


def viterbi(log_probs: NDArray[Any], tagset: TagSet) -> Ints:
    """(n,): the tag ids of the legal sequence with the largest sum of log probabilities.

    Of several with the same sum it is the one that has the lower id where they first differ.

    Args:
        log_probs: (n, tags), natural logarithms, any float type. They need not be normalised.
        tagset: whose tags the columns are.

    Raises:
        DataError: another shape; NaN or +inf, with its place.
    """
    _check(log_probs, tagset, None)
    return np.concatenate(
        [_NOTHING, *(tags for run in _runs([log_probs]) for tags in _best_tags(run, tagset))]
    )


def decode_spans(log_probs: NDArray[Any], tagset: TagSet) -> list[ScoredSpan]:
    """The spans of the Viterbi sequence, in order, each with its exact probability. Arguments as for `viterbi`."""
    return decode_spans_many([log_probs], tagset)[0]


def decode_spans_many(log_probs: Sequence[NDArray[Any]], tagset: TagSet) -> list[list[ScoredSpan]]:
    """`decode_spans` of many sequences side by side, which is much faster than one by one.

    What is read together changes no bit of the result.

    Raises:
        DataError: as `viterbi`, naming the sequence (counted from 0).
    """
    for n, array in enumerate(log_probs):
        _check(array, tagset, n)
    found: list[list[ScoredSpan]] = [[] for _ in log_probs]
    for run in _runs(log_probs):
        best = list(_best_tags(run, tagset))
        whole = [np.concatenate(best)] if run.chained else best
        for (n, score), tags in zip(_scores(run, best, tagset), whole, strict=True):
            found[n] = [ScoredSpan(*key, score(key)) for key in tagset._spans(tags)]
    return found


def span_probabilities(
    log_probs: Sequence[NDArray[Any]], spans: Sequence[Sequence[SpanKey]], tagset: TagSet
) -> list[list[float]]:
    """The exact probability of each of the given spans among all legal readings, from 0 to 1.

    Args:
        log_probs: as for `decode_spans_many`.
        spans: for each sequence flat spans in order, e.g. those of an annotation.

    Raises:
        DataError: as `viterbi`; spans that overlap or leave their sequence.
    """
    for n, array in enumerate(log_probs):
        _check(array, tagset, n)
    tags = [tagset.encode(own, len(array)) for own, array in zip(spans, log_probs, strict=True)]
    found: list[list[float]] = [[] for _ in log_probs]
    for run in _runs(log_probs):
        if run.chained:
            whole = tags[run.sequences[0]]
            given = [whole[at : at + BLOCK] for at in range(0, len(whole), BLOCK)]
        else:
            given = [tags[n] for n in run.sequences]
        for n, score in _scores(run, given, tagset):
            found[n] = [score(key) for key in spans[n]]
    return found


def _scores(
    run: _Run, tags: Sequence[Ints], tagset: TagSet
) -> Iterator[tuple[int, Callable[[SpanKey], float]]]:
    """For each sequence of the run its number, and what gives the probability of a span that its tags hold."""
    parts = list(_probabilities(run, tags, tagset))
    if run.chained:
        parts = [(np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))]
    for n, (outside, moves) in zip(run.sequences, parts, strict=True):

        def score(key: SpanKey, outside: Floats = outside, moves: Floats = moves) -> float:
            start, end, _ = key
            return float(min(1.0, outside[start] * math.prod(moves[start:end].tolist())))

        yield n, score


_NOTHING: Final = np.zeros(0, dtype=np.int64)


def _check(log_probs: NDArray[Any], tagset: TagSet, number: int | None) -> None:
    record = None if number is None else f"sequence {number}"
    if log_probs.ndim != 2 or log_probs.shape[1] != len(tagset.tags):
        raise DataError(
            f"log probabilities of shape {log_probs.shape}, not (characters, {len(tagset.tags)})",
            record=record,
        )
    bad = np.isnan(log_probs) | (log_probs == np.inf)
    if bad.any():
        row, tag = (int(n) for n in np.argwhere(bad)[0])
        raise DataError(
            f"the log probability of {tagset.tags[tag]} at character {row} is {log_probs[row, tag]}",
            record=record,
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """What is read side by side: `groups` of pieces, each piece (n, tags).

    Not chained, it is one group, and each piece a whole sequence, `sequences` their numbers. Chained, the pieces of
    all groups one after the other are the one sequence.
    """

    groups: list[list[NDArray[Any]]]
    sequences: list[int]
    chained: bool


def _runs(log_probs: Sequence[NDArray[Any]]) -> Iterator[_Run]:
    """All sequences but the empty ones: the long ones alone, the others with those of about their length."""
    group: list[int] = []
    for n in sorted(range(len(log_probs)), key=lambda n: len(log_probs[n])):
        array = log_probs[n]
        if len(array) > LONG:
            pieces = [array[at : at + BLOCK] for at in range(0, len(array), BLOCK)]
            width = BATCH // BLOCK
            yield _Run([pieces[at : at + width] for at in range(0, len(pieces), width)], [n], True)
        elif len(array):
            if group and (len(group) + 1) * len(array) > BATCH:
                yield _Run([[log_probs[m] for m in group]], group, False)
                group = []
            group.append(n)
    if group:
        yield _Run([[log_probs[m] for m in group]], group, False)


def _best_tags(run: _Run, tagset: TagSet) -> Iterator[Ints]:
    """The Viterbi tags of each piece of the run."""
    state = 0
    for pieces, ends in zip(run.groups, _ends(run, np.maximum, tagset), strict=True):
        emissions = _emissions(pieces, tagset)
        values, _ = _backward(emissions, ends[:, None], np.maximum)
        tags, last = _follow(emissions, values, len(values[0]) if run.chained else 1, tagset)
        for n, piece in enumerate(pieces):
            state = state if run.chained else 0
            yield tags[: len(piece), state, n]
            state = int(last[state, n])


def _probabilities(run: _Run, given: Sequence[Ints], tagset: TagSet) -> Iterator[tuple[Floats, Floats]]:
    """For each piece, of each of its characters: P(outside all spans before it) and P(its given tag | state before it)."""
    states = len(tagset.labels) + 1
    starts = states if run.chained else 1
    remaining = iter(given)
    before = np.eye(starts)[0]
    for pieces, ends in zip(run.groups, _ends(run, np.logaddexp, tagset), strict=True):
        moves = _move_probabilities(_emissions(pieces, tagset), ends[:, None], tagset)
        outside, last = _forward(moves, starts, states)
        for n, piece in enumerate(pieces):
            before = before if run.chained else np.eye(starts)[0]
            tags = next(remaining)
            yield (outside[: len(piece), :, n] * before).sum(axis=1), moves[np.arange(len(piece)), tags, n]
            before = (last[:, :, n] * before).sum(axis=1)


# The recursions. Axes are, in this order: characters, tags or states, alternatives, pieces. `B = slice(1, None, 4)`
# takes the B tags of all labels, and so on.
_B, _I, _E, _S = (slice(n, None, 4) for n in (1, 2, 3, 4))


def _emissions(pieces: Sequence[NDArray[Any]], tagset: TagSet) -> Floats:
    """(longest, tags, pieces): the pieces filled up with certain O, which changes nothing before it."""
    out = np.full((max(map(len, pieces)), len(tagset.tags), len(pieces)), -np.inf)
    out[:, 0] = 0
    for n, piece in enumerate(pieces):
        out[: len(piece), :, n] = np.maximum(piece, FLOOR, dtype=np.float64)
    return out


def _ends(run: _Run, plus: np.ufunc, tagset: TagSet) -> list[Floats]:
    """For each group (states, pieces): the log weight of all that follows a piece, by the state at its end."""
    states = len(tagset.labels) + 1
    end = np.where(np.arange(states) == 0, 0.0, -np.inf)
    if not run.chained:
        return [np.repeat(end[:, None], len(pieces), axis=1) for pieces in run.groups]
    out: list[Floats] = []
    for pieces in reversed(run.groups):
        # What a piece weighs from each state to each, then the pieces joined from the right.
        units = np.where(np.eye(states, dtype=bool), 0.0, -np.inf)
        values, _ = _backward(
            _emissions(pieces, tagset), np.repeat(units[:, :, None], len(pieces), axis=2), plus
        )
        ends = np.empty((states, len(pieces)))
        for n in reversed(range(len(pieces))):
            ends[:, n] = end
            end = plus.reduce(values[0, :, :, n] + end, axis=1)
            end = end - end.max()
        out.append(ends)
    return out[::-1]


def _backward(emissions: Floats, end: Floats, plus: np.ufunc) -> tuple[Floats, Floats]:
    """The log weight of all that follows each place, by the state there (logaddexp), or of its best way (maximum).

    Args:
        emissions: (n, tags, pieces).
        end: (states, alternatives, pieces): the weights behind the last character.
        plus: what joins the weights of two ways.

    Returns:
        (n + 1, states, alternatives, pieces) with the largest of each place taken off, so that long sequences lose
        no digits, and (n, pieces): what was taken off.
    """
    each = emissions[:, :, None]
    stay = plus(each[:, 0], plus.reduce(each[:, _S], axis=1))
    values = np.empty((len(each) + 1, *end.shape))
    peaks = np.empty((len(each), end.shape[-1]))
    values[-1] = end
    for t in reversed(range(len(each))):
        outside, inside = values[t + 1, 0], values[t + 1, 1:]
        now = values[t]
        now[0] = plus(stay[t] + outside, plus.reduce(each[t, _B] + inside, axis=0))
        now[1:] = plus(each[t, _I] + inside, each[t, _E] + outside)
        peaks[t] = now.max(axis=(0, 1))
        now -= peaks[t]
    return values, peaks


def _moves(emissions: Floats, values: Floats, tagset: TagSet) -> Floats:
    """(n, tags, pieces): the log weight of each tag and all that follows it."""
    return emissions + values[1:, tagset._to, 0]


def _follow(emissions: Floats, values: Floats, starts: int, tagset: TagSet) -> tuple[Ints, Ints]:
    """The best tags from each of the first `starts` states on: (n, starts, pieces), and the states behind them."""
    moves = _moves(emissions, values, tagset)
    best = np.empty(values[1:, :, 0].shape, dtype=np.int64)
    # argmax takes the first of equals: the lowest tag.
    leaving = np.flatnonzero(tagset.start)
    best[:, 0] = leaving[moves[:, leaving].argmax(axis=1)]
    inside = np.arange(1, moves.shape[1], 4)[:, None]
    best[:, 1:] = inside + np.where(moves[:, _I] >= moves[:, _E], 1, 2)
    pieces = np.arange(moves.shape[2])
    state = np.repeat(np.arange(starts)[:, None], len(pieces), axis=1)
    tags = np.empty((len(moves), starts, len(pieces)), dtype=np.int64)
    for t in range(len(moves)):
        tags[t] = best[t, state, pieces]
        state = tagset._to[tags[t]]
    return tags, state


def _move_probabilities(emissions: Floats, end: Floats, tagset: TagSet) -> Floats:
    """(n, tags, pieces): the probability of each tag given the state before it and all characters."""
    values, peaks = _backward(emissions, end, np.logaddexp)
    whole = values[:-1, :, 0] + peaks[:, None]
    # In the filling no span can be open, and nothing follows from there: any finite weight will do.
    whole[np.isneginf(whole)] = 0
    moves = _moves(emissions, values, tagset)
    moves -= whole[:, tagset._from]
    out: Floats = np.exp(moves, out=moves)
    return out


def _forward(moves: Floats, starts: int, states: int) -> tuple[Floats, Floats]:
    """Where one is, having begun in each of the first `starts` states.

    The probabilities of the moves from a state add up to 1, so plain products neither overflow nor lose a digit:
    what underflows was below 1e-300.

    Returns:
        (n, starts, pieces): the probability of being outside before each character, and (states, starts, pieces)
        that of each state behind the last.
    """
    stay = moves[:, 0].copy()
    for n in range(4, moves.shape[1], 4):
        stay += moves[:, n]
    each = moves[:, :, None]
    now = np.repeat(np.eye(states)[:, :starts, None], moves.shape[2], axis=2)
    outside = np.empty((len(moves), starts, moves.shape[2]))
    for t in range(len(moves)):
        outside[t] = now[0]
        # Added one by one, because numpy's sum takes an order that depends on the shape.
        out = now[0] * stay[t]
        for part in now[1:] * each[t, _E]:
            out += part
        now[1:] *= each[t, _I]
        now[1:] += now[0] * each[t, _B]
        now[0] = out
    return outside, now
