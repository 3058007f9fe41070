"""What OpenMM-ML asks of an implementation: put our force into Systems."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openmmml.mlpotential import MLPotentialImpl

if TYPE_CHECKING:
    import openmm
    from openmm import app


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
