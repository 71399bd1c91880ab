"""The tutorials, run from top to bottom in an empty folder. Training is made one of seconds; all else is as it stands."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from gongbao.cli import main

ROOT = Path(__file__).parents[1]
TUTORIALS = ("analyst", "evaluator", "researcher")
LEFT = {
    "analyst": ("facts.csv", "facts.xlsx", "facts.html", "documents.jsonl"),
    "evaluator": ("report.html", "both.html", "board/index.html", "board/gold.json"),
    "researcher": ("first.html", "both.html", "doubts.jsonl", "board/test.json"),
}


def blocks(name):
    """The fenced blocks of a tutorial, (language, text) each, in order."""
    text = (ROOT / "docs" / "tutorials" / name).read_text(encoding="utf-8")
    return re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.M | re.S)


def commands(block):
    """A shell block's commands, as words, and the lines that stand behind each of them between EOF and EOF."""
    lines = iter(block.splitlines())
    for line in lines:
        command, _, end = line.partition(" <<")
        yield shlex.split(command), [*iter(lambda: next(lines), end.strip("'"))] if end else []


def run(words, lines, tiny):
    """Do what a shell would."""
    if words[0] == "mkdir":
        for folder in words[1:]:
            Path(folder).mkdir()
    elif words[:2] == ["cat", ">"]:
        Path(words[2]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    else:
        assert words[0] == "gongbao"
        assert main([*words[1:], *(tiny if words[1] == "train" else ())]) == 0, " ".join(words)


@pytest.mark.parametrize("tutorial", TUTORIALS)
def test_both_languages_hold_the_same_blocks(tutorial):
    assert blocks(f"{tutorial}.md") == blocks(f"{tutorial}.zh.md") != []


@pytest.mark.parametrize("tutorial", TUTORIALS)
def test_a_tutorial_runs_from_top_to_bottom(tutorial, tmp_path, monkeypatch, tiny_bert, corpus_file, capsys):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    changes = (
        f"encoder.name={tiny_bert}", "encoder.layers=0", "window.size=96", "window.overlap=24", "training.epochs=1",
        f'data.train=["{corpus_file}"]', f'data.dev=["{corpus_file}"]',
    )  # fmt: skip
    tiny = [word for change in changes for word in ("--set", change)]
    for language, block in blocks(f"{tutorial}.md"):
        if language == "python":
            exec(compile(block, tutorial, "exec"), {})
        else:
            for words, lines in commands(block):
                run(words, lines, tiny)
    for name in LEFT[tutorial]:
        assert (tmp_path / name).stat().st_size, name
    if tutorial == "analyst":
        table = (tmp_path / "facts.csv").read_text(encoding="utf-8-sig")
        assert "财政收入,VALUE" in table
        assert "2023-09-30" in table
        assert "to be checked" in capsys.readouterr().out
