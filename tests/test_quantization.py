"""A model in int8: what it computes, what it finds, and the gate before it."""

import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest

from gongbao import quantization
from gongbao.cli import main
from gongbao.extractor import Extractor, OnnxBackend, emissions
from gongbao.model import onnx_bytes
from gongbao.model_folder import ModelFolder
from gongbao.quantization import Gate, int8, quantize


@pytest.fixture(scope="module")
def exported(tiny_model):
    return onnx_bytes(tiny_model)


@pytest.fixture(scope="module")
def small(exported):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantization, "_TABLE", 100)
        return int8(exported)


@pytest.fixture
def model(tiny_model, tmp_path):
    return ModelFolder.load(shutil.copytree(tiny_model, tmp_path / "model"))


def logits(model, tokens):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": tokens})[0]


def test_it_computes_nearly_the_same(exported, small):
    tokens = np.random.default_rng(0).integers(5, 60, (1, 40))
    ours, theirs = logits(small, tokens), logits(exported, tokens)
    assert np.abs(ours - theirs).max() < 0.1 * np.abs(theirs).max()
    assert (ours.argmax(-1) == theirs.argmax(-1)).mean() > 0.9


def test_every_product_with_weights_is_in_int8_and_query_key_and_value_are_one(small):
    graph = onnx.load_from_string(small).graph
    kinds = [node.op_type for node in graph.node]
    # two layers: attention's own two products each stay in fp32
    assert kinds.count("MatMul") == 2 * 2
    assert kinds.count("MatMulInteger") == 2 * 4 + 1
    assert kinds.count("Split") == 2
    sizes = {t.name: np.prod(t.dims) for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    assert max(sizes.values()) <= 32 * 128, "the position embeddings are the largest that is left in fp32"
    kept = {t.name for t in graph.initializer}
    assert kept <= {name for node in graph.node for name in node.input}


def test_weights_have_seven_bits(small):
    graph = onnx.load_from_string(small).graph
    weights = {node.input[1] for node in graph.node if node.op_type == "MatMulInteger"}
    for tensor in graph.initializer:
        if tensor.name in weights:
            assert np.abs(onnx.numpy_helper.to_array(tensor).astype(int)).max() <= 64


def test_what_is_found_is_the_same_whatever_is_read_beside_it(small, tiny_model, documents):
    folder = ModelFolder.load(tiny_model)
    texts = [d.text for d in documents]
    backend = OnnxBackend(small, 2)
    together = emissions(texts, backend, folder.vocabulary, folder.window)
    for text, found in zip(texts, together, strict=True):
        [alone] = emissions([text], backend, folder.vocabulary, folder.window, batch_tokens=64)
        np.testing.assert_array_equal(found, alone)
    spans = [[s.key for s in d.spans] for d in Extractor(folder, backend)(documents)]
    assert spans == [[s.key for s in d.spans] for d in Extractor.load(tiny_model)(documents)]


def test_int8_that_reads_as_well_is_written(model, documents, capsys):
    (model.path / "own.jsonl").write_text("".join(d.to_line() + "\n" for d in documents), encoding="utf-8")
    data = str(model.path / "own.jsonl")
    assert main(["model", "export", str(model.path), "--int8", "--gate", data]) == 0
    out, told = capsys.readouterr()
    assert out.strip() == str(model.onnx)
    assert "in fp32" in told
    assert "it is written" in told
    assert b"MatMulInteger" in model.onnx.read_bytes()
    ModelFolder.load(model.path).check()
    assert Extractor.load(model.path)(documents)[0].spans


def test_int8_that_reads_worse_is_not_written(model, documents, monkeypatch, capsys):
    before = model.onnx.read_bytes()
    described = json.loads((model.path / "gongbao.json").read_text())
    scores = iter([90.0, 90.5, 90.0, 89.6])
    monkeypatch.setattr(quantization, "_f1", lambda *_: next(scores))
    (model.path / "own.jsonl").write_text(documents[0].to_line(), encoding="utf-8")
    data = str(model.path / "own.jsonl")
    assert main(["model", "export", str(model.path), "--int8", "--gate", "dev", "--gate", data]) == 1
    told = capsys.readouterr().err
    assert "dev: span F1 90.00 in fp32, 90.50 in int8 (+0.50)" in told
    assert "(-0.40)" in told
    assert "the file stays as it was" in told
    assert model.onnx.read_bytes() == before
    assert json.loads((model.path / "gongbao.json").read_text()) == described


@pytest.mark.parametrize(
    ("scores", "passed"),
    [
        ({}, True), ({"a": (90.0, 89.75)}, True), ({"a": (90.0, 89.6)}, False), ({"a": (90.0, 95.0)}, True),
        ({"a": (90.0, 90.0), "b": (80.0, 79.0)}, False),
    ],
)  # fmt: skip
def test_every_set_must_pass(scores, passed):
    gate = Gate(scores)
    assert gate.passed is passed
    assert len(gate.lines()) == len(scores) + 1


def test_another_tolerance(model, documents):
    lines = []
    assert not quantize(model, {"own": documents}, tolerance=-1.0, report=lines.append).passed
    assert lines[-1].startswith("int8 loses more than -1.0")


@pytest.mark.parametrize("options", [("--half", "x", "--int8"), ("--gate", "dev")])
def test_options_that_do_not_go_together(model, options, capsys):
    assert main(["model", "export", str(model.path), *options]) == 2
    assert "--int8" in capsys.readouterr().err
