"""A folder for a web server: a page that classifies photographs on the visitor's own device."""

from __future__ import annotations

import base64
import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

from eanet.deploy.export.onnx_file import write_onnx
from eanet.errors import EanetError
from eanet.files import replacing, replacing_together
from eanet.models import Classifier
from eanet.models.tokenizer import patch_size_for
from eanet.pages.classifying import Page, classifying_page, default_threshold

PAGE, MODEL = "index.html", "model.onnx"
LOCAL = "onnxruntime-web"  # folder for a copy of the runtime
VERSION = "1.30.0"
"""Of onnxruntime-web: the one that the page was tried with."""
_CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist"


class _File(NamedTuple):
    """A file of the runtime, as the browser checks it before use."""

    url: str
    integrity: str


_SCRIPT = _File(
    f"{_CDN}/ort.wasm.bundle.min.mjs",
    "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
)
_BINARY = _File(
    f"{_CDN}/ort-wasm-simd-threaded.wasm",
    "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
)


def write_web(
    model: Classifier,
    folder: Path,
    weights_sha256: str | None = None,
    *,
    runtime: Path | None = None,
) -> Path:
    """Write a page, and the model as `write_onnx` does.

    Args:
        model: a classifier of RGB images.
        folder: where to write.
        weights_sha256: see `file_metadata`.
        runtime: an unpacked npm package onnxruntime-web, of which a copy is put into the folder;
            unless given, the page loads `VERSION` from cdn.jsdelivr.net.

    Returns:
        The folder.

    Raises:
        EanetError: as `write_onnx`; there is no such package.
    """
    script, binary = _SCRIPT, _BINARY
    with replacing_together(folder):  # the page has the names of the model's classes
        if runtime is not None:
            script, binary = (_copy(runtime, folder / LOCAL, file) for file in (script, binary))
        write_onnx(model, folder / MODEL, weights_sha256)
        with replacing(folder / PAGE) as partial:
            partial.write_text(_page(model, script, binary).text, "utf-8")
    return folder


def _page(model: Classifier, script: _File, binary: _File) -> Page:
    config = model.config
    host = f" {_CDN}/" if script is _SCRIPT else ""
    levels = config.preprocessing.levels
    return classifying_page(
        __package__,
        ("web.js", "occlusion.js"),
        title=f"Classify photographs with {config.name}",
        classes=model.classes,
        threshold=default_threshold(len(model.classes)),
        detects_unknown=model.detector is not None,
        privacy="Photographs stay on this device: this page classifies them by itself.",
        data={
            "classes": list(model.classes),
            "input": {  # for what answers rest on, as `eanet.explanation.occlusion` finds it
                "size": config.image_size,
                "fit": config.preprocessing.fit,
                "fill": config.preprocessing.fill,
                "side": patch_size_for(config.image_size),
                # Of all 16 bits, what a browser reads is near enough.
                "levels": None if levels == (0, 65535) else levels,
                "cover": model.normalization.mean.round().int().tolist(),
            },
            "runtime": {"script": script._asdict(), "binary": binary._asdict()},
        },
        policy={
            "connect-src": f"'self'{host}",
            "script-src": "blob: 'wasm-unsafe-eval'",  # the runtime, after its hash was checked
        },
    )


def _copy(package: Path, folder: Path, file: _File) -> _File:
    """Copy a file of a package into a folder and return it there."""
    name = file.url.rpartition("/")[2]
    found = [path for path in (package / "dist" / name, package / name) if path.is_file()]
    if not found:
        raise EanetError(
            f"{package} is not the npm package onnxruntime-web: it has no dist/{name}; unpack what "
            f"`npm pack onnxruntime-web@{VERSION}` downloads"
        )
    digest = hashlib.sha384(found[0].read_bytes()).digest()
    with replacing(folder / name) as partial:
        shutil.copyfile(found[0], partial)
    return _File(f"{folder.name}/{name}", "sha384-" + base64.b64encode(digest).decode("ascii"))
