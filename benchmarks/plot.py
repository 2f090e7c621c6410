"""Line plots as SVG, with nothing but the standard library: panels side by side over one logarithmic x axis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 16, 30, 46
COLOURS = ("#4269d0", "#ff725c", "#3ca951", "#a463f2", "#efb118")
_NICE = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Line:
    """A name and points (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]


def line_plot(x_name: str, panels: Sequence[tuple[str, Sequence[Line]]]) -> str:
    """Return the SVG; each panel has a title and lines over the same x."""
    drawn = [
        f'<g transform="translate({number * WIDTH},0)">{_panel(x_name, title, lines)}</g>'
        for number, (title, lines) in enumerate(panels)
    ]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    box = f'viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11" fill="#333"'
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} {style}>{back}{"".join(drawn)}</svg>\n'


def _panel(x_name: str, title: str, lines: Sequence[Line]) -> str:
    xs = sorted({x for line in lines for x, _ in line.points})
    low, high = math.log10(xs[0]) - 0.05, math.log10(xs[-1]) + 0.05
    step, top = _steps(max(y for line in lines for _, y in line.points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        return LEFT + across, TOP + (1 - y / top) * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 16, title, weight="bold")]
    for number in range(round(top / step) + 1):
        value = number * step
        _, y = place(xs[0], value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", anchor="end"))
    for value in xs:
        x, y = place(value, 0)
        parts.append(_text(x, y + 16, _short(value), anchor="middle"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 10, x_name, anchor="end"))
    for number, line in enumerate(lines):
        parts.append(_drawn(line, COLOURS[number % len(COLOURS)], number, place))
    return "".join(parts)


def _drawn(
    line: Line, colour: str, number: int, place: Callable[[float, float], tuple[float, float]]
) -> str:
    """A line with its points and its entry in the key."""
    at = [place(x, y) for x, y in line.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at)
    y = TOP + 12 + 15 * number
    key = f'<path d="M{LEFT + 8} {y - 4}h16" stroke="{colour}" stroke-width="2"/>'
    shown = f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return shown + dots + key + _text(LEFT + 30, y, line.name)


def _steps(largest: float) -> tuple[float, float]:
    """A round distance between grid lines, and the multiple of it that holds everything."""
    rough = largest / 5
    scale = 10 ** math.floor(math.log10(rough))
    step = next(nice * scale for nice in _NICE if nice * scale >= rough)
    return step, step * math.ceil(largest * 1.02 / step)


def _short(value: float) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:.0f}k"


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
