"""Figures of a corpus, and the agreement of two annotators."""

import json

import pytest

from gongbao.inline import parse
from gongbao.metrics import Counts
from gongbao.schema import DataError, Document, UsageError
from gongbao.statistics import agreement, agreements, statistics

TEXT = "税收5亿元，增长6%。"
FIRST = "{税收|METRIC#1}{5亿元|AMOUNT>1:VALUE}，增长{6%|AMOUNT>1:CHANGE}。"
SECOND = "{税收|METRIC#1}{5亿|AMOUNT>1:VALUE}元，{增长|METRIC#2}{6%|AMOUNT>1:VALUE}。"


def test_figures() -> None:
    documents = [
        parse(FIRST, id="a"),
        parse("{9亿元|AMOUNT>1:VALUE}的{税收|METRIC#1}。\n\n好。", id="b"),
        Document(id="c", text="", meta={"illegal_tags": 2}),
    ]
    assert statistics(documents).to_json() == {
        "documents": 3,
        "characters": 22,
        "sentences": 3,
        "spans": 5,
        "links": 3,
        "spans_per_1000_characters": 227.27,
        "labels": {
            "AMOUNT": {
                "spans": 3,
                "distinct": 3,
                "length": {"min": 2, "median": 3, "p90": 3, "p99": 3, "max": 3},
            },
            "METRIC": {
                "spans": 2,
                "distinct": 1,
                "length": {"min": 2, "median": 2, "p90": 2, "p99": 2, "max": 2},
            },
        },
        "roles": {
            "VALUE": {
                "links": 2,
                "backward": 1,
                "distance": {"min": 0, "median": 0, "p90": 1, "p99": 1, "max": 1},
            },
            "CHANGE": {
                "links": 1,
                "backward": 0,
                "distance": {"min": 6, "median": 6, "p90": 6, "p99": 6, "max": 6},
            },
        },
        "repaired_tags": 2,
    }
    told = str(statistics(documents))
    assert told.startswith(
        "3 documents, 3 sentences, 22 characters\n5 spans (227.3 per 1,000 characters), 3 links\n"
    )
    assert "METRIC            2 spans       1 strings   length min 2, median 2" in told
    assert "VALUE             2 links       1 backward  distance min 0" in told
    assert told.endswith("2 illegal tags were repaired")


def test_figures_of_nothing() -> None:
    figures = statistics([])
    assert str(figures).count("\n") == 1
    assert (figures.documents, figures.spans, figures.spans_per_1000, figures.labels) == (0, 0, 0.0, {})


def test_agreement_and_each_difference() -> None:
    a = [parse(FIRST, id="a"), parse("好", id="b")]
    b = [parse("好", id="b"), parse(SECOND, id="a")]
    found = agreement(a, b)
    assert found.documents == 2
    assert found.spans == {"AMOUNT": Counts(1, 1, 1), "METRIC": Counts(1, 1, 0)}
    assert found.all_spans.f1 == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert found.links == {"CHANGE": Counts(0, 0, 1), "VALUE": Counts(0, 2, 1)}
    assert found.all_links.f1 == 0.0
    assert [(d.start, d.end, d.first, d.second) for d in found.disagreements] == [
        (0, 4, None, "'税收' →VALUE→ '5亿'"),
        (0, 5, "'税收' →VALUE→ '5亿元'", None),
        (0, 10, "'税收' →CHANGE→ '6%'", None),
        (0, 10, None, "'税收' →VALUE→ '6%'"),
        (2, 5, "AMOUNT '5亿元'", "AMOUNT '5亿'"),
        (6, 8, None, "METRIC '增长'"),
    ]
    assert all(d.document == "a" for d in found.disagreements)
    assert found.all_links == Counts(0, 2, 2)
    told = found.to_json()
    assert told["spans"]["micro"]["tp"] == 2
    assert told["disagreements"][4] == {
        "document": "a", "start": 2, "end": 5, "first": "AMOUNT '5亿元'", "second": "AMOUNT '5亿'",
    }  # fmt: skip
    assert json.loads(json.dumps(told)) == told
    lines = str(found).split("\n")
    assert lines[:2] == ["2 documents", "all spans    F1 0.571   both 2, first only 1, second only 2"]
    assert lines[-1] == "a, characters 6-8: nothing | METRIC '增长'"


def test_agreement_is_the_same_from_both_sides() -> None:
    a, b = [parse(FIRST, id="a")], [parse(SECOND, id="a")]
    one, other = agreement(a, b), agreement(b, a)
    assert one.all_spans.f1 == other.all_spans.f1
    assert len(one.disagreements) == len(other.disagreements)
    same = agreement(a, a)
    assert (same.all_spans.f1, same.all_links.f1, same.disagreements) == (1.0, 1.0, ())


@pytest.mark.parametrize(
    ("a", "b", "problem", "start"),
    [
        (["一"], ["一", "二"], "the first annotation does not have", None),
        (["一", "二"], ["一"], "the second annotation does not have", None),
        (["一二"], ["一三"], "different texts", 1),
        (["一二"], ["一"], "different texts", 1),
        (["一"], ["一\n"], "different texts", 1),
    ],
)
def test_only_the_same_documents_are_compared(
    a: list[str], b: list[str], problem: str, start: int | None
) -> None:
    one, other = ([Document(id=str(n), text=text) for n, text in enumerate(texts)] for texts in (a, b))
    with pytest.raises(DataError, match=problem) as caught:
        agreement(one, other)
    assert caught.value.start == start


def test_a_document_that_is_there_twice_is_refused() -> None:
    one = Document(id="a", text="一")
    with pytest.raises(DataError, match="second annotation has the document twice"):
        agreement([one], [one, one])


def test_annotators_of_one_import_are_compared_two_by_two() -> None:
    text = "{税收|METRIC#1}{9亿元|AMOUNT>1:VALUE}"
    bare = "{税收|METRIC}9亿元"
    documents = [
        parse(text, id="task-1@王"), parse(text, id="task-1@李"), parse(bare, id="task-2@王"), parse(text, id="task-2@李"),
        parse(text, id="task-3@张"),
    ]  # fmt: skip
    found = agreements(documents)
    assert list(found) == [("李", "王")]
    assert found["李", "王"].documents == 2
    assert {d.document for d in found["李", "王"].disagreements} == {"task-2"}


@pytest.mark.parametrize("id", ["task-1", "@王", "task-1@"])
def test_an_id_without_an_annotator_says_how_to_import(id: str) -> None:
    with pytest.raises(DataError, match="names no annotator"):
        agreements([parse("{税收|METRIC}", id=id)])


def test_annotators_that_share_nothing() -> None:
    with pytest.raises(UsageError, match="no two annotators"):
        agreements([parse("{税收|METRIC}", id="1@王"), parse("{税收|METRIC}", id="2@李")])
