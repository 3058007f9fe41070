"""camlip models in OpenMM-ML: ``MLPotential("camlip", modelPath="model.pt")``.

OpenMM-ML finds the factory by its entry point and makes it while it is itself being imported, so
this module imports nothing of it; the plugin comes when a System is made.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camlip.openmmml_impl import CamlipPotentialImpl


class CamlipPotentialImplFactory:
    """What the entry point names; an ``openmmml.mlpotential.MLPotentialImplFactory``."""

    def createImpl(
        self,
        name: str,
        modelPath: str | os.PathLike[str] | None = None,
        precision: str = "mixed",
        backend: str = "auto",
        **args: Any,
    ) -> CamlipPotentialImpl:
        """Take the arguments of ``MLPotential``.

        Args:
            name: ``camlip``.
            modelPath: an exported model.
            precision: as for :class:`camlip.openmm.MLIPForce`.
            backend: the same.
            **args: none.

        Raises:
            ValueError: without a model, or for an unknown argument.
        """
        if modelPath is None:
            raise ValueError(
                "MLPotential 'camlip': modelPath is missing, expected an exported model; say "
                "MLPotential('camlip', modelPath='model.pt')"
            )
        if args:
            raise ValueError(
                f"MLPotential 'camlip': unknown argument '{next(iter(args))}', expected modelPath, "
                "precision or backend"
            )
        from camlip.engine import model_path
        from camlip.openmmml_impl import CamlipPotentialImpl

        file = os.path.abspath(model_path(modelPath))
        return CamlipPotentialImpl(name, file, precision, backend)
