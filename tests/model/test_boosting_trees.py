import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from model.boosting.model import ROWS_AT_ONCE, trees_of


def test_the_copied_trees_say_what_scikit_learn_says() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(3000, 5)).round(1)
    is_true = random.uniform(size=3000) < 1 / (1 + np.exp(-features[:, 0] * features[:, 1]))
    fitted = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(features, is_true)
    asked = random.normal(size=(ROWS_AT_ONCE + 10, 5)).round(1)
    trees = trees_of(fitted)
    np.testing.assert_allclose(trees.probability_P(asked), fitted.predict_proba(asked)[:, 1], atol=1e-12)
    *_, after_seven = (
        probability for _, probability in zip(range(7), fitted.staged_predict_proba(asked), strict=False)
    )
    np.testing.assert_allclose(trees.first(7).probability_P(asked), after_seven[:, 1], atol=1e-12)
    assert trees.probability_P(asked[:0]).tolist() == []
    assert trees.probability_P(asked[5:6])[0] == pytest.approx(trees.probability_P(asked)[5], abs=1e-15)
