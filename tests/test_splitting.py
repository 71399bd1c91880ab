"""Near-duplicates are found like a comparison of all pairs finds them, and no split divides them."""

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.corpus import frozen, split_hash
from gongbao.schema import Document, Span, UsageError
from gongbao.splitting import (
    DOCUMENT_GRAM,
    Pair,
    duplicates,
    folded,
    folds,
    place_and_year,
    shared_sentences,
    split,
)

CHARACTERS = [chr(0x4E00 + n) for n in range(400)]


def prose(seed: int, length: int) -> str:
    return "".join(random.Random(seed).choices(CHARACTERS, k=length))


def edited(text: str, seed: int, edits: int) -> str:
    """The text with some characters changed, dropped or added."""
    out, chance = list(text), random.Random(seed)
    for _ in range(edits):
        at = chance.randrange(len(out))
        out[at : at + chance.randrange(2)] = chance.choices(CHARACTERS, k=chance.randrange(3))
    return "".join(out)


def grams(text: str) -> set[str]:
    return {text[n : n + DOCUMENT_GRAM] for n in range(max(1, len(text) - DOCUMENT_GRAM + 1))}


def documents(texts: list[str]) -> list[Document]:
    return [Document(id=str(n), text=text) for n, text in enumerate(texts)]


# ------------------------------------------------------------------------------------- duplicates


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95, 1.0])
def test_pairs_are_those_of_a_comparison_of_all(threshold: float) -> None:
    texts = []
    for seed in range(9):
        text = prose(seed, 20 * (seed + 1) ** 2)
        texts += [
            text,
            *(edited(text, n, round(len(text) * part)) for n, part in enumerate((0.005, 0.02, 0.05, 0.1))),
        ]
    texts = sorted(set(texts))
    sets = [grams(text) for text in texts]
    likeness = {
        (a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in combinations(range(len(texts)), 2)
    }
    expected = {(str(a), str(b)): value for (a, b), value in likeness.items() if value >= threshold}
    found = duplicates(documents(texts), threshold)
    assert {(p.first, p.second): p.similarity for p in found} == pytest.approx(expected)
    assert threshold == 1.0 or len(found) > 3


def test_the_same_text_in_another_width_or_with_other_blanks() -> None:
    texts = ["税收５亿元，增长6%。", "别的", " 税收5亿元,增长\n6%。", "", "税收5亿元，增长6%。", "", "\n"]
    assert duplicates(documents(texts)) == [Pair("0", "2", 1.0), Pair("0", "4", 1.0)]
    assert folded("Ａ　1\r\n％") == "A1%"


def test_short_texts_and_none() -> None:
    assert duplicates([]) == []
    assert duplicates(documents(["一", "二", "一二"])) == []
    assert duplicates(documents(["一", "一"]))[0].to_json() == {
        "first": "0",
        "second": "1",
        "similarity": 1.0,
    }


@pytest.mark.parametrize("threshold", [0, -1, 1.1])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="no threshold"):
        duplicates([], threshold)


# ------------------------------------------------------------------------------- shared sentences


def test_sentences_on_both_sides_with_their_places() -> None:
    same, near = prose(1, 30), prose(2, 60)
    a = documents([f"开头。{same}。谢谢大家。", f"{near}。"])
    b = documents([f"{edited(near, 1, 1)}。谢谢大家。", f"另一句。\n{same}。"])
    first, second = shared_sentences(a, b)
    assert first.similarity == 1.0
    assert (first.first.document, first.first.start) == ("0", 3)
    assert (first.second.document, first.second.start, first.second.text) == ("1", 5, f"{same}。")
    assert 0.8 <= second.similarity < 1
    assert (second.first.document, second.second.document) == ("1", "0")
    assert a[1].text[second.first.start : second.first.end] == second.first.text
    assert str(second).startswith(f"1, characters 0-61: {near}。\n0, characters 0-")
    assert second.to_json()["first"] == {"document": "1", "start": 0, "end": 61, "text": f"{near}。"}


def test_sentences_alike_on_one_side_only_are_not_shared() -> None:
    text = prose(3, 60)
    one, other = f"{text[:10]}甲{text[11:]}", f"{text[:40]}乙{text[41:]}"
    a = documents([f"{text}。{one}。"])
    assert shared_sentences(a, documents([prose(4, 60)])) == []
    shared = shared_sentences(a, documents([f"{other}。{text}。"]))
    assert sorted((s.first.text, s.second.text) for s in shared) == sorted(
        (f"{first}。", f"{second}。") for first in (text, one) for second in (text, other)
    )


# ------------------------------------------------------------------------------------------ split


def corpus(n: int) -> list[Document]:
    """Documents of 40 places and years, every seventh without a place, with two labels of unequal frequency."""
    out = []
    for k in range(n):
        text = prose(1000 + k, 120)
        spans = [
            Span(i, i + 1, "A" if i % 3 else "B", text[i], id=f"s{i}")
            for i in range(random.Random(k).randrange(30))
        ]
        meta = {"place": f"地{k % 40}", "published": f"20{10 + k % 5}-03-01"} if k % 7 else {}
        out.append(Document(id=f"d{k}", text=text, spans=tuple(spans), meta=meta))
    return out


def test_parts_are_balanced_and_hold_whole_groups() -> None:
    found = corpus(200)
    parts = split(found, (0.7, 0.1, 0.2))
    sides = {"train": parts.train, "dev": parts.dev, "test": parts.test}
    assert sorted(d.id for part in sides.values() for d in part) == sorted(d.id for d in found)
    groups = {name: {g for d in part if (g := place_and_year(d))} for name, part in sides.items()}
    assert all(groups[a].isdisjoint(groups[b]) for a, b in combinations(sides, 2))
    for name, ratio in (("train", 0.7), ("dev", 0.1), ("test", 0.2)):
        assert len(sides[name]) == pytest.approx(ratio * 200, abs=4)
        for label in "AB":
            total = sum(s.label == label for d in found for s in d.spans)
            assert sum(s.label == label for d in sides[name] for s in d.spans) == pytest.approx(
                ratio * total, rel=0.12
            )
    assert parts.shared == ()


def test_the_same_documents_and_seed_give_the_same_split() -> None:
    found = corpus(60)
    one, other = split(found, seed=3), split(found, seed=3)
    assert one == other
    assert frozen(one.parts)["dev"]["sha256"] == split_hash(one.dev)
    assert [d.id for d in one.train] == frozen(one.parts)["train"]["documents"]
    assert [d.id for d in one.train] == [d.id for d in found if d in one.train]
    assert split(found, seed=4).test != one.test


def test_near_duplicates_join_their_groups() -> None:
    text = prose(5, 300)
    chain = [text, edited(text, 1, 2), edited(edited(text, 1, 2), 2, 2)]
    found = [
        Document(id=f"c{n}", text=t, meta={"place": f"地{n}", "year": 2020}) for n, t in enumerate(chain)
    ]
    found += documents([prose(50 + n, 300) for n in range(9)])
    found.append(Document(id="d", text=prose(99, 300), meta={"place": "地0", "year": 2020}))
    for seed in range(5):
        parts = split(found, (0.4, 0.3, 0.3), seed=seed)
        family = {"c0", "c1", "c2", "d"}
        assert (
            sum(not family.isdisjoint({d.id for d in part}) for part in (parts.train, parts.dev, parts.test))
            == 1
        )


def test_what_two_parts_share_all_the_same_is_told() -> None:
    sentence = prose(6, 40)
    found = documents([f"{prose(70 + n, 200)}。{sentence if n < 6 else prose(n, 40)}。" for n in range(6)])
    parts = split(found, (0.4, 0.3, 0.3))
    assert {s.first.text for s in parts.shared} == {f"{sentence}。"}
    assert len(parts.shared) == 3
    assert "\n3 sentences stand in two of them\n" in str(parts)
    assert str(parts).startswith("train      2 documents       0 spans\n")


def test_documents_without_a_group_are_counted() -> None:
    grouped = [d.replace(meta={"place": "甲县", "year": 2020 + n}) for n, d in enumerate(documents([""] * 3))]
    bare = [Document(id=f"b{n}", text=prose(n, 100)) for n in range(2)]
    assert "no group" not in str(split(grouped))
    assert "\n2 documents name no group (place and year)" in str(split(grouped + bare))


def test_no_part_stays_empty_and_a_part_of_nothing_does() -> None:
    found = documents([prose(80 + n, 50) for n in range(4)])
    parts = split(found, (0.98, 0.01, 0.01))
    assert [len(part) for part in (parts.train, parts.dev, parts.test)] == [2, 1, 1]
    parts = split(found, (0.5, 0.0, 0.5))
    assert [len(part) for part in (parts.train, parts.dev, parts.test)] == [2, 0, 2]


def test_a_split_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="no shares of a whole"):
        split([], (0.5, 0.1, 0.1))
    with pytest.raises(UsageError, match="no shares of a whole"):
        split([], (1.2, -0.2, 0.0))
    with pytest.raises(UsageError, match="no shares of a whole"):
        split([], (0.7, 0.3, float("nan")))
    found = documents([prose(n, 50) for n in range(5)])
    with pytest.raises(UsageError, match="5 documents in 1 families"):
        split(found, group=lambda document: "one")


@pytest.mark.parametrize(
    ("meta", "group"),
    [
        ({"place": "甲县", "year": 2023}, "甲县 2023"),
        ({"place": "甲县", "published": "2022-01-02"}, "甲县 2022"),
        ({"place": "甲县"}, None),
        ({"year": 2023, "published": None}, None),
    ],
)
def test_groups(meta: dict[str, object], group: str | None) -> None:
    assert place_and_year(Document(id="d", text="", meta=meta)) == group


@given(st.lists(st.text(alphabet="一二三 \ud800😀", max_size=9), max_size=6))
def test_any_texts_are_compared(texts: list[str]) -> None:
    for pair in duplicates(documents(texts), 0.5):
        assert 0.5 <= pair.similarity <= 1
        assert int(pair.first) < int(pair.second)
        assert str(pair).startswith(f"{pair.first} and {pair.second} are alike (")


def test_folds_hold_every_document_once_and_whole_families() -> None:
    given = corpus(60)
    parts = folds(given, 4, seed=2)
    assert sorted(d.id for part in parts for d in part) == sorted(d.id for d in given)
    groups = [{place_and_year(d) for d in part} - {None} for part in parts]
    assert all(one.isdisjoint(other) for one, other in combinations(groups, 2))
    assert max(map(len, parts)) <= 2 * min(map(len, parts))


@pytest.mark.parametrize("count", [0, 1, 99])
def test_folds_that_cannot_be_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match="cannot be divided into"):
        folds(corpus(8), count)
