"""camlip models in OpenMM-ML: ``MLPotential("camlip", modelPath="model.pt")``.

OpenMM-ML finds the factory by its entry point and makes it whenever it is imported, so this module
loads nothing but OpenMM-ML itself; the plugin comes when a System is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

if TYPE_CHECKING:
    import openmm
    from openmm import app


class CamlipPotentialImplFactory(MLPotentialImplFactory):
    """What the entry point names."""

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
        return CamlipPotentialImpl(name, os.path.abspath(modelPath), precision, backend)


class CamlipPotentialImpl(MLPotentialImpl):
    """Puts an :class:`camlip.openmm.MLIPForce` into Systems."""

    def __init__(self, name: str, model: str, precision: str, backend: str) -> None:
        self.name = name
        self.model = model
        self.precision = precision
        self.backend = backend

    def getMLLongRange(self) -> bool:
        """The models end at their cutoff: periodic mixed systems need no further option."""
        return False

    def addForces(
        self,
        topology: app.Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        forceGroup: int,
        **args: Any,
    ) -> None:
        """Add the force; called by ``createSystem`` and ``createMixedSystem``.

        Args:
            topology: of all particles.
            system: gets the force.
            atoms: the model's, with link atoms; None: all.
            forceGroup: of the force.
            **args: ``periodic`` as for :class:`camlip.openmm.MLIPForce`, and ``scaleParameter``;
                others are other implementations'.
        """
        from camlip.openmm import MLIPForce

        boxed = topology.getPeriodicBoxVectors() is not None
        periodic = args.get("periodic", boxed or system.usesPeriodicBoundaryConditions())
        force = MLIPForce(
            self.model,
            topology,
            particles=atoms,
            periodic=periodic,
            precision=self.precision,
            backend=self.backend,
            scaleParameter=args.get("scaleParameter"),
        )
        force.setForceGroup(forceGroup)
        system.addForce(force)
