"""Tags and decoding, checked against every legal sequence there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.scheme import IOBES, Tokens

from gongbao import tagging
from gongbao.schema import DataError
from gongbao.tagging import (
    ScoredSpan,
    TagSet,
    decode_spans,
    decode_spans_many,
    span_probabilities,
    spans_of_tags,
    viterbi,
)

ONE = TagSet(("X",))
TWO = TagSet(("X", "Y"))
FIVE = TagSet(("A", "B", "C", "D", "E"))


@pytest.fixture
def in_pieces(monkeypatch):
    """Every sequence of more than three characters is read in pieces of three, a group of two at a time."""
    monkeypatch.setattr(tagging, "LONG", 3)
    monkeypatch.setattr(tagging, "BLOCK", 3)
    monkeypatch.setattr(tagging, "BATCH", 6)


@st.composite
def spans_in_a_text(draw, labels=TWO.labels):
    length = draw(st.integers(0, 40))
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=12)))
    spans = [
        (start, end, draw(st.sampled_from(labels)))
        for start, end in itertools.pairwise(cuts)
        if draw(st.booleans())
    ]
    return spans, length


def all_readings(log_probs, tagset):
    """Every legal tag sequence with its weight relative to the best, in the order of their tag ids."""
    legal = [
        tags
        for tags in itertools.product(range(len(tagset.tags)), repeat=len(log_probs))
        if tagset.start[tags[0]]
        and tagset.end[tags[-1]]
        and all(tagset.transitions[pair] for pair in itertools.pairwise(tags))
    ]
    sums = np.array([sum(float(log_probs[n, tag]) for n, tag in enumerate(tags)) for tags in legal])
    return legal, sums


def expected(log_probs, tagset):
    """The best sequence and its spans with their scores, by enumeration."""
    legal, sums = all_readings(log_probs, tagset)
    best = legal[int(sums.argmax())]
    weights = np.exp(sums - sums.max())
    spans = {}
    for key in tagset.decode(best):
        holds = [key in tagset.decode(tags) for tags in legal]
        spans[key] = weights[holds].sum() / weights.sum()
    return list(best), spans


# ------------------------------------------------------------------------------------------- tags


def test_tags_and_their_ids():
    assert TWO.tags == ("O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y")
    assert TWO.ids["E-Y"] == 7


def test_the_legal_moves():
    legal = {
        (a, b) for a, b in itertools.product(TWO.tags, repeat=2) if TWO.transitions[TWO.ids[a], TWO.ids[b]]
    }
    out, inside = ["O", "E-X", "S-X", "E-Y", "S-Y"], ["O", "B-X", "S-X", "B-Y", "S-Y"]
    within = {(f"{a}-{label}", f"{b}-{label}") for a in "BI" for b in "IE" for label in "XY"}
    assert legal == set(itertools.product(out, inside)) | within
    assert [t for t, may in zip(TWO.tags, TWO.start, strict=True) if may] == ["O", "B-X", "S-X", "B-Y", "S-Y"]
    assert [t for t, may in zip(TWO.tags, TWO.end, strict=True) if may] == ["O", "E-X", "S-X", "E-Y", "S-Y"]


def test_a_tag_set_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        TWO.transitions[0, 0] = False


@pytest.mark.parametrize("labels", [(), ("X", ""), ("X", "Y", "X")])
def test_labels_that_make_no_tags(labels):
    with pytest.raises(DataError):
        TagSet(labels)


ENCODED = [
    ([], 0, ""),
    ([], 2, "O O"),
    ([(0, 1, "X")], 1, "S-X"),
    ([(0, 2, "X"), (2, 5, "X")], 5, "B-X E-X B-X I-X E-X"),
    ([(3, 4, "X"), (1, 3, "Y")], 5, "O B-Y E-Y S-X O"),
]


@pytest.mark.parametrize(("spans", "length", "tags"), ENCODED)
def test_encode_and_decode(spans, length, tags):
    ids = TWO.encode(spans, length)
    assert ids.dtype == np.int64
    assert [TWO.tags[n] for n in ids] == tags.split()
    assert TWO.decode(ids) == sorted(spans)


@given(spans_in_a_text())
def test_decode_is_the_inverse_of_encode(case):
    spans, length = case
    ids = TWO.encode(spans, length)
    assert TWO.decode(ids) == spans
    assert spans_of_tags([TWO.tags[n] for n in ids]) == spans


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        ([(0, 0, "X")], "does not lie"),
        ([(-1, 1, "X")], "does not lie"),
        ([(2, 4, "X")], "3 characters"),
        ([(0, 1, "Z")], "there are X, Y"),
        ([(0, 2, "X"), (1, 3, "Y")], "Y span 1-3 overlaps"),
    ],
)
def test_spans_that_no_tags_can_say(spans, says):
    with pytest.raises(DataError) as error:
        TWO.encode(spans, 3)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ("E-X", "E-X at character 0 cannot begin a sequence"),
        ("O I-Y", "I-Y at character 1 cannot follow O"),
        ("B-X I-Y E-Y", "I-Y at character 1 cannot follow B-X"),
        ("O B-X I-X", "ends with I-X, inside a span"),
    ],
)
def test_decode_refuses_an_illegal_sequence(tags, says):
    with pytest.raises(DataError, match=says):
        TWO.decode([TWO.ids[tag] for tag in tags.split()])


@pytest.mark.parametrize("strange", [-1, 9])
def test_decode_refuses_what_is_no_id(strange):
    with pytest.raises(DataError, match=f"{strange} at character 1"):
        TWO.decode([0, strange])


READINGS = [
    ("B-X E-X S-Y", [(0, 2, "X"), (2, 3, "Y")]),
    ("B-X I-X O", []),
    ("I-X E-X", []),
    ("B-X B-X E-X", [(1, 3, "X")]),
    ("B-X I-Y E-X", []),
    ("B-X S-X E-X", [(1, 2, "X")]),
    ("B-X E-X E-X I-X E-X", [(0, 2, "X")]),
    ("B-X E-Y E-X", []),
    ("S-X-1 B-X-1 E-X-1", [(0, 1, "X-1"), (1, 3, "X-1")]),
]


@pytest.mark.parametrize(("tags", "spans"), READINGS)
def test_what_written_tags_say(tags, spans):
    assert spans_of_tags(tags.split()) == spans


@given(st.lists(st.sampled_from(TWO.tags), max_size=30))
def test_written_tags_are_read_as_seqeval_reads_them(tags):
    assert spans_of_tags(tags) == [(e.start, e.end, e.tag) for e in Tokens(tags, IOBES).entities]


@pytest.mark.parametrize("tag", ["", "B", "B-", "O-X", "L-X", "X"])
def test_what_is_no_tag(tag):
    with pytest.raises(DataError, match="at character 1 is no tag"):
        spans_of_tags(["O", tag])


# --------------------------------------------------------------------------------------- decoding


@st.composite
def outputs(draw, dtype=np.float64):
    """Log probabilities of one to five characters: smooth, near certain, or with impossible tags."""
    tagset = draw(st.sampled_from([ONE, TWO]))
    length = draw(st.integers(1, 5 if tagset is ONE else 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    out = random.normal(0, draw(st.sampled_from([0.3, 3, 40])), (length, len(tagset.tags)))
    if draw(st.booleans()):
        out[random.random(out.shape) < 0.3] = -np.inf
        out[:, 0] = np.maximum(out[:, 0], -60)  # the reading without spans stays possible
    return out.astype(dtype), tagset


def agrees_with_enumeration(log_probs, tagset):
    best, spans = expected(log_probs, tagset)
    assert viterbi(log_probs, tagset).tolist() == best
    found = decode_spans(log_probs, tagset)
    assert [(s.start, s.end, s.label) for s in found] == list(spans)
    assert [s.score for s in found] == pytest.approx(list(spans.values()), rel=1e-11, abs=1e-300)


@settings(deadline=None)
@given(outputs())
def test_decoding_agrees_with_enumeration(case):
    agrees_with_enumeration(*case)


@pytest.mark.usefixtures("in_pieces")
@settings(deadline=None)
@given(outputs())
def test_reading_in_pieces_agrees_with_enumeration(case):
    agrees_with_enumeration(*case)


@settings(deadline=None)
@given(outputs(dtype=np.float32), st.sampled_from([np.float16, np.float32]))
def test_any_float_type_is_read_as_the_numbers_it_holds(case, dtype):
    log_probs, tagset = case[0].astype(dtype), case[1]
    assert decode_spans(log_probs, tagset) == decode_spans(log_probs.astype(np.float64), tagset)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_viterbi_is_legal_whatever_it_is_given(seed, length):
    random = np.random.default_rng(seed)
    log_probs = random.normal(0, 5, (length, 21))
    log_probs[random.random(log_probs.shape) < 0.8] = -np.inf
    tags = viterbi(log_probs, FIVE)
    assert FIVE.encode(FIVE.decode(tags), length).tolist() == tags.tolist()
    assert all(0 <= span.score <= 1 for span in decode_spans(log_probs, FIVE))


@pytest.mark.parametrize("length", [1, 2, 7])
def test_where_nothing_is_possible_the_first_legal_sequence_is_taken(length):
    assert viterbi(np.full((length, 9), -np.inf), TWO).tolist() == [0] * length


@pytest.mark.usefixtures("in_pieces")
def test_impossible_tags_stand_only_where_they_must():
    log_probs = np.full((8, 5), -np.inf)
    for n, tag in enumerate(["O", "B-X", "I-X", "I-X", "I-X", "E-X", "E-X", "O"]):
        log_probs[n, ONE.ids[tag]] = 0
    log_probs[6, ONE.ids["O"]] = -900  # an E behind an E is not legal, however certain
    assert ONE.decode(viterbi(log_probs, ONE)) == [(1, 6, "X")]
    assert decode_spans(log_probs, ONE) == [ScoredSpan(1, 6, "X", 1.0)]


def test_equals_are_decided_for_the_lowest_tag():
    flat = np.zeros((3, 9))
    assert viterbi(flat, TWO).tolist() == [0, 0, 0]
    flat[:, 0] = -1
    assert [TWO.tags[n] for n in viterbi(flat, TWO)] == ["B-X", "I-X", "E-X"]
    flat[:, [1, 2, 3]] = -1
    assert [TWO.tags[n] for n in viterbi(flat, TWO)] == ["S-X", "S-X", "S-X"]


def test_a_span_torn_between_two_labels_shares_the_score():
    log_probs = np.full((2, 9), -50.0)
    for tag, p in (("B-X", 0.6), ("B-Y", 0.4)):
        log_probs[0, TWO.ids[tag]] = np.log(p)
    for tag in ("E-X", "E-Y"):
        log_probs[1, TWO.ids[tag]] = np.log(0.5)
    (span,) = decode_spans(log_probs, TWO)
    assert (span.start, span.end, span.label) == (0, 2, "X")
    assert span.score == pytest.approx(0.6)


def test_nothing_in_nothing_out():
    empty = np.zeros((0, 9), dtype=np.float32)
    assert viterbi(empty, TWO).tolist() == []
    assert decode_spans(empty, TWO) == []
    assert decode_spans_many([], TWO) == []
    assert decode_spans_many([empty, np.log(np.eye(9)[[4]] + 1e-9)], TWO)[1][0].label == "X"


@pytest.mark.parametrize(("bad", "says"), [(np.nan, "is nan"), (np.inf, "is inf")])
def test_what_is_no_log_probability(bad, says):
    log_probs = np.zeros((3, 9), dtype=np.float32)
    log_probs[2, 5] = bad
    with pytest.raises(DataError, match=f"B-Y at character 2 {says}"):
        viterbi(log_probs, TWO)
    with pytest.raises(DataError, match="sequence 1"):
        decode_spans_many([np.zeros((1, 9)), log_probs], TWO)


@pytest.mark.parametrize("shape", [(3,), (3, 8), (1, 3, 9)])
def test_output_of_another_shape(shape):
    with pytest.raises(DataError, match="shape"):
        decode_spans(np.zeros(shape), TWO)


def model_output(random, length, tagset=FIVE):
    logits = random.normal(0, 2, (length, len(tagset.tags))).astype(np.float32)
    spans = [
        (n, n + int(random.integers(1, 7)), tagset.labels[random.integers(5)])
        for n in range(2, length - 7, 9)
    ]
    logits[np.arange(length), tagset.encode(spans, length)] += 6
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("batch", [64, 300, 1 << 17])
def test_what_is_read_together_changes_no_bit(monkeypatch, batch):
    random = np.random.default_rng(7)
    monkeypatch.setattr(tagging, "LONG", 100)
    monkeypatch.setattr(tagging, "BLOCK", 16)
    arrays = [model_output(random, int(n)) for n in [1, 2, 150, 3, *random.integers(1, 120, 40), 101, 0]]
    alone = [decode_spans(array, FIVE) for array in arrays]
    assert sum(map(len, alone)) > 100
    monkeypatch.setattr(tagging, "BATCH", batch)
    assert decode_spans_many(arrays, FIVE) == alone
    assert decode_spans_many(arrays[::-1], FIVE) == alone[::-1]


@pytest.mark.parametrize("length", [17, 400])
def test_pieces_and_the_whole_agree(monkeypatch, length):
    log_probs = model_output(np.random.default_rng(length), length)
    whole, tags = decode_spans(log_probs, FIVE), viterbi(log_probs, FIVE).tolist()
    monkeypatch.setattr(tagging, "LONG", 16)
    monkeypatch.setattr(tagging, "BLOCK", 8)
    monkeypatch.setattr(tagging, "BATCH", 24)
    pieces = decode_spans(log_probs, FIVE)
    assert viterbi(log_probs, FIVE).tolist() == tags
    assert [(s.start, s.end, s.label) for s in pieces] == [(s.start, s.end, s.label) for s in whole]
    assert [s.score for s in pieces] == pytest.approx([s.score for s in whole], rel=1e-12)


def test_scores_of_a_long_text_stay_exact():
    """A pattern repeated: far from both ends each copy has the same score, to the last digits."""
    pattern = np.log(np.random.default_rng(3).dirichlet(np.full(9, 0.3), size=7) + 1e-3)
    copies = 1500
    spans = decode_spans(np.tile(pattern, (copies, 1)), TWO)
    per_copy = [[s.score for s in spans if 7 * n <= s.start < 7 * n + 7] for n in range(copies)]
    assert per_copy[20]
    assert np.ptp(np.array(per_copy[20:-20]), axis=0).max() < 1e-12


# ------------------------------------------------------------------ probabilities of given spans


@pytest.mark.parametrize("length", [1, 7, 300])
def test_the_probability_of_a_decoded_span_is_its_score(length):
    rng = np.random.default_rng(length)
    rows = [rng.normal(size=(length + n, len(TWO.tags))) * 3 for n in range(3)]
    decoded = decode_spans_many(rows, TWO)
    found = span_probabilities(rows, [[(s.start, s.end, s.label) for s in spans] for spans in decoded], TWO)
    assert found == [[s.score for s in spans] for spans in decoded]


def test_the_probability_of_any_span_is_that_of_the_readings_that_hold_it(in_pieces):
    log_probs = np.random.default_rng(5).normal(size=(5, len(TWO.tags)))
    legal, sums = all_readings(log_probs, TWO)
    weights = np.exp(sums - sums.max())
    for start, end, label in itertools.product(range(5), range(1, 6), TWO.labels):
        if start < end:
            holds = [(start, end, label) in TWO.decode(tags) for tags in legal]
            ((found,),) = span_probabilities([log_probs], [[(start, end, label)]], TWO)
            assert found == pytest.approx(weights[holds].sum() / weights.sum())


def test_spans_that_overlap_are_no_annotation_to_judge():
    with pytest.raises(DataError, match="overlaps"):
        span_probabilities([np.zeros((4, 5))], [[(0, 2, "X"), (1, 3, "X")]], ONE)
