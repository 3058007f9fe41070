"""Where the labels of a file are, and in which units."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from ase import units

from camlip.data.structure import DataError

ENERGY_UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "Hartree": units.Hartree,
    "Ry": units.Rydberg,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
}
LENGTH_UNITS = {"Ang": 1.0, "Bohr": units.Bohr, "nm": 10.0}
STRESS_UNITS = {
    "eV/A^3": 1.0,
    "GPa": units.GPa,
    "kbar": 0.1 * units.GPa,
    "MPa": 1e-3 * units.GPa,
    "Hartree/Bohr^3": units.Hartree / units.Bohr**3,
}
VIRIAL_SIGNS = {"sum_r_f": -1.0, "negative": 1.0}


@dataclass(frozen=True)
class LabelKeys:
    """Names of the labels in ``atoms.info`` / ``atoms.arrays`` / the ASE calculator, and units.

    The defaults also accept what ASE itself parsed (a ``SinglePointCalculator``) in frames that
    carry none of the default keys.  A name given explicitly must exist in the file; it is looked
    up in ``info``, then ``arrays``, then the calculator results (so ``energy="free_energy"``
    works for VASP output).

    Attributes:
        energy: total energy.
        energy_per_atom: energy divided by the number of atoms; wins over ``energy``.
        forces: per-atom forces, (n, 3); rows of NaN are atoms without a label.
        stress: 6 numbers in ASE Voigt order (xx, yy, zz, yz, xz, xy), 9, or (3, 3), ASE sign.
        virial: total virial in ``energy_unit``, shapes as for ``stress``; wins over ``stress``.
        virial_convention: ``"sum_r_f"`` is W = sum r (x) F = -stress * volume, ``"negative"`` is
            the opposite sign.
        config_type: group of the structure.
        weight: factor in the loss.
        energy_unit: eV, meV, Hartree, Ry, kcal/mol or kJ/mol.
        length_unit: Ang, Bohr or nm, of the positions and the cell as ASE returns them;
            forces are in ``energy_unit / length_unit``.
        stress_unit: eV/A^3, GPa, kbar, MPa or Hartree/Bohr^3.

    Raises:
        DataError: for a unit or convention that is not known.

    >>> LabelKeys(energy="dft_energy", stress_unit="GPa").energy
    'dft_energy'
    >>> LabelKeys(stress_unit="gpa")
    Traceback (most recent call last):
    camlip.data.structure.DataError: label keys: stress_unit 'gpa' is not known; did you mean \
'GPa'? choices: eV/A^3, GPa, kbar, MPa, Hartree/Bohr^3
    """

    energy: str = "REF_energy"
    energy_per_atom: str | None = None
    forces: str = "REF_forces"
    stress: str = "REF_stress"
    virial: str | None = None
    virial_convention: str = "sum_r_f"
    config_type: str = "config_type"
    weight: str = "weight"
    energy_unit: str = "eV"
    length_unit: str = "Ang"
    stress_unit: str = "eV/A^3"

    def __post_init__(self) -> None:
        """Check units and conventions, so that nothing else needs to."""
        for name, choices in (
            ("virial_convention", VIRIAL_SIGNS),
            ("energy_unit", ENERGY_UNITS),
            ("length_unit", LENGTH_UNITS),
            ("stress_unit", STRESS_UNITS),
        ):
            value = getattr(self, name)
            if value not in choices:
                raise DataError(
                    f"label keys: {name} {value!r} is not known; {did_you_mean(value, choices)}"
                    f"choices: {', '.join(choices)}"
                )

    def is_default(self, label: str) -> bool:
        """Whether the name of a label (``"energy"``, ``"forces"`` ...) is the default one."""
        return getattr(self, label) == getattr(LabelKeys, label)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggestion for an error message, or the empty string.

    >>> did_you_mean("REF_force", ["REF_forces", "positions"])
    "did you mean 'REF_forces'? "
    """
    lower = {str(k).lower(): str(k) for k in known}
    close = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.6)
    return f"did you mean {lower[close[0]]!r}? " if close else ""


def add_label_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--keys NAME=VALUE ...``, shared by every command that reads structures."""
    parser.add_argument(
        "--keys",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="label names and units in the file, for example energy=dft_energy forces=dft_forces "
        "stress_unit=GPa virial=virial; names: "
        + ", ".join(f.name for f in dataclasses.fields(LabelKeys)),
    )


def label_keys_from_args(args: argparse.Namespace) -> LabelKeys:
    """Build :class:`LabelKeys` from the options of :func:`add_label_key_arguments`.

    Raises:
        DataError: for a word without ``=`` or a name that is no field of :class:`LabelKeys`.

    >>> parser = argparse.ArgumentParser()
    >>> add_label_key_arguments(parser)
    >>> label_keys_from_args(parser.parse_args(["--keys", "energy=E", "stress_unit=kbar"])).energy
    'E'
    """
    names = [f.name for f in dataclasses.fields(LabelKeys)]
    values: dict[str, str] = {}
    for word in getattr(args, "keys", None) or []:
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise DataError(f"--keys: expected NAME=VALUE, got {word!r}")
        if name not in names:
            raise DataError(
                f"--keys: {name!r} is not a label; {did_you_mean(name, names)}"
                f"names: {', '.join(names)}"
            )
        values[name] = value
    return LabelKeys(**values)
