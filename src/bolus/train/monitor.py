"""Training monitor: curves and sample maps."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bolus.files.atomic import write_whole
from bolus.train.loop import LAST, Row, load
from bolus.types import Float32Array

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

HISTORY, SAMPLES, TENSORBOARD = "history.csv", "samples", "tensorboard"


@dataclass(frozen=True)
class Column:
    """One kind of image on a sheet of samples."""

    title: str
    images: Float32Array
    """(n, Y, X)"""
    low: float
    high: float
    colours: Literal["grey", "map", "difference"]


Sheet = Sequence[Column]


@dataclass
class Watch:
    """Called with each finished epoch, writes history and samples into the run's folder.

    ``history.csv`` is rewritten from all rows each time, those of an interrupted process
    included, so that no row is missing or duplicated.
    """

    folder: Path
    draw: Callable[[], Sheet]
    """Sample maps of the network as it is."""
    say: Callable[[str], None] = lambda _: None
    rows: list[Row] = field(init=False)

    def __post_init__(self) -> None:
        last = self.folder / LAST
        self.rows = list(load(last)["rows"]) if last.exists() else []
        self.board = _tensorboard(self.folder / TENSORBOARD, len(self.rows))
        if self.rows:
            write_history(self.rows, self.folder / HISTORY)

    def __call__(self, row: Row) -> None:
        self.rows.append(row)
        epoch = int(row["epoch"])
        write_history(self.rows, self.folder / HISTORY)
        write_sheet(self.draw(), self.folder / SAMPLES / f"epoch-{epoch:03d}.png")
        if self.board is not None:
            for name, value in row.items():
                self.board.add_scalar(name, value, epoch)
            self.board.flush()
        self.say(
            f"epoch {epoch:4d}   training {row['train_loss']:.5g}   "
            f"validation {row['loss']:.5g}   {row['seconds']:.1f} s"
        )


def write_history(rows: Sequence[Row], path: Path) -> None:
    """One line per epoch; whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.8g}" for name, value in row.items()} for row in rows)
    write_whole(path, text.getvalue().encode())


def _tensorboard(folder: Path, epochs: int) -> Any:
    """A writer where TensorBoard is installed; repeated epochs are purged."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder, purge_step=epochs + 1)


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write samples as PNG: a row for each slice, a column for each kind of image."""
    from matplotlib.figure import Figure

    rows = len(sheet[0].images)
    figure = Figure(figsize=(2.6 * len(sheet), 2.4 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, len(sheet), squeeze=False)
    for places, column in zip(axes.T, sheet, strict=True):
        for place, image in zip(places, column.images, strict=True):
            drawn = place.imshow(
                image, cmap=_colours(column.colours), vmin=column.low, vmax=column.high
            )
            place.set_axis_off()
        places[0].set_title(column.title, fontsize=9)
        figure.colorbar(drawn, ax=list(places), location="bottom", shrink=0.8, aspect=30)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _colours(name: str) -> Colormap:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    from bolus.publish.palette import scale

    if name == "map":
        return ListedColormap(scale() / 255)
    return colormaps["gray" if name == "grey" else "RdBu_r"]
