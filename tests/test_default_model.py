"""The model that comes with gongbao: whole, small enough, right on the bundled test split, and what predict uses."""

import json
import re
from pathlib import Path

import pytest

from gongbao.cli import main
from gongbao.corpus import resolve
from gongbao.extractor import Extractor
from gongbao.facts import prepare_gold
from gongbao.files import bundled
from gongbao.metrics import evaluate
from gongbao.model_folder import ModelFolder

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def extractor():
    return Extractor.load()


def test_it_is_the_default_and_its_files_are_those_that_were_saved(extractor):
    assert extractor.folder.path == bundled("models/default")
    ModelFolder.load(MODELS / "default").check()
    assert (MODELS / "default" / "README.md").is_file()


def test_it_is_a_small_download():
    sizes = [p.stat().st_size for p in MODELS.rglob("*") if p.is_file()]
    assert max(sizes) <= 32 * MEGABYTE
    assert sum(sizes) <= 64 * MEGABYTE


def test_it_was_not_trained_on_what_it_is_tested_on():
    record = json.loads((MODELS / "default" / "run.json").read_text(encoding="utf-8"))
    config = (MODELS / "default" / "train.toml").read_text(encoding="utf-8")
    assert record["data"]["train"]["documents"] > 256
    assert not re.search(r'^(train|dev) = .*"(test|shift|all)"', config, re.M)


def test_the_readmes_say_how_good_it_is_on_the_bundled_test_split(extractor, scheme):
    gold = [prepare_gold(d, scheme) for d in resolve("test", scheme)]
    found = evaluate(gold, extractor(gold))
    for page in ("README.md", "README.zh.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        said = [100 * rate for rate in (found.micro.f1, found.links.f1, found.facts.f1)]
        (row,) = re.findall(
            r"^\| (?:the model that comes with gongbao, bundled test split|自带模型，自带测试集) \|(.*)\|$",
            text,
            re.M,
        )
        claimed = [float(n) for n in re.findall(r"(\d+\.\d) \(", row)]
        # Another processor may round a logit the other way.
        assert claimed == pytest.approx(said, abs=0.15)


def test_predict_uses_it_when_no_model_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.txt").write_text(
        "2023年前三季度,青石镇完成一般公共预算收入2.3亿元,同比增长11.2%,占年度任务的88.6%。", encoding="utf-8"
    )
    assert main(["predict", "report.txt"]) == 0
    (document,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert document["model"]["name"] == "default"
    roles = {document["text"][s["start"] : s["end"]] for s in document["spans"]}
    assert {"2023年前三季度", "青石镇", "一般公共预算收入", "2.3亿元", "11.2%", "88.6%"} <= roles
    assert [f["role"] for f in document["facts"]] == ["VALUE", "CHANGE", "COMPLETION"]
