"""What is imported to classify a photograph: what takes seconds only where something needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eanet.deploy.choosing import open_runtime
from tests.support.servers import picture

HEAVY = ("torch", "matplotlib", "sklearn", "pandas", "scipy", "huggingface_hub", "fastapi")
PROGRAM = """
import json, sys
class Refused:
    def find_spec(self, name, *_):
        if name.split(".")[0] in json.loads(sys.argv[1]):
            raise ImportError(f"{name} was imported")
sys.meta_path.insert(0, Refused())
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("images") / "some.png"
    file.write_bytes(picture())
    return file


def refusing(code: str, *names: str) -> str:
    """Run a program that fails where it imports what takes long; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + code, json.dumps([*HEAVY, *names])],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_an_exported_file_classifies_without_pytorch(
    runtime: str, small_run: Path, image: Path
) -> None:
    arguments = ["predict", str(small_run / "model.onnx"), str(image), f"--runtime={runtime}"]
    other = {"openvino": "onnxruntime", "onnxruntime": "openvino"}[runtime]
    printed = refusing(f"from eanet.cli import main; sys.exit(main({arguments}))", other)
    assert printed.startswith(f"{image}: ")


def test_a_run_whose_graph_is_kept_classifies_without_pytorch(small_run: Path, image: Path) -> None:
    open_runtime(small_run, "openvino")  # keeps it
    arguments = ["predict", str(small_run), str(image)]
    assert refusing(f"from eanet.cli import main; sys.exit(main({arguments}))")


def test_a_program_classifies_without_pytorch(small_run: Path, image: Path) -> None:
    file = str(small_run / "model.onnx")
    assert "Prediction(" in refusing(
        f"import eanet; print(eanet.load({file!r}).predict({str(image)!r}))"
    )
