"""The command line: exit status, one-line errors, and the documented commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

import camlip
from camlip import check, cli
from camlip.errors import ModelFileError
from camlip.structures import sample_structures
from model_zoo import zoo

PYTHON = Path(camlip.__file__).parents[1]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "tiny.safetensors"
    path.write_bytes(zoo("tiny").block)
    return path


def outcome(capsys, *arguments):
    """Exit status, standard output, standard error."""
    try:
        status = cli.main([str(a) for a in arguments])
    except SystemExit as error:  # argparse
        status = error.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_version_and_usage(capsys):
    assert outcome(capsys, "--version") == (0, f"camlip {camlip.__version__}\n", "")
    status, out, _ = outcome(capsys, "--help")
    assert status == 0
    assert all(name in out for name in cli.COMMANDS)
    status, _, err = outcome(capsys)
    assert (status, err.splitlines()[0]) == (2, "usage: camlip COMMAND ...")
    status, _, err = outcome(capsys, "trian")
    assert (status, err.splitlines()[0]) == (2, "camlip: unknown command 'trian'")


def as_process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "camlip", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(PYTHON)},
        **options,
    )


def test_the_package_is_the_command():
    done = as_process("--version", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, f"camlip {camlip.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["models", "--help"], ["models"]])
def test_a_reader_that_is_gone_is_no_error(arguments):
    """As in ``camlip --help | head -1``, when head is faster."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = as_process(*arguments, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(capsys, command):
    status, out, _ = outcome(capsys, command, "--help")
    assert status == 0
    assert out.startswith(f"usage: camlip {command}")


def test_an_expected_error_is_one_line(capsys, tmp_path):
    status, out, err = outcome(capsys, "info", tmp_path / "none.pt")
    assert (status, out) == (2, "")
    assert err == f"camlip info: {tmp_path / 'none.pt'}: No such file or directory\n"
    (tmp_path / "notes.txt").write_text("shopping list")
    status, _, err = outcome(capsys, "info", tmp_path / "notes.txt")
    assert status == 2
    assert err.startswith("camlip info: model file '")
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(tmp_path):
    (tmp_path / "notes.txt").write_text("shopping list")
    with pytest.raises(ModelFileError):
        cli.main(["info", str(tmp_path / "notes.txt"), "--debug"])


def test_bugs_keep_their_traceback(monkeypatch, file):
    """A ValueError from within a library is not a message for users."""

    def broken(args):
        return np.zeros(3).reshape(2, 2)

    monkeypatch.setattr("camlip.info.run", broken)
    with pytest.raises(ValueError, match="reshape"):
        cli.main(["info", str(file)])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-o", "m.pt"], "neither a checkpoint nor --random"),
        (["--random", "small", "-o", "m.pt"], "needs --elements"),
        (["--random", "tiny", "--elements", "Si", "-o", "m.pt"], "unknown preset 'tiny'"),
        (["--random", "small", "--elements", "Si,Xx", "-o", "m.pt"], "'Xx' is not"),
        (["--random", "small", "--elements", ",", "-o", "m.pt"], "',' is not"),
        (["--random", "small", "--elements", "Si", "--cutoff", "99", "-o", "m.pt"], "0.5 to 50"),
        (["--random", "small", "--elements", "Si", "--set", "a=1", "-o", "m.pt"], "KEY of cutoff"),
        (
            ["--random", "small", "--elements", "Si", "--set", "max_rank=x", "-o", "m.pt"],
            "value of type int",
        ),
        (["a.ckpt", "--random", "small", "-o", "m.pt"], "both a checkpoint and --random"),
        (["a.ckpt", "--cutoff", "4", "-o", "m.pt"], "go with --random only"),
        (["none.ckpt", "-o", "m.pt"], "no such file"),
    ],
)
def test_wrong_arguments_of_export(capsys, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    status, _, err = outcome(capsys, "export", *arguments)
    assert status == 2
    assert err.startswith("camlip export: ")
    assert text in err
    assert not os.listdir(tmp_path)


@pytest.fixture(scope="module")
def random_silica(tmp_path_factory):
    """The documented command, with a few settings changed."""
    path = tmp_path_factory.mktemp("cli") / "m.pt"
    command = "-m camlip.export --random small --elements Si,O --cutoff 5.0 --seed 0 -o"
    settings = ["--set", "num_channels=8", "--set", "num_layers=2"]
    done = subprocess.run(
        [sys.executable, *command.split(), str(path), *settings],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(PYTHON)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return path


def test_info(capsys, random_silica):
    status, out, _ = outcome(capsys, "info", random_silica, "--tensors")
    assert status == 0
    for text in ("O, Si", "5 A", "1 message-passing step", "random.preset", "mixing.1"):
        assert text in out
    status, out, _ = outcome(capsys, "info", random_silica, "--json")
    found = json.loads(out)
    assert status == 0
    assert found["elements"] == ["O", "Si"]
    assert found["config"]["num_channels"] == 8
    assert found["config"]["zbl"] is True
    assert found["num_layers"] == 2
    assert found["reference_energies"] == [-8.0, -14.0]
    assert found["training"]["random"] == {"preset": "small", "seed": 0}
    assert 0 <= found["radial_table_error"]["mixed"] < 1e-6
    assert found["num_parameters"] == sum(
        int(np.prod(t["shape"])) for t in found["tensors"].values()
    )


def test_check_passes_on_a_good_model(capsys, random_silica, tmp_path):
    structure = tmp_path / "s.xyz"
    write(structure, sample_structures([8, 14], seed=3)["slab"])
    status, out, _ = outcome(capsys, "check", random_silica, "--structure", structure, "--json")
    found = json.loads(out)
    assert (status, found["passed"]) == (0, True), out
    names = " ".join(check["name"] for check in found["checks"] if check["status"] == "PASS")
    for text in ("checksum", "forces = -dE/dr", "virial", "TorchScript", "domains", "NVE"):
        assert text in names


def test_check_fails_where_torchscript_and_engine_differ(
    capsys, random_silica, tmp_path, monkeypatch
):
    """An archive whose TorchScript has other weights than its block."""
    import torch

    from camlip import model_file

    module = torch.jit.load(str(random_silica))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.01)
    path = tmp_path / "two-faced.pt"
    block = model_file.read(random_silica).block
    torch.jit.save(module, str(path), _extra_files={model_file.ENTRY: block})
    monkeypatch.setattr("camlip.check.CHECKS", (check.check_file, check.check_torchscript))
    status, out, _ = outcome(capsys, "check", path)
    assert status == 1
    assert "FAIL  TorchScript: forces" in out
    assert "PASS  file: readers and checksum" in out


def test_check_names_what_is_wrong_with_the_structure(capsys, file, tmp_path):
    status, _, err = outcome(capsys, "check", file, "--structure", tmp_path / "none.xyz")
    assert status == 2
    assert "none.xyz" in err
    gold = sample_structures([79])["atom"]
    write(tmp_path / "gold.xyz", gold)
    status, _, err = outcome(capsys, "check", file, "--structure", tmp_path / "gold.xyz")
    assert status == 2
    assert "no element Au" in err


def test_info_into_a_closed_pipe(file):
    command = f"{sys.executable} -m camlip.cli info {file} --json | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(PYTHON)},
    )
    assert "Traceback" not in done.stderr


def test_public_names():
    for name in camlip.__all__:
        assert getattr(camlip, name) is not None
    assert set(camlip.__all__) <= set(dir(camlip))
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = camlip.nothing
