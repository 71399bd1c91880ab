"""The parts of benchmarks/baselines.py that need no library of their own, and the rules from end to end."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.corpus import read, write
from gongbao.inline import parse
from gongbao.metrics import evaluate
from gongbao.schema import Document, Span
from gongbao.sentences import sentences

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("baselines", ROOT / "benchmarks/baselines.py")
baselines = importlib.util.module_from_spec(SPEC)
sys.modules["baselines"] = baselines  # where its dataclasses look for their types
SPEC.loader.exec_module(baselines)


@st.composite
def flat_spans(draw):
    """A text and flat spans in it."""
    edges = draw(st.lists(st.integers(0, 40), min_size=2, max_size=12, unique=True).map(sorted))
    text = "字" * 40
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    return text, [
        Span(s, e, draw(st.sampled_from("AB")), text[s:e], id=f"s{n}") for n, (s, e) in enumerate(pairs)
    ]


@given(flat_spans())
def test_tags_and_back_are_the_same_spans(given_spans):
    text, spans = given_spans
    assert baselines.bio_spans(baselines.bio_tags(spans, 0, len(text))) == [s.key for s in spans]


@given(flat_spans(), st.integers(0, 39), st.integers(1, 40))
def test_a_span_that_crosses_an_end_is_cut_there(given_spans, start, length):
    end = min(start + length, 40)
    _, spans = given_spans
    wanted = [
        (max(s.start, start), min(s.end, end), s.label) for s in spans if s.start < end and start < s.end
    ]
    assert baselines.bio_spans(baselines.bio_tags(spans, start, end), start) == wanted


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O O", []),
        ("I-A I-A O", [(0, 2, "A")]),
        ("B-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("B-A B-A I-A", [(0, 1, "A"), (1, 3, "A")]),
        ("O B-A", [(1, 2, "A")]),
    ],
)
def test_tags_that_are_not_legal_are_read_leniently(tags, spans):
    assert baselines.bio_spans(tags.split()) == spans


@given(st.text("甲乙。\n", max_size=60), st.integers(1, 20))
def test_pieces_hold_the_whole_text_and_are_no_longer_than_asked(text, longest):
    found = baselines.pieces(text, longest)
    assert "".join(text[start:end] for start, end in found) == text
    assert all(0 < end - start <= longest for start, end in found)


def test_pieces_end_with_sentences_where_one_fits():
    text = "甲乙丙。丁戊己庚。辛壬"
    assert [text[s:e] for s, e in baselines.pieces(text, 6)] == ["甲乙丙。", "丁戊己庚。", "辛壬"]
    assert [text[s:e] for s, e in baselines.pieces(text, 3)] == ["甲乙丙", "。", "丁戊己", "庚。", "辛壬"]


def test_entities_are_counted_from_their_sentence():
    document = parse("{甲镇|ORG}开会。\n{乙镇|ORG}也开会。", id="d")
    assert list(baselines.sentence_entities(document)) == [
        (document.text[start:end], [(0, 2, "ORG")]) for start, end in sentences(document.text)
    ]


def test_a_name_is_known_where_it_is_mostly_labelled():
    documents = [
        parse("{甲镇|ORG}的{收入|METRIC}增加,收入,收入。{乙|ORG}", id="a"),
        parse("{甲镇|ORG}与{甲镇|PROJECT}与{甲镇|ORG}", id="b"),
    ]
    assert baselines.known_names(documents) == {
        "甲镇": "ORG"
    }  # 收入 stands unlabelled twice, 乙 is one character


def test_the_lengths_of_what_begins_with_a_character():
    assert baselines.by_first_character(["甲乙", "甲乙丙丁", "丙", "甲丁"]) == {"甲": [4, 2], "丙": [1]}


def test_a_character_has_features_of_its_surroundings():
    features = baselines.crf_features("收入2亿", 2)
    assert {
        "0=2",
        "-1=入",
        "1=亿",
        "2=",
        "0:digit",
        "1:digit",
        "-1:han",
        "2:end",
        "-1/0=入2",
        "0//2=入2亿",
    } <= set(features)
    assert len(features) == len(set(features)) == len(baselines.crf_features("收", 0))
    assert [baselines.character_kind(c) for c in "3三aG ,收"] == [
        "digit",
        "digit",
        "latin",
        "latin",
        "blank",
        "mark",
        "han",
    ]


def test_the_rules_find_names_amounts_and_periods(documents):
    find = baselines.train_rules(documents, [], 1, "").find
    text = "去年,青石镇完成财政收入3.1亿元,共12项。"
    found = [(text[s:e], label) for s, e, label in find(Document("d", text, {"published": "2023-11-02"}))]
    assert ("青石镇", "ORG") in found
    assert ("财政收入", "METRIC") in found
    assert ("去年", "TIME") in found
    assert find(Document("e", "")) == []


def test_a_run_writes_what_the_leaderboard_takes(
    tmp_path, monkeypatch, documents, corpus_file, scheme, capsys
):
    from gongbao.cli import main

    monkeypatch.chdir(tmp_path)
    write(documents[:4], "own.jsonl")
    baselines.main(
        [
            "--train",
            str(corpus_file),
            "--dev",
            str(corpus_file),
            "--data",
            "own.jsonl",
            "--only",
            "rules",
            "-o",
            "out",
        ]
    )
    found = read("out/rules.own.jsonl", scheme)
    assert evaluate(documents[:4], [d.replace(facts=()) for d in found]).micro.f1 > 0.5
    assert any(d.links for d in found)
    about = json.loads(Path("out/rules.own.about.json").read_text(encoding="utf-8"))
    assert about["command"].endswith("--data own.jsonl --seed 1 --only rules -o out")
    assert about["seed"] is None
    assert (
        main(
            [
                "leaderboard",
                "add",
                "--data",
                "own.jsonl",
                "--predictions",
                "out/rules.own.jsonl",
                "--board",
                "board",
            ]
        )
        == 0
    )
    assert "rank 1" in capsys.readouterr().out
