"""`tocsin eval templates`: grouping accuracy on labelled log files made from source code, beside Drain in the same run."""

from bot.eval.drain import drain
from bot.eval.loglines import corpus, grouping_accuracy
from tools.templates import mine


def main(seed: int = 0) -> None:
    """Print each file's grouping accuracy, then the means; whole lines for ours, bare messages for Drain."""
    ours, theirs = [], []
    print(f"{'package/header':32} templates  tocsin  drain")  # noqa: T201
    for file in corpus(seed):
        ours.append(grouping_accuracy(mine(file.lines).assigned, file.labels))
        theirs.append(grouping_accuracy(drain(file.messages), file.labels))
        print(f"{file.name:32} {len(set(file.labels)):9}  {ours[-1]:6.3f}  {theirs[-1]:.3f}")  # noqa: T201
    count = max(len(ours), 1)
    print(f"files={len(ours)} mean_ga={sum(ours) / count:.3f} drain_ga={sum(theirs) / count:.3f}")  # noqa: T201
