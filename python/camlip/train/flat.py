"""Parameters side by side: what is done to all of them is one operation on one vector."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

# What the optimizer may not shrink besides vectors: they are no matrices that multiply features.
NOT_DECAYED = ("bias", "skip", "embedding", "contraction.weight")


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether a parameter multiplies features, rather than adding to them or selecting them."""
    return parameter.ndim >= 2 and not name.endswith(NOT_DECAYED)


class FlatParameters:
    """The trained parameters of a model as views of one vector, and their gradients of another.

    Matrices, which weight decay shrinks, come first; in both parts those of the readouts of
    several levels of theory (``heads``) come last, each on its own: a step without structures of
    a level leaves its readout as it is.  The model keeps its parameters; only where they lie
    changes.

    Args:
        model: on its device and in its precision; neither may change later.

    Attributes:
        values: all parameters.
        gradient: of all of them; that of each parameter is a part of it.
        groups: parts of ``values`` as parameters of an optimizer: of matrices, of others.
        parameters: of the model, in the order of ``values``.
        parts: the same, one list for each part of ``values``, and whether weight decay shrinks it.
    """

    def __init__(self, model: nn.Module) -> None:
        parts: dict[tuple[bool, str], list[nn.Parameter]] = {(False, ""): [], (True, ""): []}
        for name, parameter in model.named_parameters():
            if parameter.numel() > 0 and parameter.requires_grad:
                head = re.search(r"\.heads\.(\d+)\.", name)
                key = (not is_matrix(name, parameter), head[1] if head else "")
                parts.setdefault(key, []).append(parameter)
        keys = sorted(parts)
        self.parameters = [p for key in keys for p in parts[key]]
        self.parts = [(parts[key], not key[0]) for key in keys]
        some = next(model.parameters()).detach()
        pieces = [p.detach().reshape(-1) for p in self.parameters]
        self.values = torch.cat([some.new_zeros(0), *pieces])
        self.gradient = torch.zeros_like(self.values)
        self._gradients = self.views(self.gradient)
        for parameter, data in zip(self.parameters, self.views(self.values), strict=True):
            parameter.data = data
        self._counts = [len(parts[key]) for key in keys]
        sizes = [sum(p.numel() for p in parts[key]) for key in keys]
        vectors = [nn.Parameter(part) for part in self.values.split(sizes)]
        self._vectors = list(zip(vectors, self.gradient.split(sizes), strict=True))
        self._headed = [bool(head) for _, head in keys]
        self.groups = [
            [v for v, (plain, _) in zip(vectors, keys, strict=True) if plain == kind]
            for kind in (False, True)
        ]
        self.begin()
        self.end()

    def begin(self) -> None:
        """Before a gradient is added: all zero."""
        self.gradient.zero_()
        for parameter, gradient in zip(self.parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def end(self) -> None:
        """After it: the optimizer sees it, but for readouts that had no part in the batch."""
        for (vector, gradient), headed, (members, _) in zip(
            self._vectors, self._headed, self.parts, strict=True
        ):
            absent = headed and not bool(gradient.any())
            vector.grad = None if absent else gradient
            for parameter in members if absent else []:
                parameter.grad = None

    def views(self, vector: Tensor) -> list[Tensor]:
        """Parts of a vector such as ``values`` in the shapes of the parameters."""
        parts = vector.split([p.numel() for p in self.parameters])
        return [part.view(p.shape) for part, p in zip(parts, self.parameters, strict=True)]

    def state_of(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """State of an optimizer of ``groups``, as if it had the parameters one by one."""
        content = optimizer.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        starts, first = [], 0
        for index, count in enumerate(self._counts):
            starts.append(list(range(first, first + count)))
            sizes = [p.numel() for p in self.parameters[first : first + count]]
            for key, value in content["state"].get(index, {}).items():
                # The number of steps is the same for all, the rest is a vector like `values`.
                parts = [value] * count if key == "step" else value.split(sizes)
                for n, part in enumerate(parts, first):
                    shaped = part if key == "step" else part.view(self.parameters[n].shape)
                    state.setdefault(n, {})[key] = shaped.clone()
            first += count
        groups = [
            {**group, "params": [n for index in group["params"] for n in starts[index]]}
            for group in content["param_groups"]
        ]
        return {"state": state, "param_groups": groups}

    def load_state(self, optimizer: torch.optim.Optimizer, content: dict[str, Any]) -> None:
        """Take over what :meth:`state_of` gave."""
        state: dict[int, dict[str, Tensor]] = {}
        first = 0
        for index, count in enumerate(self._counts):
            members = range(first, first + count)
            first += count
            if count == 0 or members[0] not in content["state"]:
                continue
            state[index] = {
                key: value.clone()
                if key == "step"
                else torch.cat([content["state"][n][key].reshape(-1) for n in members])
                for key, value in content["state"][members[0]].items()
            }
        own = optimizer.state_dict()["param_groups"]
        groups = [
            {**known, "params": mine["params"]}
            for known, mine in zip(content["param_groups"], own, strict=True)
        ]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
