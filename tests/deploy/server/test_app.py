"""What is asked for over HTTP, and what is answered."""

from __future__ import annotations

import io
import re
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

import eanet
from eanet.deploy.prediction import Prediction
from eanet.deploy.predictor import Predictor
from eanet.deploy.server import batching, service
from eanet.deploy.server.app import create_app
from eanet.deploy.server.settings import AppSettings
from eanet.errors import NonFiniteOutputError
from tests.support.servers import CLASSES, app, client, named, picture, predictor


@pytest.fixture(scope="module")
def server() -> TestClient:
    return client()


def test_answers_are_the_predictors_in_the_order_of_the_files(server: TestClient) -> None:
    files = [picture(seed, (20 + seed, 30 - seed)) for seed in range(9)]
    answer = server.post("/predict", files=named(*files))
    assert answer.status_code == 200
    expected = predictor().predict([io.BytesIO(file) for file in files])
    for number, (result, own) in enumerate(zip(answer.json()["results"], expected, strict=True)):
        assert result["image"] == f"{number}.png"
        assert [one["class"] for one in result["predictions"]] == list(own.classes)
        found = [one["probability"] for one in result["predictions"]]
        assert found == pytest.approx(own.probabilities, abs=2e-6)
        assert result["sure"] is (own.probabilities[0] >= 2 / 3)
    assert len({result["predictions"][0]["class"] for result in answer.json()["results"]}) > 1


def test_a_file_that_is_no_image_gets_its_error_in_its_place(server: TestClient) -> None:
    half = picture()[:200]
    answer = server.post("/predict?top=1", files=named(b"text", picture(), half, b"", picture(1)))
    assert answer.status_code == 200
    errors = [result.get("error") for result in answer.json()["results"]]
    assert errors[0] == errors[3] == "This is not an image that can be read here."
    assert errors[2].startswith("This image cannot be read: ")
    assert errors[1] is errors[4] is None
    assert [len(r.get("predictions", ())) for r in answer.json()["results"]] == [0, 1, 0, 0, 1]


def test_where_no_file_is_an_image_the_status_says_so(server: TestClient) -> None:
    answer = server.post("/predict", files=named(b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n"))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "This is not an image that can be read here."
    assert len(answer.json()["results"]) == 2


def test_not_sure_depends_on_the_threshold() -> None:
    assert client().get("/model").json()["threshold"] == pytest.approx(2 / 3)
    assert "reaches a probability of 66.7%;" in client().get("/").text
    for threshold, sure in ((0.0, True), (1.0, False)):
        server = client(threshold=threshold)
        answer = server.post("/predict", files=named(picture()))
        assert answer.json()["results"][0]["sure"] is sure
        assert f"reaches a probability of {threshold:.0%}" in server.get("/").text


def test_what_is_unlike_the_training_is_not_sure_and_tells_its_distance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = client(threshold=0.0)
    answer = Prediction(CLASSES, (0.9, 0.06, 0.04), distance=1.5)
    monkeypatch.setattr(predictor(), "classify", lambda images, top, **_: [answer] * len(images))
    result = server.post("/predict", files=named(picture())).json()["results"][0]
    assert (result["sure"], result["distance"]) == (False, 1.5)


def test_names_of_files_are_cut_and_never_opened(server: TestClient) -> None:
    names = ["/etc/passwd", "../../etc/passwd", "<script>", "a" * 3000, "é\n.png", ""]
    files = [("files", (name, picture())) for name in names[:-1]]
    results = server.post("/predict", files=files).json()["results"]
    assert all("predictions" in result for result in results)
    assert [len(result["image"]) for result in results][3] == 255
    assert results[0]["image"] == "/etc/passwd"


def test_an_explanation_is_the_picture_that_was_drawn(server: TestClient) -> None:
    file = named(picture(), field="file")
    answer = server.post("/explain", files=file)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == b"0.png None (16, 16, 3)"
    assert server.post("/explain?class=bee", files=file).content == b"0.png bee (16, 16, 3)"
    wrong = server.post("/explain?class=bea", files=file)
    assert wrong.status_code == 422
    assert wrong.json()["detail"] == "unknown class 'bea'; did you mean 'bee'?"
    assert server.post("/explain", files=named(b"text", field="file")).status_code == 422


def test_the_card_names_model_classes_limits_and_figures(server: TestClient) -> None:
    card = server.get("/model").json()
    assert card["name"] == "vit"
    assert card["classes"] == list(CLASSES)
    assert card["image_size"] == 16
    assert card["parameters"] == predictor().model.num_parameters
    assert card["limits"] == {
        "max_files": 32,
        "max_megabytes": 32,
        "max_megapixels": 50,
        "max_waiting": 256,
    }
    assert card["metrics"] == {"top1": 0.9}
    assert server.get("/health").json() == {"status": "ok", "waiting": 0}


def test_the_interface_is_described(server: TestClient) -> None:
    paths = server.get("/openapi.json").json()["paths"]
    assert paths.keys() == {"/predict", "/explain", "/model", "/health"}
    body = paths["/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert body["properties"]["files"]["type"] == "array"
    docs = server.get("/docs")
    hosts = set(
        re.findall(r"https?://([^/\s\"']+)", docs.text + docs.headers["content-security-policy"])
    )
    assert hosts == {"cdn.jsdelivr.net"}
    assert docs.text.count("integrity=") == 2


def test_the_page_names_no_other_host_and_escapes_what_it_shows(server: TestClient) -> None:
    page = server.get("/")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<b>wasp" not in page.text
    assert "&lt;b&gt;wasp&lt;/b&gt;" in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_what_is_misspelt_is_one_sentence(server: TestClient) -> None:
    wrong = server.post("/predict?top=0", files=named(picture()))
    assert (wrong.status_code, wrong.json()) == (
        422,
        {"detail": "top: should be greater than or equal to 1."},
    )
    assert server.get("/nothing").json() == {"detail": "Not Found"}
    assert server.get("/predict").status_code == 405


def test_images_that_wait_together_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    server = client()
    sizes: list[int] = []
    real, busy, go = predictor().classify, threading.Event(), threading.Event()

    def classify(images: list[object], top: int, **how: bool) -> object:
        sizes.append(len(images))
        busy.set()
        assert go.wait(60)
        return real(images, top, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(predictor(), "classify", classify)
    with ThreadPoolExecutor(8) as clients:
        first = clients.submit(server.post, "/predict", files=named(picture()))
        assert busy.wait(60)
        others = [
            clients.submit(server.post, "/predict", files=named(picture(n))) for n in range(1, 6)
        ]
        while server.get("/health").json()["waiting"] < 6:
            pass
        go.set()
        assert first.result().status_code == 200
        answers = [other.result().json()["results"][0]["predictions"] for other in others]
    assert sizes == [1, 5]
    monkeypatch.undo()
    for number, answer in enumerate(answers, 1):
        (own,) = predictor().predict(io.BytesIO(picture(number)))
        assert [one["class"] for one in answer] == list(own.classes)


def test_a_full_line_is_said_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    server = client(max_waiting=1)
    busy, go = threading.Event(), threading.Event()

    def decode(*_: object) -> None:
        busy.set()
        assert go.wait(60)
        raise eanet.EanetError("no")

    monkeypatch.setattr(batching, "decode", decode)
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(server.post, "/predict", files=named(picture()))
        assert busy.wait(60)
        second = server.post("/predict", files=named(picture()))
        assert second.status_code == 503
        assert second.json() == {"detail": "Too many others are waiting; try again in a moment."}
        assert second.headers["retry-after"] == "1"
        go.set()
        assert first.result().status_code == 422
    monkeypatch.undo()
    assert server.post("/predict", files=named(picture())).status_code == 200
    monkeypatch.setattr(service, "MOST_EXPLANATIONS", 0)
    full = client()
    assert full.post("/explain", files=named(picture(), field="file")).status_code == 503


def test_a_model_that_answers_nan_is_a_sentence_and_not_a_trace(
    server: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def classify(*_: object, **__: object) -> None:
        raise NonFiniteOutputError

    monkeypatch.setattr(predictor(), "classify", classify)
    answer = server.post("/predict", files=named(picture()))
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("the model's outputs are infinite or NaN")


# Images made to harm


def bomb(side: int) -> bytes:
    """A PNG that is small as a file and large when decoded."""
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "PNG")
    return file.getvalue()


def test_an_image_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    server = client(max_megapixels=1)
    monkeypatch.setattr(predictor(), "decode", lambda _: pytest.fail("decoded"))
    answer = server.post("/predict", files=named(bomb(1200)))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "1,440,000 pixels are too many: 1,000,000 are taken."
    header = bomb(8)
    huge = header[:16] + (2**31 - 1).to_bytes(4, "big") * 2 + header[24:29]
    huge += zlib.crc32(huge[12:]).to_bytes(4, "big") + header[33:]
    assert server.post("/predict", files=named(huge)).status_code == 422


def test_a_jpeg_of_very_many_scans_is_not_decoded(
    server: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor(), "decode", lambda _: pytest.fail("decoded"))
    file = io.BytesIO()
    Image.new("RGB", (20, 20)).save(file, "JPEG", progressive=True)
    jpeg = file.getvalue()
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    answer = server.post("/predict", files=named(jpeg[:-2] + scan * 100 + jpeg[-2:]))
    sentence = "This image cannot be read: a JPEG of more than 100 scans."
    assert answer.json()["detail"] == sentence


def test_large_images_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(batching, "LARGE", 300)
    server = client()
    small, large = picture(0, (20, 14)), picture(1, (20, 20))
    busy, go = threading.Event(), threading.Event()
    real = predictor().decode

    def decode(file: io.BytesIO) -> object:
        if file.getvalue() == large:
            busy.set()
            assert go.wait(60)
        return real(file)

    monkeypatch.setattr(predictor(), "decode", decode)
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(server.post, "/predict", files=named(large, small, b"text"))
        assert busy.wait(60)
        assert server.post("/predict", files=named(small)).status_code == 200
        assert not first.done()
        go.set()
        results = first.result().json()["results"]
    assert ["predictions" in result for result in results] == [True, True, False]


# In an application of one's own


def test_it_can_be_mounted_in_another_application() -> None:
    outer = FastAPI()
    outer.mount("/insects", app(allow_host=("insects.example",)))
    server = TestClient(outer, base_url="https://insects.example")
    assert server.post("/insects/predict", files=named(picture())).status_code == 200
    page = server.get("/insects/").text
    assert '"predict"' in page
    assert 'fetch("/' not in page


def test_a_file_without_the_number_of_parameters_is_served_as_well() -> None:
    own = predictor()
    metadata = {k: v for k, v in own.runtime.metadata.items() if k != "parameters"}
    runtime = copy(own.runtime)
    runtime.metadata = metadata
    card = TestClient(create_app(Predictor(runtime), AppSettings()), base_url="http://localhost")
    assert card.get("/model").json()["parameters"] is None
