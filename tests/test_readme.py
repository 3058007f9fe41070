"""The README and the training configurations say what is true."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from camlip.cli import COMMANDS
from camlip.train.config import load_config

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
CONFIGS = sorted([*(ROOT / "configs").glob("*.yaml"), ROOT / "examples" / "water" / "train.yaml"])


def commands() -> list[str]:
    """Lines of the README's blocks that call camlip."""
    blocks = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("camlip ", "python -m camlip."))]


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_readme_are_accepted(line: str) -> None:
    words = shlex.split(line)
    if words[0] == "python":
        name, arguments = words[2].removeprefix("camlip."), words[3:]
    else:
        name, arguments = words[1], words[2:]
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(COMMANDS[name][0]).add_arguments(parser)
    parser.parse_args(arguments)


def test_the_readme_shows_every_command() -> None:
    shown = {line.split()[1].removeprefix("-m") for line in commands()}
    assert {"train", "evaluate", "info", "check", "data"} <= shown


def test_links_of_the_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_tree_of_the_readme_is_the_house() -> None:
    tree = re.search(r"## The house\n\n```\n(.*?)```", README, re.DOTALL)
    assert tree
    for line in tree.group(1).splitlines():
        if line and not line.startswith(" "):
            assert (ROOT / line.split()[0]).exists(), line


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_training_configurations_are_valid(path: Path) -> None:
    config = load_config(path)
    assert config.run_dir.startswith("runs/")
    assert yaml.safe_load(path.read_text())["data"]["train"]
