"""The chart of a telling series as a PNG, for workspaces whose Slack refuses native charts; bot/pictures.py uploads it.

Pillow, imported at the first picture. Every point is drawn: the native block shows at most 20.
"""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.blocks.chart import bounded, described, near_onset, scale
from tools.signals import Chart

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT = 960, 360
LEFT, RIGHT, TOP, BOTTOM = 84, 44, 44, 40
LINE, BOUND, ONSET, GRID, INK, PAPER = "#1264a3", "#e01e5a", "#b25d00", "#dddddd", "#1d1c1d", "#ffffff"
TICKS = 5
DASH = 8
TITLE_CHARS = 90


def png(chart: Chart) -> bytes:
    """Return the picture; a PNG with its description as text chunk."""
    from PIL import Image, ImageDraw, ImageFont
    from PIL.PngImagePlugin import PngInfo

    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    font = ImageFont.load_default(size=15)
    canvas = _Canvas(ImageDraw.Draw(picture), font, near_onset(chart))
    canvas.paint()
    told = PngInfo()
    told.add_itxt("Description", described(chart))
    out = io.BytesIO()
    picture.save(out, "PNG", pnginfo=told, optimize=True)
    return out.getvalue()


class _Canvas:
    """One picture under way: where a moment and a value lie on it."""

    def __init__(self, draw: "ImageDraw", font: Any, chart: Chart) -> None:
        self.draw, self.font, self.chart = draw, font, chart
        factor, self.unit = scale(chart)
        self.values = [bounded(value * factor) for value in chart.values]
        self.bound = bounded(chart.threshold * factor) if chart.threshold is not None else None
        shown = [*self.values, 0.0, *([self.bound] if self.bound is not None else [])]
        self.low, self.high = min(shown), max(shown)
        self.high += (self.high - self.low) * 0.05 or 1.0

    def x(self, at: float) -> float:
        first, last = self.chart.times[0], self.chart.times[-1]
        share = (at - first) / (last - first) if last > first else 0.5
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def paint(self) -> None:
        self._grid()
        if self.bound is not None:
            self._dashed([(LEFT, self.y(self.bound)), (WIDTH - RIGHT, self.y(self.bound))], BOUND)
            self._text(WIDTH - RIGHT, self.y(self.bound) - 4, f"threshold {self.bound:.4g}", BOUND, "rs")
        points = [(self.x(at), self.y(value)) for at, value in zip(self.chart.times, self.values, strict=True)]
        self.draw.line(points, fill=LINE, width=2)
        if self.chart.onset is not None:
            at = self.x(self.chart.onset.timestamp())
            self._dashed([(at, TOP), (at, HEIGHT - BOTTOM)], ONSET)
            side = "rs" if at > WIDTH / 2 else "ls"
            self._text(
                at + (-6 if side == "rs" else 6),
                TOP + 12,
                f"onset {self._clock(self.chart.onset.timestamp())}",
                ONSET,
                side,
            )
        title = " ".join(self.chart.title.split())
        self._text(LEFT, TOP - 16, title[:TITLE_CHARS] + (f" ({self.unit})" if self.unit else ""), INK, "ls")

    def _grid(self) -> None:
        first, last = self.chart.times[0], self.chart.times[-1]
        for tick in range(TICKS + 1):
            share = tick / TICKS
            value = self.low * (1 - share) + self.high * share
            at = first + (last - first) * share
            self.draw.line([(LEFT, self.y(value)), (WIDTH - RIGHT, self.y(value))], fill=GRID)
            self._text(LEFT - 8, self.y(value), f"{value:.4g}", INK, "rm")
            self._text(self.x(at), HEIGHT - BOTTOM + 10, self._clock(at), INK, "mt")

    def _clock(self, at: float) -> str:
        return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"

    def _text(self, x: float, y: float, said: str, colour: str, anchor: str) -> None:
        # The built-in font knows Latin letters; anything else would be drawn as boxes.
        plain = said.encode("latin-1", "replace").decode("latin-1")
        self.draw.text((x, y), plain, fill=colour, font=self.font, anchor=anchor)

    def _dashed(self, ends: Sequence[tuple[float, float]], colour: str) -> None:
        (x0, y0), (x1, y1) = ends
        length = max(abs(x1 - x0), abs(y1 - y0))
        for start in range(0, int(length), 2 * DASH):
            a, b = start / length, min(start + DASH, length) / length
            part = [(x0 + (x1 - x0) * a, y0 + (y1 - y0) * a), (x0 + (x1 - x0) * b, y0 + (y1 - y0) * b)]
            self.draw.line(part, fill=colour, width=2)
