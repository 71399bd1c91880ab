"""Documents and what they hold: what cannot be built, and how the error shows the place."""

import copy
import dataclasses
import json
import pickle
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.schema import (
    UNREAD,
    Amount,
    Block,
    DataError,
    Document,
    Fact,
    LabelScheme,
    Link,
    Period,
    Role,
    Span,
    UsageError,
    excerpt,
    value_from_json,
)

TEXT = "全镇完成财政收入2.3亿元,占年度任务的88.6%"
METRIC = Span(4, 8, "METRIC", "财政收入", "s1")
AMOUNT = Span(8, 13, "AMOUNT", "2.3亿元", "s2")
SHARE = Span(20, 25, "AMOUNT", "88.6%", "s3")
SCHEME = LabelScheme(
    ("METRIC", "AMOUNT"), (Role("VALUE", ("METRIC",), ("AMOUNT",)), Role("COMPLETION", ("METRIC",), ("AMOUNT",))),
    {"AMOUNT": "amount"},
)  # fmt: skip


def build(*spans, links=(), facts=(), blocks=(), scheme=SCHEME, text=TEXT):
    return Document("doc", text, spans=spans, links=links, facts=facts, blocks=blocks, scheme=scheme)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Span(3, 3, "A", "", "s"), "empty or backward"),
        (lambda: Span(-1, 3, "A", "abcd", "s"), "empty or backward"),
        (lambda: Span(5, 3, "A", "ab", "s"), "empty or backward"),
        (lambda: Span(1.0, 3, "A", "ab", "s"), "empty or backward"),
        (lambda: Span(0, 3, "A", "ab", "s"), "has 2 characters"),
        (lambda: Span(0, 2, "", "ab", "s"), "no label"),
        (lambda: Span(0, 2, "A", "ab", ""), "no id"),
        (lambda: build(dataclasses.replace(METRIC, start=5, end=9)), "the text there is different"),
        (lambda: build(Span(24, 27, "METRIC", "%??", "s1")), "ends behind the text's 25 characters"),
        (lambda: build(METRIC, Span(7, 13, "AMOUNT", "入2.3亿元", "s2")), "overlap"),
        (lambda: build(METRIC, dataclasses.replace(AMOUNT, id="s1")), "occurs twice"),
        (lambda: build(dataclasses.replace(METRIC, label="指标")), "not in the scheme"),
        (lambda: build(METRIC, links=[Link("s1", "s9", "VALUE")]), "'s9', which is not there"),
        (lambda: build(METRIC, links=[Link("s1", "s1", "VALUE")]), "linked to itself"),
        (lambda: build(METRIC, AMOUNT, links=[Link("s1", "s2", "VALUE")] * 2), "there twice"),
        (lambda: build(METRIC, AMOUNT, links=[Link("s2", "s1", "VALUE")]), "no 'VALUE' link from AMOUNT"),
        (lambda: build(METRIC, AMOUNT, links=[Link("s1", "s2", "OWNS")]), "no 'OWNS' link"),
        (
            lambda: build(METRIC, AMOUNT, facts=[Fact("s1", "s2", "VALUE", period="s7")]),
            "'s7', which is not there",
        ),
        (lambda: build(blocks=[Block(0, 9, 1), Block(5, 12, 2)]), "out of order"),
        (lambda: build(blocks=[Block(0, 99, 1)]), "outside the text"),
        (lambda: Document("", "x"), "a document's id"),
        (lambda: Document("a", b"x"), "not text"),
        (lambda: Amount("cash", 1, 1, "CNY"), "'cash' is no kind"),
        (lambda: Amount("money", 1, 1, "CNY", "roughly"), "'roughly' is no approximation"),
        (lambda: Amount("money", None, None, "CNY"), "a low or a high"),
        (lambda: Amount("money", 2, 1, "CNY"), "above the high side"),
        (lambda: Period(None, None), "a start or an end"),
        (lambda: Period(date(2023, 2, 1), date(2023, 1, 1)), "ends before"),
        (lambda: Fact("s1", "s2", "CHANGE", direction="sideways"), "goes 'sideways'"),
        (lambda: LabelScheme(()), "at least one label"),
        (lambda: LabelScheme(("A", "A")), "the label 'A' twice"),
        (lambda: LabelScheme(("A",), (Role("R"), Role("R"))), "the role 'R' twice"),
        (lambda: LabelScheme(("A",), (Role("R", ("B",)),)), "names the label 'B'"),
        (lambda: LabelScheme(("A",), (), {"A": "colour"}), "read as 'colour'"),
        (lambda: LabelScheme(("A",), (), {"B": "amount"}), "names the label 'B'"),
    ],
)
def test_what_cannot_be_built(make, says):
    with pytest.raises(DataError) as caught:
        make()
    assert says in str(caught.value)


def test_an_error_shows_its_place_with_a_marker_below():
    with pytest.raises(DataError) as caught:
        build(METRIC, Span(7, 13, "AMOUNT", "入2.3亿元", "s2"))
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("doc, characters 7-13: ")
    assert lines[1] == "  全镇完成财政收入2.3亿元,占年度任务的88.6%"
    # Seven wide characters and two blanks stand before; 入, 亿 and 元 take two columns each.
    assert lines[2] == " " * 16 + "^" * 9


def test_an_excerpt_is_one_line_whatever_the_text_holds():
    text = "一\n二\r\t三\u2028四" + "五" * 40
    shown, marker = excerpt(text, 1, 4).split("\n")
    assert shown.startswith("  一␊二␍␉三␤四")
    assert shown.endswith("…")
    assert marker.strip("^") == "    "
    assert excerpt("五" * 500, 100, 400).endswith(f"…\n{' ' * 27}{'^' * 120}")
    assert excerpt("abc", 90, 99) == "  abc\n     ^"


def test_an_error_without_a_place_is_its_sentence():
    assert str(UsageError("no model")) == "no model"
    assert str(UsageError("no model", remedy="train one")) == "no model\n  → train one"
    assert str(DataError("bad").within(file="a.json", record="task 3")) == "a.json, task 3: bad"
    assert str(DataError("bad", file="b", record="r").within(file="a", record="s")) == "b, r: bad"


def test_spans_are_kept_in_the_order_of_the_text():
    assert [s.id for s in build(SHARE, AMOUNT, METRIC).spans] == ["s1", "s2", "s3"]


def test_documents_are_frozen_all_through():
    document = Document("a", "x", meta={"k": 1})
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.text = "y"
    with pytest.raises(TypeError):
        document.meta["k"] = 2
    source = {"k": [1]}
    held = Document("a", "x", meta=source)
    source["k2"] = 1
    assert dict(held.meta) == {"k": [1]}


def test_a_span_is_found_by_its_id():
    document = build(METRIC, AMOUNT)
    assert document.span("s2") is AMOUNT
    with pytest.raises(KeyError):
        document.span("s9")


def test_a_changed_copy_is_checked_too():
    document = build(METRIC, AMOUNT, links=[Link("s1", "s2", "VALUE")])
    assert document.replace(links=()).links == ()
    with pytest.raises(DataError, match="which is not there"):
        document.replace(spans=(METRIC,))


def test_every_character_knows_its_block_and_gaps_have_none():
    document = build(
        blocks=[Block(0, 4, 1, page=1), Block(4, 13, 2, page=1, kind="heading"), Block(14, 25, 3, page=2)]
    )
    assert [document.block_at(n).paragraph for n in (0, 3, 4, 12, 14, 24)] == [1, 1, 2, 2, 3, 3]
    assert document.block_at(13) is None
    assert document.block_at(25) is None
    assert build().block_at(3) is None


def test_json_round_trip_with_everything_in_it():
    document = Document(
        "doc", TEXT, meta={"title": "季报"},
        spans=(
            dataclasses.replace(METRIC, score=0.99),
            dataclasses.replace(AMOUNT, value=Amount("money", 230000000, 230000000, "CNY")),
            dataclasses.replace(SHARE, value=None),
        ),
        links=(Link("s1", "s2", "VALUE", 0.97),), facts=(Fact("s1", "s2", "VALUE", score=0.9, inherited=("period",), direction="down"),),
        blocks=(Block(0, 25, 1, page=3, kind="note"),), model={"name": "m"}, scheme=SCHEME,
    )  # fmt: skip
    data = json.loads(document.to_line())
    assert data["spans"][2]["value"] is None
    assert "value" not in data["spans"][0]
    assert Document.from_json(data, SCHEME) == document


@given(st.text(max_size=60), st.data())
def test_any_text_round_trips(text, data):
    text = text.encode("utf-8", "replace").decode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = [
        Span(a, b, "METRIC", text[a:b], f"s{a}", value=data.draw(st.sampled_from([UNREAD, None, Period(date(2023, 1, 1), None)])))
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    ]  # fmt: skip
    document = Document("d", text, spans=tuple(spans))
    assert Document.from_json(json.loads(document.to_line())) == document
    assert "\n" not in document.to_line()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"text": None}, "'text' is None"),
        ({"text": 5}, "'text' is 5"),
        ({"id": 7}, "'id' is 7, not text"),
        ({"spans": {}}, "'spans' is {}"),
        ({"spans": [7]}, "a span is a JSON object"),
        ({"spans": [{"start": 4, "end": 8}]}, "'label' is missing"),
        ({"spans": [{"start": "4", "end": 8, "label": "METRIC"}]}, "'start' is '4'"),
        ({"spans": [{"start": True, "end": 8, "label": "METRIC"}]}, "'start' is True"),
        ({"spans": [{"start": 4, "end": 8, "label": "METRIC", "text": "财政"}]}, "has 2 characters"),
        ({"spans": [{"start": 4, "end": 99999, "label": "METRIC"}]}, "4-99999 does not lie in the text's 25"),
        ({"spans": [{"start": 4, "end": 8, "label": "METRIC", "colour": 1}]}, "no field 'colour'"),
        (
            {"spans": [{"start": 4, "end": 8, "label": "METRIC", "value": {"kind": "money", "low": "1"}}]},
            "low is '1'",
        ),
        ({"spans": [{"start": 4, "end": 8, "label": "METRIC", "value": {"start": "2023"}}]}, "is no date"),
        ({"links": [{"head": "s1", "tail": "s2"}]}, "'role' is missing"),
        ({"facts": [{"metric": "s1"}]}, "'amount' is missing"),
        ({"blocks": [{"start": 0, "end": 1}]}, "'paragraph' is missing"),
        ({"meta": []}, "'meta' is []"),
        ({"labels": []}, "no field 'labels'"),
    ],
)
def test_broken_json_names_the_document_and_the_field(change, says):
    data = {"id": "doc-7", "text": TEXT, **change}
    with pytest.raises(DataError) as caught:
        Document.from_json(data)
    assert says in str(caught.value)


def test_what_is_no_object_is_refused():
    with pytest.raises(DataError, match="a document is a JSON object"):
        Document.from_json([1])
    with pytest.raises(DataError, match="'text' is missing"):
        Document.from_json({"id": "a"})


def test_a_span_by_hand_may_leave_out_text_and_id():
    document = Document.from_json(
        {"id": "a", "text": TEXT, "spans": [{"start": 4, "end": 8, "label": "METRIC"}]}
    )
    assert document.spans == (METRIC,)


def test_values_round_trip():
    for value in (
        Amount("area", 1.5, 2, "mu", "about", 1000, 1333.3, "m2"),
        Amount("count", None, 3, "家", "at_most"),
        None,
    ):
        assert value_from_json(value.to_json() if value else None) == value
    period = Period(None, date(2025, 12, 31))
    assert value_from_json(period.to_json()) == period


def test_a_scheme_round_trips_and_says_what_may_be_linked():
    assert LabelScheme.from_json(json.loads(json.dumps(SCHEME.to_json()))) == SCHEME
    assert SCHEME.allows("METRIC", "AMOUNT", "VALUE")
    assert not SCHEME.allows("AMOUNT", "METRIC", "VALUE")
    assert LabelScheme(("A", "B"), (Role("R"),)).allows("B", "A", "R")


def test_documents_and_schemes_can_be_copied_and_sent_to_other_processes():
    document = Document(
        "d", TEXT, {"title": ["x"]}, (METRIC, AMOUNT), (Link("s1", "s2", "VALUE"),), (Fact("s1", "s2", "VALUE"),),
        (Block(0, len(TEXT), 1),), {"name": "m"},
    )  # fmt: skip
    for same in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        assert same(document) == document
        assert same(document).span("s2") == AMOUNT
        assert same(SCHEME) == SCHEME
    copied = copy.deepcopy(document)
    copied.meta["title"].append("y")
    assert document.meta["title"] == ["x"]
