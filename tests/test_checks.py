"""Each rule finds what it is about, in its place, and nothing in a sound document."""

import pytest

from gongbao.checks import SEVERITY, check
from gongbao.inline import parse
from gongbao.schema import Document, LabelScheme, Link, Role, Span

SCHEME = LabelScheme(
    ("METRIC", "AMOUNT", "TIME", "ORG"),
    (Role("VALUE", ("METRIC",), ("AMOUNT",)),),
    {"AMOUNT": "amount", "TIME": "period"},
)
SOUND = "{2023年|TIME}，{税收|METRIC#1}{5亿元|AMOUNT>1:VALUE}，{“一站式”服务站|ORG}设在《要闻》栏。"


def found(text: str, scheme: LabelScheme = SCHEME) -> list[tuple[str, str]]:
    """The rules broken in one text, each with the characters it is about."""
    document = parse(text, id="d")
    findings = check([document], scheme)
    assert all(f.document == "d" and f.severity == SEVERITY[f.rule] for f in findings)
    return [(f.rule, document.text[f.start : f.end]) for f in findings]


def test_nothing_is_wrong_with_a_sound_document() -> None:
    assert found(SOUND) == []
    assert check([], SCHEME) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{甲厂 |ORG}", [("edge-blank", "甲厂 ")]),
        ("{\n甲厂|ORG}", [("edge-blank", "\n甲厂")]),
        ("{甲厂，|ORG}", [("edge-mark", "甲厂，")]),
        ("{、|ORG}", [("edge-mark", "、")]),
        ("{“甲”厂|ORG}{乙（厂）|ORG}{《丙报》|ORG}", []),
        ('{"甲"厂|ORG}', []),
        ("{（甲)厂|ORG}", []),
        ("{“甲厂|ORG}", [("pair", "“甲厂"), ("edge-mark", "“甲厂")]),
        ("{甲”厂|ORG}", [("pair", "甲”厂")]),
        ("{“甲（厂”|ORG}", [("pair", "“甲（厂”"), ("edge-mark", "“甲（厂”")]),
        ('{甲"厂|ORG}', [("pair", '甲"厂')]),
        ("{O’Neill|ORG}", []),
        ("{50%|AMOUNT}{3‰|AMOUNT}{-3.5%|AMOUNT}", []),
        ("{-甲|ORG}", [("edge-mark", "-甲")]),
        ("{今年|TIME}{2023年|TIME}", []),
        ("{甲|FIRM}", [("label", "甲")]),
    ],
)
def test_spans(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize("published", ["soon", "2023-13-01", 2023, ["2023-11-02"]])
def test_a_day_of_publication_that_is_none_is_named_and_periods_are_read_all_the_same(
    published: object,
) -> None:
    (finding,) = check([parse("{去年|TIME}", id="d", meta={"published": published})], SCHEME)
    assert (finding.rule, finding.severity) == ("published", "warning")
    assert repr(published) in finding.message


def test_links() -> None:
    spans = (
        Span(0, 2, "METRIC", "税收", id="a"),
        Span(2, 6, "AMOUNT", "5亿元左", id="b"),
        Span(8, 10, "METRIC", "利润", id="c"),
        Span(10, 13, "AMOUNT", "6亿元", id="d"),
    )
    links = (
        Link("a", "b", "VALUE"),
        Link("a", "d", "VALUE"),
        Link("c", "d", "VALUE"),
        Link("d", "c", "VALUE"),
    )
    document = Document(id="x", text="税收5亿元左右。利润6亿元", spans=spans, links=links)
    findings = check([document], SCHEME)
    assert [(f.rule, f.start, f.end) for f in findings] == [
        ("link-sentences", 0, 13),
        ("link", 8, 13),
        ("tail-links", 10, 13),
    ]
    assert "METRIC '税收' →VALUE→ AMOUNT '6亿元'" in findings[0].message


def test_documents() -> None:
    documents = [
        Document(id="a", text="一 二"),
        Document(id="a", text="三"),
        Document(id="b", text="　一\n二 "),
        Document(id="c", text=" \n"),
    ]
    findings = check(documents, SCHEME)
    assert [(f.document, f.rule, f.start, f.end) for f in findings] == [
        ("a", "duplicate-id", 0, 1),
        ("b", "duplicate-text", 0, 5),
        ("c", "empty-document", 0, 2),
    ]
    assert findings[1].message == "the text is that of a"


def test_invisible_characters() -> None:
    assert found("一\x00\x01二\ufeff\t三\r\n") == [
        ("control-character", "\x00\x01"),
        ("control-character", "\ufeff"),
    ]
    (finding,) = check([Document(id="d", text="一\x0c")], SCHEME)
    assert finding.message == "invisible: U+000C"


def test_findings_are_plain_json_in_order() -> None:
    findings = check([parse("{甲，|ORG}{乙 |ORG}", id="d")], SCHEME)
    assert [f.to_json() for f in findings] == [
        {
            "document": "d", "start": 0, "end": 2, "rule": "edge-mark", "severity": "error",
            "message": "'甲，' begins or ends in ，",
        },
        {
            "document": "d", "start": 2, "end": 4, "rule": "edge-blank", "severity": "error",
            "message": "'乙 ' begins or ends in white space",
        },
    ]  # fmt: skip
    assert str(findings[0]) == "d, characters 0-2: error, edge-mark: '甲，' begins or ends in ，"
