"""What the tests do in the page, in the words of somebody who uses it."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import scenes

SETTLED = """!document.querySelector('.renewing') && document.getAnimations().every(
    (each) => each.effect.getComputedTiming().iterations === Infinity)"""
"""That nothing fades any more, whose colours would be measured on the way."""


@dataclass
class Gallery:
    """A served gallery: where its images lie, and where its page is."""

    images: Path
    address: str


@dataclass
class Tab:
    """A page with what it said on its console.

    Attributes:
        page: of the browser.
        address: of the server.
        errors: on the console, those left out that the test expects.
        refusals: statuses of answers of which the browser's own line is expected, whenever it
            comes: images load late.
    """

    page: Any
    address: str
    errors: list[str] = field(default_factory=list)
    refusals: tuple[int, ...] = ()

    def note(self, error: str) -> None:
        """Take an error that is not the browser's line for an expected refusal."""
        lines = (f"server responded with a status of {status} " for status in self.refusals)
        if not any(line in error for line in lines):
            self.errors.append(error)

    def open(self, query: str = "") -> None:
        """Go to a view."""
        self.page.goto(self.address + query)

    def images(self) -> Any:
        """The images of the grid, once there are any."""
        self.page.wait_for_selector("li.tile img.there")
        return self.page.locator("li.tile")

    def names(self) -> list[str]:
        """Their descriptions."""
        self.images()
        return [
            str(one)
            for one in self.page.eval_on_selector_all("li.tile img", "l => l.map(i => i.alt)")
        ]

    def drop(self, data: bytes, *, kind: str = "image/jpeg", on: str = "main") -> None:
        """Drop a file, as a hand would."""
        self.page.evaluate(
            """([text, kind, on]) => {
              const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
              const dataTransfer = new DataTransfer();
              dataTransfer.items.add(new File([bytes], "dropped.jpg", { type: kind }));
              const target = document.querySelector(on);
              for (const name of ["dragenter", "dragover", "drop"]) {
                target.dispatchEvent(
                  new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer }));
              }
            }""",
            [base64.b64encode(data).decode(), kind, on],
        )

    def search(self, seed: int) -> None:
        """Drop an altered scene and wait for what is found."""
        self.drop(scenes.altered(seed))
        self.page.wait_for_selector(".search li.tile img.there")

    def until(self, condition: str) -> None:
        """Wait for something to be true in the page, whose policy forbids it to evaluate text."""
        end = time.monotonic() + 120  # an index run yields to the tests beside it
        while not self.page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, f"never became true: {condition}"
            self.page.wait_for_timeout(50)

    def shot(self, name: str) -> None:
        """Keep a screenshot, where they are wanted."""
        folder = os.environ.get("GLOCAL_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=Path(folder) / f"{name}.png")
