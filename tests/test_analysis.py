"""Buckets, curves and costs on documents small enough to count by hand."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.analysis import analyse, curve
from gongbao.buckets import number_format, strings_of
from gongbao.counts import Counts, total
from gongbao.inline import parse
from gongbao.metrics import evaluate
from gongbao.schema import Amount, Document, Span


def annotated(text, name="d", **meta):
    return parse(text, id=name, meta=meta)


def analysed(gold, predicted, **more):
    return analyse(evaluate(gold, predicted), gold, predicted, n=200, **more)


def bucketed(analysis, dimension):
    """Gold and right by bucket, in order."""
    buckets = analysis.buckets.get(dimension, ())
    return [(b.name, b.counts.tp + b.counts.fn, b.counts.tp) for b in buckets]


def test_spans_by_length_sentence_and_crowd():
    gold = [annotated("{甲乙|ORG}与{丙丁戊|ORG}。" + "一" * 30 + "{今年|TIME}。")]
    predicted = [annotated("{甲乙|ORG}与丙丁戊。" + "一" * 30 + "{今年|TIME}{。|ORG}")]
    found = analysed(gold, predicted)
    assert bucketed(found, "length") == [("1-2", 2, 2), ("3-4", 1, 0)]
    assert bucketed(found, "sentence") == [("1-20", 2, 1), ("21-40", 1, 1)]
    assert bucketed(found, "crowd") == [("1-2", 3, 2)]
    assert found.buckets["length"][0].counts.fp == 1
    assert bucketed(found, "seen") == []


def test_spans_by_what_training_has_seen():
    training = [annotated("{甲乙|ORG}，{丙丁|METRIC}，{丙丁|TIME}", "t")]
    assert strings_of(training) == {"甲乙": {"ORG"}, "丙丁": {"METRIC", "TIME"}}
    gold = [annotated("{甲乙|ORG}{丙丁|METRIC}{丙丁|ORG}{戊|ORG}")]
    assert bucketed(analysed(gold, gold, training=training), "seen") == [
        ("seen", 2, 2), ("other label", 1, 1), ("unseen", 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2.3亿元", "digits"), ("1,234元", "thousands"), ("1，234人", "thousands"), ("2,3", "digits"), ("12,3456", "digits"),
        ("２３元", "full-width"), ("1,234.５", "full-width"), ("三成", "chinese"), ("两百余人", "chinese"), ("数名", "words"),
    ],
)  # fmt: skip
def test_number_formats(text, form):
    assert number_format(text) == form


def test_amounts_by_how_and_what_they_are():
    def valued(text, value):
        return Document("d", text, spans=(Span(0, len(text), "AMOUNT", text, id="a", value=value),))

    documents = [
        valued(text, value).replace(id=text)
        for text, value in (
            ("2元", Amount("money", 2, 2, "CNY")), ("三元", Amount("money", 3, 3, "CNY")), ("若干", None),
        )
    ]  # fmt: skip
    found = analysed(documents, documents)
    assert bucketed(found, "number") == [("digits", 1, 1), ("chinese", 1, 1), ("words", 1, 1)]
    assert bucketed(found, "kind") == [("money", 2, 2), ("unread", 1, 1)]
    plain = [annotated("{2元|AMOUNT}")]
    assert bucketed(analysed(plain, plain), "kind") == []


def test_links_by_distance():
    text = "{税收|METRIC#1}{2元|AMOUNT>1:VALUE}，{利润|METRIC#2}为去年的{3倍|AMOUNT>2:VALUE}"
    gold = [annotated(text)]
    found = analysed(gold, [annotated(text.replace(">2:VALUE", ""))])
    assert bucketed(found, "distance") == [("0", 1, 1), ("3-5", 1, 0)]


def test_documents_by_what_is_said_of_them():
    gold = [
        annotated("{甲|ORG}", "a", genre="简报", level="county", year=2023, untidy=True),
        annotated("{甲|ORG}{乙|ORG}", "b", genre="公报", level="county", year="2019", untidy=False),
        annotated("{甲|ORG}", "c", genre=7, level="", year="去年", untidy="no"),
    ]
    found = analysed(gold, gold)
    assert bucketed(found, "genre") == [("公报", 2, 2), ("简报", 1, 1)]
    assert bucketed(found, "level") == [("county", 3, 3)]
    assert bucketed(found, "year") == [("2015-2019", 2, 2), ("2020-2024", 1, 1)]
    assert bucketed(found, "untidy") == [("clean", 2, 2), ("untidy", 1, 1)]
    assert [b.documents for b in found.buckets["level"]] == [2]
    assert found.buckets["genre"][0].interval == (1.0, 1.0)


texts = st.lists(
    st.tuples(st.sampled_from(["税收", "甲", "2元", "今年以来"]), st.sampled_from(["ORG", "AMOUNT", None])),
    min_size=1, max_size=8,
)  # fmt: skip


@given(texts, texts)
def test_buckets_leave_nothing_out_and_costs_end_at_nothing_wrong(one, other):
    def annotate(parts):
        return "，".join(f"{{{text}|{label}}}" if label else text for text, label in parts)

    texts_of = [text for text, _ in one]
    labels = [label for _, label in other] + [None] * len(one)
    gold = [annotated(annotate(one))]
    predicted = [annotated(annotate(zip(texts_of, labels, strict=False)))]
    evaluation = evaluate(gold, predicted)
    found = analyse(evaluation, gold, predicted, n=10, training=gold)
    for dimension in ("length", "sentence", "crowd", "seen"):
        assert total(b.counts for b in found.buckets.get(dimension, ())) == evaluation.micro
    assert sum(cost.count for cost in found.costs.get("spans", ())) == len(evaluation.mistakes)
    assert all(cost.cost >= 0 for cost in found.costs.get("spans", ()))
    counted = sum(n for (label, _), n in found.confusion.items() if label)
    assert counted == len(gold[0].spans)
    json.dumps(found.to_json(), allow_nan=False)


def test_what_each_kind_of_mistake_costs():
    gold = [annotated("{税收|METRIC#1}{2元|AMOUNT>1:VALUE}，{甲|ORG}，{利润|METRIC#2}{3元|AMOUNT>2:VALUE}")]
    predicted = [annotated("{税收|METRIC#1}{2元|AMOUNT>1:CHANGE}，甲，{利润|ORG}{3元|AMOUNT}")]
    costs = {what: {c.kind: c for c in those} for what, those in analysed(gold, predicted).costs.items()}
    assert "facts" not in costs  # neither side has any
    f1 = Counts(3, 1, 2).f1
    assert costs["spans"]["missed"].to_json() == {
        "kind": "missed", "count": 1, "f1_without": Counts(4, 1, 1).f1, "cost": Counts(4, 1, 1).f1 - f1,
    }  # fmt: skip
    assert costs["spans"]["wrong label"].mended_f1 == Counts(4, 0, 1).f1
    assert [(kind, c.count, c.cost) for kind, c in costs["links"].items() if c.count] == [
        ("wrong role", 1, pytest.approx(2 / 3)),
        ("span", 1, 0.5),
    ]


def test_a_curve_over_the_threshold():
    found = curve([(0.9, True), (0.8, False), (0.8, True), (0.1, False)], gold=4)
    assert [(p.threshold, p.precision, p.recall) for p in found.points] == [
        (0.9, 1.0, 0.25), (0.8, 2 / 3, 0.5), (0.1, 0.5, 0.5),
    ]  # fmt: skip
    assert found.average_precision == pytest.approx(0.25 + 0.25 * 2 / 3)
    assert (found.best.threshold, found.best.f1) == (0.8, pytest.approx(4 / 7))
    assert curve([], 3) is curve([(0.5, True)], 0) is curve([(0.5, True), (None, True)], 2) is None
    assert curve([(0.5, False)], 1).best.f1 == 0.0


def test_every_label_that_has_scores_has_its_own_curve():
    def scored(text, score):
        one = annotated(text)
        return one.replace(spans=tuple(replace(s, score=score) for s in one.spans))

    found = analysed(
        [annotated("{甲|ORG}，{乙|ORG}，{丙|TIME}")], [scored("{甲|ORG}，{乙|TIME}，{丙|TIME}", 0.5)]
    )
    assert {label: curve.average_precision for label, curve in found.label_curves.items()} == {
        "ORG": 0.5, "TIME": 0.5,
    }  # fmt: skip
    assert list(found.to_json()["precision_recall_by_label"]) == ["ORG", "TIME"]
    # A label that is predicted and never annotated has no recall to draw.
    assert analysed([annotated("甲")], [scored("{甲|ORG}", 0.5)]).label_curves == {}


def test_a_long_curve_is_thinned_to_its_ends():
    found = curve([(1 - n / 10_000, n % 2 == 0) for n in range(5000)], gold=2500)
    assert len(found.points) <= 201
    assert (found.points[0].threshold, found.points[-1].recall) == (1.0, 1.0)


def test_curves_of_links_and_facts(scheme):
    from gongbao.facts import prepare_gold

    gold = prepare_gold(
        annotated("{税收|METRIC#1}{2元|AMOUNT>1:VALUE}，{利润|METRIC#2}{3元|AMOUNT>2:VALUE}"), scheme
    )
    data = gold.to_json()
    for n, item in enumerate(data["links"] + data["facts"]):
        item["score"] = 0.5 + n / 10
    data["links"][0]["role"] = data["facts"][0]["role"] = "CHANGE"
    found = analysed([gold], [Document.from_json(data)])
    assert list(found.curves) == ["links", "facts"]
    assert [(p.precision, p.recall) for p in found.curves["links"].points] == [(1.0, 0.5), (0.5, 0.5)]
    assert [(p.precision, p.recall) for p in found.curves["facts"].points] == [(1.0, 0.5), (0.5, 0.5)]


def test_schemes_have_intervals_and_an_empty_corpus_has_none():
    gold = [annotated("{甲|ORG}{乙|ORG}", f"d{n}") for n in range(20)]
    predicted = [annotated("{甲|ORG}{乙|TIME}" if n % 2 else "{甲|ORG}{乙|ORG}", f"d{n}") for n in range(20)]
    found = analysed(gold, predicted).spans
    low, high = found["strict"].intervals.micro
    assert low < found["strict"].micro.f1 == 0.75 < high
    assert found["strict"].intervals.micro == evaluate(gold, predicted).intervals(n=200).micro
    assert found["boundary"].intervals.micro == (1.0, 1.0)
    assert found["boundary"].labels["TIME"].recall == 0.0
    assert analysed([], []).to_json()["schemes"]["spans"] == {}
