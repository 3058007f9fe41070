"""Batches through the engine's own kernels, differentiable by torch.

Force matching needs the derivative of forces by the parameters, a second derivative of the
energy.  The engine offers first derivatives only; the second is a central difference of them along
the direction in which the loss wants the atoms to move (docs/training.md):

    dL/dp = sum_s c_s dE_s/dp - (g(+eps) - g(-eps)) / (2 eps),
    g(eps) = sum_s dE_s/dp at positions r + eps w, strained by eps v,
    c = dL/dE,  w = dL/dF,  v = dL/dW  (W the virial)

Two evaluations give both terms, by the seeds c_s/2 -+ 1/(2 eps).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from camlip import _engine
from camlip.data import Batch
from camlip.engine import Model
from camlip.export import engine_block
from camlip.models import CartesianMoments
from camlip.train.packed import PackedLabels, Vector

# Largest displacement of an atom in Angstrom: the error of the central difference grows with its
# square, that of rounding with its inverse.
DISPLACEMENT = {"mixed": 1e-3, "double": 3e-6}
# One of so many gradients is compared with that of half the displacement; a larger change, relative
# to the norm, is worth a warning.
CHECKED_GRADIENTS = 1000
DIFFERENCE_LIMIT = {"mixed": 3e-3, "double": 1e-6}

logger = logging.getLogger("camlip.train")


# Positions and edges of some structures, prepared for the engine.
Geometry = _engine.Batch


def engine_twin(model: CartesianMoments) -> Model:
    """The model of the engine that has the shape and the weights of this one."""
    return Model.from_bytes(engine_block(model, {}), "model in training")


class EngineTrainer:
    """A model's engine twin for training: parameters in, results and their gradients out.

    Args:
        model: gives the shape and the constants; its parameters are passed at each evaluation.
        backend: ``auto``, ``cpu`` or ``reference``.
        precision: ``mixed`` (float32, float64 sums) or ``double``.
        threads: of the engine; 0 for all.
        simd: instruction set, for tests.

    Attributes:
        num_parameters: length of the vector of parameters.
        displacement: of the central difference, Angstrom.
        difference_error: change of the gradient when the displacement is halved, relative to its
            norm, as last checked.

    Raises:
        BackendError: the backend cannot train.
    """

    def __init__(
        self,
        model: CartesianMoments,
        backend: str = "auto",
        precision: str = "mixed",
        threads: int = 0,
        simd: str = "auto",
    ) -> None:
        twin = engine_twin(model)
        # The twin keeps these; those of the model may change, from one level of theory to another.
        self._reference = model.reference_energies.clone()
        self._handle = _engine.Trainer(twin._handle, backend, precision, threads, simd)
        tensors = self._handle.tensors()
        self._names = [name for name, _ in tensors[:-1]]
        self.num_parameters = tensors[-1][1]
        self.displacement = DISPLACEMENT[precision]
        self.precision = precision
        self.num_gradients = 0
        self.difference_error = 0.0
        self._loaded: Tensor | None = None
        self._warned = False

    def tensors(self, model: CartesianMoments) -> list[Tensor]:
        """The parameters of a model as the engine has them, one after the other, differentiable."""
        tensors = model.engine_tensors(detach=False)
        return [tensors[name] for name in self._names]

    def parameters(self, model: CartesianMoments) -> Tensor:
        """:meth:`tensors` as one vector without a graph, float64, (num_parameters,)."""
        with torch.no_grad():
            return flatten(self.tensors(model))

    @staticmethod
    def join(parts: Sequence[Geometry]) -> Geometry:
        """The structures of several batches as one."""
        return Geometry.join(parts)

    def batch(self, batch: Batch) -> Geometry:
        """What the engine needs of a batch."""
        return self._handle.batch(
            batch.num_atoms.numpy(),
            batch.positions.numpy(),
            batch.types.numpy(),
            batch.cells.numpy(),
            batch.edge_index[0].numpy(),
            batch.edge_index[1].numpy(),
            batch.edge_shifts.numpy(),
        )

    def geometry(self, batch: Batch) -> Geometry:
        """That of a batch, prepared now unless it is already."""
        return batch.geometry if isinstance(batch, EngineBatch) else self.batch(batch)

    def evaluate(
        self,
        model: CartesianMoments,
        batch: Batch,
        forces: bool = True,
        values: Tensor | None = None,
    ) -> Results:
        """Energies, forces and virials with their graph.

        Args:
            model: with the parameters to use.
            batch: float64, on the CPU; an :class:`EngineBatch` need not be prepared again.
            forces: also forces and virials.
            values: :meth:`parameters` to use instead, without a graph.

        Returns:
            As :func:`camlip.models.evaluate`, in float64, without ``atomic_energies``.
        """
        geometry = self.geometry(batch)
        if values is None:
            energy, force, virial = cast(
                tuple[Tensor, Tensor, Tensor],
                EngineFunction.apply(self, geometry, forces, *self.tensors(model)),
            )
        else:
            energy, force, virial = self.results(values, geometry, forces)
        reference = energy.new_zeros(energy.shape).index_add(
            0, batch.structure_index, self._reference[batch.types]
        )
        total = self.totals(model, batch, energy.detach())
        results = {"energy": total, "interaction_energy": energy - reference}
        if forces:
            results |= {"forces": force, "virial": virial}
        return results

    def totals(self, model: CartesianMoments, batch: Batch, energies: Tensor) -> Tensor:
        """Energies of the engine with the reference energies that the model has now."""
        shift = model.reference_energies - self._reference
        if not bool(shift.any()):
            return energies
        return energies.index_add(0, batch.structure_index, shift[batch.types])

    def load(self, values: Tensor) -> None:
        """Make these the parameters of the engine, unless they are already; never change them."""
        if self._loaded is not values:
            self._handle.set_parameters(values.numpy())
            self._loaded = values

    def results(
        self, values: Tensor, geometry: Geometry, forces: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies, forces and virials at the positions of the batch; or energies, and nothing."""
        self.load(values)
        wanted = ["energies", "forces", "virials"] if forces else ["energies"]
        results = self.compute(geometry, Point(), wanted)
        nothing = values.new_zeros(0)
        return results["energies"], results.get("forces", nothing), results.get("virials", nothing)

    def difference(
        self,
        energy_bar: NDArray[np.float64],
        force_bar: NDArray[np.float64],
        virial_bar: NDArray[np.float64],
        geometry: Geometry,
    ) -> Tensor:
        """Gradient of a loss with these derivatives, (num_parameters,); watches its error."""

        def gradient(displacement: float) -> Tensor:
            point = _displaced(displacement, energy_bar, force_bar, virial_bar)
            if point is None:
                return self.seeded(energy_bar, geometry)
            return self.compute(geometry.doubled(), point, ["gradient"])["gradient"]

        found = gradient(self.displacement)
        if self.num_gradients % CHECKED_GRADIENTS == 0:
            change = (gradient(self.displacement / 2) - found).norm()
            size = float(found.norm())
            self.difference_error = float(change) / size if size > 0 else 0.0
            if self.difference_error > DIFFERENCE_LIMIT[self.precision] and not self._warned:
                self._warned = True
                logger.warning(
                    "training: half the displacement changes the gradient by %.1g of its norm, "
                    "expected at most %g; the forces may be too large for precision '%s': train "
                    "with train.dtype=float64 or train.backend=torch",
                    self.difference_error,
                    DIFFERENCE_LIMIT[self.precision],
                    self.precision,
                )
        self.num_gradients += 1
        return found

    def seeded(self, energy_bar: NDArray[np.float64], geometry: Geometry) -> Tensor:
        """Gradient of a loss of energies alone, (num_parameters,)."""
        return self.compute(geometry, Point(seeds=energy_bar), ["gradient"])["gradient"]

    def compute(self, batch: Geometry, point: Point, wanted: list[str]) -> dict[str, Tensor]:
        """Results of :meth:`evaluate` by name: energies, forces, virials, gradient."""
        arrays = self._handle.compute(
            batch, point.displacements, point.strains, point.seeds, wanted
        )
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


Results = dict[str, Tensor]


@dataclass
class EngineBatch(Batch):
    """A batch without edges, which the engine has.

    Attributes:
        geometry: positions and edges of the structures.
        packed: the labels.
    """

    geometry: Geometry
    packed: PackedLabels


@dataclass(frozen=True)
class Point:
    """Where the engine evaluates, and what it sums.

    Attributes:
        displacements: (N, 3), Angstrom.
        strains: (S, 3, 3).
        seeds: (S,).
    """

    displacements: NDArray[np.float64] | None = None
    strains: NDArray[np.float64] | None = None
    seeds: NDArray[np.float64] | None = None


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors as one vector in float64, without a graph."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).double()


def add_gradient(gradient: Tensor, tensors: Sequence[Tensor]) -> None:
    """Add to the gradients of the parameters what tensors made of them have as theirs."""
    parts = gradient.split([tensor.numel() for tensor in tensors])
    own: list[tuple[Tensor, Tensor]] = []
    others: list[tuple[Tensor, Tensor]] = []
    for tensor, part in zip(tensors, parts, strict=True):
        if not tensor.requires_grad:
            continue
        if tensor.is_leaf and tensor.grad is not None:
            own.append((tensor.grad, part.view(tensor.shape)))
        else:
            others.append((tensor, part.view(tensor.shape).to(tensor.dtype)))
    if own:
        with torch.no_grad():
            torch._foreach_add_([to for to, _ in own], [part for _, part in own])  # pyright: ignore[reportPrivateImportUsage]
    if others:
        torch.autograd.backward([t for t, _ in others], [part for _, part in others])


def unflatten(values: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """A vector as tensors of the shapes and the type of those given."""
    parts = values.to(like[0].dtype).split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


class EngineFunction(torch.autograd.Function):
    """Parameters to energies (S,), forces (N, 3) and virials (S, 3, 3), in float64."""

    @staticmethod
    def forward(
        ctx: Any, trainer: EngineTrainer, geometry: Geometry, forces: bool, *tensors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate at the positions of the batch."""
        ctx.trainer, ctx.geometry, ctx.forces = trainer, geometry, forces
        ctx.like = [torch.empty_like(t, device="meta") for t in tensors]
        ctx.values = flatten(tensors)
        return trainer.results(ctx.values, geometry, forces)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, energy_bar: Tensor, force_bar: Tensor, virial_bar: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradient by the parameters from displaced structures."""
        trainer, geometry, seeds = ctx.trainer, ctx.geometry, energy_bar.numpy()
        trainer.load(ctx.values)
        if ctx.forces:
            gradient = trainer.difference(seeds, force_bar.numpy(), virial_bar.numpy(), geometry)
        else:
            gradient = trainer.seeded(seeds, geometry)
        return None, None, None, *unflatten(gradient, ctx.like)


def _displaced(
    displacement: float,
    energy_bar: NDArray[np.float64],
    force_bar: NDArray[np.float64],
    virial_bar: NDArray[np.float64],
) -> Point | None:
    """Both ends of the central difference, side by side; None when nothing moves."""
    # W_ab = -dE/ds_ab and symmetric; the strain that the engine takes is symmetric as well.
    strain = (virial_bar + virial_bar.swapaxes(1, 2)) / 2
    # An edge of this length moves by the strain as far as an atom by its displacement.
    reach = 3.0
    size = max(np.abs(force_bar).max(initial=0.0), reach * np.abs(strain).max(initial=0.0))
    if size == 0:
        return None
    eps = displacement / size

    def both(plus: Vector, minus: Vector) -> Vector:
        return np.stack([plus, minus], axis=1).reshape(-1, *plus.shape[1:])

    return Point(
        displacements=both(eps * force_bar, -eps * force_bar),
        strains=both(eps * strain, -eps * strain),
        seeds=both(energy_bar / 2 - 0.5 / eps, energy_bar / 2 + 0.5 / eps),
    )
