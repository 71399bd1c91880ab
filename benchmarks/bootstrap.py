"""Time the bootstrap over documents beside a plain loop that draws documents one by one.

usage: python benchmarks/bootstrap.py [PREDICTIONS] [GOLD]    (else gold against itself with every seventh span left out; GOLD: the
       bundled test split)

Both have the same draws and must give the same intervals. The loop is timed on fewer draws, as it takes long.
"""

import sys
import time

import numpy as np
from numpy.typing import NDArray

from gongbao.analysis import analyse
from gongbao.corpus import read, resolve
from gongbao.facts import prepare_gold
from gongbao.files import bundled
from gongbao.label_studio import read_config
from gongbao.metrics import Counts, Evaluation, evaluate, total

DRAWS = 10_000
LOOPED = 200


def looped(evaluation: Evaluation, n: int) -> NDArray[np.float64]:
    """The 95% intervals of the F1 of spans, links and facts, (2, 3), as one would write it down."""
    found = []
    draws = np.random.default_rng(0).integers(len(evaluation.documents), size=(n, len(evaluation.documents)))
    for draw in draws:
        drawn = [evaluation.documents[at] for at in draw]
        each = {
            label: total(document.spans.get(label, Counts()) for document in drawn)
            for label in evaluation.spans
        }
        links = total(total(document.links.values()) for document in drawn)
        facts = total(document.facts for document in drawn)
        found.append([total(each.values()).f1, links.f1, facts.f1])
    return np.quantile(found, [0.025, 0.975], axis=0)


def main(names: list[str]) -> None:
    """Print the times and their ratio."""
    scheme = read_config(bundled("annotations/label_config.xml")).scheme
    gold = [prepare_gold(d, scheme) for d in resolve(names[1] if len(names) > 1 else "test", scheme)]
    if names:
        predicted = read(names[0], scheme)
    else:
        kept = [tuple(s for n, s in enumerate(d.spans) if n % 7) for d in gold]
        predicted = [d.replace(spans=spans, links=(), facts=()) for d, spans in zip(gold, kept, strict=True)]
    evaluation = evaluate(gold, predicted)

    begun = time.perf_counter()
    evaluation.intervals(DRAWS)
    vectorised = time.perf_counter() - begun
    begun = time.perf_counter()
    by_loop = looped(evaluation, LOOPED)
    loop = (time.perf_counter() - begun) * DRAWS / LOOPED
    same = evaluation.intervals(LOOPED)
    assert np.allclose(np.transpose([same.micro, same.links, same.facts]), by_loop)
    begun = time.perf_counter()
    analyse(evaluation, gold, predicted, n=DRAWS)
    whole = time.perf_counter() - begun
    print(f"{len(gold)} documents, {DRAWS} draws")
    print(f"intervals of spans, labels, links and facts   {vectorised:8.3f} s")
    print(
        f"the same by a plain loop, from {LOOPED} draws       {loop:8.1f} s   {loop / vectorised:.0f} times as long"
    )
    print(f"every figure of a report with its interval    {whole:8.3f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
