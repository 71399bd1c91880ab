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
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(head))]

    def laid_out(row: Sequence[str]) -> str:
        pads = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        numbers = (pad + cell for cell, pad in zip(row[1:], pads[1:], strict=True))
        return "  ".join([row[0] + pads[0], *numbers]).rstrip()

    rule = "─" * (sum(widths) + 2 * len(widths) - 2)
    lines = [laid_out(head), *(text for part in parts if part for text in (rule, *map(laid_out, part)))]
    if evaluation.calibration_error is not None:
        lines += [rule, f"expected calibration error of the scores  {evaluation.calibration_error:.3f}"]
    return "\n".join(lines)


def _name(text: str) -> str:
    """A name on one line of a terminal, that cannot move its cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
