"""How it grows, as PNGs: one for each plot name among the series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.figures import Series


def draw(series: Sequence[Series], folder: Path) -> None:
    """Write the PNGs into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for plot in dict.fromkeys(line.plot for line in series):
        _draw_one([line for line in series if line.plot == plot], folder / f"{plot}.png")


def _draw_one(lines: Sequence[Series], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for line in lines:
        xs, ys = zip(*line.points, strict=True)
        axes.plot(xs, ys, marker="o", label=line.line)
    axes.set(xscale="log", xlabel=lines[0].x, ylabel=lines[0].y, ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
