"""What goes over the wire, as it is documented at ``/docs``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from eanet.deploy.prediction import Prediction
from eanet.deploy.server.settings import Limits


class ClassProbability(BaseModel):
    """A class and its probability."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    probability: float = Field(ge=0, le=1)


class Answer(BaseModel):
    """What the model says of one image, or why it says nothing."""

    image: str = Field(description="the file's name, as it was sent")
    sure: bool | None = Field(
        None,
        description="whether the first class is at least as probable as the threshold, and the "
        "image like those that the model was trained on, if it measures that",
    )
    predictions: list[ClassProbability] | None = Field(
        None, description="the most probable classes, best first"
    )
    distance: float | None = Field(
        None, description="from the images of the training; unlike them all if above 1"
    )
    error: str | None = Field(None, description="in place of all this: why it was not read")

    @classmethod
    def of(cls, image: str, prediction: Prediction, top: int, threshold: float) -> Answer:
        """Make the answer for an image that was classified."""
        named = zip(prediction.classes[:top], prediction.probabilities[:top], strict=True)
        return cls(
            image=image,
            sure=prediction.probabilities[0] >= threshold and not prediction.is_unknown,
            predictions=[ClassProbability(name=n, probability=round(p, 6)) for n, p in named],
            distance=None if prediction.distance is None else round(prediction.distance, 4),
        )


class Answers(BaseModel):
    """Answers in the order of the files."""

    results: list[Answer]


class Problem(BaseModel):
    """Why there is no answer, in one sentence."""

    detail: str


class NoAnswers(Problem, Answers):
    """None of the files could be read."""


class Card(BaseModel):
    """The model, and what the server takes."""

    name: str
    classes: list[str]
    image_size: int = Field(description="side in pixels of the square that the model sees")
    parameters: int | None = Field(None, description="if the file of the model says it")
    threshold: float = Field(description="probability from which an answer counts as sure")
    detects_unknown: bool = Field(
        description="whether it measures how far an image is from those of its training"
    )
    limits: Limits
    version: str = Field(description="of eanet")
    metrics: dict[str, float] | None = Field(
        None, description="of the run as evaluated last; accuracies are fractions"
    )


class Health(BaseModel):
    """That the server works."""

    status: str = "ok"
    waiting: int = Field(description="requests that wait for an answer")


def form_of(field: str, *, several: bool) -> dict[str, Any]:
    """Describe, as OpenAPI does, a form with files in one field."""
    file = {"type": "string", "format": "binary"}
    part = {"type": "array", "items": file} if several else file
    schema = {"type": "object", "properties": {field: part}, "required": [field]}
    return {
        "requestBody": {"content": {"multipart/form-data": {"schema": schema}}, "required": True}
    }
