from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

abi_version: int
version: str

def model_path(name: str) -> str: ...
def num_devices() -> int: ...

class Model:
    def __init__(self, path: str) -> None: ...
    @staticmethod
    def from_bytes(data: bytes, name: str) -> Model: ...
    def info(self) -> dict[str, Any]: ...

class Engine:
    def __init__(
        self,
        model: Model,
        backend: str,
        precision: str,
        threads: int,
        active_types: NDArray[np.int32] | None,
        skin: float,
        simd: str,
    ) -> None: ...
    def info(self) -> dict[str, Any]: ...
    def estimate_memory(
        self, num_owned: int, num_ghost: int, periodic: bool, neighbors_per_atom: float
    ) -> dict[str, int]: ...
    def compute_system(
        self,
        positions: NDArray[Any],
        types: NDArray[Any],
        cell: NDArray[Any] | None,
        pbc: Sequence[bool],
        properties: Sequence[str],
    ) -> dict[str, NDArray[np.float64]]: ...
    def compute_systems(
        self,
        positions: NDArray[Any],
        types: NDArray[Any],
        offsets: NDArray[Any],
        cells: NDArray[Any] | None,
        pbc: NDArray[Any] | None,
        properties: Sequence[str],
    ) -> dict[str, NDArray[np.float64]]: ...
    def relax(
        self,
        positions: NDArray[Any],
        types: NDArray[Any],
        cell: NDArray[Any] | None,
        pbc: Sequence[bool],
        options: dict[str, Any],
        callback: Callable[[dict[str, Any]], object] | None,
        interval: float,
    ) -> dict[str, Any]: ...
    def compute(
        self,
        positions: NDArray[Any],
        types: NDArray[Any],
        num_owned: int,
        offsets: NDArray[Any],
        indices: NDArray[Any],
        forward: Callable[[NDArray[np.float64]], object] | None,
        reverse: Callable[[NDArray[np.float64]], object] | None,
        properties: Sequence[str],
        revision: int | None,
    ) -> dict[str, NDArray[np.float64]]: ...

class Neighbors:
    def __init__(self, cutoff: float, skin: float) -> None: ...
    def update(
        self, positions: NDArray[Any], cell: NDArray[Any] | None, pbc: Sequence[bool]
    ) -> dict[str, Any]: ...

class Batch:
    num_structures: int
    num_atoms: int
    @staticmethod
    def join(parts: Sequence[Batch]) -> Batch: ...
    def doubled(self) -> Batch: ...

class Trainer:
    def __init__(
        self, model: Model, backend: str, precision: str, threads: int, simd: str
    ) -> None: ...
    def tensors(self) -> list[tuple[str, int]]: ...
    def parameters(self) -> NDArray[np.float64]: ...
    def set_parameters(self, values: NDArray[np.float64]) -> None: ...
    def batch(
        self,
        num_atoms: NDArray[Any],
        positions: NDArray[Any],
        types: NDArray[Any],
        cells: NDArray[Any],
        centers: NDArray[Any],
        neighbors: NDArray[Any],
        shifts: NDArray[Any],
    ) -> Batch: ...
    def compute(
        self,
        batch: Batch,
        displacements: NDArray[Any] | None,
        strains: NDArray[Any] | None,
        seeds: NDArray[Any] | None,
        wanted: Sequence[str],
    ) -> dict[str, NDArray[np.float64]]: ...
