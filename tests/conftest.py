"""What every test may use."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # the others want the cores as well; before torch is there
    os.environ["OMP_NUM_THREADS"] = "1"

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

import eanet
from eanet.cli import main
from tests.support.pictures import blank_pictures

# The same examples in every run: a failure that comes and goes helps nobody.
settings.register_profile("eanet", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("eanet")

# pytest gives a handler to loggers that pass nothing on, and PyTorch composes the records of its
# compiler's trace, with stacks and graphs, only where their logger has one.
logging.getLogger("torch.__trace").propagate = True

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests are run without coverage, which costs most there; files with some come first.

    Others run the same lines. What takes long should not begin when another worker is nearly done.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    for item in slow:
        item.add_marker("no_cover")
    files = {item.path for item in slow}
    items.sort(key=lambda item: item.path not in files)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; the test is skipped where there is none."""
    folder = Path(os.environ.get("EANET_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder}; set EANET_TEST_DATA to a folder that has them")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cache of the person who runs the tests is neither read nor filled.

    Workers share one, so that the second need not find out again what the compiler can do.
    """
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.getbasetemp()
        cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
        patch.setenv("EANET_CACHE_DIR", str(cache))
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache / "compiled"))
        eanet.build_kernels()  # as every command does where work begins
        yield


class Gpus:
    """What is tested is the processor, whatever else there is, but for `test_gpu.py`."""

    def hide(self) -> None:
        """From this process, and CUDA from those that it starts."""
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("CUDA_VISIBLE_DEVICES", "")
        for backend in (torch.cuda, torch.backends.mps):
            self.patch.setattr(backend, "is_available", lambda: False)

    def show(self) -> None:
        """As they were."""
        self.patch.undo()


@pytest.fixture(scope="session", autouse=True)
def gpus() -> Iterator[Gpus]:
    """Hidden."""
    gpus = Gpus()
    gpus.hide()
    yield gpus
    gpus.show()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 images of 16 x 16 pixels in each of 3 classes, which colour tells apart."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    random = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 100, (16, 16, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> eanet.TrainingResult:
    """A short training on `photos`. Copy the run directory before changing anything in it."""
    before = torch.get_num_threads()
    with blank_pictures():
        result = eanet.train(
            photos,
            image_size=16,
            epochs=2,
            compile="off",
            precision="fp32",
            threads=1,
            output=tmp_path_factory.mktemp("runs"),
        )
    torch.set_num_threads(before)
    return result


@pytest.fixture
def undrawn() -> Iterator[None]:
    """The pictures of reports are blank, for tests of something else."""
    with blank_pictures():
        yield


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command that must fail with one line and no result: its exit code and that line."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("eanet: error: ")
        assert err.count("\n") == 1
        return code, err.removeprefix("eanet: error: ").rstrip("\n")

    return run
