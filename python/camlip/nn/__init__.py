"""The mathematics of the models: pure functions first, then modules that hold parameters."""

from camlip.nn.contraction import Contraction, contraction_paths, coupling
from camlip.nn.messages import MessageMoments, Messages
from camlip.nn.moments import edge_slots, moments
from camlip.nn.radial import RadialNetwork, bessel, envelope
from camlip.nn.readout import Invariants, Readout
from camlip.nn.stf import stf_basis, stf_tensors
from camlip.nn.zbl import ZBL

__all__ = [
    "ZBL",
    "Contraction",
    "Invariants",
    "MessageMoments",
    "Messages",
    "RadialNetwork",
    "Readout",
    "bessel",
    "contraction_paths",
    "coupling",
    "edge_slots",
    "envelope",
    "moments",
    "stf_basis",
    "stf_tensors",
]
