"""The folder of a page that classifies photographs in the browser."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
from PIL import Image

import eanet
from eanet.cli import main
from eanet.data.decode import decode_image
from eanet.deploy.export import web
from eanet.deploy.export.web import write_web
from eanet.deploy.predictor import Predictor
from eanet.errors import EanetError
from eanet.explanation.explain import explain_image
from eanet.files import replacing
from eanet.model_files.preprocessing import Preprocessing
from tests.support.browser_runtime import installed_runtime
from tests.support.servers import CLASSES, predictor

pytest.importorskip("onnx", reason="needs the extra `onnx`")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, small_run: Path) -> None:
    """The model in the folder is another one, which was exported already."""

    def write(model: object, path: Path, digest: object = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(small_run / "model.onnx", path)
        return path

    monkeypatch.setattr(web, "write_onnx", write)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An npm package with the names of the files."""
    dist = tmp_path / "package" / "dist"
    dist.mkdir(parents=True)
    (dist / "ort.wasm.bundle.min.mjs").write_text("script")
    (dist / "ort-wasm-simd-threaded.wasm").write_text("binary")
    return dist.parent


@pytest.mark.usefixtures("quick")
def test_the_page_loads_one_version_of_the_runtime_and_checks_it(tmp_path: Path) -> None:
    folder = write_web(predictor().model, tmp_path / "web")
    assert {file.name for file in folder.iterdir()} == {"index.html", "model.onnx"}
    page = (folder / "index.html").read_text()
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page)[1])  # type: ignore[index]
    assert data["classes"] == list(CLASSES)
    assert data["threshold"] == pytest.approx(2 / 3)
    for file in data["runtime"].values():
        assert file["url"].startswith(
            f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{web.VERSION}/"
        )
        assert re.fullmatch(r"sha384-[\w+/]{64}", file["integrity"])
    assert set(re.findall(r"https?://([^/\s\"';]+)", page)) == {"cdn.jsdelivr.net"}
    assert "<b>wasp" not in page
    policy = re.search(r'Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")  # type: ignore[index]
    assert policy.startswith("default-src 'none'")
    assert "'unsafe-" not in policy


@pytest.mark.usefixtures("quick")
def test_with_a_copy_of_the_runtime_no_other_host_is_named(tmp_path: Path, package: Path) -> None:
    for where in (package, package / "dist"):
        folder = write_web(predictor().model, tmp_path / "web", runtime=where)
        assert (folder / "onnxruntime-web" / "ort.wasm.bundle.min.mjs").read_text() == "script"
        page = (folder / "index.html").read_text()
        assert "https://" not in page
        assert '"onnxruntime-web/ort-wasm-simd-threaded.wasm"' in page
        assert "sha384-" in page


def test_another_package_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"is not the npm package onnxruntime-web: .*npm pack"):
        write_web(predictor().model, tmp_path / "web", runtime=tmp_path)
    assert not (tmp_path / "web").exists()


def test_a_page_and_its_model_are_replaced_together(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(model: object, path: Path, digest: object = None) -> Path:
        with replacing(path) as partial:
            partial.write_text("another model")
        return path

    def fail(*_: object) -> None:
        raise EanetError("cannot write index.html: No space left on device")

    monkeypatch.setattr(web, "write_onnx", write)
    folder = write_web(predictor().model, tmp_path / "web", runtime=package)
    before = {file: file.read_text() for file in folder.rglob("*") if file.is_file()}
    (folder / "model.onnx").write_text("a model")
    monkeypatch.setattr(web, "_page", fail)
    with pytest.raises(EanetError, match="No space"):
        write_web(predictor().model, folder, runtime=package)
    assert {*folder.rglob("*")} == {*before, folder / "onnxruntime-web"}
    assert (folder / "model.onnx").read_text() == "a model"


@pytest.mark.usefixtures("quick")
def test_only_a_folder_that_was_exported_is_written_to_again(
    small_run: Path,
    tmp_path: Path,
    refused: Callable[..., tuple[int, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "page"
    assert eanet.export(small_run, format="web", output=folder).path == folder
    assert main(["export", str(small_run), "--format", "web", "--output", str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"next: python -m http.server -d {folder}, then http://localhost:8000;")
    own = tmp_path / "own"
    own.mkdir()
    (own / "index.html").write_text("mine")
    assert (
        "was not exported by eanet"
        in refused("export", small_run, "--format", "web", "--output", own)[1]
    )
    assert (own / "index.html").read_text() == "mine"
    assert refused("export", small_run, "--runtime", own)[0] == 2


SEEN = """
const data = { input: %s }, backend = {};
%s
console.log(JSON.stringify(%s.map((image) => [...seen(image)])));
"""


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_the_page_explains_the_square_that_the_model_sees(fit: str) -> None:
    """Of a side of 1.5 or 2.5 pixels, Python and PyTorch make 2."""
    if (node := shutil.which("node")) is None:
        pytest.skip("no node")
    preprocessing = Preprocessing(fit=fit, fill=(9, 90, 200))  # type: ignore[arg-type]
    random = np.random.default_rng(0)
    sizes = [(16, 5), (5, 16), (16, 3), (16, 7), (16, 1), (40, 31), (8, 8), (3, 5)]
    images = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    given = [
        {"pixels": i.ravel().tolist(), "height": i.shape[0], "width": i.shape[1]} for i in images
    ]
    settings = {"size": 8, "fit": fit, "fill": preprocessing.fill}
    source = (Path(web.__file__).parent / "templates" / "occlusion.js").read_text("utf-8")
    script = SEEN % (json.dumps(settings), source, json.dumps(given))
    out = subprocess.run([node], input=script, capture_output=True, text=True, check=True).stdout
    for image, found in zip(images, json.loads(out), strict=True):
        square = decode_image(Image.fromarray(image), 8, preprocessing)
        near = np.abs(np.reshape(found, (8, 8, 3)) - square.astype(int)) <= 1
        assert near.all(), image.shape


DECODE = """
const document = { getElementById: () => ({ textContent: '{"input": %s}' }) };
const location = { protocol: "file:" }, say = () => {};
const createImageBitmap = () => { throw new Error("as in a browser"); };
%s
const file = new Blob([Uint8Array.from(%s)]);
decode(file).catch((error) => console.log(error.message));
"""


@pytest.mark.parametrize(
    ("mode", "levels", "is_refused"),
    [("I;16", [0, 4095], True), ("I;16", None, False), ("L", [0, 4095], False)],
)
def test_the_page_refuses_deep_images_of_which_a_browser_drops_what_the_model_needs(
    mode: str, levels: list[int] | None, is_refused: bool, tmp_path: Path
) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("no node")
    kind = np.uint16 if mode == "I;16" else np.uint8
    Image.fromarray(np.full((4, 4), 200, kind)).save(tmp_path / "x.png")
    source = (Path(web.__file__).parent / "templates" / "web.js").read_text("utf-8")
    content = list((tmp_path / "x.png").read_bytes())
    script = DECODE % (json.dumps({"levels": levels}), source, content)
    out = subprocess.run([node], input=script, capture_output=True, text=True, check=True).stdout
    assert ("8 of the 16 bits" in out) is is_refused
    assert ("This is not an image" in out) is not is_refused


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("levels", [(0, 4095), (0, 65535), None])
def test_the_page_knows_the_levels_that_a_browser_does_not_keep(
    levels: tuple[float, float] | None, tmp_path: Path
) -> None:
    model = predictor().model
    model.config = replace(model.config, preprocessing=Preprocessing(levels=levels))
    page = (write_web(model, tmp_path / "web") / "index.html").read_text("utf-8")
    found = re.search(r'"levels": (null|\[[^]]*\])', page)
    assert found is not None
    assert json.loads(found[1]) == ([0, 4095] if levels == (0, 4095) else None)


# In a browser


FIGURES = r"(\bthe |\(violet\) to |together leave )([\d.]+)(?:%| points)"
HARNESS = """
<!DOCTYPE html><iframe src="index.html"></iframe><script>
const frame = document.querySelector("iframe");
const names = %s;
frame.addEventListener("load", async () => {
  const page = frame.contentWindow;
  const blobs = await Promise.all(names.map(async (name) => (await fetch(name)).blob()));
  page.add(blobs.map((blob, number) => new File([blob], names[number])));
  const heads = () => page.document.querySelectorAll(".answer h3");
  while (heads().length < names.length) await new Promise((done) => setTimeout(done, 50));
  const answers = [...page.document.querySelectorAll(".answer")].map((answer) =>
    [...answer.querySelectorAll("tr")].map(({ cells: [name, , share] }) =>
      [name.textContent, share.textContent]),
  );
  for (const button of page.document.querySelectorAll(".answer button")) button.click();
  const captions = () => page.document.querySelectorAll(".answer figcaption, .answer .failed");
  while (captions().length < names.length) await new Promise((done) => setTimeout(done, 50));
  const explained = [...page.document.querySelectorAll(".answer figure")].map((figure) =>
    [figure.textContent, figure.querySelector("img")?.naturalWidth]);
  await fetch("result", { method: "POST", body: JSON.stringify([answers, explained]) });
});
</script>
"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, results: Queue[object], *arguments: object, **options: object) -> None:
        self.results = results
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        self.results.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def browsing(folder: Path, browser: str) -> Iterator[Queue[object]]:
    """A browser that shows ``harness.html``; yields what the page posts."""
    results: Queue[object] = Queue()
    handler = partial(Handler, results, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        where = f"http://127.0.0.1:{server.server_address[1]}/harness.html"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}/profile",
        ]
        with subprocess.Popen([browser, *options, where], stderr=subprocess.DEVNULL) as process:
            try:
                yield results
            finally:
                process.terminate()
                server.shutdown()


def test_the_browser_answers_as_the_predictor_does(small_run: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium")
    if (runtime := installed_runtime()) is None:
        pytest.skip("no npm package onnxruntime-web; EANET_ONNXRUNTIME_WEB may name its folder")
    folder = eanet.export(small_run, format="web", output=tmp_path / "web", runtime=runtime).path
    names = write_pictures(folder)
    (folder / "harness.html").write_text(HARNESS % json.dumps(names))
    with browsing(folder, browser) as results:
        answers, explained = results.get(timeout=120)  # type: ignore[misc]
    own_predictor = Predictor(eanet.load_model(small_run), "cpu")
    expected = own_predictor.predict([folder / n for n in names])
    for answer, own in zip(answers, expected, strict=True):
        found = {name: float(share.rstrip("%")) / 100 for name, share in answer}
        for name, probability in zip(own.classes, own.probabilities, strict=True):
            assert found[name] == pytest.approx(probability, abs=0.01)

    for name, (caption, width) in zip(names, explained, strict=True):
        explanation = explain_image(own_predictor.model, own_predictor.decode(folder / name))
        regions = explanation.regions
        assert width > 600
        assert f"“{explanation.explained}”" in caption
        found = {what: float(value) for what, value in re.findall(FIGURES, caption)}
        assert found == pytest.approx(
            {
                "the ": 100 * explanation.probability,
                "(violet) to ": 100 * regions.losses.max(),
                "together leave ": 100 * regions.without_strongest,
            },
            abs=1,
        )
        assert f"The {regions.strongest.sum()} outlined squares" in caption


def write_pictures(folder: Path) -> list[str]:
    """Of several kinds: turned, transparent, wide, small, and too large to be taken as it is."""
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    smooth.resize((320, 240)).save(folder / "turned.jpg", exif=turned, quality=95)
    clear = smooth.resize((200, 90)).convert("RGBA")
    clear.putalpha(Image.fromarray(random.integers(0, 256, (90, 200), dtype=np.uint8)))
    clear.save(folder / "clear.png")
    smooth.save(folder / "small.png")
    smooth.resize((2600, 1800), Image.Resampling.BICUBIC).save(folder / "large.jpg", quality=95)
    return ["turned.jpg", "clear.png", "small.png", "large.jpg"]
