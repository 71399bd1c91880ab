"""What a model's folder holds, described once, and read without torch.

    config.json         the encoder and its head, as transformers reads them
    model.safetensors   the weights for training on
    model.onnx          the same weights for inference without torch
    vocab.txt           a character a line
    linker.json         the weights of the learned linker, where it is better than the rules
    gongbao.json        labels, link roles, window, calibration, name, version, hashes: the description below

A run's folder (training.py) has more beside these: the resolved configuration, metrics, a card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gongbao.calibration import Calibration
from gongbao.files import bundled, replacing, sha256
from gongbao.schema import DataError, LabelScheme, UsageError
from gongbao.tagging import TagSet
from gongbao.windows import Vocabulary, WindowSize

FORMAT = 1
DESCRIPTION, CONFIG, WEIGHTS, ONNX, VOCABULARY, LINKER = (
    "gongbao.json", "config.json", "model.safetensors", "model.onnx", "vocab.txt", "linker.json",
)  # fmt: skip
RUNS = Path("runs")


@dataclass(frozen=True)
class ModelFolder:
    """The description of a model. `load` reads it, `save` writes it."""

    path: Path
    name: str
    version: str
    scheme: LabelScheme
    window: WindowSize
    calibration: Calibration = field(default_factory=Calibration)
    hashes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def tagset(self) -> TagSet:
        """The tags of the head's outputs, in their order."""
        return TagSet(self.scheme.labels)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The characters of the encoder."""
        return Vocabulary.load(self.path / VOCABULARY)

    @property
    def onnx(self) -> Path | None:
        """The file for inference without torch, if it was exported."""
        return self.path / ONNX if (self.path / ONNX).exists() else None

    @property
    def linker(self) -> Path | None:
        """The weights of the learned linker, if the model has one; else the rules link."""
        return self.path / LINKER if (self.path / LINKER).exists() else None

    def identity(self) -> dict[str, str]:
        """The `model` object of a predicted document: name, version and hash of the weights."""
        return {"name": self.name, "version": self.version, "sha256": self.hashes.get(WEIGHTS, "")}

    def hashed(self) -> ModelFolder:
        """The same with the hashes of the files that are there now."""
        files = (CONFIG, WEIGHTS, ONNX, VOCABULARY, LINKER)
        return replace(self, hashes={f: sha256(self.path / f) for f in files if (self.path / f).exists()})

    def save(self) -> None:
        """Write the description, last of all: it is what makes the folder a finished model."""
        with replacing(self.path / DESCRIPTION) as file:
            json.dump(
                {
                    "format": FORMAT, "name": self.name, "version": self.version, "scheme": self.scheme.to_json(),
                    "window": {"size": self.window.size, "overlap": self.window.overlap},
                    "calibration": self.calibration.to_json(),
                    "sha256": dict(self.hashes),
                },
                file, ensure_ascii=False, indent=1,
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path | str) -> ModelFolder:
        """Read a folder's description.

        Raises:
            UsageError: there is no such folder, or it holds no model.
            DataError: the description is damaged or of a format that this version does not know.
        """
        path = Path(path)
        place = path / DESCRIPTION
        if not place.is_file():
            raise UsageError(
                f"{path} holds no gongbao model (no {DESCRIPTION})"
                if path.is_dir()
                else f"there is no folder {path}",
                remedy="name the folder that `gongbao train` wrote; a run that was killed is taken up with --resume",
            )
        try:
            data = json.loads(place.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise DataError(
                    f"format {data['format']} is not known here", file=place, remedy="update gongbao"
                )
            return cls(
                path=path, name=str(data["name"]), version=str(data["version"]),
                scheme=LabelScheme.from_json(data["scheme"]), window=WindowSize(**data["window"]),
                calibration=Calibration.from_json(data["calibration"]) if "calibration" in data else Calibration(),
                hashes=dict(data["sha256"]),
            )  # fmt: skip
        except DataError as error:
            raise error.within(file=place) from None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the description is damaged: {type(error).__name__}: {error}",
                file=place,
                remedy="train or copy the model again",
            ) from None

    def check(self, *names: str) -> None:
        """Compare files with their hashes: those named, as far as there are hashes of them, or all.

        Raises:
            DataError: a file is missing or not the one that was saved.
        """
        for name, wanted in self.hashes.items():
            if names and name not in names:
                continue
            file = self.path / name
            if not file.exists():
                raise DataError("the file is missing", file=file, remedy="copy the model folder again, whole")
            if sha256(file) != wanted:
                raise DataError("the file is not the one that was saved with the model", file=file,
                                remedy="copy the model folder again, whole")  # fmt: skip


def default_model() -> Path:
    """The folder `predict` uses when none is named: the one in models/, else the newest finished run.

    Raises:
        UsageError: there is neither.
    """
    try:
        shipped = bundled("models/default")
        if (shipped / DESCRIPTION).exists():
            return shipped
    except FileNotFoundError:
        pass
    done = [p.parent for p in RUNS.glob(f"*/{DESCRIPTION}")]
    if not done:
        raise UsageError(
            f"no model is named, none is shipped, and no finished run lies in {RUNS.resolve()}",
            remedy="train one (gongbao train --config configs/default.toml) or name a folder with --model",
        )
    return max(done, key=lambda p: (p / DESCRIPTION).stat().st_mtime)


def summary(folder: ModelFolder) -> dict[str, Any]:
    """What `gongbao model info` prints."""
    sizes = {n: (folder.path / n).stat().st_size for n in folder.hashes if (folder.path / n).exists()}
    return {
        "path": str(folder.path), "name": folder.name, "version": folder.version,
        "labels": list(folder.scheme.labels), "roles": [r.name for r in folder.scheme.roles],
        "window": {"size": folder.window.size, "overlap": folder.window.overlap},
        "characters": len(folder.vocabulary), "files": sizes, "sha256": dict(folder.hashes),
    }  # fmt: skip
