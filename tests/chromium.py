"""Debian's Chromium, driven by Playwright, and what it is asked on every page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from awaiting import PATIENCE
from needed import needed
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)

# Text below 7 to 1. The ratio of WCAG 2: relative luminance of text against the nearest background that is not
# transparent.
LOW_CONTRAST = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!text || !node.checkVisibility() || node.closest("svg")) continue;
    const both = [channels(getComputedStyle(node).color), behind(node)].map(luminance).sort((a, b) => b - a);
    const ratio = (both[0] + 0.05) / (both[1] + 0.05);
    if (ratio < 7) low.push(`${node.textContent.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return low;
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Playwright keeps an event loop running in this thread until the block ends."""
    program = needed("chromium", "chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS), timeout=PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        yield started
        started.close()


def patient(context: BrowserContext) -> BrowserContext:
    """The same, whose pages may take their time: 30 s and less are not enough on a busy machine."""
    context.set_default_timeout(PATIENCE * 1000)
    return context
