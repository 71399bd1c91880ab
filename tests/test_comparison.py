"""Two systems side by side: who has what, and whether it may be chance."""

import json

import pytest

from gongbao.comparison import compare
from gongbao.facts import prepare_gold
from gongbao.inline import parse
from gongbao.metrics import evaluate, significance
from gongbao.schema import DataError, Document

GOLD = "{甲|ORG}，{乙|ORG}，{丙|ORG}，{丁|TIME}，戊"
ONE = "{甲|ORG}，{乙|ORG}，丙，{丁|ORG}，{戊|ORG}"
OTHER = "{甲|ORG}，乙，丙，{丁|TIME}，{戊|ORG}"


def documents(text, count=1):
    return [parse(text, id=f"d{n}") for n in range(count)]


def compared(one, other, gold=None, **more):
    gold = gold or documents(GOLD, len(one))
    return compare(gold, (evaluate(gold, one), one), (evaluate(gold, other), other), **more)


def test_who_has_what():
    found = compared(documents(ONE), documents(OTHER), n=100)
    assert found.found["spans"] == {"both": 1, "one": 1, "other": 1, "neither": 1}
    assert found.invented["spans"] == {"both": 1, "one": 1, "other": 0}
    assert [(a.span.text, a.span.label, a.by, a.right) for a in found.apart] == [
        ("乙", "ORG", "one", True), ("丁", "ORG", "one", False), ("丁", "TIME", "other", True),
    ]  # fmt: skip
    assert found.documents == {"one": 0, "other": 1, "both": 0}
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["apart"][0]["span"]["text"] == "乙"
    assert data["differences"]["links"] is None


def test_links_and_facts_by_who_has_them(scheme):
    text = "{税收|METRIC#1}{2元|AMOUNT>1:VALUE}，{利润|METRIC#2}{3元|AMOUNT>2:VALUE}"
    gold, one = (prepare_gold(parse(text, id="d"), scheme) for _ in range(2))
    other = prepare_gold(parse(text.replace(">2:VALUE", ">2:CHANGE"), id="d"), scheme)
    data = other.to_json()
    data["spans"][1]["value"]["low"] = data["spans"][1]["value"]["high"] = 7
    found = compared([one], [Document.from_json(data)], [gold], n=50)
    assert found.found["links"] == {"both": 1, "one": 1, "other": 0, "neither": 0}
    assert found.invented["links"] == {"both": 0, "one": 0, "other": 1}
    assert [(a.what, a.arrow.tail.text, a.by, a.right) for a in found.apart_links] == [
        ("links", "3元", "other", False), ("links", "3元", "one", True), ("facts", "2元", "one", True),
    ]  # fmt: skip
    assert found.to_json()["apart_links"][2]["tail"]["text"] == "2元"
    # A right link with a wrong value is no fact of gold.
    assert found.found["facts"] == {"both": 0, "one": 2, "other": 0, "neither": 0}
    assert found.invented["facts"] == {"both": 0, "one": 0, "other": 2}


def test_differences_of_labels_and_of_all():
    found = compared(documents(ONE, 30), documents(OTHER, 30), n=500)
    assert found.differences == significance(found.one, found.other, n=500)
    assert found.labels["TIME"].difference == -1.0
    assert found.labels["TIME"].significant
    assert found.labels["ORG"].difference == pytest.approx(
        found.one.spans["ORG"].f1 - found.other.spans["ORG"].f1
    )


def test_the_same_system_twice_differs_in_nothing():
    found = compared(documents(ONE, 3), documents(ONE, 3), n=50)
    assert found.apart == found.apart_links == ()
    assert found.documents["both"] == 3
    assert {d.p for d in found.labels.values()} == {1.0}


def test_the_order_of_the_documents_does_not_matter():
    gold = documents(GOLD, 4)
    one = [*documents(ONE, 2), *documents(OTHER, 4)[2:]]
    assert compared(one[::-1], documents(OTHER, 4), gold, n=100).to_json() == (
        compared(one, documents(OTHER, 4)[::-1], gold, n=100).to_json()
    )


def test_other_documents_are_refused():
    one, other = documents(ONE, 2), documents(OTHER, 1)
    with pytest.raises(DataError, match="d1"):
        compare(
            documents(GOLD, 2),
            (evaluate(documents(GOLD, 2), one), one),
            (evaluate(documents(GOLD, 1), other), other),
        )
