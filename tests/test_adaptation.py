"""Masked-character training: what is hidden, that it learns, goes on where it stopped, and is started from."""

import gzip
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gongbao.adaptation import RECORD, STATE, Adaptation, Source, adapt, mask_windows
from gongbao.encoder import character_encoder
from gongbao.schema import DataError, UsageError
from gongbao.windows import Vocabulary

VOCABULARY = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"零一二三四五六七八九十百千万亿"])
MASK = 4
SMALL = Adaptation(steps=12, batch_size=4, width=32, warmup=2)


@pytest.fixture
def texts(tmp_path):
    """Two files whose every sentence is one of two: easy to learn."""
    lines = [
        "全区固定资产投资达到46.8亿元,同比增长11.2%。" * 20,
        "今年以来柳河街道派出12名干部驻点服务。" * 20,
    ]
    for name in ("a.jsonl", "b.jsonl.gz"):
        opener = gzip.open if name.endswith(".gz") else open
        with opener(tmp_path / name, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": line, "year": 2023}) + "\n" for line in lines)
    return [Source(tmp_path / "a.jsonl"), Source(tmp_path / "b.jsonl.gz", 2.0)]


def test_about_the_share_is_hidden_and_what_is_hidden_is_mostly_masked():
    rng = np.random.default_rng(0)
    windows = rng.integers(5, len(VOCABULARY), (200, 100))
    windows[:, 7] = VOCABULARY.sep
    seen, hidden = mask_windows(windows, 0.15, VOCABULARY, MASK, rng)
    assert 0.12 < hidden.mean() < 0.16
    assert not hidden[:, 7].any()
    assert (seen == windows)[~hidden].all()
    assert (seen[hidden] == MASK).mean() == pytest.approx(0.8, abs=0.03)
    assert 0.09 < (seen == windows)[hidden].mean() < 0.13
    # Stretches: a hidden character's neighbour is hidden far more often than by chance.
    assert hidden[:, 1:][hidden[:, :-1]].mean() > 0.3


def test_the_loss_falls_and_the_encoder_is_started_from(tiny_bert, texts, tmp_path):
    told = []
    config = Adaptation(steps=60, batch_size=8, width=32, warmup=5, encoder_rate=3e-3, head_rate=3e-3)
    folder = adapt(texts, tmp_path / "out", config, encoder=str(tiny_bert), report=told.append, save_every=20)
    record = json.loads((folder / RECORD).read_text())
    first, *_, last = record["losses"]
    assert last["held_out"] < first["held_out"]
    assert [t["weight"] for t in record["texts"]] == [1.0, 2.0]
    assert "held out" in told[-1]
    assert not (folder / STATE).exists()
    made = character_encoder(str(folder), folder=tmp_path / "characters")
    assert Vocabulary.load(made / "vocab.txt").tokens == Vocabulary.load(folder / "vocab.txt").tokens


def test_a_stopped_run_ends_as_one_that_was_not(tiny_bert, texts, tmp_path):
    torch.set_num_threads(1)

    def stop(line):
        if "step 4:" in line:
            raise KeyboardInterrupt

    whole = adapt(
        texts, tmp_path / "whole", SMALL, encoder=str(tiny_bert), report=lambda _: None, save_every=2
    )
    with pytest.raises(KeyboardInterrupt):
        adapt(texts, tmp_path / "cut", SMALL, encoder=str(tiny_bert), report=stop, save_every=2)
    assert (tmp_path / "cut" / STATE).exists()
    again = adapt(
        texts,
        tmp_path / "cut",
        SMALL,
        encoder=str(tiny_bert),
        resume=True,
        report=lambda _: None,
        save_every=2,
    )
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, again))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_folder_in_use_and_nothing_to_resume_are_refused(tiny_bert, texts, tmp_path):
    with pytest.raises(UsageError, match="nothing to resume"):
        adapt(texts, tmp_path / "x", SMALL, encoder=str(tiny_bert), resume=True)
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / STATE).touch()
    with pytest.raises(UsageError, match="already holds a run"):
        adapt(texts, tmp_path / "y", SMALL, encoder=str(tiny_bert))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", '{"title": "x"}\n', "line 1"),
        ("b.jsonl", '{"text": "x"}\nnonsense\n', "line 2"),
        ("c.jsonl", '["text"]\n', "line 1"),
        ("d.jsonl.gz", "not packed", "cannot be read"),
    ],
)
def test_a_line_without_a_text_is_named(name, content, problem, tmp_path):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        list(Source(tmp_path / name).texts())


def test_too_little_text_is_refused(tiny_bert, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "短"}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="too few"):
        adapt([Source(tmp_path / "a.jsonl")], tmp_path / "out", SMALL, encoder=str(tiny_bert))


def test_weights_are_read_behind_the_name(tmp_path):
    assert Source.parse("a.jsonl=2.5") == Source(tmp_path.__class__("a.jsonl"), 2.5)
    assert Source.parse("a.jsonl").weight == 1.0
    for wrong in ("a.jsonl=x", "a.jsonl=0", "a.jsonl=-1", "a.jsonl=inf"):
        with pytest.raises(UsageError, match="weight"):
            Source.parse(wrong)
    odd = tmp_path / "a=3"
    odd.touch()
    assert Source.parse(str(odd)) == Source(odd)


def test_an_encoder_without_a_mask_cannot_be_adapted(tiny_bert, texts, tmp_path):
    plain = shutil.copytree(tiny_bert, tmp_path / "plain")
    vocabulary = (plain / "vocab.txt").read_text(encoding="utf-8").replace("[MASK]", "[unused2]")
    (plain / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    with pytest.raises(UsageError, match=r"has no \[MASK\]"):
        adapt(texts, tmp_path / "out", SMALL, encoder=str(plain))
