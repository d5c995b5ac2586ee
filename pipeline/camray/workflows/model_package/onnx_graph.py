"""The network of a package as ONNX: written with a description of its input and results, and compared with the package.

Reads   a package
Writes  its ONNX file
"""

import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from camray.adapters.onnx_model import INPUT, OnnxNetwork, is_runtime_installed, onnx_bytes
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.core.explain.exported_network import METHOD, ExportedNetwork
from camray.io.model_package import PackageFiles
from camray.workflows.predictor import Predictor, load_predictor
from camray.workflows.predictor_input import film_from_file

TOLERANCE = 1e-4  # of logits and maps, relative to 1 or the largest of them


def write_onnx(package: Path) -> None:
    """Write the network of a package into it, as ONNX.

    Raises
    ------
    ExportError
        If the network has no form in ONNX.
    """
    predictor = load_predictor(package)
    network = exported(predictor)
    grid = (predictor.contract.rows, predictor.contract.cols)
    content = onnx_bytes(network, grid, network.outputs, _description(predictor, network.outputs))
    write_bytes(PackageFiles(package).onnx, content)


def exported(predictor: Predictor) -> ExportedNetwork:
    """Return a predictor's network with the views of its run, as it is exported."""
    contract, views = predictor.contract, predictor.explaining
    grid = (contract.feature_rows, contract.feature_cols)
    return ExportedNetwork(predictor.network, grid, views.flip, views.scales).eval()


def _description(predictor: Predictor, outputs: tuple[str, ...]) -> dict[str, str]:
    """Return what a program needs to know that applies the graph, as the graph's metadata."""
    contract, explaining = predictor.contract, predictor.explaining
    shape = f"float32 [n, 1, {contract.rows}, {contract.cols}]"
    maps = f"{METHOD}: raw, signed, bias excluded, [n, labels, {contract.feature_rows}, {contract.feature_cols}]"
    if "maps" not in outputs:
        maps = "none: the network has no linear head, and hence no class activation maps"
    elif predictor.chest is not None:
        maps += "; not held inside the chest, as the maps are that boxes are drawn from"
    return {
        "camray": metadata.version("camray"),
        "labels": json.dumps(contract.labels, ensure_ascii=False),
        "input": f"{INPUT}: {shape}, {contract.grey_scale}, divided by 2**bits - 1: 0 to 1",
        "bits": str(contract.bits),
        "rows": str(contract.rows),
        "cols": str(contract.cols),
        "fit": contract.fit,
        "preparation": json.dumps(asdict(contract.preparation), sort_keys=True),
        "logits": "[n, labels], before the calibration that makes probabilities of them, which the package has",
        "maps": maps,
        "views": json.dumps({"flip": explaining.flip, "scales": explaining.scales}),
        "boxes": f"drawn from maps by {predictor.method}",
    }


def onnx_difference(package: Path) -> float | None:
    """Compare a package's ONNX with its network on the package's films.

    Returns
    -------
    float or None
        The largest difference of a logit or a map's value, relative to 1 or the largest of them; None if the
        package has no ONNX, or onnxruntime is not installed.
    """
    files = PackageFiles(package)
    if not files.onnx.is_file() or not is_runtime_installed():
        return None
    predictor, graph = load_predictor(package), OnnxNetwork(files.onnx.read_bytes())
    films = [film_from_file(path) for path in sorted(files.checks.films.iterdir())]
    batch = np.stack([predictor.on_model_grid(film)[0] for film in films])[:, None]
    network = exported(predictor)
    with torch.no_grad():
        expected = [result.numpy() for result in network(torch.from_numpy(batch))]
    found = graph(batch)
    return max(_largest(a, found[name]) for name, a in zip(network.outputs, expected, strict=True))


def _largest(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
