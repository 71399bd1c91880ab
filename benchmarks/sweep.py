"""Run gongbao over a large body of real text and check what must always hold.

usage: python benchmarks/sweep.py TEXTS.jsonl[.gz] … [--model FOLDER] [--extract 1000000]

A line is a JSON object with a `text` (and perhaps `year`). Over all of it: reading as an article, sentences, token
ids, windows, and the normalisers on everything that looks like an amount or a time. Over the first `--extract` characters, taken
evenly from all files: the whole extractor. Any breach ends with exit code 1; any crash with its traceback.
"""

import argparse
import gzip
import json
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gongbao import Extractor, parse_amount, parse_period
from gongbao.articles import read_article_bytes
from gongbao.schema import Document
from gongbao.sentences import sentences
from gongbao.windows import windows

NUMBER = r"[0-9０-９〇零一二两三四五六七八九十百千万亿.．,，%％]+"
AMOUNTS = re.compile(rf"(?:近|约|超|逾|超过|不足|达|负|-)?{NUMBER}(?:余|多|来)?[^\s，。；、,;（）()]{{0,5}}")
TIMES = re.compile(
    rf"(?:截至|到|自)?(?:今年|去年|上年|当年|{NUMBER}年|{NUMBER}月|上半年|下半年|[一二三四]季度|“十[一二三四五]五”)[^\s，。；、,;]{{0,6}}"
)


def texts(paths: list[Path]) -> Iterator[tuple[str, dict]]:
    """Every record with a name."""
    for path in paths:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            for n, line in enumerate(file, 1):
                yield f"{path.name}:{n}", json.loads(line)


def breaches(text: str, extractor: Extractor) -> Iterator[str]:
    """What does not hold for the pieces that a text is cut into."""
    at = 0
    for start, end in sentences(text):
        if not (at <= start < end <= len(text)) or text[at:start].strip():
            yield f"sentence {start}-{end}"
        at = end
    if text[at:].strip():
        yield "characters behind the last sentence"
    cut = windows(text, extractor.folder.window)
    if [c for w in cut for c in (w.own_start, w.own_end)][1:-1:2] != [w.own_start for w in cut[1:]] or any(
        not w.start <= w.own_start < w.own_end <= w.end for w in cut
    ):
        yield "windows"
    if len(extractor.folder.vocabulary.encode(text)) != len(text):
        yield "token ids"


def normalise(text: str, published: str, count: Counter[str]) -> None:
    """Try the normalisers on everything that looks like theirs; they must answer, never raise."""
    for pattern, kind, parse in (
        (AMOUNTS, "amount", parse_amount),
        (TIMES, "time", lambda found: parse_period(found, published)),
    ):
        for match in pattern.finditer(text):
            # Spans are marked well or badly: every prefix may be asked for.
            for end in range(len(match[0]), 0, -1):
                count[f"{kind} strings"] += 1
                if parse(match[0][:end]) is not None:
                    count[f"{kind} read"] += 1
                    break


def main() -> int:
    """Sweep over the files named on the command line and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--extract", type=int, default=1_000_000, help="characters for the whole extractor")
    given = parser.parse_args()
    extractor = Extractor.load(given.model)
    count: Counter[str] = Counter()
    found: list[str] = []
    records = list(texts(given.paths))
    began = time.monotonic()
    for name, record in records:
        article = read_article_bytes(record["text"].encode(), f"{name}.txt")
        count["texts"] += 1
        count["characters"] += len(article.text)
        found += [f"{name}: {b}" for b in breaches(article.text, extractor)]
        normalise(article.text, f"{record.get('year') or 2024}-12-31", count)
    seconds = time.monotonic() - began
    print(f"{dict(count)} in {seconds:.0f} s, {count['characters'] / seconds:,.0f} characters a second")

    step = max(1, round(count["characters"] / given.extract))
    chosen = [
        Document(name, r["text"], {"published": f"{r.get('year') or 2024}-12-31"})
        for name, r in records[::step]
    ]
    extracted: Counter[str] = Counter()
    began = time.monotonic()
    for document in extractor.stream(chosen):
        # A Document whose spans are not their text cannot be built; that it is the given text is checked here.
        extracted["characters"] += len(document.text)
        extracted["spans"] += len(document.spans)
        extracted["facts"] += len(document.facts)
        extracted["values"] += sum(bool(s.to_json().get("value")) for s in document.spans)
        extracted["no value"] += sum("value" in s.to_json() and s.value is None for s in document.spans)
        found += [f"{document.id}: {s}" for s in document.spans if document.text[s.start : s.end] != s.text]
    seconds = time.monotonic() - began
    print(
        f"{dict(extracted)} in {seconds:.0f} s, {extracted['characters'] / seconds:,.0f} characters a second"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB; {len(found)} breaches")
    print("\n".join(found[:50]))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
