from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from eanet.deploy.prediction import Outputs, Prediction, decide
from eanet.errors import EanetError

LOGITS = np.array([[0.0, 2.0, 1.0], [900.0, -900.0, 0.0]], dtype=np.float32)
CLASSES = ("ant", "bee", "cat")


def test_the_most_probable_classes_come_first() -> None:
    first, second = decide(Outputs(LOGITS, None), CLASSES, top=2)
    assert first.classes == ("bee", "cat")
    assert first.probabilities == pytest.approx(softmax(LOGITS[0])[[1, 2]], abs=1e-6)
    assert second.probabilities == (1.0, 0.0)
    assert not first.is_unknown
    assert first.distance is None


def test_what_is_beyond_the_threshold_is_unknown() -> None:
    near, far = decide(Outputs(LOGITS, np.array([1.0, 1.001], np.float32)), CLASSES)
    assert (near.is_unknown, far.is_unknown) == (False, True)
    assert far.top1 == "ant", "the most probable class is still told"
    assert far.above(0.5).is_unknown


def test_outputs_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(EanetError):
        decide(Outputs(np.array([[np.nan, 0.0]], np.float32), None), ("a", "b"))


def test_without_a_class_above_there_is_no_answer() -> None:
    assert Prediction(("ant",), (0.4,)).above(0.5).top1 is None
