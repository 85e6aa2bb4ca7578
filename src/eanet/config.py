"""Every setting of a training, declared once: command line, YAML files and Python API follow it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from eanet.errors import WrongArgumentError, unknown_name
from eanet.files import read_text, user_path
from eanet.parsing import parse_yaml
from eanet.settings import Settings

RECIPES = resources.files("eanet") / "recipes"

Fit = Literal["crop", "pad", "squash"]
Freeze = Literal["off", "trunk", "all-but-memories"]


def _two_numbers(value: Any) -> Any:
    """Split what the command line or a YAML file says as text."""
    return value.split(",") if isinstance(value, str) else value


def _rising(levels: tuple[float, float]) -> tuple[float, float]:
    if not levels[0] < levels[1]:
        raise PydanticCustomError("levels", "should be two numbers, the second larger: LOW,HIGH")
    return levels


Levels = Annotated[tuple[float, float], BeforeValidator(_two_numbers), AfterValidator(_rising)]
LayoutName = Literal["auto", "classes", "splits", "parents", "filenames"]


def _no_share(value: Any) -> Any:
    """Refuse a number, which is what Keras calls a validation split."""
    if str(value).replace(".", "", 1).isdigit():
        message = "should be 'stratified' or 'last'; the share is validation_fraction"
        raise PydanticCustomError("share", message)
    return value


HowToSplit = Annotated[Literal["stratified", "last"], BeforeValidator(_no_share)]


VIEWS = (1, 2, 5, 10)
"""The image alone; with its mirror image; shifted to four sides; both."""


def _known_views(count: int) -> int:
    if count not in VIEWS:
        raise PydanticCustomError("views", "should be 1, 2, 5 or 10")
    return count


Views = Annotated[int, AfterValidator(_known_views)]

RUNS = Path("runs")
RUN_CONFIG = "config.yaml"  # in each run directory
MOST_FOLDS = 100
MOST_SIDE = 2048  # of images, in pixels: a file of a few bytes may ask for any model


def is_run(folder: Path) -> bool:
    """Whether ``folder`` is a run directory."""
    return (folder / RUN_CONFIG).is_file()


class MachineSettings(Settings):
    """Device, precision, compilation, threads: how fast an answer comes, not what it is."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware has it"
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="auto: compile if the run is long enough"
    )
    threads: int | None = Field(
        None, ge=1, description="unset: one for each CPU that other programs leave"
    )


class ValidationSettings(Settings):
    """The images to hold out of a data set without validation images; a recipe may set it."""

    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="of training images to hold out, if there are no others"
    )
    validation_split: HowToSplit = Field(
        "stratified", description="hold out a share of each class, or the last images"
    )


class DataSettings(ValidationSettings):
    """How a data set is loaded and split."""

    image_size: int | None = Field(
        None,
        ge=1,
        le=MOST_SIDE,
        description="side of the images in pixels; unset: one that suits the images",
    )
    fit: Fit | None = Field(
        None,
        description="how an image becomes a square: cut off what is beside it, fill what is "
        "missing, or distort it; unset: crop, or pad if that would cut off too much",
    )
    layout: LayoutName = Field(
        "auto",
        description="how a folder is read; classes: every folder in it is a class; splits: folders "
        "named as splits hold the class folders; parents: a class is the folder an image lies in; "
        "filenames: it is the image's own name without the number at its end, as cat.7.jpg",
    )
    names: Path | None = Field(
        None,
        description="a file with readable names for classes that are numbers or WordNet ids, such "
        "as words.txt",
    )
    levels: Levels | None = Field(
        None,
        description="the values of deep images (16 bits, floats) that become black and white, such "
        "as 0,4095; unset: what the images use",
    )
    data_dir: Path | None = Field(
        None,
        description="where CIFAR and Tiny ImageNet are, or are downloaded to; unset: "
        "$EANET_DATA_DIR, or the cache",
    )
    group: str | None = Field(
        None,
        description="what every split that is drawn keeps on one side: auto (near-duplicates), a "
        "column of the list, or a regular expression for the part of a path that names the group",
    )
    split_seed: int = Field(
        0, ge=0, description="of the splits; test images do not depend on --seed"
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=MOST_FOLDS,
        description="cross-validation: train this many times, each time with another part of the "
        "training images held out as the test; reports on all, and on labels that may be wrong. "
        "With --fold: how many there are",
    )
    fold: int | None = Field(
        None, ge=1, description="train with this one of the folds held out alone, from 1"
    )

    def check_fold(self) -> None:
        """Raise an `EanetError` unless ``fold`` and ``folds`` name one fold, or are not given."""
        fold, folds = self.fold, self.folds
        if folds is None and fold is not None:
            raise WrongArgumentError(f"fold={fold}: of how many folds? give folds, too")
        if folds is not None and fold is None:
            raise WrongArgumentError(
                f"folds={folds}: fold, 1 to {folds}, says which is held out; `eanet train DATA "
                f"--folds {folds}` and eanet.cross_validate train with all"
            )
        if folds is not None and fold is not None and fold > folds:
            raise WrongArgumentError(f"fold={fold}: there are {folds} folds")


class AugmentSettings(Settings):
    """How training images are augmented; everything but ``flip`` is off by default."""

    flip: bool | None = Field(
        None,
        description="mirror half of the images; unset: on, except for digits and for images of "
        "your own below 48 pixels",
    )
    translate: float = Field(
        0.0, ge=0, lt=1, description="padded random crop: +- this fraction of the side"
    )
    min_scale: float = Field(
        1.0, gt=0, le=1, description="random resized crop: least share of the area; 1: none"
    )
    rotation: float = Field(0.0, ge=0, le=0.5, description="+- this fraction of a full turn")
    zoom: float = Field(
        0.0, ge=0, lt=1, description="+- this fraction, height and width independently"
    )
    zoom_height: float | None = Field(
        None, ge=0, lt=1, description="of the height alone; unset: as zoom"
    )
    zoom_width: float | None = Field(
        None, ge=0, lt=1, description="of the width alone; unset: as zoom"
    )
    contrast: float = Field(0.0, ge=0, lt=1, description="contrast factor within 1 +- this")
    trivial_augment: bool = Field(
        False, description="one random operation of random strength (TrivialAugment, wide)"
    )
    erasing: float = Field(0.0, ge=0, le=1, description="probability of erasing a random rectangle")
    mixup: float = Field(
        0.0, ge=0, description="blend two images and labels: alpha of Beta(alpha, alpha)"
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        description="paste a part of another image: alpha; with mixup: each half the time",
    )

    @property
    def zooms(self) -> tuple[float, float]:
        """``zoom`` of height and width."""
        height = self.zoom if self.zoom_height is None else self.zoom_height
        width = self.zoom if self.zoom_width is None else self.zoom_width
        return height, width

    @property
    def moves(self) -> bool:
        """Whether pixels move, other than by mirroring."""
        moved = self.translate or self.rotation or any(self.zooms) or self.trivial_augment
        return bool(moved) or self.min_scale < 1

    @property
    def mixes(self) -> bool:
        """Whether images are mixed in pairs."""
        return bool(self.mixup or self.cutmix)


class Recipe(AugmentSettings, ValidationSettings):
    """How a model is trained; ``recipes/NAME.yaml`` lists what differs from these defaults."""

    epochs: int = Field(50, ge=1, description="passes over the training images")
    minutes: float | None = Field(
        None,
        gt=0,
        description="train for this long instead, reading the images included",
    )
    batch_size: int | None = Field(
        None, ge=1, description="images per step; unset: 128, fewer if there are few images"
    )
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: for matrices and convolutions, AdamW for all else"
    )
    learning_rate: Annotated[float, Field(gt=0)] | Literal["find"] = Field(
        1e-3, description="peak value; find: search for one first"
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="of the learning rate after the warm-up; cosine falls to 0"
    )
    warmup_epochs: float = Field(0.0, ge=0, description="linear rise of the learning rate from 0")
    weight_decay: float = Field(0.05, ge=0, description="decoupled from the gradient")
    decay_all: bool = Field(
        False, description="decay norms, biases and position embeddings as well"
    )
    epsilon: float = Field(1e-8, gt=0, description="of AdamW")
    epsilon_hat: bool = Field(
        False, description="add epsilon before the bias correction, as Keras' AdamW does"
    )
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="in training and evaluation losses")
    teacher_share: float = Field(
        0.5, ge=0, le=1, description="weight of the teacher in the training loss, against labels"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="where the architecture has dropout")
    drop_path: float = Field(
        0.0, ge=0, lt=1, description="stochastic depth: rate of the last block, rising linearly"
    )
    balance: Literal["off", "sampling", "loss"] = Field(
        "off",
        description="for unequal classes: sample all equally often, or weight the loss",
    )
    freeze: Freeze = Field(
        "off",
        description="of the weights to begin with; trunk: only the head learns; all-but-memories: "
        "the head, the memories of external attention and the norms around them",
    )
    views: Views = Field(
        1,
        description="of an image to average answers over, in validation and ever after; 2: it and "
        "its mirror image; 5: it and shifted to four sides; 10: both",
    )
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the gradient")
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay of a weight average, which is validated and saved"
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after this many epochs in which neither the validation accuracy nor, at "
        "the same accuracy, the loss improves",
    )


class TrainSettings(MachineSettings, Recipe, DataSettings):
    """Everything that determines a run."""

    data: str = Field(
        "digits",
        description="a named data set, see `eanet datasets`; or a folder, a list (.csv) or an "
        "archive of images",
    )
    model: str | None = Field(
        None,
        description="a named model, see `eanet models`; NAME:SETTING=VALUE,... changes it; unset: "
        "one that suits the images",
    )
    init: str | Path | None = Field(
        None,
        description="begin with the weights of a trained model: run directory, model file, "
        "bundled model or Hub id; none: random; unset: what suits the images; "
        "with --model, or a --recipe other than finetune: random",
    )
    teacher: str | Path | None = Field(
        None,
        description="also learn from the predictions of this trained model (distillation): run "
        "directory, model file, bundled model or Hub id",
    )
    recipe: str | None = Field(
        None, description="a named recipe or a YAML file; unset: one that suits the images"
    )
    seed: int = Field(0, ge=0, description="of weights, order of images, augmentation, dropout")
    output: Path = Field(RUNS, description="folder of the run directories")
    name: str | None = Field(None, description="of the run directory; unset: DATA-MODEL")
    tensorboard: bool = Field(False, description="write TensorBoard events into the run directory")

    @classmethod
    def with_recipe(cls, **given: Any) -> Self:
        """Return the given settings, laid over those of the recipe if one is given.

        Args:
            **given: any of this class's fields; ``None`` or "none" unsets one.

        Raises:
            EanetError: an unknown name, a wrong value, no such recipe, both epochs and minutes, or
                a teacher's share without a teacher.
        """
        settings = cls.parse(given)
        if {"epochs", "minutes"} <= given.keys() and settings.minutes is not None:
            raise WrongArgumentError("epochs and minutes both say when to stop: leave one out")
        share = settings.teacher_share
        if settings.teacher is None and share != cls.model_fields["teacher_share"].default:
            raise WrongArgumentError(f"teacher_share={share:g}: of which teacher? give one, too")
        return settings if settings.recipe is None else settings._over(load_recipe(settings.recipe))

    def with_defaults(self, values: Mapping[str, Any]) -> Self:
        """Return the settings with ``values`` for some that were left open.

        A recipe among them is laid below all others, as in `with_recipe`.
        """
        filled = self.parse({**self.given(), **values})
        return filled._over(load_recipe(values["recipe"])) if "recipe" in values else filled

    def _over(self, recipe: Recipe) -> Self:
        """Return what was given explicitly, over what the recipe says."""
        given, below = self.given(), recipe.model_dump(exclude_unset=True)
        if "epochs" in given:
            below.pop("minutes", None)
        return self.parse({**below, **given})

    def given(self) -> dict[str, Any]:
        """Return the settings set explicitly, by the user or by the recipe asked for."""
        return self.model_dump(exclude_unset=True)


class PlannedSettings(TrainSettings):
    """Settings with every choice made that does not need the images of the run."""

    model: str
    recipe: str
    image_size: int
    fit: Fit = "crop"  # of runs that did not know any other
    name: str


class ResolvedSettings(PlannedSettings):
    """Settings with every choice made, as a run uses them."""

    batch_size: int
    learning_rate: float
    flip: bool
    device: Literal["cpu", "cuda", "mps"]
    precision: Literal["fp32", "bf16"]
    compile: Literal["on", "off"]
    threads: int


def recipes() -> dict[str, str]:
    """Name and summary (the file's first comment line) of every recipe in the package."""
    return {
        file.name.removesuffix(".yaml"): file.read_text("utf-8").split("\n")[0].lstrip("# ")
        for file in sorted(RECIPES.iterdir(), key=lambda f: f.name)
        if file.name.endswith(".yaml")
    }


def load_recipe(name: str) -> Recipe:
    """Read a recipe by name or from a YAML file.

    Raises:
        EanetError: there is none, it is not YAML, or it has an unknown key or a wrong value.
    """
    if name in recipes():
        text = (RECIPES / f"{name}.yaml").read_text("utf-8")
    elif Path(name).suffix in (".yaml", ".yml"):
        text = read_text(user_path(name))
    else:
        raise unknown_name("recipe", name, recipes())
    values = parse_yaml(text, name)
    for key in values:
        if key in TrainSettings.model_fields and key not in Recipe.model_fields:
            raise WrongArgumentError(f"recipe {name}: {key} belongs to the run, not to a recipe")
    return Recipe.parse(values, f"recipe {name}")
