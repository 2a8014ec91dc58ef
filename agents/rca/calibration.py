"""From scores to the probability that a suspect is the culprit. Called by fuse.py; measured by bot/eval/scores.py."""

from collections.abc import Sequence

import numpy as np

# A softmax over log scores: p ~ score**SHARPNESS, beside a rival that stands for "none of these". Both constants are
# round figures chosen before the reliability was measured (docs/evaluation.md has it), not fitted to any set.
SHARPNESS = 3.0
NONE_OF_THESE = 0.15


def confidences(scores: Sequence[float]) -> list[float]:
    """Return one probability per score; they add up to less than 1, by what is left for a culprit that nothing shows."""
    powers = np.power(np.clip(np.asarray(scores, dtype=np.float64), 0.0, 1.0), SHARPNESS)
    total = float(powers.sum()) + NONE_OF_THESE**SHARPNESS
    return [float(power) / total for power in powers]
