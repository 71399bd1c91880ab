"""The scores as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from gongbao.metrics import Counts, Evaluation
from gongbao.report.pages import rate_text, rates


def score_table(evaluation: Evaluation) -> str:
    """The scores as plain text: spans by label, micro and macro; links by role; facts. `-` stands for 0/0.

    Columns are aligned for a terminal, in which a Chinese character takes two.
    """
    from rich.cells import cell_len

    def line(name: str, counts: Counts) -> list[str]:
        shown = [rate_text(*pair) or "-" for pair in rates(counts)]
        return [_name(name), *shown, str(counts.tp + counts.fn), str(counts.tp)]

    macro = rate_text(evaluation.macro_f1, len(evaluation.spans)) or "-"
    parts = [
        [line(label, counts) for label, counts in evaluation.spans.items()],
        [line("micro", evaluation.micro), ["macro", "", "", macro, "", ""]],
        [line(f"link {role}", counts) for role, counts in evaluation.roles.items()],
        [line("links", evaluation.links), line("facts", evaluation.facts)],
    ]
    head = ["", "precision", "recall", "F1", "gold", "right"]
    rows = [head, *(row for part in parts for row in part)]
    laid_out = iter(aligned(rows, right=True))
    lines = [next(laid_out)]
    rule = "─" * cell_len(
        lines[0]
    )  # the head reaches the end of the last column, as all that ends on the right
    for part in parts:
        lines += [rule, *(next(laid_out) for _ in part)] if part else []
    if evaluation.calibration_error is not None:
        lines += [rule, f"expected calibration error of the scores  {evaluation.calibration_error:.3f}"]
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]], *, right: bool = False) -> list[str]:
    """The rows' cells under one another, in lines; `right`: all but the first column end together, as numbers do."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        pads = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [
            pad + cell if right and n else cell + pad
            for n, (cell, pad) in enumerate(zip(row, pads, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _name(text: str) -> str:
    """A name on one line of a terminal, that cannot move its cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
