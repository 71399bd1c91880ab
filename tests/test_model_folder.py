"""What a model's folder holds, and which one is the default."""

import json
import os
import shutil

import pytest

from gongbao.model_folder import ModelFolder, default_model, summary
from gongbao.schema import DataError, UsageError


@pytest.fixture
def folder(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def test_a_description_says_all_that_inference_needs(tiny_model, scheme):
    folder = ModelFolder.load(tiny_model)
    assert folder.scheme == scheme
    assert folder.tagset.labels == scheme.labels
    assert folder.identity()["sha256"] == folder.hashes["model.safetensors"]
    found = summary(folder)
    assert found["labels"] == list(scheme.labels)
    assert found["files"]["model.onnx"] > 0


@pytest.mark.parametrize("name", ["model.onnx", "vocab.txt", "model.safetensors"])
def test_a_changed_or_missing_file_is_noticed(folder, name):
    with open(folder / name, "ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="not the one that was saved"):
        ModelFolder.load(folder).check()
    (folder / name).unlink()
    with pytest.raises(DataError, match="missing"):
        ModelFolder.load(folder).check()


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: "{",
        lambda d: "[]",
        lambda d: json.dumps({**d, "format": 99}),
        lambda d: json.dumps({k: v for k, v in d.items() if k != "scheme"}),
        lambda d: json.dumps({**d, "window": {"size": 8, "overlap": 8}}),
        lambda d: json.dumps({**d, "window": {"length": 8}}),
        lambda d: json.dumps({**d, "scheme": {"labels": []}}),
    ],
)
def test_a_damaged_description_is_named(folder, damage):
    path = folder / "gongbao.json"
    path.write_text(damage(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        ModelFolder.load(folder)
    assert str(path) in str(caught.value)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(UsageError, match="holds no gongbao model"):
        ModelFolder.load(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        ModelFolder.load(tmp_path / "gone")


def test_the_default_is_the_shipped_model_else_the_newest_finished_run(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gongbao.model_folder.bundled", lambda name: tmp_path / "shipped")
    with pytest.raises(UsageError, match="no finished run"):
        default_model()
    for n, name in enumerate(("old", "new")):
        shutil.copytree(tiny_model, tmp_path / "runs" / name)
        os.utime(tmp_path / "runs" / name / "gongbao.json", (n, n))
    (tmp_path / "runs" / "unfinished").mkdir()
    assert default_model().name == "new"
    shutil.copytree(tiny_model, tmp_path / "shipped")
    assert default_model() == tmp_path / "shipped"
