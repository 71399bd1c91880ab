"""What the report calls things, in Chinese and in English, and what it says of them in a sentence."""

from __future__ import annotations

from typing import Final, NamedTuple


class Words(NamedTuple):
    """A name and a sentence that defines it."""

    zh: str
    en: str
    zh_says: str = ""
    en_says: str = ""


def words_of(table: dict[str, Words], key: str) -> Words:
    """The words for a key; what the data itself named is called as there."""
    return table.get(key, Words(key, key))


SCHEMES: Final = {
    "spans": {
        "strict": Words(
            "严格", "Strict",
            "起点、终点和标签全部一致才算正确。", "A span is right when its start, its end and its label agree.",
        ),
        "boundary": Words(
            "仅边界", "Boundary only",
            "起点和终点一致即算正确，不论标签。", "A span is right when its start and its end agree, whatever its label.",
        ),
        "label": Words(
            "仅标签", "Label only",
            "与标签相同的片段至少共有一个字符即算正确。", "A span is right when it shares a character with one of the same label.",
        ),
        "partial": Words(
            "部分", "Partial",
            "起止一致得一分，只是重叠得半分，不论标签。", "A span scores one point where start and end agree and half a point where it overlaps, whatever its label.",
        ),
    },
    "links": {
        "strict": Words(
            "关系", "Links",
            "两端的片段和角色全部一致才算正确。", "A link is right when both its spans and its role agree.",
        ),
        "ends": Words(
            "关系，不论角色", "Links, whatever the role",
            "两端的片段一致即算正确。", "A link is right when both its spans agree.",
        ),
    },
    "facts": {
        "value": Words(
            "事实", "Facts",
            "指标、数量、角色一致，且数值、单位和约数一致才算正确。", "A fact is right when its metric, amount and role agree and number, unit and approximation are read the same.",
        ),
        "link": Words(
            "事实，不论数值", "Facts, whatever the value",
            "指标、数量和角色一致即算正确。", "A fact is right when its metric, amount and role agree.",
        ),
    },
}  # fmt: skip

KINDS: Final = {
    "missed": Words("遗漏", "Missed", "标注有，预测没有。", "In the gold annotation, not predicted."),
    "invented": Words("多出", "Invented", "预测有，标注没有。", "Predicted, not in the gold annotation."),
    "wrong label": Words("标签错误", "Wrong label", "两者有重叠而标签不同。", "They share characters and differ in label."),
    "boundary short": Words("边界偏短", "Boundary: short", "标签相同，预测在标注之内。", "The label agrees, the predicted span lies within the gold one."),
    "boundary long": Words("边界偏长", "Boundary: long", "标签相同，标注在预测之内。", "The label agrees, the gold span lies within the predicted one."),
    "boundary shifted": Words("边界错位", "Boundary: shifted", "标签相同，互相交错。", "The label agrees, each reaches beyond the other."),
    "merged": Words("合并", "Merged", "同一标签的几个标注被预测为一个。", "Several gold spans of one label are predicted as one."),
    "split": Words("拆分", "Split", "一个标注被预测为同一标签的几个。", "One gold span is predicted as several of its label."),
}  # fmt: skip

LINK_KINDS: Final = {
    "missed": Words("遗漏的关系", "Missed link", "标注有，预测没有。", "In the gold annotation, not predicted."),
    "invented": Words("多出的关系", "Invented link", "预测有，标注没有。", "Predicted, not in the gold annotation."),
    "wrong role": Words("角色错误", "Wrong role", "两端相同而角色不同。", "Both ends agree, the role does not."),
    "wrong head": Words("起点错误", "Wrong head", "终点相同，起点是另一个片段。", "The tail agrees, the head is another span."),
    "span": Words("片段错误所致", "A span is wrong", "其一端的片段就是错的。", "A span at its end is wrong in the first place."),
    "unread": Words("数值未读出", "Value not read", "关系正确，一方没有数值。", "The link is right, one side has no value."),
    "wrong unit": Words("单位错误", "Wrong unit", "关系正确，单位不同。", "The link is right, the unit differs."),
    "wrong magnitude": Words("数值错误", "Wrong magnitude", "关系和单位正确，数值不同。", "Link and unit are right, the number differs."),
    "wrong approximation": Words("约数错误", "Wrong approximation", "只有“约”“以上”一类不同。", "All but about, at least and the like agrees."),
}  # fmt: skip

DIMENSIONS: Final = {
    "length": Words("片段长度", "Span length", "字符数。", "In characters."),
    "sentence": Words("句子长度", "Sentence length", "片段所在句子的字符数。", "Characters of the sentence that the span begins in."),
    "crowd": Words("句中片段数", "Spans in the sentence", "该句中标注的片段数。", "Gold spans in that sentence."),
    "seen": Words("训练数据中见过与否", "Seen in training", "训练数据中有无同样的文字。", "Whether the training data has a span on the same words."),
    "number": Words("数字写法", "Number format", "数量中的数字怎样书写。", "How the number in an amount is written."),
    "kind": Words("数量种类", "Kind of amount", "", ""),
    "distance": Words("关系两端的距离", "Distance of a link", "两端之间的字符数；此处计关系的 F1。", "Characters between its two spans; the F1 is that of links."),
    "genre": Words("体裁", "Genre", "", ""),
    "level": Words("层级", "Level", "", ""),
    "year": Words("年份", "Year", "", ""),
    "untidy": Words("整洁与否", "Untidy or clean", "文档说明里所记。", "As the document's metadata says."),
}  # fmt: skip

BUCKETS: Final = {
    "seen": Words("见过", "seen, same label"),
    "other label": Words("见过，标签不同", "seen with another label"),
    "unseen": Words("未见过", "unseen"),
    "digits": Words("阿拉伯数字", "digits"),
    "thousands": Words("带千分位", "thousands separators"),
    "full-width": Words("全角数字", "full-width digits"),
    "chinese": Words("中文数字", "Chinese numerals"),
    "words": Words("没有数字", "no number"),
    "unread": Words("未读出", "not read"),
    "clean": Words("整洁", "clean"),
    "untidy": Words("不整洁", "untidy"),
    "money": Words("金额", "money"),
    "percent": Words("百分比", "percent"),
    "percentage_point": Words("百分点", "percentage points"),
    "fraction": Words("分数", "fraction"),
    "multiple": Words("倍数", "multiple"),
    "ratio": Words("比", "ratio"),
    "count": Words("个数", "count"),
    "area": Words("面积", "area"),
    "length": Words("长度", "length"),
    "weight": Words("重量", "weight"),
    "volume": Words("体积", "volume"),
    "energy": Words("能量", "energy"),
    "power": Words("功率", "power"),
    "concentration": Words("浓度", "concentration"),
    "duration": Words("时长", "duration"),
    "age": Words("年龄", "age"),
    "number": Words("数", "number"),
}
SUSPECTS: Final = {
    "label-differs": Words("标签与别处不同", "label differs from elsewhere"),
    "unlabelled": Words("别处有标注", "labelled elsewhere"),
    "edge": Words("边界与别处不同", "edge differs from elsewhere"),
    "no-link": Words("没有关系", "no link"),
    "link": Words("关系可疑", "link"),
    "value": Words("读不出数值", "no value"),
} | KINDS
MEASURES: Final = {
    "spans": Words("片段", "Spans"),
    "links": Words("关系", "Links"),
    "facts": Words("事实", "Facts"),
}
