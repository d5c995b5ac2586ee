"""ONNX: a network as a graph of operators with a description, and such a graph applied by onnxruntime.

The packages `onnx` and `onnxruntime` are imported inside functions: camray works without them.
"""

import copy
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from camray.domain.errors import ExportError, SettingsError

OPSET = 17
INPUT = "films"
_EXPORTER: Any = torch.onnx  # it declares neither buffers nor rules of operators as its own
INSTALL = "pip install 'camray[onnx]'"


def is_runtime_installed() -> bool:
    """Return whether `OnnxNetwork` can be used."""
    return find_spec("onnxruntime") is not None


def check_can_write() -> None:
    """Check that ONNX can be written.

    Raises
    ------
    SettingsError
        If the package `onnx` is not installed.
    """
    if find_spec("onnx") is None:
        raise SettingsError(f"--onnx needs the package onnx, which is not installed; install it with {INSTALL}")


def onnx_bytes(
    network: nn.Module, grid: tuple[int, int], outputs: Sequence[str], description: Mapping[str, str]
) -> bytes:
    """Write a network as an ONNX graph.

    Parameters
    ----------
    network : Module
        Films [B, 1, H, W], float32, to a tuple of tensors [B, ...]; neither altered nor moved.
    grid : tuple of int
        H and W; B is free in the graph.
    outputs : sequence of str
        Names of the tensors.
    description : mapping of str to str
        Stored in the graph's metadata.

    Returns
    -------
    bytes
        Equal for equal networks.

    Raises
    ------
    ExportError
        If an operator of the network has no form in ONNX.
    """
    import onnx

    model = onnx.load_from_string(_graph(copy.deepcopy(network).cpu().eval(), grid, outputs))
    model.producer_name, model.producer_version = "camray", description.get("camray", "")
    onnx.helper.set_model_props(model, dict(description))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _graph(network: nn.Module, grid: tuple[int, int], outputs: Sequence[str]) -> bytes:
    content, said = io.BytesIO(), io.StringIO()
    free = {name: {0: "n"} for name in (INPUT, *outputs)}
    with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said), _more_operators():
        warnings.simplefilter("ignore")  # of shapes that become constants, as they must, and of the exporter's age
        try:
            _EXPORTER.export(
                network,
                (torch.full((2, 1, *grid), 0.5),),
                content,
                dynamo=False,  # the other exporter needs onnxscript, and keeps names of this machine's files
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_axes=free,
            )
        except (RuntimeError, TypeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            raise ExportError(f"the network has no form in ONNX: {first}; write the package without --onnx") from error
    return content.getvalue()


@contextmanager
def _more_operators() -> Iterator[None]:
    """Teach the exporter operators that it does not know, until the end of the block.

    An average pool of fixed sizes is two matrix products; ``exp(x) - 1 == tanh(x / 2) (exp(x) + 1)`` without
    cancellation near 0.
    """
    added = {
        "aten::adaptive_avg_pool2d": _averaged,
        "aten::expm1": _exponential_minus_one,
    }
    for name, rule in added.items():
        _EXPORTER.register_custom_op_symbolic(name, rule, OPSET)
    try:
        yield
    finally:
        for name in added:
            _EXPORTER.unregister_custom_op_symbolic(name, OPSET)


def _averaged(graph: Any, maps: Any, size: Any) -> Any:
    """Express an average pool from [.., H, W] to [.., h, w] as the product of a matrix [h, H], the maps, and [W, w]."""
    from torch.onnx.symbolic_helper import _parse_arg

    counts = _parse_arg(size, "is")
    if set(counts) == {1}:
        return graph.op("GlobalAveragePool", maps)
    sides = zip(maps.type().varyingSizes()[2:], counts, strict=True)
    down, across = (adaptive_avg_pool2d(torch.eye(side)[None], (count, side))[0] for side, count in sides)
    left, right = (graph.op("Constant", value_t=matrix.contiguous()) for matrix in (down, across.T))
    return graph.op("MatMul", graph.op("MatMul", left, maps), right)


def _exponential_minus_one(graph: Any, values: Any) -> Any:
    two, one = (graph.op("Constant", value_t=torch.tensor(number)) for number in (2.0, 1.0))
    half = graph.op("Tanh", graph.op("Div", values, two))
    return graph.op("Mul", half, graph.op("Add", graph.op("Exp", values), one))


class OnnxNetwork:
    """A graph that onnxruntime applies, on the CPU.

    Parameters
    ----------
    content : bytes
        From `onnx_bytes`.

    Raises
    ------
    ExportError
        If onnxruntime cannot read it.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of no class that is the package's own
            raise ExportError(f"onnxruntime cannot read the network: {str(error).partition(chr(10))[0]}") from error

    @property
    def description(self) -> dict[str, str]:
        """What the graph says of itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, films: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Apply the graph.

        Parameters
        ----------
        films : ndarray of shape (B, 1, H, W), float32
            Grey 0 black to 1 white, model grid.

        Returns
        -------
        dict of str to ndarray
            By name of the output.
        """
        names = [each.name for each in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, {INPUT: films}), strict=True))
