"""How an annotated corpus stands beside real text: distributions side by side, shared wording, hard cases.

usage: python benchmarks/corpus.py CORPUS [--gold FOLDER] [--raw TEXTS.jsonl.gz …] [--cases]

CORPUS is a bundled split or a file of annotated documents, --gold another annotated corpus (of real reports) to set
beside it, --raw unannotated real texts, a JSON object with a `text` a line. Figures of variety are of equally many sentences on
both sides (--sentences), drawn with a fixed seed. Runs of 25 characters and more, blanks left out, that stand in both are listed.
"""

import argparse
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from sweep import texts as records

from gongbao.corpus import resolve
from gongbao.schema import Document, Span
from gongbao.sentences import sentences
from gongbao.splitting import folded, hashed_grams

RUN = 25
SHINGLE = 12
NUMBER = re.compile(r"[0-9０-９]+(?:[.．,，][0-9０-９]+)*\s*[^\s0-9，。；、,;.:：()（）“”]{0,2}")


def raw_texts(paths: Sequence[Path]) -> Iterator[str]:
    """The texts of all files."""
    return (record["text"] for _, record in records(list(paths)))


def cut(texts: Sequence[str]) -> list[str]:
    """All sentences of two characters and more."""
    return [t for text in texts for s, e in sentences(text) if len(t := text[s:e].strip()) > 1]


def quantiles(values: Sequence[float]) -> str:
    """Tenth, half, ninetieth percentile."""
    return " / ".join(f"{v:.0f}" for v in np.quantile(values, [0.1, 0.5, 0.9]))


def entropy(counts: Counter[str]) -> float:
    """In bits."""
    whole = counts.total()
    return -sum(n / whole * math.log2(n / whole) for n in counts.values())


def of_text(texts: Sequence[str], sample: int) -> dict[str, str]:
    """What text alone tells. Variety is counted in `sample` sentences."""
    said = cut(texts)
    characters = sum(map(len, texts))
    digits = sum(c.isdigit() and c.isascii() for t in texts for c in t)
    some = random.Random(1).sample(said, min(sample, len(said)))
    openings = Counter(s.lstrip("“《（( 　")[:2] for s in some)
    patterns = Counter(
        re.sub(r"[0-9０-９]", "9", m[0].replace(" ", "")) for s in some for m in NUMBER.finditer(s)
    )
    units = Counter(re.sub(r"[0-9０-９.．,，\s]", "", p) for p in patterns.elements())
    numbers = [len(NUMBER.findall(s)) for s in some]
    return {
        "characters": f"{characters:,}",
        "sentence length (10/50/90%)": quantiles([len(s) for s in said]),
        "digits per 100 characters": f"{100 * digits / characters:.1f}",
        "sentences without a digit": f"{100 * sum(n == 0 for n in numbers) / len(numbers):.0f}%",
        "numbers per sentence (10/50/90%)": quantiles(numbers),
        "openings (2 characters)": f"{len(openings)} in {len(some)}, {entropy(openings):.2f} bits",
        "  ten most frequent openings": f"{100 * sum(n for _, n in openings.most_common(10)) / openings.total():.0f}%",
        "number patterns": f"{len(patterns)}, {entropy(patterns):.2f} bits",
        "what follows a number": f"{len(units)}, {entropy(units):.2f} bits",
        "  most frequent": " ".join(u for u, _ in units.most_common(8)),
    }


def of_annotation(documents: Sequence[Document]) -> dict[str, str]:
    """What the annotation tells."""
    characters = sum(len(d.text) for d in documents)
    labels = Counter(s.label for d in documents for s in d.spans)
    roles = Counter(link.role for d in documents for link in d.links)
    out = {f"{label} per 1,000": f"{1000 * n / characters:.1f}" for label, n in sorted(labels.items())}
    out |= {
        f"{label} length (10/50/90%)": quantiles(
            [len(s.text) for d in documents for s in d.spans if s.label == label]
        )
        for label in sorted(labels)
    }
    out |= {f"{role} links per 1,000": f"{1000 * n / characters:.1f}" for role, n in sorted(roles.items())}
    amounts = [
        sum(s.label == "AMOUNT" and start <= s.start < end for s in d.spans)
        for d in documents
        for start, end in sentences(d.text)
    ]
    out["AMOUNTs per sentence"] = (
        f"{np.mean(amounts):.2f}, none in {100 * np.mean(np.array(amounts) == 0):.0f}%"
    )
    for label in sorted(labels):
        out[f"distinct {label}"] = str(len({s.text for d in documents for s in d.spans if s.label == label}))
    return out


def shared_runs(texts: Sequence[str], real: Iterator[str]) -> list[str]:
    """Runs of RUN characters and more, blanks left out, that our texts and real ones have in common."""
    ours: dict[int, tuple[int, int]] = {}
    plain = [folded(t) for t in texts]
    for n, text in enumerate(plain):
        if len(text) >= RUN:
            ours |= {int(g): (n, at) for at, g in enumerate(hashed_grams(text, RUN))}
    wanted = np.sort(np.array(list(ours), dtype=np.uint64))
    hits: set[tuple[int, int]] = set()
    for text in real:
        other = folded(text)
        if len(other) >= RUN:
            grams = hashed_grams(other, RUN)
            at = np.minimum(np.searchsorted(wanted, grams), len(wanted) - 1)
            hits |= {ours[int(g)] for g in grams[wanted[at] == grams]}
    runs = []
    for n, at in sorted(hits):
        if (n, at - 1) not in hits:
            end = at
            while (n, end) in hits:
                end += 1
            runs.append(plain[n][at : end + RUN - 1])
    return runs


def nearest(documents: Sequence[Document]) -> tuple[float, str, str]:
    """The two documents that share most of their shingles, as a share of the shorter one's."""
    sets = [set(hashed_grams(folded(d.text), SHINGLE).tolist()) for d in documents]
    holders: dict[int, list[int]] = {}
    for n, one in enumerate(sets):
        for gram in one:
            holders.setdefault(gram, []).append(n)
    pairs = Counter(
        (a, b)
        for own in holders.values()
        if 1 < len(own) < 50
        for i, a in enumerate(own)
        for b in own[i + 1 :]
    )
    share, a, b = max((n / min(len(sets[a]), len(sets[b])), a, b) for (a, b), n in pairs.items())
    return share, documents[a].id, documents[b].id


# ------------------------------------------------------------------------------------- hard cases

NAMED = re.compile(r"公司|集团|学校|中学|小学|大学|医院|银行|街道|镇|乡|村|社区")
FALL = re.compile(r"下降|减少|回落|收窄|负增长|下滑|压减|降低|降幅|缩减|下调|减亏")
RANGE = re.compile(r"\d\s*[%％万亿千百元人户家个亩]{0,3}\s*[—–~～至到-]+\s*\d")
BEFORE = re.compile(r"^(?:近|约|超|逾|不足|超过|大约|将近|至少|最高|最多|高达)")
BEHIND = re.compile(r"余|多|左右|以上|以下|以内|上下|来[个家户人]")


def hard_cases(documents: Sequence[Document]) -> dict[str, int]:
    """How often each hard case occurs."""
    cases: Counter[str] = Counter()
    labelled = {s.text for d in documents for s in d.spans if s.label == "ORG"}
    for d in documents:
        tails = {link.tail for link in d.links}
        for start, end in sentences(d.text):
            text = d.text[start:end]
            heads = {
                link.head
                for link in d.links
                if start <= d.span(link.head).start < end and d.span(link.head).label == "METRIC"
            }
            cases["several METRICs with 分别"] += "分别" in text and len(heads) > 1
        for link in d.links:
            head, tail = d.span(link.head), d.span(link.tail)
            between = d.text[min(head.end, tail.end) : max(head.start, tail.start)]
            cases["METRIC two clauses or more before its AMOUNT"] += (
                head.label == "METRIC"
                and head.start < tail.start
                and len(re.findall("[，,；;]", between)) > 1
            )
            cases["METRIC behind its AMOUNT"] += head.label == "METRIC" and head.start > tail.start
            cases["falls"] += link.role == "CHANGE" and bool(
                FALL.search(d.text[max(0, tail.start - 8) : tail.end + 4]) or tail.text[0] in "-－"
            )
        for n, span in enumerate(d.spans):
            _of_span(cases, d, n, span, tails)
        covered = np.zeros(len(d.text) + 1, bool)
        for span in d.spans:
            covered[span.start : span.end] = True
        cases["numbers that are no AMOUNT or TIME"] += sum(
            not covered[m.start()] for m in re.finditer(r"\d+(?:[.,]\d+)*", d.text)
        )
        cases["place names that are ORG elsewhere"] += sum(
            not covered[m.start() : m.end()].any()
            for name in labelled
            if name[-1] in "镇乡" or name.endswith("街道")
            for m in re.finditer(re.escape(name), d.text)
        )
        cases["PROJECT lists of three and more"] += _lists(d)
    return dict(sorted(cases.items()))


def _of_span(cases: Counter[str], d: Document, n: int, span: Span, tails: set[str]) -> None:
    if span.label in ("PROJECT", "ORG"):
        cases["quoted names"] += any(c in span.text for c in '“《"「')
        cases["names that hold an organisation's or a place's"] += span.label == "PROJECT" and bool(
            NAMED.search(span.text[:-2])
        )
    if span.label == "AMOUNT":
        cases["AMOUNT without a METRIC or PROJECT"] += span.id not in tails
        cases["ranges"] += bool(RANGE.search(span.text))
        cases["approximation in front"] += bool(BEFORE.match(span.text))
        cases["approximation behind"] += bool(BEHIND.search(span.text))


def _lists(d: Document) -> int:
    """Runs of three and more PROJECTs with nothing but 、 between them."""
    count = length = 0
    spans = [s for s in d.spans if s.label == "PROJECT"]
    for one, other in pairwise([*spans, None]):
        length += 1
        if other is None or d.text[one.end : other.start].strip() not in ("、", "，"):
            count += length > 2
            length = 0
    return count


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("--gold", default=None)
    parser.add_argument("--raw", type=Path, nargs="*", default=[])
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--cases", action="store_true")
    given = parser.parse_args()
    documents = resolve(given.corpus)
    columns = {"corpus": of_text([d.text for d in documents], given.sentences) | of_annotation(documents)}
    gold = resolve(given.gold) if given.gold else []
    if gold:
        columns["gold"] = of_text([d.text for d in gold], given.sentences) | of_annotation(gold)
    if given.raw:
        columns["raw"] = of_text(list(raw_texts(given.raw)), given.sentences)
    print(f"{'':36}" + "".join(f"{name:34}" for name in columns))
    for key in columns["corpus"]:
        print(f"{key:36}" + "".join(f"{column.get(key, ''):34}" for column in columns.values()))
    share, a, b = nearest(documents)
    print(
        f"\nmost alike: {a} and {b} share {100 * share:.1f}% of the shorter one's {SHINGLE}-character shingles"
    )
    if gold or given.raw:
        real = [*(d.text for d in gold), *raw_texts(given.raw)]
        runs = shared_runs([d.text for d in documents], iter(real))
        print(f"runs of {RUN} characters and more shared with the real texts: {len(runs)}", *runs, sep="\n  ")
    if given.cases:
        for case, count in hard_cases(documents).items():
            print(f"{count:6} {case}")


if __name__ == "__main__":
    main()
