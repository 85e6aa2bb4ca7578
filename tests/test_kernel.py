"""A training in a real Jupyter kernel: its block, its interrupt, and output that is a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

client_module = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.slow

SETTINGS = "model='keras_mlp:num_transformer_blocks=1', image_size=16, threads=1, compile='off'"
Message = dict[str, Any]


class Kernel:
    """A kernel, and what its cells put out."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(
        self, code: str, *, watched: bool, hook: Callable[[Message], None] = lambda message: None
    ) -> list[Message]:
        """Run a cell as a front end does, or as a program that writes a file."""
        outputs: list[Message] = []

        def take(message: Message) -> None:
            outputs.append(message)
            hook(message)

        self.client.execute_interactive(
            code, allow_stdin=watched, output_hook=take, timeout=120, stdin_hook=lambda _: None
        )
        return outputs


def texts(outputs: list[Message], name: str) -> str:
    return "".join(
        m["content"]["text"]
        for m in outputs
        if m["msg_type"] == "stream" and m["content"]["name"] == name
    )


def blocks(outputs: list[Message]) -> list[Message]:
    return [m for m in outputs if m["msg_type"] in ("display_data", "update_display_data")]


@pytest.fixture(scope="module")
def kernel(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("notebook")
    manager, client = client_module.start_new_kernel(startup_timeout=120, cwd=str(folder))
    try:
        kernel = Kernel(manager, client)
        # Drawing the pictures of the report takes longest, and they are not the matter here.
        setup = f"import os; os.chdir({str(folder)!r}); import eanet; photos = {str(photos)!r}"
        blank = (
            "from tests.support.pictures import blank_pictures; b = blank_pictures(); b.__enter__()"
        )
        kernel.run(
            f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{setup}\n{blank}", watched=True
        )
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_training_is_one_block_that_renews_itself(kernel: Kernel) -> None:
    code = f"result = eanet.train(photos, epochs=3, {SETTINGS})\nresult"
    outputs = kernel.run(code, watched=True)
    made = blocks(outputs)
    assert len({m["content"]["transient"]["display_id"] for m in made}) == 1
    assert [m["msg_type"] for m in made].count("display_data") == 1
    assert made[-1]["content"]["data"]["text/html"].count("<tr>") == 1 + 3
    assert "3 of 3" not in texts(outputs, "stdout")
    assert texts(outputs, "stderr") == ""
    assert "writing to runs/" in texts(outputs, "stdout")
    (answer,) = [m for m in outputs if m["msg_type"] == "execute_result"]
    assert "Top-1 accuracy" in answer["content"]["data"]["text/html"]


def test_a_cell_that_is_run_again_begins_a_new_run_and_says_so(kernel: Kernel) -> None:
    for number in (1, 2):
        code = f"r = eanet.train(photos, name='again', epochs=1, {SETTINGS}); print(r.path)"
        said = texts(kernel.run(code, watched=True), "stdout")
        assert ("a new run beside again" in said) is (number == 2)


def test_lines_are_plain_where_the_output_is_a_file(kernel: Kernel) -> None:
    outputs = kernel.run(f"eanet.train(photos, epochs=3, {SETTINGS});", watched=False)
    assert not blocks(outputs)
    lines = texts(outputs, "stdout").splitlines()
    assert [line for line in lines if line.startswith("epoch 3/3")]
    assert "\r" not in texts(outputs, "stdout")


def test_the_interrupt_button_saves_and_the_run_goes_on(kernel: Kernel) -> None:
    drawn = 0

    def interrupt(message: Message) -> None:
        nonlocal drawn
        drawn += message["msg_type"] == "update_display_data"
        if drawn == 5:
            drawn += 1
            kernel.manager.interrupt_kernel()

    code = f"eanet.train(photos, name='stopped', epochs=100_000, {SETTINGS})"
    outputs = kernel.run(code, watched=True, hook=interrupt)
    (error,) = [m for m in outputs if m["msg_type"] == "error"]
    assert error["content"]["ename"] == "KeyboardInterrupt"
    assert "interrupted and saved; resume with: eanet.resume('runs/stopped')" in texts(
        outputs, "stdout"
    )
    code = "done = len(open('runs/stopped/history.csv').readlines()) - 1\n"
    code += "print(len(eanet.resume('runs/stopped', epochs=done + 1).epochs) - done)"
    assert texts(kernel.run(code, watched=True), "stdout").splitlines()[-1] == "1"
