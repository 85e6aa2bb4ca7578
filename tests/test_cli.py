from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import eanet
from eanet.__main__ import main as start
from eanet.cli import main
from eanet.config import load_recipe, recipes
from eanet.data.datasets import named_datasets
from eanet.ops.kernels import status

COMMANDS = [
    "train",
    "compare",
    "evaluate",
    "explain",
    "embed",
    "predict",
    "serve",
    "benchmark",
    "models",
    "datasets",
    "recipes",
    "import-keras",
]

Capture = pytest.CaptureFixture[str]


def python(program: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """A program in an interpreter of its own, with output buffered as usual."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, *program.split(maxsplit=1), *arguments],
        env=environment,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},  # type: ignore[call-overload]
    )


# Help and lists


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_ends_with_an_example(command: str, capsys: Capture) -> None:
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert f"example:\n  eanet {command}" in out
    assert err == ""


def test_the_help_names_every_command_without_waiting_for_torch() -> None:
    program = (
        "import sys; from eanet.cli import main; code = main(['--help']); "
        "heavy = {'torch', 'lightning_fabric', 'matplotlib', 'sklearn'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    result = python("-c", program)
    assert (result.returncode, result.stderr) == (0, b"")
    for command in COMMANDS:
        assert f"    {command}" in result.stdout.decode()


def test_the_version_is_told(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"eanet {eanet.__version__}\nkernels: {status()}\n"


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("models", ["eanet_nano   279,980", "eanet_tiny   357,172", "eanet_small  2,189,700"]),
        ("datasets", [*named_datasets(), "FOLDER", "LIST", "ARCHIVE"]),
        ("recipes", list(recipes())),
    ],
)
def test_a_list_that_is_piped_has_one_line_for_each_name(
    command: str, names: list[str], capsys: Capture
) -> None:
    assert main([command]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()[1:]
    assert len(lines) >= len(names)
    for line, name in zip(lines, names, strict=False):  # each model has a line
        assert line.startswith(name)
    assert err == ""


def test_the_settings_of_a_model_are_listed_as_they_are_given(capsys: Capture) -> None:
    assert main(["models", "eanet_tiny:mixing=self,conv=off"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["setting", "value"]
    assert ["mixing", "self"] in lines
    assert ["conv", "false"] in lines
    assert ["attention_blocks", "1"] in lines
    assert lines[-1][1] == "parameters"


def test_a_list_fits_the_window_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["recipes"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()  # the head is bold
    assert max(map(len, lines)) <= 60


def test_the_bundled_models_are_one_table_in_a_terminal_of_the_usual_width(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["models"]) == 0
    *_, small, large, note = capsys.readouterr().out.splitlines()
    assert small.startswith("eanet_tiny_64 ")
    assert large.startswith("eanet_tiny_cifar100 ")
    assert large.endswith(" 1.45")
    assert note.startswith("top-1: ")


@pytest.mark.parametrize("name", recipes())
def test_a_printed_recipe_can_be_given_back_as_a_file(
    name: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["recipes", name]) == 0
    (tmp_path / "own.yaml").write_text(capsys.readouterr().out)
    assert load_recipe(str(tmp_path / "own.yaml")) == load_recipe(name)


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: COMMAND; see eanet --help"),
        ("trian", "unknown command 'trian'; did you mean 'train'?; see eanet --help"),
        ("train --epoch=3", "unknown option '--epoch'; did you mean '--epochs'?; see eanet train"),
        ("train --class-weight=1", "unknown option '--class-weight'; here it is '--balance'"),
        ("train digits more", "one argument too many: 'more'; see eanet train --help"),
        ("train --device cude", "unknown --device 'cude'; did you mean 'cuda'?"),
        ("train --model kers_eanet", "unknown model 'kers_eanet'; did you mean 'keras_eanet'?"),
        ("train --recipe defalt", "unknown recipe 'defalt'; did you mean 'default'?"),
        ("train --epochs many", "epochs=many: should be a valid integer"),
        ("train --epochs -1", "epochs=-1: should be greater than or equal to 1"),
        ("train --threads 1.5", "threads=1.5: should be a valid integer"),
        ("predict", "the following arguments are required: IMAGE"),
        ("predict runs/some", "no image to classify: 'runs/some' is taken for a model"),
        ("predict runs/some a.png --top 0", "--top takes 1 or more"),
        ("predict runs/some a.png --threshold 50", "--threshold takes a probability, 0 to 1"),
        ("predict runs/some a.png --threshold nan", "--threshold takes a probability, 0 to 1"),
        ("datasets digits --image-size 0", "image_size=0: should be greater than or equal to 1"),
        ("datasets dgits", "no such file or folder, and unknown data set 'dgits'; did you mean"),
        ("predict runs/some a.png --top x", "argument --top: invalid int value: 'x'"),
        ("evaluate runs/some --split tset", "unknown --split 'tset'; did you mean 'test'?"),
        ("recipes defalt", "unknown recipe 'defalt'; did you mean 'default'?"),
        ("train --resume runs/some digits --lr 3 --seed 1", "leave out"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(
    refused: Callable[..., tuple[int, str]], arguments: str, message: str
) -> None:
    code, line = refused(*arguments.split())
    assert code == 2
    assert message in line


def test_a_wrong_key_in_a_recipe_file_names_file_key_and_the_nearest(
    refused: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text("weight_decya: 0.1\n")
    code, line = refused("train", "digits", "--recipe", recipe)
    assert code == 2
    assert line == (
        f"recipe {recipe}: unknown setting 'weight_decya'; did you mean 'weight_decay'?"
    )


# What is not there, or not what it should be


def test_data_that_cannot_be_trained_on_are_one_line_and_leave_no_run(
    refused: Callable[..., tuple[int, str]], photos: Path, tmp_path: Path
) -> None:
    empty, one_empty = tmp_path / "empty", tmp_path / "one-empty"
    empty.mkdir()
    shutil.copytree(photos, one_empty)
    (one_empty / "yellow").mkdir()
    output = tmp_path / "runs"
    for data, message in [
        (tmp_path / "nowhere", f"no such file or folder: {tmp_path / 'nowhere'}"),
        (photos / "red" / "00.png", "is neither a folder, a list"),
        (empty, "put the images of each class in a folder of its name"),
        (photos / "red", "put the images of each class in a folder of its name"),
        (one_empty, f"class folder {one_empty / 'yellow'} has no image"),
    ]:
        code, line = refused("train", data, "--output", output)
        assert code == 1
        assert message in line
    assert not output.exists()


@pytest.mark.parametrize("command", [["evaluate", "--data", "digits"], ["predict", "red/00.png"]])
def test_models_that_cannot_be_loaded_are_one_line(
    refused: Callable[..., tuple[int, str]],
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.chdir(photos)
    whole = (trained.path / "model.safetensors").read_bytes()
    for name, content in [("head", whole[:50]), ("half", whole[: len(whole) // 2]), ("text", b"x")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
    save_file({"weight": np.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "empty").mkdir()
    for name, message in [
        ("nowhere", "no such run or model file: "),
        ("empty", "no model.safetensors in "),
        ("head", "is not a readable safetensors file"),
        ("half", "is not a readable safetensors file"),
        ("text/model.safetensors", "is not a readable safetensors file"),
        ("other.safetensors", "was not written by eanet"),
    ]:
        code, line = refused(command[0], tmp_path / name, *command[1:])
        assert code == 1
        assert message in line


def test_debug_shows_where_an_error_comes_from() -> None:
    with pytest.raises(eanet.EanetError, match="unknown model"):
        main(["train", "--model", "vti", "--debug"])


def test_an_unexpected_error_is_one_line_too(
    refused: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a long\n  story")

    monkeypatch.setattr("eanet.api.train", fail)
    assert refused("train") == (1, "RuntimeError: a long story (--debug shows where)")
    with pytest.raises(RuntimeError):
        main(["train", "--debug"])


def test_a_compiler_that_fails_is_told_in_its_first_line(
    refused: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})

    def fail(**_: object) -> None:
        raise kind("g++: no such header\n\nhundred lines of code")

    monkeypatch.setattr("eanet.api.train", fail)
    told = "--compile off does without the compiler (--debug shows where)"
    assert refused("train") == (1, f"InductorError: g++: no such header; {told}")


def test_an_unexpected_error_of_a_file_names_it(
    refused: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise PermissionError(13, "Permission denied", "/locked/a.png")

    monkeypatch.setattr("eanet.api.train", fail)
    assert refused("train") == (1, "cannot read or write /locked/a.png: Permission denied")
    with pytest.raises(PermissionError):
        main(["train", "--debug"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", ["recipes default", "recipes"])
def test_an_output_that_is_full_is_one_line(arguments: str) -> None:
    with Path("/dev/full").open("wb") as full:
        result = python("-m eanet", *arguments.split(), stdout=full)
    assert result.returncode == 1
    assert result.stderr.startswith(b"eanet: error: ")
    assert b"No space left on device" in result.stderr
    assert result.stderr.count(b"\n") == 1


def test_an_interrupt_while_it_is_still_loading_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def find_spec(self, *_: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "eanet.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupted()])
    assert start() == 130
    assert capsys.readouterr().err == "eanet: interrupted\n"


def test_a_closed_output_is_no_error() -> None:
    command = [sys.executable, "-m", "eanet", "recipes"]
    result = subprocess.run(
        ["sh", "-c", shlex.join(command) + " >&-"], capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_closed_input_is_an_empty_list(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["predict", "eanet_tiny_cifar100", "-"]) == 0
    assert capsys.readouterr().out == ""
    sys.stdin.close()


def test_names_that_the_output_cannot_show_are_escaped(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(photos / "red", folder / "日本")
    shutil.copytree(photos / "blue", folder / "blue")
    limited = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(limited, "latin-1"))
    assert main(["datasets", str(folder)]) == 0
    assert rb"\u65e5\u672c" in limited.getvalue()


def test_a_reader_that_goes_away_before_all_files_are_written_is_told_apart(
    trained: eanet.TrainingResult, photos: Path, tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = python(
        "-um eanet",
        "predict",
        *map(str, (trained.path, photos, "--copy-to", tmp_path / "s")),
        stdout=writer,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["recipes", "default"], ["recipes"], ["predict"]]
)
def test_a_reader_that_goes_away_is_no_error(
    arguments: list[str], trained: eanet.TrainingResult, photos: Path
) -> None:
    if arguments == ["predict"]:
        arguments = ["predict", str(trained.path), str(photos)]
    reader, writer = os.pipe()
    os.close(reader)
    result = python("-m eanet", *arguments, stdout=writer)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_reader_that_goes_away_hides_no_failure(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(*_: object) -> int:
        sys.stdout.write("an answer")
        return code

    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone:  # noqa: PTH123 (a descriptor)
        monkeypatch.setattr(sys, "stdout", gone)
        monkeypatch.setattr("eanet.cli._run", predict)
        assert main(["predict"]) == code
    assert capsys.readouterr().err == ""


def test_a_number_that_is_no_choice_is_one_line(capsys):
    assert main(["evaluate", "eanet_tiny_cifar100", "--views", "3"]) == 2
    _, err = capsys.readouterr()
    assert err.startswith("eanet: error: unknown --views '3'; known: ")
    assert err.count("\n") == 1
