"""Literal tags in, literal counts out; and seqeval's figures, to the last digit."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOBES

from gongbao.metrics import (
    Counts,
    count_facts,
    count_links,
    count_spans,
    evaluate,
    find_link_mistakes,
    find_mistakes,
    macro_f1,
    significance,
    total,
)
from gongbao.schema import UNREAD, Amount, DataError, Document, Fact, Link, Span, UsageError
from gongbao.tagging import TagSet, spans_of_tags

LABELS = ("AMOUNT", "METRIC", "TIME")
TAGS = TagSet(LABELS).tags
TEXT = "今年以来全镇财政收入2.3亿元"


def tagged(tags, name="d"):
    """A document with the spans that the tags say, one character a tag."""
    tags = tags.split() if isinstance(tags, str) else tags
    text = (TEXT * (len(tags) // len(TEXT) + 1))[: len(tags)]
    spans = [
        Span(start, end, label, text[start:end], id=f"{name}{n}")
        for n, (start, end, label) in enumerate(spans_of_tags(tags))
    ]
    return Document(name, text, spans=spans)


# ----------------------------------------------------------------------------------------- counts


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1"),
    [
        (Counts(0, 0, 0), 0.0, 0.0, 0.0),
        (Counts(3, 0, 0), 1.0, 1.0, 1.0),
        (Counts(0, 2, 1), 0.0, 0.0, 0.0),
        (Counts(0, 0, 1), 0.0, 0.0, 0.0),
        (Counts(1, 1, 3), 0.5, 0.25, 1 / 3),
    ],
)
def test_rates(counts, precision, recall, f1):
    assert (counts.precision, counts.recall) == (precision, recall)
    assert counts.f1 == pytest.approx(f1)
    assert counts.to_json() == {
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "precision": precision,
        "recall": recall,
        "f1": counts.f1,
    }


def test_counts_add_up():
    assert total([Counts(1, 2, 3), Counts(10, 20, 30)]) == Counts(11, 22, 33)
    assert total([]) == Counts()


def test_macro_leaves_out_what_does_not_occur():
    assert macro_f1({"A": Counts(1, 0, 0), "B": Counts(0, 1, 0), "C": Counts()}) == 0.5
    assert macro_f1({}) == 0.0


M, A = "METRIC", "AMOUNT"
SPAN_COUNTS = [
    ("O O O", "O O O", {}),
    ("B-METRIC E-METRIC O", "B-METRIC E-METRIC O", {M: Counts(1, 0, 0)}),
    ("B-METRIC E-METRIC O", "O O O", {M: Counts(0, 0, 1)}),
    ("O O O", "S-METRIC O S-METRIC", {M: Counts(0, 2, 0)}),
    ("B-METRIC E-METRIC O", "B-METRIC I-METRIC E-METRIC", {M: Counts(0, 1, 1)}),
    ("B-METRIC E-METRIC O", "B-AMOUNT E-AMOUNT O", {A: Counts(0, 1, 0), M: Counts(0, 0, 1)}),
    ("S-METRIC S-METRIC S-AMOUNT", "B-METRIC E-METRIC S-AMOUNT", {A: Counts(1, 0, 0), M: Counts(0, 1, 2)}),
    # Illegal tags say only what seqeval's strict mode reads in them.
    ("B-METRIC E-METRIC O", "I-METRIC E-METRIC O", {M: Counts(0, 0, 1)}),
    ("O S-METRIC O", "B-METRIC S-METRIC O", {M: Counts(1, 0, 0)}),
]


@pytest.mark.parametrize(("gold", "predicted", "counts"), SPAN_COUNTS)
def test_spans_counted_from_tags(gold, predicted, counts):
    assert count_spans(spans_of_tags(gold.split()), spans_of_tags(predicted.split())) == counts
    assert count_spans(tagged(gold).spans, tagged(predicted).spans) == counts


def test_a_span_given_twice_counts_once():
    assert count_spans([(0, 1, M), (0, 1, M)], [(2, 3, M), (2, 3, M)]) == {M: Counts(0, 1, 1)}


sentences = st.lists(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(*[st.lists(st.sampled_from(TAGS), min_size=n, max_size=n)] * 2)
    ),
    min_size=1,
    max_size=6,
)


def seqeval_agrees(gold, predicted):
    """Whether seqeval has the same figures, exactly; the number of labels that occur."""
    evaluation = evaluate(
        [tagged(tags, f"d{n}") for n, tags in enumerate(gold)],
        [tagged(tags, f"d{n}") for n, tags in enumerate(predicted)],
    )
    each, micro, macro = (
        precision_recall_fscore_support(gold, predicted, average=average, scheme=IOBES, zero_division=0)
        for average in (None, "micro", "macro" if evaluation.spans else "weighted")
    )
    ours = evaluation.spans.values()
    for n, rate in enumerate(("precision", "recall", "f1")):
        assert [getattr(counts, rate) for counts in ours] == each[n].tolist()
        assert getattr(evaluation.micro, rate) == micro[n]
    assert [counts.tp + counts.fn for counts in ours] == each[3].tolist()
    assert evaluation.macro_f1 == macro[2]
    return len(ours)


@settings(deadline=None)
@given(sentences)
def test_any_tags_score_as_in_seqeval(pairs):
    seqeval_agrees([gold for gold, _ in pairs], [predicted for _, predicted in pairs])


def test_thousands_of_sequences_score_as_in_seqeval():
    """Half of the gold is legal, as gold is; predictions are gold with some tags changed, or anything at all."""
    random = np.random.default_rng(11)
    tagset, occurring = TagSet(LABELS), set()
    for _ in range(60):
        gold, predicted = [], []
        for _ in range(50):
            length = int(random.integers(1, 15))
            cuts = sorted(random.choice(length + 1, size=min(length + 1, 6), replace=False).tolist())
            spans = [
                (a, b, LABELS[random.integers(3)])
                for a, b in itertools.pairwise(cuts)
                if random.random() < 0.7
            ]
            tags = tagset.encode(spans, length)
            if random.random() < 0.5:
                tags = random.integers(len(TAGS), size=length)
            changed = np.where(
                random.random(length) < random.choice([0, 0.1, 1]), random.integers(13, size=length), tags
            )
            gold.append([TAGS[n] for n in tags])
            predicted.append([TAGS[n] for n in changed])
        occurring.add(seqeval_agrees(gold, predicted))
    assert occurring == {3}


@given(sentences)
@settings(deadline=None)
def test_counts_account_for_every_span(pairs):
    gold = [tagged(g, f"d{n}") for n, (g, _) in enumerate(pairs)]
    predicted = [tagged(p, f"d{n}") for n, (_, p) in enumerate(pairs)]
    evaluation = evaluate(gold, predicted[::-1])
    assert evaluation.micro.tp + evaluation.micro.fn == sum(len(d.spans) for d in gold)
    assert evaluation.micro.tp + evaluation.micro.fp == sum(len(d.spans) for d in predicted)
    # Each missed or invented span stands in one mistake, and no other span does.
    for side, documents in (("gold", gold), ("predicted", predicted)):
        spans = "wanted" if side == "gold" else "found"
        named = [(m.document, span.id) for m in evaluation.mistakes for span in getattr(m, spans)]
        other = {d.id: {s.key for s in d.spans} for d in (predicted if side == "gold" else gold)}
        wrong = [(d.id, s.id) for d in documents for s in d.spans if s.key not in other[d.id]]
        assert sorted(named) == sorted(wrong)
    # Put right one and all, they leave nothing wrong.
    mended = evaluation.micro + total(m.mended for m in evaluation.mistakes)
    assert mended == Counts(evaluation.micro.tp + evaluation.micro.fn, 0, 0)


# -------------------------------------------------------------------------------- links and facts


def report(links=(), value=UNREAD, role="VALUE", ids="mat", **changes):
    """财政收入 and 2.3亿元 in one sentence, with a fact that joins them. `ids` names metric, amount and time."""
    metric, amount, time = ids
    spans = [
        Span(0, 4, "TIME", "今年以来", id=time),
        Span(6, 10, "METRIC", "财政收入", id=metric),
        Span(10, 15, "AMOUNT", "2.3亿元", id=amount, value=value),
    ]
    document = Document(
        "d", TEXT, spans=spans, links=[Link(*link) for link in links], facts=[Fact(metric, amount, role)]
    )
    return document.replace(**changes)


def test_links_are_known_by_their_spans_and_role():
    gold = report([("m", "a", "VALUE"), ("m", "t", "PERIOD")])
    predicted = report([("x", "y", "VALUE"), ("z", "x", "PERIOD"), ("y", "z", "PERIOD")], ids="xyz")
    assert count_links(gold, predicted) == {"PERIOD": Counts(0, 2, 1), "VALUE": Counts(1, 0, 0)}


def test_a_link_to_a_wrong_span_is_wrong():
    gold = report([("m", "a", "VALUE")])
    spans = [s if s.id != "m" else Span(4, 10, "METRIC", "全镇财政收入", id="m") for s in gold.spans]
    assert count_links(gold, gold.replace(spans=spans)) == {"VALUE": Counts(0, 1, 1)}


def money(low=2.3e8, high=2.3e8, unit="CNY", approx="exact", **more):
    return Amount("money", low, high, unit, approx, **more)


RIGHT, WRONG = Counts(1, 0, 0), Counts(0, 1, 1)
VALUES = [
    (money(), money(), RIGHT),
    (money(), money(low=2.3e8 * (1 - 1e-12)), RIGHT),
    (money(), money(low=2.3e8 * (1 - 1e-6)), WRONG),
    (money(), money(high=2.4e8), WRONG),
    (money(), money(unit="USD"), WRONG),
    (money(), money(approx="about"), WRONG),
    (money(), money(si_low=2.3e8, si_high=2.3e8, si_unit="CNY"), RIGHT),
    (money(low=None), money(low=None), RIGHT),
    (money(low=None), money(low=0.0), WRONG),
    (money(high=None), money(), WRONG),
    (money(low=0.0), money(low=0), RIGHT),
    (money(), None, WRONG),
    (money(), UNREAD, WRONG),
    (None, money(), WRONG),
    (None, UNREAD, RIGHT),
    (UNREAD, UNREAD, RIGHT),
]


@pytest.mark.parametrize(("gold", "predicted", "counts"), VALUES)
def test_facts_need_the_same_value(gold, predicted, counts):
    assert count_facts(report(value=gold), report(value=predicted, ids="xyz")) == counts


def test_facts_need_the_same_spans_and_role():
    assert count_facts(report(), report(role="INCREASE")) == WRONG
    assert count_facts(report(), report(facts=())) == Counts(0, 0, 1)
    assert count_facts(report(facts=()), report()) == Counts(0, 1, 0)
    assert count_facts(report(), report(facts=[Fact("t", "a", "VALUE")])) == WRONG


def test_a_fact_said_twice_counts_once():
    twice = report(facts=[Fact("m", "a", "VALUE"), Fact("m", "a", "VALUE", period="t")])
    assert count_facts(twice, report()) == RIGHT


# --------------------------------------------------------------------------------------- mistakes

MISTAKES = [
    ("O O", "O O", []),
    ("S-TIME O", "S-TIME O", []),
    ("S-TIME O", "O O", [("missed", (0, 1), None)]),
    ("O O", "O S-TIME", [("invented", None, (1, 2))]),
    ("S-TIME O", "O S-TIME", [("missed", (0, 1), None), ("invented", None, (1, 2))]),
    ("S-TIME O", "S-METRIC O", [("wrong label", (0, 1), (0, 1))]),
    ("B-TIME E-TIME", "S-TIME O", [("boundary short", (0, 2), (0, 1))]),
    ("B-TIME E-TIME", "S-METRIC O", [("wrong label", (0, 2), (0, 1))]),
    ("S-TIME O", "B-TIME E-TIME", [("boundary long", (0, 1), (0, 2))]),
    ("B-TIME E-TIME O", "O B-TIME E-TIME", [("boundary shifted", (0, 2), (1, 3))]),
    # One span cut in two, and two read as one.
    ("B-TIME I-TIME E-TIME", "S-TIME B-TIME E-TIME", [("split", (0, 3), (0, 1), (1, 3))]),
    ("B-TIME I-TIME E-TIME", "S-TIME S-TIME S-TIME", [("split", (0, 3), (0, 1), (1, 2), (2, 3))]),
    ("S-TIME O S-TIME", "B-TIME I-TIME E-TIME", [("merged", (0, 1), (0, 3), (2, 3))]),
    # A part of another label is no part, nor is one that reaches out.
    ("B-TIME E-TIME", "S-METRIC S-TIME", [("boundary short", (0, 2), (1, 2)), ("invented", None, (0, 1))]),
    (
        "B-TIME E-TIME O",
        "S-TIME B-TIME E-TIME",
        [("boundary short", (0, 2), (0, 1)), ("invented", None, (1, 3))],
    ),
    ("S-TIME S-METRIC", "B-TIME E-TIME", [("boundary long", (0, 1), (0, 2)), ("missed", (1, 2), None)]),
    # A span that is right is nobody else's counterpart.
    ("S-TIME B-TIME E-TIME", "S-TIME S-TIME O", [("boundary short", (1, 3), (1, 2))]),
    # The largest overlap decides, whatever stands first.
    (
        "B-TIME E-TIME B-METRIC I-METRIC E-METRIC O",
        "O B-METRIC I-METRIC E-METRIC O O",
        [("missed", (0, 2), None), ("boundary shifted", (2, 5), (1, 4))],
    ),
]


@pytest.mark.parametrize(("gold", "predicted", "mistakes"), MISTAKES)
def test_mistakes(gold, predicted, mistakes):
    found = find_mistakes(tagged(gold), tagged(predicted))
    shown = [(m.kind, _ends(m.gold), _ends(m.predicted), *map(_ends, m.others)) for m in found]
    assert sorted(shown, key=str) == sorted(mistakes, key=str)
    assert {m.document for m in found} <= {"d"}


def _ends(span):
    return span and (span.start, span.end)


def test_mistakes_come_in_the_order_of_the_text():
    found = find_mistakes(tagged("S-TIME O S-TIME O"), tagged("O S-TIME S-METRIC O"))
    assert [m.kind for m in found] == ["missed", "invented", "wrong label"]


def test_a_mistake_as_json():
    (mistake,) = find_mistakes(tagged("S-TIME"), tagged("O"))
    assert mistake.to_json() == {
        "document": "d",
        "kind": "missed",
        "gold": {"id": "d0", "start": 0, "end": 1, "label": "TIME", "text": "今"},
        "predicted": None,
    }


LINK_TEXT = "税收甲2亿乙3亿"
LINK_SPANS = {name: Span(*ends, label, LINK_TEXT[slice(*ends)], id=name) for name, ends, label in (
    ("tax", (0, 2), M), ("one", (2, 3), M), ("two", (3, 5), A), ("other", (5, 6), M), ("three", (6, 8), A),
)}  # fmt: skip


def linked(*links, leave_out=(), value=None):
    """A document with links spelled `head tail ROLE`; the amount of every fact is `value`."""
    spans = [replace(span, value=value) for name, span in LINK_SPANS.items() if name not in leave_out]
    made = [Link(*link.split()) for link in links]
    facts = [Fact(link.head, link.tail, link.role) for link in made]
    return Document("d", LINK_TEXT, spans=tuple(spans), links=tuple(made), facts=tuple(facts))


LINK_MISTAKES = [
    (["tax two VALUE"], ["tax two VALUE"], []),
    (["tax two VALUE"], [], [("missed", "tax two VALUE", None)]),
    ([], ["tax two VALUE"], [("invented", None, "tax two VALUE")]),
    (["tax two VALUE"], ["tax two CHANGE"], [("wrong role", "tax two VALUE", "tax two CHANGE")]),
    (["tax two VALUE"], ["one two VALUE"], [("wrong head", "tax two VALUE", "one two VALUE")]),
    (["tax two VALUE"], ["one two CHANGE"], [("wrong head", "tax two VALUE", "one two CHANGE")]),
    # The same head alone makes no pair.
    (["tax two VALUE"], ["tax three VALUE"],
     [("missed", "tax two VALUE", None), ("invented", None, "tax three VALUE")]),
    # Both ends count more than the role, the role more than the tail alone.
    (["tax two VALUE"], ["one two VALUE", "tax two CHANGE"],
     [("wrong role", "tax two VALUE", "tax two CHANGE"), ("invented", None, "one two VALUE")]),
    (["tax two VALUE"], ["one two CHANGE", "other two VALUE"],
     [("invented", None, "one two CHANGE"), ("wrong head", "tax two VALUE", "other two VALUE")]),
    # What is right is not there to be paired with.
    (["tax two VALUE", "tax two CHANGE"], ["tax two VALUE"], [("missed", "tax two CHANGE", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "predicted", "mistakes"), LINK_MISTAKES)
def test_link_mistakes(gold, predicted, mistakes):
    found = find_link_mistakes(linked(*gold), linked(*predicted))
    shown = [(m.kind, _spelled(m.gold), _spelled(m.predicted)) for m in found]
    assert sorted(shown, key=str) == sorted(mistakes, key=str)
    assert {m.document for m in found} <= {"d"}


def _spelled(arrow):
    return arrow and f"{arrow.head.id} {arrow.tail.id} {arrow.role}"


@pytest.mark.parametrize("end", ["tax", "two"])
def test_a_link_of_a_wrong_span_is_no_mistake_of_its_own(end):
    whole, part = linked("tax two VALUE"), linked(leave_out=[end])
    assert find_link_mistakes(whole, part) == find_link_mistakes(part, whole) == []


@pytest.mark.parametrize(
    ("gold", "predicted", "kind"),
    [
        (money(1e8), money(2e8), "wrong magnitude"),
        (money(1e8), money(1e8, unit="USD"), "wrong unit"),
        (money(1e8), money(2e8, unit="USD", approx="about"), "wrong unit"),
        (money(1e8), money(1e8, approx="about"), "wrong approximation"),
        (money(1e8), money(2e8, approx="about"), "wrong magnitude"),
        (money(1e8), None, "unread"),
        (None, money(1e8), "unread"),
    ],
)
def test_a_right_link_with_another_value(gold, predicted, kind):
    one, other = (linked("tax two VALUE", value=value) for value in (gold, predicted))
    (mistake,) = find_link_mistakes(one, other)
    assert (mistake.kind, mistake.mended) == (kind, Counts(1, -1, -1))
    assert (mistake.gold.tail.value, mistake.predicted.tail.value) == (gold, predicted)
    assert find_link_mistakes(one, one) == []


def test_link_mistakes_come_in_the_order_of_the_text():
    found = find_link_mistakes(linked("other three VALUE"), linked("tax two VALUE", "one three VALUE"))
    assert [m.kind for m in found] == ["invented", "wrong head"]


def test_a_link_mistake_as_json():
    gold = linked("tax two VALUE")
    sure = gold.replace(links=(Link("tax", "two", "CHANGE", score=0.5),))
    (mistake,) = find_link_mistakes(gold, sure)
    ends = {"head": gold.span("tax").to_json(), "tail": gold.span("two").to_json()}
    assert mistake.to_json() == {
        "document": "d",
        "kind": "wrong role",
        "gold": {**ends, "role": "VALUE"},
        "predicted": {**ends, "role": "CHANGE", "score": 0.5},
    }


# ------------------------------------------------------------------------------------- evaluation


def corpus(*tags):
    return [tagged(each, f"d{n}") for n, each in enumerate(tags)]


def test_an_evaluation():
    gold = [report([("m", "a", "VALUE")], value=money()), *corpus("S-TIME S-METRIC O", "O O")]
    predicted = [*corpus("S-TIME O S-AMOUNT", "O O")[::-1], report([("m", "a", "RATE")], value=money())]
    evaluation = evaluate(gold, predicted)
    assert [d.id for d in evaluation.documents] == ["d", "d0", "d1"]
    assert evaluation.spans == {"AMOUNT": Counts(1, 1, 0), "METRIC": Counts(1, 0, 1), "TIME": Counts(2, 0, 0)}
    assert evaluation.micro == Counts(4, 1, 1)
    assert evaluation.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert evaluation.roles == {"RATE": Counts(0, 1, 0), "VALUE": Counts(0, 0, 1)}
    assert evaluation.links == Counts(0, 1, 1)
    assert evaluation.facts == Counts(1, 0, 0)
    data = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert data["documents"] == 3
    assert data["spans"]["labels"]["AMOUNT"]["fp"] == 1
    assert data["spans"]["micro"]["precision"] == 0.8
    assert data["links"]["roles"]["RATE"]["fp"] == data["links"]["micro"]["fn"] == 1
    assert data["facts"]["f1"] == 1.0
    assert data["mistakes"] == {"invented": 1, "missed": 1}


@pytest.mark.parametrize(
    ("gold", "predicted", "says"),
    [
        (["a", "b", "c"], ["b"], "a: not among the predicted documents (one of 2)"),
        (["b"], ["b", "c"], "c: not among the gold documents"),
        (["a", "a"], ["a"], "a: the gold documents have this id twice"),
        (["a"], ["a", "a"], "a: the predicted documents have this id twice"),
    ],
)
def test_documents_that_do_not_match(gold, predicted, says):
    with pytest.raises(DataError) as error:
        evaluate([tagged("O", name) for name in gold], [tagged("O", name) for name in predicted])
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("今年以来,全镇", 4, "with '全镇财政收入2.', the predicted one with ',全镇'"),
        ("今年", 2, "the predicted one with the end"),
        (TEXT + "。", len(TEXT), "with the end, the predicted one with '。'"),
    ],
)
def test_texts_that_differ(text, at, says):
    with pytest.raises(DataError) as error:
        evaluate([Document("r7", TEXT)], [Document("r7", text)])
    assert (error.value.record, error.value.start) == ("r7", at)
    assert says in str(error.value)


# -------------------------------------------------------------------------------------- intervals


def test_intervals_hold_the_figure_and_are_reproducible():
    good, bad = ("S-TIME S-METRIC O", "S-TIME S-METRIC O"), ("S-TIME S-METRIC O", "S-TIME O S-METRIC")
    pairs = [good] * 25 + [bad] * 15
    evaluation = evaluate(corpus(*[g for g, _ in pairs]), corpus(*[p for _, p in pairs]))
    intervals = evaluation.intervals(n=2000, seed=1)
    assert intervals == evaluation.intervals(n=2000, seed=1)
    assert len({evaluation.intervals(n=5, seed=seed).micro for seed in range(5)}) > 1
    assert intervals.labels["TIME"] == (1.0, 1.0)
    low, high = intervals.labels["METRIC"]
    # F1 of METRIC is the part of good documents, 25 of 40: the binomial's own spread.
    assert (low + high) / 2 == pytest.approx(0.625, abs=0.03)
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(0.625 * 0.375 / 40), abs=0.03)
    for interval, figure in ((intervals.micro, evaluation.micro.f1), (intervals.macro, evaluation.macro_f1)):
        assert interval[0] < figure < interval[1]
    assert intervals.links is None
    assert intervals.facts is None
    assert json.loads(json.dumps(intervals.to_json()))["labels"]["TIME"] == [1.0, 1.0]


def test_intervals_agree_with_drawing_documents_one_by_one():
    random = np.random.default_rng(4)
    gold = [[TAGS[n] for n in random.integers(13, size=9)] for _ in range(12)]
    predicted = [[t if random.random() < 0.8 else "O" for t in tags] for tags in gold]
    evaluation = evaluate(corpus(*gold), corpus(*predicted))
    draws = np.random.default_rng(0).integers(12, size=(400, 12))
    macros, micros = [], []
    for draw in draws:
        drawn = [evaluation.documents[n].spans for n in draw]
        each = {label: total(spans.get(label, Counts()) for spans in drawn) for label in LABELS}
        macros.append(macro_f1(each))
        micros.append(total(each.values()).f1)
    intervals = evaluation.intervals(n=400, seed=0)
    assert intervals.macro == pytest.approx(np.quantile(macros, [0.025, 0.975]))
    assert intervals.micro == pytest.approx(np.quantile(micros, [0.025, 0.975]))


def test_draws_without_a_label_say_nothing_of_it():
    tags = ["S-TIME"] + ["S-METRIC"] * 9
    assert evaluate(corpus(*tags), corpus(*tags)).intervals(n=200).labels["TIME"] == (1.0, 1.0)


def test_intervals_of_nothing():
    intervals = evaluate([], []).intervals(n=10)
    assert (intervals.micro, intervals.macro, dict(intervals.labels)) == (None, None, {})
    with pytest.raises(UsageError, match="0 draws"):
        evaluate([], []).intervals(n=0)


def test_two_systems_are_told_apart_by_documents():
    gold = corpus(*["S-TIME S-METRIC O"] * 20)
    good = evaluate(gold, corpus(*["S-TIME S-METRIC O"] * 18, *["S-TIME O O"] * 2))
    bad = evaluate(gold, corpus(*["S-TIME O S-METRIC"] * 15, *["S-TIME S-METRIC O"] * 5)[::-1])
    found = significance(good, bad, n=2000)
    assert (found["links"], found["facts"]) == (None, None)
    assert found["spans"].difference == good.micro.f1 - bad.micro.f1
    low, high = found["spans"].interval
    assert 0 < low < found["spans"].difference < high
    assert found["spans"].p < 0.005
    assert found["spans"].significant
    assert json.loads(json.dumps(found["spans"].to_json()))["significant"] is True
    back = significance(bad, good, n=2000)["spans"]
    assert back.difference == -found["spans"].difference
    assert back.p < 0.005


def test_one_document_proves_nothing_and_the_same_is_no_difference():
    good, bad = (evaluate(corpus("S-TIME O"), corpus(tags)) for tags in ("S-TIME O", "O S-TIME"))
    assert significance(good, bad, n=500)["spans"].p == 1.0
    assert significance(good, good, n=50)["spans"].to_json() == {
        "difference": 0.0, "interval": (0.0, 0.0), "p": 1.0, "significant": False,
    }  # fmt: skip


def test_chance_makes_as_many_small_p_values_as_it_should():
    """Two systems that differ by chance alone: p is below 0.2 in about a fifth of the trials."""
    random = np.random.default_rng(3)
    gold = corpus(*["S-TIME"] * 40)
    small = 0
    for _ in range(200):
        one, other = (
            evaluate(gold, corpus(*np.where(random.random(40) < 0.7, "S-TIME", "O"))) for _ in range(2)
        )
        small += significance(one, other, n=200)["spans"].p < 0.2
    assert 15 <= small <= 50


def test_two_systems_need_the_same_documents():
    one, other = (evaluate(made, made) for made in (corpus("O", "O"), corpus("O")))
    with pytest.raises(DataError, match="d1: not among"):
        significance(one, other)


def test_many_documents_are_drawn_in_several_steps(monkeypatch):
    evaluation = evaluate(corpus(*["S-TIME"] * 30), corpus(*["S-TIME", "O"] * 15))
    whole = evaluation.intervals(n=101)
    monkeypatch.setattr("gongbao.resampling._CELLS", 300)
    assert evaluation.intervals(n=101) == whole
