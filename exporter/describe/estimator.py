"""A trained estimator of scikit-learn's manner -> sections, where it was trained. Knows it by its attributes only."""

from collections.abc import Mapping
from typing import Any, Final

from exporter.describe.description import MAX_VALUES

_REGULARISATION: Final = (
    *(
        "alpha",
        "C",
        "l1_ratio",
        "l2_regularization",
        "reg_alpha",
        "reg_lambda",
        "gamma",
        "penalty",
        "ccp_alpha",
    ),
    *("max_depth", "min_samples_leaf", "min_child_weight", "early_stopping", "subsample", "max_leaf_nodes"),
)
_OPTIMISER: Final = ("solver", "max_iter", "tol", "learning_rate", "n_estimators", "momentum", "optimizer")
_TRAINING: Final = {"random_state": "seed", "batch_size": "batch_size", "learning_rate": "learning_rate"}


def of_estimator(estimator: Any) -> dict[str, Any]:
    """A document for `describe`: the class, parameters, features with their importances or coefficients."""
    given: Mapping[str, Any] = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    params = {key: _plain(value) for key, value in given.items() if value is not None}
    kind = type(estimator)
    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    return {
        "architecture": {"class": f"{kind.__module__}.{kind.__qualname__}"} | _outputs(estimator),
        "hyperparameters": params,
        "regularisation": {key: params[key] for key in _REGULARISATION if key in params},
        "optimiser": {key: params[key] for key in _OPTIMISER if key in params},
        "training": {name: params[key] for key, name in _TRAINING.items() if key in params},
        "features": _features(names, *_importances(estimator)),
    }


def _outputs(estimator: Any) -> dict[str, Any]:
    classes = getattr(estimator, "classes_", None)
    return {} if classes is None else {"classes": [_plain(one) for one in classes]}


def _importances(estimator: Any) -> tuple[str, list[float]]:
    """What they are called, and a number for each feature; of a linear model with several outputs none."""
    found: Any = getattr(estimator, "feature_importances_", None)
    if found is not None:
        return "importance", [float(one) for one in found]
    found = getattr(estimator, "coef_", ())
    found = found[0] if len(found) == 1 and hasattr(found[0], "__len__") else found
    return "coefficient", [float(one) for one in found if not hasattr(one, "__len__")]


def _features(names: list[str], word: str, told: list[float]) -> list[dict[str, Any]]:
    names = (names or [str(place) for place in range(len(told))])[: MAX_VALUES // 8]
    if len(told) < len(names):
        return [{"name": name} for name in names]
    return [{"name": name, word: number} for name, number in zip(names, told, strict=False)]


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's, containers as they are, other objects by their name."""
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return type(value).__qualname__
