"""``pair_style mlip engine cuda``: the numbers of the CPU, on one rank and on several."""

import numpy as np
import pytest

import lammps_driver as driver
from camlip.engine import BackendError, Engine
from model_zoo import zoo

DECK = """units metal
read_data bulk.data
pair_style mlip engine {engine} precision double
pair_coeff * * model.pt Si O
velocity all create 600 4711 loop all mom yes
fix integrate all nve
neigh_modify every 2 delay 0 check yes
thermo_style custom step pe pxx pyy pzz pxy
thermo_modify format float %.12g
run 12
"""


def numbers(output: str) -> np.ndarray:
    lines = output.splitlines()
    start = max(n for n, line in enumerate(lines) if line.split()[:2] == ["Step", "PotEng"])
    rows = [line.split() for line in lines[start + 1 : start + 3]]
    return np.array(rows, dtype=float)


def why_no_device() -> str:
    try:
        Engine(zoo("tiny").model, "cuda", active_types=[0])
    except BackendError as error:
        return str(error)
    return ""


NO_DEVICE = why_no_device()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(NO_DEVICE), reason=NO_DEVICE)]


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("preset", ["small", "medium"])
def test_ranks_on_one_device_agree_with_the_cpu(structures, random_model, tmp_path, preset, ranks):
    file = random_model(preset)
    driver.write_data(tmp_path / "bulk.data", structures["bulk"])
    (tmp_path / "model.pt").write_bytes(file.read_bytes())
    expected = numbers(driver.run(DECK.format(engine="cpu"), tmp_path))
    found = numbers(driver.run(DECK.format(engine="cuda"), tmp_path, ranks=ranks))
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_atoms_away_from_the_boundary_are_right(structures, tmp_path, ranks):
    """They are computed while the features of the others travel."""
    model = tmp_path / "tiny.camlip"
    model.write_bytes(zoo("tiny").block)
    data = driver.write_data(tmp_path / "data", structures["bulk"])
    states = []
    for engine, count in (("cpu", 1), ("cuda", ranks)):
        style = f"engine {engine} precision double"
        setup = "replicate 3 3 3\ndisplace_atoms all random 0.05 0.05 0.05 8713"
        deck = driver.deck("state", data, model, style=style, setup=setup)
        output = driver.run(deck, tmp_path, ranks=count)
        states.append(driver.State.read("state", output, tmp_path))
    assert len(states[0].forces) == 27 * len(structures["bulk"])
    driver.assert_same(states[1], states[0], tolerance=1e-6)


def test_pairs_left_out_stay_left_out(structures, tmp_path):
    model = tmp_path / "tiny.camlip"
    model.write_bytes(zoo("tiny").block)
    data = driver.write_data(tmp_path / "data", structures["bulk"])
    states = []
    for engine, count in (("cpu", 1), ("cuda", 2)):
        style = f"engine {engine} precision double"
        setup = "neigh_modify exclude type 1 2"
        deck = driver.deck("state", data, model, style=style, setup=setup)
        output = driver.run(deck, tmp_path, ranks=count)
        states.append(driver.State.read("state", output, tmp_path))
    driver.assert_same(states[1], states[0], tolerance=1e-7)


def test_the_log_tells_the_device_and_its_memory(structures, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMLIP_BACKEND", "auto")
    (tmp_path / "model.pt").write_bytes(zoo("tiny").block)
    driver.write_data(tmp_path / "bulk.data", structures["bulk"])
    output = driver.run(DECK.format(engine="auto"), tmp_path, ranks=2)
    assert "engine cuda (double precision" in output
    assert "for 2 ranks of this node; neighbor lists are made there" in output
    assert "memory: about" in output
