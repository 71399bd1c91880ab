"""The pages are parsed and looked into; a browser is not needed."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import date

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongbao.files import PACKAGE
from gongbao.metrics import Counts, DocumentCounts, Evaluation, evaluate
from gongbao.report import evaluation as report_of_evaluation
from gongbao.report import extraction_view, score_table, view, write_report
from gongbao.report.evaluation import Against
from gongbao.report.pages import short, value_text
from gongbao.schema import UNREAD, Amount, DataError, Document, Fact, Link, Period, Span, UsageError
from gongbao.suspects import Suspect

TEXT = "今年以来，青石镇完成财政收入2.3亿元，占年度任务的88.6%。\n\n    新建管网7公里，县水务局派驻12人。"
GOLD = (
    "今年以来|TIME",
    "青石镇|ORG",
    "财政收入|METRIC",
    "2.3亿元|AMOUNT",
    "88.6%|AMOUNT",
    "管网|METRIC",
    "7公里|AMOUNT",
    "县水务局|ORG",
)
# Missed 青石镇, 管网 under another label, 88.6 without its sign, 12人 invented.
PREDICTED = (
    "今年以来|TIME",
    "财政收入|METRIC",
    "2.3亿元|AMOUNT",
    "88.6|AMOUNT",
    "管网|PROJECT",
    "7公里|AMOUNT",
    "县水务局|ORG",
    "12人|AMOUNT",
)
LABELS = ("METRIC", "AMOUNT", "PROJECT", "ORG", "TIME")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u2028{{ 7 * 7 }}</title></style>-->"


def document(spans=(), name="d", text=TEXT, **more):
    """A document with the spans that are spelled `text|LABEL`, each where its text first stands; ids are its texts."""
    made = [
        Span(text.index(part), text.index(part) + len(part), label, part, id=part)
        for part, label in (spelled.rsplit("|", 1) for spelled in spans)
    ]
    return Document(name, text, spans=tuple(made), **more)


@pytest.fixture
def gold():
    return document(
        GOLD,
        links=(Link("财政收入", "2.3亿元", "VALUE"), Link("财政收入", "88.6%", "COMPLETION")),
        meta={"title": "青石镇的一年"},
    )


@pytest.fixture
def predicted():
    return document(
        PREDICTED, links=(Link("财政收入", "2.3亿元", "VALUE"), Link("财政收入", "7公里", "VALUE"))
    )


def written(tmp_path, gold, predicted, name="report.html", **more):
    """The report's text."""
    path = tmp_path / name
    more = {"model": "demo", "data": "test", "labels": LABELS} | more
    write_report(path, evaluate(gold, predicted), gold, predicted, **more)
    return path.read_bytes().decode("utf-8")


def parsed(html):
    return lxml.html.document_fromstring(html)


def words(element):
    """The element's text in English, on one line."""
    copy = lxml.html.fromstring(lxml.html.tostring(element, encoding="unicode"))
    for other in copy.xpath('descendant::*[@lang="zh-Hans"]'):
        other.drop_tree()
    return " ".join(copy.text_content().split())


def marks(element):
    return [(mark.text_content(), mark.get("class").split()) for mark in element.iter("mark")]


def tags(element):
    return element.xpath(".//i/@data-tag")


def rows(page, caption):
    """The rows of the table with that caption, their cells in English."""
    table = page.xpath(f'//caption[@id="{caption}"]/..')[0]
    return [[words(cell) for cell in row.xpath("th|td")] for row in table.xpath("tbody/tr|tfoot/tr")]


# ------------------------------------------------------------------------------------- the report


def test_each_way_to_count_is_defined_and_scored(tmp_path, gold, predicted):
    table = rows(parsed(written(tmp_path, [gold], [predicted])), "scheme-scores")
    assert [row[0] for row in table] == [
        "Strict", "Boundary only", "Label only", "Partial", "Links", "Links, whatever the role", "Facts", "Facts, whatever the value",
    ]  # fmt: skip
    assert all(row[-1].startswith("A ") and row[-1].endswith(".") for row in table)
    assert [row[1] for row in table] == ["0.625", "0.750", "0.750", "0.812", "0.500", "0.500", "—", "—"]
    assert rows(parsed(written(tmp_path, [gold], [predicted])), "label-schemes")[1] == [
        "AMOUNT", "0.571", "0.571", "0.857", "0.714",
    ]  # fmt: skip


def test_what_spans_are_like(tmp_path, gold, predicted):
    one, other = (d.replace(meta={"genre": "简报", "untidy": True, "year": 2023}) for d in (gold, predicted))
    html = written(tmp_path, [one], [other], training=[document(["财政收入|METRIC", "88.6|ORG"])])
    page = parsed(html)
    assert [row[0] for row in rows(page, "bucket-seen")] == [
        "seen, same label",
        "seen with another label",
        "unseen",
    ]
    assert [row[5] for row in rows(page, "bucket-seen")] == ["1", "0", "7"]
    assert rows(page, "bucket-genre")[0][0] == "简报"
    assert rows(page, "bucket-year")[0][0] == "2020-2024"
    assert rows(page, "bucket-untidy")[0][0] == "untidy"
    assert sum(int(row[5]) for row in rows(page, "bucket-length")) == len(GOLD)
    assert [row[0] for row in rows(page, "bucket-distance")] == ["0", "11-20", "21+"]
    assert not parsed(written(tmp_path, [one], [other])).xpath('//*[@id="bucket-seen"]')
    assert "| Seen in training | seen\\, same label | 1.000 |" in written(
        tmp_path, [one], [other], "r.md", training=[document(["财政收入|METRIC"])]
    )


def test_confusion_matrix(tmp_path, gold, predicted):
    table = {row[0]: row[1:] for row in rows(parsed(written(tmp_path, [gold], [predicted])), "confusion")}
    # METRIC AMOUNT PROJECT ORG TIME none
    assert table["METRIC"] == ["1", "", "1", "", "", ""]
    assert table["AMOUNT"] == ["", "3", "", "", "", ""]
    assert table["ORG"] == ["", "", "", "1", "", "1"]
    assert table["none"] == ["", "1", "", "", "", ""]


def scored(one, score):
    return one.replace(spans=tuple(replace(s, score=score) for s in one.spans))


def test_curves_are_drawn_where_there_are_scores(tmp_path, gold, predicted):
    assert not parsed(written(tmp_path, [gold], [predicted])).xpath('//*[@id="curves"]')
    sure = predicted.replace(spans=tuple(
        replace(s, score=0.9 if s.key in {g.key for g in gold.spans} else 0.4) for s in predicted.spans
    ))  # fmt: skip
    page = parsed(written(tmp_path, [gold], [sure]))
    (curve,) = page.xpath(
        '//*[@class="side-by-side"]/figure[1]//svg[@class="plot"]/path[starts-with(@class, "curve")]/@d'
    )
    # At 0.9 five of five are right and of eight found; at 0.4 five of eight. The axes begin at 0.6.
    assert curve == "M21.3 0.0L21.3 215.6"
    # Of ORG one of two was found; of AMOUNT two of three, and 88.6 and 12人 are wrong.
    assert rows(page, "curve-figures") == [
        ["Spans", "0.625", "0.900", "0.769"], ["METRIC", "0.500", "0.900", "0.667"],
        ["AMOUNT", "0.667", "0.900", "0.800"], ["ORG", "0.500", "0.900", "0.667"], ["TIME", "1.000", "0.900", "1.000"],
    ]  # fmt: skip
    small = page.xpath('//*[@class="multiples"]/figure')
    assert [words(figure.find("figcaption")) for figure in small] == [
        "METRIC average precision 0.500", "AMOUNT average precision 0.667", "ORG average precision 0.500",
        "TIME average precision 1.000",
    ]  # fmt: skip
    assert "| AMOUNT | 0.667 | 0.900 | 0.800 |\n" in written(tmp_path, [gold], [sure], "r.md")
    data = json.loads(written(tmp_path, [gold], [sure], "r.json"))
    assert list(data["precision_recall_by_label"]) == ["AMOUNT", "METRIC", "ORG", "TIME"]
    assert "Expected calibration error 0.213" in words(page.xpath('//*[@id="curves"]')[0])


def test_gold_in_doubt_is_listed_apart(tmp_path, gold, predicted):
    assert not parsed(written(tmp_path, [gold], [predicted])).xpath('//*[@id="suspects"]')
    page = parsed(written(tmp_path, [gold], [predicted], suspects=[]))
    assert "There are none." in words(page.xpath('//*[@id="suspects"]')[0])
    doubts = [Suspect("d", 0, 4, "unlabelled", 0.75, "", "ORG '今年'", "【今年】以来")] * 60
    doubts.append(Suspect("d", 0, 4, "missed", 0.25, "ORG '今年'", "", "【今年】以来"))
    page = parsed(written(tmp_path, [gold], [predicted], suspects=doubts))
    listed = rows(page, "suspect-list")
    # The many of one kind do not drown the one of another.
    assert len(listed) == report_of_evaluation.SHOWN_SUSPECTS + 1
    assert listed[-1][:2] == ["0.250", "Missed"]
    assert listed[0] == ["0.750", "labelled elsewhere", "— → ORG '今年'", "【今年】以来 d · 0–4"]
    assert "50 more" in words(page.xpath('//*[@id="suspects"]')[0])
    assert (
        len(json.loads(written(tmp_path, [gold], [predicted], "r.json", suspects=doubts))["suspects"]) == 61
    )
    assert "| 0.750 | labelled elsewhere | d | 0–4 | — |" in written(
        tmp_path, [gold], [predicted], "r.md", suspects=doubts
    )


def test_two_systems_side_by_side(tmp_path, gold, predicted):
    other = Against("theirs", [document(GOLD[1:4])])
    page = parsed(written(tmp_path, [gold], [predicted], against=other))
    assert rows(page, "differences")[0] == ["Spans", "+0.080", "+0.080 … +0.080", "1.0000", "no"]
    assert rows(page, "sides") == [
        ["Spans: gold found", "2", "3", "1", "2"], ["Spans: wrong predictions", "0", "3", "0", ""],
        ["Links: gold found", "0", "1", "0", "1"], ["Links: wrong predictions", "0", "1", "0", ""],
        ["Facts: gold found", "0", "0", "0", "0"], ["Facts: wrong predictions", "0", "0", "0", ""],
    ]  # fmt: skip
    assert "A better 1, B better 0, the same 0" in words(page.xpath('//*[@id="comparison"]')[0])
    assert [m[0][0] for m in map(marks, page.xpath('//*[@id="only-b"]//li'))] == ["青石镇"]
    assert tags(page.xpath('//*[@id="wrong-a"]')[0]) == ["+ AMOUNT", "+ PROJECT", "+ AMOUNT"]
    assert not page.xpath('//*[@id="wrong-b"]')
    assert tags(page.xpath('//*[@id="links-only-a"]')[0]) == ["VALUE ← 财政收入"]
    # 管网 is in gold with another label: 财政收入 and 7公里 are annotated, the link between them is not.
    assert tags(page.xpath('//*[@id="links-wrong-a"]')[0]) == ["+ VALUE ← 财政收入"]
    assert not page.xpath('//*[@id="links-only-b"]')
    data = json.loads(written(tmp_path, [gold], [predicted], "r.json", against=other))["comparison"]
    assert (data["against"], data["found"]["spans"]["one"], len(data["apart"])) == ("theirs", 3, 7)
    assert "## Comparison\n\nA: demo. B: theirs." in written(
        tmp_path, [gold], [predicted], "r.md", against=other
    )
    with pytest.raises(DataError, match="not among the predicted"):
        written(tmp_path, [gold], [predicted], against=Against("theirs", []))


def test_a_value_that_one_of_two_systems_reads_right(tmp_path):
    def valued(number):
        one = linked("财政收入 2.3亿元 VALUE", facts=(Fact("财政收入", "2.3亿元", "VALUE"),))
        amount = Amount("money", number, number, "CNY")
        return one.replace(spans=tuple(replace(s, value=amount) for s in one.spans))

    right, wrong = valued(2.3e8), valued(2.3e9)
    page = parsed(written(tmp_path, [right], [wrong], against=Against("theirs", [right])))
    assert tags(page.xpath('//*[@id="facts-only-b"]')[0]) == ["= 230,000,000 CNY"]
    assert not page.xpath('//*[starts-with(@id, "links-only")] | //*[@id="facts-only-a"]')


def test_merged_and_split_spans_show_all_their_parts(tmp_path):
    gold = document(["今年|TIME", "以来|TIME", "管网7公里|METRIC"])
    other = document(["今年以来|TIME", "管网|METRIC", "7公里|METRIC"])
    page = parsed(written(tmp_path, [gold], [other]))
    merged, split = (page.xpath(f'//*[@id="kind-{n}"]//li')[0] for n in (7, 8))
    assert (marks(merged), tags(merged)) == (
        [("今年", ["g", "g4", "p", "p4"]), ("以来", ["g", "g4", "p", "p4"])], ["≠ TIME 2 → 1"],
    )  # fmt: skip
    assert tags(split) == ["≠ METRIC 1 → 2"]


def test_every_figure_is_in_all_three_forms(tmp_path, gold, predicted):
    """What the page's tables show of schemes, buckets and costs stands in the .json and in the .md."""
    page = parsed(written(tmp_path, [gold], [predicted]))
    data = json.loads(written(tmp_path, [gold], [predicted], "r.json"))
    markdown = written(tmp_path, [gold], [predicted], "r.md").replace("\\", "")
    for row in rows(page, "bucket-length"):
        (found,) = (b for b in data["buckets"]["length"] if b["name"] == row[0])
        assert f"{found['f1']:.3f}" == row[1]
        assert f"| {row[0]} | {row[1]} |" in markdown
    for row, cost in zip(rows(page, "mistake-kinds"), data["costs"]["spans"], strict=True):
        assert (str(cost["count"]), f"{cost['cost']:.3f}") == (row[1], row[3])
        assert f"| {row[0]} | {row[1]} | {row[3]} |" in markdown
    assert data["definitions"]["spans"].keys() == data["schemes"]["spans"].keys()
    assert data["schemes"]["spans"]["partial"]["micro"]["f1"] == 0.8125


def test_scores_in_the_schemes_order(tmp_path, gold, predicted):
    page = parsed(written(tmp_path, [gold], [predicted]))
    table = rows(page, "span-scores")
    assert [row[0] for row in table] == [*LABELS, "Micro", "Macro"]
    assert table[1] == ["AMOUNT", "0.500", "0.667", "0.571", "0.571–0.571", "3", "4", "2"]
    assert table[2] == ["PROJECT", "0.000", "—", "0.000", "0.000–0.000", "0", "1", "0"]
    assert table[5] == ["Micro", "0.625", "0.625", "0.625", "0.625–0.625", "8", "8", "5"]
    assert rows(page, "link-scores") == [
        ["COMPLETION", "—", "0.000", "0.000", "0.000–0.000", "1", "0", "0"],
        ["VALUE", "0.500", "1.000", "0.667", "0.667–0.667", "1", "2", "1"],
        ["All links", "0.500", "0.500", "0.500", "0.500–0.500", "2", "2", "1"],
        ["Facts", "—", "—", "—", "—", "0", "0", "0"],
    ]


def test_head_says_what_was_evaluated(tmp_path, gold, predicted):
    page = parsed(written(tmp_path, [gold], [predicted], model="runs/a", data="dev"))
    sheet = {words(d[0]): words(d[1]) for d in page.xpath('//dl[@class="sheet"]/div')}
    assert (sheet["Model"], sheet["Data"]) == ("runs/a", "dev")
    assert (sheet["Documents"], sheet["Characters"]) == ("1", str(len(TEXT)))
    assert date.fromisoformat(sheet["Date"]) <= date.today()
    assert sheet["Version"].startswith("gongbao ")


@pytest.mark.parametrize(
    ("count", "few", "says"),
    [(1, True, "There are too few documents"), (9, True, "There are too few documents"),
     (10, False, "From so few documents"), (20, False, "")],
)  # fmt: skip
def test_intervals_from_few_documents_are_grey(tmp_path, count, few, says):
    made = [document(GOLD[:2], f"d{n}") for n in range(count)]
    page = parsed(written(tmp_path, made, made))
    scores = page.xpath('//section[@id="scores"]')[0]
    assert (scores.get("class") == "few") is few
    assert ("few documents" in words(scores)) is bool(says)
    assert says in words(scores)
    assert ("too few documents" in words(page.xpath('//ul[starts-with(@class, "headline")]')[0])) is few
    interval = {td.text_content() for td in scores.xpath('.//td[contains(@class, "interval")]')}
    assert interval == {"1.000–1.000", "—"}
    markdown = written(tmp_path, made, made, "r.md")
    assert ("| 95% of F1 (too few documents) |" in markdown) is few
    assert ("| (1.000–1.000) |" in markdown) is few


def test_what_is_not_scored_is_said(tmp_path, gold):
    says = "The period and the subject of a fact are not scored."
    page = parsed(written(tmp_path, [gold], [gold]))
    assert says in words(page.xpath('//section[@id="scores"]')[0])
    assert "事实的时段和主体不计分" in page.text_content()
    assert says in written(tmp_path, [gold], [gold], "r.md")


LINKED = ("财政收入|METRIC", "2.3亿元|AMOUNT", "88.6%|AMOUNT", "管网|METRIC", "7公里|AMOUNT")


def linked(*links, leave_out=(), **more):
    spans = [spelled for spelled in LINKED if spelled.split("|")[0] not in leave_out]
    return document(spans, links=tuple(Link(*link.split()) for link in links), **more)


def test_wrong_links_between_right_spans_are_mistakes(tmp_path):
    gold = linked("财政收入 2.3亿元 VALUE", "财政收入 88.6% COMPLETION", "管网 7公里 VALUE")
    other = linked("管网 2.3亿元 VALUE", "财政收入 88.6% CHANGE")
    page = parsed(written(tmp_path, [gold], [other]))
    mistakes = page.xpath('//section[@id="mistakes"]')[0]
    assert "There are none" not in words(mistakes)
    assert [row[:3] for row in rows(page, "link-mistake-kinds")] == [
        ["Missed link", "1", "33%"], ["Invented link", "0", "0%"], ["Wrong role", "1", "33%"],
        ["Wrong head", "1", "33%"], ["A span is wrong", "0", "0%"],
    ]  # fmt: skip
    # Of three gold links and two predicted ones none is right; one put right is 2 · 1 / 5, two more are 2 · 1 / 5 each.
    assert [row[3] for row in rows(page, "link-mistake-kinds")] == [
        "0.333",
        "0.000",
        "0.400",
        "0.400",
        "0.000",
    ]
    assert [row[1] for row in rows(page, "mistake-kinds")] == ["0"] * 8
    missed, role, head = (page.xpath(f'//*[@id="link-kind-{n}"]//li')[0] for n in (1, 3, 4))
    both = ["g", "g0", "p", "p0"], ["g", "g1", "p", "p1"]
    assert marks(missed) == [("管网", both[0]), ("7公里", both[1])]
    assert tags(missed) == ["− VALUE ← 管网"]
    assert next(words(p) for p in missed.iter("p")) == "gold: 管网 ─VALUE→ 7公里"
    assert tags(role) == ["− COMPLETION ← 财政收入", "+ CHANGE ← 财政收入"]
    assert [words(p) for p in role.iter("p")][:2] == [
        "gold: 财政收入 ─COMPLETION→ 88.6%",
        "predicted: 财政收入 ─CHANGE→ 88.6%",
    ]
    assert marks(head) == [("财政收入", both[0]), ("2.3亿元", both[1]), ("管网", both[0])]
    assert head.find("div").text_content() == TEXT
    assert tags(head) == ["− VALUE ← 财政收入", "+ VALUE ← 管网"]
    assert rows(page, "document-scores")[0][3] == "3"
    assert "mistakes: 3" in words(page.xpath("//summary")[0])
    data = json.loads(written(tmp_path, [gold], [other], "r.json"))
    assert [m["kind"] for m in data["link_mistakes"]] == ["wrong head", "wrong role", "missed"]
    assert "| Links | Wrong role | 1 | 0.400 |\n" in written(tmp_path, [gold], [other], "r.md")


def test_a_wrong_span_explains_its_links(tmp_path):
    gold = linked("财政收入 2.3亿元 VALUE", "管网 7公里 VALUE")
    page = parsed(written(tmp_path, [gold], [linked(leave_out=["2.3亿元"])]))
    assert [row[1] for row in rows(page, "link-mistake-kinds")] == ["1", "0", "0", "0", "1"]
    assert rows(page, "link-mistake-kinds")[-1][0] == "A span is wrong"


def test_the_wrong_value_of_a_right_link_is_a_mistake(tmp_path):
    def valued(number):
        one = linked("财政收入 2.3亿元 VALUE", facts=(Fact("财政收入", "2.3亿元", "VALUE"),))
        amount = Amount("money", number, number, "CNY")
        return one.replace(spans=tuple(replace(s, value=amount) for s in one.spans))

    page = parsed(written(tmp_path, [valued(2.3e8)], [valued(2.3e9)]))
    wrong = page.xpath('//*[@id="link-kind-7"]//li')[0]
    assert [row[:4] for row in rows(page, "link-mistake-kinds")][6] == [
        "Wrong magnitude",
        "1",
        "100%",
        "1.000",
    ]
    assert tags(wrong) == ["≠ 230,000,000 CNY → 2,300,000,000 CNY"]
    assert [words(p) for p in wrong.iter("p")][:2] == [
        "gold: 财政收入 ─VALUE→ 2.3亿元 = 230,000,000 CNY",
        "predicted: 财政收入 ─VALUE→ 2.3亿元 = 2,300,000,000 CNY",
    ]


def test_surest_links_first_and_only_so_many(tmp_path):
    names = [f"d{n}" for n in range(report_of_evaluation.SHOWN_MISTAKES + 2)]
    gold = [linked(name=name) for name in names]
    other = [
        linked(name=name).replace(links=(Link("财政收入", "2.3亿元", "VALUE", score=n / 100),))
        for n, name in enumerate(names)
    ]
    shown = parsed(written(tmp_path, gold, other)).xpath('//*[@id="link-kind-2"]')[0]
    assert len(shown.xpath(".//li")) == report_of_evaluation.SHOWN_MISTAKES
    assert words(shown.xpath(".//li")[0]).endswith("d31 · 10–19 · score 0.310")
    assert "2 more" in words(shown)


def test_the_key_explains_links_by_a_role_that_is_there(tmp_path, gold):
    page = parsed(written(tmp_path, [gold], [gold]))
    assert "VALUE ← A" in tags(page.xpath('//*[@id="articles"]/ul')[0])
    other = linked("财政收入 2.3亿元 GROWTH")
    assert "GROWTH ← A" in tags(
        parsed(written(tmp_path, [linked()], [other])).xpath('//*[@id="articles"]/ul')[0]
    )
    none = parsed(written(tmp_path, [linked()], [linked()]))
    assert not [tag for tag in tags(none.xpath('//*[@id="articles"]/ul')[0]) if "←" in tag]
    assert not none.xpath('//*[@id="link-mistake-kinds"]')


def test_mistakes_by_kind_in_their_sentences(tmp_path, gold, predicted):
    page = parsed(written(tmp_path, [gold], [predicted]))
    assert [row[:3] for row in rows(page, "mistake-kinds")] == [
        ["Missed", "1", "25%"], ["Invented", "1", "25%"], ["Wrong label", "1", "25%"],
        ["Boundary: short", "1", "25%"], ["Boundary: long", "0", "0%"], ["Boundary: shifted", "0", "0%"], ["Merged", "0", "0%"],
        ["Split", "0", "0%"],
    ]  # fmt: skip
    missed, invented, wrong, boundary = (page.xpath(f'//*[@id="kind-{n}"]//li')[0] for n in (1, 2, 3, 4))
    first, second = TEXT.split("\n\n    ")
    assert [one.find("div").text_content() for one in (missed, invented, wrong, boundary)] == [
        first,
        second,
        second,
        first,
    ]
    assert (marks(missed), tags(missed)) == ([("青石镇", ["g", "g3"])], ["− ORG"])
    assert (marks(invented), tags(invented)) == ([("12人", ["p", "p1"])], ["+ AMOUNT"])
    assert (marks(wrong), tags(wrong)) == ([("管网", ["g", "g0", "p", "p2"])], ["≠ METRIC → PROJECT"])
    assert (marks(boundary), tags(boundary)) == (
        [("88.6", ["g", "g1", "p", "p1"]), ("%", ["g", "g1"])],
        ["≠ AMOUNT"],
    )


def test_article_in_colour_with_its_links(tmp_path, gold, predicted):
    page = parsed(written(tmp_path, [gold], [predicted]))
    article = page.xpath('//*[@id="article-1"]')[0]
    assert article.xpath("./div")[0].text_content() == TEXT
    assert ("财政收入", ["g", "g0", "p", "p0"]) in marks(article)
    assert tags(article) == [
        "− ORG", "VALUE ← 财政收入", "≠ AMOUNT", "− COMPLETION ← 财政收入", "≠ METRIC → PROJECT", "+ VALUE ← 财政收入", "+ AMOUNT",
    ]  # fmt: skip
    assert "青石镇的一年" in article.text_content()


def test_worst_documents_first_and_those_without_spans_last(tmp_path):
    gold = [document(GOLD[:2], name) for name in "abc"] + [document((), "empty")]
    predicted = [document(GOLD[:n], name) for n, name in ((2, "a"), (0, "b"), (1, "c"))] + [
        document((), "empty")
    ]
    page = parsed(written(tmp_path, gold, predicted))
    assert [row[:2] for row in rows(page, "document-scores")] == [
        ["b", "0.000"],
        ["c", "0.667"],
        ["a", "1.000"],
        ["empty", "—"],
    ]
    assert [words(s).split()[0] for s in page.xpath("//summary")] == [
        "bmistakes:",
        "cmistakes:",
        "amistakes:",
        "emptymistakes:",
    ]
    assert [d.get("id") for d in page.xpath("//details[@open]")] == ["article-1"]


def test_what_costs_links_is_worse_than_what_is_sure(tmp_path, gold):
    def sure(one, score):
        return replace(one, spans=tuple(replace(s, score=score) for s in one.spans))

    other = [
        sure(document(["占年度|ORG"], "sure"), 0.9),
        sure(document(["的|ORG"], "surer"), 0.95),
        document(["2.3|AMOUNT"]),
    ]
    plain = [document((), name) for name in ("sure", "surer")]
    page = parsed(written(tmp_path, [*plain, gold], other))
    assert [words(p).split(" · ")[0] for p in page.xpath('//*[@id="kind-2"]//p[@class="about"]')] == [
        "surer",
        "sure",
    ]
    linked = [m[0][0] for m in map(marks, page.xpath('//*[@id="kind-1"]//li'))]
    assert linked[0] == "财政收入"  # two links; 88.6% has one
    assert linked[1] == "88.6%"


def test_a_long_mistake_is_shown_in_part(tmp_path):
    text = "前" * 500 + "长" * 900 + "后" * 500
    page = parsed(written(tmp_path, [document(["长" * 900 + "|ORG"], text=text)], [document((), text=text)]))
    assert page.xpath('//*[@id="kind-1"]//li/div')[0].text_content() == "…" + "前" * 80 + "长" * 400 + "…"
    assert tags(page.xpath('//*[@id="kind-1"]')[0]) == ["− ORG"]


def test_a_span_over_lines_keeps_them(tmp_path):
    text = "一\r\n\t 二  三"
    page = parsed(written(tmp_path, [document([f"{text}|ORG"], text=text)], [document((), text=text)]))
    for shown in page.xpath('//mark[contains(., "三")]'):
        assert shown.text_content().replace("\r\n", "\n") == text.replace("\r\n", "\n")


def test_no_documents(tmp_path):
    page = parsed(written(tmp_path, [], []))
    assert rows(page, "span-scores") == [
        ["Micro", *["—"] * 4, "0", "0", "0"],
        ["Macro", "", "", "—", "—", "", "", ""],
    ]
    assert words(page.xpath('//section[@id="documents"]')[0]) == "Documents There are none."


def test_no_spans_and_no_mistakes(tmp_path):
    page = parsed(written(tmp_path, [document()], [document()]))
    assert words(page.xpath('//section[@id="mistakes"]')[0]) == "Mistakes There are none."
    assert not page.xpath("//svg")
    assert page.xpath('//*[@id="article-1"]/div')[0].text_content() == TEXT


def test_thousands_of_documents_stay_small_and_say_what_is_left_out(tmp_path):
    many = [document(GOLD[:2], f"d{n}") for n in range(1500)]
    none = [document((), one.id) for one in many]
    html = written(tmp_path, many, none)
    page = parsed(html)
    assert len(html.encode()) < 1_000_000
    assert len(rows(page, "document-scores")) == report_of_evaluation.SHOWN_DOCUMENTS
    assert len(page.xpath('//*[@id="kind-1"]//li')) == report_of_evaluation.SHOWN_MISTAKES
    assert len(page.xpath("//details")) == report_of_evaluation.SHOWN_ARTICLES
    assert "2970 more" in words(page.xpath('//*[@id="kind-1"]')[0])
    assert "1000 more" in words(page.xpath('//*[@id="documents"]')[0])


def test_a_long_article_says_what_is_left_out(tmp_path):
    text = "字" * 20_500
    page = parsed(written(tmp_path, [document((), text=text)], [document((), text=text)]))
    assert page.xpath('//*[@id="article-1"]/div')[0].text_content() == "字" * 20_000 + "…"
    assert "500 more characters" in words(page.xpath('//*[@id="article-1"]')[0])


def test_figure_has_bars_and_intervals(tmp_path, gold, predicted):
    html = written(tmp_path, [gold, document((), "e")], [predicted, document((), "e")])
    figure = parsed(html).xpath("//figure/svg")[0]
    widths = [float(bar.get("width")) for bar in figure.xpath(".//rect")]
    assert len(widths) == 3 * len(LABELS)
    assert widths[3:6] == pytest.approx([520 * 0.5, 520 * 2 / 3, 520 * 4 / 7], abs=0.06)
    assert all(0 <= width <= 520 for width in widths)
    assert len(figure.xpath('.//path[@class="whisker"]')) == len(LABELS)


def test_any_number_of_labels_has_its_own_look(tmp_path):
    text = "".join(chr(0x4E00 + n) for n in range(60))
    many = document([f"{c}|标签{n}" for n, c in enumerate(text)], text=text)
    style = parsed(written(tmp_path, [many], [many], labels=())).xpath("//style")[0].text
    looks = re.findall(r"\.p\d+\{--p:([\d.]+);text-decoration-style:(\w+)\}", style)
    assert len(looks) == 60
    assert len(set(looks)) == 60


# -------------------------------------------------------------------------------- other forms


def test_json_holds_all(tmp_path, gold, predicted):
    data = json.loads(written(tmp_path, [gold], [predicted], "r.json"))
    assert data["scores"] == evaluate([gold], [predicted]).to_json()
    assert data["intervals"]["micro"] == [0.625, 0.625]
    assert data["documents"][0]["micro"]["f1"] == 0.625
    assert [mistake["kind"] for mistake in data["mistakes"]] == [
        "missed",
        "boundary short",
        "wrong label",
        "invented",
    ]
    assert (data["model"], data["data"]) == ("demo", "test")


def test_markdown_has_the_tables_and_runs_nothing(tmp_path, gold, predicted):
    text = written(tmp_path, [gold], [predicted], "r.md", model="a|b <script>\n# x")
    assert text.startswith(r"# a\|b \<script\> \# x · test" + "\n")
    assert "| METRIC | 1.000 | 0.500 | 0.667 | (0.667–0.667) | 2 | 1 | 1 |\n| AMOUNT |" in text
    assert "| Spans | Boundary: short | 1 | 0.125 |\n" in text
    for block in text.split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("|"):
            assert re.fullmatch(r"(\|-+:?)+\|", lines[1]), block
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines if line}) == 1, block


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"r\.pdf: a report is \.html, \.json or \.md"):
        written(tmp_path, [], [], "r.pdf")
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_a_report_cannot_be_made(tmp_path, gold, predicted):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(KeyError):
        write_report(path, evaluate([gold], [predicted]), [], [], model="m", data="d")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "before"


# -------------------------------------------------------------------------------------- safety


def hostile_pages(tmp_path):
    """A report and a view in which everything that comes from data is hostile."""
    text = f"{HOSTILE}完成{HOSTILE[:30]}。"
    one = Span(0, len(HOSTILE), f"L{HOSTILE}", HOSTILE, id=HOSTILE, value=Amount("money", 1, 1, HOSTILE))
    two = Span(len(HOSTILE), len(HOSTILE) + 2, f"M{HOSTILE}", "完成", id="x", score=0.5)
    made = Document(
        HOSTILE, text, spans=(one, two), links=(Link(HOSTILE, "x", HOSTILE),), facts=(Fact(HOSTILE, "x", HOSTILE),),
        meta={"title": HOSTILE, "source": f"javascript:{HOSTILE}", "published": [HOSTILE], HOSTILE: HOSTILE},
    )  # fmt: skip
    other = made.replace(spans=(replace(one, label=HOSTILE), two))
    yield written(tmp_path, [made], [other], model=HOSTILE, data=HOSTILE)
    doubts = [Suspect(HOSTILE, 0, 4, HOSTILE, 0.5, HOSTILE, HOSTILE, HOSTILE)]
    against = Against(HOSTILE, [Document(HOSTILE, text)])
    made_so = made.replace(meta={**made.meta, "genre": HOSTILE, "level": HOSTILE})
    yield written(tmp_path, [made_so], [other], model=HOSTILE, data=HOSTILE, suspects=doubts, against=against)
    yield written(tmp_path, [made], [Document(HOSTILE, text)], model=HOSTILE, data=HOSTILE)
    yield extraction_view([made])


def test_nothing_from_data_becomes_markup(tmp_path):
    for html in hostile_pages(tmp_path):
        page = parsed(html)
        (script,), (style,) = page.xpath("//script"), page.xpath("//style")
        assert script.text == (PACKAGE / "templates" / "script.js").read_text(encoding="utf-8")
        assert "alert(" not in style.text
        assert not page.xpath("//img | //iframe | //object | //link | //base | //form | //@style")
        assert not [name for element in page.iter() for name in element.attrib if name.startswith("on")]
        assert HOSTILE in page.text_content()
        assert "49" not in page.xpath("//title")[0].text
        # Not one of the marks that could open an element or end an attribute is left as it was.
        assert HOSTILE[:20] not in html
        assert "<img" not in html


def test_policy_allows_the_pages_own_script_and_style_alone(tmp_path):
    for html in hostile_pages(tmp_path):
        page = parsed(html)
        policy = dict(
            part.strip().split(" ", 1)
            for part in page.xpath('//meta[@http-equiv="Content-Security-Policy"]/@content')[0].split(";")
        )
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
        for element in ("script", "style"):
            inner = re.search(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)[1]
            digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
            assert policy[f"{element}-src"] == f"'sha256-{digest}'"


def test_nothing_is_loaded(tmp_path, gold, predicted):
    for html in (written(tmp_path, [gold], [predicted]), extraction_view([gold])):
        page = parsed(html)
        for address in page.xpath("//@src | //@href | //@action | //@data | //@srcset"):
            assert address.startswith("#")
            assert page.xpath(f'//*[@id="{address[1:]}"]'), f"{address} leads nowhere"
        assert not re.search(r"https?:|@import|url\(", html)
        names = page.xpath("//@id")
        assert len(names) == len(set(names))
        assert page.get("lang") == "zh-Hans"
        assert "<!DOCTYPE html>" in html[:20]


def test_every_word_of_ours_is_there_in_both_languages(tmp_path, gold, predicted):
    for html in (written(tmp_path, [gold], [predicted]), extraction_view([gold])):
        page = parsed(html)
        chinese, english = page.xpath('//*[@class="zh"]'), page.xpath('//*[@class="en"]')
        assert len(chinese) == len(english) > 2
        assert all(one.getnext() is other for one, other in zip(chinese, english, strict=True))
        assert not [
            e.text for e in english if re.search("[\u4e00-\u9fff]", (e.text or "").replace("公报", ""))
        ]
        assert page.xpath('//input[@name="language"]/@value') == ["zh-Hans", "en"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x00", "␀"),
        ("\x1b[2J", "␛[2J"),
        ("\x85", "␤"),
        ("\x9b", "\ufffd"),
        ("\ud83d", "\ufffd"),
        ("\uffff", "\ufffd"),
        ("\u2028", "\u2028"),
    ],
)
def test_characters_that_no_page_may_hold_are_shown(tmp_path, given, shown):
    text = f"甲{given}乙"
    made = document([f"{text}|ORG"], text=text, name=f"n{given}")
    html = written(tmp_path, [made], [document((), text=text, name=f"n{given}")])
    assert parsed(html).xpath('//*[@id="article-1"]/div')[0].text_content() == f"甲{shown}乙"
    assert json.loads(written(tmp_path, [made], [made], "r.json"))["documents"][0]["id"] == (
        "n\ufffd" if given == "\ud83d" else f"n{given}"
    )


@settings(max_examples=60, deadline=None)
@given(st.text("甲乙<>&\"'\n\t 　\u200b😀é", min_size=1, max_size=40), st.data())
def test_a_text_is_shown_to_the_character(text, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = [
        Span(start, end, data.draw(st.sampled_from(LABELS)), text[start:end], id=f"s{start}")
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    made = Document("d", text, spans=tuple(spans))
    page = parsed(extraction_view([made], labels=LABELS))
    assert page.xpath('//*[@id="article-1"]/div')[0].text_content() == text
    found = [(mark, classes[-1]) for mark, classes in marks(page.xpath('//*[@id="article-1"]')[0])]
    assert found == [(span.text, f"p{LABELS.index(span.label)}") for span in made.spans]


# ---------------------------------------------------------------------------------- extraction


@pytest.fixture
def extracted(gold):
    values = {
        "2.3亿元": Amount("money", 230e6, 230e6, "CNY"),
        "今年以来": Period(date(2023, 1, 1), date(2023, 9, 30)),
        "88.6%": Amount("percent", 0.886, 0.886, "ratio"),
        "7公里": None,
    }
    spans = tuple(replace(s, score=0.9, value=values.get(s.text, UNREAD)) for s in gold.spans)
    facts = (
        Fact("财政收入", "88.6%", "COMPLETION"),
        Fact(
            "财政收入",
            "2.3亿元",
            "VALUE",
            period="今年以来",
            subject="青石镇",
            inherited=("period",),
            direction="down",
            score=0.8,
        ),
    )
    return gold.replace(spans=spans, facts=facts)


def test_view_shows_values_and_facts(extracted):
    page = parsed(extraction_view([extracted], labels=LABELS))
    article = page.xpath('//*[@id="article-1"]')[0]
    tips = {mark.text_content(): mark.get("data-tip") for mark in article.iter("mark")}
    assert tips["2.3亿元"] == "AMOUNT · 230,000,000 CNY · 0.900\nVALUE ← 财政收入"
    assert tips["今年以来"] == "TIME · 2023-01-01 … 2023-09-30 · 0.900"
    assert tips["88.6%"] == "AMOUNT · 88.6% = 0.886 ratio · 0.900\nCOMPLETION ← 财政收入"
    assert tips["7公里"] == "AMOUNT · — · 0.900"
    assert tips["青石镇"] == "ORG · 0.900"
    assert {mark.get("tabindex") for mark in article.iter("mark")} == {"0"}
    assert tags(article) == ["VALUE ← 财政收入", "COMPLETION ← 财政收入"]
    assert rows(page, "facts-1") == [
        [
            "青石镇",
            "财政收入",
            "VALUE",
            "2.3亿元",
            "↓ 230,000,000 CNY",
            "今年以来 above 2023-01-01 … 2023-09-30",
            "0.800",
        ],
        ["", "财政收入", "COMPLETION", "88.6%", "88.6%", "", ""],
    ]
    assert article.xpath('.//td[contains(@class, "value")]/@title') == ["230,000,000 CNY", "0.886 ratio"]
    assert "above Taken from further up" in words(article)
    assert "↑ a rise · ↓ a fall" in words(article)


def test_a_period_without_dates_and_a_change_without_direction_leave_no_sign(extracted):
    spans = tuple(replace(s, value=None) if s.label == "TIME" else s for s in extracted.spans)
    facts = tuple(replace(fact, direction=None, inherited=()) for fact in extracted.facts)
    article = parsed(extraction_view([extracted.replace(spans=spans, facts=facts)])).xpath("//article")[0]
    assert rows(article, "facts-1")[0][3:6] == ["2.3亿元", "230,000,000 CNY", "今年以来"]
    assert not article.xpath(".//td/small")
    assert "a rise" not in words(article)
    assert "further up" not in words(article)


def test_a_document_is_headed_by_its_title(extracted):
    named = extracted.replace(
        id="in/report.docx", meta={"title": "一年", "source": "report.docx", "published": "2024-01-02"}
    )
    page = parsed(extraction_view([named, named.replace(id="b", meta={"source": "县政府"})]))
    assert [words(h) for h in page.xpath("//article/h2")] == ["一年", "b"]
    assert [words(p) for p in page.xpath('//article/p[@class="about"]')] == [
        "2024-01-02 · in/report.docx",
        "县政府",
    ]
    assert [words(a) for a in page.xpath("//nav/a")] == ["一年", "b"]


def test_links_are_shown_in_the_text_on_demand(extracted):
    assert parsed(extraction_view([extracted])).xpath('//input[@id="links"][@type="checkbox"]')
    assert not parsed(extraction_view([document(GOLD)])).xpath('//input[@id="links"]')


def test_view_of_nothing_and_of_much(monkeypatch, extracted):
    assert "Documents: 0, facts: 0." in words(parsed(extraction_view([])).xpath("//main")[0])
    monkeypatch.setattr(view, "SHOWN_TEXT", len(TEXT) + 10)
    page = parsed(extraction_view([extracted, document((), "e"), document((), "f")]))
    assert [words(h) for h in page.xpath("//article/h2")] == ["青石镇的一年", "e"]
    assert page.xpath('//*[@id="article-2"]/div')[0].text_content() == TEXT[:10] + "…"
    assert f"{len(TEXT) - 10} more characters" in words(page.xpath('//*[@id="article-2"]')[0])
    assert "1 more documents" in words(page.xpath("//main")[0])


def test_gold_and_predicted_values_are_told_apart(tmp_path, extracted):
    other = extracted.replace(
        spans=tuple(replace(s, value=None) if s.text == "2.3亿元" else s for s in extracted.spans)
    )
    page = parsed(written(tmp_path, [extracted], [other]))
    tips = {m.text_content(): m.get("data-tip") for m in page.xpath('//*[@id="article-1"]')[0].iter("mark")}
    assert (
        tips["2.3亿元"]
        == "标注 gold: AMOUNT · 230,000,000 CNY\n预测 predicted: AMOUNT · — · 0.900\nVALUE ← 财政收入"
    )
    assert tips["青石镇"] == "ORG · 0.900"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (UNREAD, ""),
        (None, "—"),
        (Amount("percent", 0.507, 0.507, "ratio"), "50.7%"),
        (Amount("percent", 0.046, 0.07, "ratio", "about"), "≈ 4.6–7%"),
        (Amount("fraction", 0.25, 0.25, "ratio"), "0.25 ratio"),
        (Amount("area", 3000, 3000, "m2", "at_least"), "≥ 3,000 m²"),
        (Amount("concentration", 35, 35, "ug/m3"), "35 µg/m³"),
        (Amount("money", 20, 20, "CNY/m2"), "20 CNY/m²"),
        (Amount("money", 1e4, 3e4, "CNY"), "10,000–30,000 CNY"),
        (Amount("area", 3000, 3000, "mu", "about"), "≈ 3,000 mu"),
        (Amount("count", 20, None, "家", "at_least"), "≥ 20 家"),
        (Amount("count", None, 5, "家", "less_than"), "< 5 家"),
        (Amount("number", 1234567890123, 1234567890123, ""), "1,234,567,890,123"),
        (Amount("multiple", 0.1 + 0.2, 0.1 + 0.2, "倍"), "0.3 倍"),
        (Period(date(2023, 3, 1), date(2023, 3, 1)), "2023-03-01"),
        (Period(date(2023, 3, 1), None), "2023-03-01 …"),
        (Period(None, date(2023, 3, 1)), "… 2023-03-01"),
    ],
)
def test_values_in_few_characters(value, text):
    assert value_text(value) == text


def test_short():
    assert short("一 \n 二") == "一 二"
    assert short("长" * 17) == "长" * 15 + "…"


# ----------------------------------------------------------------------------------- the table


def test_table_is_aligned_for_wide_characters():
    counts = {"指标": Counts(3, 1, 2), "AMOUNT": Counts(0, 0, 4)}
    evaluation = Evaluation((DocumentCounts("d", counts, {"VALUE": Counts(1, 0, 0)}, Counts()),), ())
    assert score_table(evaluation).split("\n") == [
        "            precision  recall     F1  gold  right",
        "─────────────────────────────────────────────────",
        "AMOUNT              -   0.000  0.000     4      0",
        "指标            0.750   0.600  0.667     5      3",
        "─────────────────────────────────────────────────",
        "micro           0.750   0.333  0.462     9      3",
        "macro                          0.333",
        "─────────────────────────────────────────────────",
        "link VALUE      1.000   1.000  1.000     1      1",
        "─────────────────────────────────────────────────",
        "links           1.000   1.000  1.000     1      1",
        "facts               -       -      -     0      0",
    ]


def test_table_of_nothing_and_of_a_name_that_would_move_the_cursor():
    assert score_table(Evaluation((), ())).split("\n")[2:4] == [
        "micro          -       -   -     0      0",
        "macro                      -",
    ]
    counts = {"A\x1b[2J\nB": Counts(1, 0, 0)}
    table = score_table(Evaluation((DocumentCounts("d", counts, {}, Counts()),), ()))
    assert "\x1b" not in table
    assert table.split("\n")[2].startswith("A\ufffd[2J\ufffdB ")


def test_documents_of_the_project(tmp_path, documents, scheme):
    """The fixtures' own articles: a report on perfect predictions has no mistakes and full scores."""
    page = parsed(written(tmp_path, documents, documents, labels=scheme.labels))
    assert {row[3] for row in rows(page, "span-scores")} == {"1.000"}
    assert all(a.xpath("./div")[0].text_content() for a in page.xpath("//details"))
    with pytest.raises(DataError):
        evaluate(documents, documents[1:])
