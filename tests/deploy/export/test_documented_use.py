"""What README and docs/deploy.md tell to type without eanet gives the model's answer."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eanet
from tests.conftest import REPOSITORY

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
