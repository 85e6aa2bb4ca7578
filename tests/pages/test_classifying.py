"""The script of the page that classifies photographs, in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from eanet.pages.classifying import classifying_page, default_threshold
from eanet.pages.page import asset

# A model that answers when it is told to, and refuses all files of a request if it cannot read one.
STUB = """
const data = { threshold: 0.6 };
const tick = () => new Promise((ready) => setTimeout(ready));
let answering = Promise.resolve();
const backend = {
  batch: 8,
  ready: Promise.resolve(),
  async classify(files) {
    await answering;
    for (const file of files) await file.arrayBuffer().catch(() => { throw Error("no server"); });
    return files.map(() => ({ predictions: [{ class: "bees", probability: 0.9 }] }));
  },
};
"""
STEPS = """
class Folder extends File {
  slice() { return this; }
  arrayBuffer() { return Promise.reject(new Error()); }
}
const photo = () => new File(["x"], "bee.jpg");
const said = () => document.getElementById("status").textContent;
const heads = () => [...document.querySelectorAll(".answer h3")].map((head) => head.textContent);
const until = async (test) => { while (!test()) await tick(); };
(async () => {
  const found = {};
  found.clear = getComputedStyle(document.getElementById("clear")).display;
  add([photo(), new Folder([], "folder"), photo()]);
  await until(() => heads().length === 3 && !working);
  found.folder = [heads(), said()];
  add([new File(["x"], "wasp.jpg"), photo()]);
  await until(() => !working);
  found.order = [...document.querySelectorAll(".name")].map((name) => name.textContent);

  let go;
  answering = new Promise((ready) => { go = ready; });
  document.getElementById("clear").click();
  add([photo(), photo()]);
  await tick();
  document.getElementById("clear").click();
  go();
  await until(() => !working);
  found.removed = said();

  say("before");
  add([]);
  await until(() => !working);
  found.nothing = said();
  let failing = true;
  let draw;
  let asked = 0;
  backend.explain = () => new Promise((ready, fail) => {
    asked += 1;
    draw = () => (failing ? fail(Error("no server")) : ready({ picture: new Blob(["x"]) }));
  });
  const card = make("li");
  const button = explainer(photo(), "bee", card);
  card.append(button);
  answers.replaceChildren(card);
  button.click();
  found.drawing = [button.disabled, button.ariaDisabled];
  button.click(); // once is enough
  draw();
  await until(() => card.querySelector("figure"));
  found.failed = [asked, said()];
  button.click(); // hides what failed
  failing = false;
  button.click();
  draw();
  await until(() => card.querySelector("img"));
  found.explained = [button.ariaDisabled, button.ariaExpanded, said()];
  document.body.append(make("pre", {}, JSON.stringify(found)));
})();
"""


def test_what_is_no_file_takes_no_photograph_with_it_and_nothing_is_counted_that_is_gone(
    tmp_path: Path,
) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium")
    inputs = '<p id="status"></p><ol id="answers"></ol>'
    inputs += '<button id="clear" class="button" hidden></button>'
    inputs += '<input id="choose"><input id="camera"><p id="place"></p>'
    script = "\n".join((STUB, asset("classifying.js"), STEPS))
    page = tmp_path / "page.html"
    style = f"<style>{asset('classifying.css')}</style>"
    page.write_text(f"<body>{style}{inputs}<script>{script}</script>", "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    command = [browser, *options, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    found = json.loads(unescape(shown.split("<pre>")[1].split("</pre>")[0]))
    assert found["clear"] == "none", "there is nothing to remove yet"
    assert found["folder"] == [
        ["bees", "No answer", "bees"],
        "2 photographs classified, 1 without an answer.",
    ]
    assert found["order"] == ["wasp.jpg", "bee.jpg", "bee.jpg", "folder", "bee.jpg"]
    assert found["removed"] == ""
    assert found["nothing"].startswith("That holds no file.")
    assert found["drawing"] == [False, "true"], "a disabled button loses the focus"
    assert found["failed"] == [1, "no server"]
    assert found["explained"] == ["false", "true", "The explanation is there."]


@pytest.mark.parametrize(
    ("threshold", "shown"), [(default_threshold(2), "75%"), (default_threshold(100), "50.5%")]
)
def test_the_threshold_is_told_as_it_is(threshold: float, shown: str) -> None:
    page = classifying_page(
        "eanet.deploy.server",
        ["server.js"],
        title="",
        classes=["ants", "bees"],
        threshold=threshold,
        detects_unknown=False,
        privacy="",
        data={},
        policy={},
    )
    assert re.findall(r"a probability of ([\d.]+%)", page.text) == [shown]
