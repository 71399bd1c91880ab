"""leaderboard add, show and check."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gongbao.cli.common import Json, many, naming_the_option, print_json, scheme_of
from gongbao.process import say, writing_to
from gongbao.schema import UsageError

if TYPE_CHECKING:
    from gongbao.schema import LabelScheme

leaderboard_app = typer.Typer(
    no_args_is_help=True,
    help="A leaderboard in a folder: add models or any system's predictions, show the ranks, check every figure.",
)
BoardFolder = Annotated[Path, typer.Option("--board", help="The leaderboard's folder.")]
DEFAULT = Path("leaderboard")
_CHECKED = {
    "all": "the model's record shows that this is all of it",
    "given": "nothing shows that this is all of it",
    "none": "not checked (--train FILE)",
}


@leaderboard_app.command("add")
def leaderboard_add(
    data: Annotated[str, typer.Option("--data", help="A bundled split (test, shift) or a file with gold annotation.")],
    models: Annotated[list[Path] | None, typer.Option("--model", help="A model's folder; several, of several seeds, are one entry.")] = None,
    predictions: Annotated[list[Path] | None, typer.Option("--predictions", help="Predicted documents (.jsonl), of any system; several are one entry.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The entry's name; else the model's or the file's.")] = None,
    train: Annotated[list[str] | None, typer.Option("--train", help="What was trained and chosen on: bundled splits or files. Of a model it is else looked for by its own record.")] = None,
    test_name: Annotated[str | None, typer.Option("--set", help="The name of the test set; else the split's or the file's.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The labelling configuration of a new test set; else the model's or the bundled one.")] = None,
    not_public: Annotated[bool, typer.Option("--not-public", help="Mark a new test set: its texts cannot be had.")] = False,
    overwrite: Annotated[bool, typer.Option("--replace", help="Replace the entry of that name.")] = False,
    board: BoardFolder = DEFAULT,
) -> None:  # fmt: skip
    """Run a model or take predictions, score them on a frozen test set, and rank them.

    Predictions need the ids and texts of the test set; spans and links are looked at. FILE.about.json beside FILE.jsonl may say
    seed, configuration, speed, size and memory. The entry is refused where test articles, or near duplicates, were trained on.
    """
    from gongbao.corpus import SPLITS, resolve
    from gongbao.leaderboard import Board, check_training, run_model, told_run

    if bool(models) == bool(predictions):
        raise UsageError(
            "give either --model or --predictions", remedy="each of them may be given several times"
        )
    place = Board(board)
    wanted = test_name or (data if data in SPLITS else Path(data).name.split(".")[0])
    there = next((test for test in place.test_sets() if test.name == wanted), None)
    scheme = there.scheme if there and config is None else _scheme(config, models)
    with naming_the_option(config):
        gold = resolve(data, scheme)
        test = place.test_set(
            wanted, gold, scheme, bundled=wanted == data and data in SPLITS, public=not not_public
        )
        told = [told_run(path, scheme) for path in predictions or ()]
    training = check_training(gold, train or (), models or ())
    compared = f"training data: {many(training.documents, 'document')} compared with the test set; "
    say(compared + _CHECKED[training.checked])
    for path in models or ():
        say(f"running {path}")
        told.append(run_model(path, gold))
    entry_name = name or _name_of(models, predictions)
    repeated = _command(
        data=data, model=models, predictions=predictions, name=entry_name, train=train, set=test_name, config=config,
        not_public=not_public, board=board if board != DEFAULT else None,
    )  # fmt: skip
    with writing_to(board):
        place.add(test, gold, entry_name, told, training, repeated, overwrite=overwrite)
    row = next(row for row in place.rows(test) if row.entry.name == entry_name)
    like = ", ".join(row.standings["spans"].like)
    print(
        f"{entry_name}: rank {row.rank} on {test.name}"
        + (f", not to be told apart from {like}" if like else "")
    )


def _scheme(config: Path | None, models: list[Path] | None) -> LabelScheme:
    from gongbao.model_folder import ModelFolder

    return ModelFolder.load(models[0]).scheme if config is None and models else scheme_of(config)


def _name_of(models: list[Path] | None, predictions: list[Path] | None) -> str:
    from gongbao.model_folder import ModelFolder

    return ModelFolder.load(models[0]).name if models else (predictions or [Path()])[0].name.split(".")[0]


def _command(**options: Any) -> str:
    """The command line of these options, those without a value left out."""
    words = ["gongbao", "leaderboard", "add"]
    for option, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            flag = f"--{option.replace('_', '-')}"
            words += [flag] if one is True else [flag, str(one)] if one not in (None, False) else []
    return shlex.join(words)


@leaderboard_app.command("show")
def leaderboard_show(
    board: BoardFolder = DEFAULT,
    write: Annotated[
        bool, typer.Option("--write", help="Make README.md, README.zh.md and index.html anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the tables; systems that cannot be told apart share a rank."""
    from gongbao.leaderboard import Board, pages

    place = Board(board)
    tables = [(test, place.rows(test)) for test in place.test_sets()]
    if write:
        with writing_to(board):
            place.write_pages()
    if as_json:
        print_json(pages.to_json(tables))
    else:
        print(pages.show(tables))


@leaderboard_app.command("check")
def leaderboard_check(
    board: BoardFolder = DEFAULT,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="The corpus of a test set that does not come with gongbao."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score every entry again from its predictions and compare every figure; exit with 1 where one differs."""
    from gongbao.corpus import resolve
    from gongbao.leaderboard import Board, check

    found = check(Board(board), {name: resolve(name) for name in data or ()})
    if as_json:
        print_json({"problems": [str(p) for p in found.problems], "unchecked": found.unchecked})
    else:
        for problem in found.problems:
            print(problem)
        for test in found.unchecked:
            print(f"{test}: held to its stored counts only, its corpus is not at hand (--data FILE)")
        print(many(len(found.problems), "problem"))
    if found.problems:
        raise typer.Exit(1)
