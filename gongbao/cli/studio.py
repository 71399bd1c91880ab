"""studio start, push, pull: Label Studio in the loop."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gongbao.cli.common import (
    Backend,
    Config,
    Json,
    load_extractor,
    many,
    print_json,
    read_articles,
    report_failed,
)
from gongbao.process import needing, say, writing_to
from gongbao.schema import GongbaoError

if TYPE_CHECKING:
    from gongbao.studio import Pulled, Pushed, Server

studio_app = typer.Typer(
    no_args_is_help=True, help="A Label Studio server: start one, send articles, bring annotations home."
)

Url = Annotated[str | None, typer.Option("--url", help="The server's address; else GONGBAO_STUDIO_URL, else the one that `studio start` runs.")]  # fmt: skip
Token = Annotated[str | None, typer.Option("--token", help="The server's token. Others on this machine can see it here: GONGBAO_STUDIO_TOKEN or a keyring keeps it to yourself.")]  # fmt: skip
Title = Annotated[str, typer.Option("--project", help="The project's title, or its number.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds that an answer may take.")]
_SHOWN = 10


@studio_app.command("start")
def studio_start(
    data: Annotated[Path | None, typer.Option("--data", help="The folder of its data, made if missing; else gongbao/studio in your data folder.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
) -> None:  # fmt: skip
    """Run Label Studio on this machine until ctrl-C, with telemetry off. `push` and `pull` find it by themselves."""
    from gongbao.studio.local import LocalStudio, default_folder

    folder = data or default_folder()
    say("starting Label Studio; the first time takes a minute")
    with writing_to(folder), LocalStudio(folder, port) as studio:
        sign_in = studio.sign_in
        if sign_in is None:
            say("sign in as before; its accounts are those of this folder")
        else:
            # A password is for a person to read, not for whatever log the output may go to.
            where = sign_in.password if sys.stderr.isatty() else f"the one in {studio.folder}/sign-in.json"
            say(f"sign in as {sign_in.email}, password {where}")
        say(f"data and log: {studio.folder}; ctrl-C stops it")
        print(studio.url, flush=True)
        code = studio.wait_for_its_end()
    raise GongbaoError(
        f"Label Studio ended by itself ({code})", file=studio.log, remedy="its last lines say why"
    )


@studio_app.command("push")
def studio_push(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Files or folders (txt html docx pdf), or documents (jsonl), whose spans come along.")],
    project: Title = "gongbao",
    model: Annotated[str, typer.Option("--model", help="Marks the articles beforehand: a model's folder, default (the one that comes with gongbao), or none.")] = "none",
    as_annotations: Annotated[bool, typer.Option("--as-annotations", help="Send the documents' spans as finished annotations instead of suggestions.")] = False,
    config: Config = None,
    instructions: Annotated[Path | None, typer.Option(help="Guidelines to show annotators (Markdown or HTML), in place of the project's; else a project without any gets the bundled ones.")] = None,
    published: Annotated[str | None, typer.Option(help="The publication date of texts that do not say theirs, e.g. 2023-11-02.")] = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model.")] = Backend.auto,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Tasks in a request.")] = 25,
    url: Url = None,
    token: Token = None,
    timeout: Timeout = 60,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Send articles to a project as tasks, each text once; the project is made if there is none.

    Stopped at any moment, the same command goes on.
    """
    from gongbao.cli.main_job import day_of
    from gongbao.files import bundled
    from gongbao.label_studio import read_config

    xml = config or bundled("annotations/label_config.xml")
    layout = read_config(xml)
    day = day_of(published) if published is not None else None
    if as_annotations and model != "none":
        raise typer.BadParameter(
            "what a model marks is no finished annotation", param_hint="--as-annotations"
        )
    extractor = (
        None if model == "none" else load_extractor(None if model == "default" else Path(model), backend)
    )
    failed: list[GongbaoError] = []
    with _server(url, token, timeout) as server:
        from gongbao.studio import open_project, push

        there = open_project(
            server, project, xml.read_text(encoding="utf-8-sig"),
            instructions or bundled("annotations/guidelines.zh.md"), replace=instructions is not None,
        )  # fmt: skip
        done = push(
            server, there.id, read_articles(inputs, failed.append, day), layout, extractor=extractor,
            as_="annotations" if as_annotations else "predictions", batch=batch,
        )  # fmt: skip
    _tell_pushed(done, there.title, server)
    if as_json:
        print_json(done.to_json())
    report_failed(failed)


@studio_app.command("pull")
def studio_pull(
    output: Annotated[Path, typer.Option("-o", "--output", help="The export to write (.json). The version before stays beside it under its date.")],
    project: Title = "gongbao",
    config: Config = None,
    allow_withdrawn: Annotated[bool, typer.Option("--allow-withdrawn", help="Annotations that the file has may be gone from the server.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Write nothing if an annotation breaks a rule.")] = False,
    url: Url = None,
    token: Token = None,
    timeout: Timeout = 60,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Bring the annotations of a project home, and tell what is new, changed or withdrawn, and by whom."""
    from gongbao.label_studio import read_config
    from gongbao.schema import UsageError

    if output.suffix.lower() != ".json":
        raise UsageError(f"an export is a .json file, not {output.name!r}", remedy="-o export.json")
    with _server(url, token, timeout) as server:
        from gongbao.studio import pull
        from gongbao.studio.projects import people, the_project

        there = the_project(server, project)
        layout = read_config(config or there.label_config)
        with writing_to(output):
            pulled = pull(server, there.id, output, layout, allow_withdrawn=allow_withdrawn, strict=strict)
        _tell_pulled(pulled, people(server) if pulled.changes else {})
    if as_json:
        print_json(pulled.to_json())


def _server(url: str | None, token: str | None, timeout: float) -> Server:
    from gongbao.studio.access import find_access

    access = find_access(url, token)
    with needing("studio"):
        import label_studio_sdk  # noqa: F401

    from gongbao.studio import Server

    return Server(access, timeout=timeout, report=say)


def _tell_pushed(done: Pushed, title: str, server: Server) -> None:
    for line in _some([f"skipped {document}: {why}" for document, why in done.skipped]):
        say(line)
    for note in done.notes:
        say(note)
    say(
        f"{many(done.added, 'task')} added to project {done.project}, {title}, {len(done.skipped)} skipped: "
        f"{server.url}/projects/{done.project}"
    )


def _tell_pulled(pulled: Pulled, people: dict[int, str]) -> None:
    counts = Counter(change.kind for change in pulled.changes)
    whose: Counter[str] = Counter()
    lines = []
    for change in pulled.changes:
        by = people.get(change.by or 0) or (f"user {change.by}" if change.by else "an unknown user")
        whose[f"{change.kind} by {by}"] += 1
        regions = many(change.regions, "region")
        if change.kind == "changed":
            regions = f"{change.before} → {regions}"
        elif change.kind == "withdrawn":
            regions = many(change.before or 0, "region")
        lines.append(f"{change.kind}: {change.document} (task {change.task}), by {by}, {regions}")
    for line in (*_some(lines), *_some([str(f) for f in pulled.findings]), *_some(pulled.notes)):
        say(line)
    for reason, count in pulled.dropped.most_common():
        say(f"not in a corpus made of it: {count} × {reason}")
    if whose:
        say("; ".join(f"{count:,} {what}" for what, count in whose.most_common()))
    told = ", ".join(f"{counts[kind]} {kind}" for kind in ("new", "changed", "withdrawn"))
    say(f"{many(pulled.annotations, 'annotation')} of {many(pulled.tasks, 'task')}: {told}; "
        f"{many(pulled.waiting, 'task')} not annotated; {many(len(pulled.findings), 'finding')}")  # fmt: skip
    if pulled.kept:
        say(f"the version before: {pulled.kept}")
    say(f"{pulled.output}{'' if pulled.written else ': nothing has changed'}")


def _some(lines: Sequence[Any]) -> list[str]:
    """The first lines, and how many more there are."""
    more = [f"… and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return [*map(str, lines[:_SHOWN]), *more]
