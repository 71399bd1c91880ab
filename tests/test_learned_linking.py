"""A linker that learns from annotated links: what it chooses among, what it learns, and its file."""

import json

import pytest

from gongbao.inline import parse
from gongbao.learned_linking import REACH, LearnedLinker, choices
from gongbao.link_training import fit_linker
from gongbao.linking import RuleLinker
from gongbao.schema import DataError, LabelScheme, Role, Span

PLACES = ("城东", "城西", "河口", "南塘", "北岭", "青坪", "柳湾", "石桥")


def links(document):
    """(head's text, tail's text, role) of a document's links."""
    return {
        (document.span(link.head).text, document.span(link.tail).text, link.role) for link in document.links
    }


def linked(linker, text, scheme):
    """What a linker makes of a text's spans."""
    document = parse(text, id="new", scheme=scheme)
    return links(document.replace(links=tuple(linker(document))))


@pytest.fixture(scope="module")
def scheme():
    return LabelScheme(
        ("METRIC", "AMOUNT", "PROJECT", "TIME"),
        (
            Role("VALUE", ("METRIC", "PROJECT"), ("AMOUNT",)),
            Role("CHANGE", ("METRIC",), ("AMOUNT",)),
        ),
        {"AMOUNT": "amount", "TIME": "period"},
    )


@pytest.fixture(scope="module")
def taught(scheme):
    """Annotation with a habit of its own: what 另计 brings in belongs to the project, which no rule says."""
    return [
        parse(
            f"{{{place}水厂|PROJECT#1}}完成{{投资|METRIC#2}}{{{n + 2}亿元|AMOUNT>2:VALUE}},同比增长{{{n + 3}%|AMOUNT>2:CHANGE}},"
            f"另计{{{n + 4}万元|AMOUNT>1:VALUE}}。另有{{{n + 5}人|AMOUNT}}到场。",
            id=f"d{n}",
            scheme=scheme,
        )
        for n, place in enumerate(PLACES)
    ]


@pytest.fixture(scope="module")
def linker(taught, scheme):
    return fit_linker(taught, scheme)


NEW = "{东湾水厂|PROJECT#1}完成{投资|METRIC#2}{31亿元|AMOUNT>2:VALUE},同比增长{7%|AMOUNT>2:CHANGE},另计{55万元|AMOUNT>1:VALUE}。"


def test_it_learns_what_the_rules_do_not_know(linker, scheme):
    wanted = links(parse(NEW, id="new", scheme=scheme))
    assert linked(linker, NEW, scheme) == wanted
    assert linked(RuleLinker(scheme), NEW, scheme) != wanted


def test_scores_are_probabilities_and_nothing_is_a_choice_too(linker, taught, scheme):
    for document in taught:
        found = linker(document)
        assert links(document.replace(links=tuple(found))) == links(document)
        assert all(0.5 < link.score <= 1 for link in found)


def test_links_of_the_document_are_not_looked_at(linker, scheme):
    document = parse(NEW, id="new", scheme=scheme)
    assert linker(document) == linker(document.replace(links=()))


def test_the_same_documents_give_the_same_weights(linker, taught, scheme):
    assert fit_linker(taught, scheme).weights == linker.weights


def test_documents_without_links_or_spans(scheme):
    nothing = fit_linker([], scheme)
    assert nothing.weights == {}
    assert linked(nothing, "没有数字。", scheme) == set()
    assert linked(nothing, "{税收|METRIC}和{利润|METRIC}。", scheme) == set()


def test_what_is_chosen_among(scheme):
    document = parse(
        "{甲厂|PROJECT#1}的{产值|METRIC#2}{3亿元|AMOUNT>2:VALUE}。{税收|METRIC}", id="d", scheme=scheme
    )
    ((found, wanted),) = choices([document], scheme)
    # Heads of the sentence alone, each with the roles that the scheme gives it.
    assert [(c.head.text if c.head else None, c.role) for c in found.among] == [
        (None, ""), ("甲厂", "VALUE"), ("产值", "VALUE"), ("产值", "CHANGE"),
    ]  # fmt: skip
    assert wanted == 2


def test_a_link_out_of_reach_is_not_learned_from(scheme):
    many = "".join(f"{{指标{n}|METRIC{'#1' if n == 0 else ''}}}、" for n in range(REACH + 1))
    far = parse(f"{many}{{3亿元|AMOUNT>1:VALUE}}。", id="far", scheme=scheme)
    assert list(choices([far], scheme)) == []


def test_a_scheme_without_roles_has_no_links():
    bare = LabelScheme(("A", "B"))
    document = parse("{甲|A}{乙|B}", id="d")
    assert fit_linker([document], bare)(document) == []


def test_the_labels_are_those_of_the_scheme():
    own = LabelScheme(("药", "量"), (Role("剂量", ("药",), ("量",)),))
    texts = [f"{{{name}|药#1}}每日{{{n}片|量>1:剂量}}" for n, name in enumerate(PLACES)]
    found = fit_linker([parse(t, id=f"d{n}", scheme=own) for n, t in enumerate(texts)], own)
    assert linked(found, "{山楂丸|药}每日{九片|量}", own) == {("山楂丸", "九片", "剂量")}


def test_a_file_brings_it_back(linker, scheme, tmp_path):
    linker.save(tmp_path / "linker.json")
    again = LearnedLinker.load(tmp_path / "linker.json", scheme)
    assert again.weights == linker.weights
    assert linked(again, NEW, scheme) == linked(linker, NEW, scheme)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "weights": {"head": {"a": "many"}}}', "damaged"),
        ('{"format": 9, "weights": {}}', "format 9"),
        (None, "damaged"),
    ],
)
def test_a_damaged_file_is_named(content, says, scheme, tmp_path):
    path = tmp_path / "linker.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        LearnedLinker.load(path, scheme)
    assert caught.value.file == path


def test_a_table_flattened_to_one_sentence_is_read_in_its_neighbourhood(linker, scheme):
    spans, text = [], ""
    for n in range(300):
        name, amount = f"指标{n}", f"{n + 1}亿元"
        spans.append(Span(len(text), len(text) + len(name), "METRIC", name, f"m{n}"))
        text += name
        spans.append(Span(len(text), len(text) + len(amount), "AMOUNT", amount, f"a{n}"))
        text += amount + ","
    document = parse("空", id="table", scheme=scheme).replace(text=text, spans=tuple(spans))
    assert all(abs(int(link.head[1:]) - int(link.tail[1:])) <= REACH for link in linker(document))


def test_the_file_can_be_read_by_a_person(linker, tmp_path):
    linker.save(tmp_path / "linker.json")
    weights = json.loads((tmp_path / "linker.json").read_text(encoding="utf-8"))["weights"]
    assert weights["VALUE PROJECT"]["lead=另计"] > weights["VALUE METRIC"].get("lead=另计", 0)
