"""What a run shows and writes while it goes: progress bar, CSV, TensorBoard."""

from __future__ import annotations

import csv
import math
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from camlip.train.loss import TERMS

COLUMNS = (
    ["epoch", "step", "minutes", "stage", "lr", "atoms_per_second", "train_loss", "valid_loss"]
    + [f"{s}_{t}_{e}" for s in ("train", "valid") for t in TERMS for e in ("mae", "rmse")]
    + ["best"]
)
# Units of the terms on the terminal: meV/atom, meV/A, meV/A^3.
LETTERS = {"energy": "E", "forces": "F", "stress": "S"}


class CsvLog:
    """``log.csv``: one line per validation; after a resume it is that of one run.

    Args:
        path: file to write.
        history: rows of the run so far.
    """

    def __init__(self, path: Path, history: list[dict[str, Any]]) -> None:
        self.file = path.open("w", newline="", encoding="utf-8")
        self.writer = csv.DictWriter(self.file, COLUMNS, extrasaction="ignore")
        self.writer.writeheader()
        self.writer.writerows(history)
        self.file.flush()

    def add(self, row: dict[str, Any]) -> None:
        """Append a row."""
        self.writer.writerow(row)
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class TensorBoardLog:
    """Event files for TensorBoard, by step.

    Args:
        directory: of the event files.
        step: steps beyond it, of a run that was interrupted, are dropped.
    """

    def __init__(self, directory: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(directory), purge_step=step + 1 if step else None)

    def add(self, row: dict[str, Any]) -> None:
        """Write a row of the history."""
        for name, value in row.items():
            group, _, rest = name.partition("_")
            if group in ("train", "valid") and isinstance(value, float) and math.isfinite(value):
                self.writer.add_scalar(f"{rest}/{group}", value, row["step"])
        for name in ("lr", "atoms_per_second"):
            self.writer.add_scalar(f"run/{name}", row[name], row["step"])
        self.writer.flush()

    def close(self) -> None:
        """Close the files."""
        self.writer.close()


class ProgressBar:
    """One line on the terminal: how far, losses, errors, learning rate, speed, time left.

    Args:
        show: whether to show anything.
        done: fraction of the run that is done already.
    """

    def __init__(self, show: bool, done: float = 0.0) -> None:
        self.valid = ""
        self.started = time.monotonic()
        self.first = done
        self.last = 0.0
        terminal = sys.stderr.isatty()
        self.interval = 0.2 if terminal else 30.0
        self.bar = tqdm(
            total=100.0,
            initial=100.0 * done,
            disable=not show,
            file=sys.stderr,
            dynamic_ncols=terminal,
            bar_format="{percentage:5.1f}% |{bar:20}| {desc}",
        )

    def update(self, done: float, text: str) -> None:
        """Show the state of the run, at most a few times per second."""
        now = time.monotonic()
        if self.bar.disable or (now - self.last < self.interval and done < 1.0):
            return
        self.last = now
        left = "?"
        if done > self.first:
            seconds = (now - self.started) * (1.0 - done) / (done - self.first)
            left = f"{int(seconds // 3600)}:{int(seconds // 60) % 60:02d}:{int(seconds) % 60:02d}"
        self.bar.n = 100.0 * min(done, 1.0)
        self.bar.set_description_str(f"{text} | left {left}{self.valid}", refresh=True)

    def validated(self, row: dict[str, Any]) -> None:
        """Remember the errors of the last validation."""
        parts = []
        for term in TERMS:
            mae, rmse = row[f"valid_{term}_mae"], row[f"valid_{term}_rmse"]
            if math.isfinite(mae):
                parts.append(f"{LETTERS[term]} {1e3 * mae:.3g}/{1e3 * rmse:.3g}")
        self.valid = f" | valid loss {row['valid_loss']:.3g}, MAE/RMSE in meV: {', '.join(parts)}"

    def close(self) -> None:
        """Leave the line on the terminal."""
        self.bar.close()
