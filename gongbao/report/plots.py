"""Where things stand in the report's plots."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gongbao.analysis import Curve
from gongbao.calibration import Bin

WIDTH, HEIGHT = 340, 230
"""Of the area inside the axes, in the units of the drawing."""


@dataclass(frozen=True)
class Axes:
    """Two axes that end at 1 and begin where it is worth looking, and the points drawn between them."""

    low_x: float
    low_y: float
    width: int = WIDTH
    height: int = HEIGHT

    def x(self, value: float) -> float:
        """From the left."""
        return round((value - self.low_x) / (1 - self.low_x) * self.width, 1)

    def y(self, value: float) -> float:
        """From the top."""
        return round((1 - value) / (1 - self.low_y) * self.height, 1)

    def path(self, points: Iterable[object], x: str, y: str) -> str:
        """A line through points that have their places in the attributes `x` and `y`."""
        return "M" + "L".join(f"{self.x(getattr(p, x))} {self.y(getattr(p, y))}" for p in points)

    @property
    def x_ticks(self) -> list[float]:
        """Where the axis is marked."""
        return _ticks(self.low_x)

    @property
    def y_ticks(self) -> list[float]:
        """Where the axis is marked."""
        return _ticks(self.low_y)


def curve_axes(curves: Iterable[Curve], width: int = WIDTH, height: int = HEIGHT) -> Axes:
    """Axes of recall and precision that hold all the curves."""
    points = [point for curve in curves for point in curve.points]
    return Axes(_below(p.recall for p in points), _below(p.precision for p in points), width, height)


def calibration_axes(bins: Sequence[Bin]) -> Axes:
    """Axes of score and the part that is right, the same on both, so that the diagonal is one."""
    low = _below(value for b in bins for value in (b.score, b.right))
    return Axes(low, low)


def _below(values: Iterable[float]) -> float:
    """A round number below all of them, at most 0.8 so that there is something to see."""
    return min(0.8, math.floor(min(values, default=0.0) * 10) / 10)


def _ticks(low: float) -> list[float]:
    step = 0.1 if low >= 0.5 else 0.2
    return [
        round(1 - n * step, 1) for n in range(round((1 - low) / step + 0.49)) if 1 - n * step >= low - 1e-9
    ]
