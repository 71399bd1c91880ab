"""Scores become probabilities: fitted on held-out spans, measured in bins of equal size."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.calibration import Calibration, Outcome, calibration_error, outcomes
from gongbao.inline import parse


def drawn(slope, offsets, count=4000, seed=0):
    """Spans whose score s is right with the probability that slope and offset make of it."""
    rng = np.random.default_rng(seed)
    labels = sorted(offsets)
    out = []
    for n in range(count):
        label, score = labels[n % len(labels)], float(rng.uniform(0.05, 0.9999))
        out.append(Outcome(label, score, bool(rng.uniform() < Calibration(slope, offsets)(score, label))))
    return out


def test_what_made_the_scores_too_sure_is_found_again():
    found = Calibration.fit(drawn(0.4, {"A": 0.3, "B": -1.2}))
    assert found.slope == pytest.approx(0.4, abs=0.05)
    assert found.offsets["A"] == pytest.approx(0.3, abs=0.15)
    assert found.offsets["B"] == pytest.approx(-1.2, abs=0.15)


def test_it_holds_on_spans_it_was_not_fitted_on():
    offsets = {"A": 0.3, "B": -1.2}
    found, fresh = Calibration.fit(drawn(0.4, offsets)), drawn(0.4, offsets, seed=1)
    drawn_back = [Outcome(s.label, found(s.score, s.label), s.right) for s in fresh]
    assert calibration_error(fresh) > 0.1
    assert calibration_error(drawn_back) < 0.03


def test_the_default_changes_nothing():
    for score in (0.0001, 0.25, 0.5, 0.9, 0.9999):
        assert Calibration()(score, "A") == pytest.approx(score)
    assert Calibration.fit([]) == Calibration()


@pytest.mark.parametrize("right", [True, False])
def test_a_model_that_is_always_right_or_always_wrong_stays_finite(right):
    found = Calibration.fit([Outcome("A", s, right) for s in (0.0, 0.5, 1.0, 1.0)])
    assert 0 <= found(0.0, "A") <= found(1.0, "A") <= 1
    assert math.isfinite(found.slope)
    assert (found(1.0, "A") > 0.5) is right


def test_scores_that_tell_the_opposite_do_not_turn_the_order_around():
    spans = [Outcome("A", 0.9, False)] * 50 + [Outcome("A", 0.1, True)] * 50
    found = Calibration.fit(spans)
    assert found(0.9, "A") > found(0.1, "A")


@given(
    st.floats(-800, 800),
    st.floats(0.05, 5),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_a_higher_score_stays_at_least_as_high(offset, slope, scores):
    calibration = Calibration(slope, {"A": offset})
    found = [calibration(s, "A") for s in sorted(scores)]
    assert all(0 <= p <= 1 for p in found)
    assert found == sorted(found)


def test_the_error_counts_how_far_each_bin_is_from_what_is_right():
    # Two bins of two: mean scores 0.3 and 0.9, right 1 of 2 and 1 of 2.
    spans = [Outcome("A", s, r) for s, r in ((0.2, True), (0.4, False), (0.8, True), (1.0, False))]
    assert calibration_error(spans, bins=2) == pytest.approx((0.2 + 0.4) / 2)
    assert calibration_error(spans[:1], bins=10) == pytest.approx(0.8)
    assert calibration_error([]) == 0.0


def test_outcomes_are_the_scored_spans_beside_the_gold_ones():
    gold = parse("{税收|METRIC}{5亿元|AMOUNT}", id="d")
    first, second = gold.spans
    read = gold.replace(
        spans=(
            type(first)(first.start, first.end, "ORG", first.text, "s1", 0.6),
            type(second)(second.start, second.end, "AMOUNT", second.text, "s2", 0.9),
        )
    )
    assert outcomes([gold], [read]) == [Outcome("ORG", 0.6, False), Outcome("AMOUNT", 0.9, True)]
    assert outcomes([gold], [gold]) == []


def test_json_brings_it_back():
    found = Calibration(0.37, {"甲": -0.5})
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found
