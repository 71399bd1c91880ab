"""A model's ONNX file in int8: smaller, about twice as quick, and written only if it reads as well.

The weights of the matrix products are kept as 7-bit integers with a scale for each column, and what they are multiplied with
is brought to 8 bits as it comes, with a scale for each token; for query, key and value with one for a window. (With 8 bits of
weight the sums of processors without VNNI instructions overflow, so another machine would find other spans.) Each row of the
embedding table has a scale of its own. Attention and normalisation stay in fp32.
"""

from __future__ import annotations

import logging
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from gongbao.counts import total_spans
from gongbao.extractor import Extractor, OnnxBackend
from gongbao.files import replacing
from gongbao.model import onnx_bytes
from gongbao.model_folder import ONNX, ModelFolder
from gongbao.schema import Document

TOLERANCE: Final = 0.3
"""Points of span F1 that int8 may lose on each set of documents."""
_TABLE: Final = 1 << 20  # elements from which an embedding table is worth the trouble


@dataclass(frozen=True, slots=True)
class Gate:
    """Span micro F1 in percent of both precisions on each set, and whether int8 may be shipped."""

    scores: Mapping[str, tuple[float, float]]
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether int8 is within the tolerance on every set; better is always good enough."""
        return all(whole - small <= self.tolerance for whole, small in self.scores.values())

    def lines(self) -> list[str]:
        """A line for each set, and the verdict."""
        return [
            *(
                f"{name}: span F1 {whole:.2f} in fp32, {small:.2f} in int8 ({small - whole:+.2f})"
                for name, (whole, small) in self.scores.items()
            ),
            f"int8 is within {self.tolerance} of fp32: it is written"
            if self.passed
            else f"int8 loses more than {self.tolerance}: the file stays as it was",
        ]


_JOINED: Final = "/joined"


def quantize(
    folder: ModelFolder,
    gate: Mapping[str, Sequence[Document]],
    tolerance: float = TOLERANCE,
    report: Callable[[str], None] = print,
) -> Gate:
    """Write `model.onnx` in int8 if it finds spans as well as fp32 on every set of annotated documents; else leave it as it is.

    Args:
        folder: a model with its weights. Its description is still to be saved.
        gate: annotated documents by name that the model has not learned from.
        tolerance: points of span F1 that may be lost.
        report: gets the figures.
    """
    whole = onnx_bytes(folder.path)
    small = int8(whole)
    scores = {
        name: (_f1(folder, whole, documents), _f1(folder, small, documents))
        for name, documents in gate.items()
    }
    found = Gate(scores, tolerance)
    for line in found.lines():
        report(line)
    if found.passed:
        with replacing(folder.path / ONNX, "wb") as file:
            file.write(small)
    return found


def _f1(folder: ModelFolder, model: bytes, documents: Sequence[Document]) -> float:
    found = Extractor(folder, OnnxBackend(model)).stream(documents)
    return 100 * total_spans((d.spans, f.spans) for d, f in zip(documents, found, strict=True)).f1


def int8(exported: bytes) -> bytes:
    """An exported model with its matrix products and its embedding table in int8."""
    model = onnx.load_from_string(exported)
    _join_products(model.graph)
    _scale_rows(model.graph)
    _quantize_tables(model.graph)
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "whole.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, given)
        was = logging.root.manager.disable
        logging.disable(logging.WARNING)  # advice to run passes that this graph does not need
        try:
            quantize_dynamic(
                given, made, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul"], extra_options={"MatMulConstBOnly": True},
            )  # fmt: skip
        finally:
            logging.disable(was)
        return made.read_bytes()


def _scale_rows(graph: onnx.GraphProto) -> None:
    """What goes into a product is divided by the largest number of its token, and what comes out multiplied by it.

    Some tokens have numbers many times larger than others'. With one scale for a window it would be the largest one's, and
    the others would keep few of their bits.
    """
    weights = {t.name: t for t in graph.initializer}
    last = "rows/last_axis"
    for node in [n for n in graph.node if n.op_type == "MatMul" and n.input[1] in weights]:
        if node.name.endswith(_JOINED):  # query, key and value gain nothing
            continue
        source, out, name = node.input[0], node.output[0], f"{node.name}/rows"
        before = [
            helper.make_node("Abs", [source], [f"{name}/sizes"], f"{name}/abs"),
            helper.make_node(
                "ReduceMax", [f"{name}/sizes", last], [f"{name}/largest"], f"{name}/max", keepdims=1
            ),
            helper.make_node("Div", [source, f"{name}/largest"], [f"{name}/even"], f"{name}/div"),
        ]
        node.input[0], node.output[0] = f"{name}/even", f"{name}/product"
        at = list(graph.node).index(node)
        for k, new in enumerate(before):
            graph.node.insert(at + k, new)
        graph.node.insert(
            at + len(before) + 1,
            helper.make_node("Mul", [f"{name}/product", f"{name}/largest"], [out], f"{name}/mul"),
        )
    graph.initializer.append(numpy_helper.from_array(np.array([-1]), last))


def _join_products(graph: onnx.GraphProto) -> None:
    """Products of one input with several weights (query, key, value) become one, which is then split.

    So the input is brought to 8 bits once, and one larger product is quicker than three.
    """
    weights = {t.name: t for t in graph.initializer}
    adds = {n.input[k]: n for n in graph.node if n.op_type == "Add" for k in (0, 1)}
    same: dict[str, list[tuple[onnx.NodeProto, onnx.NodeProto]]] = defaultdict(list)
    for node in graph.node:
        add = adds.get(node.output[0])
        if (
            node.op_type == "MatMul"
            and node.input[1] in weights
            and add is not None
            and _bias(add, node) in weights
        ):
            same[node.input[0]].append((node, add))
    for source, group in same.items():
        if len(group) < 2:
            continue
        name = group[0][0].name
        parts = [numpy_helper.to_array(weights[product.input[1]]) for product, _ in group]
        biases = [numpy_helper.to_array(weights[_bias(add, product)]) for product, add in group]
        joined = {
            "weight": np.concatenate(parts, axis=1),
            "bias": np.concatenate(biases),
            "split": np.array([p.shape[1] for p in parts]),
        }
        graph.initializer.extend(numpy_helper.from_array(a, f"{name}/{k}") for k, a in joined.items())
        made = [
            helper.make_node("MatMul", [source, f"{name}/weight"], [f"{name}/product"], f"{name}{_JOINED}"),
            helper.make_node("Add", [f"{name}/product", f"{name}/bias"], [f"{name}/sum"], f"{name}/add"),
            helper.make_node(
                "Split",
                [f"{name}/sum", f"{name}/split"],
                [add.output[0] for _, add in group],
                f"{name}/parts",
                axis=-1,
            ),
        ]
        at = min(list(graph.node).index(product) for product, _ in group)
        for product, add in group:
            graph.node.remove(product)
            graph.node.remove(add)
        for k, node in enumerate(made):
            graph.node.insert(at + k, node)
    _drop_unused(graph)


def _bias(add: onnx.NodeProto, product: onnx.NodeProto) -> str:
    return next((name for name in add.input if name != product.output[0]), "")


def _quantize_tables(graph: onnx.GraphProto) -> None:
    """Rows of large embedding tables are kept in 8 bits with a scale each, and widened when they are looked up."""
    tables = {t.name: t for t in graph.initializer if len(t.dims) == 2 and np.prod(t.dims) >= _TABLE}
    for node in [n for n in graph.node if n.op_type == "Gather" and n.input[0] in tables]:
        name, ids = node.input
        table = numpy_helper.to_array(tables[name])
        scales = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.rint(table / scales).astype(np.int8), f"{name}/int8"),
                numpy_helper.from_array(scales.astype(np.float32), f"{name}/scale"),
            ]
        )
        made = [
            helper.make_node("Gather", [f"{name}/int8", ids], [f"{name}/row"], f"{name}/look_up"),
            helper.make_node(
                "Cast", [f"{name}/row"], [f"{name}/float"], f"{name}/cast", to=onnx.TensorProto.FLOAT
            ),
            helper.make_node(
                "Gather", [f"{name}/scale", ids], [f"{name}/its_scale"], f"{name}/look_up_scale"
            ),
            helper.make_node(
                "Mul", [f"{name}/float", f"{name}/its_scale"], list(node.output), f"{name}/widen"
            ),
        ]
        at = list(graph.node).index(node)
        graph.node.remove(node)
        for k, new in enumerate(made):
            graph.node.insert(at + k, new)
    _drop_unused(graph)


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)
