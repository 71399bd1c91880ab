"""Whether a system was trained or chosen on what it is tested on.

A test article counts as seen where half or more of its character 6-grams stand in the training documents: that finds copies,
near duplicates, articles inside longer texts, and articles cut into sentences (containment, Broder 1997). Of the
bundled test articles none has more than 0.29 in common with the train split, though they are of one kind and one hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Final

import numpy as np

from gongbao.config import TrainConfig
from gongbao.corpus import distinct, resolve, split_hash
from gongbao.leaderboard.entries import Training
from gongbao.schema import DataError, Document, GongbaoError, LabelScheme, UsageError
from gongbao.splitting import DOCUMENT_GRAM, folded, hashed_grams, set_aside

SEEN: Final = 0.5
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """A test article (id) of whose 6-grams the share stands in the training documents."""

    document: str
    share: float


def seen_articles(
    test: Sequence[Document], training: Iterable[Document], threshold: float = SEEN
) -> list[Seen]:
    """The test articles of which the threshold or more stands in the training documents, in their order.

    One training document after another is held; an empty text is never seen.
    """
    grams = [np.unique(hashed_grams(folded(d.text), DOCUMENT_GRAM)) if folded(d.text) else None for d in test]
    wanted = np.unique(np.concatenate([g for g in grams if g is not None] or [np.zeros(0, np.uint64)]))
    found = np.zeros(len(wanted), dtype=bool)
    for document in training:
        if (text := folded(document.text)) and len(wanted):
            hashes = hashed_grams(text, DOCUMENT_GRAM)
            at = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
            found[at[wanted[at] == hashes]] = True
    shares = [0.0 if g is None else float(found[np.searchsorted(wanted, g)].mean()) for g in grams]
    return [Seen(d.id, share) for d, share in zip(test, shares, strict=True) if share >= threshold]


def check_training(
    test: Sequence[Document], given: Sequence[str] = (), models: Sequence[Path] = ()
) -> Training:
    """Compare the test set with what was trained and chosen on, as far as that can be had.

    Args:
        given: names of bundled splits or files. None given: those that the models' own configurations name (train.toml), as far
            as they are found.
        models: the folders of the models that are added, whose records (run.json) tell what the training data was.

    Raises:
        DataError: test articles were trained or chosen on.
    """
    records = [_record(folder) for folder in models]
    configs = [config for folder in models if (config := config_of(folder))]
    own = [name for config in configs for name in (*config.data.train, *config.data.dev)]
    wanted = list(dict.fromkeys(given or own))
    # What is named by hand is there, or was misspelt.
    parts = {name: resolve(name) for name in wanted} if given else at_hand(wanted)[0]
    documents = [d for part in parts.values() for d in part]
    if seen := seen_articles(test, documents):
        named = ", ".join(f"{s.document} ({s.share:.0%})" for s in seen[:_SHOWN])
        more = f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
        raise DataError(
            f"{len(seen)} of {len(test)} test articles stand in the training data, wholly or for the most part: {named}{more}",
            remedy="train without them: scores on what was learned say nothing",
        )
    hashes = {record["train"] for record in records if record}
    recorded = hashes.pop() if len(hashes) == 1 else None
    if not documents:
        return Training("none", 0, recorded)
    proven = bool(models) and all(_is_proven(folder, parts) for folder in models)
    return Training("all" if proven else "given", len(documents), recorded or split_hash(distinct(documents)))


def at_hand(
    names: Iterable[str], scheme: LabelScheme | None = None
) -> tuple[dict[str, list[Document]], list[str]]:
    """The documents of those bundled splits and files that can be read, by name, and the names of the others."""
    found: dict[str, list[Document]] = {}
    missing = []
    for name in names:
        try:
            found[name] = resolve(name, scheme)
        except GongbaoError:
            missing.append(name)
    return found, missing


def _record(folder: Path) -> dict[str, str] | None:
    """The hashes of the train and dev data in a run's record; None where there is none, or one of another form."""
    try:
        data = json.loads((folder / "run.json").read_text(encoding="utf-8"))["data"]
        return {part: str(data[part]["sha256"]) for part in ("train", "dev")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def config_of(folder: Path) -> TrainConfig | None:
    """The configuration that a model was trained with; None for one that was copied without it."""
    try:
        return TrainConfig.load(folder / "train.toml")
    except UsageError:
        return None


def _is_proven(folder: Path, parts: Mapping[str, Sequence[Document]]) -> bool:
    """Whether the parts hold all that the run's record says it was trained and chosen on."""
    record, config = _record(folder), config_of(folder)
    if record is None or config is None:
        return False
    ordered = list(parts.values())
    hashes = {
        split_hash(distinct(chain.from_iterable(ordered[begin:end])))
        for begin, end in combinations(range(len(ordered) + 1), 2)
    }
    if config.data.dev or record["train"] in hashes:
        return hashes.issuperset(record.values())
    # The run set documents aside to choose on; the same division again tells whether it was these.
    try:
        divided = set_aside(distinct(chain.from_iterable(ordered)), config.training.seed)
    except UsageError:
        return False
    return [*map(split_hash, divided)] == [record["train"], record["dev"]]
