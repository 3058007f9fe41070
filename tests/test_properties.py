"""What every potential must do, whatever its weights: symmetries, sums, locality, smoothness."""

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camlip.check import derivative_errors
from camlip.domains import compute_domains, slices
from camlip.engine import PROPERTIES, ArgumentError, Neighbors
from camlip.structures import random_structure, sample_structures
from model_zoo import available_backends, zoo

BACKENDS = available_backends()
MODEL = zoo("tiny").model
ELEMENTS = MODEL.atomic_numbers
ENGINES = {backend: zoo("tiny").engine(backend) for backend in BACKENDS}

pytestmark = pytest.mark.parametrize("backend", BACKENDS)
few = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
seeds = st.integers(0, 2**31 - 1)
periodicity = st.tuples(st.booleans(), st.booleans(), st.booleans())


def compute(backend: str, atoms: Atoms) -> dict[str, np.ndarray]:
    return ENGINES[backend].compute_system(
        atoms.positions,
        MODEL.types(atoms.numbers),
        atoms.cell.array if atoms.pbc.any() else None,
        atoms.pbc.tolist(),
        PROPERTIES,
    )


def random_orthogonal(rng: np.random.Generator) -> np.ndarray:
    """Rotation or reflection."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


def close(a, b, scale=1.0):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * scale)


@few
@given(seed=seeds, size=st.integers(1, 14), pbc=periodicity)
def test_rotation_and_reflection(backend, seed, size, pbc):
    atoms = random_structure(ELEMENTS, size, seed, pbc)
    q = random_orthogonal(np.random.default_rng(seed))
    turned = atoms.copy()
    turned.positions = atoms.positions @ q.T
    turned.set_cell(atoms.cell.array @ q.T)
    a, b = compute(backend, atoms), compute(backend, turned)
    close(b["energy"], a["energy"])
    close(b["atomic_energies"], a["atomic_energies"])
    close(b["forces"], a["forces"] @ q.T)
    close(b["virial"], q @ a["virial"] @ q.T)
    close(b["centroid_virial"], q @ a["centroid_virial"] @ q.T)


@few
@given(seed=seeds, size=st.integers(1, 14), pbc=periodicity)
def test_translation_and_other_images(backend, seed, size, pbc):
    atoms = random_structure(ELEMENTS, size, seed, pbc)
    rng = np.random.default_rng(seed)
    moved = atoms.copy()
    images = rng.integers(-2, 3, (size, 3)) * np.array(pbc)
    moved.positions += rng.normal(size=3) * 5 + images @ atoms.cell.array
    a, b = compute(backend, atoms), compute(backend, moved)
    for name in PROPERTIES:
        close(b[name], a[name])


@few
@given(seed=seeds, size=st.integers(1, 14), pbc=periodicity)
def test_permutation(backend, seed, size, pbc):
    atoms = random_structure(ELEMENTS, size, seed, pbc)
    order = np.random.default_rng(seed).permutation(size)
    a, b = compute(backend, atoms), compute(backend, atoms[order])
    for name in PROPERTIES:
        close(b[name], a[name] if name in ("energy", "virial") else a[name][order])


@few
@given(seed=seeds, size=st.integers(0, 14), pbc=periodicity)
def test_sums(backend, seed, size, pbc):
    found = compute(backend, random_structure(ELEMENTS, size, seed, pbc))
    close(found["forces"].sum(axis=0), 0.0)
    close(found["centroid_virial"].sum(axis=0), found["virial"])
    close(found["atomic_energies"].sum(), found["energy"])
    close(found["virial"], found["virial"].T)  # no torque
    if not any(pbc) and size:
        atoms = random_structure(ELEMENTS, size, seed, pbc)
        close(found["virial"], atoms.positions.T @ found["forces"])


@few
@given(seed=seeds, size=st.integers(1, 6), repeat=st.tuples(*[st.integers(1, 3)] * 3))
def test_supercells_are_extensive(backend, seed, size, repeat):
    atoms = random_structure(ELEMENTS, size, seed)
    number = int(np.prod(repeat))
    a, b = compute(backend, atoms), compute(backend, atoms * repeat)
    close(b["energy"], number * a["energy"], number)
    close(b["virial"], number * a["virial"], number)
    close(b["forces"], np.tile(a["forces"], (number, 1)))


@few
@given(seed=seeds)
def test_order_of_the_neighbors(backend, seed):
    atoms = random_structure(ELEMENTS, 8, seed)
    rng = np.random.default_rng(seed)
    view = Neighbors(MODEL.cutoff, 0.5).update(atoms.positions, atoms.cell.array, True)
    rows = list(pairwise(view.offsets))
    shuffled = np.concatenate([rng.permutation(view.indices[a:b]) for a, b in rows])
    home = np.concatenate([np.arange(8), view.ghost_owner])

    def forward(features):
        features[8:] = features[view.ghost_owner]

    def reverse(features):
        np.add.at(features, view.ghost_owner, features[8:])

    results = [
        ENGINES[backend].compute(
            view.positions, MODEL.types(atoms.numbers[home]), 8, view.offsets, indices,
            forward, reverse, PROPERTIES,
        )
        for indices in (view.indices, shuffled)
    ]  # fmt: skip
    for name in PROPERTIES:
        close(results[1][name], results[0][name])
    close(results[0]["energy"], compute(backend, atoms)["energy"])


@few
@given(seed=seeds)
def test_locality(backend, seed):
    """An atom further than num_layers * cutoff away has no effect, a nearer one has."""
    cluster = random_structure(ELEMENTS, 6, seed, pbc=False)
    a = compute(backend, cluster)
    far = cluster + Atoms([8], positions=[cluster.positions.max(axis=0) + MODEL.cutoff + 0.01])
    b = compute(backend, far)
    for name in ("atomic_energies", "forces", "centroid_virial"):
        np.testing.assert_allclose(b[name][:6], a[name], rtol=0, atol=1e-12)
        assert name == "atomic_energies" or not b[name][6].any()
    # A chain: its end is seen through the middle atom, two layers away, and not beyond.
    step = 0.9 * MODEL.cutoff
    chain = Atoms([14] * 4, positions=[[step * i, 0, 0] for i in range(4)])
    shortened = compute(backend, chain[:3])["atomic_energies"]
    full = compute(backend, chain)["atomic_energies"]
    assert abs(full[0] - shortened[0]) < 1e-12
    assert abs(full[1] - shortened[1]) > 1e-9


def test_continuity_across_the_cutoff(backend):
    """Energy and forces of a pair in company fade to those without it."""
    base = random_structure(ELEMENTS, 5, 3, pbc=False)
    corner = base.positions[np.argmax(base.positions[:, 0])]
    alone = compute(backend, base)
    gaps = []
    for distance in (MODEL.cutoff - 1e-2, MODEL.cutoff - 1e-3, MODEL.cutoff - 1e-4):
        joined = base + Atoms([14], positions=corner + np.array([[distance, 0, 0]]))
        found = compute(backend, joined)
        gaps.append(np.abs(found["forces"][:5] - alone["forces"]).max())
    # The cutoff function falls with the third power of the gap, its slope with the second.
    assert gaps[0] < 1e-2
    assert gaps[1] < 3e-2 * gaps[0]
    assert gaps[2] < 1e-8


@pytest.mark.parametrize("kind", ["bulk", "slab", "molecule", "small_cell"])
@pytest.mark.parametrize("name", ["small-Si", "layers-3", "rank-1"])
def test_derivatives(backend, kind, name):
    """Forces and virial against finite differences."""
    atoms = sample_structures(zoo(name).model.atomic_numbers, seed=8)[kind]
    forces, virial = derivative_errors(zoo(name).engine(backend), atoms)
    assert forces < 1e-7
    assert virial < 1e-7


@pytest.mark.parametrize("kind", ["bulk", "slab", "molecule", "small_cell", "atom"])
@pytest.mark.parametrize("name", ["small-Si", "tiny", "layers-3"])
def test_domains(backend, kind, name):
    """1, 2, 4 and 7 domains, most of the 7 empty in the small structures."""
    model = zoo(name).model
    atoms = sample_structures(model.atomic_numbers, seed=8)[kind]
    engine = zoo(name).engine(backend)
    whole = engine.compute_system(
        atoms.positions,
        model.types(atoms.numbers),
        atoms.cell.array if atoms.pbc.any() else None,
        atoms.pbc.tolist(),
        PROPERTIES,
    )
    for count in (1, 2, 4, 7):
        domains = slices(atoms, count, axis=count % 3)
        engines = [zoo(name).engine(backend, copy=i) for i in range(count)]
        parts = compute_domains(engines.pop, atoms, domains, count)
        for key in PROPERTIES:
            close(parts[key], whole[key])


def test_a_failing_domain_stops_the_others(backend):
    atoms = sample_structures(ELEMENTS, seed=8)["bulk"]
    engines = [zoo("tiny").engine(backend), zoo("tiny").engine(backend, active_types=[0])]
    with pytest.raises(ArgumentError, match="type"):
        compute_domains(engines.pop, atoms, slices(atoms, 2), 2)


def test_energy_is_conserved(backend):
    """Velocity Verlet in numpy: the error of the energy falls with the square of the step."""
    start = random_structure([14], 16, 2, closest=1.0)
    engine = zoo("small-Si").engine(backend)
    types = zoo("small-Si").model.types(start.numbers)
    mass = 28.085 * 103.6427  # u in eV fs^2 / A^2

    def run(step: float) -> float:
        positions, velocities = start.positions.copy(), np.zeros((16, 3))
        totals = []
        found = engine.compute_system(positions, types, start.cell.array, True)
        for _ in range(round(40 / step)):
            velocities += 0.5 * step / mass * found["forces"]
            positions += step * velocities
            found = engine.compute_system(positions, types, start.cell.array, True)
            velocities += 0.5 * step / mass * found["forces"]
            totals.append(float(found["energy"]) + 0.5 * mass * float((velocities**2).sum()))
        return float(np.ptp(totals))

    coarse, fine = run(2.0), run(1.0)
    assert fine < 1e-2
    assert 3.0 < coarse / fine < 5.5
