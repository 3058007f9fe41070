"""Comparisons with other potentials; workers run in the Python of the peer."""
