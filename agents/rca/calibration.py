"""From scores to the probability that a suspect is the culprit. Called by fuse.py; measured by bot/eval/scores.py."""

from collections.abc import Sequence

import numpy as np

# A softmax over log scores: p ~ score**SHARPNESS, beside a rival that stands for "none of these". The sharpness
# is the least that the recorded sets choose for one another by Brier score (8, 12, 12); on simulated systems, to which nothing was
# fitted, it has the least calibration error of 4, 6, 8, 12 and 16 (docs/evaluation.md has the figures).
SHARPNESS = 8.0
NONE_OF_THESE = 0.15


def confidences(scores: Sequence[float], sharpness: float = SHARPNESS) -> list[float]:
    """Return one probability per score; they add up to less than 1, by what is left for a culprit that nothing shows."""
    powers = np.power(np.clip(np.asarray(scores, dtype=np.float64), 0.0, 1.0), sharpness)
    total = float(powers.sum()) + NONE_OF_THESE**sharpness
    return [float(power) / total for power in powers]
