"""Collections of documents: read from whatever they are stored in, written whole, and the bundled ones by name.

.jsonl .jsonl.gz    a Document a line: all that gongbao knows of a document
.ann                the inline notation, one document a file; a folder of them has ids from the file names and,
                    if there is an index.json beside them, the metadata in it: [{"file": "001", ...}, ...]
.bmes .bio .conll   a character and a tag a line (`gongbao.conll`)
.json               what Label Studio exports
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from gongbao import conll, inline, label_studio
from gongbao.files import bundled, replacing
from gongbao.schema import DataError, Document, LabelScheme, UsageError

SPLITS: Final = ("train", "dev", "test", "shift")
TAGGED: Final = (".bmes", ".bio", ".bioes", ".conll")
INDEX: Final = "index.json"
FROZEN: Final = "splits.json"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def read(path: Path | str, scheme: LabelScheme | None = None) -> list[Document]:
    """The documents of a file, or of a folder of `.ann` files, by its suffix (the module says which).

    Of a Label Studio export the best annotation of each task is read (`label_studio.read_export` has the rules); what
    is left out or noted is told in a warning. Tags that had to be repaired are counted in the document's meta.

    With a scheme all labels and links are checked against it.

    Raises:
        DataError: bytes that are not UTF-8, a broken line, a document that breaks its own rules or the scheme; it
            names file and line.
        UsageError: there is no such file, or its kind is unknown.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, scheme)
    _refuse_missing(path)
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        return list(stream(path, scheme))
    if name.endswith(".ann"):
        return [_read_inline(path, scheme, {})]
    if name.endswith(TAGGED):
        try:
            return conll.parse(_text_of(path), id=path.stem, scheme=scheme)
        except DataError as error:
            raise error.within(file=path) from None
    if name.endswith(".json"):
        return list(_read_export(path, scheme) if is_export(path) else stream(path, scheme))
    raise UsageError(
        f"{path.name} is no kind of file that holds annotated documents",
        remedy=f"they end in .jsonl .jsonl.gz .json .ann {' '.join(TAGGED)}; articles are read by gongbao articles import",
    )


# ---------------------------------------------------------------------------------------- reading


def is_export(path: Path) -> bool:
    """Whether a file is a `.json` one that holds a list, as Label Studio's exports do, and not a document a line."""
    is_json = path.name.lower().endswith(".json") and path.is_file()
    return is_json and not _text_of(path).lstrip().startswith("{")


def stream(path: Path | str, scheme: LabelScheme | None = None) -> Iterator[Document]:
    """The documents of a `.jsonl` or `.jsonl.gz` file as `read` gives them, a line held at a time.

    What is wrong with a line is raised when it is reached.
    """
    path = Path(path)
    _refuse_missing(path)
    return _documents_in(_lines_of(path), path, scheme)


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise UsageError(
            f"there is no file or folder {path}",
            remedy=f"bundled splits are {', '.join(SPLITS)} and all",
        )


def _lines_of(path: Path) -> Iterator[str]:
    with _explained(path), gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            yield _decoded(raw, path, number)


def _text_of(path: Path) -> str:
    """The text of a file, unpacked and without a byte order mark, with its line ends as they are."""
    with _explained(path):
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gzip.decompress(raw)
    return _decoded(raw, path)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Tell why a file cannot be read or unpacked."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"the packed file is broken: {error}", file=path, remedy="write or fetch it again"
        ) from None
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", file=path) from None


def _decoded(raw: bytes, path: Path, first: int = 1) -> str:
    """The text of bytes that begin with line `first` of a file."""
    try:
        return raw.decode("utf-8-sig" if first == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = first + raw.count(b"\n", 0, error.start)
        raise DataError(
            f"byte {raw[error.start]:#04x} is not UTF-8",
            file=path,
            record=f"line {line}",
            remedy="save the file as UTF-8",
        ) from None


def _json_of(text: str, path: Path, record: str | None = None) -> Any:
    def refuse(name: str) -> NoReturn:
        raise DataError(f"{name} is not JSON", file=path, record=record, remedy="write null")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise DataError(
            f"not JSON: {error.msg}", file=path, record=record or f"line {error.lineno}", text=text, start=error.pos,
            end=error.pos + 1, remedy="if the end is missing, the file was not written to its end",
        ) from None  # fmt: skip
    except RecursionError:
        raise DataError("JSON nested too deeply", file=path, record=record) from None
    except DataError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"no JSON that can be read: {error}", file=path, record=record) from None


def _documents_in(lines: Iterable[str], path: Path, scheme: LabelScheme | None) -> Iterator[Document]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        data = _json_of(line.rstrip("\r\n"), path, f"line {number}")
        try:
            document = Document.from_json(data, scheme)
            if broken := _SURROGATE.search(document.text):
                raise DataError(
                    "the text holds half a character (a surrogate)", record=document.id,
                    text=_SURROGATE.sub("\ufffd", document.text), start=broken.start(), end=broken.end(),
                    remedy="cut and escape the text by whole characters",
                )  # fmt: skip
            yield document
        except DataError as error:
            error.record = f"line {number}" + (f", {error.record}" if error.record else "")
            raise error.within(file=path) from None


def _read_inline(path: Path, scheme: LabelScheme | None, meta: Mapping[str, Any]) -> Document:
    try:
        return inline.parse(_text_of(path), id=path.stem, scheme=scheme, meta=meta)
    except DataError as error:
        raise error.within(file=path) from None


def _read_folder(path: Path, scheme: LabelScheme | None) -> list[Document]:
    files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".ann" and p.is_file())
    if not files:
        raise UsageError(f"there are no .ann files in the folder {path}")
    index = _read_index(path / INDEX)
    return [_read_inline(file, scheme, index.get(file.stem, {})) for file in files]


def _read_index(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    index: dict[str, dict[str, Any]] = {}
    entries = _json_of(_text_of(path), path)
    for entry in entries if isinstance(entries, list) else [entries]:
        name = entry.get("file") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name in index:
            raise DataError(
                f"{entry!r:.60} does not name a file of its own",
                file=path,
                remedy='write [{"file": "001", ...}, ...]',
            )
        index[name] = {key: value for key, value in entry.items() if key != "file"}
    return index


def _read_export(path: Path, scheme: LabelScheme | None) -> Iterator[Document]:
    found = label_studio.read_export(path)
    for what, findings in (("left out", found.dropped), ("noted", found.notes)):
        if findings:
            counts = Counter(str(finding.reason) for finding in findings).most_common()
            told = "; ".join(f"{n} × {reason}" for reason, n in counts)
            warnings.warn(f"{path}: {what}: {told}", stacklevel=3)
    for document in found.documents:
        try:
            yield document.replace(scheme=scheme)
        except DataError as error:
            raise error.within(file=path) from None


# ---------------------------------------------------------------------------------------- writing


def write(documents: Iterable[Document], path: Path | str) -> None:
    """Write documents to a `.jsonl` or `.jsonl.gz` file, one to an `.ann` file, or several to a folder of those.

    A file is written whole or not at all, and packed files of the same documents have the same bytes. The inline
    notation holds text, spans and links; the metadata goes to the folder's index.json.

    Raises:
        DataError: what the notation cannot hold, or an id that is no file name.
        UsageError: another suffix; a folder with `.ann` files that are not of these documents.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        _write_lines(documents, path)
    elif name.endswith(".ann"):
        rendered = [_bytes_of(document, inline.render(document)) for document in documents]
        if len(rendered) != 1:
            raise UsageError(f"{path.name} holds one document, not {len(rendered)}", remedy="name a folder")
        _write_bytes(rendered[0], path)
    elif path.is_dir() or not (path.suffix or path.exists()):
        _write_folder(list(documents), path)
    else:
        raise UsageError(
            f"documents are not written to a file like {path.name}",
            remedy="name a .jsonl, .jsonl.gz or .ann file, or a folder",
        )


def _write_lines(documents: Iterable[Document], path: Path) -> None:
    with replacing(path, "wb") as file:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                packed.writelines(_lines(documents))
        else:
            file.writelines(_lines(documents))


def _lines(documents: Iterable[Document]) -> Iterator[bytes]:
    for document in documents:
        yield _bytes_of(document, f"{_line_of(document)}\n")


def _line_of(document: Document) -> str:
    try:
        return document.to_line()
    except (TypeError, ValueError) as error:  # a date or infinity in the metadata
        raise DataError(f"it cannot be written as JSON: {error}", record=document.id) from None


def _bytes_of(document: Document, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise DataError("the text holds half a character (a surrogate)", record=document.id) from None


def _write_bytes(raw: bytes, path: Path) -> None:
    with replacing(path, "wb") as file:
        file.write(raw)


def _write_folder(documents: Sequence[Document], path: Path) -> None:
    files: dict[str, bytes] = {}
    for document in documents:
        _line_of(document)  # the metadata can be written
        raw = _bytes_of(document, inline.render(document))
        name = f"{document.id}.ann"
        if name in files or Path(name).name != name or "\0" in name or len(name.encode()) > 255:
            raise DataError(
                "the id occurs twice" if name in files else "the id is no file name", record=document.id,
                remedy="give the document another id, or write .jsonl",
            )  # fmt: skip
        if "file" in document.meta:
            raise DataError("the metadata has a field 'file', which the index needs", record=document.id)
        files[name] = raw
    strange = sorted(p.name for p in path.glob("*.ann") if p.name not in files)
    if strange:
        raise UsageError(
            f"the folder {path} holds {strange[0]}, which is not of these documents",
            remedy="name a new folder",
        )
    index = [{"file": document.id, **document.meta} for document in documents]
    files[INDEX] = f"{json.dumps(index, ensure_ascii=False, indent=1)}\n".encode()
    for name, raw in files.items():
        _write_bytes(raw, path / name)


# --------------------------------------------------------------------------------- bundled corpus


def resolve(name_or_path: Path | str, scheme: LabelScheme | None = None) -> list[Document]:
    """The documents of a bundled split, `train`, `dev`, `test`, `shift` or `all` of them, or else of a path (`read`).

    Raises:
        DataError: a split is not as it was frozen: its texts or annotation were changed.
        UsageError: the bundled corpus is not there.
    """
    name = str(name_or_path)
    if name != "all" and name not in SPLITS:
        return read(name_or_path, scheme)
    chosen = SPLITS if name == "all" else (name,)
    try:
        files = {split: bundled(f"data/{split}.jsonl") for split in chosen}
        splits = bundled(f"data/{FROZEN}")
    except FileNotFoundError as error:
        raise UsageError(
            str(error), remedy=f"work in a checkout, or name a file instead of {name!r}"
        ) from None
    wanted = _json_of(_text_of(splits), splits)
    found = []
    for split, file in files.items():
        documents = read(file, scheme)
        if split_hash(documents) != wanted[split]["sha256"]:
            raise DataError(
                f"the frozen {split} split was changed",
                file=file,
                remedy="restore it and data/splits.json; figures on a changed split compare with no others",
            )
        found += documents
    return found


def distinct(documents: Iterable[Document]) -> list[Document]:
    """The documents under ids that differ: the second of one id is called ID#2, and so on."""
    count: Counter[str] = Counter()
    named = []
    for document in documents:
        count[document.id] += 1
        n = count[document.id]
        named.append(document if n == 1 else document.replace(id=f"{document.id}#{n}"))
    return named


def frozen(parts: Mapping[str, Sequence[Document]]) -> dict[str, Any]:
    """What splits.json holds: of each part the ids, and the hash that its file is held to."""
    return {
        name: {"documents": [d.id for d in part], "sha256": split_hash(part)} for name, part in parts.items()
    }


def freeze(parts: Mapping[str, Sequence[Document]], folder: Path | str) -> dict[str, Any]:
    """Write NAME.jsonl for each part and splits.json, which is returned; none of them before all of them are whole."""
    folder = Path(folder)
    manifest = frozen(parts)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".split.") as beside:
        for name, documents in parts.items():
            write(documents, Path(beside, f"{name}.jsonl"))
        with replacing(Path(beside, FROZEN)) as file:
            json.dump(manifest, file, ensure_ascii=False, indent=1)
            file.write("\n")
        for path in sorted(Path(beside).iterdir()):
            path.replace(folder / path.name)
    return manifest


def split_hash(documents: Iterable[Document]) -> str:
    """The SHA-256 of ids, texts, spans and links, in hex, whatever order they are in and whatever the spans' ids."""
    parts = []
    for document in sorted(documents, key=lambda d: d.id):
        links = sorted(
            [*document.span(k.head).key, *document.span(k.tail).key, k.role] for k in document.links
        )
        parts.append([document.id, document.text, [list(span.key) for span in document.spans], links])
    canonical = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
