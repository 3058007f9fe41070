"""Checks OpenMM's version, then loads the plugin: libraries, Python module, kernels."""

from __future__ import annotations

import os
import warnings

# A plugin built for one minor version of OpenMM crashes in another, so this comes before any
# native code.  The same range is in pyproject.toml and openmm_plugin/FindOpenMM.cmake.
OPENMM_VERSION = "8.6"

try:
    import openmm as _openmm
except ImportError as error:
    raise ImportError(
        f"camlip.openmm: OpenMM is not installed or does not load ({error}), expected version "
        f"{OPENMM_VERSION}; pip install 'camlip[openmm]'"
    ) from error

_found = _openmm.version.short_version
if _found.split(".")[:2] != OPENMM_VERSION.split("."):
    raise ImportError(
        f"camlip.openmm: OpenMM {_found} is installed, expected version {OPENMM_VERSION}, for "
        f"which this camlip was built; pip install 'openmm=={OPENMM_VERSION}.*'"
    )

try:
    from camlip.openmm import _bind
except ImportError as error:
    raise ImportError(
        f"camlip.openmm: the plugin is missing or does not load ({error}), expected the module "
        "_bind; camlip was built where OpenMM was not installed, or in another environment; "
        "install camlip anew"
    ) from error

KJ_PER_MOL_PER_EV: float = _bind.KJ_PER_MOL_PER_EV
NM_PER_ANGSTROM: float = _bind.NM_PER_ANGSTROM

# Of _bind, not of this file: in an editable installation these are different places.
_folder = os.path.dirname(os.path.abspath(_bind.__file__))
_openmm.Platform.loadPluginLibrary(os.path.join(_folder, "libCamlipOpenMMReference.so"))


def _load_cuda() -> str:
    """Loads the kernel of the platform CUDA; returns why it cannot run there, or nothing."""
    path = os.path.join(_folder, "libCamlipOpenMMCUDA.so")
    if not os.path.exists(path):
        return "camlip was built without nvcc"
    try:
        _openmm.Platform.loadPluginLibrary(path)
    except Exception as error:  # OpenMM's and those of the loader
        return str(error)
    return ""


_platforms = {
    _openmm.Platform.getPlatform(i).getName() for i in range(_openmm.Platform.getNumPlatforms())
}
if "CUDA" in _platforms:
    _reason = _load_cuda()
    if _reason:
        warnings.warn(
            f"camlip.openmm: platform CUDA: the kernel of this package does not load ({_reason}); "
            "models run on the host there",
            RuntimeWarning,
            stacklevel=2,
        )
