"""`eanet export`: where files are written, what is compared, what is refused."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eanet
from eanet.cli import main
from eanet.deploy.export import export, onnx_file
from eanet.deploy.export.images import Originals, originals_of
from eanet.deploy.export.onnx_file import open_onnx, write_onnx
from eanet.deploy.export.parity import measure_parity
from eanet.deploy.export.torch_file import open_torch, write_torch
from eanet.deploy.predictor import Predictor
from eanet.errors import EanetError
from eanet.model_files.find import model_digest
from eanet.models import Classifier, load_model
from eanet.report.selection import model_images

pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small_run, tmp_path / "run")


@pytest.fixture
def quick(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports in no time: the file of `small_run` is written again."""
    import onnx

    made = onnx.load(small_run / "model.onnx")
    monkeypatch.setattr(onnx_file, "onnx_model", lambda *_: made)


def photograph(height: int, width: int) -> Image.Image:
    blobs = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)


def originals(folder: Path) -> list[Path]:
    """Files of many shapes, modes and kinds."""
    files = []

    def save(name: str, image: Image.Image, **options: object) -> None:
        files.append(folder / name)
        image.save(files[-1], **options)

    for height, width in [(8, 8), (3, 12), (12, 3), (1, 90), (90, 1), (200, 50), (375, 500)]:
        save(f"{height}x{width}.png", photograph(height, width))
        save(f"{height}x{width}.jpg", photograph(height, width), quality=80)
    turned = Image.Exif()
    turned[0x0112] = 6
    save("turned.jpg", photograph(60, 90), exif=turned)
    save("grey.png", photograph(60, 90).convert("L"))
    save("palette.gif", photograph(60, 90).quantize(16))
    clear = photograph(60, 90).convert("RGBA")
    clear.putalpha(Image.radial_gradient("L").resize(clear.size))
    save("clear.png", clear)
    deep = np.linspace(0, 65535, 60 * 90).reshape(60, 90).astype(np.uint16)
    save("deep.png", Image.fromarray(deep))
    return files


def test_the_report_beside_the_file_says_that_it_answers_as_the_model_does(
    small_run: Path,
) -> None:
    parity = json.loads((small_run / "model.onnx.json").read_text())["parity"]
    assert parity["images"] == 128
    assert parity["of"] == "parts of two photographs"
    assert parity["largest_difference"] < 1e-4
    assert parity["same_top1"] == 1


def test_files_of_every_kind_get_the_same_answers(
    small: Classifier, small_run: Path, tmp_path: Path
) -> None:
    answer = open_onnx(small_run / "model.onnx")
    parity = measure_parity(Predictor(small, "cpu"), answer, Originals("", originals(tmp_path)))
    assert parity.images == 19
    assert parity.largest_difference < 1e-4
    assert parity.same_top1 == 1


def test_other_answers_are_told(small: Classifier) -> None:
    images = [np.asarray(photograph(20, 20)), np.zeros((9, 9, 3), np.uint8)]
    with torch.inference_mode():
        model = Predictor(small, "cpu").predict(Image.fromarray(images[0]), top=4)[0]
    swapped = np.zeros((1, 4), np.float32)
    swapped[0, small.classes.index(model.classes[-1])] = 1
    parity = measure_parity(Predictor(small, "cpu"), lambda _: swapped, Originals("", images[:1]))
    assert parity.same_top1 == 0
    assert parity.largest_difference == pytest.approx(1 - model.probabilities[-1], abs=1e-6)


def test_a_run_is_compared_on_its_own_test_images(trained: eanet.TrainingResult) -> None:
    found = originals_of(model_images(trained.path, load_model(trained.path)))
    assert found.name == "test images of photos"
    assert len(found.images) == 6
    assert all(isinstance(image, Path) and image.is_file() for image in found.images)


def test_images_of_a_data_set_in_memory_are_compared_as_pixels(small: Classifier) -> None:
    found = originals_of(model_images("vit", small, data="digits"))
    assert found.name == "images of digits"
    assert len(found.images) == 256
    assert found.images[0].shape == (8, 8, 3)


@pytest.mark.usefixtures("quick")
def test_the_command_tells_the_file_its_parity_and_what_to_do_with_it(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And replaces an earlier export."""
    assert main(["export", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"wrote {run}/model.onnx (0.0")
    assert lines[1] == f"wrote {run}/model.onnx.json"
    assert lines[2].startswith("answers on 128 parts of two photographs: probabilities differ by")
    assert lines[2].endswith("top-1 is the same for 100.00%")
    assert lines[3] == f"next: eanet predict {run}/model.onnx some.jpg"


@pytest.mark.usefixtures("quick")
def test_figures_of_an_earlier_file_do_not_stay_beside_a_new_one(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "measure_parity", stop)
    assert main(["export", str(run)]) == 130
    assert (run / "model.onnx").is_file()
    assert not (run / "model.onnx.json").exists()


@pytest.mark.usefixtures("quick")
def test_a_file_is_named_after_the_model_unless_it_is_given(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert eanet.export(run / "model.safetensors").path == run / "model.onnx"
    assert eanet.export(run, output="own.onnx").path == Path("own.onnx")
    assert {"own.onnx", "own.onnx.json"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("where", "kind", "expected"),
    [
        ("run", "onnx", "run/model.onnx"),
        ("run", "web", "run/web"),
        ("run/v1.5.safetensors", "onnx", "run/v1.5.onnx"),
        ("run/v1.5.safetensors", "web", "run/v1.5-web"),
        ("owner/name-v1.5", "onnx", "name-v1.5.onnx"),
        ("owner/name-v1.5", "web", "name-v1.5-web"),
        ("eanet_tiny_cifar100", "web", "eanet_tiny_cifar100-web"),
    ],
)
def test_what_is_exported_lies_by_its_model_or_in_the_current_folder(
    where: str, kind: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/v1.5.safetensors").touch()
    assert export._default_path(where, export.FORMATS[kind].suffix) == Path(expected)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("output", [".", "../page", "../page/../page/."])
def test_a_page_can_be_written_to_the_current_folder(
    output: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = eanet.export(run, format="web", output=output)
    assert {file.name for file in folder.iterdir()} == {"index.html", "model.onnx"}
    assert made.report.resolve() == tmp_path / "page.json"
    assert eanet.export(run, format="web", output=output).report.is_file(), "once more"


@pytest.mark.parametrize(
    "content", ['{"mine": 1}', '["parity"]', "not JSON", "[" * 10_000], ids=lambda text: text[:12]
)
@pytest.mark.parametrize(
    ("output", "beside"), [("model.onnx", "model.onnx.json"), ("site", "site.json")]
)
def test_figures_replace_no_file_that_an_export_has_not_written(
    output: str,
    beside: str,
    content: str,
    run: Path,
    tmp_path: Path,
    refused: Callable[..., tuple[int, str]],
) -> None:
    (tmp_path / beside).write_text(content)
    kind = "onnx" if output.endswith(".onnx") else "web"
    found = refused("export", run, "--format", kind, "--output", tmp_path / output)
    assert found[0] == 1
    assert f"{beside}, where the figures of the export belong, exists and was not" in found[1]
    assert (tmp_path / beside).read_text() == content
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--output", "."], 2, "is a folder; name a file, such as model.onnx"),
        (["--output", "x.txt"], 2, "name a file that ends in .onnx"),
        (["--output", "mine.onnx"], 1, "mine.onnx exists and was not exported by eanet: remove it"),
        (["--format", "onix"], 2, "unknown --format 'onix'; did you mean 'onnx'?"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    run: Path,
    refused: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(run)
    (run / "mine.onnx").write_bytes(b"mine")
    found = refused("export", run, *arguments)
    assert found[0] == code
    assert message in found[1]
    assert (run / "mine.onnx").read_bytes() == b"mine"


def test_images_that_were_asked_for_have_to_be_there_before_anything_is_written(
    small: Classifier, photos: Path, tmp_path: Path
) -> None:
    model = eanet.save_model(small, tmp_path / "model")
    for data, message in [("gone", "gone"), (photos, "does not know the classes")]:
        with pytest.raises(EanetError, match=message):
            eanet.export(model, format="torch", data=data, output=tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()


def test_a_missing_package_is_named_with_what_installs_it(
    run: Path, refused: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    (run / "model.onnx").unlink()
    assert refused("export", run) == (
        1,
        "ONNX needs onnxscript: pip install onnx onnxscript onnxruntime",
    )


@pytest.mark.usefixtures("quick")
def test_of_a_full_disk_nothing_is_left(
    small: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(eanet.EanetError, match=r"cannot write .*x.onnx: No space left on device"):
        write_onnx(small, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


ALONE = """
import json, sys
sys.modules["eanet"] = None
import torch
notes = {"eanet": "", "classes": ""}
program = torch.export.load(sys.argv[1], extra_files=notes).module()
pixels = torch.load(sys.argv[2])
print(json.dumps([notes["classes"], json.loads(notes["eanet"])["weights_sha256"]]))
torch.save(program(pixels), sys.argv[2])
"""


def test_a_program_of_pytorch_needs_nothing_of_eanet(
    run: Path, small: Classifier, tmp_path: Path
) -> None:
    path = write_torch(small, tmp_path / "model.pt2", model_digest(run))
    pixels = torch.from_numpy(np.array(photograph(21, 30))).expand(7, 21, 30, 3).contiguous()
    torch.save(pixels, tmp_path / "tensors.pt")
    command = [sys.executable, "-c", ALONE, str(path), str(tmp_path / "tensors.pt")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == ["\n".join(small.classes), model_digest(run)]
    logits, probabilities = torch.load(tmp_path / "tensors.pt")
    assert logits.shape == (7, 4)
    expected = open_onnx(run / "model.onnx")(pixels.numpy())
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    np.testing.assert_allclose(open_torch(path)(pixels[:1].numpy()), expected[:1], atol=1e-4)
