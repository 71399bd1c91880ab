"""Long runs: what was found survives, and the same command goes on."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gongbao.articles import Limits, long
from gongbao.articles.long import read_in_parts
from gongbao.cli import main
from gongbao.cli.journal import WORTH, journal
from gongbao.corpus import read
from gongbao.schema import DataError, Document, GongbaoError, UsageError

REPORT = "2023年前三季度,青石镇完成财政收入2.3亿元,占年度任务的88.6%。"
ABOUT = {"inputs": ["a"], "model": "m"}
KILLED = """
import os, sys
import gongbao.extractor, gongbao.cli.journal as j
gongbao.extractor.CHUNK = 200  # longer than any of the reports
add = j.Journal.add
def killed(self, document):
    add(self, document)
    if len(self) == 25:
        os.kill(os.getpid(), 9)
j.Journal.add = killed
from gongbao.cli import run
run()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Forty reports, of which one cannot be read."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for n in range(40):
        Path(f"in/{n:02}.txt").write_text(REPORT * (1 + n % 3), encoding="utf-8")
    Path("in/07.txt").write_bytes(b"\x1f\x8b")
    return "in"


def names():
    return sorted(p.name for p in Path().iterdir() if p.is_file())


def document(n, text=REPORT):
    return Document(f"d{n}", text)


@pytest.mark.parametrize("form", ["jsonl", "facts.jsonl", "csv", "parquet", "xlsx", "html"])
def test_a_killed_run_that_is_resumed_gives_the_same_bytes(folder, tiny_model, form, capsys):
    predict = ["predict", folder, "--model", str(tiny_model), "-o"]
    assert main([*predict, f"whole.{form}"]) == 1
    assert "07.txt" in capsys.readouterr().err
    argv = [sys.executable, "-c", KILLED, *predict, f"out.{form}"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(argv, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    [left] = [name for name in names() if name.endswith(".journal")]
    with open(left, "ab") as file:
        file.write(b'{"id":"in/26.txt","te')  # as if it had been killed while writing
    assert f"out.{form}" not in names()

    assert main([*predict, f"out.{form}"]) == 2
    assert f"what it found is in {left}" in capsys.readouterr().err
    assert main([*predict, f"out.{form}", "--resume"]) == 1
    told = capsys.readouterr().err
    assert "25 documents were found before" in told
    assert "in/07.txt: " in told
    assert "1 input could not be read" in told
    assert "39 documents, " in told
    assert names() == sorted([f"out.{form}", f"whole.{form}"])
    if form == "xlsx":  # its archive notes the time
        import openpyxl

        ours, theirs = (list(openpyxl.load_workbook(f"{n}.xlsx").active.values) for n in ("out", "whole"))
        assert ours == theirs
    else:
        assert Path(f"out.{form}").read_bytes() == Path(f"whole.{form}").read_bytes()


def test_to_a_file_and_to_standard_output_is_the_same(folder, tiny_model, capsys):
    main(["predict", folder, "--model", str(tiny_model)])
    shown = capsys.readouterr().out
    main(["predict", folder, "--model", str(tiny_model), "-o", "out.jsonl"])
    assert Path("out.jsonl").read_text(encoding="utf-8") == shown


def test_resume_needs_a_file(folder, tiny_model, capsys):
    assert main(["predict", folder, "--model", str(tiny_model), "--resume"]) == 2
    assert "-o" in capsys.readouterr().err


def test_resuming_nothing_begins_at_the_beginning(folder, tiny_model, capsys):
    assert main(["predict", f"{folder}/00.txt", "--model", str(tiny_model), "-o", "o.jsonl", "--resume"]) == 0
    assert "begins at the beginning" in capsys.readouterr().err
    assert names() == ["o.jsonl"]


def test_documents_of_a_file_of_lines_are_passed_over_too(folder, tiny_model, capsys):
    lines = [document(n % 2, REPORT * (1 + n)) for n in range(WORTH + 4)]  # of the same ids
    Path("in.jsonl").write_text("".join(d.to_line() + "\n" for d in lines), encoding="utf-8")
    Path("bad.jsonl").write_text("".join(d.to_line() + "\n" for d in lines[:-2]) + "{", encoding="utf-8")
    predict = ["--model", str(tiny_model), "-o", "out.jsonl"]
    assert main(["predict", "in.jsonl", *predict]) == 0
    whole = Path("out.jsonl").read_bytes()
    assert main(["predict", "bad.jsonl", *predict]) == 1
    assert len(read("out.jsonl")) == len(lines) - 2
    assert Path("out.jsonl").read_bytes() == b"".join(whole.splitlines(keepends=True)[:-2])


@pytest.mark.parametrize("count", [0, WORTH - 1, WORTH, WORTH + 5])
def test_a_run_that_fails_leaves_what_is_worth_keeping(tmp_path, count, capsys):
    def fail():
        with journal(tmp_path / "o.csv", ABOUT, resume=False) as kept:
            for n in range(count):
                kept.add(document(n))
            raise GongbaoError("no room")

    with pytest.raises(GongbaoError, match="no room"):
        fail()
    assert len(list(tmp_path.iterdir())) == (count >= WORTH)
    if count >= WORTH:
        assert f"goes on behind {count} documents" in capsys.readouterr().err
        with pytest.raises(UsageError, match="was stopped"), journal(tmp_path / "o.csv", ABOUT, resume=False):
            pass
        with journal(tmp_path / "o.csv", ABOUT, resume=True) as kept:
            assert [d.id for d in kept.documents()] == [f"d{n}" for n in range(count)]
        assert not list(tmp_path.iterdir())


def test_another_command_has_another_journal(tmp_path):
    with journal(tmp_path / "o.csv", ABOUT, resume=False) as kept:
        kept.add(document(1))
        with journal(tmp_path / "o.csv", ABOUT | {"model": "n"}, resume=True) as other:
            assert len(other) == 0
        assert kept.has("d2") is False


def test_each_document_of_an_id_counts_once(tmp_path):
    path = tmp_path / "o.csv"
    with pytest.raises(GongbaoError), journal(path, ABOUT, resume=False) as kept:
        for _ in range(WORTH):
            kept.add(document(1))
        raise GongbaoError("stop")
    with journal(path, ABOUT, resume=True) as kept:
        assert Counter(kept.has("d1") for _ in range(WORTH + 2)) == {True: WORTH, False: 2}


def test_two_processes_do_not_write_one_journal(tmp_path):
    with journal(tmp_path / "o.csv", ABOUT, resume=False) as kept:
        kept.add(document(1))
        with (
            pytest.raises(UsageError, match="another process"),
            journal(tmp_path / "o.csv", ABOUT, resume=True),
        ):
            pass
        assert [d.id for d in kept.documents()] == ["d1"]


def test_a_damaged_journal_is_named(tmp_path):
    with pytest.raises(GongbaoError), journal(tmp_path / "o.csv", ABOUT, resume=False) as kept:
        for n in range(WORTH):
            kept.add(document(n))
        raise GongbaoError("stop")
    [path] = tmp_path.iterdir()
    path.write_bytes(b"torn\n" + path.read_bytes())
    with pytest.raises(DataError, match="damaged") as caught, journal(tmp_path / "o.csv", ABOUT, resume=True):
        pass
    assert "line 1" in str(caught.value)
    assert path.exists()


def test_what_cannot_be_written_is_named(tmp_path):
    with (
        pytest.raises(DataError, match="cannot be written"),
        journal(tmp_path / "o", ABOUT, resume=False) as kept,
    ):
        kept.add(Document("d1", "财", meta={"x": "\ud800"}))
    assert not list(tmp_path.iterdir())


def test_a_long_name_of_an_output(tmp_path):
    with journal(tmp_path / ("报" * 80 + ".csv"), ABOUT, resume=False) as kept:
        kept.add(document(1))


# --------------------------------------------------------------------------------------- long texts


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_long_text_is_read_in_parts(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr(long, "_PART", 1000)
    text = "青石镇工作报告\n发布时间:2023-11-02\n" + f"{REPORT}\n" * 100
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    parts = list(read_in_parts(path, "a.txt"))
    assert len(parts) > 5
    assert "".join(p.text for p in parts) == text
    assert [p.id for p in parts] == [f"a.txt#{n}" for n in range(1, len(parts) + 1)]
    assert all(text.startswith(p.text, p.meta["offset"]) for p in parts)
    assert {p.meta["published"] for p in parts} == {"2023-11-02"}
    assert all(p.text.endswith("\n") for p in parts)


def test_a_long_text_streams_through(tmp_path, monkeypatch, tiny_model, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(long, "LONG", 10_000)
    monkeypatch.setattr(long, "_PART", 2_000)
    Path("a.txt").write_text(f"{REPORT}\n" * 200, encoding="utf-8")
    assert main(["predict", "a.txt", "--model", str(tiny_model), "-o", "o.jsonl"]) == 0
    found = read("o.jsonl")
    assert len(found) > 5
    assert sum(s.text == "财政收入" for d in found for s in d.spans) == 200


def test_a_long_text_in_utf_16_is_read_whole(tmp_path, monkeypatch, tiny_model):
    # A byte like that of LF is part of other characters there, 上 (U+4E0A) among them.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(long, "LONG", 10_000)
    monkeypatch.setattr(long, "_PART", 2_001)
    text = f"上年{REPORT}\n" * 200
    Path("a.txt").write_text(text, encoding="utf-16")
    assert main(["predict", "a.txt", "--model", str(tiny_model), "-o", "o.jsonl"]) == 0
    assert [d.text for d in read("o.jsonl")] == [text]


def test_long_texts_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(long, "_PART", 100)
    monkeypatch.setattr(long, "_WHOLE", Limits(bytes=300))
    path = tmp_path / "a.txt"
    path.write_text("财" * 1000, encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.txt: a line has more than 300 bytes"):
        list(read_in_parts(path, "a.txt"))
    path.write_bytes(f"{REPORT}\n".encode() * 3 + b"\xff\xfe\xfd\n")
    with pytest.raises(DataError, match=r"a\.txt: .*not UTF-8|a\.txt: "):
        list(read_in_parts(path, "a.txt"))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_in_parts(tmp_path, "folder"))
