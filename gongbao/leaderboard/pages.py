"""The table of a board: for a terminal, as Markdown in two languages, and as a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gongbao.leaderboard.entries import Cost, Score, TestSet, Training
from gongbao.leaderboard.ranking import MEASURES, Row
from gongbao.report.pages import markdown, page
from gongbao.report.table import aligned

Tables = Sequence[tuple[TestSet, Sequence[Row]]]

# ------------------------------------------------------------------------------------- short forms


def percent(share: float) -> str:
    """In percent with one decimal."""
    return f"{100 * share:.1f}"


def score_text(score: Score) -> str:
    """F1 in percent, its interval, and the deviation over several runs: `89.0 (87.5–90.3) ±0.4`; — where nothing is counted."""
    if score.interval is None:
        return "—"
    low, high = map(percent, score.interval)
    told = f"{percent(score.f1)} ({low}–{high})"
    return told if score.deviation is None else f"{told} ±{percent(score.deviation)}"


def bytes_text(count: int | None) -> str:
    """In megabytes of a million bytes."""
    return "—" if count is None else f"{count / 1e6:,.1f} MB" if count < 1e8 else f"{count / 1e6:,.0f} MB"


def speed_text(cost: Cost) -> str:
    """Characters a second."""
    return "—" if cost.characters_per_second is None else f"{cost.characters_per_second:,.0f}"


def seeds_text(row: Row) -> str:
    """The seeds of the runs; — for a run without one."""
    return ", ".join("—" if run.seed is None else str(run.seed) for run in row.entry.runs)


# ---------------------------------------------------------------------------------------- Markdown


@dataclass(frozen=True)
class Words:
    """What the Markdown says in one language."""

    head: str
    columns: tuple[str, ...]
    training: dict[str, str]
    test: str
    not_public: str
    labels: str
    system: str
    repeat: str
    nothing: str
    meaning: str


_EN: Final = Words(
    head="# Leaderboard\n\n[中文](README.zh.md) · [as a page](index.html)\n\n"
    "Made by `gongbao leaderboard` from the entries in this folder. Do not edit it: `gongbao leaderboard check` compares.\n",
    columns=(
        "Rank", "System", "Spans", "Links", "Facts", "Rank by links, facts", "Spans like those of", "Seeds", "Characters/s",
        "Memory", "Size", "Training data", "Date",
    ),
    training={"all": "checked", "given": "{n} checked", "none": "not checked"},
    test="{documents} documents, {characters} characters, {spans} spans, {links} links; sha256 {sha256}…",
    not_public="The texts are not public.",
    labels="F1 of the spans by label:",
    system="System",
    repeat="What repeats a row:",
    nothing="There are no entries yet.",
    meaning="""## What the columns mean

- **Spans, Links, Facts**: F1 in percent over the whole test set, with the 95% interval of a bootstrap over documents, and, of
  several runs, the mean with the standard deviation (±), never the best. A span is right when its start, end and label are; a
  link when both its spans and its role are; a fact when its amount is also read as the same value. Values and facts are made by gongbao for all systems alike.
- **Rank**: one more than the number of systems whose spans are significantly better. One system is better than another
  where 95% of the differences, on the same draws of documents (and of runs), lie on one side of zero. Systems with the same rank share it: the
  order among them says nothing. **Spans like those of** names the systems that a system cannot be told apart from; two of them may still
  be told apart from each other. Each pair is tested by itself, at 5%.
- **Seeds**: one for each run; — where the run has none.
- **Characters/s, Memory, Size**: of one reading of the test set without the loading, the peak of the process, what lies on the disk. † as the predictions came with it,
  not measured by gongbao. The entry names the machine; figures of different machines do not compare.
- **Training data**: *checked*: no test article stands in what was trained or chosen on, near duplicates included, and the model's record shows that
  this is all of it. *n checked*: so many documents were compared, and nothing proves that these are all. *Not checked*: it could not be had.

`gongbao leaderboard check` scores every row again from its stored predictions and compares every figure.
""",
)  # fmt: skip

_ZH: Final = Words(
    head="# 排行榜\n\n[English](README.md) · [网页](index.html)\n\n"
    "由 `gongbao leaderboard` 根据本文件夹中的条目生成。请勿改动：`gongbao leaderboard check` 会核对。\n",
    columns=(
        "名次", "系统", "片段", "关系", "事实", "按关系、事实的名次", "片段不分高下的", "种子", "字符/秒", "内存", "大小", "训练数据", "日期",
    ),
    training={"all": "已核对", "given": "已核对 {n} 篇", "none": "未核对"},
    test="{documents} 篇文档，{characters} 个字符，{spans} 个片段，{links} 个关系；sha256 {sha256}…",
    not_public="原文不公开。",
    labels="各标签片段的 F1：",
    system="系统",
    repeat="重现一行的命令：",
    nothing="还没有条目。",
    meaning="""## 各列的含义

- **片段、关系、事实**：整个测试集上的 F1（百分数），括号内是对文档自助抽样所得的 95% 区间；多次运行取平均值，± 后是标准差，从不取最好的一次。
  片段的起点、终点和标签全部一致才算正确；关系的两端和角色全部一致才算正确；事实还要求金额或数量读出的值相同。所有系统的值和事实都由 gongbao 以同样方式得出。
- **名次**：片段显著更好的系统的个数加一。在同样的文档（和运行）抽样上，95% 的差值都在零的同一侧，才算一个系统好于另一个。名次相同即并列，先后没有意义。
  **片段不分高下的**列出与该系统分不出高下的系统；它们彼此之间仍可能有高下之分。每一对单独检验，水平为 5%。
- **种子**：每次运行一个；— 表示没有。
- **字符/秒、内存、大小**：读一遍测试集的速度（不含加载）、进程的内存峰值、文件大小。† 表示随预测一同给出，不是 gongbao 测得的。条目中写明了机器；不同机器的数字不能比较。
- **训练数据**：*已核对*：训练和选择模型所用的文档中没有测试文章（包括近似重复），模型的记录证明这是全部文档。*已核对 n 篇*：无法证明这是全部。*未核对*：无法取得。

`gongbao leaderboard check` 根据存下的预测重新给每一行打分，并核对每一个数字。
""",
)  # fmt: skip


def render(tables: Tables) -> dict[str, str]:
    """The generated files by name."""
    return {
        "README.md": _markdown(tables, _EN),
        "README.zh.md": _markdown(tables, _ZH),
        "index.html": html(tables),
    }


def same(stored: str, made: str) -> bool:
    """Whether two versions of a generated file say the same: of a page what it holds, not its style, script or version."""
    held = [re.sub(r"^.*<main>|</main>.*$", "", text, flags=re.S) for text in (stored, made)]
    return held[0] == held[1]


def _markdown(tables: Tables, words: Words) -> str:
    parts = [words.head]
    for test, rows in tables:
        size = words.test.format(
            documents=f"{test.documents:,}", characters=f"{test.characters:,}", spans=f"{test.spans:,}",
            links=f"{test.links:,}", sha256=test.sha256[:12],
        )  # fmt: skip
        parts.append(f"## {markdown(test.name)}\n\n{size}{'' if test.public else f' {words.not_public}'}\n")
        parts.append(_table(words.columns, (_cells(row, words) for row in rows)))
        labels = _labels(rows)
        parts.append(f"{words.labels}\n")
        parts.append(
            _table(
                (words.system, *map(str, map(markdown, labels))),
                ((str(markdown(row.entry.name)), *_label_texts(row, labels)) for row in rows),
            )
        )
        # Indented code cannot be ended by what a command holds.
        commands = [
            f"    # {row.entry.name}\n" + "\n".join(f"    {line}" for line in row.entry.command.splitlines())
            for row in rows
        ]
        parts.append("\n".join([words.repeat, "", *commands, ""]))
    if not tables:
        parts.append(f"{words.nothing}\n")
    return "\n".join([*parts, words.meaning])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]) + "\n"


def _cells(row: Row, words: Words) -> tuple[str, ...]:
    entry, scores, cost = row.entry, row.entry.scores, row.entry.cost
    told = "" if cost.measured else " †"
    return (
        str(row.rank),
        str(markdown(entry.name)),
        *(score_text(score) for score in (scores.spans, scores.links, scores.facts)),
        f"{row.standings['links'].rank}, {row.standings['facts'].rank}",
        ", ".join(str(markdown(name)) for name in row.standings["spans"].like) or "—",
        seeds_text(row),
        *(text if text == "—" else text + told for text in (speed_text(cost), bytes_text(cost.memory), bytes_text(cost.size))),
        training_text(entry.training, words.training),
        entry.date,
    )  # fmt: skip


def training_text(training: Training, words: dict[str, str]) -> str:
    """How far the training data was compared."""
    return words[training.checked].format(n=f"{training.documents:,}")


def _labels(rows: Sequence[Row]) -> list[str]:
    return sorted({label for row in rows for label in row.entry.scores.labels})


def _label_texts(row: Row, labels: Sequence[str]) -> list[str]:
    scores = row.entry.scores.labels
    return [score_text(scores[label]) if label in scores else "—" for label in labels]


# ---------------------------------------------------------------------------------- page, terminal


def html(tables: Tables) -> str:
    """The page, bilingual and self-contained."""
    labels = list(dict.fromkeys(label for _, rows in tables for label in _labels(rows)))
    return page(
        "leaderboard.html", {label: n for n, label in enumerate(labels)},
        tables=[(test, rows, _labels(rows)) for test, rows in tables], measures=MEASURES, percent=percent, score_text=score_text,
        bytes_text=bytes_text, speed_text=speed_text, seeds_text=seeds_text, training_text=training_text,
        training={"zh": _ZH.training, "en": _EN.training}, meaning={"zh": _paragraphs(_ZH.meaning), "en": _paragraphs(_EN.meaning)},
    )  # fmt: skip


def _paragraphs(meaning: str) -> list[tuple[str, str]]:
    """The items of the explanation without their Markdown: what each is about, and what is said of it."""
    items = re.findall(r"^- \*\*(.+?)\*\*[:：] ?(.*?)(?=^- |^$)", meaning, re.M | re.S)
    # A line's end is a blank in English and nothing in Chinese.
    return [
        (about, re.sub("(?<=[，。；：]) ", "", " ".join(re.sub(r"\*+", "", said).split())))
        for about, said in items
    ]


def show(tables: Tables) -> str:
    """The tables for a terminal; systems with the same rank share it."""
    told = []
    for test, rows in tables:
        head = ["rank", "system", "spans", "links", "facts", "spans like those of"]
        cells = [head] + [
            [
                str(row.rank), row.entry.name,
                *(score_text(s) for s in (row.entry.scores.spans, row.entry.scores.links, row.entry.scores.facts)),
                ", ".join(row.standings["spans"].like) or "—",
            ]
            for row in rows
        ]  # fmt: skip
        told.append("\n".join([f"{test.name} ({test.documents:,} documents)", *aligned(cells)]))
    note = "Systems with the same rank share it: their order says nothing. Training data and costs: --json, README.md."
    return "\n\n".join([*told, note]) if told else "there are no entries yet"


def to_json(tables: Tables) -> list[dict[str, Any]]:
    """The tables as plain JSON."""
    from gongbao.leaderboard import entries

    return [
        {
            "test": entries.to_json(test),
            "rows": [
                {
                    "ranks": {measure: s.rank for measure, s in row.standings.items()},
                    "like": {measure: list(s.like) for measure, s in row.standings.items()},
                    **entries.to_json(row.entry),
                }
                for row in rows
            ],
        }
        for test, rows in tables
    ]
