"""Run the notebook of the Python face and store its outputs: ``python docs/make_notebook.py FOLDER_WITH_RUNS``."""

import ast
import base64
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent / "how-to" / "python.ipynb"


def run_cells(notebook: dict[str, Any]) -> dict[str, Any]:
    """Execute the code cells in the working folder, one after the other, and store what they print and draw."""
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, Any] = {}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
            cell["outputs"] = _outputs("".join(cell["source"]), names)
    return names


def _outputs(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    from matplotlib import pyplot

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.parse(source), "cell", "exec"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        lines = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    for number in pyplot.get_fignums():
        picture = io.BytesIO()
        pyplot.figure(number).savefig(picture, format="png", dpi=70, metadata={"Software": None})
        data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": ["<Figure>"]}
        outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
        pyplot.close(number)
    return outputs


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    run_cells(content)
    NOTEBOOK.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
