"""Characters a second of ways to run the same model over the same text, beside what its matrix products alone would need.

usage: python benchmarks/inference.py [TEXTS.jsonl …] [--model FOLDER] [--characters 20000] [--seconds 8]
           [--window SIZE OVERLAP] [--only onnx-int8 …]
       python benchmarks/inference.py --profile | --memory | --start | --installed

Each way runs in a process of its own, over the articles of the bundled test split if no texts are named, until the
seconds are over (twice at least); the quickest pass counts, for other work on a machine only ever slows. It prints a table
in Markdown.

    pipeline          transformers' pipeline("token-classification") with aggregation, text by text: its usual use
    pipeline-batched  the same with batch_size=8, the texts sorted by length
    torch             gongbao with torch
    onnx-fp32         gongbao with ONNX Runtime
    onnx-int8         the same in int8 (gongbao.quantization)
    spacy             spaCy's trained entity recogniser, from a few steps of training: its speed alone is meant
    ceiling-fp32 -int8  the matrix products of the windows that gongbao reads, at the best rate that ONNX Runtime reaches with such
                      a product alone; in int8 those of attention, which have no weights, are in fp32

The pipeline gets the model's own weights, a tokeniser of single characters, and each article in pieces of whole sentences of up to a
window's size, for it would cut off the rest. It reads no piece twice, finds spans only and may break rules of the tags; gongbao reads
with overlapping windows and gives values, links and facts too.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from gongbao.corpus import read, resolve
from gongbao.extractor import Extractor, OnnxBackend, TorchBackend, _decoded, _Reading, _spans
from gongbao.model_folder import ONNX, WEIGHTS, ModelFolder, default_model
from gongbao.schema import Document
from gongbao.windows import WindowSize, windows

ROOT = Path(__file__).resolve().parents[1]
WAYS = (
    "pipeline", "pipeline-batched", "torch", "onnx-fp32", "onnx-int8", "spacy", "ceiling-fp32", "ceiling-int8",
)  # fmt: skip


# ------------------------------------------------------------------------------------------ the ways


def pipeline(folder: ModelFolder, batch_size: int) -> Callable[[Sequence[str]], object]:
    """The pipeline of transformers with the model's weights; its tags as B and I, the only ones that it joins."""
    import torch
    from baselines import pieces
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast, pipeline

    tokens = folder.vocabulary.tokens
    tokenizer = Tokenizer(WordLevel({token: n for n, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    marks = [(mark, tokens.index(mark)) for mark in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    model = AutoModelForTokenClassification.from_pretrained(folder.path, dtype=torch.float32)
    model.config.id2label = {
        n: tag.replace("E-", "I-").replace("S-", "B-") for n, tag in model.config.id2label.items()
    }
    run = pipeline("token-classification", model=model, tokenizer=fast, aggregation_strategy="simple")

    def read_all(texts: Sequence[str]) -> object:
        cut = [text[start:end] for text in texts for start, end in pieces(text, folder.window.size)]
        if batch_size == 1:
            return [run(piece) for piece in cut]
        return run(sorted(cut, key=len), batch_size=batch_size)

    return read_all


def spacy_ner(steps: int = 30) -> Callable[[Sequence[str]], object]:
    """The recogniser of spaCy on a tok2vec of its own, after a few steps on the bundled training split."""
    import spacy
    from spacy.training import Example
    from spacy.util import minibatch

    nlp = spacy.blank("zh", config={"nlp": {"tokenizer": {"segmenter": "char"}}})
    nlp.add_pipe("ner")
    examples = []
    for document in resolve("train")[: steps * 4]:
        doc = nlp.make_doc(document.text)
        marked = [doc.char_span(s.start, s.end, s.label) for s in document.spans]
        doc.set_ents([span for span in marked if span is not None])
        examples.append(Example(nlp.make_doc(document.text), doc))
    optimizer = nlp.initialize(lambda: examples)
    for batch in minibatch(examples, 4):
        nlp.update(batch, sgd=optimizer)
    return lambda texts: [doc.ents for doc in nlp.pipe(texts)]


def extractor(folder: ModelFolder, way: str, place: Path) -> tuple[Extractor, int]:
    """An extractor with a back end, and the bytes of its file."""
    if way == "torch":
        return Extractor(folder, TorchBackend(folder)), (folder.path / WEIGHTS).stat().st_size
    file = place / f"{way}.onnx"
    return Extractor(folder, OnnxBackend(file)), file.stat().st_size


# --------------------------------------------------------------------------------------- the ceiling


def products(folder: ModelFolder, texts: Iterable[str]) -> tuple[float, float]:
    """Multiplications of the encoder's products with weights, and of attention's own, in the windows of the texts."""
    config = json.loads((folder.path / "config.json").read_text(encoding="utf-8"))
    layers, width, inner = (config[k] for k in ("num_hidden_layers", "hidden_size", "intermediate_size"))
    lengths = [w.end - w.start + 2 for text in texts for w in windows(text, folder.window)]
    weights = sum(lengths) * (layers * (4 * width**2 + 2 * width * inner) + width * len(folder.tagset.tags))
    return float(weights), float(sum(n * n for n in lengths) * 2 * width * layers)


def best_rate(folder: ModelFolder, kind: str) -> float:
    """Multiplications a second of the quickest product of the encoder's shapes, on all cores: one product on all, or one on each."""
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    config = json.loads((folder.path / "config.json").read_text(encoding="utf-8"))
    width, inner = config["hidden_size"], config["intermediate_size"]
    cores = len(os.sched_getaffinity(0))
    rng = np.random.default_rng(0)
    best = 0.0
    for rows, (k, n) in itertools.product((256, 1024), ((width, inner), (inner, width), (width, 3 * width))):
        whole = kind == "int8"
        weights = rng.integers(-64, 64, (k, n)).astype(np.int8 if whole else np.float32)
        left = rng.integers(0, 255, (rows, k)).astype(np.uint8 if whole else np.float32)
        types = (TensorProto.UINT8, TensorProto.INT32) if whole else (TensorProto.FLOAT, TensorProto.FLOAT)
        graph = helper.make_graph(
            [helper.make_node("MatMulInteger" if whole else "MatMul", ["left", "weights"], ["out"])],
            "product",
            [helper.make_tensor_value_info("left", types[0], [rows, k])],
            [helper.make_tensor_value_info("out", types[1], [rows, n])],
            [numpy_helper.from_array(weights, "weights")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        for threads, workers in ((cores, 1), (1, cores)):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )

            def repeat(_: int, session=session, left=left) -> None:
                for _ in range(20):
                    session.run(None, {"left": left})

            with ThreadPoolExecutor(workers) as pool:
                for _ in range(4):
                    began = time.perf_counter()
                    list(pool.map(repeat, range(workers)))
                    rate = 20 * workers * rows * k * n / (time.perf_counter() - began)
                    best = max(best, rate)
    return best


def ceiling(folder: ModelFolder, kind: str, texts: Sequence[str]) -> dict[str, float]:
    """How long the products alone would take."""
    weights, attention = products(folder, texts)
    whole = best_rate(folder, "fp32")
    rate = best_rate(folder, "int8") if kind == "int8" else whole
    print(f"best rates: {rate / 1e9:.0f} ({kind}), {whole / 1e9:.0f} (fp32) billion multiplications a second", file=sys.stderr)  # fmt: skip
    return {"seconds": weights / rate + attention / whole, "size": 0}


# ------------------------------------------------------------------------------------- measuring


def measure(given: argparse.Namespace, texts: Sequence[str]) -> dict[str, float]:
    """One way in this process."""
    folder, place = ModelFolder.load(given.model), Path(given.place)
    way = given.one
    if given.window and not way.startswith("pipeline"):
        folder = replace(folder, window=WindowSize(*given.window))
    if way.startswith("ceiling"):
        return ceiling(folder, way.removeprefix("ceiling-"), texts)
    size = (folder.path / WEIGHTS).stat().st_size
    if way.startswith("pipeline"):
        run = pipeline(folder, 8 if way.endswith("batched") else 1)
    elif way == "spacy":
        run, size = spacy_ner(), 0
    else:
        run, size = extractor(folder, way, place)
    best, began = float("inf"), time.perf_counter()
    run(texts[:2])
    for passes in itertools.count(1):
        start = time.perf_counter()
        run(texts)
        best = min(best, time.perf_counter() - start)
        if passes > 1 and time.perf_counter() - began > given.seconds:
            break
    return {"seconds": best, "peak": peak(), "size": size}


def peak() -> float:
    """The peak of this process's memory, in MB."""
    from gongbao.leaderboard.systems import peak_memory  # late: what it imports is no part of the run

    return (peak_memory() or 0) / 1024**2


def compare(given: argparse.Namespace, texts: Sequence[str]) -> None:
    """All ways, each in a process of its own, as a table."""
    from gongbao.model import onnx_bytes
    from gongbao.quantization import int8

    characters = sum(map(len, texts))
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        exported = onnx_bytes(ModelFolder.load(given.model).path)
        Path(place, "onnx-fp32.onnx").write_bytes(exported)
        Path(place, "onnx-int8.onnx").write_bytes(int8(exported))
        for way in given.only or WAYS:
            command = [
                sys.executable,
                __file__,
                *map(str, given.texts),
                "--model",
                str(given.model),
                "--one",
                way,
            ]
            options = [
                "--place",
                place,
                "--characters",
                str(given.characters),
                "--seconds",
                str(given.seconds),
            ]
            if given.window:
                options += ["--window", *map(str, given.window)]
            done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
            print(f"{way}: {characters / found[way]['seconds']:,.0f}", file=sys.stderr)
    first = found.get("pipeline", next(iter(found.values())))["seconds"]
    print(f"{len(texts)} articles, {characters:,} characters; {os.cpu_count()} cores\n")
    print("| way | characters a second | to the pipeline | of its ceiling | peak memory, MB | file, MB |")
    print("|---|---|---|---|---|---|")
    for way, one in found.items():
        limit = found.get("ceiling-int8" if "int8" in way else "ceiling-fp32")
        share = (
            ""
            if limit is None or way == "spacy" or way.startswith("ceiling")
            else f"{limit['seconds'] / one['seconds']:.0%}"
        )
        peak, size = (f"{one[k] / s:,.0f}" if one.get(k) else "" for k, s in (("peak", 1), ("size", 1e6)))
        print(f"| {way} | {characters / one['seconds']:,.0f} | {first / one['seconds']:.2f} | {share} | {peak} | {size} |")  # fmt: skip


def profile(given: argparse.Namespace, documents: Sequence[Document]) -> None:
    """Where the time of one thread goes, and how much of the cores' time the encoder has when they work together."""
    one = Extractor.load(given.model, threads=1)
    texts, folder = [d.text for d in documents], one.folder
    characters = sum(map(len, texts))
    spent = dict.fromkeys(("windows and token ids", "encoder", "decoding", "values, links and facts", "writing"), 0.0)  # fmt: skip
    one(texts[:2])

    def timed(name: str, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        found = work()
        spent[name] += time.perf_counter() - began
        return found

    for at in range(0, len(documents), 20):  # about a chunk
        part = documents[at : at + 20]
        some = [d.text for d in part]

        def begin(some=some) -> _Reading:
            return _Reading(some, one._backend, folder.vocabulary, folder.window, 4096)

        reading = timed("windows and token ids", begin)
        found = timed("encoder", reading.emissions)
        spans = timed(
            "decoding",
            lambda some=some, found=found: [
                _spans(text, own, folder.calibration)
                for text, own in zip(some, _decoded(some, found, folder.tagset), strict=True)
            ],
        )
        made = timed(
            "values, links and facts",
            lambda part=part, spans=spans: [one._whole(d, s) for d, s in zip(part, spans, strict=True)],
        )
        timed("writing", lambda made=made: [d.to_line() for d in made])
    total = sum(spent.values())
    print(f"one thread, {characters:,} characters, {characters / total:,.0f} a second\n")
    print("| | ms for 1,000 characters | share |\n|---|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {1e6 * seconds / characters:.2f} | {seconds / total:.1%} |")
    cores = len(os.sched_getaffinity(0))
    print("\n| threads | characters a second, everything |\n|---|---|")
    for name, workers, inner in (
        ("a window at a time, on one thread", 1, 1),
        (f"a window at a time, on {cores} threads", 1, cores),
        (f"{cores} windows at a time, on a thread each", cores, 1),
    ):
        run = Extractor(folder, _threaded(folder, workers, inner))
        run(texts[:2])
        best = min(_seconds(lambda run=run: run(texts)) for _ in range(3))
        print(f"| {name} | {characters / best:,.0f} |")


def _threaded(folder: ModelFolder, workers: int, inner: int) -> OnnxBackend:
    """So many windows at a time, each on so many threads."""
    import onnxruntime

    backend = OnnxBackend(folder.path / ONNX, workers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inner
    backend._session = onnxruntime.InferenceSession(
        folder.path / ONNX,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],
    )
    return backend


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def memory(given: argparse.Namespace, texts: Sequence[str]) -> None:
    """The peak of `gongbao predict` over texts and folders of several sizes.

    A table of logits by character stands for the encoder, whose own memory is the same for all: what is measured is
    the way around it.
    """
    page = "\n".join(texts)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        inputs: list[tuple[str, Path]] = []
        for megabytes in (1, 9, 20):
            file = place / f"{megabytes}.txt"
            file.write_text(page * (megabytes * 1_000_000 // len(page.encode()) + 1), encoding="utf-8")
            inputs.append((f"a text of {megabytes} MB", file))
        for count in (1_000, 8_000):
            files = place / str(count)
            files.mkdir()
            for n in range(count):
                at = n * 37 % (len(page) - 200)
                (files / f"{n}.txt").write_text(page[at : at + 200], encoding="utf-8")
            inputs.append((f"{count:,} files of 200 characters", files))
        print("| input | peak memory, MB | characters a second without the encoder |\n|---|---|---|")
        for name, source in inputs:
            code = f"from inference import stub; stub({str(given.model)!r}, {str(source)!r}, {str(place / 'out.csv')!r})"
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=Path(__file__).parent, env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
            )  # fmt: skip
            print(f"| {name} | {done.stdout.strip().replace(' ', ' | ')} |", flush=True)


def stub(model: str, source: str, output: str) -> None:
    """`gongbao predict` with a table in the place of the encoder; prints its peak and its speed."""
    import numpy as np

    from gongbao.cli import main

    table = np.random.default_rng(0).normal(0, 3, (20_000, 21)).astype(np.float32)
    table[:, 0] += 10  # a span in every few dozen characters, as in reports
    read_characters = 0

    def call(self: object, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        nonlocal read_characters
        read_characters += int(mask.sum())
        return table[tokens]

    OnnxBackend.__call__ = call
    began = time.perf_counter()
    code = main(["predict", source, "-o", output, "--model", model])
    if code:
        sys.exit(code)
    print(f"{peak():,.0f} {read_characters / (time.perf_counter() - began):,.0f}")


def start(given: argparse.Namespace, text: str) -> None:
    """Seconds from the command to its result on a page."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "page.txt").write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            ROOT / "predict.py",
            "page.txt",
            "--model",
            Path(given.model).resolve(),
            "-o",
            "out.csv",
        ]
        times = [_seconds(lambda: subprocess.run(command, cwd=folder, check=True)) for _ in range(5)]
    print(f"{len(text)} characters: {min(times):.2f} s at best, {max(times):.2f} s at worst of {len(times)}")


def installed(given: argparse.Namespace, text: str) -> None:
    """What `pip install gongbao` alone brings, in a new environment: megabytes, seconds of an import and of a result."""
    with tempfile.TemporaryDirectory() as folder:
        env = Path(folder, "env")
        venv.create(env, with_pip=True)
        python = env / "bin" / "python"
        [site] = env.glob("lib/python*/site-packages")
        before = _bytes(site)
        source = Path(folder, "source")
        shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "out", "tests", "*.pyc"))
        subprocess.run([python, "-m", "pip", "install", "-q", source], check=True)
        sizes = sorted(((_bytes(p), p.name) for p in site.iterdir()), reverse=True)
        print(
            f"{(_bytes(site) - before) / 1e6:.0f} MB; the largest:",
            ", ".join(f"{n} {s / 1e6:.0f}" for s, n in sizes[:8]),
        )
        Path(folder, "page.txt").write_text(text, encoding="utf-8")
        for name, command in {
            "import gongbao": [python, "-c", "import gongbao"],
            "from gongbao import Extractor": [python, "-c", "from gongbao import Extractor"],
            "gongbao --help": [env / "bin" / "gongbao", "--help"],
            "gongbao predict, a page": [env / "bin" / "gongbao", "predict", "page.txt", "-o", "out.csv"],
        }.items():
            run = [
                _seconds(lambda c=command: subprocess.run(c, cwd=folder, check=True, capture_output=True))
                for _ in range(4)
            ]
            print(f"{name}: {min(run):.2f} s")


def _bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--model", type=Path, default=default_model())
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument(
        "--window", nargs=2, type=int, metavar=("SIZE", "OVERLAP"), help="instead of the model's"
    )
    parser.add_argument("--only", nargs="+", choices=WAYS)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--start", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--installed", action="store_true")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--place", help=argparse.SUPPRESS)
    given = parser.parse_args()
    documents, left = [], given.characters
    for document in [d for p in given.texts for d in read(p)] or resolve("test"):
        if left > 0:
            documents.append(Document(document.id, document.text, document.meta))
            left -= len(document.text)
    texts = [d.text for d in documents]
    if given.one:
        print(json.dumps(measure(given, texts)))
    elif given.profile:
        profile(given, documents)
    elif given.memory:
        memory(given, texts)
    elif given.start or given.installed:
        page = next(text for text in texts if len(text) > 700)[:700]
        (start if given.start else installed)(given, page)
    else:
        compare(given, texts)


if __name__ == "__main__":
    main()
