"""camlip models as a force of OpenMM.

>>> from camlip.openmm import MLIPForce                                  # doctest: +SKIP
>>> force = MLIPForce("water.pt", topology)                              # doctest: +SKIP
>>> system.addForce(force)                                               # doctest: +SKIP

Importing this loads OpenMM and the plugin for its platforms; it is an ImportError where OpenMM is
missing or is not of the version that the plugin was built for.
"""

# The order matters: the first checks the version before anything native is loaded.
from camlip.openmm._load import KJ_PER_MOL_PER_EV, NM_PER_ANGSTROM, OPENMM_VERSION
from camlip.openmm.force import MLIPForce

__all__ = ["KJ_PER_MOL_PER_EV", "NM_PER_ANGSTROM", "OPENMM_VERSION", "MLIPForce"]
