from __future__ import annotations

from pathlib import Path

from benchmarks.serve import BOUNDARY, form
from tests.support.servers import client, picture


def test_the_forms_that_are_sent_are_answered(tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, file in enumerate(files):
        file.write_bytes(picture(number))
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = client().post("/predict", content=form(files), headers=kind)
    assert answer.status_code == 200
    assert [len(result["predictions"]) for result in answer.json()["results"]] == [3, 3]
