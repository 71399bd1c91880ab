"""Training: configurations, data, the trainer's parts, and whole runs of a tiny BERT."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gongbao.config import LinkerConfig, TrainConfig, WindowConfig
from gongbao.corpus import read, write
from gongbao.extractor import Extractor
from gongbao.metrics import evaluate
from gongbao.model import new_model
from gongbao.model_folder import ModelFolder
from gongbao.schema import DataError, Document, Span, UsageError
from gongbao.tagging import TagSet
from gongbao.training import (
    _Sampler,
    last_checkpoint,
    load_data,
    parameter_groups,
    train,
    training_windows,
)
from gongbao.windows import Vocabulary, WindowSize

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


def quiet(line):
    """Nobody reads this run's progress."""


# --------------------------------------------------------------------------------- configuration


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_shipped_configuration_loads_and_is_complete(path):
    config = TrainConfig.load(path)
    assert tomllib.loads(config.to_toml()).keys() == TrainConfig().model_dump().keys()


def test_the_default_configuration_file_says_the_defaults():
    assert TrainConfig.load(CONFIGS[[p.name for p in CONFIGS].index("default.toml")]) == TrainConfig(
        name="default"
    )


def test_a_configuration_round_trips_through_toml(tmp_path):
    config = TrainConfig.load(None, ['encoder.name=模型/"x"\\', "training.epochs=3", "data.dev=[]"])
    (tmp_path / "c.toml").write_text(config.to_toml(), encoding="utf-8")
    assert TrainConfig.load(tmp_path / "c.toml") == config


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            ["training.epoch=3"],
            "--set training.epoch=3: there is no key training.epoch; training.epochs is one",
        ),
        (["data.shceme=x.xml"], "data.scheme is one"),
        (["training.seed=-1"], "--set training.seed=-1: training.seed: Input should be"),
        (["trainin.epochs=3"], "there is no key trainin"),
        (["training.epochs=many"], "training.epochs: Input should be a valid integer"),
        (["training.epochs=0"], "greater than or equal to 1"),
        (["training.epochs"], "not KEY=VALUE"),
        (["=3"], "not KEY=VALUE"),
        (["name=a", "name.b=1"], "is a value"),
        (["training.precision=int4"], "'auto', 'fp32', 'bf16' or 'fp16'"),
        (["name=../up"], "should match pattern"),
        (["window.size=64", "window.overlap=32"], "cannot overlap by 32"),
    ],
)
def test_wrong_keys_and_values_are_fatal(changes, says):
    with pytest.raises(UsageError) as caught:
        TrainConfig.load(None, changes)
    assert says in str(caught.value)


@pytest.mark.parametrize("content", [b"epochs = [", b"\xff\xfe", None])
def test_a_configuration_that_cannot_be_read_names_the_file(tmp_path, content):
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        TrainConfig.load(path)
    assert str(path) in str(caught.value)


# ------------------------------------------------------------------------------------------ data


def test_two_files_with_the_same_ids_are_told_apart(corpus_file, documents):
    config = TrainConfig.load(
        None, [f"data.train={json.dumps([str(corpus_file)] * 2)}", f"data.dev=['{corpus_file}']"]
    )
    _, loaded, _ = load_data(config)
    assert len({d.id for d in loaded}) == 2 * len(documents)


def test_dev_is_set_aside_when_none_is_given(corpus_file, documents):
    _, kept, dev = load_data(TrainConfig.load(None, [f"data.train=['{corpus_file}']", "data.dev=[]"]))
    assert dev
    assert sorted(d.id for d in (*kept, *dev)) == sorted(d.id for d in documents)


def test_one_name_need_not_be_a_list(corpus_file):
    config = TrainConfig.load(None, [f"data.train={corpus_file}", "data.dev=test"])
    assert (config.data.train, config.data.dev) == ([str(corpus_file)], ["test"])


def test_texts_that_are_trained_and_chosen_on_are_told(tiny_config, tmp_path):
    lines = []
    train(shortened(tiny_config, epochs=1), tmp_path / "run", report=lines.append)
    assert any("12 of the texts to choose on are trained on too" in line for line in lines)


def test_nothing_to_train_on(tmp_path):
    path = tmp_path / "bare.jsonl"
    write([Document("a", "没有标注的文章。")], path)
    with pytest.raises(UsageError, match="no spans"):
        load_data(TrainConfig.load(None, [f"data.train=['{path}']", f"data.dev=['{path}']"]))


def test_a_label_outside_the_scheme_is_refused_with_its_place(tmp_path):
    path = tmp_path / "other.jsonl"
    write([Document("a", "财政收入", spans=(Span(0, 4, "指标", "财政收入", "s1"),))], path)
    with pytest.raises(DataError) as caught:
        load_data(TrainConfig.load(None, [f"data.train=['{path}']"]))
    assert "指标" in str(caught.value)
    assert "--set data.scheme=" in str(caught.value)
    assert str(path) in str(caught.value)


def test_windows_give_each_character_its_tag_once_and_count_what_is_lost():
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "甲", "乙"])
    text = "甲乙" * 20 + "丙"
    document = Document(
        "d",
        text,
        spans=(
            Span(0, 2, "X", "甲乙", "s1"),
            Span(4, 36, "X", text[4:36], "s2"),
            Span(40, 41, "X", "丙", "s3"),
        ),
    )
    tagset = TagSet(("X",))
    rows, lost = training_windows([document], vocabulary, WindowSize(16, 4), tagset)
    assert lost == {"documents": 1, "characters": 41, "unknown_characters": 1, "spans": 3, "spans_cut": 1}
    labels = np.concatenate([np.asarray(r) for r in rows["labels"]])
    assert [tagset.tags[k] for k in labels[labels != -100]] == [
        "B-X", "E-X", "O", "O", "B-X", *["I-X"] * 30, "E-X", *["O"] * 4, "S-X",
    ]  # fmt: skip


def test_the_sampler_depends_on_seed_and_epoch_alone():
    lengths = [n % 17 for n in range(64)]
    one, other = _Sampler(4, lengths, seed=1), _Sampler(4, lengths, seed=1)
    torch.manual_seed(5)
    first = list(one)
    torch.manual_seed(6)
    assert list(other) == first
    other.set_epoch(1)
    assert list(other) != first
    other.set_epoch(0)
    assert list(other) == first
    assert sorted(first) == list(range(64))


def test_rates_fall_towards_the_embeddings_and_norms_are_not_decayed(tiny_bert):
    model = new_model(tiny_bert, TagSet(("X",)))
    config = TrainConfig.load(
        None, ["training.layer_decay=0.5", "training.encoder_rate=0.4", "training.head_rate=1.0"]
    ).training
    groups = list(parameter_groups(model, config))
    of = {id(p): g for g in groups for p in g["params"]}
    named = dict(model.named_parameters())
    assert of.keys() == {id(p) for p in named.values()}

    def group(part):
        return of[id(next(p for n, p in named.items() if part in n))]

    assert [
        group(p)["lr"]
        for p in (
            "classifier.weight",
            "layer.1.output.dense.weight",
            "layer.0.output.dense.weight",
            "word_embeddings",
        )
    ] == pytest.approx([1.0, 0.4, 0.2, 0.1])
    assert group("layer.1.output.dense.weight")["weight_decay"] == config.weight_decay
    assert group("layer.1.output.dense.bias")["weight_decay"] == 0
    assert group("layer.1.output.LayerNorm.weight")["weight_decay"] == 0


# --------------------------------------------------------------------------------------- runs


def test_a_run_learns_its_documents_and_its_folder_is_enough(tiny_model, tiny_config, documents):
    folder = ModelFolder.load(tiny_model)
    folder.check()
    assert {p.name for p in tiny_model.iterdir()} == {
        "config.json", "gongbao.json", "label_config.xml", "linker.json", "model.onnx", "model.safetensors", "README.md", "run.json", "train.toml", "vocab.txt",
    }  # fmt: skip
    assert TrainConfig.load(tiny_model / "train.toml") == tiny_config
    scores = evaluate(documents, Extractor.load(tiny_model)(documents))
    assert scores.micro.f1 > 0.9
    record = json.loads((tiny_model / "run.json").read_text(encoding="utf-8"))
    assert record["dev"]["spans"]
    assert record["data"]["train"]["documents"] == len(documents)
    assert "AMOUNT" in (tiny_model / "README.md").read_text(encoding="utf-8")
    # The scores are drawn to what is right on dev, and the linker is the better of the two there.
    assert set(folder.calibration.offsets) <= set(folder.scheme.labels)
    assert record["dev"]["calibration_error"] < 0.1
    assert record["linker"]["kind"] == "learned"
    assert scores.links.f1 > 0.9


def test_the_rules_link_where_the_configuration_says_so(tiny_config, tmp_path):
    config = shortened(tiny_config, epochs=1).model_copy(update={"linker": LinkerConfig(kind="rules")})
    folder = ModelFolder.load(train(config, tmp_path / "run", report=quiet))
    assert folder.linker is None
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8"))["linker"] == {"kind": "rules"}


def shortened(config, **training):
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_seed_gives_the_same_weights_twice_and_another_seed_others(tiny_config, tmp_path):
    config = shortened(tiny_config, epochs=2, dropout=0.1)
    one = weights(train(config, tmp_path / "one", report=quiet))
    assert same(one, weights(train(config, tmp_path / "two", report=quiet)))
    assert not same(one, weights(train(shortened(config, seed=2), tmp_path / "three", report=quiet)))


RUN = """
import sys
from gongbao.config import TrainConfig
from gongbao.training import train
train(TrainConfig.load(sys.argv[1]), sys.argv[2], resume="resume" in sys.argv)
"""


def test_a_killed_run_resumes_to_the_weights_of_an_unbroken_one(tiny_config, tmp_path):
    config = shortened(tiny_config, epochs=6, dropout=0.1)
    (tmp_path / "c.toml").write_text(config.to_toml(), encoding="utf-8")
    unbroken = weights(train(config, tmp_path / "unbroken", report=quiet))
    command = [sys.executable, "-c", RUN, tmp_path / "c.toml", tmp_path / "broken"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        # Killed in the midst of an epoch, when some checkpoint is whole.
        for line in process.stderr:
            if line.startswith("epoch 3"):
                break
        while last_checkpoint(tmp_path / "broken") is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "broken" / "gongbao.json").exists()
    done = subprocess.run([*command, "resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "epoch 1 of" not in done.stderr
    assert same(unbroken, weights(tmp_path / "broken"))


@pytest.mark.parametrize("moved", [False, True])
def test_a_run_killed_when_it_had_stopped_early_ends_the_same(moved, tiny_config, tmp_path, monkeypatch):
    """It trains no epoch more, and finds its best epoch wherever its folder is now."""
    config = shortened(tiny_config, epochs=30, patience=1)
    unbroken = train(config, tmp_path / "unbroken", report=(lines := []).append)
    assert "epoch 30" not in "\n".join(lines)

    def killed(*_):
        raise KeyboardInterrupt

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr("gongbao.training._finish", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, broken, report=quiet)
    if moved:
        broken = broken.rename(tmp_path / "moved")
    train(config, broken, resume=True, report=(more := []).append)
    assert not [line for line in more if line.startswith("epoch")]
    assert same(weights(unbroken), weights(broken))


def test_a_run_is_not_resumed_on_other_data(tiny_config, documents, tmp_path, monkeypatch):
    corpus = tmp_path / "corpus.jsonl"
    write(documents, corpus)
    config = shortened(tiny_config, epochs=1)
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"train": [str(corpus)], "dev": [str(corpus)]})}
    )

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gongbao.training._finish", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run", report=quiet)
    write(documents[1:], corpus)
    with pytest.raises(UsageError, match="the train and dev data is not what"):
        train(config, tmp_path / "run", resume=True, report=quiet)
    write(documents, corpus)
    ModelFolder.load(train(config, tmp_path / "run", resume=True, report=quiet)).check()


def test_windows_that_the_encoder_has_no_positions_for(tiny_config, tmp_path):
    wide = tiny_config.model_copy(update={"window": WindowConfig(size=127, overlap=20)})
    with pytest.raises(UsageError, match="do not fit the encoder's 128 positions") as caught:
        train(wide, tmp_path / "run", report=quiet)
    assert "window.size=126" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_two_processes_train_together(tiny_config, tmp_path):
    """Data-parallel, as torchrun starts it; on processors without a GPU through gloo."""
    (tmp_path / "c.toml").write_text(shortened(tiny_config, epochs=2).to_toml(), encoding="utf-8")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        ROOT / "train.py", "--config", tmp_path / "c.toml", "-o", tmp_path / "run",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ModelFolder.load(tmp_path / "run").check()
    rows = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["data"]["lost"]
    alone = train(shortened(tiny_config, epochs=1), tmp_path / "alone", report=(lines := []).append)
    assert alone.exists()
    assert rows["documents"] == 12
    steps = int(re.search(r"step \d+ of (\d+)", "\n".join(lines))[1])
    assert f"step 2 of {2 * math.ceil(steps / 2)}," in done.stderr
    assert done.stderr.count("writing model.onnx") == 1


def test_several_processes_need_one_folder(tiny_config, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError, match="-o FOLDER"):
        train(tiny_config, report=quiet)


def test_a_checkpoint_half_written_is_passed_over(tmp_path):
    for step, whole in ((10, True), (20, True), (30, False)):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if whole:
            (folder / "complete").touch()
    assert last_checkpoint(tmp_path).name == "checkpoint-20"
    assert last_checkpoint(tmp_path / "none") is None


def test_a_finished_folder_is_not_written_over(tiny_model, tiny_config):
    with pytest.raises(UsageError, match="finished model"):
        train(tiny_config, tiny_model, report=quiet)


def test_an_unfinished_folder_asks_for_resume_or_another(tiny_config, tmp_path):
    (tmp_path / "train.toml").write_text(tiny_config.to_toml(), encoding="utf-8")
    with pytest.raises(UsageError, match="unfinished") as caught:
        train(tiny_config, tmp_path, report=quiet)
    assert "--resume" in str(caught.value)
    with pytest.raises(UsageError, match="another configuration"):
        train(shortened(tiny_config, seed=9), tmp_path, resume=True, report=quiet)


def test_nothing_to_resume(tiny_config, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no run to resume"):
        train(tiny_config, tmp_path / "nowhere", resume=True, report=quiet)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no unfinished run"):
        train(tiny_config, resume=True, report=quiet)


def test_resume_finds_the_newest_unfinished_run_of_its_configuration(tiny_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = shortened(tiny_config, epochs=1)
    of_another_version = "[training]\nno_longer_known = 1\n"
    for name, written in (
        ("a", shortened(config, seed=7).to_toml()),
        ("b", config.to_toml()),
        ("c", of_another_version),
    ):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "train.toml").write_text(written, encoding="utf-8")
    assert train(config, resume=True, report=quiet) == Path("runs/b")


def test_other_labels_from_a_label_studio_export_train_with_no_code_changed(tiny_bert, tmp_path):
    """A researcher's own export, own names and own labels: only the configuration says so."""
    (tmp_path / "own.xml").write_text(
        '<View><Text name="body" value="$content"/><Labels name="tags" toName="body">'
        '<Label value="作物"/><Label value="产量"/></Labels></View>',
        encoding="utf-8",
    )

    def task(n):
        text = f"今年小麦收获{n}吨。"
        regions = [(2, 4, "作物"), (6, len(text) - 1, "产量")]
        return {
            "id": n,
            "data": {"content": text},
            "annotations": [{
                "id": n, "result": [
                    {"id": f"r{k}", "from_name": "tags", "to_name": "body", "type": "labels",
                     "value": {"start": s, "end": e, "text": text[s:e], "labels": [label]}}
                    for k, (s, e, label) in enumerate(regions)
                ],
            }],
        }  # fmt: skip

    export = tmp_path / "export.json"
    export.write_text(json.dumps([task(n) for n in range(10, 18)]), encoding="utf-8")
    config = TrainConfig.model_validate(
        {
            "data": {"train": [str(export)], "dev": [str(export)], "scheme": str(tmp_path / "own.xml")},
            "encoder": {"name": str(tiny_bert), "layers": 0},
            "window": {"size": 96, "overlap": 24},
            "training": {
                "epochs": 30,
                "batch_size": 2,
                "encoder_rate": 5e-3,
                "head_rate": 1e-2,
                "dropout": 0.0,
                "patience": 30,
            },
        }
    )
    folder = train(config, tmp_path / "run", report=quiet)
    document = Extractor.load(folder)("今年小麦收获16吨。")
    assert [(s.label, s.text) for s in document.spans] == [("作物", "小麦"), ("产量", "16吨")]
    assert len(read(export)) == 8
