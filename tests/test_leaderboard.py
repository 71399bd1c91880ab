"""Boards in folders of their own: what is added, ranked, refused, and what `check` finds."""

import gzip
import hashlib
import json
import random
import re
import shlex
import shutil
from pathlib import Path

import lxml.html
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongbao.cli import main
from gongbao.corpus import read, write
from gongbao.counts import Counts
from gongbao.inline import parse
from gongbao.leaderboard import Board, Training, check, check_training, ranking, run_model, told_run
from gongbao.leaderboard.board import _common
from gongbao.leaderboard.entries import Cost, Entry, Evidence, load
from gongbao.leaderboard.evidence import score
from gongbao.leaderboard.pages import same, score_text
from gongbao.leaderboard.systems import commit, machine, mean_cost, peak_memory, timed_reading
from gongbao.leaderboard.training_data import seen_articles
from gongbao.metrics import DocumentCounts, evaluate
from gongbao.schema import DataError, Document, GongbaoError, UsageError

ROOT = Path(__file__).parents[1]
STEMS = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥金木水火土春夏秋冬东西南北风云山石林泉"


def article(n, scheme):
    """An annotated article whose words no other has."""
    luck = random.Random(n)

    def word(length):
        return "".join(luck.choices(STEMS, k=length))

    lines = [
        f"{{{word(4)}镇|ORG}}{word(6)},{{{word(4)}收入|METRIC#m{k}}}达到{{{luck.randint(2, 90)}.5亿元|AMOUNT>m{k}:VALUE}},{word(9)}。"
        for k in range(6)
    ]
    return parse("\n".join(lines), id=f"own-{n}", scheme=scheme)


def worse(documents, share, seed=0):
    """The documents without a share of their spans, chosen by luck."""
    luck = random.Random(seed)
    made = []
    for document in documents:
        kept = [s for s in document.spans if luck.random() >= share]
        ids = {s.id for s in kept}
        made.append(
            document.replace(spans=kept, links=tuple(k for k in document.links if {k.head, k.tail} <= ids))
        )
    return made


@pytest.fixture(scope="module")
def own(scheme):
    """A test set of one's own."""
    return [article(n, scheme) for n in range(24)]


@pytest.fixture
def work(tmp_path, monkeypatch, own):
    """A folder with that test set and three systems' predictions."""
    monkeypatch.chdir(tmp_path)
    submit(own)
    return tmp_path


def submit(own):
    """Write the test set and what three systems made of it."""
    write(own, "own.jsonl")
    for name, share in (("good", 0.05), ("fair", 0.3), ("poor", 0.7)):
        write(worse(own, share), f"{name}.jsonl")


@pytest.fixture(scope="module")
def made_board(tmp_path_factory, own):
    """A board with three systems, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        submit(own)
        for name in ("good", "fair", "poor"):
            assert add(f"--data own.jsonl --predictions {name}.jsonl --board board") == 0
    return folder / "board"


@pytest.fixture
def board(work, made_board):
    """A board with those three systems, in the folder."""
    shutil.copytree(made_board, "board")
    return Board("board")


def add(text):
    return main(["leaderboard", "add", *text.split()])


def rewrite(path, change):
    """Change a JSON file by hand."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    change(data)
    Path(path).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def messages(board, own=None):
    return [str(p) for p in check(board, {"own.jsonl": own} if own else None).problems]


# ----------------------------------------------------------------------------------------- ranks


def tallies(found):
    """A run of documents of ten spans, of each of which so many are found."""
    return [
        DocumentCounts(f"d{n}", {"ORG": Counts(tp, 0, 10 - tp)}, {}, Counts()) for n, tp in enumerate(found)
    ]


def entry(name):
    scores = ranking.scores(name, [tallies([1])])
    return Entry(
        name, "t", "0", (), scores, Training(), Cost(), {}, "0", None, "2026-01-01", "", Evidence("", "")
    )


def ranks(**systems):
    rows = ranking.rank([(entry(name), [tallies(run) for run in runs]) for name, runs in systems.items()])
    return {row.entry.name: row.standings["spans"] for row in rows}


def test_systems_that_cannot_be_told_apart_share_a_rank():
    found = ranks(a=[[8] * 20], b=[[9, 7] * 10], c=[[3] * 20])
    assert {name: s.rank for name, s in found.items()} == {"a": 1, "b": 1, "c": 3}
    assert {name: s.like for name, s in found.items()} == {"a": ("b",), "b": ("a",), "c": ()}


def test_ranks_are_defined_where_likeness_is_not_transitive():
    """B varies so much that it is like both A and C; A is better than C."""
    found = ranks(A=[[7] * 20], B=[[10, 3] * 10], C=[[6] * 20])
    assert [(s.rank, s.like) for _, s in sorted(found.items())] == [(1, ("B",)), (1, ("A", "C")), (2, ("B",))]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 10), min_size=8, max_size=8), min_size=1, max_size=5))
def test_a_rank_is_one_more_than_those_that_are_better(runs):
    names = [f"system{n}" for n in range(len(runs))]
    found = ranks(**{name: [run] for name, run in zip(names, runs, strict=True)})
    best = max(names, key=lambda name: sum(runs[names.index(name)]))
    assert found[best].rank == 1
    for name, standing in found.items():
        assert 1 <= standing.rank <= len(runs) - len(standing.like)
        assert all(name in found[other].like for other in standing.like)


def test_what_does_not_occur_is_told_apart_by_nothing():
    rows = ranking.rank([(entry(name), [tallies([5] * 9)]) for name in ("a", "b")])
    assert [row.standings["links"] for row in rows] == [
        ranking.Standing(1, ("b",)),
        ranking.Standing(1, ("a",)),
    ]
    assert ranking.rank([]) == []


def test_the_scores_of_one_run_are_those_of_evaluate(own, scheme):
    predicted = worse(own, 0.3)
    found = ranking.scores("x", [score(own, predicted, scheme)])
    wanted = evaluate(own, predicted)
    assert found.spans.f1 == pytest.approx(wanted.micro.f1, abs=1e-6)
    assert found.spans.interval == pytest.approx(wanted.intervals().micro, abs=1e-6)
    assert found.labels["ORG"].interval == pytest.approx(wanted.intervals().labels["ORG"], abs=1e-6)
    assert found.links.f1 == pytest.approx(wanted.links.f1, abs=1e-6)
    assert found.facts.f1 == found.links.f1 > 0
    assert found.spans.deviation is None


def test_several_runs_give_mean_and_deviation_and_a_wider_interval():
    runs = [tallies([9] * 30), tallies([5] * 30), tallies([7] * 30)]
    f1 = [2 * n / (10 + n) for n in (9, 5, 7)]
    found = ranking.scores("x", runs).spans
    assert found.f1 == pytest.approx(np.mean(f1), abs=1e-6)
    assert found.deviation == pytest.approx(np.std(f1, ddof=1), abs=1e-6)
    assert found.interval[0] < found.f1 < found.interval[1]  # the documents do not vary: the runs do
    assert ranking.scores("x", runs[:1]).spans.interval == pytest.approx((f1[0], f1[0]), abs=1e-6)


def test_a_label_that_one_run_never_has_does_not_spoil_the_mean():
    plain = tallies([5] * 6)
    odd = [DocumentCounts(t.id, {**t.spans, "TIME": Counts(0, 1, 0)}, {}, Counts()) for t in plain]
    found = ranking.scores("x", [plain, odd]).labels["TIME"]
    assert (found.f1, found.gold, found.interval) == (0.0, 0, (0.0, 0.0))


# --------------------------------------------------------------------------------- training data


def sentences_of(document):
    return [Document(f"{document.id}.{n}", line) for n, line in enumerate(document.text.splitlines())]


@pytest.mark.parametrize(
    "disguise",
    [
        lambda d: [d],
        lambda d: [Document("x", d.text.replace("。", "。\n\n　"))],
        lambda d: [Document("x", d.text.replace(",", "，"))],
        lambda d: [Document("x", "前言" * 400 + d.text + "后记" * 400)],
        lambda d: [Document("x", d.text[: len(d.text) * 2 // 3])],
        sentences_of,
    ],
    ids=["copy", "line ends", "full-width", "inside a longer text", "two thirds", "cut into sentences"],
)
def test_a_test_article_in_disguise_is_seen(disguise, own):
    found = seen_articles(own, disguise(own[3]))
    assert [s.document for s in found] == ["own-3"]
    assert found[0].share > 0.5


def test_other_articles_are_not_seen(own, scheme):
    assert seen_articles(own[:6], own[6:]) == []
    assert seen_articles([Document("empty", " \n")], [Document("e", ""), *own]) == []
    assert seen_articles([], own) == []


def test_what_was_trained_on_is_compared_and_named(work, own, scheme):
    assert check_training(own) == Training("none", 0, None)
    write([article(n, scheme) for n in range(90, 95)], "others.jsonl")
    found = check_training(own, ["others.jsonl"])
    assert (found.checked, found.documents) == ("given", 5)
    write(own[:8], "seen.jsonl")
    with pytest.raises(DataError, match=r"8 of 24 test articles.*own-0 \(100%\).* and 3 more"):
        check_training(own, ["others.jsonl", "seen.jsonl"])
    with pytest.raises(UsageError, match="no file or folder"):
        check_training(own, ["misspelt.jsonl"])


def test_a_model_is_compared_by_its_own_record(work, own, tiny_model, documents, tmp_path):
    assert check_training(own, models=[tiny_model]).checked == "all"
    with pytest.raises(DataError, match="12 of 12 test articles"):
        check_training(documents, models=[tiny_model])
    copied = tmp_path / "copied"
    copied.mkdir()
    for name, text in (("run.json", "{}"), ("train.toml", '[data]\ntrain = ["gone.jsonl"]\ndev = []')):
        (copied / name).write_text(text, encoding="utf-8")
    assert check_training(own, models=[copied]) == Training("none", 0, None)
    assert check_training(own, models=[tmp_path / "nothing"]) == Training("none", 0, None)
    write(documents[:5], "part.jsonl")
    record = (tiny_model / "run.json").read_text(encoding="utf-8")
    (copied / "run.json").write_text(record, encoding="utf-8")
    part = check_training(own, ["part.jsonl"], [copied])
    assert (part.checked, part.documents) == ("given", 5)
    assert part.sha256 == json.loads(record)["data"]["train"]["sha256"]


def test_dev_documents_that_a_run_set_aside_itself_are_found_again(work, own, documents, tmp_path):
    from gongbao.corpus import split_hash
    from gongbao.splitting import split

    write(documents, "mine.jsonl")
    divided = split(documents, (0.9, 0.1, 0.0), seed=7)
    folder = tmp_path / "run"
    folder.mkdir()
    hashes = {part: {"sha256": split_hash(getattr(divided, part))} for part in ("train", "dev")}
    (folder / "run.json").write_text(json.dumps({"data": hashes}), encoding="utf-8")
    (folder / "train.toml").write_text(
        '[data]\ntrain = ["mine.jsonl"]\ndev = []\n[training]\nseed = 7\n', encoding="utf-8"
    )
    assert check_training(own, models=[folder]).checked == "all"
    write(documents[:1], "mine.jsonl")
    assert check_training(own, models=[folder]).checked == "given"


# ---------------------------------------------------------------------------------------- adding


def test_a_board_is_made_shown_and_checked(board, own, capsys):
    rows = board.rows(board.test_sets()[0])
    assert [(row.entry.name, row.rank) for row in rows] == [("good", 1), ("fair", 2), ("poor", 3)]
    capsys.readouterr()
    assert main(["leaderboard", "show", "--board", "board"]) == 0
    assert re.search(r"^1 +good +9\d\.\d \(", capsys.readouterr().out, re.M)
    assert main(["leaderboard", "show", "--board", "board", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert table["test"]["documents"] == 24
    assert table["rows"][1]["ranks"] == {"spans": 2, "links": 2, "facts": 2}
    assert (
        table["rows"][1]["command"]
        == "gongbao leaderboard add --data own.jsonl --predictions fair.jsonl --name fair --board board"
    )
    assert main(["leaderboard", "check", "--board", "board", "--data", "own.jsonl"]) == 0
    assert capsys.readouterr().out == "0 problems\n"
    assert main(["leaderboard", "check", "--board", "board", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"problems": [], "unchecked": ["own"]}
    assert main(["leaderboard", "check", "--board", "board"]) == 0
    assert "its corpus is not at hand" in capsys.readouterr().out


def test_the_command_of_a_row_repeats_it(board, capsys):
    before = load(Entry, Path("board/own/fair.json"))
    command = shlex.split(before.command)
    assert main([*command[1:], "--replace"]) == 0
    assert load(Entry, Path("board/own/fair.json")).predictions == before.predictions


def test_no_text_is_kept_but_all_that_was_found(board, own):
    (packed,) = Path("board/own").glob("good.*.gz")
    stored = gzip.decompress(packed.read_bytes()).decode()
    assert not any(s.text in stored for d in own for s in d.spans)
    lines = [json.loads(line) for line in stored.splitlines()]
    assert sum(len(line["spans"]) for line in lines) == sum(len(d.spans) for d in read("good.jsonl"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--data own.jsonl --predictions good.jsonl --board board", "there is an entry good already"),
        ("--data own.jsonl --predictions good.jsonl --name ../x --board board", "no name for an entry"),
        ("--data own.jsonl --predictions good.jsonl --set .own --board board", "no name for a test set"),
        ("--data own.jsonl --board board", "give either --model or --predictions"),
        ("--data own.jsonl --predictions good.jsonl --model m --board board", "give either --model or"),
        ("--data changed.jsonl --set own --predictions good.jsonl --name n --board board", "texts or annotation are not what"),
        ("--data own.jsonl --config other.xml --predictions bare.jsonl --name n --board board", "label scheme is not what"),
        ("--data own.jsonl --predictions part.jsonl --board board", "not among the predicted documents"),
        ("--data own.jsonl --predictions edited.jsonl --board board", "the texts differ"),
        ("--data own.jsonl --predictions offsets.jsonl --board board", "the text there is different"),
        ("--data own.jsonl --predictions good.jsonl --name n --train good.jsonl --board board", "24 of 24 test articles"),
        ("--data none.jsonl --predictions none.jsonl --board board", "holds no documents"),
        ("--data own.jsonl --predictions good.jsonl --board own.jsonl", "is no folder"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_with_its_reason(board, own, capsys, command, message):
    write([own[0].replace(links=()), *own[1:]], "changed.jsonl")
    write([d.replace(spans=(), links=()) for d in own], "bare.jsonl")
    xml = (ROOT / "annotations/label_config.xml").read_text(encoding="utf-8")
    Path("other.xml").write_text(re.sub(r'<Label [^>]*value="TIME"[^>]*/>', "", xml), encoding="utf-8")
    write(own[1:], "part.jsonl")
    write([own[0].replace(text=own[0].text + "。"), *own[1:]], "edited.jsonl")
    Path("offsets.jsonl").write_text(
        "\n".join(d.to_line() for d in own).replace('"start":0,"end":5', '"start":1,"end":6'),
        encoding="utf-8",
    )
    Path("none.jsonl").write_text("", encoding="utf-8")
    before = {path: path.read_bytes() for path in Path("board").rglob("*") if path.is_file()}
    assert add(command) in (1, 2)
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("board").rglob("*") if path.is_file()} == before


def test_a_model_is_run_and_measured(work, own, tiny_model, capsys):
    assert add(f"--data own.jsonl --model {tiny_model} --board board --not-public") == 0
    assert "record shows that this is all of it" in capsys.readouterr().err
    made = load(Entry, Path("board/own/tiny.json"))
    assert made.cost.measured
    assert made.cost.characters_per_second > 0
    assert made.cost.size > 10_000
    assert made.training.checked == "all"
    assert made.configuration["training"]["epochs"] == 40
    assert made.runs[0].seed == 1
    assert (
        made.runs[0].model
        == json.loads((tiny_model / "gongbao.json").read_text())["sha256"]["model.safetensors"]
    )
    assert "not public" in Path("board/README.md").read_text(encoding="utf-8")
    assert main(["leaderboard", "check", "--board", "board", "--data", "own.jsonl"]) == 0


def test_a_model_that_learned_the_test_articles_is_refused(work, corpus_file, tiny_model, capsys):
    assert add(f"--data {corpus_file} --model {tiny_model} --board board") == 1
    assert "12 of 12 test articles stand in the training data" in capsys.readouterr().err
    assert not Path("board").exists()


def test_several_runs_are_one_entry_never_the_best(work, own):
    for n, share in enumerate((0.2, 0.3, 0.4)):
        write(worse(own, share, seed=n), f"s{n}.jsonl")
        Path(f"s{n}.about.json").write_text(json.dumps({"seed": n, "configuration": {"rate": 1, "seed": n}}))
    assert (
        add(
            "--data own.jsonl --predictions s0.jsonl --predictions s1.jsonl --predictions s2.jsonl --name three --board board"
        )
        == 0
    )
    made = load(Entry, Path("board/own/three.json"))
    assert [run.seed for run in made.runs] == [0, 1, 2]
    assert made.scores.spans.f1 == pytest.approx(np.mean([run.spans for run in made.runs]), abs=1e-6)
    assert made.scores.spans.deviation > 0
    assert made.configuration == {"rate": 1, "seed": [0, 1, 2]}
    assert "±" in Path("board/README.md").read_text(encoding="utf-8")
    assert messages(Board("board"), own) == []


def test_predictions_bring_along_what_their_maker_says(work, own):
    told = {
        "model": "v3",
        "characters_per_second": 120,
        "memory": 3_000_000,
        "size": 7,
        "machine": "M",
        "command": "make it",
    }
    Path("good.about.json").write_text(json.dumps(told), encoding="utf-8")
    assert add("--data own.jsonl --predictions good.jsonl --board board") == 0
    made = load(Entry, Path("board/own/good.json"))
    assert (made.cost, made.runs[0].model) == (Cost(120, 3_000_000, 7, "M"), "v3")
    assert made.command.startswith("make it\ngongbao leaderboard add")
    assert "120 †" in Path("board/README.md").read_text(encoding="utf-8")
    Path("good.about.json").write_text('{"sped": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="sped"):
        told_run(Path("good.jsonl"), None)


def test_an_add_that_is_stopped_loses_nothing_and_the_next_one_clears_up(board, own, monkeypatch):
    old = Path("board/own/good.json").read_bytes()
    write(worse(own, 0.5), "good.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr("gongbao.leaderboard.board.save", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        assert add("--data own.jsonl --predictions good.jsonl --replace --board board") == 130
    assert Path("board/own/good.json").read_bytes() == old
    assert [m.partition("\n")[0].partition(": ")[2] for m in messages(board, own)] == [
        "the file belongs to no entry"
    ]
    assert add("--data own.jsonl --predictions good.jsonl --replace --board board") == 0
    assert messages(board, own) == []
    assert len(list(Path("board/own").iterdir())) == 6


def test_a_bundled_split_is_held_to_its_frozen_hash(work, own, monkeypatch, capsys):
    from gongbao.corpus import freeze

    freeze({"test": own[:9]}, work / "data")
    monkeypatch.setattr("gongbao.files.PACKAGE", work / "gongbao")
    write(worse(own[:9], 0.2), "p.jsonl")
    Path("annotations").mkdir()
    Path("annotations/label_config.xml").write_bytes((ROOT / "annotations/label_config.xml").read_bytes())
    assert add("--data test --predictions p.jsonl") == 0
    assert messages(Board("leaderboard")) == []
    assert add("--data test --predictions p.jsonl --set again") == 0
    assert check(Board("leaderboard")).unchecked == [
        "again"
    ]  # known by its hash, like any corpus of one's own
    write(own[:8], "data/test.jsonl")
    assert "was changed" in messages(Board("leaderboard"))[0]
    assert add("--data test --predictions p.jsonl --name q") == 1
    freeze({"test": own[1:9]}, work / "data")
    assert "is another version" in messages(Board("leaderboard"))[0]
    assert add("--data test --predictions p.jsonl --name q") == 1
    assert "compare with no others" in capsys.readouterr().err


# -------------------------------------------------------------------------------------- checking


def repack(board, name, change):
    """Change stored predictions and make the entry name their new hash, as somebody might who wants to deceive."""
    path = Path("board/own") / load(Entry, Path(f"board/own/{name}.json")).predictions.file
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    change(lines)
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(f"board/own/{name}.json", lambda data: data["predictions"].update(sha256=digest))


def better_counts(lines):
    for label, (tp, fp, fn) in lines[0]["counts"]["spans"].items():
        lines[0]["counts"]["spans"][label] = [tp + fn, fp, 0]


@pytest.mark.parametrize("name", ["spans", "links", "facts"])
def test_a_score_edited_by_hand_is_found(board, own, capsys, name):
    rewrite("board/own/poor.json", lambda data: data["scores"][name].update(f1=0.999))
    assert main(["leaderboard", "check", "--board", "board"]) == 1
    assert f"scores.{name}.f1 is 0.999, but the entry's predictions give 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["scores"]["labels"]["ORG"].update(interval=[0.98, 0.99]), "scores.labels.ORG.interval.0 is 0.98"),
        (lambda d: d["scores"]["labels"].pop("ORG"), "scores.labels.ORG is None"),
        (lambda d: d["scores"]["spans"].update(deviation=0.1), "scores.spans.deviation is 0.1"),
        (lambda d: d["runs"][0].update(links=0.9), "runs.0.links is 0.9"),
        (lambda d: d["runs"].append(d["runs"][0]), "1 runs are stored, the entry has 2"),
        (lambda d: d.update(name="best"), "the file is of the entry 'best'"),
        (lambda d: d.update(test_sha256="0" * 64), "another version of own"),
        (lambda d: d.update(format=2), "format 2 is not known"),
        (lambda d: d.update(colour="red"), "colour: Unexpected"),
        (lambda d: d["predictions"].update(sha256="0" * 64), "not those that were added"),
        (lambda d: d["predictions"].update(file="../../good.jsonl"), "cannot be read"),
    ],
)  # fmt: skip
def test_an_entry_edited_by_hand_is_found(board, own, change, message):
    rewrite("board/own/poor.json", change)
    assert message in messages(board, own)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (better_counts, "own-0: the stored counts are not what"),
        (lambda lines: lines.pop(), "not of the test set's documents"),
        (lambda lines: lines[0]["spans"].append([0, 9999, "ORG"]), "the span"),
        (lambda lines: lines[0].update(run=1), "2 runs are stored, the entry has 1"),
        (lambda lines: [line.update(run=5) for line in lines], "there are no runs"),
        (lambda lines: lines.clear(), "there are no runs"),
        (lambda lines: lines[0].pop("counts"), "no stored predictions"),
    ],
)
def test_predictions_edited_by_hand_are_found(board, own, change, message):
    repack(board, "poor", change)
    assert message in messages(board, own)[0]


def test_predictions_that_are_broken_or_gone_are_told(board, own):
    path = Path("board/own") / load(Entry, Path("board/own/poor.json")).predictions.file
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite("board/own/poor.json", lambda data: data["predictions"].update(sha256=digest))
    assert "broken" in messages(board, own)[0]
    path.unlink()
    assert "cannot be read" in messages(board, own)[0]


def test_a_test_set_edited_by_hand_is_found(board, own):
    rewrite("board/own.json", lambda data: data.update(documents=99))
    assert "the size of the test set" in messages(board, own)[0]
    rewrite("board/own.json", lambda data: data.update(name="else"))
    assert "the file is of the test set 'else'" in str(check(board).problems[0])
    Path("board/own.json").write_text("{", encoding="utf-8")
    assert "not JSON" in str(check(board).problems[0])


def test_a_corpus_that_is_no_test_set_is_wrong_usage(board, own, capsys):
    assert main(["leaderboard", "check", "--board", "board", "--data", "good.jsonl"]) == 2
    assert "none of the test sets" in capsys.readouterr().err
    assert main(["leaderboard", "check", "--board", "nowhere"]) == 2
    assert "there is no leaderboard nowhere" in capsys.readouterr().err


def test_what_does_not_belong_to_a_board_is_named(board, own):
    Path("board/own/notes.txt").write_text("x", encoding="utf-8")
    Path("board/old").mkdir()
    assert sorted(m.partition(": ")[2].partition("\n")[0] for m in messages(board, own)) == [
        "the file belongs to no entry",
        "the folder is of no test set of this board",
    ]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "index.html"])
def test_a_page_that_is_not_what_the_entries_give_is_found_and_made_anew(board, own, name, capsys):
    path = Path("board") / name
    made = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"\b9\d\.\d\b", "99.9", made), encoding="utf-8")
    assert "the page is not what the entries give" in messages(board, own)[0]
    path.unlink()
    assert "the page is not what the entries give" in messages(board, own)[0]
    assert main(["leaderboard", "show", "--board", "board", "--write"]) == 0
    assert path.read_text(encoding="utf-8") == made


# ----------------------------------------------------------------------------------------- pages


def test_the_page_holds_what_the_tables_hold_and_runs_nothing_of_it(work, own):
    Path("good.about.json").write_text(
        json.dumps({"command": "</main><script>alert(1)</script>"}), encoding="utf-8"
    )
    assert add("--data own.jsonl --predictions good.jsonl --board board") == 0
    text = Path("board/index.html").read_text(encoding="utf-8")
    page = lxml.html.fromstring(text)
    assert len(page.findall(".//script")) == 1
    rows = page.xpath("//section[@id='set-1']//table")[0].xpath(".//tbody/tr")
    assert [cell.text_content() for cell in rows[0]][:2] == ["1", "good"]
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text)
    assert same(text, text.replace("<style>", "<style>/* another style */"))
    assert not same(text, text.replace("good", "best"))


def test_both_readmes_hold_the_same_figures(board):
    one, other = (
        re.findall(
            r"[\d.]*\d",
            "".join(re.findall(r"^\|.*", Path(f"board/{name}").read_text(encoding="utf-8"), re.M)),
        )
        for name in ("README.md", "README.zh.md")
    )
    assert one == other
    assert len(one) > 50


def test_an_empty_board(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["leaderboard", "show", "--board", "none"]) == 0
    assert "no entries yet" in capsys.readouterr().out
    Board("new").write_pages()
    assert "There are no entries yet." in Path("new/README.md").read_text(encoding="utf-8")
    assert messages(Board("new")) == []


def test_nothing_to_count_is_a_dash():
    assert score_text(ranking.scores("x", [tallies([1])]).links) == "—"


# ----------------------------------------------------------------------------------- the machine


def test_what_a_run_takes(tiny_model, own):
    found, seconds, memory = timed_reading(str(tiny_model), own[:2])
    assert [d.id for d in found] == ["own-0", "own-1"]
    assert seconds > 0
    assert memory > 1_000_000
    assert re.search(r", \d+ cores?$", machine())


def test_the_peak_of_memory_where_proc_is_not(monkeypatch):
    monkeypatch.setattr("pathlib.Path.read_text", lambda *a, **k: (_ for _ in ()).throw(FileNotFoundError()))
    assert peak_memory() > 1_000_000
    assert re.search(r", \d+ cores?$", machine())


def test_a_process_that_dies_is_told(tiny_model, own, monkeypatch):
    class Pool:
        def __init__(self, *a, **k): ...
        def __enter__(self):
            return self

        def __exit__(self, *a): ...
        def submit(self, *a):
            from concurrent.futures.process import BrokenProcessPool

            raise BrokenProcessPool

    monkeypatch.setattr("gongbao.leaderboard.systems.ProcessPoolExecutor", Pool)
    with pytest.raises(GongbaoError, match="ended"):
        run_model(tiny_model, own)


def test_costs_of_several_runs():
    costs = [Cost(100, 5, 10, "A", True), Cost(200, 9, 20, "B", True), Cost()]
    assert mean_cost(costs) == Cost(150, 9, 15, "A / B", False)
    assert mean_cost([Cost()]) == Cost()


def test_configurations_of_several_runs():
    assert _common([{"a": 1, "t": {"seed": 1, "e": 2}}, {"a": 1, "t": {"seed": 2, "e": 2}}]) == {
        "a": 1,
        "t": {"seed": [1, 2], "e": 2},
    }
    assert _common([{"a": 1}, {"a": 1}]) == {"a": 1}
    assert _common([{}, {"a": 1}]) == {"a": [None, 1]}


def test_the_commit_is_that_of_the_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr("gongbao.leaderboard.systems.PACKAGE", tmp_path / "gongbao")
    assert commit() is None
    (tmp_path / ".git").mkdir()
    assert commit() is None  # no repository that git can read


# ------------------------------------------------------------------------------- this repository


def test_the_board_of_this_repository_is_what_its_entries_give():
    assert [str(p) for p in check(Board(ROOT / "leaderboard")).problems] == []


def test_a_board_of_ones_own_in_ten_lines(tmp_path, monkeypatch, tiny_bert, scheme, capsys):
    """The commands of the tutorial run as they stand, with a tiny encoder; they are the same in both languages."""
    pages = [(ROOT / f"docs/leaderboard{zh}.md").read_text(encoding="utf-8") for zh in ("", ".zh")]
    block, other = (re.search(r"^```sh\n(.*?)^```$", text, re.M | re.S)[1] for text in pages)
    assert block == other
    commands = [words for line in block.splitlines() if (words := shlex.split(line, comments=True))]
    assert len(commands) <= 10
    monkeypatch.chdir(tmp_path)
    corpus = [article(n, scheme).replace(meta={"place": f"{n}", "year": 2023}) for n in range(30)]
    write(corpus, "corpus.jsonl")
    write(worse(corpus, 0.2), "all.jsonl")
    Path("configs").mkdir()
    Path("configs/default.toml").write_bytes((ROOT / "configs/default.toml").read_bytes())
    for program, *arguments in commands:
        assert program == "gongbao"
        if arguments[0] == "train":
            tiny = (
                f"encoder.name={json.dumps(str(tiny_bert))}",
                "window.size=96",
                "window.overlap=24",
                "training.epochs=1",
            )
            arguments += [part for change in tiny for part in ("--set", change)]
        if "llm.jsonl" in arguments:
            ids = {d.id for d in read("splits/test.jsonl")}
            write([d for d in read("all.jsonl") if d.id in ids], "llm.jsonl")
        assert main(arguments) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert out.endswith("0 problems\n")
    assert Path("board/test/llm.json").exists()
