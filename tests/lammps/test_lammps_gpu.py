"""``pair_style mlip engine cuda``: the numbers of the CPU, on one rank and on several."""

import numpy as np
import pytest

import lammps_driver as driver
from camlip.engine import BackendError, Engine, Model

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


@pytest.mark.gpu
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("preset", ["small", "medium"])
def test_ranks_on_one_device_agree_with_the_cpu(structures, random_model, tmp_path, preset, ranks):
    file = random_model(preset)
    try:
        Engine(Model(str(file)), "cuda", active_types=[0])
    except BackendError as error:
        pytest.skip(str(error))
    driver.write_data(tmp_path / "bulk.data", structures["bulk"])
    (tmp_path / "model.pt").write_bytes(file.read_bytes())
    expected = numbers(driver.run(DECK.format(engine="cpu"), tmp_path))
    found = numbers(driver.run(DECK.format(engine="cuda:0"), tmp_path, ranks=ranks))
    np.testing.assert_allclose(found, expected, rtol=1e-7)
