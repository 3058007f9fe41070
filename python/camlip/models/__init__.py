"""Model architectures.  To add one: a module here, a line in ``ARCHITECTURES``."""

from camlip.models.base import Potential, evaluate
from camlip.models.cartesian_moments import CartesianMoments, CartesianMomentsConfig, preset

ARCHITECTURES = {"cartesian_moments": (CartesianMoments, CartesianMomentsConfig)}

__all__ = [
    "ARCHITECTURES",
    "CartesianMoments",
    "CartesianMomentsConfig",
    "Potential",
    "evaluate",
    "preset",
]
