"""``refine``: self-training from a finished run's confident boxes."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import (
    EXPERIMENT_COMMANDS,
    AsJson,
    OutputOptions,
    Overrides,
    Overwrite,
    RunOptions,
    TrainedRun,
    console,
    print_json,
)
from camray.commands.experiment import run_and_print
from camray.commands.option_groups import expand_option_groups

app = typer.Typer()


@dataclass(frozen=True)
class RefineOptions:
    """What the second network changes."""

    name: Annotated[str | None, typer.Option(help="Name of the new run, beside RUN; default: RUN-refined")] = None
    finer: Annotated[float, typer.Option(min=1.0, max=4.0, help="Factor on rows and columns of the model grid")] = 1.5
    share: Annotated[
        float, typer.Option(min=0.01, max=10.0, help="Share of RUN's epochs and least steps that the new run trains")
    ] = 0.33


@app.command(rich_help_panel=EXPERIMENT_COMMANDS)
@expand_option_groups
def refine(
    trained: TrainedRun,
    overrides: Overrides = None,
    *,
    options: RefineOptions,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a second network on a finer grid with RUN's own confident boxes; kept where its boxes are more consistent.

    The new run has the same films, splits and seed, and starts from RUN's weights. Whether its boxes are kept is
    decided per finding on validation films from image labels alone. RUN is not changed. Repeat the command to resume.

    Example: [bold]camray refine runs/phantom[/bold]
    """
    from camray.adapters.run_folders.run_folder import RunFolder
    from camray.io.tracking import open_tracker
    from camray.workflows.multi_seed import share_inputs
    from camray.workflows.refinement.settings import Refinement, refined_settings
    from camray.workflows.refinement.verdict import judge_refinement

    settings = refined_settings(trained, Refinement(options.name, options.finer, options.share), overrides)
    first, folder = RunFolder(trained), RunFolder(trained.parent / settings.name)
    share_inputs(first, folder, ("generate",))
    run_and_print(settings, folder, "export", RunOptions(overwrite=overwrite), OutputOptions(as_json=as_json))
    with open_tracker(settings, folder) as tracker:
        verdict = judge_refinement(settings, folder, first, tracker)
    if as_json:
        rows = verdict.table.to_dict("records")
        print_json({"run": str(folder.root), "table": str(verdict.path), "verdict": verdict.sentence, "findings": rows})
        return
    _print(verdict)


def _print(verdict: Any) -> None:
    judged = Table(title="Consistency on validation films, from image labels alone: before, after", padding=(0, 1))
    scored = Table(title="For information, annotated test films, boxes from image labels alone: before, after")
    for column in ("finding", "boxes", "films", "agreement", "removal", "difference (SE)", "kept"):
        judged.add_column(column)
    for column in ("finding", "films", "hit rate", "IoU >= 0.3", "AUROC"):
        scored.add_column(column)
    for row in verdict.table.to_dict("records"):
        label, both = escape(row["label"]), [_both(row, name) for name in ("agreement", "removal")]
        boxes = f"{row['boxes_used']} of {row['boxes_used'] + row['boxes_refused']}"
        difference = f"{_number(row['difference'], '+')} ({_number(row['standard_error'])})"
        kept = "yes" if row["kept"] else f"no: {row['reason']}"
        judged.add_row(label, boxes, str(row["films"]), *both, difference, kept)
        test = (_both(row, name) for name in ("hit_rate", "iou_accuracy", "auroc"))
        scored.add_row(label, str(row["annotated"]), *test)
    for table in (judged, scored):
        Console().print(table)
    console.print(escape(verdict.sentence), highlight=False, soft_wrap=True)
    console.print(f"table     {escape(str(verdict.path))}", highlight=False, soft_wrap=True)


def _both(row: dict[str, Any], name: str) -> str:
    return ", ".join(_number(row[f"{name}_{when}"]) for when in ("before", "after"))


def _number(value: float, sign: str = "") -> str:
    return "–" if value != value else f"{value:{sign}.2f}"  # NaN differs from itself
