"""Fixtures that many tests share: a tiny BERT, a few annotated documents, a model trained on them."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import MappingProxyType

import pytest

# One thread makes the tiny models quicker, and their sums the same on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

SENTENCES = (
    "{2023年前三季度|TIME},{青石镇|ORG}完成{财政收入|METRIC#1}{2.3亿元|AMOUNT>1:VALUE},占年度任务的{88.6%|AMOUNT>1:COMPLETION}。",
    "{今年以来|TIME},全区{固定资产投资|METRIC#1}达到{46.8亿元|AMOUNT>1:VALUE},同比增长{11.2%|AMOUNT>1:CHANGE}。",
    "总投资{5.6亿元|AMOUNT>1:VALUE}的{云岭冷链物流园|PROJECT#1}开工建设,{柳河街道|ORG}派出{12名|AMOUNT}干部驻点服务。",
    "{去年|TIME}新建{污水管网|METRIC#1}{7.4公里|AMOUNT>1:VALUE},整治{河道|METRIC#2}{4处|AMOUNT>2:VALUE}。",
    "{县教育局|ORG}投入{600余万元|AMOUNT},{滨江小学扩建项目|PROJECT}于{8月|TIME}交付使用。",
    "{上半年|TIME}{用电量|METRIC#1}下降{3.2%|AMOUNT>1:CHANGE},{接待游客|METRIC#2}{近30万人次|AMOUNT>2:VALUE}。",
)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Encoders are made in a folder of the tests, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GONGBAO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def scheme():
    """The bundled label scheme."""
    from gongbao.files import bundled
    from gongbao.label_studio import read_config

    return read_config(bundled("annotations/label_config.xml")).scheme


@pytest.fixture(scope="session")
def documents(scheme):
    """Twelve small annotated documents, each of a few of the sentences above."""
    from gongbao.inline import parse

    def article(n: int) -> str:
        # Ids are unique in a file: each sentence's get its own letter.
        chosen = [SENTENCES[(n + k) % len(SENTENCES)] for k in range(1 + n % 4)]
        return "\n".join(
            s.replace("#", f"#{'abcd'[k]}").replace("|AMOUNT>", f"|AMOUNT>{'abcd'[k]}")
            for k, s in enumerate(chosen)
        )

    return [
        parse(
            article(n),
            id=f"article-{n}",
            scheme=scheme,
            meta={"published": "2023-11-02", "place": f"县{n}", "year": 2023},
        )
        for n in range(12)
    ]


def make_tiny_bert(folder: Path, *, layers: int = 2, kind: str = "bert") -> Path:
    """A random BERT-family model with a small word-piece vocabulary, as a hub would hold it."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    characters = sorted(
        {c for s in SENTENCES for c in s if not c.isspace()} | set("0123456789abcdefghijklmnopqrstuvwxyz")
    )
    vocabulary = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, "##元", "ab", "cd"]
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{v}\n" for v in vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """The folder of a tiny BERT with word pieces."""
    return make_tiny_bert(tmp_path_factory.mktemp("hub") / "tiny-bert")


@pytest.fixture(scope="session")
def corpus_file(documents, tmp_path_factory):
    """The documents as a JSONL file."""
    from gongbao.corpus import write

    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    write(documents, path)
    return path


@pytest.fixture(scope="session")
def tiny_config(tiny_bert, corpus_file):
    """A configuration that trains the tiny BERT in seconds, to almost no error."""
    from gongbao.config import TrainConfig

    return TrainConfig.model_validate(
        {
            "name": "tiny",
            "data": {"train": [str(corpus_file)], "dev": [str(corpus_file)]},
            "encoder": {"name": str(tiny_bert), "layers": 0},
            "window": {"size": 96, "overlap": 24},
            "training": {
                "epochs": 40,
                "batch_size": 4,
                "encoder_rate": 5e-3,
                "head_rate": 1e-2,
                "dropout": 0.0,
                "patience": 40,
            },
        }
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_config, tmp_path_factory):
    """The folder of a finished run of that configuration."""
    from gongbao.training import train

    return train(tiny_config, tmp_path_factory.mktemp("runs") / "tiny", report=lambda line: None)


class RunningService:
    """A `gongbao serve` in a process of its own, on a free port."""

    def __init__(self, arguments, environment, log, before):
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"{before}\nfrom gongbao.cli import run\nrun()", "serve", "--port", "0", *arguments],
                env=os.environ | environment, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        ready = self.eventually(lambda: re.search(r"running on (http://[\w.:]+)", self.log()))
        self.url = ready[1].replace("0.0.0.0", "127.0.0.1")

    def log(self):
        return self._log.read_text(encoding="utf-8")

    def eventually(self, happened, seconds=60):
        """What `happened` gives once it gives something."""
        for _ in range(seconds * 50):
            if found := happened():
                return found
            time.sleep(0.02)
        raise AssertionError(f"it has not happened\n{self.log()}")


@pytest.fixture
def start_service(tiny_model, tmp_path):
    """Starts `gongbao serve` with the tiny model: start_service(*options, environment={}, before="Python to run first")."""
    started = []

    def start(*arguments, environment=MappingProxyType({}), before=""):
        log = tmp_path / f"service-{len(started)}.log"
        started.append(
            RunningService(["--model", str(tiny_model), *arguments], dict(environment), log, before)
        )
        return started[-1]

    yield start
    for service in started:
        service.process.terminate()
    for service in started:
        service.process.wait(60)


@pytest.fixture(scope="session")
def start_browser(tmp_path_factory):
    """Starts headless Chromium in a language, with a profile of its own."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    opened = []

    def start(language, *, width=1200, downloads=None):
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        # The language of the browser is that of its profile, not of its --lang.
        options.add_experimental_option(
            "prefs",
            {
                "intl.accept_languages": language, "intl.selected_languages": language,
                **({"download.default_directory": str(downloads)} if downloads else {}),
            },
        )  # fmt: skip
        for flag in (
            *_FLAGS,
            f"--window-size={width},900",
            f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
        ):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        opened.append(webdriver.Chrome(options=options, service=Service(driver)))
        return opened[-1]

    yield start
    for browser in opened:
        browser.quit()


# Without the network flags Chromium looks for hosts that a closed network does not have.
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-prefers-reduced-motion",
)  # fmt: skip
