"""Draws how the project works: python docs/how_it_works.py writes docs/figures/how_it_works.svg."""

from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 980, 320
BOX = (150, 64)
COLORS = {"input": "#eef3f8", "estimate": "#e3f1e6", "truth": "#fbe9e2", "result": "#f4eefa"}

BOXES = {  # name: left, top, colour, lines of text
    "text": (10, 128, "input", ("text, model,", "orders")),
    "reference": (210, 128, "input", ("warm-up and", "reference run")),
    "expansion": (410, 48, "estimate", ("expansion: path,", "gradients, curvature")),
    "estimates": (610, 48, "estimate", ("estimates: replay", "of any order")),
    "truth": (510, 212, "truth", ("truth: retrain a", "sample of orders")),
    "verdict": (820, 88, "result", ("verdict, intervals,", "errors, costs")),
    "use": (820, 208, "result", ("order search, maps", "of positions, figures")),
}
ARROWS = [  # from x, y to x, y
    (160, 160, 210, 160),
    (360, 150, 410, 90),
    (360, 170, 510, 238),
    (560, 80, 610, 80),
    (760, 88, 820, 112),
    (660, 238, 820, 138),
    (895, 152, 895, 208),
]
COMPARED = (640, 112, 590, 212)


def box(left: int, top: int, color: str, lines: tuple[str, ...]) -> str:
    """Return a box with centred lines of text."""
    width, height = BOX
    middle = left + width / 2
    first = top + height / 2 + 5 - 9 * (len(lines) - 1)
    texts = [
        f'<text x="{middle}" y="{first + 18 * i}">{escape(line)}</text>'
        for i, line in enumerate(lines)
    ]
    shape = (
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="8" '
        f'fill="{COLORS[color]}" stroke="#55606b"/>'
    )
    return shape + "".join(texts)


def arrow(ends: tuple[int, int, int, int], extra: str = "") -> str:
    """Return a line with an arrow head."""
    start_x, start_y, end_x, end_y = ends
    return (
        f'<line x1="{start_x}" y1="{start_y}" x2="{end_x}" y2="{end_y}" stroke="#55606b" '
        f'stroke-width="1.6" marker-end="url(#head)" {extra}/>'
    )


def drawing() -> str:
    """Return the SVG."""
    head = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        'markerHeight="8" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#55606b"/>'
        "</marker></defs>"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="14" text-anchor="middle" role="img" '
        'aria-label="From text to estimates, true retraining and verdict">',
        head,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *(box(*entry) for entry in BOXES.values()),
        *(arrow(ends) for ends in ARROWS),
        arrow(COMPARED, 'marker-start="url(#head)" stroke-dasharray="5 4"'),
        '<text x="665" y="168" font-size="13" font-style="italic">compared</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write the drawing."""
    target = Path(__file__).parent / "figures" / "how_it_works.svg"
    target.write_text(drawing(), encoding="utf-8")


if __name__ == "__main__":
    main()
