"""Every command through `gongbao.cli.main`, and what only a process of its own can show."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path

import openpyxl
import pyarrow.parquet
import pytest

import gongbao
from gongbao.cli import main
from gongbao.corpus import read, write
from gongbao.label_studio import read_config, to_export
from gongbao.model_folder import ModelFolder
from gongbao.schema import Document

ROOT = Path(__file__).parents[1]
COMMANDS = (
    "", "train", "evaluate", "predict", "articles", "articles import", "annotations", "annotations import",
    "annotations export", "corpus", "corpus check", "corpus stats", "corpus split", "corpus agreement", "model",
    "model info", "model export",
)  # fmt: skip
REPORT = "2023年前三季度,青石镇完成财政收入2.3亿元,占年度任务的88.6%。"
OWN_CONFIG = """<View><Labels name="l" toName="t"><Label value="PLACE"/><Label value="CROP"/></Labels>
<Text name="t" value="$body"/><Relations><Relation value="grows"/></Relations></View>"""


def own_region(region: str, start: int, end: int, text: str, label: str) -> dict[str, object]:
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    return {"id": region, "type": "labels", "from_name": "l", "to_name": "t", "value": value}


OWN_EXPORT = [
    {
        "id": 1,
        "data": {"body": "河口村种水稻。"},
        "annotations": [
            {
                "id": 1,
                "result": [
                    own_region("a", 0, 3, "河口村", "PLACE"),
                    own_region("b", 4, 6, "水稻", "CROP"),
                    {
                        "type": "relation",
                        "from_id": "a",
                        "to_id": "b",
                        "direction": "right",
                        "labels": ["grows"],
                    },
                ],
            }
        ],
    },
    {"id": 2, "data": {"body": "这里没有标注。"}, "annotations": []},
]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def export(work):
    """A small export with labels of its own, and its configuration."""
    Path("own.xml").write_text(OWN_CONFIG, encoding="utf-8")
    Path("own.json").write_text(json.dumps(OWN_EXPORT, ensure_ascii=False), encoding="utf-8")
    return Path("own.json")


class Terminal:
    """Runs command lines and keeps what they printed."""

    def __init__(self, capsys) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *argv: object, code: int = 0) -> str:
        found = main([str(a) for a in argv])
        self.out, self.err = self._capsys.readouterr()
        assert found == code, self.err
        return self.out


@pytest.fixture
def run(capsys):
    return Terminal(capsys)


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def process(*argv: object, **options) -> subprocess.CompletedProcess[str]:
    """`gongbao` as a process of its own."""
    options = {"capture_output": True, "text": True, "encoding": "utf-8", "timeout": 60} | options
    return subprocess.run(command(*argv), env=environment(), **options)


def command(*argv: object) -> list[str]:
    return [sys.executable, "-c", "from gongbao.cli import run; run()", *map(str, argv)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


# ------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_tells_how_it_is_used(run, words):
    assert run(*words.split(), "--help").startswith(f"Usage: gongbao {words}".rstrip())
    assert run.err == ""


def test_help_lists_every_command(run):
    listed = {w for words in COMMANDS if " " not in words for w in words.split()}
    assert listed <= set(run("--help").split())


def test_help_imports_no_heavy_library():
    code = "import sys, gongbao.cli; gongbao.cli.main(['predict', '--help']); print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )  # fmt: skip
    heavy = (
        "torch", "transformers", "datasets", "numpy", "onnxruntime", "pyarrow", "lxml", "docx", "pdfplumber",
        "pypdfium2", "openpyxl", "jinja2",
    )  # fmt: skip
    assert "'gongbao.cli'" in done.stdout
    assert [name for name in heavy if f"'{name}'" in done.stdout] == []


def test_version(run):
    assert run("--version") == f"gongbao {gongbao.__version__}\n"


@pytest.mark.parametrize("words", ["", "corpus"])
def test_without_a_command_the_help_is_shown_as_wrong_usage(run, words):
    assert run(*words.split(), code=2) == ""
    assert run.err.startswith(f"Usage: gongbao {words}".rstrip())


def test_wrong_usage_says_what_and_where_help_is(run):
    run("corpus", "stats", "--nope", code=2)
    assert run.err == "gongbao: No such option: --nope\n  → gongbao corpus stats --help tells what there is\n"


# ------------------------------------------------------------------------------------------- train


def test_train_and_resume(run, work, tiny_config):
    Path("tiny.toml").write_text(tiny_config.to_toml(), encoding="utf-8")
    out = run("train", "--config", "tiny.toml", "--set", "training.epochs=1", "-o", "运行 一")
    assert out == "运行 一\n"
    assert "training on 12 documents" in run.err
    assert json.loads(run("model", "info", "运行 一", "--json"))["name"] == "tiny"
    run("train", "--config", "tiny.toml", "-o", "运行 一", code=2)
    assert "already holds a finished model" in run.err


def test_train_that_is_stopped_says_how_to_go_on(run, work, monkeypatch):
    def stop(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("gongbao.training.train", stop)
    assert run("train", code=130) == ""
    assert "--resume goes on" in run.err


def test_a_module_that_is_not_installed_is_named_with_its_extra(run, work, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "gongbao.training", raising=False)
    run("train", code=2)
    assert "pip install 'gongbao[train]'" in run.err


# ---------------------------------------------------------------------------------------- evaluate


def test_evaluate_prints_a_table_or_json_and_writes_the_report(run, work, tiny_model, corpus_file):
    out = run("evaluate", "--data", corpus_file, "--model", tiny_model, "-o", "报告/r.html")
    assert "precision" in out
    assert "METRIC" in out
    assert "report: 报告/r.html" in run.err
    assert "12 of 12 documents" in run.err
    assert Path("报告/r.html").read_text(encoding="utf-8").lstrip().startswith("<!")
    found = json.loads(run("evaluate", "--data", corpus_file, "--model", tiny_model, "--json"))
    assert found["spans"]["micro"]["f1"] > 0.9


def test_evaluate_the_predictions_of_another_system(run, work, documents, corpus_file):
    write([d.replace(spans=d.spans[:1], links=(), facts=()) for d in documents], "theirs.jsonl")
    out = run("evaluate", "--data", corpus_file, "--predictions", "theirs.jsonl", "--json")
    micro = json.loads(out)["spans"]["micro"]
    assert (micro["tp"], micro["fp"]) == (len(documents), 0)
    assert micro["fn"] == sum(len(d.spans) - 1 for d in documents)


def test_evaluate_takes_facts_with_or_without_values(run, work, corpus_file, scheme):
    from gongbao.facts import prepare_gold

    gold = [prepare_gold(d, scheme) for d in read(corpus_file)]
    for name, strip in (("with", False), ("without", True)):
        lines = []
        for document in gold:
            data = document.to_json()
            for span in data["spans"]:
                if strip:
                    span.pop("value", None)
            lines.append(json.dumps(data, ensure_ascii=False))
        Path(f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        out = run("evaluate", "--data", corpus_file, "--predictions", f"{name}.jsonl", "--json")
        assert json.loads(out)["facts"]["f1"] == 1.0


def test_evaluate_with_labels_of_its_own(run, export):
    run("evaluate", "--data", export, "--predictions", export, code=1)
    assert "the label 'PLACE' is not in the scheme" in run.err
    assert "--config label_config.xml" in run.err
    run("evaluate", "--data", export, "--predictions", export, "--config", "own.xml")
    assert "own.json: left out: 1 × the task is not annotated" in run.err


def test_evaluate_reports_what_was_seen_in_training_and_what_is_in_doubt(run, work, tiny_model, corpus_file):
    run("evaluate", "--data", corpus_file, "--model", tiny_model, "-o", "r.json")
    found = json.loads(Path("r.json").read_text(encoding="utf-8"))
    # The model's own configuration says what it was trained on: this very corpus.
    assert [b["name"] for b in found["buckets"]["seen"]] == ["seen"]
    assert found["schemes"]["spans"]["partial"]["micro"]["f1"] > 0.9
    assert isinstance(found["suspects"], list)
    assert found["comparison"] is None
    write([], "none.jsonl")
    run("evaluate", "--data", corpus_file, "--model", tiny_model, "--train", "none.jsonl", "-o", "r.json")
    assert [b["name"] for b in json.loads(Path("r.json").read_text(encoding="utf-8"))["buckets"]["seen"]] == [
        "unseen"
    ]
    run("evaluate", "--data", corpus_file, "--predictions", corpus_file, "--train", "none.jsonl", code=2)
    assert "-o report.html" in run.err


def test_training_data_that_is_gone_is_told(run, work, tiny_model, tiny_config, corpus_file):
    shutil.copytree(tiny_model, "model")
    data = tiny_config.data.model_copy(update={"train": [str(corpus_file), "gone.jsonl"]})
    Path("model/train.toml").write_text(
        tiny_config.model_copy(update={"data": data}).to_toml(), encoding="utf-8"
    )
    run("evaluate", "--data", corpus_file, "--model", "model", "-o", "r.md")
    assert "training data that is not here: gone.jsonl" in run.err
    Path("model/train.toml").unlink()
    run("evaluate", "--data", corpus_file, "--model", "model", "-o", "r.md")
    assert "Seen in training" not in Path("r.md").read_text(encoding="utf-8")


def test_evaluate_against_a_model_or_predictions(run, work, tiny_model, documents, corpus_file):
    write([d.replace(spans=d.spans[:1], links=(), facts=()) for d in documents], "theirs.jsonl")
    out = run(
        "evaluate",
        "--data",
        corpus_file,
        "--predictions",
        "theirs.jsonl",
        "--against",
        tiny_model,
        "-o",
        "r.html",
    )
    assert re.search(r"^spans F1, difference to the other: -0\.\d{3}, p 0\.\d{4}, significant$", out, re.M)
    assert 'id="comparison"' in Path("r.html").read_text(encoding="utf-8")
    out = run("evaluate", "--data", corpus_file, "--model", tiny_model, "--against", "theirs.jsonl", "--json")
    assert json.loads(out)["against"]["spans"]["significant"] is True
    write(documents[1:], "less.jsonl")
    run("evaluate", "--data", corpus_file, "--model", tiny_model, "--against", "less.jsonl", code=1)
    assert "less.jsonl against" in run.err
    run("evaluate", "--data", corpus_file, "--model", tiny_model, "--against", "gone", code=2)
    assert "there is no file or folder gone" in run.err


# ----------------------------------------------------------------------------------------- predict


@pytest.fixture
def report(work):
    path = Path("青石 镇/报告 一.txt")
    path.parent.mkdir()
    path.write_text(REPORT, encoding="utf-8")
    return path


def test_predict_to_standard_output(run, tiny_model, report):
    (line,) = run("predict", report, "--model", tiny_model).splitlines()
    document = Document.from_json(json.loads(line))
    assert document.id == "青石 镇/报告 一.txt"
    assert [s.text for s in document.spans if s.label == "AMOUNT"] == ["2.3亿元", "88.6%"]
    assert run.err == f"1 document, {len(document.facts)} facts\n"


def test_predict_by_suffix_and_by_format(run, tiny_model, report):
    for name in ("a.jsonl", "a.facts.jsonl", "a.csv", "a.xlsx", "a.parquet"):
        assert run("predict", report, "--model", tiny_model, "-o", f"出 口/{name}") == ""
        assert run.err.endswith(f"facts: 出 口/{name}\n")
    table = [json.loads(line) for line in Path("出 口/a.facts.jsonl").read_text("utf-8").splitlines()]
    assert {row["amount"] for row in table} == {"2.3亿元", "88.6%"}
    count = len(table)
    sheet = list(openpyxl.load_workbook("出 口/a.xlsx").active.values)
    written = csv.DictReader(io.StringIO(Path("出 口/a.csv").read_text("utf-8-sig"), newline=""))
    assert [row["low"] for row in written] == [str(row["low"]) for row in table]
    assert pyarrow.parquet.read_table("出 口/a.parquet").num_rows == len(sheet) - 1 == count
    assert len(read("出 口/a.jsonl")[0].facts) == count
    assert len(run("predict", report, "--model", tiny_model, "--format", "facts").splitlines()) == count
    run("predict", report, "--model", tiny_model, "--format", "csv", "-o", "表")
    assert Path("表").read_bytes() == Path("出 口/a.csv").read_bytes()


def test_predict_makes_a_page_to_read(run, tiny_model, report):
    run("predict", report, "--model", tiny_model, "-o", "view.html")
    page = Path("view.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "2.3亿元" in page
    assert run("predict", report, "--model", tiny_model, "--format", "html").startswith("<!DOCTYPE html>")


def test_predict_uses_the_newest_run_if_no_model_is_named(run, tiny_model, report, monkeypatch):
    monkeypatch.setattr("gongbao.model_folder.bundled", lambda name: Path("nowhere"))
    run("predict", report, code=2)
    assert "no model is named" in run.err
    assert "--model" in run.err
    shutil.copytree(tiny_model, "runs/tiny")
    assert run("predict", report)


@pytest.mark.parametrize("kept", ["model.onnx", "model.safetensors"])
def test_predict_needs_one_form_of_the_weights_alone(run, tiny_model, report, kept):
    shutil.copytree(tiny_model, "model")
    for name in {"model.onnx", "model.safetensors"} - {kept}:
        Path("model", name).unlink()
    assert run("predict", report, "--model", "model")


def test_predict_goes_on_behind_what_cannot_be_read(run, tiny_model, report):
    folder = report.parent
    (folder / "broken.docx").write_bytes(b"PK\x03\x04 and nothing more")
    (folder / "empty.txt").touch()
    (folder / "notes.xyz").write_text("not an article")
    (folder / "报告 二.txt").write_text(REPORT, encoding="utf-8")
    run("predict", folder, "gone.txt", "-o", "out.jsonl", "--model", tiny_model, code=1)
    assert [d.id for d in read("out.jsonl")] == ["青石 镇/报告 一.txt", "青石 镇/报告 二.txt"]
    for name in ("青石 镇/broken.docx: ", "青石 镇/empty.txt: ", "gone.txt: "):
        assert name in run.err
    assert "3 inputs could not be read, see above" in run.err
    assert "青石 镇: 1 file of other kinds passed over: notes.xyz\n" in run.err


def test_a_report_named_twice_is_read_once(run, tiny_model, report):
    run("predict", report.parent, report, "-o", "out.jsonl", "--model", tiny_model)
    assert len(read("out.jsonl")) == 1


def test_predict_says_when_a_publication_date_is_wanting(run, tiny_model, work):
    Path("a.txt").write_text("今年以来,全区固定资产投资达到46.8亿元,同比增长11.2%。", encoding="utf-8")
    run("predict", "a.txt", "--model", tiny_model)
    assert "1 document with times that have no dates" in run.err
    run("predict", "a.txt", "--model", tiny_model, "--published", "2023-11-02")
    assert "no dates" not in run.err


def test_predict_leaves_the_output_alone_if_nothing_can_be_read(run, tiny_model, work):
    Path("out.csv").write_text("as it was")
    Path("empty").mkdir()
    run("predict", "empty", "-o", "out.csv", "--model", tiny_model, code=1)
    assert "no report could be read; nothing was written" in run.err
    assert Path("out.csv").read_text() == "as it was"


def test_predict_counts_periods_from_the_day_given(run, tiny_model, work):
    lines = [
        {"id": "a", "text": "今年以来,全区固定资产投资达到46.8亿元,同比增长11.2%。"},
        {
            "id": "b",
            "text": "今年以来,全区固定资产投资达到46.8亿元,同比增长11.2%。",
            "meta": {"published": "2020-05-31"},
        },
    ]
    Path("in.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    run("predict", "in.jsonl", "--published", "20231102", "-o", "out.facts.jsonl", "--model", tiny_model)
    rows = [json.loads(line) for line in Path("out.facts.jsonl").read_text("utf-8").splitlines()]
    assert {(row["document"], row["period_start"]) for row in rows} == {
        ("a", "2023-01-01"),
        ("b", "2020-01-01"),
    }
    read_back = {
        json.loads(line)["id"]: json.loads(line)["meta"]
        for line in run("predict", "in.jsonl", "--published", "20231102", "--model", tiny_model).splitlines()
    }
    assert read_back == {"a": {"published": "2023-11-02"}, "b": {"published": "2020-05-31"}}


def test_predict_tells_how_far_it_is(run, tiny_model, work):
    write([Document(id=f"d{n}", text="财政收入2.3亿元。") for n in range(101)], "in.jsonl.gz")
    run("predict", "in.jsonl.gz", "-o", "out.csv", "--model", tiny_model)
    assert run.err.splitlines()[:2] == ["  50 documents", "  100 documents"]


# -------------------------------------------------------------------------- articles and annotations


def test_articles_import(run, report):
    (report.parent / "b.html").write_text("<html><body><nav>首页</nav></body></html>", encoding="utf-8")
    run("articles", "import", report.parent, "-o", "新/articles.jsonl", code=1)
    (document,) = read("新/articles.jsonl")
    assert document.text == REPORT
    assert [b.paragraph for b in document.blocks] == [1]
    assert "1 article: 新/articles.jsonl" in run.err
    assert "青石 镇/b.html: " in run.err
    assert run.out == ""


def test_articles_import_of_nothing_readable_writes_nothing(run, work):
    run("articles", "import", "gone", "-o", "articles.jsonl", code=1)
    assert "nothing was written" in run.err
    assert not Path("articles.jsonl").exists()


def test_annotations_go_to_a_corpus_and_back(run, export):
    found = json.loads(run("annotations", "import", export, "-o", "own.jsonl", "--list-dropped", "--json"))
    assert found == {"documents": 1, "dropped": {"the task is not annotated": 1}, "noted": {}}
    assert run.err == (
        "left out: 1 × the task is not annotated\n  task 2: the task is not annotated\n1 document: own.jsonl\n"
    )
    assert json.loads(run("corpus", "check", "own.jsonl", "--config", "own.xml", "--json"))["findings"] == []
    run("corpus", "check", "own.jsonl", code=1)
    assert "the scheme has no label PLACE" in run.out
    run("annotations", "export", "own.jsonl", "--config", "own.xml", "--as-annotations", "-o", "tasks.json")
    (task,) = json.loads(Path("tasks.json").read_text(encoding="utf-8"))
    assert task["data"]["body"] == "河口村种水稻。"
    assert [r.get("to_name") or r["labels"][0] for r in task["annotations"][0]["result"]] == [
        "t",
        "t",
        "grows",
    ]
    run("annotations", "import", "tasks.json", "--config", "own.xml", "-o", "again.jsonl")
    (before,), (after,) = read("own.jsonl"), read("again.jsonl")
    assert [s.key for s in before.spans] == [s.key for s in after.spans]
    assert [k.role for k in after.links] == ["grows"]


def test_annotations_import_notes_what_may_be_wrong(run, export):
    tasks = json.loads(export.read_text(encoding="utf-8"))
    tasks[0]["annotations"][0]["result"][0]["value"]["text"] = "小麦田"
    export.write_text(json.dumps(tasks), encoding="utf-8")
    run("annotations", "import", export, "-o", "own.jsonl", "--list-dropped")
    assert "noted: 1 × the region's own text is not the text at its offsets" in run.err
    assert "task 1, annotation 1, region a" in run.err


def test_predictions_become_tasks_with_scores(run, tiny_model, report):
    run("predict", report, "--model", tiny_model, "-o", "found.jsonl")
    run("annotations", "export", "found.jsonl", "-o", "tasks.json")
    (task,) = json.loads(Path("tasks.json").read_text(encoding="utf-8"))
    assert 0 < task["predictions"][0]["score"] <= 1
    assert run.err == "1 task: tasks.json\n"


# ------------------------------------------------------------------------------------------ corpus


def test_corpus_check_lists_findings_duplicates_and_unreadable_files(run, work, documents):
    write([documents[0], documents[1].replace(id="copy"), documents[1]], "a.jsonl")
    Path("broken.jsonl").write_text('{"id": "x"}\n')
    out = run("corpus", "check", "a.jsonl", "broken.jsonl", code=1)
    assert "broken.jsonl, line 1, x: the field 'text' is missing" in out
    assert "duplicate-text" in out
    assert "copy and article-1 are alike (1.00)" in out
    assert "3 documents" in run.err
    assert "1 file that cannot be read" in run.err
    found = json.loads(run("corpus", "check", "a.jsonl", "broken.jsonl", "--json", code=1))
    assert set(found) == {"documents", "unreadable", "findings", "duplicates"}
    assert run("corpus", "check", "a.jsonl", code=1)  # a warning is more than a notice


def test_corpus_check_of_a_sound_corpus(run, corpus_file):
    run("corpus", "check", corpus_file)
    assert "12 documents, 0 findings" in run.err


def test_corpus_stats(run, export, corpus_file):
    assert "12 documents" in run("corpus", "stats", corpus_file)
    found = json.loads(run("corpus", "stats", corpus_file, "--json"))
    assert found["documents"] == 12
    assert "PLACE" in run("corpus", "stats", export)  # any labels are counted
    run("corpus", "stats", export, "--config", "own.xml")
    run("corpus", "stats", corpus_file, "--config", "own.xml", code=1)
    assert "is not in the scheme" in run.err


def test_corpus_split_writes_three_files_and_lists_what_stands_on_both_sides(run, work, corpus_file):
    out = run("corpus", "split", corpus_file, "-o", "分 割", "--ratios", "0.5,0.25,0.25")
    assert "sentences stand in two of them" in out
    assert "alike (1.00)" in out
    parts = [read(f"分 割/{name}.jsonl") for name in ("train", "dev", "test")]
    assert sorted(d.id for part in parts for d in part) == sorted(d.id for d in read(corpus_file))
    assert names("分 割") == ["dev.jsonl", "splits.json", "test.jsonl", "train.jsonl"]
    found = json.loads(run("corpus", "split", corpus_file, "-o", "b", "--ratios", "0.5,0.25,0.25", "--json"))
    assert found["train"]["documents"] == [d.id for d in parts[0]]
    assert {"first", "second", "similarity"} == set(found["shared"][0])
    other = json.loads(run("corpus", "split", corpus_file, "-o", "c", "--seed", "7", "--json"))
    assert other["train"]["sha256"] != found["train"]["sha256"]


def test_corpus_split_replaces_all_files_or_none(run, work, corpus_file, monkeypatch):
    Path("out").mkdir()
    Path("out/train.jsonl").write_text("as it was")
    real = write

    def full(documents, path):
        if Path(path).name == "test.jsonl":
            raise OSError(ENOSPC, "No space left on device")
        real(documents, path)

    monkeypatch.setattr("gongbao.corpus.write", full)
    run("corpus", "split", corpus_file, "-o", "out", code=1)
    assert "out: it cannot be written: No space left on device" in run.err
    assert names("out") == ["train.jsonl"]
    assert Path("out/train.jsonl").read_text() == "as it was"


def test_corpus_agreement(run, work, documents):
    write(documents, "one.jsonl")
    write([documents[0].replace(spans=documents[0].spans[1:], links=()), *documents[1:]], "two.jsonl")
    assert "second only 0" in run("corpus", "agreement", "one.jsonl", "two.jsonl")
    (found,) = json.loads(run("corpus", "agreement", "one.jsonl", "two.jsonl", "--json"))
    assert found["annotators"] == ["one.jsonl", "two.jsonl"]
    assert found["spans"]["micro"]["fn"] == 1
    (same,) = json.loads(run("corpus", "agreement", "one.jsonl", "one.jsonl", "--json"))
    assert same["disagreements"] == []


def test_annotators_of_one_export_are_compared(run, work, documents):
    of = {"李": documents[0], "王": documents[0].replace(spans=documents[0].spans[1:], links=())}
    write([d.replace(id=f"task-1@{name}") for name, d in of.items()], "all.jsonl")
    assert run("corpus", "agreement", "all.jsonl").startswith("李 and 王\n")
    write(documents, "one.jsonl")
    run("corpus", "agreement", "one.jsonl", code=1)
    assert "--choose all" in run.err


def test_annotators_of_a_label_studio_export_are_compared(run, work, documents):
    # Offsets behind an emoji of several code points and a CR LF are those of the text as it is.
    before = "👩‍👩‍👧简报\r\n"
    document = documents[0]
    text = before + document.text
    spans = tuple(replace(s, start=s.start + len(before), end=s.end + len(before)) for s in document.spans)

    def by(annotator, spans, links=()):
        origin = {"task": 1, "annotation": int(annotator), "annotator": annotator, "document": "a"}
        return Document(f"a@{annotator}", text, {"label_studio": origin}, spans, links)

    config = read_config(ROOT / "annotations" / "label_config.xml")
    tasks = to_export([by("3", spans, document.links), by("4", spans[1:])], config)
    whole, _less = tasks[0]["annotations"]
    tasks[0]["annotations"].append({**whole, "id": 5, "completed_by": 4, "was_cancelled": True})
    Path("export.json").write_text(json.dumps(tasks), encoding="utf-8")
    (found,) = json.loads(run("corpus", "agreement", "export.json", "--json"))
    assert found["annotators"] == ["3", "4"]
    assert (found["spans"]["micro"]["tp"], found["spans"]["micro"]["fn"]) == (len(spans) - 1, 1)
    assert "1 left out: the annotation was cancelled" in run.err
    tasks[0]["annotations"] = [whole]
    Path("export.json").write_text(json.dumps(tasks), encoding="utf-8")
    run("corpus", "agreement", "export.json", code=2)
    assert "documents of each: 3 1" in run.err
    assert "export.json: no two annotators" in run.err


def test_annotators_are_compared_whatever_a_json_file_holds(run, work, documents):
    write([documents[0].replace(id=f"task-1@{name}") for name in ("李", "王")], "all.jsonl")
    Path("all.jsonl").rename("all.json")
    assert run("corpus", "agreement", "all.json").startswith("李 and 王\n")


# ------------------------------------------------------------------------------------------- model


def test_model_info_and_export(run, work, tiny_model):
    out = run("model", "info", tiny_model)
    assert "labels: METRIC AMOUNT PROJECT ORG TIME" in out
    assert json.loads(run("model", "info", tiny_model, "--json"))["window"] == {"size": 96, "overlap": 24}
    shutil.copytree(tiny_model, "model")
    Path("model/model.onnx").unlink()
    assert run("model", "export", "model") == "model/model.onnx\n"
    assert "model.onnx" in run("model", "info", "model")


# ------------------------------------------------------------------- disks, pipes, signals, terminals


@pytest.mark.parametrize("form", ["jsonl", "facts", "csv", "xlsx", "parquet"])
def test_a_full_disk_is_named_and_what_was_there_stays(run, tiny_model, report, form, monkeypatch):
    run("predict", report, "--format", form, "-o", "/dev/full", "--model", tiny_model, code=1)
    assert run.err.startswith(
        "gongbao: /dev/full: it cannot be written: No space left on device\n  → make room"
    )

    def full(_descriptor):
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    Path("out").mkdir()
    Path("out/facts").write_text("as it was")
    run("predict", report, "--format", form, "-o", "out/facts", "--model", tiny_model, code=1)
    assert "gongbao: out/facts: it cannot be written: No space left on device" in run.err
    assert names("out") == ["facts"]
    assert Path("out/facts").read_text() == "as it was"


@pytest.mark.parametrize(
    ("error", "free", "message"),
    [
        (RuntimeError("Error while serializing: I/O error: broken (os error 28)"), 1 << 40, "No space left on device"),
        (RuntimeError("a stream broke"), 5, "No space left on device"),
        (OSError(ENOSPC, "No space left on device", "run/model.safetensors"), 1 << 40, "No space left on device"),
    ],
)  # fmt: skip
def test_train_on_a_full_disk_names_the_run(run, work, monkeypatch, error, free, message):
    def broken(*_args, **_options):
        raise error

    Path("run").mkdir()
    monkeypatch.setattr("gongbao.training.train", broken)
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(1 << 50, 1 << 50, free))
    run("train", "-o", "run", code=1)
    assert run.err.startswith(f"gongbao: run: it cannot be written: {message}\n")


def test_an_error_about_another_file_is_not_taken_for_one_of_the_output(run, work, monkeypatch):
    def broken(*_args, **_options):
        Path("encoder/vocab.txt").read_bytes()

    monkeypatch.setattr("gongbao.training.train", broken)
    run("train", "-o", "run", code=1)
    assert run.err == "gongbao: encoder/vocab.txt: No such file or directory\n"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["predict", "{report}", "--model", "{model}"], "a.csv"),
        (["articles", "import", "{report}"], "a.jsonl"),
        (["annotations", "import", "{export}"], "a.jsonl"),
        (["annotations", "export", "{corpus}"], "a.json"),
        (["corpus", "split", "{corpus}"], "a"),
        (["evaluate", "--data", "{corpus}", "--predictions", "{corpus}"], "a.html"),
        (["train", "--config", "{toml}"], "run"),
    ],
)
def test_an_output_below_a_file_is_refused(
    run, tiny_model, tiny_config, report, export, corpus_file, words, name
):
    Path("tiny.toml").write_text(tiny_config.to_toml(), encoding="utf-8")
    names = {
        "report": report, "model": tiny_model, "export": export, "corpus": corpus_file, "toml": "tiny.toml",
    }  # fmt: skip
    Path("file").write_text("as it was")
    run(*(w.format_map(names) for w in words), "-o", f"file/{name}", code=1)
    assert f"file/{name}: it cannot be written: a part of its path is a file" in run.err
    assert Path("file").read_text() == "as it was"


def test_standard_input_and_output_of_a_process(tiny_model, work):
    done = process("predict", "-", "--model", tiny_model, "--format", "facts", input=REPORT)
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(row["document"], row["amount"]) for row in rows} == {("-", "2.3亿元"), ("-", "88.6%")}


def test_a_closed_pipe_is_no_matter(corpus_file, work):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = process(
        "corpus", "stats", corpus_file, capture_output=False, stdout=write_end, stderr=subprocess.PIPE
    )
    os.close(write_end)
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_full_disk_behind_standard_output(corpus_file, work):
    with open("/dev/full", "w") as full:
        done = process(
            "corpus", "stats", corpus_file, capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.stderr == "gongbao: standard output: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_is_stopped_leaves_nothing_half_written(tiny_model, work, number, code):
    write([Document(id="a", text="财政收入2.3亿元。")], "a.jsonl")
    Path("out").mkdir()
    Path("out/facts.csv").write_text("as it was")
    # It waits for the end of its standard input, with the output begun.
    argv = command("predict", "a.jsonl", "-", "-o", "out/facts.csv", "--model", tiny_model)
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}

    def heed():  # a job in the background of a shell ignores Ctrl-C, and so would what it starts
        signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(argv, env=environment(), text=True, preexec_fn=heed, **pipes) as started:
        while len(names("out")) < 2 and started.poll() is None:
            time.sleep(0.01)
        started.send_signal(number)
        started.wait(60)
        err = started.stderr.read()
    assert started.returncode == code, err
    assert "Traceback" not in err
    assert names("out") == ["facts.csv"]
    assert Path("out/facts.csv").read_text() == "as it was"


def test_the_command_runs_outside_the_main_thread(capsys):
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_a_mistake_of_our_own_is_shown_with_its_trace(run, work, monkeypatch):
    def broken(*_args):
        raise RuntimeError("a wheel came off")

    monkeypatch.setattr("gongbao.statistics.statistics", broken)
    Path("a.jsonl").write_text("")
    run("corpus", "stats", "a.jsonl", code=1)
    assert "RuntimeError: a wheel came off" in run.err
    assert "please report it" in run.err


def test_an_error_of_a_library_without_a_number_is_told_as_it_is(run, work, monkeypatch):
    def broken(*_args):
        raise OSError("the hub has no such file")

    monkeypatch.setattr("gongbao.statistics.statistics", broken)
    Path("a.jsonl").write_text("")
    run("corpus", "stats", "a.jsonl", code=1)
    assert run.err == "gongbao: the hub has no such file\n"


def test_warnings_of_others_are_left_to_python(run, work, monkeypatch):
    def warned(*_args):
        warnings.warn_explicit("old", UserWarning, "/elsewhere/library.py", 1, module="gongbao.elsewhere")
        return "done"

    monkeypatch.setattr("gongbao.statistics.statistics", warned)
    Path("a.jsonl").write_text("")
    with pytest.warns(UserWarning, match="old"):
        assert run("corpus", "stats", "a.jsonl") == "done\n"
    assert run.err == ""


def test_a_terminal_of_another_encoding_shows_what_it_can(work):
    Path("b.ann").write_text("{𠮷田。|ORG}建成。", encoding="utf-8")
    done = subprocess.run(
        command("corpus", "check", "b.ann"), capture_output=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "gbk"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "\\U00020bb7田" in done.stdout.decode("gbk")


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
def test_the_scripts_at_the_top_are_the_commands(name, work):
    done = subprocess.run(
        [sys.executable, str(ROOT / f"{name}.py"), "--help"], env=environment(), capture_output=True, text=True,
        encoding="utf-8", timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"Usage: gongbao {name} ")
    missing = [sys.executable, str(ROOT / f"{name}.py"), "--nope"]
    assert subprocess.run(missing, env=environment(), capture_output=True, timeout=60).returncode == 2


def test_corpus_suspects_lists_and_writes_them(run, work, corpus_file, tiny_model):
    out = run("corpus", "suspects", corpus_file, "--model", tiny_model, "-o", "suspects.jsonl", "--most", "1")
    assert out.count("\n") <= 2
    found = [json.loads(line) for line in Path("suspects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert f"{len(found)} suspect" in run.err
    assert [f["sureness"] for f in found] == sorted((f["sureness"] for f in found), reverse=True)
    run("corpus", "suspects", corpus_file, "--model", tiny_model, "--folds", "2", code=2)
    assert "--folds and --model exclude each other" in run.err


def test_model_export_half_writes_another_folder(run, work, tiny_model):
    assert run("model", "export", tiny_model, "--half", "small").strip() == "small"
    assert "small" in run("model", "info", "small")
    run("model", "export", tiny_model, "--half", "small", code=2)
    assert "is there already" in run.err


def test_the_linker_and_the_calibration_are_fitted_anew(tiny_model, corpus_file, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    given = ["model", "refit", str(folder), "--train", str(corpus_file), "--dev", str(corpus_file)]
    assert main([*given, "--linker", "rules"]) == 0
    assert not (folder / "linker.json").exists()
    ModelFolder.load(folder).check()
    assert main(given) == 0
    assert "learned" in capsys.readouterr().err
    assert (folder / "linker.json").read_bytes() == (tiny_model / "linker.json").read_bytes()
    assert ModelFolder.load(folder).calibration == ModelFolder.load(tiny_model).calibration
    (folder / "model.onnx").unlink()
    assert main(given) == 1
