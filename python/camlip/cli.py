"""The command ``camlip``: a table of sub-commands, each in a module of its own."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import camlip
from camlip.errors import EngineError

# Imported only when used: `camlip info` shall not wait for torch.
COMMANDS = {
    "train": ("camlip.train.command", "fit a model to data"),
    "finetune": ("camlip.train.finetune.command", "adapt a trained model to new data"),
    "evaluate": ("camlip.train.evaluate_command", "errors of a model on a data set"),
    "export": ("camlip.export", "make a model file from a checkpoint"),
    "models": ("camlip.pretrained", "the models that come with camlip"),
    "info": ("camlip.info", "what a model file contains"),
    "check": ("camlip.check", "test a model file on this machine"),
    "data": ("camlip.data.report", "look at a data set before training"),
    "relax": ("camlip.relax_command", "relax structures: positions, and the cell if asked for"),
    "bench": ("camlip.bench_command", "how fast a model is on this machine"),
    "sample": ("camlip.sample", "structures from molecular dynamics of a model, to be labelled"),
    "label": ("camlip.label", "compute energies and forces with an ASE calculator"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments, default those of the process.

    Returns:
        Exit status: that of the command, 2 for a mistake in its input, 130 when interrupted.
    """
    try:
        try:
            status = _main(argv)
            if argv is None and "TORCHELASTIC_RUN_ID" in os.environ:
                _leave(status)
            return status
        finally:
            # Not left to the end of the interpreter, which complains about a pipe that is closed.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output (head, less) is gone; nothing is wrong here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _leave(status: int) -> None:
    """End a process of torchrun, whose work is done and written, at once.

    Twice in some dozens of runs one of two processes aborted ("terminate called without an active
    exception"), and torchrun stopped the other.  Where is not known; the likely place is the end of
    the interpreter, which kills threads of torch.distributed that want it.  It is left out.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _main(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--version" in arguments[:1]:
        print(f"camlip {camlip.__version__}")
        return 0
    name = arguments[0] if arguments else None
    if name not in COMMANDS:
        return _usage(name)
    parser = argparse.ArgumentParser(prog=f"camlip {name}", description=COMMANDS[name][1])
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    # torch announces the end of TorchScript at every use; that is no news to the user.
    warnings.filterwarnings("ignore", message=r".*torch\.jit")
    module = importlib.import_module(COMMANDS[name][0])
    module.add_arguments(parser)
    args = parser.parse_args(arguments[1:])
    try:
        if getattr(args, "model", None) is not None:
            from camlip.engine import model_path

            args.model = type(args.model)(model_path(args.model))
        return int(module.run(args))
    except KeyboardInterrupt:
        print(f"camlip {name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if args.debug or not expected(error):
            raise
        print(f"camlip {name}: {message(error)}", file=sys.stderr)
        return 2


def _usage(name: str | None) -> int:
    lines = [f"  {command:<10} {help}" for command, (_, help) in COMMANDS.items()]
    text = "\n".join(["usage: camlip COMMAND ...", "", *lines, "", "camlip COMMAND --help"])
    if name in ("-h", "--help"):
        print(text)
        return 0
    if name is not None:
        text = f"camlip: unknown command '{name}'\n{text}"
    print(text, file=sys.stderr)
    return 2


def expected(error: BaseException) -> bool:
    """Whether an exception tells the user about the input, so that a traceback would not help.

    These are failures to open files, errors of the engine, and ValueErrors that camlip itself
    raises; a ValueError from within another library is a bug and is not expected.
    """
    if isinstance(error, (OSError, EngineError)):
        return True
    if not isinstance(error, ValueError):
        return False
    if type(error).__module__.startswith("camlip"):
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").startswith("camlip")


def message(error: BaseException) -> str:
    """What to tell the user about an expected exception."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
