"""One rule for sentence ends: marks, quotes, blank lines, and the line breaks that pages put anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.sentences import WRAPPED, sentences


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


LONG = "今年前三季度全区新开工的各类产业项目一共投入资金已经达到"
assert len(LONG) > WRAPPED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\u3000\n", []),
        ("增长3.5%。下降2.1%。", ["增长3.5%。", "下降2.1%。"]),
        ("好！！真的？是的", ["好！！", "真的？", "是的"]),
        ("收入增长；支出下降。", ["收入增长；支出下降。"]),
        ("他说：“办好了。”大家都笑了。", ["他说：“办好了。”", "大家都笑了。"]),
        ("“谁来办？怎么办？”，他问。", ["“谁来办？", "怎么办？”，他问。"]),
        ("(另有3家。)其余不变。", ["(另有3家。)", "其余不变。"]),
        ('他说："好。"然后走了。', ['他说："好。"', "然后走了。"]),
        ('办好了。"双百"工程开工。', ["办好了。", '"双百"工程开工。']),
        ("栏目《问政！马上办》开播。", ["栏目《问政！马上办》开播。"]),
        ("《没有关上。书名号。", ["《没有关上。", "书名号。"]),
        ("见 http://a.cn/?id=3 一页。", ["见 http://a.cn/?id=3 一页。"]),
        ("Really? 是的!", ["Really?", "是的!"]),
    ],
)
def test_marks(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一、工业\n收入5亿元", ["一、工业", "收入5亿元"]),
        ("收入5亿元，\n增长6%", ["收入5亿元，\n增长6%"]),
        ("收入5亿元\r\n，增长6%", ["收入5亿元\r\n，增长6%"]),
        ("收入5亿元，\n\n增长6%", ["收入5亿元，", "增长6%"]),
        ("收入5亿元，\n \t\n增长6%", ["收入5亿元，", "增长6%"]),
        ("收入2.3\n亿元", ["收入2.3\n亿元"]),
        ("2.3\n4.5", ["2.3", "4.5"]),
        (f"{LONG}\n五亿元", [f"{LONG}\n五亿元"]),
        (f"{LONG}\u2028五亿元", [f"{LONG}\u2028五亿元"]),
        (f"其中。{LONG[:-2]}\n五亿元", ["其中。", f"{LONG[:-2]}\n五亿元"]),
        (f"{LONG}。\n五亿元", [f"{LONG}。", "五亿元"]),
        (f"{LONG}：\n五亿元", [f"{LONG}：", "五亿元"]),
        (f"{LONG}\n　　五亿元", [LONG, "五亿元"]),
        (f"{LONG}\n二、五亿元", [LONG, "二、五亿元"]),
        (f"{LONG}\n（2）五亿元", [LONG, "（2）五亿元"]),
        (f"{LONG}\n3.5亿元", [f"{LONG}\n3.5亿元"]),
        (f"{LONG}\n3.工业", [LONG, "3.工业"]),
        (f"{LONG}\n合计\t5", [LONG, "合计\t5"]),
        (f"|{LONG}|\n|五亿元|\n", [f"|{LONG}|", "|五亿元|"]),
        ("。\n”", ["。", "”"]),
        ("\n，好", ["，好"]),
    ],
)
def test_line_breaks(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


@given(
    st.text(alphabet="五亿3.%。！？!?，：；“”\"'《》() \t\n\r\u2028\u3000aＡ😀一、", max_size=80) | st.text()
)
def test_every_character_is_in_one_sentence(text: str) -> None:
    found = sentences(text)
    assert all(a < b <= c for (a, b), (c, _) in pairwise(found))
    assert "".join("".join(text[a:b].split()) for a, b in found) == "".join(text.split())
    assert all(not text[a].isspace() and not text[b - 1].isspace() for a, b in found)


@pytest.mark.parametrize("unit", ["？”，", '？",', " ", "\n", "《", "。", "五", "\t\n，"])
def test_a_long_run_of_anything_is_read_in_one_pass(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    assert sum(end - start for start, end in sentences(text)) <= len(text)
