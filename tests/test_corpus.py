"""Documents are read from whatever they are stored in and written whole."""

import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongbao.corpus import SPLITS, freeze, read, resolve, split_hash, stream, write
from gongbao.schema import DataError, Document, LabelScheme, Link, Role, Span, UsageError

SCHEME = LabelScheme(("METRIC", "AMOUNT"), (Role("VALUE", ("METRIC",), ("AMOUNT",)),))


def document(id: str = "a", role: str = "VALUE", **meta: object) -> Document:
    spans = (Span(2, 4, "METRIC", "税收", id="m"), Span(4, 7, "AMOUNT", "5亿元", id="n", score=0.9))
    return Document(id=id, text="完成税收5亿元。\r\n", meta=meta, spans=spans, links=(Link("m", "n", role),))


# ------------------------------------------------------------------------------------- JSON lines


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_lines_are_read_as_they_were_written(tmp_path: Path, name: str) -> None:
    documents = [document("a", year=2023), document("b\u2028")]
    write(iter(documents), tmp_path / "deep" / name)
    assert read(tmp_path / "deep" / name, SCHEME) == documents
    assert read(str(tmp_path / "deep" / name)) == documents


def test_packed_files_of_the_same_documents_are_the_same(tmp_path: Path) -> None:
    write([document()], tmp_path / "one.jsonl.gz")
    write([document()], tmp_path / "two.jsonl.gz")
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


def test_marks_line_ends_and_blank_lines_of_editors_do_no_harm(tmp_path: Path) -> None:
    line = document().to_line()
    (tmp_path / "a.jsonl").write_bytes(f"\ufeff{line}\r\n\r\n  \n".encode())
    (tmp_path / "a.json").write_text(f"\n{line}\n", encoding="utf-8")
    assert read(tmp_path / "a.jsonl") == read(tmp_path / "a.json") == [document()]


@pytest.mark.parametrize(
    ("raw", "problem", "record"),
    [
        (document().to_line().encode()[:-20], "not JSON", "line 2"),
        (b'{"id": "a", "text": "x", "meta": {"n": NaN}}', "NaN is not JSON", "line 2"),
        (b"[" * 100_000, "nested too deeply", "line 2"),
        (b'{"id": "a", "text": "x", "meta": {"n": ' + b"9" * 5_000 + b"}}", "digits", "line 2"),
        (b'{"id": "a", "text": "x\\ud842"}', "half a character", "line 2, a"),
        (b"[]", "a document is a JSON object", "line 2"),
        (b'{"id": "a", "txt": "x"}', "no field 'txt'", "line 2"),
        (b'{"id": "a"}', "'text' is missing", "line 2, a"),
        ("{税收}".encode("gb18030"), "is not UTF-8", "line 2"),
        (document().to_line().replace("税收5", "税金5").encode(), "the text there is different", "line 2, a"),
        (document(role="CHANGE").to_line().encode(), "no 'CHANGE' link", "line 2, a"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, raw: bytes, problem: str, record: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(document().to_line().encode() + b"\n" + raw + b"\n")
    with pytest.raises(DataError, match=problem) as caught:
        read(path, SCHEME)
    assert (caught.value.file, caught.value.record) == (path, record)


def test_a_packed_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(document().to_line().encode())[:-12])
    with pytest.raises(DataError, match="packed file is broken"):
        read(path)
    path.write_bytes(b"not packed")
    with pytest.raises(DataError, match="packed file is broken"):
        read(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ann"])
def test_a_file_that_cannot_be_opened_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, mode: str = "r", *_: object) -> None:
        raise PermissionError(13, "Permission denied")

    write([document()], tmp_path / name)
    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read(tmp_path / name)


def test_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write([document("old")], path)

    def documents() -> Iterator[Document]:
        yield document("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(documents(), path)
    assert [d.id for d in read(path)] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_are_read_as_they_are_asked_for(pack, tmp_path):
    path = tmp_path / ("a.jsonl" if pack is bytes else "a.jsonl.gz")
    path.write_bytes(pack(b"\xef\xbb\xbf" + document().to_line().encode() + b"\r\n\n\xff\n"))
    lines = stream(path)
    assert next(lines).text == document().text
    with pytest.raises(DataError, match="byte 0xff is not UTF-8") as raised:
        next(lines)
    assert "a.jsonl" in str(raised.value)
    assert "line 3" in str(raised.value)
    with pytest.raises(UsageError, match="no file or folder"):
        stream(tmp_path / "gone.jsonl")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "folder", "a.ann"])
@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (Document(id="a", text="半\ud800"), "half a character"),
        (Document(id="a", text="一", meta={"on": date(2023, 1, 1)}), "cannot be written as JSON"),
        (Document(id="a", text="一", meta={"n": float("nan")}), "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(
    tmp_path: Path, name: str, bad: Document, problem: str
) -> None:
    if name == "a.ann" and bad.meta:
        write([bad], tmp_path / name)  # an .ann file has no place for metadata
        assert read(tmp_path / name)[0].text == bad.text
        return
    with pytest.raises(DataError, match=problem):
        write([bad], tmp_path / name)
    assert not (tmp_path / name).exists()


# -------------------------------------------------------------------------------- inline notation


def test_a_folder_holds_a_file_a_document_and_their_metadata(tmp_path: Path) -> None:
    documents = [document("甲-1", year=2023, place="甲县"), document("乙")]
    write(documents, tmp_path / "corpus")
    assert (
        tmp_path / "corpus" / "乙.ann"
    ).read_bytes() == "完成{税收|METRIC#1}{5亿元|AMOUNT>1:VALUE}。\r\n".encode()
    found = {d.id: d for d in read(tmp_path / "corpus", SCHEME)}
    assert found.keys() == {"甲-1", "乙"}
    assert found["甲-1"].meta == {"year": 2023, "place": "甲县"}
    assert [s.key for s in found["乙"].spans] == [s.key for s in documents[1].spans]
    write(documents, tmp_path / "corpus")  # the same documents again


def test_a_folder_without_an_index_is_read_in_order(tmp_path: Path) -> None:
    for name in ("b.ann", "a.ANN", "c.txt"):
        (tmp_path / name).write_text("\ufeff{税收|METRIC}\n", encoding="utf-8")
    assert [(d.id, d.text, dict(d.meta)) for d in read(tmp_path)] == [
        ("a", "税收\n", {}),
        ("b", "税收\n", {}),
    ]


@pytest.mark.parametrize("index", ['[{"name": "a"}]', '[{"file": "a"}, {"file": "a"}]', "3", '[{"file": 1}]'])
def test_a_bad_index_is_named(tmp_path: Path, index: str) -> None:
    (tmp_path / "a.ann").write_text("税收", encoding="utf-8")
    (tmp_path / "index.json").write_text(index, encoding="utf-8")
    with pytest.raises(DataError, match="does not name a file of its own") as caught:
        read(tmp_path)
    assert caught.value.file == tmp_path / "index.json"


def test_broken_notation_and_json_name_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_text("一\n二}", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.ann, a, line 2, column 2"):
        read(tmp_path / "a.ann")
    (tmp_path / "index.json").write_text("[\n{]", encoding="utf-8")
    with pytest.raises(DataError, match=r"index\.json, line 2"):
        read(tmp_path)


def test_one_document_to_one_file(tmp_path: Path) -> None:
    write([document()], tmp_path / "a.ann")
    assert read(tmp_path / "a.ann", SCHEME)[0].text == document().text
    with pytest.raises(UsageError, match="holds one document, not 2"):
        write([document("a"), document("b")], tmp_path / "b.ann")
    assert not (tmp_path / "b.ann").exists()


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([document("a"), document("a")], "occurs twice"),
        ([document("../a")], "no file name"),
        ([document("a\0")], "no file name"),
        ([document("长" * 100)], "no file name"),
        ([document("a", file="x")], "field 'file'"),
    ],
)
def test_ids_must_be_file_names(tmp_path: Path, documents: list[Document], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        write(documents, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_a_folder_of_other_documents_is_left_alone(tmp_path: Path) -> None:
    write([document("old")], tmp_path / "corpus")
    with pytest.raises(UsageError, match=r"old\.ann, which is not of these"):
        write([document("new")], tmp_path / "corpus")
    assert sorted(p.name for p in (tmp_path / "corpus").iterdir()) == ["index.json", "old.ann"]


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("税收", encoding="utf-8")
    for path, problem in (
        (tmp_path / "nothing.jsonl", "no file or folder"),
        (tmp_path, r"no \.ann files"),
        (tmp_path / "a.txt", r"a\.txt is no kind of file"),
    ):
        with pytest.raises(UsageError, match=problem):
            read(path)
    (tmp_path / "file").touch()
    for name in ("b.csv", "file"):
        with pytest.raises(UsageError, match="not written to a file like"):
            write([], tmp_path / name)


# ------------------------------------------------------------------------------------ tagged text


def test_tagged_text_is_read_by_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.BMES").write_bytes("\ufeff税 B-METRIC\r\n收 E-METRIC\r\n\r\n好 O\r\n".encode())
    assert [(d.id, d.text, len(d.spans)) for d in read(tmp_path / "a.BMES", SCHEME)] == [
        ("a-1", "税收", 1),
        ("a-2", "好", 0),
    ]
    (tmp_path / "b.conll").write_text("税 B-METRIC\n收\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.conll, line 2"):
        read(tmp_path / "b.conll")


# ---------------------------------------------------------------------------- Label Studio, splits


def task(id: str, *, broken: bool = False) -> dict[str, object]:
    def region(name: str, start: int, end: int, label: str) -> dict[str, object]:
        return {
            "id": name, "from_name": "label", "to_name": "text", "type": "labels",
            "value": {"start": start, "end": end, "text": "完成税收5亿元。"[start:end], "labels": [label]},
        }  # fmt: skip

    result: list[dict[str, object]] = [
        region("m", 2, 4, "METRIC"),
        region("n", 4, 99 if broken else 7, "AMOUNT"),
        {"type": "relation", "from_id": "m", "to_id": "n", "direction": "right", "labels": ["VALUE"]},
    ]
    return {
        "id": 1,
        "data": {"text": "完成税收5亿元。", "id": id},
        "annotations": [{"id": 1, "result": result}],
    }


def test_an_export_is_read_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task("a")]), encoding="utf-8")
    (found,) = read(path, SCHEME)
    assert [s.text for s in found.spans] == ["税收", "5亿元"]
    assert len(found.links) == 1
    with pytest.raises(DataError, match="'AMOUNT' is not in the scheme") as caught:
        read(path, LabelScheme(("METRIC",)))
    assert caught.value.file == path
    path.write_text(json.dumps([task("a", broken=True)]), encoding="utf-8")
    with pytest.warns(UserWarning, match="left out: 1 × the offsets lie outside the text"):
        assert len(read(path)[0].spans) == 1


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with an annotated article in each split."""
    monkeypatch.setattr("gongbao.files.PACKAGE", tmp_path / "gongbao")
    freeze({name: [document(name[0])] for name in SPLITS}, tmp_path / "data")
    return tmp_path


def test_bundled_splits_have_names(checkout: Path) -> None:
    assert [d.id for d in resolve("all", SCHEME)] == ["t", "d", "t", "s"]
    assert [d.id for name in ("shift", "dev", "train") for d in resolve(name)] == ["s", "d", "t"]
    assert [d.id for d in resolve(checkout / "data" / "dev.jsonl")] == ["d"]


def test_a_changed_split_is_refused(checkout: Path) -> None:
    file = checkout / "data" / "test.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace('"VALUE"', '"CHANGE"'), encoding="utf-8")
    assert [d.id for d in resolve("dev")] == ["d"]
    with pytest.raises(DataError, match="the frozen test split was changed") as caught:
        resolve("test")
    assert caught.value.file == file


def test_a_full_disk_leaves_the_old_parts_as_they_were(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(documents: object, path: Path) -> None:
        if path.name == "test.jsonl":
            raise OSError(28, "No space left on device")
        write(documents, path)

    before = {p.name: p.read_bytes() for p in (checkout / "data").iterdir()}
    monkeypatch.setattr("gongbao.corpus.write", full)
    with pytest.raises(OSError, match="No space"):
        freeze({name: [document("new")] for name in SPLITS}, checkout / "data")
    assert {p.name: p.read_bytes() for p in (checkout / "data").iterdir()} == before


def test_without_the_bundled_corpus_names_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gongbao.files.PACKAGE", tmp_path / "gongbao")
    with pytest.raises(UsageError, match="does not come with this installation"):
        resolve("test")


def test_the_hash_is_of_what_was_annotated() -> None:
    one, two = document("a"), document("b")
    renamed = one.replace(
        spans=[Span(2, 4, "METRIC", "税收", id="x"), Span(4, 7, "AMOUNT", "5亿元", id="y")],
        links=[Link("x", "y", "VALUE")],
    )
    assert split_hash([one, two]) == split_hash([two, renamed.replace(meta={"year": 1})])
    assert len(split_hash([])) == 64
    changed = [
        one.replace(id="c"),
        one.replace(text=one.text + " "),
        one.replace(links=[]),
        one.replace(links=[Link("n", "m", "VALUE")]),
        one.replace(spans=one.spans[:1], links=[]),
    ]
    assert len({split_hash([d, two]) for d in [one, *changed]}) == 6


@given(st.lists(st.text(alphabet='税5\n\r\u2028\u3000"\\😀{', max_size=12), max_size=4))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    documents = [Document(id=f"d{n}", text=text) for n, text in enumerate(texts)]
    write(documents, path)
    assert read(path) == documents
