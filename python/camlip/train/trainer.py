"""The training loop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from camlip.data import Batch, BatchSampler
from camlip.train import setup
from camlip.train.backends import choose_backend
from camlip.train.checkpoint import save_checkpoint
from camlip.train.dataset import Datasets, load_datasets
from camlip.train.distributed import Processes, choose_device
from camlip.train.ema import ExponentialMovingAverage
from camlip.train.finetune.run import FineTuning
from camlip.train.flat import FlatParameters
from camlip.train.logging import CsvLog, ProgressBar, TensorBoardLog
from camlip.train.loss import Loss
from camlip.train.metrics import ErrorSums
from camlip.train.optimizer import make_optimizer
from camlip.train.schedule import Schedule
from camlip.train.schema import TrainConfig
from camlip.train.setup import TrainingError
from camlip.train.state import State, capture, restore
from camlip.train.validation import Validator, name_culprits


class Trainer:
    """A run: model, data, optimizer and logs.

    Args:
        config: the whole configuration.
        resume: go on from the checkpoints in the run directory, if there are any.
        overwrite: start anew although there are some.
        datasets: of the configuration, if they are there already; several runs may share them.

    Raises:
        TrainingError: the run directory cannot be used, or does not fit to the configuration.
        DataError: the data cannot be used.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        resume: bool = False,
        overwrite: bool = False,
        datasets: Datasets | None = None,
    ) -> None:
        self.config = config
        options = config.train
        self.device = choose_device(options.device)
        self.dtype = getattr(torch, options.dtype)
        self.processes = Processes(self.device)
        self.run_dir = Path(config.run_dir)
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        if self.device.type == "cuda":
            setup.configure_gpu(options.deterministic)
        torch.manual_seed(config.seed)

        content = None
        if self.processes.is_main:
            content = setup.open_run_dir(self.run_dir, resume, overwrite)
        self.processes.wait()
        if resume and not self.processes.is_main:
            content = setup.newest_checkpoint(self.run_dir)
        self.finetuning = None if config.finetune is None else FineTuning(config, content)
        self.datasets: Datasets = datasets or load_datasets(
            config,
            None if self.processes.is_main and config.log.progress else False,
            self.finetuning.extend if self.finetuning else None,
        )
        self.fingerprint = self.datasets.fingerprints()
        if content is not None:
            setup.check_resumable(config, content, self.fingerprint, self.processes.world_size)

        self.loss = Loss(config.loss)
        self.schedule = Schedule(options)
        if self.finetuning is None:
            self.model = setup.make_model(config, self.datasets, content, self.device, self.dtype)
        else:
            self.model = self.finetuning.make_model(self.datasets, content, self.device, self.dtype)
        self.backend = choose_backend(
            options, self.model, self.device, self.dtype, self.datasets.prepared
        )
        self._load = self.backend.loader(self.datasets.train)
        self.flat = FlatParameters(self.model)
        self.ema = ExponentialMovingAverage(self.model, options.ema, self.flat)
        self.optimizer = make_optimizer(self.flat, options)
        setup.check_space(self.run_dir, self.model)
        make_sampler = self.finetuning.sampler if self.finetuning else BatchSampler
        self.sampler = make_sampler(
            self.datasets.train,
            atoms_per_batch=options.atoms_per_batch,
            structures_per_batch=options.structures_per_batch,
            shuffle=True,
            seed=config.seed,
            rank=self.processes.rank,
            world_size=self.processes.world_size,
        )
        self.validator = Validator(
            config, self.datasets.valid, self.loss, self.processes, self.backend, self.device
        )
        self.state = State()
        self.history: list[dict[str, Any]] = []
        self.new_sums()
        if content is not None:
            restore(self, content)
        self._stop = False
        self._base_minutes = self.state.minutes
        self._clock = time.process_time if config.train.clock == "processor" else time.monotonic
        self._started = self._clock()
        self._saved = time.monotonic()

    # ---- the run -------------------------------------------------------------------------

    def fit(self) -> bool:
        """Train to the end of the schedule.

        Returns:
            True at the end; False when a signal (Ctrl-C, SIGTERM) stopped the run after it wrote
            ``last.ckpt``.

        Raises:
            TrainingError: the loss is not finite; names the structures.
            OSError: checkpoints cannot be written.
        """
        log = self.config.log
        main = self.processes.is_main
        self._base_minutes, self._started = self.state.minutes, self._clock()
        if main:
            self.save("last.ckpt")
        self.csv = CsvLog(self.run_dir / "log.csv", self.history) if main and log.csv else None
        self.board = (
            TensorBoardLog(self.run_dir / "tensorboard", self.state.step)
            if main and log.tensorboard
            else None
        )
        self.bar = ProgressBar(main and log.progress, self.progress())
        if self.history:
            self.bar.validated(self.history[-1])
        try:
            with setup.caught_signals(self._request_stop):
                while not self.finished() and not self._stop:
                    self._epoch()
            if main:
                self.save("last.ckpt")
        finally:
            self.bar.close()
            for writer in (self.csv, self.board):
                if writer is not None:
                    writer.close()
        return not self._stop

    def progress(self) -> float:
        """Fraction of the run that is done, by epochs or by time, whichever is further."""
        options, state = self.config.train, self.state
        done = 0.0
        if options.epochs is not None:
            done = (state.epoch + state.batch / len(self.sampler)) / options.epochs
        if options.max_minutes is not None:
            done = max(done, state.minutes / options.max_minutes)
        return min(done, 1.0)

    def finished(self) -> bool:
        """Whether the schedule is at its end or early stopping ended it."""
        patience = self.config.train.patience
        return self.progress() >= 1.0 or 0 < patience <= self.state.bad_validations

    def _epoch(self) -> None:
        state = self.state
        self.sampler.set_epoch(state.epoch)
        rest = list(self.sampler)[state.batch :]
        started, atoms = time.monotonic(), 0
        complete = True
        for batch in self._load(rest):
            value = self._step(batch)
            atoms += len(batch.types) * self.processes.world_size
            speed = atoms / max(time.monotonic() - started, 1e-9)
            self.bar.update(self.progress(), self._text(value, speed))
            self._save_now_and_then()
            if self._stop or self.progress() >= 1.0:
                complete = state.batch >= len(self.sampler)
                break
        if complete:
            state.epoch, state.batch = state.epoch + 1, 0
        due = complete and state.epoch % self.config.train.validate_every == 0
        if due or (self.progress() >= 1.0 and not self._stop):
            self._validate(atoms / max(time.monotonic() - started, 1e-9))

    def _step(self, batch: Batch) -> float:
        """One optimizer step; all processes do it together."""
        state, processes = self.state, self.processes
        minutes = self._minutes() if processes.is_main else 0.0
        own_counts = counts = self.loss.counts(batch)
        if processes.world_size > 1:
            told = torch.tensor([minutes, float(self._stop)], device=self.device).double()
            shared = processes.sum(torch.cat([own_counts, told]))
            counts = shared[:3]
            minutes, self._stop = float(shared[3]), bool(shared[4] > 0)
        done = self.progress()
        self._enter_stage(self.schedule.stage(done))
        lr = self.schedule.lr(done)
        for group in self.optimizer.param_groups:
            group["lr"] = lr

        if self.finetuning is not None:
            self.finetuning.enter(self.model, batch)
        self.flat.begin()
        found = self.backend.gradient(self.model, batch, self.loss, counts, self._energy_factor())
        loss = float(self.loss.combine(found.losses, counts, self._energy_factor()))
        processes.sum(self.flat.gradient)
        self.flat.end()
        norm = self._clip()
        # One number tells whether anything in the batch, the loss or the gradient is not finite;
        # after the sum of the gradients it is so on all processes.
        if not math.isfinite(norm):
            where = f"epoch {state.epoch + 1}, step {state.step + 1}, loss {loss}"
            culprits = name_culprits(batch, found.errors(), self.datasets.train.structures)
            raise TrainingError(
                f"loss or gradient is not finite ({where}): {culprits}; the weights before are in "
                f"'{self.run_dir / 'last.ckpt'}'; look at these structures with `camlip data`, or "
                "lower train.lr"
            )
        self.optimizer.step()
        state.step += 1
        self.ema.update(state.step)
        self.train_errors.add_sums(found.absolute, found.squares, own_counts)
        self.train_sums += found.losses
        self.train_counts += own_counts
        state.batch += 1
        state.minutes = minutes
        return loss

    def _clip(self) -> float:
        limit = self.config.train.clip
        norm = float(torch.linalg.vector_norm(self.flat.gradient))
        if 0 < limit < norm < math.inf:
            self.flat.gradient.mul_(limit / norm)
        return norm

    def _enter_stage(self, stage: int) -> None:
        if stage != self.state.stage:
            # Losses with other weights cannot be compared: the best model is chosen anew.
            self.state.stage = stage
            self.state.best_loss = math.inf
            self.state.bad_validations = 0

    def _energy_factor(self) -> float:
        return self.config.train.stage_two.energy_factor if self.state.stage == 2 else 1.0

    # ---- validation ----------------------------------------------------------------------

    def _validate(self, speed: float) -> None:
        state = self.state
        if self.finetuning is not None:
            self.finetuning.enter(self.model, None)
        with self.ema.applied():
            valid_loss, valid_errors = self.validator.run(self.model, self._energy_factor())
        train_sums = self.processes.sum(self.train_sums)
        train_counts = self.processes.sum(self.train_counts)
        self.processes.sum(self.train_errors.values)
        train_loss = float(self.loss.combine(train_sums, train_counts, self._energy_factor()))
        if not math.isfinite(valid_loss):
            raise TrainingError(
                f"validation loss is {valid_loss} after epoch {state.epoch}; the last good "
                f"weights are in '{self.run_dir / 'best.ckpt'}'; lower train.lr"
            )
        best = valid_loss < state.best_loss
        row = {
            "epoch": state.epoch,
            "step": state.step,
            "minutes": state.minutes,
            "stage": state.stage,
            "lr": self.optimizer.param_groups[0]["lr"],
            "atoms_per_second": speed,
            "train_loss": train_loss,
            "valid_loss": valid_loss,
            **self.train_errors.summary("train"),
            **valid_errors.summary("valid"),
            "best": int(best),
        }
        self.new_sums()
        self.history.append(row)
        self.schedule.validated(best)
        if best:
            state.best_loss, state.best_epoch, state.bad_validations = valid_loss, state.epoch, 0
        else:
            state.bad_validations += 1
        if not self.processes.is_main:
            return
        self.bar.validated(row)
        for writer in (self.csv, self.board):
            if writer is not None:
                self._tolerant(lambda writer=writer: writer.add(row))
        if best:
            self._try_save("best.ckpt")

    def new_sums(self) -> None:
        """Begin new sums of the training errors, as after each validation."""
        self.train_errors = ErrorSums(self.device)
        self.train_sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.train_counts = torch.zeros(3, dtype=torch.float64, device=self.device)

    # ---- checkpoints ---------------------------------------------------------------------

    def save(self, name: str) -> None:
        """Write a checkpoint into the run directory.

        Raises:
            OSError: it cannot be written; older ones are left as they were.
        """
        save_checkpoint(self.run_dir / name, capture(self))
        self._saved = time.monotonic()

    def _try_save(self, name: str) -> None:
        self._tolerant(lambda: self.save(name))
        self._saved = time.monotonic()

    def _tolerant(self, write: Callable[[], None]) -> None:
        """Write; a disk that is full for a while does not end the run."""
        try:
            write()
        except OSError as error:
            print(f"\nwarning: {self.run_dir}: not written: {error}", file=sys.stderr)

    def _save_now_and_then(self) -> None:
        due = (time.monotonic() - self._saved) / 60 >= self.config.train.checkpoint_every_minutes
        if due and self.processes.is_main:
            self._try_save("last.ckpt")

    # ---- small things --------------------------------------------------------------------

    def _minutes(self) -> float:
        return self._base_minutes + (self._clock() - self._started) / 60

    def _text(self, loss: float, speed: float) -> str:
        epochs = self.config.train.epochs
        of = f"/{epochs}" if epochs is not None else ""
        return (
            f"epoch {self.state.epoch + 1}{of} | loss {loss:.3g} | "
            f"lr {self.optimizer.param_groups[0]['lr']:.2g} | {speed:.3g} atoms/s"
        )

    def _request_stop(self) -> None:
        self._stop = True
