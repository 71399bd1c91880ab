"""Fitting the linker of learned_linking to annotated links."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import torch

from gongbao.learned_linking import LearnedLinker, choices
from gongbao.schema import Document, LabelScheme

RARE: Final = 2
"""Features with fewer choices than this that have them are left out."""
SMALL: Final = 0.005
"""Weights below this are not kept."""


def fit_linker(
    documents: Sequence[Document], scheme: LabelScheme, penalty: float = 0.05, steps: int = 60
) -> LearnedLinker:
    """Maximum likelihood with an L2 penalty on the weights, by L-BFGS: the same documents give the same weights.

    Args:
        documents: with gold spans and links.
        penalty: half of it times the sum of the squared weights is added to the sum of the amounts' negative log-likelihoods.
        steps: of L-BFGS at most.
    """
    counts: Counter[str] = Counter()
    rows: list[list[str]] = []
    sizes: list[int] = []
    right: list[int] = []
    for found, wanted in choices(documents, scheme):
        right.append(len(rows) + wanted)
        sizes.append(len(found.among))
        for choice in found.among:
            own = [f"{group}\t{name}" for group, names in choice.features for name in names]
            rows.append(own)
            counts.update(own)
    names = sorted(name for name, count in counts.items() if count >= RARE)
    if not names:
        return LearnedLinker(scheme, {})
    number = {name: n for n, name in enumerate(names)}
    features = [[number[name] for name in own if name in number] for own in rows]
    flat = torch.tensor([n for own in features for n in own])
    lengths = torch.tensor([len(own) for own in features])
    row_of = torch.repeat_interleave(torch.arange(len(rows)), lengths)
    amount_of = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    wanted_rows = torch.tensor(right)
    weights = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=steps, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scores = torch.zeros(len(rows), dtype=torch.float64).index_add(0, row_of, weights[flat])
        peaks = torch.full((len(sizes),), -torch.inf, dtype=torch.float64)
        peaks = peaks.scatter_reduce(0, amount_of, scores.detach(), "amax")
        whole = torch.zeros(len(sizes), dtype=torch.float64).index_add(
            0, amount_of, (scores - peaks[amount_of]).exp()
        )
        lost = (whole.log() + peaks - scores[wanted_rows]).sum() + penalty / 2 * (weights**2).sum()
        lost.backward()  # type: ignore[no-untyped-call]
        return lost

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    kept: dict[str, dict[str, float]] = defaultdict(dict)
    for name, weight in zip(names, weights.tolist(), strict=True):
        if abs(weight) >= SMALL:
            group, _, feature = name.partition("\t")
            kept[group][feature] = round(weight, 3)
    return LearnedLinker(scheme, dict(kept))
