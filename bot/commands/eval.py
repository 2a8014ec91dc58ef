"""`tocsin eval rank`: the ranking over recorded incidents, beside baselines computed in the same run."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agents.rca import fuse
from agents.rca.signals import Incident
from agents.rca.suspects import Ranking
from bot.eval.baselines import BASELINES
from bot.eval.baselines import rank as baseline
from bot.eval.cases import Case, DatasetError
from bot.eval.read import cases
from bot.eval.scores import Accuracy, accuracy, rank_of, reliability

LISTED = 10


@dataclass(frozen=True)
class Result:
    """One case, its ranking, the culprit's rank in it and in the baselines' (0: not in the list)."""

    case: Case
    ranking: Ranking
    rank: int
    baselines: dict[str, int]


def main(path: Path, format_: str = "", out: Path | None = None, without: Sequence[str] = ()) -> None:
    """Print the scores per set and of all; write the ranked list per case to *out*."""
    if unknown := set(without) - fuse.PARTS:
        raise DatasetError(f"no part {', '.join(sorted(unknown))}; parts are {', '.join(sorted(fuse.PARTS))}")
    results = [run(case, fuse.PARTS - set(without)) for case in cases(path, format_)]
    if out is not None:
        out.write_text(json.dumps([_listed(result) for result in results], indent=1) + "\n", encoding="utf-8")
    for name in sorted({result.case.set for result in results}):
        _print_set(name, [result for result in results if result.case.set == name])
    print(last_line(results))  # noqa: T201


def run(case: Case, parts: Collection[str] = fuse.PARTS) -> Result:
    """Rank one case and let the baselines rank it."""
    ranking = fuse.rank(case.incident, parts)
    theirs = {name: rank_of(case.culprit, baseline(case.incident, scale)) for name, scale in BASELINES.items()}
    # What was recorded is let go: a day of cases with their logs and traces does not fit in memory.
    case = replace(case, incident=Incident(case.incident.at, case.incident.until))
    return Result(case, ranking, rank_of(case.culprit, [one.service for one in ranking.suspects]), theirs)


def last_line(results: Sequence[Result]) -> str:
    """Return the figures of all cases in one line."""
    ours = accuracy([result.rank for result in results])
    baro, nsigma = (accuracy([result.baselines[name] for result in results]) for name in ("baro", "nsigma"))
    return (
        f"n={ours.n} ac1={ours.ac1:.3f} ac3={ours.ac3:.3f} ac5={ours.ac5:.3f} avg5={ours.avg5:.3f} "
        f"baro_avg5={baro.avg5:.3f} nsigma_avg5={nsigma.avg5:.3f}"
    )


def _print_set(name: str, results: Sequence[Result]) -> None:
    lines = [f"{name}: {len(results)} cases", f"  {'':8} AC@1  AC@3  AC@5  Avg@5"]
    lines.append(_row("tocsin", accuracy([result.rank for result in results])))
    lines += [_row(known, accuracy([result.baselines[known] for result in results])) for known in BASELINES]
    first = [result.ranking.suspects[0].confidence if result.ranking.suspects else 0.0 for result in results]
    error, bins = reliability(first, [result.rank == 1 for result in results])
    lines.append(f"  calibration of the first suspect: ECE {error:.3f}")
    lines += [f"    said {one.confidence:.2f}, right {one.right:.2f} ({one.n} cases)" for one in bins]
    print("\n".join(lines) + "\n")  # noqa: T201


def _row(name: str, scores: Accuracy) -> str:
    return f"  {name:8} {scores.ac1:.3f} {scores.ac3:.3f} {scores.ac5:.3f} {scores.avg5:.3f}"


def _listed(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "set": case.set,
        "case": case.name,
        "culprit": case.culprit,
        "fault": case.fault,
        "rank": result.rank,
        "baselines": result.baselines,
        "at": case.incident.at,
        "onset": result.ranking.onset,
        "suspects": [asdict(suspect) for suspect in result.ranking.suspects[:LISTED]],
    }
