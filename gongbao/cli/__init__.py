"""The gongbao command. Each command imports what it needs when it runs, so that --help is quick.

Results go to standard output, progress and messages to standard error. Exit codes: 0 done, 1 failed on the work,
2 wrong usage, 130 stopped by the user.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from gongbao.cli import main_job, serving
from gongbao.cli.annotations import annotations_app, articles_app
from gongbao.cli.corpus import corpus_app
from gongbao.cli.leaderboard import leaderboard_app
from gongbao.cli.models import model_app
from gongbao.cli.studio import studio_app
from gongbao.process import guarded, say

app = typer.Typer(
    name="gongbao",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
main_job.add_to(app)
app.add_typer(articles_app, name="articles")
app.add_typer(annotations_app, name="annotations")
app.add_typer(corpus_app, name="corpus")
app.add_typer(model_app, name="model")
app.add_typer(leaderboard_app, name="leaderboard")
app.add_typer(studio_app, name="studio")
serving.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        from gongbao import __version__

        print(f"gongbao {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """Checked records out of Chinese government reports: annotate, train, extract, evaluate."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    return guarded(lambda: _run(sys.argv[1:] if argv is None else list(argv)))


def _run(arguments: list[str]) -> int:
    command = get_command(app)
    try:
        with command.make_context("gongbao", arguments) as context:
            command.invoke(context)
    except typer.Exit as error:
        return error.exit_code
    except typer.TyperException as error:
        message = error.format_message().replace("Value error, ", "")
        if not message.startswith("Usage: "):
            at = getattr(error, "ctx", None)
            message = (
                f"gongbao: {message}\n  → {at.command_path if at else 'gongbao'} --help tells what there is"
            )
        say(message)
        return error.exit_code
    return 0


def run() -> None:
    """The entry point of the `gongbao` command."""
    sys.exit(main())
