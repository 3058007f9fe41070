"""camlip: machine-learning interatomic potentials, from quantum-mechanical data to production MD."""

__version__ = "0.1.0"
