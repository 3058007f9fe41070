"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., arXiv:2409.11321)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Sides of a matrix that are longer are left in their own basis: the cost grows with the cube.
LONGEST_SIDE = 128


class Soap(torch.optim.Optimizer):
    r"""AdamW whose second moments are taken in a basis that turns with the gradients.

    For a matrix of weights with the gradient G,

    .. math:: L \leftarrow \beta_2 L + (1 - \beta_2) G G^T, \quad
              R \leftarrow \beta_2 R + (1 - \beta_2) G^T G,

    and Adam works on :math:`Q_L^T G Q_R` with the eigenvectors of L and R, which one step of power
    iteration with a QR decomposition updates every ``refresh`` steps.  Further dimensions are
    separate matrices; vectors are left to plain Adam.  Matrices of one shape are treated at once:
    with the small matrices of our models the number of operations is what costs.

    Args:
        parameters: or groups of them, with their own ``weight_decay``.
        lr: learning rate.
        betas: decay of the first and second moments; L and R decay as the second.
        eps: added to the root of the second moments.
        weight_decay: decoupled, as in AdamW.
        refresh: steps between updates of the basis.

    >>> matrix = torch.nn.Parameter(torch.ones(2, 3))
    >>> optimizer = Soap([matrix], lr=0.1)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     (matrix**2).sum().backward()
    ...     optimizer.step()
    >>> bool(matrix.detach().abs().max() < 0.1)
    True
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 5e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        refresh: int = 10,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, {**defaults, "refresh": refresh})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for shape, members in _by_shape(group["params"]).items():
                gradient = torch.cat([_gradient(p).reshape(-1, *shape) for p in members])
                # The state of all of them is kept with the first.
                update = self._update(self.state[members[0]], gradient, group)
                if group["weight_decay"] > 0:
                    torch._foreach_mul_(members, 1 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
                if update is not None:
                    counts = [p.numel() // (shape[0] * shape[1]) for p in members]
                    parts = [
                        part.view(p.shape)
                        for part, p in zip(update.split(counts), members, strict=True)
                    ]
                    torch._foreach_sub_(members, parts, alpha=group["lr"])  # pyright: ignore[reportPrivateImportUsage]
        return loss

    def _update(
        self, state: dict[str, Any], gradient: Tensor, group: dict[str, Any]
    ) -> Tensor | None:
        """Direction for gradients (B, m, n); None in the first step, which only looks."""
        beta1, beta2 = group["betas"]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["first"] = torch.zeros_like(gradient)
            state["second"] = torch.zeros_like(gradient)
            for side, covariance in _covariances(gradient):
                state[side] = covariance
                state[side + "_basis"] = _eigenvectors(covariance)
            return None
        state["step"] += 1
        step = int(state["step"])
        first, second = state["first"], state["second"]
        first.lerp_(gradient, 1 - beta1)
        turned = _turn(gradient, state)
        second.mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
        direction = _turn(first, state).div_(1 - beta1**step)
        direction /= (second / (1 - beta2**step)).sqrt_().add_(group["eps"])
        update = _turn(direction, state, back=True)
        for side, covariance in _covariances(gradient):
            state[side].lerp_(covariance, 1 - beta2)
        if step % group["refresh"] == 0:
            _refresh(state)
        return update


def _by_shape(parameters: list[Tensor]) -> dict[tuple[int, int], list[Tensor]]:
    """Parameters with a gradient by the shape of their matrices; vectors are those of one row."""
    found: dict[tuple[int, int], list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is None or parameter.numel() == 0:
            continue
        rows, columns = parameter.shape[-2:] if parameter.ndim > 1 else (0, 0)
        useful = min(rows, columns) > 1 and min(rows, columns) <= LONGEST_SIDE
        found.setdefault((rows, columns) if useful else (1, 1), []).append(parameter)
    return found


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _covariances(gradient: Tensor) -> list[tuple[str, Tensor]]:
    rows, columns = gradient.shape[1:]
    found = []
    if 1 < rows <= LONGEST_SIDE:
        found.append(("left", gradient @ gradient.mT))
    if 1 < columns <= LONGEST_SIDE:
        found.append(("right", gradient.mT @ gradient))
    return found


def _eigenvectors(covariance: Tensor) -> Tensor:
    # Ascending: only `_refresh` depends on an order, and that only on its staying the same.
    return torch.linalg.eigh(covariance.double())[1].to(covariance.dtype)


def _turn(stack: Tensor, state: dict[str, Any], back: bool = False) -> Tensor:
    """Into the basis, or back out of it."""
    if "left_basis" in state:
        left = state["left_basis"]
        stack = (left if back else left.mT) @ stack
    if "right_basis" in state:
        right = state["right_basis"]
        stack = stack @ (right.mT if back else right)
    return stack if stack is not state["first"] else stack.clone()


def _refresh(state: dict[str, Any]) -> None:
    """One step of power iteration; columns are sorted so that they keep their places after it."""
    for side, dimension in (("left", 1), ("right", 2)):
        if side not in state:
            continue
        basis = state[side + "_basis"]
        product = state[side] @ basis
        order = (basis * product).sum(1).argsort(dim=1, descending=True)
        columns = order[:, None, :].expand_as(product)
        state[side + "_basis"] = torch.linalg.qr(product.gather(2, columns))[0]
        second = state["second"]
        picks = order[:, :, None] if dimension == 1 else order[:, None, :]
        state["second"] = second.gather(dimension, picks.expand_as(second))
