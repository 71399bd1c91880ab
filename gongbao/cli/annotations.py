"""articles import, annotations import and export."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gongbao.cli.common import (
    Config,
    Json,
    many,
    naming_the_option,
    print_json,
    read_articles,
    report_failed,
    some,
)
from gongbao.process import say, writing_to
from gongbao.schema import DataError, GongbaoError, UsageError

articles_app = typer.Typer(no_args_is_help=True, help="Articles: from txt, html, docx and pdf to documents.")
annotations_app = typer.Typer(no_args_is_help=True, help="Annotations: from and to Label Studio files.")


class Choose(StrEnum):
    """Which annotations of a task to take."""

    best = "best"
    all = "all"
    predictions = "predictions"


@articles_app.command("import")
def articles_import(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Files or folders: txt html docx pdf.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The JSONL file of documents to write.")],
) -> None:
    """Read articles into documents, with page and paragraph of every character."""
    from gongbao.corpus import write

    if not output.name.lower().endswith((".jsonl", ".jsonl.gz")):
        raise UsageError(f"documents are written as .jsonl or .jsonl.gz, not {output.name!r}")
    failed: list[GongbaoError] = []
    documents = list(some(read_articles(inputs, failed.append)))
    with writing_to(output):
        write(documents, output)
    say(f"{many(len(documents), 'article')}: {output}")
    report_failed(failed)


@annotations_app.command("import")
def annotations_import(
    export: Annotated[Path, typer.Argument(metavar="EXPORT.json", help="A Label Studio export (JSON or JSON_MIN).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The corpus to write (.jsonl).")],
    config: Annotated[Path | None, typer.Option("--config", help="The export's labelling configuration; else its labels are taken from its regions.")] = None,
    choose: Annotated[Choose, typer.Option(help="Of each task the best annotation (ground truth, else the last), all of them, or the prediction.")] = Choose.best,
    list_dropped: Annotated[bool, typer.Option("--list-dropped", help="List everything that was left out or noted.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Turn a Label Studio export into a corpus; what is left out is counted by reason."""
    from collections import Counter

    from gongbao.corpus import write
    from gongbao.label_studio import read_config, read_export

    found = read_export(export, read_config(config) if config else None, choose=choose.value)
    noted = Counter(str(finding.reason) for finding in found.notes)
    for what, counts in (("left out", found.counts), ("noted", noted)):
        for reason, count in counts.items():
            say(f"{what}: {count} × {reason}")
    if list_dropped:
        for finding in (*found.dropped, *found.notes):
            say(f"  {finding}")
    if not found.documents:
        raise DataError("no annotated task is left; nothing was written", file=export,
                        remedy="annotate tasks and submit them, or take predictions with --choose predictions")  # fmt: skip
    with writing_to(output):
        write(found.documents, output)
    say(f"{many(len(found.documents), 'document')}: {output}")
    if as_json:
        print_json({"documents": len(found.documents), "dropped": found.counts, "noted": dict(noted)})


@annotations_app.command("export")
def annotations_export(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="Documents (any format gongbao reads).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The tasks to import into Label Studio (.json).")],
    config: Config = None,
    as_annotations: Annotated[bool, typer.Option("--as-annotations", help="As finished annotations instead of predictions.")] = False,
) -> None:  # fmt: skip
    """Turn documents into Label Studio tasks with pre-annotations."""
    from gongbao.corpus import resolve
    from gongbao.files import bundled, replacing
    from gongbao.label_studio import read_config, to_tasks

    if output.suffix.lower() != ".json":
        raise UsageError(f"Label Studio imports .json, not {output.name!r}", remedy="-o tasks.json")
    layout = read_config(config or bundled("annotations/label_config.xml"))
    with naming_the_option(config):
        documents = resolve(corpus, layout.scheme)
    tasks = to_tasks(documents, layout, as_="annotations" if as_annotations else "predictions")
    with writing_to(output), replacing(output) as file:
        json.dump(tasks, file, ensure_ascii=False, indent=1)
    say(f"{many(len(tasks), 'task')}: {output}")
