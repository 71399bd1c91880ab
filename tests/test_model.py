"""The token classifier and its export."""

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from gongbao.extractor import Extractor
from gongbao.model import export_onnx, halve, load_model, logits, new_model
from gongbao.model_folder import ModelFolder
from gongbao.schema import UsageError
from gongbao.tagging import TagSet


def test_a_new_model_has_one_output_for_each_tag(tiny_bert):
    tagset = TagSet(("METRIC", "AMOUNT"))
    model = new_model(tiny_bert, tagset, dropout=0.3)
    assert model.config.id2label == dict(enumerate(tagset.tags))
    assert (model.config.hidden_dropout_prob, model.config.attention_probs_dropout_prob) == (0.3, 0.0)
    out = logits(model, np.ones((2, 8), np.int64), np.ones((2, 8), np.int64))
    assert out.shape == (2, 8, 9)
    assert out.dtype == np.float32


def test_a_saved_model_loads_in_evaluation_mode(tiny_model):
    model = load_model(ModelFolder.load(tiny_model))
    assert not model.training
    assert model.dtype == torch.float32


def test_an_export_agrees_with_the_weights_for_any_shape(tiny_model):
    model = load_model(ModelFolder.load(tiny_model)).cpu()
    session = onnxruntime.InferenceSession(tiny_model / "model.onnx", providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    for shape in ((1, 2), (3, 24), (7, 98)):
        tokens = rng.integers(0, model.config.vocab_size, shape)
        theirs = session.run(None, {"input_ids": tokens})[0]
        np.testing.assert_allclose(theirs, logits(model, tokens, np.ones_like(tokens)), atol=1e-4)


def test_an_export_that_computes_something_else_is_not_written(tiny_model, tmp_path, monkeypatch):
    import shutil

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    before = (folder / "model.onnx").read_bytes()
    monkeypatch.setattr(
        "gongbao.model.logits", lambda model, tokens, mask: np.full((*tokens.shape, 21), 9.0, np.float32)
    )
    with pytest.raises(RuntimeError, match="off by"):
        export_onnx(folder)
    assert (folder / "model.onnx").read_bytes() == before


def test_a_halved_model_is_half_as_large_and_finds_the_same(tiny_model, documents, tmp_path):
    folder = ModelFolder.load(tiny_model)
    out = halve(folder, tmp_path / "models" / "small")
    small = ModelFolder.load(out)
    small.check()
    assert (out / "model.safetensors").stat().st_size < 0.6 * (
        tiny_model / "model.safetensors"
    ).stat().st_size
    assert load_file(out / "model.safetensors")["classifier.weight"].dtype == torch.float16
    assert {p.name for p in out.iterdir()} == {p.name for p in tiny_model.iterdir()}
    whole = [d.spans for d in Extractor.load(tiny_model)(documents)]
    for backend in ("onnx", "torch"):
        found = [d.spans for d in Extractor.load(out, backend=backend)(documents)]
        assert [[s.key for s in spans] for spans in found] == [[s.key for s in spans] for spans in whole]
    with pytest.raises(UsageError, match="there already"):
        halve(folder, out)


def test_a_halved_model_that_cannot_be_written_leaves_nothing(tiny_model, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gongbao.model.export_onnx", full)
    with pytest.raises(OSError, match="No space"):
        halve(ModelFolder.load(tiny_model), tmp_path / "small")
    assert list(tmp_path.iterdir()) == []
