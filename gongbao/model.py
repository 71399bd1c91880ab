"""The token classifier: a character-level encoder and a linear head, one output for each tag.

It is transformers' own AutoModelForTokenClassification, so a model folder loads there too.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import AutoModelForTokenClassification, PreTrainedModel
from transformers.utils import logging as hf_logging

from gongbao.files import replacing
from gongbao.model_folder import DESCRIPTION, ONNX, WEIGHTS, ModelFolder
from gongbao.schema import UsageError
from gongbao.tagging import TagSet

# Its reports about weights of the head that are new are expected here; errors are raised anyway.
hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def new_model(encoder: Path, tagset: TagSet, dropout: float = 0.1) -> PreTrainedModel:
    """An encoder folder's weights with a fresh head.

    Args:
        dropout: of the hidden layers and before the head; attention keeps all.
    """
    model: PreTrainedModel = AutoModelForTokenClassification.from_pretrained(
        encoder,
        num_labels=len(tagset.tags),
        id2label=dict(enumerate(tagset.tags)),
        label2id={tag: n for n, tag in enumerate(tagset.tags)},
        hidden_dropout_prob=dropout,
        classifier_dropout=dropout,
        attention_probs_dropout_prob=0.0,
        dtype=torch.float32,
        # On a CPU the fused kernel's way back is slower than plain matrix products.
        attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
        use_safetensors=True,
    )
    return model


def has_bf16() -> bool:
    """Whether the device computes in bf16 itself: a processor without the instructions emulates it, many times slower than fp32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def load_model(folder: ModelFolder) -> PreTrainedModel:
    """A saved model for inference, in fp32 on the CPU, or on the GPU if there is one."""
    model: PreTrainedModel = AutoModelForTokenClassification.from_pretrained(
        folder.path, dtype=torch.float32, use_safetensors=True
    )
    # from_pretrained leaves it in evaluation mode
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
    return model


def logits(
    model: PreTrainedModel, tokens: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """The head's outputs, (windows, width, tags) float32, for token ids and mask of (windows, width)."""
    with torch.inference_mode():
        device = model.device
        out = model(
            torch.from_numpy(tokens).to(device), attention_mask=torch.from_numpy(mask).to(device)
        ).logits
        array: npt.NDArray[np.float32] = out.float().cpu().numpy()
    return array


class _Logits(nn.Module):
    """The model with one plain input and one plain output, as the exporter wants it; all tokens count, none is padding."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> Any:
        return self.model(input_ids=input_ids).logits


class _Stored(nn.Module):
    """A weight that is kept in half precision and computed with in full."""

    def forward(self, half: torch.Tensor) -> torch.Tensor:
        return half.float()


def export_onnx(folder: Path, *, half: bool = False) -> Path:
    """Write `model.onnx` beside the weights of a model folder: `input_ids` of any number and width of unpadded windows to `logits`.

    Args:
        half: keep the weights as fp16, in a file half as large. ONNX Runtime widens them once when it loads the file and
            computes in fp32 all the same; what is lost is what rounding to fp16 loses.
    """
    exported = onnx_bytes(folder, half=half)
    with replacing(folder / ONNX, "wb") as file:
        file.write(exported)
    return folder / ONNX


def onnx_bytes(folder: Path, *, half: bool = False) -> bytes:
    """What `export_onnx` writes."""
    model = AutoModelForTokenClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", use_safetensors=True
    )
    if half:
        for part in list(model.modules()):
            for name, weight in list(part.named_parameters(recurse=False)):
                setattr(part, name, nn.Parameter(weight.detach().half(), requires_grad=False))
                parametrize.register_parametrization(part, name, _Stored(), unsafe=True)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but right: with torch 2.13 the new one (dynamo=True) gave other logits for
        # this very model. `_compare` would notice either.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Logits(model).eval(),
            (torch.ones((2, 16), dtype=torch.int64),),
            buffer,  # type: ignore[arg-type]  # the tracing exporter writes to any binary file
            input_names=["input_ids"],
            output_names=["logits"],
            dynamic_axes={name: {0: "windows", 1: "width"} for name in ("input_ids", "logits")},
            # Folding would widen the weights in the file.
            do_constant_folding=not half,
            dynamo=False,
        )
    _compare(model, buffer.getvalue())
    return buffer.getvalue()


def halve(folder: ModelFolder, out: Path) -> Path:
    """Write a model with its weights rounded to fp16, in both forms, half as large: for a download.

    Raises:
        UsageError: the folder that is to be written is there already.
    """
    if out.exists():
        raise UsageError(f"{out} is there already", remedy="name another folder")
    model = AutoModelForTokenClassification.from_pretrained(
        folder.path, dtype=torch.float16, use_safetensors=True
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as place:
        beside = Path(place) / out.name
        model.save_pretrained(beside)
        for file in folder.path.iterdir():
            if file.is_file() and not (beside / file.name).exists() and file.name not in (ONNX, DESCRIPTION):
                shutil.copyfile(file, beside / file.name)
        (beside / WEIGHTS).chmod(0o644)
        export_onnx(beside, half=True)
        replace(folder, path=beside).hashed().save()
        beside.rename(out)
    return out


def _compare(model: PreTrainedModel, exported: bytes, tolerance: float = 1e-3) -> None:
    """Run both on random windows of several widths; an export that computes something else must not be shipped."""
    import onnxruntime

    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for shape in ((1, 48), (3, 31), (2, 7)):
        tokens = rng.integers(0, model.config.vocab_size, shape)
        ours = logits(model, tokens, np.ones_like(tokens))
        worst = float(np.abs(ours - session.run(None, {"input_ids": tokens})[0]).max())
        if worst > tolerance:
            raise RuntimeError(f"the exported model's logits are off by {worst:.2g}; it was not written")
