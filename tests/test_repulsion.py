"""The pair repulsion keeps out of the distances that the training data hold."""

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.data import covalent_radii

from camlip.data import Dataset, collate, shortest_distances, structure_from_atoms
from camlip.models import CartesianMoments, preset
from camlip.nn import ZBL
from camlip.nn.zbl import MARGIN
from camlip.train import Trainer, load_checkpoint
from camlip.train.command import repulsion
from camlip.train.finetune.start import with_elements
from train_tools import config


def rattled(atoms, count=5):
    frames = []
    for seed in range(count):
        frame = atoms.copy()
        frame.rattle(0.05, seed=seed)
        frames.append(structure_from_atoms(frame))
    return frames


CASES = {
    "ethanol": molecule("CH3CH2OH"),
    "copper": bulk("Cu", "fcc", 3.6, cubic=True),
    "rock salt": bulk("MgO", "rocksalt", 4.2),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_zero_on_the_data_and_rises_below(name):
    numbers = sorted({int(z) for z in CASES[name].numbers})
    dataset = Dataset(rattled(CASES[name]), numbers, 5.0, progress=False)
    shortest = shortest_distances(dataset)
    assert np.array_equal(shortest, shortest.T)
    zbl = ZBL(numbers, 5.0)
    batch = collate([dataset[k] for k in range(len(dataset))])
    distances = batch.edge_vectors().norm(dim=1).double()
    centers, neighbors = batch.types[batch.edge_index[0]], batch.types[batch.edge_index[1]]
    assert float(distances.min()) == pytest.approx(shortest.min())
    # Bonds are about as long as the sum of covalent radii, so this is where it begins.
    assert float(zbl(distances, centers, neighbors).abs().max()) > 0
    zbl.end_before(torch.from_numpy(shortest))
    assert float(zbl(distances, centers, neighbors).abs().max()) == 0
    reach = zbl.radii[:, None] + zbl.radii[None, :]
    assert bool((reach <= MARGIN * torch.from_numpy(shortest) + 1e-12).all())
    assert float((reach / torch.from_numpy(shortest)).max()) == pytest.approx(MARGIN)
    one = torch.tensor([0])
    assert float(zbl(torch.tensor([0.3 * float(reach[0, 0])]), one, one)) > 1


def test_pairs_that_never_meet_shrink_nothing():
    zbl = ZBL([1, 8], 5.0)
    full = zbl.radii.clone()
    zbl.end_before(torch.full((2, 2), torch.inf))
    assert torch.equal(zbl.radii, full)
    zbl.end_before(torch.tensor([[torch.inf, torch.inf], [torch.inf, 1.0]]))
    assert float(zbl.radii[0]) == covalent_radii[1]
    assert float(zbl.radii[1]) == pytest.approx(0.5 * MARGIN)


def test_a_large_data_set_is_sampled():
    frames = rattled(CASES["copper"], 6)
    dataset = Dataset(frames, [29], 5.0, progress=False)
    every_third = Dataset(frames[::3], [29], 5.0, progress=False)
    assert shortest_distances(dataset, sample=2) == shortest_distances(every_third)


def test_new_elements_of_a_trained_model_keep_out_as_well():
    model = CartesianMoments(preset("small", num_channels=4), [6, 8]).double()
    model.zbl.end_before(torch.tensor([[1.2, 1.1], [1.1, 1.2]]))
    more = with_elements(model, [1, 6, 8])
    assert torch.equal(more.zbl.radii[1:], model.zbl.radii)
    assert more.zbl.charges.tolist() == [1, 6, 8]
    ratio = model.zbl.radii / torch.tensor(covalent_radii[[6, 8]])
    assert float(more.zbl.radii[0] / covalent_radii[1]) == pytest.approx(float(ratio.min()))


def test_a_new_model_takes_the_distances_of_its_data(tmp_path):
    trainer = Trainer(config(tmp_path, train={"epochs": 1}))
    shortest = torch.from_numpy(shortest_distances(trainer.datasets.train))
    radii = trainer.model.zbl.radii
    reach = radii[:, None] + radii[None, :]
    # Copper's covalent radii add up to more than its shortest bond.
    assert float(2 * covalent_radii[29]) > float(shortest.min())
    assert bool((reach <= MARGIN * shortest + 1e-12).all())
    assert trainer.fit()
    saved, _ = load_checkpoint(tmp_path / "run" / "best.ckpt")
    assert torch.equal(saved.zbl.radii, radii)


def test_it_may_reach_to_the_covalent_radii(tmp_path):
    trainer = Trainer(config(tmp_path, model={"zbl_reach": "covalent"}, train={"epochs": 1}))
    assert trainer.model.zbl.radii.tolist() == covalent_radii[[28, 29]].tolist()


def test_where_it_ends_is_told():
    model = CartesianMoments(preset("small"), [1, 8])
    model.zbl.radii.copy_(torch.tensor([0.4, 0.6]))
    assert repulsion(model) == "ZBL below H-H 0.80, H-O 1.00, O-O 1.20 A"
    many = CartesianMoments(preset("small"), list(range(1, 7)))
    many.zbl.radii.copy_(0.1 * torch.arange(1.0, 7.0))
    assert repulsion(many) == "ZBL below H-H 0.20 to C-C 1.20 A"
    assert repulsion(CartesianMoments(preset("small", zbl=False), [1])) == "none (model.zbl)"
