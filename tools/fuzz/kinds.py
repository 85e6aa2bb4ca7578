"""The kinds of files that eanet opens: a valid one of each, its mutations, and what opens it."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import h5py
import numpy as np
from PIL import Image

import eanet
from eanet.comparison.runs import PEAK_MEMORY, PREDICTIONS, Run
from eanet.config import RUN_CONFIG, DataSettings, load_recipe
from eanet.data.datasets.cifar import load_cifar100
from eanet.data.decode import read_image
from eanet.data.formats import FORMATS, readable_formats
from eanet.data.layout import Layout, Listing
from eanet.data.source import open_source
from eanet.data.statistics import image_statistics
from eanet.models.keras_import import import_keras
from eanet.report.report import Training
from eanet.report.training import _circumstances
from eanet.training.range_test import SEARCH
from eanet.training.resume import resume
from eanet.training.run_directory import CHECKPOINT, HISTORY, RunDirectory
from tools.fuzz import mutate
from tools.fuzz.mutate import BYTES, Mutation

SIZE = 8  # of images, in pixels
PIXELS = np.arange(3 * SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE, 3)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: of the kind.
        file: where the file is in its folder.
        seed: the bytes of a valid one.
        open: opens the file, given the folder.
        structured: mutations that know its structure.
        base: a folder to copy, in which the file is replaced.
    """

    name: str
    file: str
    seed: bytes
    open: Callable[[Path], object]
    structured: tuple[Mutation, ...] = ()
    base: Path | None = None

    def mutated(self, random: Random) -> bytes:
        """Return the bytes of a file that is no longer as it should be."""
        data = self.seed
        for _ in range(random.choice((1, 1, 1, 2))):
            use_structure = self.structured and random.random() < 0.6
            mutation = random.choice(self.structured if use_structure else BYTES)
            try:
                data = mutation(random, data)
            except Exception:  # it no longer has its structure
                data = mutate.flip(random, data)
        return data

    def prepare(self, folder: Path, data: bytes) -> None:
        """Make a folder that holds the file with these bytes."""
        if self.base is not None:
            shutil.copytree(self.base, folder)
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def kinds(run: Path, photos: Path, work: Path, exported: Path | None = None) -> list[Kind]:
    """Return all kinds.

    Args:
        run: a finished run of a small model on ``photos``.
        photos: a folder of images, which stays where it is.
        work: an empty folder.
        exported: an ONNX file.
    """
    return [
        *_of_models(run, exported),
        *_of_runs(_with_figures(run, work)),
        *_of_settings(work),
        *_of_archives(),
        *_of_images(),
        *_of_keras(work),
        *_of_cache(photos, work),
        Kind("CIFAR", "cifar-100-python/train", b"\x80\x02}q\x00.", _open_cifar, (), _cifar(work)),
    ]


def _of_models(run: Path, exported: Path | None) -> Iterable[Kind]:
    model = (run / "model.safetensors").read_bytes()
    yield Kind("model", "x.safetensors", model, _predict("x.safetensors"), (mutate.in_safetensors,))
    if exported is not None:
        for runtime in ("onnxruntime", "openvino"):
            open_it = _predict("x.onnx", runtime)
            yield Kind(f"ONNX, {runtime}", "x.onnx", exported.read_bytes(), open_it)


def _predict(name: str, runtime: str = "torch") -> Callable[[Path], object]:
    def open_it(folder: Path) -> object:
        predictor = eanet.load(folder / name, runtime=runtime)  # type: ignore[arg-type]
        return predictor.predict(Image.fromarray(PIXELS))

    return open_it


def _of_runs(run: Path) -> Iterable[Kind]:
    structures: dict[str, tuple[Mutation, ...]] = {
        RUN_CONFIG: (mutate.in_yaml,),
        HISTORY: (mutate.in_csv,),
        SEARCH: (mutate.in_csv,),
        PREDICTIONS: (mutate.in_json,),
        PEAK_MEMORY: (mutate.in_json,),
    }
    for name, structured in structures.items():
        yield Kind(name, name, (run / name).read_bytes(), _read_run, structured, run)
    checkpoint = (run / CHECKPOINT).read_bytes()
    yield Kind(CHECKPOINT, CHECKPOINT, checkpoint, _resume, (mutate.in_checkpoint,), run)


def _read_run(run: Path) -> object:
    training = Training.of(RunDirectory.open(run))
    return list(_circumstances(training)), Run.read(run)


def _resume(run: Path) -> object:
    os.environ["EANET_CACHE_DIR"] = str(run / "cache")
    return resume(run)


def _with_figures(run: Path, work: Path) -> Path:
    """Return a copy of a run with the files that only some runs have."""
    copy = shutil.copytree(run, work / "run")
    (copy / SEARCH).write_text("learning_rate,loss,smoothed\n0.001,2,2\n0.01,1,1\n", "utf-8")
    (copy / PEAK_MEMORY).write_text('{"bytes": 5}\n', "utf-8")
    answers = '{"test_images": "t", "parameters": 9, "multiply_adds": 9, "images": 8, '
    (copy / PREDICTIONS).write_text(answers + '"top1": "gA==", "top5": "/w=="}\n', "utf-8")
    return copy


def _of_settings(work: Path) -> Iterable[Kind]:
    recipe = (
        b"epochs: 3\nlearning_rate: 0.001\nschedule: cosine\nflip: true\nmixup: 0.2\nema: none\n"
    )
    yield Kind(
        "recipe",
        "x.yaml",
        recipe,
        lambda folder: load_recipe(str(folder / "x.yaml")),
        (mutate.in_yaml,),
    )
    text = b"path,label,split\na.png,cat,train\nb.png,dog,train\nc.png,cat,test\n"
    base = work / "listed"
    base.mkdir()
    for name in "abc":
        (base / f"{name}.png").write_bytes(_png())
    yield Kind("list", "x.csv", text, partial(_load, "x.csv"), (mutate.in_csv,), base)


def _load(name: str, folder: Path) -> object:
    os.environ["EANET_CACHE_DIR"] = str(folder / "cache")
    return open_source(folder / name).load_splits(DataSettings(image_size=SIZE))


def _png(level: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS + np.uint8(level)).save(file, "png")
    return file.getvalue()


def _of_archives() -> Iterable[Kind]:
    members = {f"pets/{name}/{i}.png": _png(i) for name in ("cat", "dog") for i in range(3)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    yield Kind("zip", "x.zip", file.getvalue(), partial(_load, "x.zip"), (mutate.in_zip,))
    for ending, mode in ((".tar", "w"), (".tar.gz", "w:gz"), (".tar.xz", "w:xz")):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        structured = (mutate.in_tar,) if ending != ".tar.xz" else ()
        name = f"x{ending}"
        yield Kind(ending[1:], name, file.getvalue(), partial(_load, name), structured)


def _of_images() -> Iterable[Kind]:
    for kind in readable_formats():
        if kind not in Image.SAVE:  # QOI, by the oldest Pillow that reads it
            continue
        file = io.BytesIO()
        options = {"GIF": {"save_all": True}, "PNG": {"save_all": True}}.get(kind, {})
        frames = [Image.fromarray(PIXELS + np.uint8(i)) for i in range(3)]
        if options:
            options |= {"append_images": frames[1:]}
        elif kind == "JPEG":
            options = {"progressive": True, "exif": Image.Exif().tobytes(), "comment": b"x" * 50}
        elif kind == "TIFF":
            options = {"compression": "tiff_lzw"}
        frames[0].resize((40, 30)).save(file, kind, **options)
        yield Kind(kind, f"x{FORMATS[kind][0]}", file.getvalue(), _read_image)


def _read_image(folder: Path) -> object:
    (path,) = folder.glob("x.*")
    layout = Layout(folder, {"train": Listing(folder, {"a": [path]}, [])}, [])
    return image_statistics(layout), read_image(path, SIZE)


def _of_keras(work: Path) -> Iterable[Kind]:
    path = work / "x.h5"
    with h5py.File(path, "w") as file:
        for name, shapes in KERAS.items():
            for number, shape in enumerate(shapes):
                file[f"layers/{name}/vars/{number}"] = np.ones(shape, "f4")
    yield Kind("Keras h5", "x.h5", path.read_bytes(), lambda f: import_keras(f / "x.h5"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("model.weights.h5", path.read_bytes())
        archive.writestr("config.json", '{"config": {"layers": []}}')
    seed = packed.getvalue()
    yield Kind("keras", "x.keras", seed, lambda f: import_keras(f / "x.keras"), (mutate.in_zip,))


# Shapes of the variables of a network of the Keras example: 4 patches of 4 x 4 pixels, 8 wide.
KERAS = {
    "normalization": ((3,), (3,), ()),
    "patch_embedding/proj": ((48, 8), (8,)),
    "patch_embedding/pos_embed": ((4, 8),),
    "layer_normalization": ((8,), (8,)),
    "layer_normalization_1": ((8,), (8,)),
    "dense": ((8, 16), (16,)),
    "dense_1": ((4, 4), (4,)),
    "dense_2": ((4, 4), (4,)),
    "dense_3": ((16, 8), (8,)),
    "dense_4": ((8, 8), (8,)),
    "dense_5": ((8, 8), (8,)),
    "dense_6": ((8, 3), (3,)),
}


def _of_cache(photos: Path, work: Path) -> Iterable[Kind]:
    """Yield the files of the decoded images of ``photos``."""
    base = work / "cached"
    base.mkdir()
    before = os.environ["EANET_CACHE_DIR"]
    load = partial(_load_cached, photos)
    load(base)
    os.environ["EANET_CACHE_DIR"] = before
    images = next((base / "cache" / "entries").glob("*/images.npy"))
    for path, structured in (
        (images, mutate.in_npy),
        (images.with_name("details.json"), mutate.in_json),
    ):
        name = str(path.relative_to(base))
        yield Kind(f"cached {path.name}", name, path.read_bytes(), load, (structured,), base)


def _load_cached(photos: Path, folder: Path) -> object:
    os.environ["EANET_CACHE_DIR"] = str(folder / "cache")
    return open_source(photos).load_splits(DataSettings(image_size=SIZE))


def _cifar(work: Path) -> Path:
    folder = work / "cifar" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name in ("meta", "test"):
        (folder / name).write_bytes(b"\x80\x02}q\x00.")
    return folder.parent


def _open_cifar(folder: Path) -> object:
    return load_cifar100(DataSettings(data_dir=folder))
