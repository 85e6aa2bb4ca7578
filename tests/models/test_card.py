from __future__ import annotations

from pathlib import Path

from eanet.models import create_model


def test_a_saved_model_has_a_card_that_says_what_it_is(tmp_path: Path) -> None:
    classes = ("ant", "{{ bee }}", "cat\n# dog", "# [bee](http://x)")
    model = create_model("vit", classes=classes, image_size=8, depth=1, dim=16, heads=2)
    model.save_pretrained(tmp_path, model_card_kwargs={"repo_id": "me/insects"})
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\n")
    assert "library_name: eanet" in card
    assert "# vit: 4 classes" in card
    assert 'eanet.load("me/insects")' in card
    assert "- ant\n- {{ bee }}\n- cat\\\\x0a# dog\n- \\# \\[bee\\](http://x)\n" in card
