"""Export: what is in the file, that it runs without camlip, that a crash leaves a whole file."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

import camlip
from camlip import model_file
from camlip._files import replacing
from camlip.engine import Engine, Model
from camlip.export import ExportError, engine_block, export
from camlip.model_file import write_block
from camlip.parity import DOUBLE, compare, engine_evaluator
from camlip.structures import sample_structures
from camlip.train.checkpoint import save_checkpoint
from model_zoo import zoo

PYTHON = Path(camlip.__file__).parents[1]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.pt"
    training = {"level_of_theory": "GFN2-xTB", "fingerprint": "abc", "errors": {"test": 0.1}}
    return path, export(zoo("tiny").module, path, training=training)


def test_the_archive_holds_the_block_uncompressed(exported):
    path, _ = exported
    with zipfile.ZipFile(path) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("/extra/model.safetensors")]
        assert archive.getinfo(name).compress_type == zipfile.ZIP_STORED
        assert archive.read(name) == model_file.read(path).block


def test_metadata(exported):
    path, report = exported
    file = model_file.read(path)
    assert file.container == "torchscript"
    assert file.size == path.stat().st_size == report.size
    assert file.metadata["format"] == "camlip"
    assert file.metadata["format_version"] == "1"
    assert file.metadata["atomic_numbers"] == [8, 14]
    assert file.metadata["cutoff"] == "3.5"
    assert file.metadata["units"] == {"energy": "eV", "length": "Ang"}
    assert file.metadata["created_by"] == f"camlip {camlip.__version__}"
    training = file.metadata["training"]
    assert training["level_of_theory"] == "GFN2-xTB"
    assert training["errors"] == {"test": 0.1}
    assert 0 <= training["radial_table_error"]["mixed"] < 1e-6
    assert training["differences"]["engine reference double"]["forces"] < 1e-10
    size = int.from_bytes(file.block[:8], "little")
    assert hashlib.sha256(file.block[8 + size :]).hexdigest() == file.metadata["sha256"]


def test_tensors_are_those_of_the_module(exported):
    found = model_file.read(exported[0]).arrays()
    expected = zoo("tiny").module.engine_tensors()
    assert sorted(found) == sorted(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_the_package_safetensors_reads_the_block(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs the package safetensors")
    path = tmp_path / "m.safetensors"
    path.write_bytes(zoo("tiny").block)
    found = safetensors.load_file(path)
    for name, tensor in zoo("tiny").module.engine_tensors().items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_the_same_model_gives_the_same_block():
    assert engine_block(deepcopy(zoo("tiny").module), {"b": 1, "a": 2}) == engine_block(
        zoo("tiny").module, {"a": 2, "b": 1}
    )


def test_both_forms_run_the_same(exported, tmp_path):
    path = tmp_path / "tiny.safetensors"
    export(zoo("tiny").module, path, file_format="safetensors")
    structures = sample_structures([8, 14], seed=1).values()
    a, b = (engine_evaluator(Engine(Model(p), "reference", "double")) for p in (exported[0], path))
    assert compare("forms", structures, a, b, (0.0, 0.0)).passed
    assert path.stat().st_size < exported[0].stat().st_size


def test_export_does_not_change_the_model(tmp_path):
    module = deepcopy(zoo("tiny").module)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    module.train()
    export(module, tmp_path / "m.pt", dtype="float32")
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    for key, value in module.state_dict().items():
        assert value.dtype == before[key].dtype
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_float64_weights_stay_float64(tmp_path):
    module = deepcopy(zoo("tiny").module)
    for parameter in module.parameters():
        parameter.data = parameter.data.double() * (1 + 1e-12)
    export(module, tmp_path / "m.pt")
    tensors = model_file.read(tmp_path / "m.pt").tensors
    assert tensors["mixing.0"][1] == "F64"


def test_torchscript_needs_nothing_but_torch(exported):
    """In a process that cannot import camlip, ase or numpy's friends."""
    atoms = sample_structures([8, 14], seed=1)["molecule"]
    script = f"""
        import sys, warnings
        warnings.simplefilter("ignore")
        for name in ("camlip", "ase", "vesin"):
            sys.modules[name] = None
        import torch
        model = torch.jit.load({str(exported[0])!r})
        positions = torch.tensor({atoms.positions.tolist()}, dtype=torch.float64)
        n = len(positions)
        pairs = torch.tensor([(i, j) for i in range(n) for j in range(n) if i != j]).T
        shifts = torch.zeros(pairs.shape[1], 3, dtype=torch.float64)
        found = model(positions, torch.tensor({atoms.numbers.tolist()}), pairs, shifts)
        print(repr(float(found["energy"])), repr(float(found["forces"].abs().sum())))
        try:
            model(positions, torch.full((n,), 79), pairs, shifts)
        except Exception as error:
            print("no element 79" in str(error))
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    energy, forces, refused = done.stdout.split()
    expected = zoo("tiny").exact()(atoms)
    assert abs(float(energy) - float(expected["energy"])) < 1e-10
    assert abs(float(forces) - np.abs(expected["forces"]).sum()) < 1e-9
    assert refused == "True"


def test_a_model_that_differs_is_refused_and_nothing_is_written(tmp_path):
    """The engine gets other weights than the module has: nobody may ever load that file."""
    module = deepcopy(zoo("tiny").module)
    honest = module.engine_tensors

    def wrong():
        tensors = honest()
        tensors["readout.0.output"] = tensors["readout.0.output"] * 1.001
        return tensors

    module.engine_tensors = wrong
    path = tmp_path / "m.pt"
    path.write_text("the old file")
    with pytest.raises(ExportError, match=r"(?s)m\.pt.*differs.*FAILED"):
        export(module, path)
    assert path.read_text() == "the old file"
    assert os.listdir(tmp_path) == ["m.pt"]


def test_a_diverged_model_is_refused(tmp_path):
    module = deepcopy(zoo("tiny").module)
    module.mixing.data[0, 0, 0] = float("nan")
    with pytest.raises(ExportError, match="'mixing' contains NaN"):
        export(module, tmp_path / "m.pt")
    assert not os.listdir(tmp_path)


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="does not exist"):
        export(zoo("tiny").module, tmp_path / "nowhere" / "m.pt")
    with pytest.raises(OSError, match="is a directory"):
        export(zoo("tiny").module, tmp_path)
    with pytest.raises(ExportError, match="format: 'onnx'"):
        export(zoo("tiny").module, tmp_path / "m.pt", file_format="onnx")


def test_a_checkpoint_becomes_a_model(tmp_path):
    module = zoo("tiny").module
    checkpoint = tmp_path / "best.ckpt"
    content = {
        "architecture": "cartesian_moments",
        "model": module.describe(),
        "state": module.state_dict(),
        "ema": {},
        "errors": {"test": {"forces": {"rmse": 0.1}}},
        "fingerprint": "0123abcd",
    }
    save_checkpoint(checkpoint, content)
    output = tmp_path / "m.pt"
    command = [sys.executable, "-m", "camlip.export", str(checkpoint), "-o", str(output)]
    done = subprocess.run(
        [*command, "--level-of-theory", "PBE"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(PYTHON)},
    )
    assert done.returncode == 0, done.stderr
    assert "engine reference double" in done.stdout
    assert "TorchScript float64" in done.stdout
    training = model_file.read(output).metadata["training"]
    assert training["level_of_theory"] == "PBE"
    assert training["fingerprint"] == "0123abcd"
    assert training["errors"]["test"]["forces"]["rmse"] == 0.1
    difference = compare(
        "checkpoint",
        sample_structures([8, 14], seed=3).values(),
        zoo("tiny").exact(),
        engine_evaluator(Engine(Model(output), "reference", "double")),
        DOUBLE,
    )
    assert difference.passed, difference


def test_kill_during_export_leaves_a_whole_file(tmp_path):
    """Children that write two models in turn are killed at random moments."""
    path = tmp_path / "m.pt"
    export(zoo("tiny").module, path)
    script = f"""
        import os, random, signal, sys, time, warnings
        warnings.simplefilter("ignore")
        import torch
        torch.set_num_threads(1)
        from camlip.engine import Model
        from camlip.export import export
        from camlip.random_model import random_model
        changes = dict(num_channels=4, num_hidden=4, radial_width=4, num_radial=2)
        models = [random_model("small", [14], seed, changes) for seed in (0, 1)]
        rng = random.Random(0)
        for trial in range(8):
            child = os.fork()
            if child == 0:
                while True:
                    for model in models:
                        export(model, {str(path)!r})
            time.sleep(rng.uniform(0.1, 0.6))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            Model({str(path)!r})
        print("all whole")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(PYTHON)},
    )
    assert done.stdout.strip() == "all whole", done.stderr
    left = [name for name in os.listdir(tmp_path) if name != "m.pt"]
    assert all(name.startswith(".m.pt.") and name.endswith(".tmp") for name in left)


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "m.pt"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the ne")
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["m.pt"]
    mask = os.umask(0o022)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_blocks_hold_finite_floats_only():
    with pytest.raises(ValueError, match="'a': dtype int64"):
        write_block({"a": np.arange(3)}, {})
    with pytest.raises(ValueError, match="'a': it contains NaN"):
        write_block({"a": np.array([np.nan])}, {})


def test_json_of_the_header_is_plain():
    block = zoo("tiny").block
    size = int.from_bytes(block[:8], "little")
    assert (8 + size) % 8 == 0
    header = json.loads(block[8 : 8 + size])
    assert all(isinstance(value, str) for value in header["__metadata__"].values())
