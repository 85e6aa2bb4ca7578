"""What tests of the server share: a model that was never trained, and pictures in memory."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from eanet.deploy.predictor import Pixels, Predictor
from eanet.deploy.server.app import create_app
from eanet.deploy.server.settings import AppSettings
from eanet.models import create_model

CLASSES = ("ant", "bee", "<b>wasp</b>")


@cache
def predictor() -> Predictor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("vit:dim=16,depth=1,heads=2", classes=CLASSES, image_size=16)
        torch.nn.init.normal_(model.head.weight, std=3)
    return Predictor(model, device="cpu")


def explain(predictor: Predictor, pixels: Pixels, name: str, class_name: str | None) -> bytes:
    return f"{name} {class_name} {pixels.shape}".encode()


def app(**settings: object) -> FastAPI:
    metrics = {"top1": 0.9}
    return create_app(predictor(), AppSettings.parse(settings), explain=explain, metrics=metrics)


def client(**settings: object) -> TestClient:
    return TestClient(app(**settings), base_url="http://localhost")


def picture(seed: int = 0, size: tuple[int, int] = (20, 14), kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def named(*files: bytes, field: str = "files") -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, (f"{number}.png", data)) for number, data in enumerate(files)]
