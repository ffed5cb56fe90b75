"""The loss of each stretch of training steps, as CSV for tools and as SVG for people."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

_WIDTH: Final = 720
_HEIGHT: Final = 360
_MARGIN: Final = 48
_LINES: Final = (("loss", "#1f6f8b"), ("mark_loss", "#c8553d"))


@dataclass(frozen=True)
class Point:
    """Means over the stretch that ends at `step`; losses in nats a token, `items_per_s` in items a second."""

    step: int
    loss: float
    mark_loss: float
    rate: float
    items_per_s: float


def write_csv(points: Sequence[Point], file: Path) -> None:
    """Write one row a point."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow([field.name for field in fields(Point)])
        writer.writerows([f"{value:.6g}" for value in astuple(point)] for point in points)


def read_csv(file: Path) -> list[Point]:
    """Return the points of a file that `write_csv` wrote, or none if there is no file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.reader(opened))[1:]
    return [Point(int(row[0]), *map(float, row[1:])) for row in rows]


def write_svg(points: Sequence[Point], file: Path) -> None:
    """Draw both losses over the steps."""
    top = max(max(point.loss, point.mark_loss) for point in points)
    last = points[-1].step

    def place(step: int, loss: float) -> str:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * step / last
        y = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * loss / top
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for tick in range(5):
        value = top * tick / 4
        left, y = place(0, value).split(",")
        right = place(last, value).split(",")[0]
        parts.append(f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{_MARGIN - 6}" y="{y}" text-anchor="end">{value:.2f}</text>')
    for number, (name, colour) in enumerate(_LINES):
        line = " ".join(place(point.step, getattr(point, name)) for point in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{_WIDTH - 160}" y="{24 + 16 * number}" fill="{colour}">{name} (nats)</text>')
    parts.append(f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 16}" text-anchor="end">step {last}</text>')
    parts.append("</svg>\n")
    file.write_text("\n".join(parts), encoding="utf-8")
