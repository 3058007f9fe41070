"""SOAP: what sets it apart from AdamW, and that a run goes on with the same numbers."""

import copy

import pytest
import torch

from camlip.train.soap import Soap

SEED = 3


def quadratic(rows: int, columns: int, condition: float):
    """A function of a matrix with curvatures that differ, in rotated rows and columns."""
    generator = torch.Generator().manual_seed(SEED)

    def rotated(size: int) -> torch.Tensor:
        basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
        return basis @ torch.logspace(0, torch.tensor(condition).log10(), size).double().diag()

    left, right = rotated(rows), rotated(columns)
    return lambda matrix: ((left.mT @ matrix @ right) ** 2).sum()


def minimize(optimizer_class, function, start: torch.Tensor, steps: int, **options) -> torch.Tensor:
    matrix = torch.nn.Parameter(start.clone())
    optimizer = optimizer_class([matrix], **options)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = options["lr"] * (1 - step / steps)
        optimizer.zero_grad()
        function(matrix).backward()
        optimizer.step()
    return matrix.detach()


def test_ill_conditioned_matrices_converge_where_adam_crawls():
    function = quadratic(12, 20, 30.0)
    generator = torch.Generator().manual_seed(SEED + 1)
    start = 0.3 * torch.randn(12, 20, generator=generator, dtype=torch.float64)
    soap = function(minimize(Soap, function, start, 400, lr=3e-2))
    adam = function(minimize(torch.optim.AdamW, function, start, 400, lr=3e-2, weight_decay=0.0))
    assert soap < 0.1 * adam


def test_steps_turn_with_the_basis():
    """Seen from rotated rows and columns the run is the same, which AdamW's is not."""
    generator = torch.Generator().manual_seed(SEED + 1)

    def random() -> torch.Tensor:
        return torch.randn(6, 6, generator=generator, dtype=torch.float64)

    left, right, start = torch.linalg.qr(random()).Q, torch.linalg.qr(random()).Q, random()
    # The gradient of the first step alone is diagonal in its own basis, with rounding elsewhere.
    gradients = [random() for _ in range(35)]

    def end_of_run(optimizer_class, turn) -> torch.Tensor:
        matrix = torch.nn.Parameter(turn(start))
        optimizer = optimizer_class([matrix], lr=1e-2)
        for gradient in gradients:
            matrix.grad = turn(gradient)
            optimizer.step()
        return matrix.detach()

    for optimizer, same in ((Soap, True), (torch.optim.AdamW, False)):
        plain = end_of_run(optimizer, lambda matrix: matrix.clone())
        turned = end_of_run(optimizer, lambda matrix: left @ matrix @ right)
        assert ((turned - left @ plain @ right).abs().max() < 1e-9) == same


@pytest.mark.parametrize("shape", [(5,), (1, 7), (3, 4, 6), (2, 1, 6), (200, 4)])
def test_every_shape_of_parameter_is_minimized(shape):
    parameter = torch.nn.Parameter(torch.ones(shape))
    optimizer = Soap([parameter], lr=2e-2)
    for _ in range(200):
        optimizer.zero_grad()
        ((parameter - 0.3) ** 2).sum().backward()
        optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full(shape, 0.3), atol=0.05, rtol=0)


def test_weight_decay_is_that_of_adamw():
    parameter = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = Soap([parameter], lr=0.1, weight_decay=0.5)
    for _ in range(2):
        parameter.grad = torch.zeros(3, 4)
        optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3, 4), 0.95**2))


def test_a_saved_state_goes_on_with_the_same_bits():
    function = quadratic(4, 5, 10.0)
    generator = torch.Generator().manual_seed(SEED)
    first = [torch.nn.Parameter(torch.randn(4, 5, generator=generator).double()) for _ in range(3)]

    def run(parameters, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            torch.stack([function(p) for p in parameters]).sum().backward()
            optimizer.step()

    optimizer = Soap(first, lr=1e-2)
    run(first, optimizer, 17)
    second = [torch.nn.Parameter(p.detach().clone()) for p in first]
    resumed = Soap(second, lr=1e-2)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(first, optimizer, 17)
    run(second, resumed, 17)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
