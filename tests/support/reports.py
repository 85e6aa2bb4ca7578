"""What the tests of the report share: reports made up, and a strict reader of pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from eanet.config import TrainSettings
from eanet.data.imageset import ImageSet
from eanet.metrics.evaluation import Evaluation
from eanet.report.report import Report, Training
from eanet.training.run_config import DataRecord, Environment, RunConfig
from tests.support.pictures import history
from tests.support.settings import resolved


def make_report(
    classes: Sequence[str],
    count: int = 40,
    *,
    size: int = 8,
    wrong: float = 0.3,
    files: Sequence[Path] | None = None,
    **others: object,
) -> Report:
    """A report on ``count`` images, a part of which is taken for other classes."""
    random = np.random.default_rng(0)
    kinds = len(classes)
    labels = np.arange(count) % kinds
    logits = random.normal(size=(count, kinds)).astype(np.float32)
    slips = random.random(count) < wrong
    logits[np.arange(count), np.where(slips, (labels + 1) % kinds, labels)] += 6
    pixels = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    images = ImageSet(pixels, labels, tuple(classes), None if files is None else tuple(files))
    evaluation = Evaluation(logits, labels, tuple(classes))
    fields = {"metrics": evaluation.metrics(), "images": images, **others}
    return Report("vit", "photos", "test", evaluation=evaluation, **fields)  # type: ignore[arg-type]


def make_training(**environment: object) -> Training:
    """A run of three epochs."""
    config = RunConfig(
        settings=TrainSettings(epochs=3),
        resolved=resolved(epochs=3, threads=2),
        data=DataRecord(name="photos", images={"train": 1234, "test": 40}, fingerprint="f"),
        environment=Environment(**environment),
    )
    return Training(config, history(3))


class Reader(HTMLParser):
    """Reads a page and notes what is not as it must be."""

    VOID = frozenset({"meta", "img", "br", "hr", "input", "link", "wbr"})
    ADDRESSES = frozenset(
        {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background"}
    )

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}: {attrs}"
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name in self.ADDRESSES:
                self.addresses.append(value or "")
            if name == "id":
                self.ids[value or ""] += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"closed but never opened: {tag}"
        assert self.open.pop() == tag, f"closed out of order: {tag}"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def values(self, tag: str, attribute: str) -> list[str]:
        """Every value that an attribute has in elements of a kind."""
        return [value for t, name, value in self.attributes if (t, name) == (tag, attribute)]
