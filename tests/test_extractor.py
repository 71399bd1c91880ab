"""From text to documents with everything in them."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gongbao.extractor import Extractor, OnnxBackend, TorchBackend, _sections, emissions
from gongbao.model_folder import ModelFolder
from gongbao.schema import DataError, Document, GongbaoError, UsageError
from gongbao.sentences import sentences
from gongbao.windows import Vocabulary

TEXT = "2023年前三季度,青石镇完成财政收入2.3亿元,占年度任务的88.6%。"


@pytest.fixture(scope="module")
def extractor(tiny_model):
    return Extractor.load(tiny_model, threads=1)


def test_a_text_becomes_facts(extractor):
    document = extractor(Document("report", TEXT, meta={"published": "2023-11-02"}))
    assert [(s.text, s.label) for s in document.spans] == [
        ("2023年前三季度", "TIME"), ("青石镇", "ORG"), ("财政收入", "METRIC"), ("2.3亿元", "AMOUNT"), ("88.6%", "AMOUNT"),
    ]  # fmt: skip
    assert [s.value.to_json() for s in document.spans if s.text in ("2.3亿元", "2023年前三季度")] == [
        {"start": "2023-01-01", "end": "2023-09-30"},
        {"kind": "money", "low": 230000000, "high": 230000000, "unit": "CNY", "approx": "exact"},
    ]
    facts = {(document.span(f.metric).text, document.span(f.amount).text, f.role) for f in document.facts}
    assert facts == {("财政收入", "2.3亿元", "VALUE"), ("财政收入", "88.6%", "COMPLETION")}
    assert all(document.span(f.period).text == "2023年前三季度" for f in document.facts)
    assert document.model == extractor.folder.identity()
    assert all(0 < s.score <= 1 for s in document.spans)


def test_what_is_given_decides_what_comes_back(extractor):
    assert isinstance(extractor(TEXT), Document)
    assert [d.text for d in extractor([TEXT, Document("x", "")])] == [TEXT, ""]
    assert extractor([]) == []
    assert extractor("").spans == ()


def test_old_spans_links_and_facts_are_replaced_and_the_rest_is_kept(extractor, documents):
    given_document = documents[3].replace(meta={"published": "2023-11-02", "x": [1]})
    document = extractor(given_document)
    assert document.id == given_document.id
    assert document.meta["x"] == [1]
    assert all(s.score is not None for s in document.spans)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(alphabet="完成财政收入2.3亿元,。占\n😀 ", max_size=300), min_size=1, max_size=6),
    st.integers(64, 4096),
)
def test_a_result_does_not_depend_on_neighbours_or_batch_size(extractor, texts, batch_tokens):
    other = Extractor(extractor.folder, extractor._backend, batch_tokens=batch_tokens)
    together = [dataclasses.replace(d, id="x") for d in other(texts)]
    assert together == [dataclasses.replace(extractor(t), id="x") for t in texts]
    for document in together:
        assert all(document.text[s.start : s.end] == s.text for s in document.spans)
        bounds = sentences(document.text)
        assert all(any(a <= s.start and s.end <= b for a, b in bounds) for s in document.spans)


def test_both_back_ends_agree(tiny_model, documents):
    folder = ModelFolder.load(tiny_model)
    texts = [d.text for d in documents]
    ours = [
        emissions(texts, backend, folder.vocabulary, folder.window)
        for backend in (OnnxBackend(folder.onnx, 1), TorchBackend(folder, 1))
    ]
    for one, other in zip(*ours, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    torch_documents = Extractor.load(tiny_model, backend="torch", threads=1)(documents)
    for one, other in zip(Extractor.load(tiny_model, threads=1)(documents), torch_documents, strict=True):
        assert [(s.key, s.value) for s in one.spans] == [(s.key, s.value) for s in other.spans]


def test_a_long_text_is_read_whole(extractor):
    text = "\n".join([TEXT] * 50)
    document = extractor(text)
    assert sum(s.text == "财政收入" for s in document.spans) == 50
    assert max(s.end for s in document.spans) > len(text) - 10


def test_a_long_document_is_read_in_sections(extractor, monkeypatch):
    text = "\n".join([TEXT] * 50)
    whole = extractor(Document("x", text))
    monkeypatch.setattr("gongbao.extractor.CHUNK", 7 * len(TEXT))
    largest = []
    run = extractor._backend.__class__.__call__
    monkeypatch.setattr(
        extractor._backend.__class__, "__call__", lambda self, t, m: largest.append(t.size) or run(self, t, m)
    )
    sections = extractor(Document("x", text))
    assert len(largest) > 1
    assert [(s.id, s.key, s.value) for s in sections.spans] == [(s.id, s.key, s.value) for s in whole.spans]
    assert [(f.metric, f.amount, f.role) for f in sections.facts] == [
        (f.metric, f.amount, f.role) for f in whole.facts
    ]


@pytest.mark.parametrize("text", ["财" * 5000, "。\n" * 3000, " " * 4100, "增长2.3%。" * 900])
def test_sections_hold_every_character_once(text, monkeypatch):
    monkeypatch.setattr("gongbao.extractor.CHUNK", 1000)
    found = list(_sections(Document("x", text)))
    assert "".join(s.text for s in found) == text
    assert all(text[s.offset : s.offset + len(s.text)] == s.text for s in found)
    assert max(len(s.text) for s in found) <= 1000
    assert [s.is_last for s in found] == [False] * (len(found) - 1) + [True]


def test_a_stream_that_is_given_up_stops_the_encoder(extractor, monkeypatch):
    monkeypatch.setattr("gongbao.extractor.CHUNK", len(TEXT))
    stream = extractor.stream(TEXT for _ in range(1000))
    next(stream)
    stream.close()
    assert extractor(TEXT).spans


def test_what_the_encoder_raises_reaches_the_caller(extractor):
    def broken(tokens, mask):
        raise MemoryError("too much")

    broken.workers = 2
    with pytest.raises(MemoryError, match="too much"):
        Extractor(extractor.folder, broken)([TEXT, TEXT])


def test_a_model_of_before_that_asks_for_a_mask_is_read(tiny_model, extractor, tmp_path):
    model = onnx.load(tiny_model / "model.onnx")
    mask = onnx.helper.make_tensor_value_info("attention_mask", onnx.TensorProto.INT64, ["windows", "width"])
    model.graph.input.append(mask)
    onnx.save(model, tmp_path / "model.onnx")
    other = Extractor(extractor.folder, OnnxBackend(tmp_path / "model.onnx"))
    assert other(TEXT).spans == extractor(TEXT).spans


def test_a_stream_is_read_as_it_comes(extractor, monkeypatch):
    monkeypatch.setattr("gongbao.extractor.CHUNK", 2 * len(TEXT))
    taken = []

    def source():
        for n in range(6):
            taken.append(n)
            yield TEXT

    stream = extractor.stream(source())
    next(stream)
    assert taken == [0, 1, 2, 3], "a chunk is read while the one before is decoded"
    assert len(list(stream)) == 5


def test_inference_imports_no_torch(tiny_model):
    code = (
        "import sys; from gongbao import Extractor; "
        f"d = Extractor.load({str(tiny_model)!r})('青石镇完成财政收入2.3亿元。'); "
        "assert d.spans; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_without_its_onnx_file(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "model.onnx").unlink()
    assert Extractor.load(folder)(TEXT).spans
    with pytest.raises(UsageError, match="no ONNX file"):
        Extractor.load(folder, backend="onnx")


@pytest.mark.parametrize("backend", ["onnx", "torch"])
@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "weights"])
@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(b"torn"), lambda p: p.unlink()])
def test_a_file_that_is_not_the_one_saved_is_named(damage, name, backend, tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    file = {"onnx": "model.onnx", "torch": "model.safetensors"}[backend] if name == "weights" else name
    damage(folder / file)
    with pytest.raises(
        GongbaoError, match=r"not the one that was saved|is missing|no ONNX|no model\.safetensors"
    ) as caught:
        Extractor.load(folder, backend=backend)
    assert str(folder) in str(caught.value)


def test_what_is_not_loaded_is_not_read(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"torn")
    assert Extractor.load(folder)("投入600余万元").spans
    (folder / "model.safetensors").unlink()
    assert Extractor.load(folder)("投入600余万元").spans


def test_files_that_no_library_can_load_are_named(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    for name in ("model.onnx", "model.safetensors", "vocab.txt"):
        (folder / name).write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"model\.onnx cannot be loaded"):
        OnnxBackend(folder / "model.onnx")
    with pytest.raises(UsageError, match=r"weights in .* cannot be loaded"):
        TorchBackend(ModelFolder.load(folder))
    with pytest.raises(DataError, match="cannot be read"):
        Vocabulary.load(folder / "vocab.txt")


def test_the_torch_back_end_without_torch_names_the_extra(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"torch, which is not installed") as caught:
        TorchBackend(ModelFolder.load(tiny_model))
    assert "gongbao[train]" in str(caught.value)


def test_one_reading_gives_the_prediction_and_the_judgement(tiny_model, documents, monkeypatch):
    monkeypatch.setattr("gongbao.extractor.CHUNK", 40)  # each document is read in several sections
    extractor = Extractor.load(tiny_model)
    both = list(extractor.read_and_judge(documents))
    assert [document for document, _ in both] == extractor(documents)
    for document, judged in both:
        assert [s.key for s in judged.predicted.spans] == [s.key for s in document.spans]
        assert judged.gold.keys() == {s.key for d in documents if d.id == document.id for s in d.spans}
