"""What a silence would have hidden; made by bot/silencing.py, drawn by bot/blocks/silence.py."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preview:
    """Firing alerts that arrived in the last 24 h, and those that would have been hidden, by name, most frequent first."""

    arrived: int
    hidden: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many would have been hidden."""
        return sum(self.hidden.values())
