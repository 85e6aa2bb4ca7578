from __future__ import annotations

from pathlib import Path

import pytest

from eanet.config import Recipe, TrainSettings, load_recipe, recipes
from eanet.errors import EanetError, WrongArgumentError
from eanet.parsing import parse_yaml
from eanet.report.result import TrainingResult


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_is_valid_and_says_what_it_is(name: str) -> None:
    assert load_recipe(name).epochs >= 1
    assert len(recipes()[name]) > 20
    assert TrainSettings.with_recipe(recipe=name).recipe == name


def test_the_keras_example_recipe_holds_the_settings_of_the_example() -> None:
    assert load_recipe("keras_example").model_dump() == {
        "epochs": 50,
        "minutes": None,
        "batch_size": 128,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup_epochs": 0,
        "weight_decay": 1e-4,
        "decay_all": True,
        "epsilon": 1e-7,
        "epsilon_hat": True,
        "label_smoothing": 0.1,
        "teacher_share": 0.5,
        "balance": "off",
        "dropout": 0.2,
        "drop_path": 0.0,
        "flip": True,
        "translate": 0.0,
        "min_scale": 1.0,
        "rotation": 0.1,
        "zoom": 0.2,
        "zoom_height": None,
        "zoom_width": None,
        "contrast": 0.1,
        "trivial_augment": False,
        "erasing": 0.0,
        "mixup": 0.0,
        "cutmix": 0.0,
        "validation_fraction": 0.2,
        "validation_split": "last",
        "freeze": "off",
        "views": 1,
        "clip_norm": None,
        "ema": None,
        "patience": None,
    }


def test_what_is_given_beats_the_recipe_and_the_recipe_beats_the_defaults(tmp_path: Path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text("epochs: 7\nlearning_rate: 3e-4\nflip: false\n")
    settings = TrainSettings.with_recipe(recipe=str(recipe), epochs=9, seed="3")
    assert (settings.epochs, settings.learning_rate, settings.flip) == (9, 3e-4, False)
    assert settings.seed == 3
    assert settings.weight_decay == Recipe().weight_decay


def test_epochs_that_are_given_beat_the_minutes_of_a_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text("epochs: 7\nminutes: 3\n")
    assert TrainSettings.with_recipe(recipe=str(recipe)).minutes == 3
    assert TrainSettings.with_recipe(recipe=str(recipe), epochs=9).minutes is None
    assert TrainSettings.with_recipe(recipe=str(recipe), minutes=5).minutes == 5


def test_a_rate_to_be_found_is_not_a_number_yet() -> None:
    assert TrainSettings.with_recipe(learning_rate="find").learning_rate == "find"


@pytest.mark.parametrize("unset", ["none", None])
def test_none_unsets_what_the_recipe_sets(unset: str | None) -> None:
    assert load_recipe("default").clip_norm == 1.0
    assert TrainSettings.with_recipe(recipe="default", clip_norm=unset).clip_norm is None


def test_strings_are_read_as_what_the_setting_wants() -> None:
    settings = TrainSettings.with_recipe(
        epochs="3", ema="0.99", flip="true", output="a/b", data=Path("photos")
    )
    assert (settings.epochs, settings.ema, settings.flip) == (3, 0.99, True)
    assert settings.output == Path("a/b")
    assert settings.data == "photos"


def test_the_result_of_a_training_stands_for_its_run() -> None:
    result = TrainingResult(Path("runs/first"), {}, (), [])
    settings = TrainSettings.with_recipe(init=result, teacher=result)
    assert (settings.init, settings.teacher) == (result.path, result.path)


def test_on_and_off_may_be_booleans_as_yaml_reads_them(tmp_path: Path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text("balance: off\nfreeze: no\nflip: off\n")
    read = load_recipe(str(recipe))
    assert (read.balance, read.freeze, read.flip) == ("off", "off", False)
    given = TrainSettings.with_recipe(freeze=False, compile=True, flip=True)
    assert (given.freeze, given.compile, given.flip) == ("off", "on", True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, r"^unknown setting 'epoch'; did you mean 'epochs'\?$"),
        ({"recipe": "defalt"}, r"^unknown recipe 'defalt'; did you mean 'default'\?$"),
        ({"epochs": "many"}, "^epochs=many: should be a valid integer"),
        ({"epochs": 2.5}, "^epochs=2.5: should be a valid integer"),
        ({"epochs": 0}, "^epochs=0: should be greater than or equal to 1$"),
        ({"epochs": "none"}, "^epochs=none: should be a valid integer, unable to parse"),
        ({"patience": True}, "^patience=True: should be a valid integer"),
        ({"dropout": 1}, "^dropout=1: should be less than 1$"),
        ({"learning_rate": float("inf")}, "^learning_rate=inf: should be a finite number or "),
        ({"warmup_epochs": "nan"}, "^warmup_epochs=nan: should be"),
        ({"learning_rate": "fnd"}, "^learning_rate=fnd: .* number or should be 'find'$"),
        ({"learning_rate": -1}, "^learning_rate=-1: should be greater than 0 or should be 'find'$"),
        ({"minutes": 0}, "^minutes=0: should be greater than 0$"),
        ({"minutes": 2, "epochs": 3}, "^epochs and minutes both say when to stop: leave one out$"),
        ({"teacher_share": 0.7}, "^teacher_share=0.7: of which teacher\\? give one, too$"),
        ({"device": "tpu"}, "^device=tpu: should be 'auto', 'cpu', 'cuda' or 'mps'$"),
        ({"compile": 0}, "^compile=0: should be 'auto', 'on' or 'off'$"),
        ({"balance": True}, "^balance=True: should be 'off', 'sampling' or 'loss'$"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_is_expected(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(WrongArgumentError, match=message):
        TrainSettings.with_recipe(**given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"learning_rat: 1\n", r"own.yaml: unknown setting 'learning_rat'; did you mean"),
        (b"seed: 1\n", "own.yaml: seed belongs to the run"),
        (b"epochs: many\n", "own.yaml: epochs=many: should be a valid integer"),
        (b"epochs: yes\n", "own.yaml: epochs=True: should be a valid integer"),
        (b"- epochs\n", "own.yaml must hold lines of the form `name: value`$"),
        (b"1: 2\n", "own.yaml must hold lines"),
        (b"epochs: [3\n", "own.yaml is not YAML: "),
        (b"\xff\xfe", "own.yaml: it is not UTF-8 text$"),
    ],
)
def test_a_wrong_recipe_file_is_one_line_with_its_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_bytes(content)
    with pytest.raises(EanetError, match=message) as error:
        load_recipe(str(recipe))
    assert "\n" not in str(error.value)


def test_a_recipe_file_that_is_missing_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"^cannot read \S+own.yml: No such file or directory$"):
        load_recipe(str(tmp_path / "own.yml"))


def test_an_empty_recipe_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("# nothing yet\n")
    assert load_recipe(str(tmp_path / "own.yaml")) == Recipe()


def test_yaml_cannot_build_objects() -> None:
    with pytest.raises(EanetError, match="is not YAML"):
        parse_yaml("a: !!python/object/apply:os.getcwd []", "x")


def test_paths_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.yaml").write_text("epochs: 3")
    settings = TrainSettings.with_recipe(
        output="~/runs", data_dir=Path("~/data"), recipe="~/own.yaml"
    )
    assert (settings.output, settings.data_dir) == (tmp_path / "runs", tmp_path / "data")
    assert settings.epochs == 3


def test_settings_are_frozen_and_survive_being_written() -> None:
    settings = TrainSettings.with_recipe(recipe="keras_example", data_dir="d", clip_norm=2)
    with pytest.raises(ValueError, match="frozen"):
        settings.epochs = 3
    assert TrainSettings.parse(settings.model_dump(mode="json")) == settings
