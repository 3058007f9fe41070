"""camlip against other potentials on one core: processor time of a step, in one run each.

Peers are installed by benchmarks/install_peers.sh; one that is not installed is skipped, and the
table says why.  Writes benchmarks/results/*.json and the table of benchmarks/README.md.

Example:
    python benchmarks/compare.py snap nep
    python benchmarks/compare.py --table          # only the table, from the results that are there
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from peers import report  # noqa: E402
from peers.allegro import allegro  # noqa: E402
from peers.context import Comparison, Context  # noqa: E402
from peers.deepmd import deepmd  # noqa: E402
from peers.lammps_potentials import pod, snap, uf3  # noqa: E402
from peers.mace import mace  # noqa: E402
from peers.measure import Unavailable, alternate  # noqa: E402
from peers.nep import nep  # noqa: E402
from peers.symmetrix import symmetrix  # noqa: E402

PEERS: dict[str, Callable[[Context], Iterator[Comparison]]] = {
    "snap": snap,
    "nep": nep,
    "pod": pod,
    "uf3": uf3,
    "deepmd": deepmd,
    "mace": mace,
    "symmetrix": symmetrix,
    "allegro": allegro,
}
ORDER = [
    "snap",
    *(f"nep_{s}_{route}" for s in ("si", "si_default", "water") for route in ("lammps", "python")),
    "pod",
    "uf3",
    "uf3_5A",
    "deepmd",
    "symmetrix",
    "allegro",
    "mace",
    "mace_molecule",
    "allegro_molecule",
]


def compare(
    context: Context, peers: list[str], only: list[str], rounds: int, seconds: float
) -> Iterator[dict]:
    """Measure one comparison after the other."""
    for peer in peers:
        try:
            for comparison in PEERS[peer](context):
                if only and comparison.key not in only:
                    continue
                contenders = {"peer": comparison.peer, **comparison.ours}
                yield report.result(comparison, alternate(contenders, rounds, seconds))
        except Unavailable as reason:
            yield report.skipped(peer, str(reason))


def main() -> None:
    """Run what is asked for and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)}; all")
    parser.add_argument("--only", nargs="+", default=[], metavar="KEY", help=", ".join(ORDER))
    parser.add_argument("--peers", type=Path, default=HERE.parent / "build" / "peers")
    parser.add_argument("--models", type=Path, help="folder of trained models (peers/context.py)")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each contender in a round")
    parser.add_argument("--tiny", action="store_true", help="small systems, to try the scripts")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in PEERS:
            parser.error(f"peer: '{name}', expected one of {', '.join(PEERS)}")
    with tempfile.TemporaryDirectory(prefix="camlip-compare-") as work:
        context = Context(arguments.peers.resolve(), Path(work), arguments.models, arguments.tiny)
        names = [] if arguments.table else arguments.names or list(PEERS)
        for found in compare(context, names, arguments.only, arguments.rounds, arguments.seconds):
            report.save(arguments.results, found)
            print(report.table([found]), flush=True)
    report.insert(arguments.readme, report.table(report.load(arguments.results, ORDER)))


if __name__ == "__main__":
    main()
