"""`tocsin eval simulate`: writes days of a made system with known culprits, in Nezha's layout, for `tocsin eval rank`."""

from pathlib import Path

from bot.eval.cases import DatasetError
from bot.eval.simulate_files import write

KINDS = ("boutique", "random")


def main(folder: Path, kind: str, days: int, faults: int, seed: int, edges: bool) -> None:
    """Write *days* with *faults* each, by seeds from *seed* on; raises DatasetError for a kind that is not known."""
    if kind not in KINDS:
        raise DatasetError(f"system {kind!r} is not known; known are {', '.join(KINDS)}")
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(
            f"{folder} is not empty; name a new folder, so that no older day is ranked with the new ones"
        )
    for number in range(seed, seed + days):
        print(write(folder, kind, faults, number, REQUESTS, edges))  # noqa: T201


REQUESTS = 60  # a minute, as many as Nezha's days have
