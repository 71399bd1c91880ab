"""Characters to ids, texts to windows."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.schema import DataError
from gongbao.windows import Vocabulary, Window, WindowSize, batches, held, pad, windows

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁", "a", "元", ",", "2", ".", "%"]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary(TOKENS)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("元", [7]),
        ("2.2%", [9, 10, 9, 11]),
        ("２．％，", [9, 10, 11, 8]),  # full width folds
        (" \n\t\u3000\u2028\r", [5] * 6),  # every kind of white space is one token each
        ("A", [6]),  # no capital in the vocabulary
        ("②", [9]),  # NFKC: 2
        ("…", [10]),  # NFKC: three dots, one token
        ("😀𠮷", [1, 1]),
        ("", []),
    ],
)
def test_each_character_is_one_id(vocabulary, text, ids):
    assert vocabulary.encode(text).tolist() == ids
    assert vocabulary.encode(text).tolist() == ids  # and again, from what was remembered


def test_a_vocabulary_keeps_line_separators_and_round_trips(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{t}\n" for t in [*TOKENS, "\u2028", "\x85"]), encoding="utf-8")
    assert Vocabulary.load(path).tokens == (*TOKENS, "\u2028", "\x85")


@pytest.mark.parametrize(
    ("tokens", "says"), [(["[PAD]", "[UNK]", "[CLS]"], "no \\[SEP\\]"), ([*TOKENS, "元"], "'元' twice")]
)
def test_a_broken_vocabulary_names_its_file(tmp_path, tokens, says):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(tokens), encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        Vocabulary.load(path)
    assert str(path) in str(caught.value)


def test_a_short_text_is_one_window_and_an_empty_one_none():
    assert windows("全镇收入", WindowSize(12, 4)) == [Window(0, 4, 0, 4)]
    assert windows("", WindowSize(12, 4)) == []


def test_windows_end_at_a_sentence_end_near_their_end():
    text = "甲" * 16 + "。" + "乙" * 20
    first, second = windows(text, WindowSize(20, 6))[:2]
    assert (first.start, first.end) == (0, 17)
    assert second.start < 17
    assert first.own_end == second.own_start


@given(st.text(alphabet="甲乙。\n,2 ", max_size=400), st.integers(1, 12), st.integers(3, 6))
def test_own_parts_cover_every_character_once_and_lie_inside(text, overlap, times):
    size = WindowSize(overlap * times, overlap)
    cut = windows(text, size)
    assert [c for w in cut for c in range(w.own_start, w.own_end)] == list(range(len(text)))
    for w in cut:
        assert w.start <= w.own_start < w.own_end <= w.end <= len(text)
        assert w.end - w.start <= size.size
    for a, b in itertools.pairwise(cut):
        # As much context on the left of the seam as on its right, up to one character.
        assert abs((a.end - a.own_end) - (b.own_start - b.start)) <= 1
        assert a.end - b.start >= overlap // 2


def test_windows_do_not_depend_on_text_far_behind():
    text = "全县完成投资3亿元。" * 60
    assert windows(text, WindowSize(64, 16))[:5] == windows(text + "尾巴。" * 90, WindowSize(64, 16))[:5]


@pytest.mark.parametrize(("size", "overlap"), [(10, 4), (10, 0), (0, 0)])
def test_windows_that_overlap_too_much_or_not_at_all_are_refused(size, overlap):
    with pytest.raises(DataError, match="cannot overlap"):
        WindowSize(size, overlap)


def test_held():
    cut = [Window(0, 10, 0, 7), Window(4, 14, 7, 14)]
    assert held(3, 10, cut)
    assert held(4, 12, cut)
    assert not held(3, 12, cut)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(64, 300))
def test_batches_hold_every_window_once_within_the_budget(lengths, tokens):
    made = batches(lengths, tokens=tokens)
    assert sorted(int(k) for chosen, _ in made for k in chosen) == list(range(len(lengths)))
    for chosen, width in made:
        assert width % 8 == 0
        assert max(lengths[k] for k in chosen) + 2 <= width
        assert len(chosen) * width <= tokens or len(chosen) == 1


def test_pad(vocabulary):
    tokens, mask = pad([np.array([7, 9]), np.array([], np.int64)], 8, vocabulary)
    assert tokens.tolist() == [[2, 7, 9, 3, 0, 0, 0, 0], [2, 3, 0, 0, 0, 0, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]]
