"""Each scheme on literal spans, against every possible matching, and against nervaluate where that is right."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nervaluate import Evaluator
from scipy.optimize import linear_sum_assignment

from gongbao.matching import (
    SPAN_SCHEMES,
    Credit,
    best_matching,
    confusion,
    credit_facts,
    credit_links,
    credit_spans,
)
from gongbao.schema import Amount, Document, Fact, Link, Span

LABELS = ("AMOUNT", "METRIC", "TIME")
# Our scheme, and what nervaluate calls it.
THEIRS = {"strict": "strict", "boundary": "exact", "label": "ent_type", "partial": "partial"}


def document(spans, name="d"):
    text = "字" * max((end for _, end, _ in spans), default=1)
    made = [Span(s, e, label, text[s:e], id=f"s{n}") for n, (s, e, label) in enumerate(sorted(spans))]
    return Document(name, text, spans=tuple(made))


def credit(gold, predicted):
    """By scheme, over all labels."""
    by_label = credit_spans(document(gold), document(predicted))
    return {scheme: sum(labels.values(), Credit()) for scheme, labels in by_label.items()}


def points(gold, predicted):
    return {scheme: found.right for scheme, found in credit(gold, predicted).items()}


A, M, T = LABELS
CASES = [
    ([], [], (0, 0, 0, 0)),
    ([(0, 2, M)], [], (0, 0, 0, 0)),
    ([(0, 2, M)], [(2, 4, M)], (0, 0, 0, 0)),
    ([(0, 2, M)], [(0, 2, M)], (1, 1, 1, 1)),
    ([(0, 2, M)], [(0, 2, A)], (0, 1, 0, 1)),
    ([(0, 2, M)], [(0, 3, M)], (0, 0, 1, 0.5)),
    ([(0, 2, M)], [(1, 3, A)], (0, 0, 0, 0.5)),
    # One predicted span serves one gold span.
    ([(0, 2, M), (2, 4, M)], [(0, 4, M)], (0, 0, 1, 0.5)),
    ([(0, 4, M)], [(0, 2, M), (2, 4, A)], (0, 0, 1, 0.5)),
    # The first takes the partner that the second cannot do without, unless the whole is looked at.
    ([(0, 3, M), (3, 5, M)], [(2, 6, M), (7, 8, M)], (0, 0, 1, 0.5)),
    ([(0, 3, M), (3, 8, M)], [(2, 7, M), (7, 9, M)], (0, 0, 2, 1)),
]


@pytest.mark.parametrize(("gold", "predicted", "expected"), CASES)
def test_what_a_span_is_worth(gold, predicted, expected):
    assert tuple(points(gold, predicted).values()) == expected


def test_labels_are_credited_on_their_own_sides():
    by_label = credit_spans(document([(0, 2, M), (3, 4, A)]), document([(0, 2, T), (3, 5, A)]))
    assert by_label["boundary"] == {A: Credit(1, 1), M: Credit(1, 0, 1.0), T: Credit(0, 1, 0.0, 1.0)}
    assert by_label["partial"][A] == Credit(1, 1, 0.5, 0.5)
    assert by_label["strict"] == {A: Credit(1, 1), M: Credit(1), T: Credit(0, 1)}


def test_rates_of_credit():
    made = Credit(4, 2, 1.0, 1.5)
    assert (made.precision, made.recall, made.f1) == (0.75, 0.25, 0.375)
    assert Credit().f1 == Credit(1, 0, 1.0).precision == 0.0
    assert made.to_json()["found"] == 1.0


def flat(draw_cuts, labels):
    return [
        (start, end, label)
        for (start, end), label in zip(itertools.pairwise(draw_cuts), labels, strict=False)
        if label
    ]


spans = st.builds(
    flat,
    st.sets(st.integers(0, 24), min_size=2, max_size=12).map(sorted),
    st.lists(st.sampled_from([*LABELS, None]), min_size=12, max_size=12),
)


def best_by_assignment(gold, predicted, worth):
    """The Hungarian method, on all pairs."""
    table = np.array(
        [
            [worth(one, other) if one[0] < other[1] and other[0] < one[1] else 0.0 for other in predicted]
            for one in gold
        ]
    ).reshape(len(gold), len(predicted))
    return table[linear_sum_assignment(table, maximize=True)].sum()


@given(spans, spans)
def test_no_matching_is_worth_more(gold, predicted):
    for scheme, worth in SPAN_SCHEMES.items():
        found = best_matching(gold, predicted, worth)
        assert len({i for i, _, _ in found}) == len({j for _, j, _ in found}) == len(found)
        for i, j, value in found:
            assert value == worth(gold[i], predicted[j]) > 0
            assert gold[i][0] < predicted[j][1]
            assert predicted[j][0] < gold[i][1]
        assert sum(value for _, _, value in found) == best_by_assignment(gold, predicted, worth), scheme


@given(spans, spans)
def test_the_schemes_are_ordered_and_both_sides_agree(gold, predicted):
    by_scheme = credit(gold, predicted)
    for found in by_scheme.values():
        assert found.found == found.right
        assert (found.gold, found.predicted) == (len(gold), len(predicted))
    strict, boundary, label, partial = (found.right for found in by_scheme.values())
    assert strict <= min(boundary, label)
    assert boundary <= partial
    # Turned around, gold and predicted change places and nothing else does.
    assert points(predicted, gold) == points(gold, predicted)


def test_one_long_span_over_thousands():
    many = [(n, n + 1, M) for n in range(20_000)]
    found = best_matching([(0, 20_000, M)], many, SPAN_SCHEMES["label"])
    assert [(i, value) for i, _, value in found] == [(0, 1.0)]


# ------------------------------------------------------------------------------------- nervaluate


def nervaluate(gold, predicted, labels=LABELS):
    """Its points by our names of the schemes; its ends are inclusive."""
    given = (
        [[{"label": label, "start": start, "end": end - 1} for start, end, label in side]]
        for side in (gold, predicted)
    )
    overall = Evaluator(*given, tags=list(labels), loader="dict").evaluate()["overall"]
    found = {ours: overall[theirs] for ours, theirs in THEIRS.items()}
    for result in found.values():
        assert (result.possible, result.actual) == (len(gold), len(predicted))
    return {ours: result.correct + 0.5 * result.partial for ours, result in found.items()}


def random_spans(random):
    cuts = sorted(random.choice(21, size=int(random.integers(2, 9)), replace=False).tolist())
    return [(a, b, LABELS[random.integers(3)]) for a, b in itertools.pairwise(cuts) if random.random() < 0.8]


def contested(gold, predicted):
    """Whether any span shares characters with two of the other side: only then does it matter who is matched first."""
    pairs = [(g, p) for g in gold for p in predicted if g[0] < p[1] and p[0] < g[1]]
    return any(n > 1 for side in (0, 1) for n in Counter(pair[side] for pair in pairs).values())


def test_thousands_of_cases_score_as_in_nervaluate_or_better():
    """Strict, boundary-only and partial always agree, given in the order of the text. Label-only agrees wherever there is no choice
    whom to match, and ours is never below.
    """
    random = np.random.default_rng(5)
    free = above = 0
    for _ in range(4000):
        gold = random_spans(random)
        predicted = random_spans(random)
        if random.random() < 0.5:  # near misses, as models make them
            predicted = [
                (start, min(end + int(random.integers(2)), after), label)
                for (start, end, label), after in zip(gold, [*(s for s, _, _ in gold[1:]), 99], strict=False)
            ]
        ours, theirs = points(gold, predicted), nervaluate(gold, predicted)
        assert ours["label"] >= theirs["label"]
        if not contested(gold, predicted):
            free += 1
            assert ours == theirs
        above += ours["label"] > theirs["label"]
        assert {**ours, "label": 0} == {**theirs, "label": 0}
    assert free > 1500
    assert 50 < above < 1000


WRONG_IN_NERVALUATE = [
    # The first predicted span of another label uses the gold span up; the second, of the right label, finds it taken.
    ("label", [(0, 4, M)], [(0, 2, A), (2, 4, M)], 0, 1),
    # The first takes the nearer of two, the second has no other.
    ("label", [(0, 3, M), (3, 8, M)], [(2, 7, M), (7, 9, M)], 1, 2),
]


@pytest.mark.parametrize(("scheme", "gold", "predicted", "theirs", "ours"), WRONG_IN_NERVALUATE)
def test_where_nervaluate_is_wrong(scheme, gold, predicted, theirs, ours):
    assert nervaluate(gold, predicted)[scheme] == theirs
    assert points(gold, predicted)[scheme] == ours


def test_nervaluates_figures_depend_on_the_order_of_the_spans():
    gold, predicted = [(0, 4, M)], [(0, 2, A), (2, 4, M)]
    assert [nervaluate(gold, those)["label"] for those in (predicted, predicted[::-1])] == [0, 1]
    gold, predicted = [(0, 3, M), (3, 8, M)], [(0, 2, M), (2, 7, M)]
    assert [nervaluate(gold, those)["partial"] for those in (predicted, predicted[::-1])] == [1, 0.5]


def test_nervaluate_overlooks_a_character_of_a_long_span():
    """It asks for one part in a hundred of the gold span: of 200 characters two."""
    gold, predicted = [(0, 200, M)], [(199, 205, M)]
    assert (nervaluate(gold, predicted)["label"], points(gold, predicted)["label"]) == (0, 1)


# -------------------------------------------------------------------------------- links and facts


def linked(*links, value=None):
    """Four spans m n (metrics) and a b (amounts), with links `m a VALUE` and their facts."""
    amount = Amount("money", value, value, "CNY") if value is not None else None
    made = [
        Span(n, n + 1, label, "字", id=name, value=amount)
        for n, (name, label) in enumerate({"m": M, "a": A, "n": M, "b": A}.items())
    ]
    ends = [link.split() for link in links]
    return Document(
        "d", "字" * 4, spans=tuple(made), links=tuple(Link(*e) for e in ends), facts=tuple(Fact(*e) for e in ends)
    )  # fmt: skip


def test_links_with_and_without_their_roles():
    found = credit_links(linked("m a VALUE", "n b VALUE"), linked("m a CHANGE", "n b VALUE", "n a VALUE"))
    assert found["strict"] == {"CHANGE": Credit(0, 1), "VALUE": Credit(2, 2, 1.0, 1.0)}
    assert found["ends"] == {"CHANGE": Credit(0, 1, 0.0, 1.0), "VALUE": Credit(2, 2, 2.0, 1.0)}


def test_two_roles_between_the_same_spans():
    # The right role is not given away for the other.
    found = credit_links(linked("m a VALUE", "m a CHANGE"), linked("m a CHANGE"))
    assert found["ends"] == {"CHANGE": Credit(1, 1, 1.0, 1.0), "VALUE": Credit(1, 0)}
    found = credit_links(linked("m a VALUE"), linked("m a CHANGE", "m a RATE"))
    assert sum(found["ends"].values(), Credit()) == Credit(1, 2, 1.0, 1.0)


def test_facts_with_and_without_their_values():
    found = credit_facts(linked("m a VALUE", value=1), linked("m a VALUE", "n b VALUE", value=2))
    assert found["value"] == {"VALUE": Credit(1, 2)}
    assert found["link"] == {"VALUE": Credit(1, 2, 1.0, 1.0)}


def test_confusion_counts_every_span_once():
    gold, predicted = document([(0, 2, M), (3, 4, A), (6, 7, T)]), document([(1, 2, A), (3, 5, A), (8, 9, T)])
    assert sorted(confusion(gold, predicted), key=str) == sorted(
        [(M, A), (A, A), (T, None), (None, T)], key=str
    )
    # Of two partners that share as much the one with the same label is taken.
    assert set(confusion(document([(0, 2, M)]), document([(0, 1, A), (1, 2, M)]))) == {(M, M), (None, A)}
