"""`tocsin eval robust`: what is left of the ranking under disturbance and with other constants, set by set."""

from pathlib import Path

from bot.eval import robust
from bot.eval.cases import Case
from bot.eval.disturb import CHANGES
from bot.eval.read import read
from bot.eval.scores import accuracy

HARDER = (
    "as recorded",
    "without latency per call",
    "30 % of everything lost",
    "20 strange services",
    "time 2 min late",
)


def main(paths: list[Path], constants: bool) -> None:
    """Print tables of AC@1 / AC@3 / Avg@5 per set; with *constants* the sweep (39 times the work of one ranking)."""
    cases = [case for path in paths for case in read(path)]
    sets = sorted({case.set for case in cases})
    print(f"{'AC@1 / AC@3 / Avg@5':28}" + "".join(f"{name:>26}" for name in sets))  # noqa: T201
    for name, change in CHANGES.items():
        found = robust.disturbed(cases, change)
        print(f"{name:28}" + _row(cases, found, sets))  # noqa: T201
    # On these sets alone nearly all is right, and every confidence looks too low: the disturbed ones are in it too.
    harder = [CHANGES[name](case) for name in HARDER for case in cases]
    for name, sharp, error, brier, base in robust.calibrated(harder):
        said = f"{name} ECE {error:.3f} Brier {brier:.3f} (base rate {base:.3f})"
        print(f"confidence, sharpness {sharp:g} chosen on the others: {said}")  # noqa: T201
    if constants:
        _constants(cases, sets)


def _row(cases: list[Case], ranks: tuple[int, ...], sets: list[str]) -> str:
    cells = []
    for name in sets:
        scores = accuracy([rank for case, rank in zip(cases, ranks, strict=True) if case.set == name])
        cells.append(f"{f'{scores.ac1:.3f} / {scores.ac3:.3f} / {scores.avg5:.3f}':>26}")
    return "".join(cells)


def _constants(cases: list[Case], sets: list[str]) -> None:
    settings = robust.sweep(cases)
    for setting in settings:
        said = f"{setting.constant} x{setting.factor:g}" if setting.constant else "as it is"
        print(f"{said:28}" + _row(cases, setting.ranks, sets))  # noqa: T201
    halves = [f"half {number % 2 + 1}" for number in range(len(cases))]
    for title, groups in (
        ("set", [case.set for case in cases]), ("fault", [case.fault for case in cases]), ("half", halves),
    ):  # fmt: skip
        for name, (count, ac1, avg5, said) in robust.left_out(settings, groups).items():
            print(f"chosen without {title} {name} ({count} cases): AC@1 {ac1:.3f} Avg@5 {avg5:.3f} there, {said}")  # noqa: T201
