"""What README and docs/deploy.md tell to type without eanet gives the model's answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eanet
from tests.conftest import REPOSITORY
from tests.support.browser_runtime import installed_runtime

pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")


@pytest.mark.parametrize("text", ["README.md", "docs/deploy.md"])
def test_the_lines_of_python_give_the_model_s_answer(
    text: str,
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / text).read_text("utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "onnxruntime.InferenceSession" in block]
    assert "eanet" not in code
    monkeypatch.chdir(tmp_path)
    shutil.copy(small_run / "model.onnx", tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    blobs = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(blobs).resize((300, 200), Image.Resampling.BICUBIC)
    image.save("some.jpg", exif=exif)
    exec(compile(code, text, "exec"), {})
    name, probability = capsys.readouterr().out.split()
    expected = eanet.load(small_run, "cpu", runtime="torch").predict("some.jpg")[0]
    assert name == expected.top1
    assert float(probability) == pytest.approx(expected.probabilities[0], abs=1e-4)


JAVASCRIPT = """
import fs from "fs";
import * as ort from %(runtime)s;
globalThis.fetch = async (name) => new Response(fs.readFileSync(name));  // as a page does
ort.env.wasm.wasmBinary = fs.readFileSync(%(binary)s);
ort.env.wasm.numThreads = 1;
const canvas = %(canvas)s;
const context = { getImageData: () => canvas };
%(lines)s
console.log(JSON.stringify([...probabilities.data]));
"""


@pytest.mark.parametrize("text", ["README.md", "docs/deploy.md"])
def test_the_lines_of_javascript_give_the_model_s_answer(
    text: str, small_run: Path, tmp_path: Path
) -> None:
    package, node = installed_runtime(), shutil.which("node")
    if package is None or node is None:
        pytest.skip("no node, or no npm package onnxruntime-web")
    blocks = re.findall(r"```js\n(.*?)```", (REPOSITORY / text).read_text("utf-8"), re.DOTALL)
    (lines,) = [block for block in blocks if "InferenceSession.create" in block]
    shutil.copy(small_run / "model.onnx", tmp_path)
    pixels = np.random.default_rng(1).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    rgba = np.dstack([pixels, np.full((12, 9), 255, np.uint8)])
    (tmp_path / "program.mjs").write_text(
        JAVASCRIPT
        % {
            "runtime": json.dumps(str(package / "dist" / "ort.wasm.bundle.min.mjs")),
            "binary": json.dumps(str(package / "dist" / "ort-wasm-simd-threaded.wasm")),
            "canvas": json.dumps({"data": rgba.ravel().tolist(), "width": 9, "height": 12}),
            "lines": re.sub("^import .*\n", "", lines),
        }
    )
    done = subprocess.run([node, "program.mjs"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    predictor = eanet.load(small_run, "cpu", runtime="torch")
    (expected,) = predictor.predict(Image.fromarray(pixels), top=4)
    own = dict(zip(expected.classes, expected.probabilities, strict=True))
    assert found == pytest.approx([own[name] for name in predictor.classes], abs=1e-4)
