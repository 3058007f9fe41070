"""The force.  Its methods have OpenMM's names and manners."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import openmm
from ase.data import atomic_numbers as _numbers_of_symbols
from openmm import OpenMMException, unit

from camlip.engine import Model
from camlip.errors import EngineError
from camlip.openmm import _bind

if TYPE_CHECKING:
    from openmm import app


class MLIPForce(openmm.Force):
    """Energies and forces of a camlip model.

    On the platforms Reference and CPU the engine is called directly; on OpenCL, CUDA and HIP the
    positions come to the host for every step.  On CPU the engine has as many threads as OpenMM
    (the property Threads), elsewhere what OpenMP would use (OMP_NUM_THREADS).

    Args:
        modelFile: an exported model.  The file is opened again when a Context is made.  XML and
            pickles hold its path and checksum, not its content.
        topology: gives the elements, whether the force is periodic, and the bonds.
        elements: instead of the topology's, for each of ``particles`` or, without these, for
            each particle of the System: symbols, atomic numbers or OpenMM's elements.
        particles: indices of the atoms of the model; default: all.  The rest of the System is
            not seen by the model.
        periodic: whether the force uses the periodic box; default: whether the topology has one.
            Any box will do, also one smaller than the cutoff.
        bonds: whether atoms that the topology bonds belong to one molecule.  Bonds have no energy:
            barostats move molecules as a whole, and OpenMM wraps them as a whole.  Say False for
            crystals and frameworks whose bonds run through the whole box, for a barostat must
            stretch these.
        precision: ``mixed`` (float32 with float64 sums) or ``double``, on every platform.
        backend: of the engine: ``auto``, ``cuda``, ``cpu`` or ``reference``. On the platform CUDA
            ``auto`` is ``cuda`` where that can run, and ``cpu`` and ``reference`` run on the host.
        scaleParameter: name of a Context parameter that multiplies energy and forces.

    Raises:
        OpenMMException: if the file is not a model, or if it does not know an element.
        ValueError: if elements or periodicity are neither given nor in the topology.

    >>> force = MLIPForce("water.pt", elements=["O", "H", "H"], periodic=False)  # doctest: +SKIP
    >>> system.addForce(force)                                                   # doctest: +SKIP
    """

    def __init__(
        self,
        modelFile: str | os.PathLike[str],
        topology: app.Topology | None = None,
        *,
        elements: Sequence[Any] | None = None,
        particles: Iterable[int] | None = None,
        periodic: bool | None = None,
        bonds: bool = True,
        precision: str = "mixed",
        backend: str = "auto",
        scaleParameter: str | None = None,
    ) -> None:
        # Not super().__init__(): OpenMM's Python module makes no Force of a class that it does
        # not know, except from XML.
        self.this = openmm.XmlSerializer.deserialize('<Force type="MLIPForce" version="1"/>').this
        chosen = None if particles is None else [int(i) for i in particles]
        if elements is None and topology is None:
            raise ValueError(
                "MLIPForce: neither topology nor elements are given, expected one of them"
            )
        if periodic is None:
            if topology is None:
                raise ValueError(
                    "MLIPForce: neither topology nor periodic is given, expected one of them; say "
                    "periodic=True or periodic=False"
                )
            periodic = topology.getPeriodicBoxVectors() is not None
        if chosen is not None and not chosen:
            raise ValueError("MLIPForce: particles is empty, expected at least one index")
        self.setModelFile(modelFile)
        if elements is None:
            assert topology is not None
            elements = _elements(topology, chosen)
        self.setAtoms([_number(element) for element in elements], chosen)
        if topology is not None and bonds:
            self.setBonds(_bonds(topology, chosen))
        self.setUsesPeriodicBoundaryConditions(periodic)
        self.setPrecision(precision)
        self.setBackend(backend)
        if scaleParameter is not None:
            self.setScaleParameter(scaleParameter)
        self._check_elements()

    @staticmethod
    def isinstance(force: openmm.Force) -> bool:
        """Whether a force, also a plain ``openmm.Force`` out of a System, is a MLIPForce."""
        return _bind.is_mlip_force(_address(force))

    @classmethod
    def cast(cls, force: openmm.Force) -> MLIPForce:
        """The MLIPForce that ``System.getForce`` returned as a plain ``openmm.Force``.

        Raises:
            TypeError: if it is another force.
        """
        if not cls.isinstance(force):
            raise TypeError(f"force: '{force.getName()}' is not a MLIPForce")
        same = cls.__new__(cls)
        same.this = force.this
        return same

    def getModelFile(self) -> str:
        """Absolute path of the model."""
        return _bind.get_model_file(_address(self))

    def setModelFile(self, file: str | os.PathLike[str]) -> None:
        """Take another model; a Context notices at ``updateParametersInContext``.

        Raises:
            OpenMMException: if the file is missing or is not a model.
        """
        model = _model(file)
        _bind.set_model_file(_address(self), os.path.abspath(model.path))
        _bind.set_model_sha256(_address(self), str(model.metadata["sha256"]))

    def getModelSha256(self) -> str:
        """Checksum of the model's tensors; a Context refuses a file that has another one."""
        return _bind.get_model_sha256(_address(self))

    def getParticles(self) -> list[int]:
        """Indices of the atoms of the model; empty: all particles of the System."""
        return _bind.get_particles(_address(self))

    def getAtomicNumbers(self) -> list[int]:
        """Atomic number of each atom of the model."""
        return _bind.get_atomic_numbers(_address(self))

    def setAtoms(self, elements: Iterable[Any], particles: Iterable[int] | None = None) -> None:
        """Say which particles are the atoms of the model, and their elements.

        Args:
            elements: symbols, atomic numbers or OpenMM's elements.
            particles: indices, as many; None: all of the System.
        """
        numbers = [_number(element) for element in elements]
        indices = [] if particles is None else [int(i) for i in particles]
        _bind.set_atoms(_address(self), indices, numbers)

    def getBonds(self) -> list[tuple[int, int]]:
        """Pairs of particles that belong to one molecule."""
        return _bind.get_bonds(_address(self))

    def setBonds(self, bonds: Iterable[tuple[int, int]]) -> None:
        """Say which pairs of particles belong to one molecule; they have no energy."""
        _bind.set_bonds(_address(self), [(int(i), int(j)) for i, j in bonds])

    def setUsesPeriodicBoundaryConditions(self, periodic: bool) -> None:
        """Say whether the model sees periodic images."""
        _bind.set_periodic(_address(self), bool(periodic))

    def getPrecision(self) -> str:
        """``mixed`` or ``double``."""
        return _bind.get_precision(_address(self))

    def setPrecision(self, precision: str) -> None:
        """``mixed`` or ``double``."""
        _bind.set_precision(_address(self), precision)

    def getBackend(self) -> str:
        """Backend of the engine."""
        return _bind.get_backend(_address(self))

    def setBackend(self, backend: str) -> None:
        """Backend of the engine: ``auto``, ``cuda``, ``cpu`` or ``reference``."""
        _bind.set_backend(_address(self), backend)

    def getScaleParameter(self) -> str:
        """Name of the Context parameter that multiplies energy and forces; empty: none."""
        return _bind.get_scale_parameter(_address(self))

    def getDefaultScale(self) -> float:
        """Value of that parameter in a new Context."""
        return _bind.get_default_scale(_address(self))

    def setScaleParameter(self, name: str, defaultValue: float = 1.0) -> None:
        """Multiply energy and forces by a Context parameter; an empty name: do not."""
        _bind.set_scale_parameter(_address(self), name, float(defaultValue))

    def getComputesScaleDerivative(self) -> bool:
        """Whether States can contain the derivative with respect to the scale parameter."""
        return _bind.get_computes_scale_derivative(_address(self))

    def addEnergyParameterDerivative(self, name: str) -> None:
        """Have the derivative of the energy with respect to the scale parameter computed.

        It is then in ``State.getEnergyParameterDerivatives()``, on the platforms Reference and
        CPU; the model is evaluated even where the parameter is 0.

        Raises:
            ValueError: if ``name`` is not the scale parameter.
        """
        if not name or name != self.getScaleParameter():
            raise ValueError(
                f"MLIPForce: energy parameter '{name}', expected the scale parameter "
                f"'{self.getScaleParameter()}'; set it with setScaleParameter"
            )
        _bind.set_computes_scale_derivative(_address(self), True)

    def updateParametersInContext(self, context: openmm.Context) -> None:
        """Take model, atoms, periodicity, precision and backend to a Context that is running.

        Raises:
            OpenMMException: if the Context has no such force, or as when a Context is made.
        """
        _bind.update_parameters_in_context(_address(self), _address(context))

    def getAtomicEnergies(self, context: openmm.Context) -> unit.Quantity:
        """Energy of each atom of the model at the positions of a Context.

        Args:
            context: made with this force in its System.

        Returns:
            Shape (N,), kJ/mol, in the order of the particles; with the reference energies of the
            elements, and not multiplied by the scale parameter.
        """
        energies = _bind.get_atomic_energies(_address(self), _address(context))
        return unit.Quantity(np.array(energies), unit.kilojoules_per_mole)

    def getEngine(self, context: openmm.Context) -> str:
        """Backend of the engine that runs in a Context: ``cpu``, ``cuda`` or ``reference``.

        On the platform CUDA ``cuda`` means that the model runs on the device, in OpenMM's stream,
        and anything else that it runs on the host, with copies in every step.
        """
        return _bind.get_engine(_address(self), _address(context))

    def __copy__(self) -> MLIPForce:
        """A force with the same parameters, in no System."""
        return self.cast(openmm.XmlSerializer.clone(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> MLIPForce:
        """The same as a copy."""
        return copy.copy(self)

    def __getstate__(self) -> str:
        """XML, for pickle."""
        return openmm.XmlSerializer.serialize(self)

    def __setstate__(self, state: str) -> None:
        """From XML, for pickle."""
        self.this = openmm.XmlSerializer.deserialize(state).this

    def _check_elements(self) -> None:
        """Tell of an element that the model lacks now, not when a Context is made."""
        try:
            _model(self.getModelFile()).types(self.getAtomicNumbers())
        except EngineError as error:
            raise OpenMMException(f"MLIPForce: {error}") from error


def _address(thing: Any) -> int:
    return int(thing.this)


def _model(file: str | os.PathLike[str]) -> Model:
    try:
        return Model(file)
    except EngineError as error:
        raise OpenMMException(f"MLIPForce: {error}") from error


def _number(element: Any) -> int:
    """Atomic number of a symbol, a number or an ``openmm.app.Element``.

    >>> _number("Si"), _number(8)
    (14, 8)
    """
    if isinstance(element, str):
        if element not in _numbers_of_symbols:
            raise ValueError(f"MLIPForce: '{element}' is no element, expected a symbol such as Si")
        return int(_numbers_of_symbols[element])
    return int(getattr(element, "atomic_number", element))


def _elements(topology: app.Topology, particles: list[int] | None) -> list[Any]:
    atoms = list(topology.atoms())
    for i in particles or ():
        if not 0 <= i < len(atoms):
            raise ValueError(
                f"MLIPForce: particle {i} is not in the topology, expected 0 to {len(atoms) - 1}"
            )
    chosen = atoms if particles is None else [atoms[i] for i in particles]
    for atom in chosen:
        if atom.element is None:
            raise ValueError(
                f"MLIPForce: atom {atom.index} ('{atom.name}' of residue '{atom.residue.name}') "
                "has no element, expected one for each atom of the model; give particles without "
                "it, or elements"
            )
    return [atom.element for atom in chosen]


def _bonds(topology: app.Topology, particles: list[int] | None) -> list[tuple[int, int]]:
    pairs = [(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()]
    if particles is None:
        return pairs
    inside = set(particles)
    return [(i, j) for i, j in pairs if i in inside and j in inside]
