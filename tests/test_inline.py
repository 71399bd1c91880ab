"""The inline notation: what is written is read back, and what is broken is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.inline import parse, render
from gongbao.schema import DataError, Document, LabelScheme, Link, Role, Span

SCHEME = LabelScheme(("METRIC", "AMOUNT"), (Role("VALUE", ("METRIC",), ("AMOUNT",)),))


def spans(document: Document) -> list[tuple[int, int, str, str]]:
    return [(s.start, s.end, s.label, s.id) for s in document.spans]


def test_spans_and_links_are_read() -> None:
    document = parse(
        "完成{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE}。", id="甲", scheme=SCHEME, meta={"year": 2023}
    )
    assert document.id == "甲"
    assert document.text == "完成财政收入2.3亿元。"
    assert document.meta == {"year": 2023}
    assert spans(document) == [(2, 6, "METRIC", "s1"), (6, 11, "AMOUNT", "s2")]
    assert document.links == (Link("s1", "s2", "VALUE"),)


def test_a_link_may_lead_backward_and_names_may_be_chinese() -> None:
    document = parse("{5亿|金额>甲-1:数_值}的{税收|指标#甲-1>2:x}{中|B-2#2}", id="d")
    assert [s.label for s in document.spans] == ["金额", "指标", "B-2"]
    assert document.links == (Link("s2", "s1", "数_值"), Link("s3", "s2", "x"))


def test_escaped_marks_are_characters() -> None:
    document = parse(r"a\{b\}\|\\{c\|\}d|L}\\", id="d")
    assert document.text == r"a{b}|\c|}d" + "\\"
    assert [s.text for s in document.spans] == ["c|}d"]


def test_line_ends_are_kept() -> None:
    assert parse("一\r\n{二\n三|L}\r\u2028", id="d").text == "一\r\n二\n三\r\u2028"


@pytest.mark.parametrize(
    ("text", "problem", "place", "marked"),
    [
        ("一\n{二三", "not closed", "line 2, column 1", "{"),
        ("{一|L", "not closed", "line 1, column 3", "|"),
        ("{一|L\n二}", "not closed", "line 1, column 3", "|"),
        ("一{二{三|L}|L}", "inside a span", "line 1, column 4", "{"),
        ("{一}", "without a label", "line 1, column 1", "{一}"),
        ("{一|}", "not a tag", "line 1, column 3", "|}"),
        ("{一|L#}", "not a tag", "line 1, column 3", "|L#}"),
        ("{一|L M}", "not a tag", "line 1, column 3", "|L M}"),
        ("{|L}", "without text", "line 1, column 1", "{|L}"),
        ("一}", "belongs to no span", "line 1, column 2", "}"),
        ("一|二", "belongs to no span", "line 1, column 2", "|"),
        ("一\\二", "belongs to no span", "line 1, column 2", "\\"),
        ("{一|L#1}\n{二|L#1}", "a second time", "line 2, column 6", "1"),
        ("{一|L>7:R}", "which no span has", "line 1, column 6", "7"),
        ("{一|L#1>1:R}", "to itself", "line 1, column 8", "1"),
        ("{一|L>7}", "without a role", "line 1, column 3", "|L>7}"),
        ("{一|L>7:}", "without a role", "line 1, column 3", "|L>7:}"),
        ("{一|L>}", "without a role", "line 1, column 3", "|L>}"),
    ],
)
def test_broken_notation_is_shown(text: str, problem: str, place: str, marked: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        parse(text, id="甲")
    error = caught.value
    assert error.record == f"甲, {place}"
    assert error.text is not None
    assert error.text[error.start : error.end] == marked
    assert "^" in str(error)


@pytest.mark.parametrize(
    ("text", "problem", "marked"),
    [
        ("{一|ORG}", "'ORG' is not in the scheme", "ORG"),
        ("{一|METRIC#1}{二|AMOUNT>1:CHANGE}", "no 'CHANGE' link", "1:CHANGE"),
        ("{一|AMOUNT#1}{二|AMOUNT>1:VALUE}", "no 'VALUE' link from AMOUNT '一'", "1:VALUE"),
    ],
)
def test_the_scheme_is_held(text: str, problem: str, marked: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        parse(text, id="d", scheme=SCHEME)
    assert text[caught.value.start : caught.value.end] == marked
    assert len(parse(text, id="d").spans) >= 1


def test_rendered_in_the_order_of_the_text() -> None:
    document = Document(
        id="d",
        text="{税收5亿元",
        spans=(Span(3, 6, "AMOUNT", "5亿元", id="b"), Span(1, 3, "METRIC", "税收", id="a")),
        links=(Link("a", "b", "VALUE"),),
    )
    assert render(document) == r"\{{税收|METRIC#1}{5亿元|AMOUNT>1:VALUE}"


def test_what_the_notation_cannot_hold_is_refused() -> None:
    one, two = Span(0, 1, "M", "一", id="a"), Span(1, 2, "A", "二", id="b")
    twice = Document(id="d", text="一二", spans=(one, two), links=(Link("a", "b", "X"), Link("a", "b", "Y")))
    with pytest.raises(DataError, match="'二' has two links") as caught:
        render(twice)
    assert (caught.value.record, caught.value.start) == ("d", 1)
    for label in ("有 空格", "a}b", "a#b", "a:b"):
        with pytest.raises(DataError, match="cannot hold"):
            render(Document(id="d", text="一", spans=(Span(0, 1, label, "一", id="a"),)))
    with pytest.raises(DataError, match="cannot hold"):
        render(Document(id="d", text="一二", spans=(one, two), links=(Link("a", "b", "X>"),)))


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(st.text(alphabet="{|}\\#>:一二3 \n\r😀", max_size=40) | st.text(max_size=20))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    names = st.text(alphabet="AB-_9金额", min_size=1, max_size=4)
    found = [
        Span(a, b, draw(names), text[a:b], id=f"s{n}")
        for n, (a, b) in enumerate(zip(cuts[::2], cuts[1::2], strict=False), 1)
    ]
    links = []
    for tail in found:
        heads = [s for s in found if s is not tail]
        if heads and draw(st.booleans()):
            links.append(Link(draw(st.sampled_from(heads)).id, tail.id, draw(names)))
    return Document(id="d", text=text, spans=tuple(found), links=tuple(links))


@given(documents())
def test_what_is_rendered_is_read_back(document: Document) -> None:
    assert parse(render(document), id="d") == document


@given(st.text(alphabet="{|}\\#>:AB1一\n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = parse(text, id="d")
    except DataError:
        return
    assert parse(render(document), id="d") == document
