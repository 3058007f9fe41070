"""``pair_style mlip engine cuda`` on a device that is emulated on the host (build/cpp, ``make
test-cpp``): lists without LAMMPS, the exchange of the boundary alone, ranks and devices.

The same on a device: test_lammps_gpu.py.
"""

from pathlib import Path

import numpy as np
import pytest

import camlip
import lammps_driver as driver
from model_zoo import zoo

ROOT = Path(__file__).resolve().parent.parent.parent
EMULATED = ROOT / "build" / "cpp" / "tests" / "cpp" / "emulated" / "libcamlip_cuda.so"

pytestmark = pytest.mark.skipif(
    not EMULATED.exists(), reason="the emulated device is not built: make test-cpp"
)

MOVE = """
velocity all create 600 4711 loop all mom yes
fix integrate all nve
neigh_modify every 2 delay 0 check yes
run 6 post no
"""
STILL = "run 0 post no"


@pytest.fixture(autouse=True)
def emulated_library(tmp_path, monkeypatch):
    """Beside libcamlip.so, as the one of a GPU would be."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libcamlip.so").symlink_to(Path(camlip.__file__).parent / "lib" / "libcamlip.so")
    (folder / "libcamlip_cuda.so").symlink_to(EMULATED)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "tiny.camlip"
    path.write_bytes(zoo("tiny").block)
    return path


CASES = {
    "bulk": ("bulk", {"after": MOVE + STILL}),
    "triclinic": ("triclinic", {"after": STILL}),
    "tiny": ("tiny", {"after": STILL}),
    "slab, tiled": ("slab", {"before": "boundary p p f\ncomm_style tiled", "after": STILL}),
    "cluster": ("cluster", {"before": "boundary f s m", "after": STILL}),
}


@pytest.mark.parametrize("case", CASES)
def test_ranks_on_one_device_agree_with_the_cpu(structures, model, tmp_path, case):
    structure, options = CASES[case]

    def run(engine: str, ranks: int) -> driver.State:
        data = driver.write_data(tmp_path / "data", structures[structure])
        style = f"engine {engine} precision double"
        deck = driver.deck("state", data, model, style=style, **options)
        return driver.State.read("state", driver.run(deck, tmp_path, ranks=ranks), tmp_path)

    expected = run("cpu", 1)
    for ranks in (1, 2, 4):
        found = run("cuda", ranks)
        driver.assert_same(found, expected, tolerance=1e-7)


def test_a_list_without_some_pairs_is_that_of_lammps(structures, model, tmp_path):
    data = driver.write_data(tmp_path / "data", structures["bulk"])

    def run(engine: str, ranks: int, setup: str) -> driver.State:
        style = f"engine {engine} precision double"
        # Not from the screen, where the lines of two ranks may run into each other.
        deck = driver.deck("state", data, model, style=style, setup=f"log run.log\n{setup}")
        output = driver.run(deck, tmp_path, ranks=ranks)
        log = (tmp_path / "run.log").read_text()
        told = "neighbor lists are made by LAMMPS, because of neigh_modify exclude" in log
        assert told == (engine == "cuda")
        return driver.State.read("state", output, tmp_path)

    exclude = "neigh_modify exclude type 1 2"
    found = run("cuda", 2, exclude)
    driver.assert_same(found, run("cpu", 1, exclude), tolerance=1e-7)
    everything = run("cpu", 1, "")
    assert np.abs(everything.forces - found.forces).max() > 1e-2


@pytest.mark.parametrize("kind", ["hybrid", "hybrid/overlay"])
def test_hybrid(structures, model, tmp_path, kind):
    data = driver.write_data(tmp_path / "data", structures["bulk"])
    deck = """units metal
read_data {data}
pair_style {kind} mlip engine {engine} precision double lj/cut 4.0
pair_coeff * * mlip {model} Si NULL
pair_coeff 1 2 lj/cut 0.01 2.0
pair_coeff 2 2 lj/cut 0.01 2.0
thermo_style custom step pe pxx pyy pzz pxy
thermo_modify format float %.12g
run 0
"""
    values = {}
    for engine, ranks in (("cpu", 1), ("cuda", 1), ("cuda", 2)):
        text = deck.format(data=data, kind=kind, model=model, engine=engine)
        lines = driver.run(text, tmp_path, ranks=ranks).splitlines()
        told = "neighbor lists are made by LAMMPS, because of pair_style hybrid"
        assert any(told in line for line in lines) == (engine == "cuda")
        row = next(n for n, line in enumerate(lines) if line.split()[:2] == ["Step", "PotEng"])
        values[engine, ranks] = np.array(lines[row + 1].split(), dtype=float)
    for found in values.values():
        np.testing.assert_allclose(found, values["cpu", 1], rtol=1e-9, atol=1e-6)


def summary(folder, model, structures, style, ranks=1) -> str:
    data = driver.write_data(folder / "data", structures["tiny"])
    return driver.run(
        f"units metal\nread_data {data}\npair_style mlip {style}\n"
        f"pair_coeff * * {model} Si O\nrun 0\n",
        folder,
        ranks=ranks,
    )


def test_auto_takes_a_device_where_it_is_asked_to(structures, model, tmp_path, monkeypatch):
    monkeypatch.delenv("CAMLIP_BACKEND")
    assert "engine cpu (" in summary(tmp_path, model, structures, "engine auto")
    monkeypatch.setenv("CAMLIP_BACKEND", "auto")
    assert "engine cuda (" in summary(tmp_path, model, structures, "")
    assert "engine cpu (" in summary(tmp_path, model, structures, "engine cpu")
    monkeypatch.setenv("CAMLIP_BACKEND", "cpu")
    assert "engine cpu (" in summary(tmp_path, model, structures, "engine auto")
    monkeypatch.setenv("CAMLIP_BACKEND", "auto")
    monkeypatch.setenv("CAMLIP_EMULATED_DEVICES", "0")
    assert "engine cpu (" in summary(tmp_path, model, structures, "", ranks=2)


def test_ranks_take_the_devices_of_a_node_in_turn(structures, model, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMLIP_EMULATED_DEVICES", "2")
    text = summary(tmp_path, model, structures, "engine cuda", ranks=3)
    assert "devices: 2 for 3 ranks of this node" in text
    assert "devices: number 1 for 1 rank " in summary(
        tmp_path, model, structures, "engine cuda device 1"
    )
    done = driver.run_raw(
        f"units metal\nread_data data\npair_style mlip engine cuda device 2\n"
        f"pair_coeff * * {model} Si O\n",
        tmp_path,
        ranks=2,
    )
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("ERROR") == 1
    assert "backend 'cuda': no CUDA device 2" in done.stdout + done.stderr


def test_memory_is_told_before_the_first_step(structures, model, tmp_path, monkeypatch):
    text = summary(tmp_path, model, structures, "engine cuda", ranks=2)
    assert "memory: about 0.0" in text
    assert "GB of a device, which has 1.07 GB left" in text
    monkeypatch.setenv("CAMLIP_EMULATED_MEMORY", "3000000")
    done = driver.run_raw(
        "units metal\nread_data data\nreplicate 6 6 6\npair_style mlip engine cuda\n"
        f"pair_coeff * * {model} Si O\nrun 0\n",
        tmp_path,
        ranks=2,
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert output.count("ERROR") == 1
    assert "648 atoms need about" in output
    assert "of memory on a device of 2 ranks, it has 0.0" in output
    assert "use more devices, a smaller system or a smaller skin" in output


def test_without_a_device_there_is_one_polite_error(structures, model, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMLIP_EMULATED_DEVICES", "0")
    driver.write_data(tmp_path / "data", structures["tiny"])
    done = driver.run_raw(
        f"units metal\nread_data data\npair_style mlip engine cuda\npair_coeff * * {model} Si O\n",
        tmp_path,
        ranks=3,
    )
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("ERROR") == 1
    assert "no CUDA device" in done.stdout + done.stderr
