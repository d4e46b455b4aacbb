"""Makes notebooks/lesson.png, the README's picture of a lesson: from a heading to the end of the figure below it.

``PYTHONPATH=tests .venv/bin/python tests/tools/lesson_picture.py``; needs chromium.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from chromium import chromium
from playwright.sync_api import FloatRect
from publishing.lessons import lessons
from publishing.site import write_lesson

PICTURE = Path(__file__).parents[2] / "notebooks/lesson.png"
LESSON = 2
MARGIN = 16
"""CSS pixels around the piece of the page."""

PIECE = """() => {
  const figure = document.querySelector("main img");
  const above = [...document.querySelectorAll("main h2, main h3")]
    .filter((heading) => heading.compareDocumentPosition(figure) & Node.DOCUMENT_POSITION_FOLLOWING);
  const code = document.querySelector("main pre").getBoundingClientRect();
  return [code.left, above.at(-1).getBoundingClientRect().top, code.right, figure.getBoundingClientRect().bottom];
}"""


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(write_lesson(Path(folder), lessons()[LESSON]).as_uri())
        left, top, right, bottom = page.evaluate(PIECE)
        width, height = right - left + 2 * MARGIN, bottom - top + 2 * MARGIN
        clip: FloatRect = {"x": left - MARGIN, "y": top - MARGIN, "width": width, "height": height}
        page.screenshot(path=PICTURE, full_page=True, clip=clip)
    print(f"Wrote {PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB.")


if __name__ == "__main__":
    main()
