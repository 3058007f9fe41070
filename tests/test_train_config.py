"""The configuration: what is accepted, what is refused and in which words."""

from pathlib import Path

import pytest
import yaml

from camlip.train.config import ConfigError, known_keys, load_config, parse_config

ROOT = Path(__file__).resolve().parent.parent
MINIMAL = {"run_dir": "runs/a", "data": {"train": "a.xyz"}}


def message(**changes):
    with pytest.raises(ConfigError) as caught:
        parse_config({**MINIMAL, **changes}, "train.yaml")
    return str(caught.value)


def test_a_minimal_file_gets_defaults():
    config = parse_config(MINIMAL)
    assert config.data.train == ["a.xyz"]
    assert config.train.epochs == 200
    assert config.train.atoms_per_batch == 256
    assert config.model_shape().num_layers == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"train": {"epoch": 3}},
            "train.yaml: unknown key 'train.epoch'; did you mean 'train.epochs'?",
        ),
        (
            {"train": {"stage_two": {"strat": 0.5}}},
            "train.yaml: unknown key 'train.stage_two.strat'; "
            "did you mean 'train.stage_two.start'?",
        ),
        ({"lr": 0.1}, "train.yaml: unknown key 'lr'; did you mean 'train.lr'?"),
        (
            {"model": {"max_rnk": 2}},
            "train.yaml: unknown key 'model.max_rnk'; did you mean 'model.max_rank'?",
        ),
        (
            {"data": {"train": "a.xyz", "keys": {"enrgy": "E"}}},
            "train.yaml: unknown key 'data.keys.enrgy'; did you mean 'data.keys.energy'?",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(changes, expected):
    assert message(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"train": {"lr": -1}}, ("'train.lr'", "-1", "greater than 0")),
        ({"train": {"lr": "fast"}}, ("'train.lr'", "'fast'", "number")),
        ({"train": {"epochs": 2.5}}, ("'train.epochs'", "2.5", "integer")),
        ({"loss": {"kind": "l1"}}, ("'loss.kind'", "'l1'", "'huber' or 'mse'")),
        ({"model": {"max_rank": 9}}, ("model.max_rank", "9", "0 to 3")),
        ({"model": {"preset": "tiny"}}, ("'model.preset'", "'tiny'", "'small'")),
        ({"model": {"message_rank": 3, "max_rank": 2}}, ("model.message_rank", "3", "max_rank")),
        ({"data": {}}, ("'data.train'", "missing")),
        ({"data": {"train": "a", "keys": {"stress_unit": "gpa"}}}, ("'gpa'", "'GPa'")),
        ({"loss": {"energy": 0, "forces": 0, "stress": 0}}, ("loss", "all weights are 0")),
    ],
)
def test_a_wrong_value_names_key_value_and_expectation(changes, parts):
    text = message(**changes)
    assert text.startswith("train.yaml: ")
    for part in parts:
        assert part in text


def test_all_problems_are_reported_at_once():
    assert message(train={"epoch": 1, "lr": 0}).count("\n") == 1


def test_every_key_can_be_set_on_the_command_line(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    defaults = load_config(path).model_dump()
    shape = {"message_rank": 1, "zbl": False, "per_element_products": False}
    other = {
        "data.train": "[b.xyz, c.xyz]",
        "data.split": "random",
        "data.valid_fraction": 0.2,
        "data.keys.energy_unit": "meV",
        "data.keys.length_unit": "Bohr",
        "data.keys.stress_unit": "GPa",
        "data.keys.virial_convention": "negative",
        "model.preset": "small",
        "model.zbl_reach": "covalent",
        "loss.kind": "mse",
        "train.optimizer": "adamw",
        "train.clock": "processor",
        "train.schedule": "plateau",
        "train.backend": "torch",
        "train.dtype": "float64",
        "train.device": "cpu",
        "finetune.reference_energies": "keep",
        "finetune.new_elements": "add",
        "finetune.lora.rank": 7,
        "finetune.lora.alpha": 7,
        "finetune.lora.also": ["readout"],
        "finetune.replay": {"data": "old.xyz"},
        "finetune.old_keys": {"energy_unit": "meV"},
    }
    for key in known_keys():
        *parents, last = key.split(".")
        before = defaults
        for parent in parents:
            before = before.get(parent) or {}
        before = before.get(last)
        if key in other:
            value = other[key]
        elif key.startswith("model."):
            value = shape.get(last, 3)
        elif isinstance(before, bool):
            value = not before
        elif isinstance(before, (int, float)):
            value = 0.25 if last in ("start", "ema", "warmup") or "factor" in last else 7
        elif key.startswith(("train.", "loss.")):
            value = 7
        else:
            value = "changed"
        # The section of fine-tuning is not there unless it says what to begin with.
        changes = ["finetune.start=old.pt"] if key.startswith("finetune.") else []
        text = yaml.safe_dump(value, default_flow_style=True).split(chr(10))[0]
        config = load_config(path, [*changes, f"{key}={text}"])
        after = config.model_dump()
        for parent in parents:
            after = after[parent]
        assert after[last] != before, key


def test_numbers_in_scientific_notation_are_numbers(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("run_dir: a\ndata: {train: 1e5}\ntrain: {lr: 1e-3}\n")
    config = load_config(path)
    assert config.train.lr == 1e-3
    assert config.data.train == ["1e5"]
    assert load_config(path, ["train.lr=2e-4"]).train.lr == 2e-4


@pytest.mark.parametrize("text", ["a: [", "- 1", "just words"])
def test_a_file_that_is_no_configuration(tmp_path, text):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"train\.yaml"):
        load_config(path)


def test_set_needs_a_value_and_a_section(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        load_config(path, ["train.epochs"])
    with pytest.raises(ConfigError, match="not a section"):
        load_config(path, ["run_dir.name=a"])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "missing.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_configurations_are_valid(path):
    config = load_config(path)
    assert config.run_dir.startswith("runs/")
