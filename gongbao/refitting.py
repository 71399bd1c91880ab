"""What stands on top of a trained token classifier: its linker and the calibration of its scores.

Both are fitted in seconds, so that newly annotated articles can better them without training the encoder again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gongbao.calibration import Calibration, outcomes
from gongbao.config import LinkerKind
from gongbao.extractor import Extractor, OnnxBackend
from gongbao.link_training import fit_linker
from gongbao.linking import Linker, RuleLinker
from gongbao.metrics import evaluate
from gongbao.model_folder import LINKER, ModelFolder
from gongbao.schema import Document, UsageError


def refit(
    folder: ModelFolder,
    train: Sequence[Document],
    dev: Sequence[Document],
    kind: LinkerKind = "auto",
    report: Callable[[str], None] = print,
) -> tuple[ModelFolder, dict[str, Any]]:
    """Fit the linker anew, and write it into the model's folder, and the calibration.

    Args:
        folder: a model with its ONNX file.
        train: annotated documents whose links are learned.
        dev: annotated documents that neither the model nor the linker learns from: the linker is chosen and the scores are
            calibrated on them.
        kind: which linker; `auto`: the better on dev.
        report: gets a line on the linkers.

    Returns:
        The model's new description, which is still to be saved, and which linker was chosen, with the dev F1 of both on gold
        spans.

    Raises:
        UsageError: the model has no ONNX file.
    """
    if folder.onnx is None:
        raise UsageError(
            f"{folder.path} has no ONNX file", remedy=f"write it with `gongbao model export {folder.path}`"
        )
    chosen = _fit_links(folder, train, dev, kind, report)
    as_it_is = replace(folder, calibration=Calibration())
    found = outcomes(dev, Extractor(as_it_is, OnnxBackend(folder.onnx))(dev))
    return replace(folder, calibration=Calibration.fit(found)).hashed(), chosen


def _fit_links(
    folder: ModelFolder, train: Sequence[Document], dev: Sequence[Document], kind: LinkerKind,
    report: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    place = folder.path / LINKER
    if not folder.scheme.roles or kind == "rules":
        place.unlink(missing_ok=True)
        return {"kind": "rules"}
    learned = fit_linker(train, folder.scheme)
    scores = {"learned": _f1(learned, dev), "rules": _f1(RuleLinker(folder.scheme), dev)}
    if kind == "auto":
        kind = "learned" if scores["learned"] > scores["rules"] else "rules"
    report(
        f"links between gold spans, dev F1: learned {scores['learned']:.4f}, rules {scores['rules']:.4f}; {kind} it is"
    )
    if kind == "learned":
        learned.save(place)
    else:
        place.unlink(missing_ok=True)
    return {"kind": kind, "dev_link_f1_on_gold_spans": scores}


def _f1(linker: Linker, documents: Sequence[Document]) -> float:
    return evaluate(documents, [d.replace(links=tuple(linker(d)), facts=()) for d in documents]).links.f1
