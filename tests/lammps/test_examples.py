"""Every deck in examples/lammps runs, on one rank and on two."""

from pathlib import Path

import pytest

import lammps_driver as driver

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "lammps"
SMALL = {"steps": 4, "cells": 2, "side": 2, "molecule": EXAMPLES / "h2o.mol"}


def test_every_deck_is_in_the_table():
    table = (EXAMPLES / "README.md").read_text()
    decks = sorted(EXAMPLES.glob("*.in"))
    assert decks
    for deck in decks:
        assert f"`{deck.name}`" in table


@pytest.mark.parametrize("deck", sorted(EXAMPLES.glob("*.in")), ids=lambda path: path.stem)
def test_deck_runs(deck, random_model, tmp_path):
    elements = "O,H" if "water" in deck.read_text() else "Si"
    model = random_model("small", elements, cutoff=4.0)
    stdout = driver.run(deck, tmp_path, variables={**SMALL, "model": model})
    assert "pair_style mlip: model" in stdout
    assert "Total wall time" in stdout


def test_deck_on_two_ranks(random_model, tmp_path):
    variables = {**SMALL, "model": random_model("small", "Si", cutoff=4.0)}
    stdout = driver.run(EXAMPLES / "silicon_nve.in", tmp_path, ranks=2, variables=variables)
    assert "on 2 procs for 4 steps" in stdout


def test_a_model_that_comes_with_camlip(tmp_path):
    variables = {**SMALL, "model": "camlip:silicon"}
    stdout = driver.run(EXAMPLES / "silicon_nve.in", tmp_path, ranks=2, variables=variables)
    assert "pair_style mlip: model 'camlip:silicon'" in stdout
