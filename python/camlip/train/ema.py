"""Exponential moving average of the weights, which generalizes better than the last weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from camlip.train.flat import FlatParameters


class ExponentialMovingAverage:
    r"""Average :math:`\bar w \leftarrow d\,\bar w + (1 - d)\,w` after each step.

    In the first steps :math:`d = \min(\text{decay}, (1 + t)/(10 + t))`, so that the random
    initial weights are soon forgotten.

    Args:
        model: its parameters are averaged; buffers are constants.
        decay: 0 keeps no memory: the average is the last weights.
        flat: of the model, which takes the weights' place in memory otherwise.
    """

    def __init__(self, model: nn.Module, decay: float, flat: FlatParameters | None = None) -> None:
        self.decay = decay
        self.names = [name for name, _ in model.named_parameters()]
        self.parameters = list(model.parameters())
        flat = flat or FlatParameters(model)
        self._current, self._average = flat.values, flat.values.clone()
        views = dict(zip(map(id, flat.parameters), flat.views(self._average), strict=True))
        self.averages = [
            views[id(p)] if id(p) in views else p.detach().clone() for p in self.parameters
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the current weights in; ``step`` counts from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        self._average.lerp_(self._current, 1 - decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within the context the model has the averaged weights."""
        kept = [p.data for p in self.parameters]
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            parameter.data = average
        try:
            yield
        finally:
            for parameter, data in zip(self.parameters, kept, strict=True):
                parameter.data = data

    def state_dict(self) -> dict[str, Tensor]:
        """Averages by the names of the parameters."""
        return dict(zip(self.names, self.averages, strict=True))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Set the averages from :meth:`state_dict`."""
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(state[name])
