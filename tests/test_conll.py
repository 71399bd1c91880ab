"""Tagged text in its many spellings, the broken ones repaired by one rule and counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.conll import parse
from gongbao.schema import DataError, Document, LabelScheme
from gongbao.tagging import TagSet, spans_of_tags


def keys(document: Document) -> list[tuple[int, int, str]]:
    return [s.key for s in document.spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("税 B-M\n收 I-M\n5 B-A\n", [("税收5", [(0, 2, "M"), (2, 3, "A")])]),
        ("税 B-M\n收 E-M\n5 S-A\n", [("税收5", [(0, 2, "M"), (2, 3, "A")])]),
        ("税 B_M\n收 M_M\n额 E_M", [("税收额", [(0, 3, "M")])]),
        ("税 B-M\n收 L-M\n5 U-A", [("税收5", [(0, 2, "M"), (2, 3, "A")])]),
        ("税\tx\ty\tB-M\n收\tx\ty\tI-M", [("税收", [(0, 2, "M")])]),
        ("GDP B-M\n5 O", [("GDP5", [(0, 3, "M")])]),
        ("税 B-有-名\r\n\r\n收 O\r\n", [("税", [(0, 1, "有-名")]), ("收", [])]),
        ("-DOCSTART- O\n\n\n \t\n税 O", [("税", [])]),
        ("", []),
    ],
)
def test_spellings(text: str, expected: list[tuple[str, list[tuple[int, int, str]]]]) -> None:
    found = parse(text, id="x")
    assert [(d.text, keys(d)) for d in found] == expected
    assert [d.id for d in found] == [f"x-{n}" for n in range(1, len(expected) + 1)]
    assert all(not d.meta for d in found)


@pytest.mark.parametrize("line", [" \tO", "  O", "\tO", " O", "O"])
def test_a_blank_may_be_the_character_or_be_missing(line: str) -> None:
    assert [d.text for d in parse(f"一 O\n{line}\n二 O", id="x")] == ["一 二"]


def test_a_full_width_blank_is_a_character() -> None:
    assert parse("\u3000 O\n二\tO", id="x")[0].text == "\u3000二"


@pytest.mark.parametrize(
    ("tags", "expected", "illegal"),
    [
        ("I-M I-M O", [(0, 2, "M")], 1),
        ("B-M I-A O", [(0, 1, "M"), (1, 2, "A")], 1),
        ("B-M B-M", [(0, 1, "M"), (1, 2, "M")], 0),
        ("E-M O S-M", [(0, 1, "M"), (2, 3, "M")], 1),
        ("B-M I-M S-A", [(0, 2, "M"), (2, 3, "A")], 1),
        ("B-M O S-A", [(0, 1, "M"), (2, 3, "A")], 1),
        ("S-A B-M", [(0, 1, "A"), (1, 2, "M")], 1),
        ("S-M I-M E-M", [(0, 1, "M"), (1, 3, "M")], 1),
        ("B-M E-M E-M", [(0, 2, "M"), (2, 3, "M")], 1),
    ],
)
def test_repair(tags: str, expected: list[tuple[int, int, str]], illegal: int) -> None:
    (found,) = parse("\n".join(f"字 {tag}" for tag in tags.split()), id="x")
    assert keys(found) == expected
    assert found.meta.get("illegal_tags", 0) == illegal


@pytest.mark.parametrize(
    ("line", "marked"),
    [("字", "字"), ("字 B", "B"), ("字 X-M", "X-M"), ("字\tb-M ", "b-M"), ("字 B-", "B-"), ("O 字", "字")],
)
def test_a_line_without_a_tag_is_named(line: str, marked: str) -> None:
    with pytest.raises(DataError, match="is no tag") as caught:
        parse(f"一 O\n{line}\n", id="x")
    error = caught.value
    assert error.record == "line 2"
    assert error.text is not None
    assert error.text[error.start : error.end] == marked


def test_the_scheme_is_held() -> None:
    with pytest.raises(DataError, match="'M' is not in the scheme"):
        parse("税 B-M", id="x", scheme=LabelScheme(("A",)))


@given(st.lists(st.sampled_from(TagSet(("A", "M")).tags), max_size=12))
def test_legal_tags_say_what_they_say_and_no_other_span_is_lost(tags: list[str]) -> None:
    found = parse("\n".join(f"字 {tag}" for tag in ["S-A", *tags]), id="x")[0]
    assert set(spans_of_tags(["S-A", *tags])) <= set(keys(found))
    marked = {n for start, end, _ in keys(found) for n in range(start, end)}
    assert marked == {n for n, tag in enumerate(["S-A", *tags]) if tag != "O"}
