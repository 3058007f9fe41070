"""Fine-tuning: what may change changes, the rest stays to the bit; what is merged is the same."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.io import read, write

from camlip.cli import main
from camlip.data import Dataset, Structure, collate, read_structures
from camlip.engine import Model
from camlip.export import export
from camlip.models import CartesianMoments, evaluate, preset
from camlip.train import Trainer
from camlip.train.checkpoint import load_checkpoint, read_checkpoint
from camlip.train.config import parse_config
from camlip.train.engine import EngineTrainer
from camlip.train.evaluation import EnginePredictor, TorchPredictor, evaluate_dataset
from camlip.train.finetune.command import compare, load_finetune_config
from camlip.train.finetune.levels import LevelSampler, refitted_energies
from camlip.train.finetune.parts import add_heads, build_parts, choose_head, merged
from camlip.train.finetune.schema import LoraConfig
from camlip.train.finetune.start import load_start, shape_of, similar, with_elements
from camlip.train.setup import TrainingError
from train_tools import frames, settings, write_frames

SHAPE = {"cutoff": 4.0, "max_rank": 2, "message_rank": 1, "num_channels": 6, "num_radial": 5}
SHAPE |= {"num_message_radial": 3, "num_hidden": 8, "radial_width": 8, "num_bessel": 5}
SHAPE |= {"num_message_scalars": 3, "num_message_vectors": 2}


def model_of(numbers=(28, 29), seed=0, **changes):
    torch.manual_seed(seed)
    shape = preset("medium", **{**SHAPE, **changes})
    return CartesianMoments(shape, list(numbers), 12.0, [-1.0 - 0.5 * z for z in numbers], 0.7)


def randomize(model, scale=0.1):
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn_like(parameter)


def batch_of(model, atoms=None, dtype=torch.float64):
    structures = read_frames(atoms or frames(4))
    dataset = Dataset(structures, model.atomic_numbers, model.cutoff, progress=False)
    return collate([dataset[k] for k in range(len(dataset))]).to(dtype=dtype)


def read_frames(atoms):
    return [
        Structure(
            a.positions,
            a.numbers.astype(np.int64),
            a.cell.array,
            a.pbc,
            a.info["REF_energy"],
            a.arrays["REF_forces"],
        )
        for a in atoms
    ]


def results(model, batch):
    found = evaluate(model, batch)
    return torch.cat([found["energy"], found["forces"].flatten(), found["virial"].flatten()])


# ---- parts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", [1, 2])
def test_low_rank_updates_begin_at_the_model_and_merge_into_one(heads):
    start = model_of().double()
    batch = batch_of(start)
    lora = LoraConfig(rank=2, alpha=3.0, also=["readout"])
    model = build_parts(deepcopy(start), heads, lora, [])
    torch.testing.assert_close(results(model, batch), results(start, batch), rtol=0, atol=0)
    names = {n for n, p in model.named_parameters() if p.requires_grad}
    assert "parametrizations.mixing.0.down" in names
    assert not any(n.endswith(".original") for n in names)
    assert "block.hidden.bias" not in names
    randomize(model)
    for head in range(heads):
        choose_head(model, head)
        plain = merged(model, head)
        assert set(plain.state_dict()) == set(start.state_dict())
        torch.testing.assert_close(results(plain, batch), results(model, batch))
    assert (results(model, batch) - results(start, batch)).abs().max() > 1e-3


def test_merged_model_is_the_unmerged_one_in_engine_and_export(tmp_path):
    model = build_parts(model_of().double(), 1, LoraConfig(rank=2), [])
    randomize(model)
    batch = batch_of(model)
    expected = evaluate(model, batch)
    # In training the engine gets updated matrices through the graph ...
    trainer = EngineTrainer(model, "reference", "double", 1)
    found = trainer.evaluate(model, batch)
    torch.testing.assert_close(found["energy"], expected["energy"], rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(found["forces"], expected["forces"], rtol=1e-9, atol=1e-9)
    # ... and the file has merged ones.
    export(merged(model), tmp_path / "model.pt")
    predictor = EnginePredictor(Model(tmp_path / "model.pt"), "double", 1, "cpu")
    predictions = list(predictor.predict(read_frames(frames(4))))
    energies = torch.tensor([p.energy for p in predictions], dtype=torch.float64)
    torch.testing.assert_close(energies, expected["energy"], rtol=1e-8, atol=1e-6)


def test_gradients_of_low_rank_updates_through_the_engine():
    model = build_parts(model_of().double(), 2, LoraConfig(rank=2), [])
    randomize(model, 0.05)
    choose_head(model, 1)
    batch = batch_of(model)
    trainer = EngineTrainer(model, "reference", "double", 1)

    def gradients(results):
        model.zero_grad(set_to_none=True)
        (results["forces"].square().sum() + results["interaction_energy"].square().sum()).backward()
        return {n: p.grad for n, p in model.named_parameters() if p.requires_grad}

    expected = gradients(evaluate(model, batch, training=True))
    found = gradients(trainer.evaluate(model, batch))
    for name, value in expected.items():
        if value is None or value.numel() == 0:
            assert found[name] is None or not found[name].any(), name  # the other head
            continue
        scale = float(value.abs().max()) + 1e-12
        torch.testing.assert_close(found[name] / scale, value / scale, rtol=0, atol=1e-4)


def test_frozen_parts_and_names_that_mean_nothing():
    model = build_parts(model_of(), 1, None, ["radial", "layers.*.messages.*"])
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert "radial.hidden_weight" in frozen
    assert "layers.0.radial.bessel_weight" in frozen
    assert "layers.0.messages.weight" in frozen
    assert "radial.pair_embedding" not in frozen
    with pytest.raises(TrainingError, match=r"finetune\.freeze: found 'radials'"):
        build_parts(model_of(), 1, None, ["radials"])
    with pytest.raises(TrainingError, match="leaves nothing to train"):
        build_parts(model_of(), 1, None, ["*"])


# ---- elements and energies -----------------------------------------------------------------


def test_new_elements_begin_as_the_most_similar_one():
    start = model_of((28, 29)).double()
    model = with_elements(start, [28, 29, 47])
    assert similar(47, [28, 29]) == 29
    copper = frames(1)
    assert model.reference_energies.tolist() == [-15.0, -15.5, -15.5]
    torch.testing.assert_close(
        results(model, batch_of(model, copper)), results(start, batch_of(start, copper))
    )
    silver = [a.copy() for a in copper]
    for a, b in zip(silver, copper, strict=True):
        a.numbers[a.numbers == 29] = 47
        a.info, a.arrays["REF_forces"] = b.info, b.arrays["REF_forces"]
    without = model_of((28, 29), zbl=False).double()
    other = with_elements(without, [28, 29, 47])
    torch.testing.assert_close(
        results(other, batch_of(other, silver)), results(without, batch_of(without, copper))
    )
    alone = with_elements(model_of((29,)).double(), [29, 47])
    assert alone.block.contraction.weight.shape[0] == 2


def test_refitted_energies_remove_an_offset_per_element():
    model = model_of().double()
    predictor = TorchPredictor(model)
    structures = read_frames(frames(8))
    offset = {28: 3.25, 29: -117.5}
    shifted = [
        s.replace(energy=p.energy + sum(offset[int(z)] for z in s.atomic_numbers))
        for s, p in zip(structures, predictor.predict(structures), strict=True)
    ]
    dataset = Dataset(shifted, [28, 29], model.cutoff, progress=False)
    found = refitted_energies(model, dataset, range(8)) - model.reference_energies
    np.testing.assert_allclose(found.numpy(), [3.25, -117.5], atol=1e-8)
    # One composition tells the sum alone: the smallest shifts that explain it.
    alloy = Dataset(shifted[1:2], [28, 29], model.cutoff, progress=False)
    found = refitted_energies(model, alloy, [0]) - model.reference_energies
    counts = np.array([1, 3])
    total = float(found.numpy() @ counts)
    assert total == pytest.approx(3.25 - 3 * 117.5, abs=1e-8)
    np.testing.assert_allclose(found.numpy(), total * counts / (counts @ counts), atol=1e-8)


def test_batches_are_of_one_level_and_replay_is_drawn_anew():
    class Sizes:
        num_atoms = np.full(50, 4)

    groups = np.array([0] * 10 + [1] * 30 + [2] * 10)
    sampler = LevelSampler(Sizes(), groups, [1.0, 0.5, 9.0], structures_per_batch=3)
    drawn = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert all(len(set(groups[b])) == 1 for b in batches)
        flat = sorted(k for b in batches for k in b)
        assert [k for k in flat if groups[k] == 0] == list(range(10))
        assert sum(groups[k] == 2 for k in flat) == 10  # not more than there are
        drawn.append([k for k in flat if groups[k] == 1])
        assert len(drawn[-1]) == 5
    assert drawn[0] != drawn[1]


# ---- runs ----------------------------------------------------------------------------------


def shifted_frames(number, seed, offset=5.0):
    """The old data with another zero of the energy and softer forces: another level of theory."""
    result = []
    for atoms in frames(number, seed):
        other = atoms.copy()
        other.info = dict(atoms.info)
        other.info["REF_energy"] = 0.7 * atoms.info["REF_energy"] + offset * len(atoms)
        other.arrays["REF_forces"] = 0.7 * atoms.arrays["REF_forces"]
        other.info["REF_stress"] = 0.7 * atoms.info["REF_stress"]
        result.append(other)
    return result


@pytest.fixture(scope="module")
def old_run(tmp_path_factory):
    """A model trained on the old data, its checkpoint and an exported file."""
    folder = tmp_path_factory.mktemp("old")
    trainer = Trainer(parse_config(settings(folder, train={"epochs": 25, "lr": 0.01})))
    assert trainer.fit()
    write_frames(folder / "test.xyz", 10, seed=5)
    export(load_checkpoint(folder / "run" / "best.ckpt")[0], folder / "old.pt")
    write(folder / "new.xyz", shifted_frames(8, 11))
    write(folder / "new_test.xyz", shifted_frames(6, 12))
    return folder


def tuning(old_run, folder, backend="auto", epochs=10, **section):
    values = settings(folder)
    del values["model"]
    values["data"] = {
        "train": str(old_run / "new.xyz"),
        "valid": str(old_run / "new_test.xyz"),
    }
    values["train"] |= {"epochs": epochs, "lr": 5e-3, "backend": backend}
    start = str(old_run / "run" / "best.ckpt")
    values["finetune"] = {"start": start, "old_test": str(old_run / "test.xyz"), **section}
    path = folder / "tune.yaml"
    path.write_text(json.dumps(values))
    return path


def run(path):
    trainer = Trainer(load_finetune_config(str(path)))
    assert trainer.fit()
    text = compare(trainer)
    return trainer, json.loads((trainer.run_dir / "finetune.json").read_text())["errors"], text


def force_error(errors, title, when):
    (row,) = [row for name, row in errors.items() if name.startswith(title)]
    return row[when]["forces"]["rmse"]


@pytest.mark.parametrize("backend", ["torch", "engine"])
def test_frozen_parameters_stay_to_the_bit(old_run, tmp_path, backend):
    path = tuning(old_run, tmp_path, backend, freeze=["radial", "moments", "block.hidden.bias"])
    trainer, errors, text = run(path)
    assert trainer.backend.name == backend
    before = load_checkpoint(old_run / "run" / "best.ckpt")[0].state_dict()
    for which in ("ema", "raw"):
        after = load_checkpoint(trainer.run_dir / "best.ckpt", which)[0].state_dict()
        same = {name for name in after if torch.equal(after[name], before[name])}
        assert {"radial.hidden_weight", "radial.bessel_weight", "mixing"} <= same
        assert "block.hidden.bias" in same
        assert "block.hidden.weight" not in same
        assert "radial.pair_embedding" not in same
    assert force_error(errors, "new", "after") < force_error(errors, "new", "before")
    assert "new data (valid)" in text


def test_replay_lowers_the_forgetting(old_run, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    _, plain, _ = run(tuning(old_run, tmp_path / "a", epochs=16))
    replay = {"data": str(old_run / "train.xyz"), "fraction": 2.0}
    _, replayed, _ = run(tuning(old_run, tmp_path / "b", epochs=16, replay=replay))
    trainer, headed, text = run(
        tuning(old_run, tmp_path / "c", epochs=16, replay={**replay, "head": "old"}, head="new")
    )
    before = force_error(plain, "old", "before")
    # Forces of the new level are 0.7 of the old ones: without replay the model forgets these.
    assert force_error(plain, "old", "after") > 1.5 * before
    assert force_error(replayed, "old", "after") < 0.8 * force_error(plain, "old", "after")
    # A head of its own need not compromise.
    assert force_error(headed, "old", "after") < 0.6 * force_error(plain, "old", "after")
    assert force_error(headed, "new", "after") < force_error(headed, "new", "before")
    assert [row["head"] for row in headed.values()] == ["new", "old"]
    assert "->" in text

    best = trainer.run_dir / "best.ckpt"
    assert main(["export", str(best), "--head", "old", "-o", str(tmp_path / "old.pt")]) == 0
    structures = read_structures([str(old_run / "test.xyz")])
    found = evaluate_dataset(EnginePredictor(tmp_path / "old.pt", "double", 1, "cpu"), structures)
    error = found.errors()["forces"]["rmse"]
    assert error == pytest.approx(force_error(headed, "old", "after"), rel=1e-3)
    with pytest.raises(TrainingError, match="head: 'gold', expected one of new, old"):
        load_checkpoint(best, head="gold")


def test_low_rank_runs_resume_to_the_same_numbers(old_run, tmp_path):
    section = {"lora": {"rank": 2}, "replay": {"data": str(old_run / "train.xyz")}}
    ends = []
    for name, stops in (("whole", 0), ("parts", 5)):
        (tmp_path / name).mkdir()
        path = tuning(old_run, tmp_path / name, epochs=4, **section)
        trainer = Trainer(load_finetune_config(str(path)))
        if stops:
            step = trainer._step

            def limited(batch, trainer=trainer, step=step):
                value = step(batch)
                if trainer.state.step == 5:
                    trainer._request_stop()
                return value

            trainer._step = limited
            assert not trainer.fit()
            trainer = Trainer(load_finetune_config(str(path)), resume=True)
        assert trainer.fit()
        ends.append(read_checkpoint(trainer.run_dir / "last.ckpt"))
    for name, value in ends[0]["state"].items():
        assert torch.equal(value, ends[1]["state"][name]), name
    assert ends[0]["finetune"] == ends[1]["finetune"]
    # What is not updated stays: the low-rank model is the old one plus updates.
    start = load_checkpoint(old_run / "run" / "best.ckpt")[0].state_dict()
    assert torch.equal(ends[0]["state"]["block.hidden.bias"], start["block.hidden.bias"])


def test_the_command_from_an_exported_model(old_run, tmp_path, capsys):
    path = tuning(old_run, tmp_path, "auto", epochs=2)
    start = ["--set", f"finetune.start={old_run / 'old.pt'}"]
    exported = load_start(str(old_run / "old.pt"))
    trained = load_checkpoint(old_run / "run" / "best.ckpt")[0]
    for name, value in trained.state_dict().items():
        assert torch.equal(exported.state_dict()[name].to(value.dtype), value), name
    assert main(["finetune", str(path), *start, "log.report=true"]) == 0
    out = capsys.readouterr().out
    assert "backend: engine" in out
    assert "shift of the reference energies (eV): Ni +" in out
    assert "old data (old_test)" in out
    report = (tmp_path / "run" / "report.html").read_text()
    assert "forgetting" in report
    assert "old data (old_test)" in report
    assert main(["finetune", str(path), *start]) == 2
    assert "continue it with --resume" in capsys.readouterr().err
    other = ["--set", f"finetune.start={old_run / 'run' / 'best.ckpt'}"]
    assert main(["finetune", str(path), *other, "--resume"]) == 2
    assert "is another file than at the beginning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"start": "nothing.pt"}, "finetune.start: 'nothing.pt': no such file"),
        ({"freez": ["radial"]}, "unknown key 'finetune.freez'; did you mean 'finetune.freeze'?"),
        ({"replay": {"data": "a.xyz", "reference_energies": "refit"}}, "needs a head of its own"),
        ({"lora": {"rank": 0}}, "key 'finetune.lora.rank': found 0"),
        ({"start": "camlip:silicon"}, "the model knows Si, the data have Ni, Cu besides"),
        ({"reference_energies": {"Au": 1.0}}, "found 'Au', expected elements of Ni, Cu"),
    ],
)
def test_mistakes(old_run, tmp_path, capsys, section, message):
    path = tuning(old_run, tmp_path, **section)
    assert main(["finetune", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_train_and_finetune_do_not_take_each_others_files(old_run, tmp_path, capsys):
    path = tuning(old_run, tmp_path)
    assert main(["train", str(path)]) == 2
    assert "use `camlip finetune`" in capsys.readouterr().err
    assert main(["finetune", str(path), "--set", "model.preset=small"]) == 2
    assert "expected nothing: the shape is that of" in capsys.readouterr().err
    assert main(["finetune", str(path), "--set", "finetune=null"]) == 2
    assert "key 'finetune.start' is missing" in capsys.readouterr().err


def test_added_elements_are_trained(old_run, tmp_path):
    atoms = shifted_frames(8, 11)
    for a in atoms:
        a.numbers[a.numbers == 29] = 47
    write(tmp_path / "silver.xyz", atoms)
    path = tuning(old_run, tmp_path, new_elements="add", epochs=3)
    values = json.loads(path.read_text())
    values["data"] = {"train": str(tmp_path / "silver.xyz"), "valid_fraction": 0.3}
    path.write_text(json.dumps(values))
    trainer, errors, _ = run(path)
    assert trainer.model.atomic_numbers == [28, 29, 47]
    assert shape_of(trainer.model)["cutoff"] == 4.0
    # The old data, without silver, are still understood.
    assert np.isfinite(force_error(errors, "old", "after"))
    assert len(read(tmp_path / "silver.xyz", ":")) == 8


def test_the_example_is_a_valid_configuration(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent)
    config = load_finetune_config("examples/silicon/finetune.yaml")
    assert config.finetune is not None
    assert config.model_shape().num_channels == 32


def test_heads_begin_as_copies():
    model = model_of().double()
    batch = batch_of(model)
    expected = results(model, batch)
    add_heads(model, 3)
    for head in range(3):
        choose_head(model, head)
        torch.testing.assert_close(results(model, batch), expected, rtol=0, atol=0)
