"""corpus check, stats, split, agreement, suspects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gongbao.cli.common import (
    Backend,
    Check,
    Config,
    Files,
    Json,
    load_extractor,
    many,
    naming_the_option,
    print_json,
    read_all,
    scheme_of,
)
from gongbao.process import needing, say, writing_to
from gongbao.schema import DataError, GongbaoError, UsageError

if TYPE_CHECKING:
    from gongbao.schema import Document

corpus_app = typer.Typer(
    no_args_is_help=True, help="Corpora: check, count, split, compare annotators, hunt errors."
)


@corpus_app.command("check")
def corpus_check(files: Files, config: Config = None, as_json: Json = False) -> None:
    """List every broken rule with its place; exit code 1 if there is one."""
    from gongbao.checks import check
    from gongbao.corpus import resolve
    from gongbao.splitting import duplicates

    scheme = scheme_of(config)
    documents: list[Document] = []
    broken: list[str] = []
    for name in files:
        try:
            # Read without the scheme: what breaks it is to be listed, not to stop the reading.
            documents += resolve(name)
        except DataError as error:
            broken.append(str(error))
    findings = check(documents, scheme)
    twins = duplicates(documents)
    if as_json:
        print_json({
            "documents": len(documents), "unreadable": broken, "findings": [f.to_json() for f in findings],
            "duplicates": [t.to_json() for t in twins],
        })  # fmt: skip
    else:
        for item in (*broken, *findings, *twins):
            print(item)
    counts = [many(len(documents), "document"), many(len(findings), "finding"),
              f"{many(len(twins), 'pair')} of near duplicates"]  # fmt: skip
    if broken:
        counts.append(f"{many(len(broken), 'file')} that cannot be read")
    say(", ".join(counts))
    if broken or findings:
        raise typer.Exit(1)


@corpus_app.command("stats")
def corpus_stats(files: Files, config: Check = None, as_json: Json = False) -> None:
    """Count documents, characters, spans and links."""
    from gongbao.statistics import statistics

    found = statistics(read_all(files, config))
    if as_json:
        print_json(found.to_json())
    else:
        print(found)


@corpus_app.command("split")
def corpus_split(
    files: Files,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder for train.jsonl, dev.jsonl and test.jsonl.")
    ],
    ratios: Annotated[str, typer.Option(help="Shares of train, dev and test.")] = "0.7,0.1,0.2",
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 1,
    config: Check = None,
    as_json: Json = False,
) -> None:
    """Split by place and year, so that no family of articles stands on both sides.

    Sentences that stand on both sides all the same, or nearly so, are listed.
    """
    from gongbao.corpus import freeze
    from gongbao.splitting import split

    try:
        train, dev, test = (float(r) for r in ratios.split(","))
    except ValueError:
        raise UsageError(f"--ratios {ratios!r} is not three numbers", remedy="e.g. 0.7,0.1,0.2") from None
    parts = split(read_all(files, config), ratios=(train, dev, test), seed=seed)
    with writing_to(output):
        manifest = freeze(parts.parts, output)
    say(f"train.jsonl, dev.jsonl, test.jsonl, splits.json: {output}")
    if as_json:
        print_json({**manifest, "shared": [s.to_json() for s in parts.shared]})
    else:
        print(parts)


@corpus_app.command("agreement")
def corpus_agreement(
    one: Annotated[str, typer.Argument(metavar="ONE", help="One annotator's documents, or all annotators': a Label Studio export, or what import --choose all made of it.")],
    other: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="The other's, of the same texts.")] = None,
    config: Check = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Compare annotators two by two: span F1 for each label, link F1, and every place where they differ."""
    from gongbao.statistics import agreement, agreements

    ones = _of_all_annotators(one, config) if other is None else read_all([one], config)
    others = [] if other is None else read_all([other], config)
    try:
        found = agreements(ones) if other is None else {(one, other): agreement(ones, others)}
    except GongbaoError as error:
        raise error.within(file=one if other is None else f"{one} and {other}") from None
    if as_json:
        print_json([{"annotators": list(pair), **result.to_json()} for pair, result in found.items()])
    else:
        for pair, result in found.items():
            print(f"{pair[0]} and {pair[1]}\n{result}")


def _of_all_annotators(name: str, config: Path | None) -> list[Document]:
    """The documents of all annotators; of an export what is left out is told."""
    from gongbao.corpus import is_export
    from gongbao.label_studio import read_config, read_export

    if not is_export(Path(name)):
        return read_all([name], config)
    found = read_export(name, read_config(config) if config else None, choose="annotators")
    for reason, count in found.counts.items():
        say(f"{count} left out: {reason}")
    return list(found.documents)


@corpus_app.command("suspects")
def corpus_suspects(
    files: Files,
    folds: Annotated[int, typer.Option(help="Train this many models, each on all folds but the one it judges; 0: none.")] = 0,
    model: Annotated[Path | None, typer.Option("--model", help="A model that has not learned from these documents judges them.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="The folds' training configuration (TOML); else the default one.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the recipe.")] = None,
    work: Annotated[Path, typer.Option("--work", help="Where the folds' models lie; the same command goes on there.")] = Path("runs/folds"),
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write all of them here (.jsonl).")] = None,
    most: Annotated[int, typer.Option("--most", help="Print so many.")] = 50,
    config: Config = None,
) -> None:  # fmt: skip
    """List what the annotation is likely to have wrong, the surest first.

    Strings that are labelled otherwise elsewhere, edges, missing links, what the link rules would have otherwise, and,
    with --folds or --model, what a model that has not seen the document reads otherwise.
    """
    from gongbao.config import TrainConfig
    from gongbao.corpus import resolve
    from gongbao.files import replacing
    from gongbao.suspects import suspects

    if folds and model is not None:
        raise UsageError("--folds and --model exclude each other")
    scheme = scheme_of(config)
    with naming_the_option(config):
        documents = [document for name in files for document in resolve(name, scheme)]
    judged = None
    if folds:
        own = [] if config is None else [f"data.scheme={json.dumps(str(config))}"]
        wanted = TrainConfig.load(recipe, [*(changes or ()), *own])
        with needing("train"):
            from gongbao.held_out import judge_by_folds
        with writing_to(work):
            judged = judge_by_folds(documents, wanted, work, count=folds, report=say)
    elif model is not None:
        judged = load_extractor(model, Backend.auto).judge(documents)
    found = suspects(documents, scheme, judged)
    if output is not None:
        with writing_to(output), replacing(output) as file:
            file.writelines(json.dumps(s.to_json(), ensure_ascii=False) + "\n" for s in found)
    for suspect in found[:most]:
        print(suspect)
    say(f"{many(len(found), 'suspect')}" + (f": {output}" if output else ""))
