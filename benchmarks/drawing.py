"""Plots as SVG, written by hand: bars for a comparison, curves for growth. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
BAR, GAP, LABELS = 16, 6, 250
PLOT_HEIGHT, MARGIN = 240, 56
COLOURS = ("#1f6f8b", "#c8553d", "#5b8c5a", "#8a6fb0")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, and the least and the most that it stands for."""

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Points over a size, both axes logarithmic; ``bad`` are the sizes to be marked."""

    title: str
    unit: str
    points: Sequence[tuple[float, float]]
    bad: frozenset[float] = frozenset()


def page(height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join(
        [head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *parts, "</svg>\n"]
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def bars(title: str, groups: Mapping[str, Sequence[Bar]]) -> str:
    """One chart: a group of bars under each heading, all on the same scale."""
    top = max((bar.high for group in groups.values() for bar in group), default=1.0) or 1.0
    scale = (WIDTH - LABELS - 70) / top
    y = 28.0
    parts = [text(12, y, title, bold=True)]
    for number, (heading, group) in enumerate(groups.items()):
        y += 28
        parts.append(text(12, y, heading, bold=True))
        y += 8
        for bar in group:
            middle = y + BAR / 2
            low, high, end = (LABELS + scale * value for value in (bar.low, bar.high, bar.value))
            parts += [
                text(LABELS - 8, middle + 4, bar.label, anchor="end"),
                f'<rect x="{LABELS}" y="{y:.1f}" width="{end - LABELS:.1f}" height="{BAR}" '
                f'fill="{COLOURS[number % len(COLOURS)]}"/>',
                f'<line x1="{low:.1f}" y1="{middle:.1f}" x2="{high:.1f}" y2="{middle:.1f}" stroke="black"/>',
                text(high + 6, middle + 4, f"{bar.value:.1f}"),
            ]
            y += BAR + GAP
    return page(y + 16, parts)


def curves(title: str, shown: Sequence[Curve]) -> str:
    """One plot under the other."""
    parts = [text(12, 24, title, bold=True)]
    for number, curve in enumerate(shown):
        parts += plot(curve, 40 + number * (PLOT_HEIGHT + 30), COLOURS[number % len(COLOURS)])
    return page(40 + len(shown) * (PLOT_HEIGHT + 30), parts)


def plot(curve: Curve, top: float, colour: str) -> list[str]:
    sizes = [math.log10(size) for size, _ in curve.points]
    values = [math.log10(value) for _, value in curve.points]
    # Whole powers of ten around the values: an even curve then looks even.
    floor, ceiling = math.floor(min(values)), math.floor(max(values)) + 1
    left, right = MARGIN + 20, WIDTH - MARGIN
    bottom, head = top + PLOT_HEIGHT - 24, top + 28

    def x(size: float) -> float:
        span = sizes[-1] - sizes[0]
        return left + (right - left) * ((math.log10(size) - sizes[0]) / span if span else 0.5)

    def y(value: float) -> float:
        return bottom - (bottom - head) * (math.log10(value) - floor) / (ceiling - floor)

    parts = [text(left, top + 12, f"{curve.title} ({curve.unit})", bold=True)]
    for power in range(floor, ceiling + 1):
        level = y(10.0**power)
        parts.append(f'<line x1="{left}" y1="{level:.1f}" x2="{right}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(text(left - 6, level + 4, f"{10.0**power:g}", anchor="end"))
    line = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in curve.points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for size, value in curve.points:
        radius, fill = (5, "red") if size in curve.bad else (3, colour)
        parts.append(f'<circle cx="{x(size):.1f}" cy="{y(value):.1f}" r="{radius}" fill="{fill}"/>')
        parts.append(text(x(size), bottom + 16, f"{size:g}", anchor="middle"))
    return parts
