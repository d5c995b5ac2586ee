"""Settings of an experiment that names no network: what gave the best boxes on real films without tuning.

EfficientNet-Lite0 with ImageNet weights, cut at stride 16 so that evidence stays at the lesion, trained for enough
steps: on 175 training films nothing is localized before 150 to 200 steps of batch 16.
"""

from collections.abc import Mapping
from typing import Any

DEFAULT_RECIPE: Mapping[str, Mapping[str, Any]] = {
    "ingest": {"rows": 320, "cols": 320},
    "model": {
        "backbone": "efficientnet_lite0",
        "stride": 16,
        "dilated": False,
        "pool": "lse_map",
        "lse_r": 3.0,
    },
    "train": {
        "batch_size": 16,
        "max_epochs": 8,
        "min_steps": 400,
        "learning_rate": 0.0005,
        "head_rate": 10.0,
        "weight_decay": 0.02,
        "clip_norm": 2.0,
    },
    "explain": {"flip": True},
}


def with_default_recipe(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Complete an experiment that names no network.

    Parameters
    ----------
    plain : mapping
        Sections of settings as read from YAML and command line.

    Returns
    -------
    dict
        A copy; with ``model.backbone`` it is equal. Else it has the values of `DEFAULT_RECIPE` that are not given; with
        ``train.max_epochs`` given, epochs are as many as it says.

    Examples
    --------
    >>> with_default_recipe({"train": {"max_epochs": 2}})["train"].get("min_steps")
    >>> with_default_recipe({"model": {"backbone": "resnet18"}})
    {'model': {'backbone': 'resnet18'}}
    """
    given = {section: plain.get(section) for section in DEFAULT_RECIPE}
    is_nested = all(part is None or isinstance(part, dict) for part in given.values())
    if not is_nested or "backbone" in (given["model"] or {}):  # validation names a section that is no mapping
        return dict(plain)
    complete = completed(plain, DEFAULT_RECIPE)
    if "max_epochs" in (given["train"] or {}) and "min_steps" not in (given["train"] or {}):
        del complete["train"]["min_steps"]
    return complete


def completed(plain: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Add values by section where none is given.

    Examples
    --------
    >>> completed({"name": "mine", "train": {"batch_size": 4}}, {"train": {"batch_size": 16, "max_epochs": 8}})
    {'name': 'mine', 'train': {'batch_size': 4, 'max_epochs': 8}}
    """
    return {**plain, **{section: {**keys, **(plain.get(section) or {})} for section, keys in values.items()}}
