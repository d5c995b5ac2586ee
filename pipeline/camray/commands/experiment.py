"""``run``, ``demo`` and ``predict``: whole experiments."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import (
    EXPERIMENT_COMMANDS,
    EXPERIMENT_OR_RUN,
    OutputOptions,
    Overrides,
    Overwrite,
    RunOptions,
    Runs,
    TrainedRun,
    console,
    opened_source,
    print_json,
    print_start,
)
from camray.commands.dry_run import print_dry_run
from camray.commands.option_groups import expand_option_groups
from camray.commands.parts import execute_part
from camray.commands.plan import PlanOptions, opened_by_plan, plan_as_json, print_plan_alone
from camray.commands.predict_options import NewFilms, PredictExtent, PredictOutput
from camray.commands.run_output import print_findings, print_paths, print_scores, print_stage
from camray.domain.errors import SettingsError
from camray.domain.package_data import experiment_file

app = typer.Typer()
SHOWN_FILMS = 10
PLAN = "plan"  # in place of a last stage


@dataclass(frozen=True)
class RunExtent:
    """How far a run goes, and how often."""

    until: Annotated[
        str,
        typer.Option(
            help="Last stage to run: generate, ingest, train, explain, localize, score or export; with --data or "
            "--minutes also plan, which only writes the plan"
        ),
    ] = "export"
    seeds: Annotated[str | None, typer.Option(help="Random seeds, separated by commas: a run for each")] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print which stages would run, and why; read and write nothing else")
    ] = False


@app.command(rich_help_panel=EXPERIMENT_COMMANDS)
@expand_option_groups
def run(
    *,
    config: Annotated[str | None, typer.Argument(help=EXPERIMENT_OR_RUN)] = None,
    options: RunOptions,
    plan: PlanOptions,
    output: OutputOptions,
    extent: RunExtent,
) -> None:
    """Run all stages of an experiment; stages that are up to date are skipped.

    A trained network is never replaced unless --overwrite is given: changed films or settings of training need another
    name=NAME, or name=auto, which takes the next of exp, exp2, ...

    With --data, no experiment is needed: network, resolution, steps and thresholds are planned from the films, their
    labels, this machine and --minutes; each with its reason, and written to RUN/plan.yaml. Given settings are kept.

    With --seeds, each seed has a run of its own (NAME-seed1, ...), and NAME-seeds/spread.csv has mean and standard
    deviation over all of them. No seed is selected by its scores.

    Example: [bold]camray run configs/rsna.yaml train.max_epochs=3[/bold]
    """
    if plan.is_given:
        settings, folder = opened_by_plan(config, plan, options, output.as_json, writes=not extent.dry_run)
        if extent.until == PLAN and extent.dry_run:
            raise SettingsError("--dry-run --until plan: --dry-run prints the plan without writing it; omit --until")
        if extent.until == PLAN:
            print_plan_alone(folder, output.as_json)
            return
    elif config is None:
        raise typer.BadParameter("expected an experiment, or a folder of films (--data FOLDER)", param_hint="CONFIG")
    else:
        settings, folder = opened(Path(config), options.overrides, options.runs, quiet=output.as_json)
    if extent.seeds is not None:
        _run_seeds(settings, extent, options, output)
    elif extent.dry_run:
        print_dry_run([(settings, folder)], extent.until, options, output.as_json)
    else:
        execute(settings, folder, extent.until, options, output)


@app.command(rich_help_panel=EXPERIMENT_COMMANDS)
@expand_option_groups
def demo(
    output: OutputOptions, overrides: Overrides = None, runs: Runs = Path("runs"), overwrite: Overwrite = False
) -> None:
    """Run all stages on generated films: train on them, find their lesions and score the boxes.

    Example: [bold]camray demo data.generate.films=300[/bold]
    """
    from camray.adapters.settings.loading import config_path

    settings, folder = opened(config_path("phantom"), overrides, runs, quiet=output.as_json)
    execute(settings, folder, "export", RunOptions(overwrite=overwrite), output)


@app.command(rich_help_panel=EXPERIMENT_COMMANDS)
@expand_option_groups
def predict(
    trained: TrainedRun,
    films: Annotated[Path, typer.Argument(metavar="INPUT", help="Folder of films, or one film")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results, itself a run folder")],
    new: NewFilms,
    extent: PredictExtent,
    output: PredictOutput,
) -> None:
    """Apply a trained run, a model package or a registered model, with its thresholds, to new films.

    Example: [bold]camray predict runs/phantom films/ --out findings[/bold]

    A model of the MLflow registry: [bold]camray predict models:/phantom@candidate films/ --out findings[/bold]

    Where a finding is rarer: [bold]camray predict runs/phantom films/ --out findings --prevalence Mass=0.02[/bold]

    The first of five machines: [bold]camray predict runs/phantom films/ --out findings --part 1/5[/bold]
    """
    part = extent.parsed()
    trained = opened_source("predict", trained, quiet=output.as_json)
    from camray.adapters.settings.loading import with_export_formats
    from camray.workflows.predict import folder_of, settings_for, with_prevalences
    from camray.workflows.tracked_prediction import track_prediction

    settings = settings_for(trained, films, new.labels, new.boxes, new.manifest)
    if extent.formats is not None:
        settings = with_export_formats(settings, extent.formats)
    if new.prevalence:
        settings = with_prevalences(settings, trained, new.prevalence)
    if part is not None:
        execute_part(settings, folder_of(trained, out), extent.until, part, output)
    else:
        folder = folder_of(trained, out)
        execute(settings, folder, extent.until, RunOptions(), output)
        track_prediction(settings, folder)


def opened(
    config: Path, overrides: list[str] | None, runs: Path, trained: Path | None = None, *, quiet: bool = True
) -> tuple[Any, Any]:
    """Return settings and run folder for ``CONFIG [OVERRIDES]``: an experiment, or an existing run folder.

    Unless `quiet`, the run folder is printed as soon as it is known, before anything that takes long to import.
    """
    from camray.adapters.run_folders.run_folder import RunFolder
    from camray.adapters.settings.loading import load_settings
    from camray.io.run_lookup import check_is_run, check_keeps_name, with_free_name

    config = experiment_file(config)
    if not config.is_dir() and (config.suffix or config.exists()):
        settings = with_free_name(load_settings(config, overrides), runs)
        print_start("run", runs / settings.name, quiet=quiet)
        return settings, RunFolder(runs / settings.name, trained=trained)
    check_is_run(config, or_experiment=True)
    print_start("run", config, quiet=quiet)
    from camray.io.artifacts import RunArtifacts
    from camray.workflows.stored_settings import on_this_machine, overridden

    if trained is None and not RunArtifacts(config).train.folder.is_dir():
        raise SettingsError(
            f"{config}: contains no trained model; repeat the `camray predict` that made it (to export it again, name "
            "the run that the model is from with --trained RUN), or complete it with `camray run CONFIG`"
        )
    settings = overridden(config, overrides)
    check_keeps_name(settings, config)
    is_device_given = any(each.partition("=")[0].strip() == "device" for each in overrides or ())
    return settings if is_device_given else on_this_machine(settings), RunFolder(config, trained=trained)


def _run_seeds(settings: Any, extent: RunExtent, options: RunOptions, output: OutputOptions) -> None:
    from camray.adapters.run_folders.run_folder import RunFolder
    from camray.io.workflow_artifacts import SpreadFiles
    from camray.workflows.multi_seed import headline_of, parse_seeds, settings_of_seed, share_inputs, write_spread
    from camray.workflows.stage_inputs import STAGE_NAMES

    seeds, until, runs, as_json = parse_seeds(extent.seeds or ""), extent.until, options.runs, output.as_json
    folders = [RunFolder(runs / settings_of_seed(settings, seed).name) for seed in seeds]
    if extent.dry_run:
        of_seeds = [settings_of_seed(settings, seed) for seed in seeds]
        print_dry_run(list(zip(of_seeds, folders, strict=True)), until, options, as_json)
        return
    for seed, folder in zip(seeds, folders, strict=True):
        if folder is not folders[0]:
            share_inputs(folders[0], folder)
        if not as_json:
            console.print(f"[bold]seed {seed}[/bold]")
        run_and_print(settings_of_seed(settings, seed), folder, until, options, output)
    if STAGE_NAMES.index(until) < STAGE_NAMES.index("score"):
        return
    rows = headline_of(write_spread(settings, runs, seeds))
    spread = SpreadFiles(runs / f"{settings.name}-seeds").table
    if as_json:
        print_json({"seeds": seeds, "spread": str(spread), "rows": rows})
        return
    table = Table(title=f"Mean and standard deviation over seeds {', '.join(map(str, seeds))}", padding=(0, 1))
    for column in ("finding", "metric", "threshold", "mean", "sd", "minimum", "maximum"):
        table.add_column(column)
    for row in rows:
        name = row["metric"] + (f" >= {row['criterion']:g}" if row["criterion"] is not None else "")
        numbers = ("–" if row[key] is None else f"{row[key]:.3f}" for key in ("mean", "sd", "low", "high"))
        table.add_row(escape(str(row["label"])), name, str(row["threshold_source"] or ""), *numbers)
    Console().print(table)
    console.print(f"spread    {escape(str(spread))}")


def run_and_print(
    settings: Any, folder: Any, until: str, options: RunOptions, output: OutputOptions, must_track: bool = True
) -> list[Any]:
    """Run stages and print their counts; return their reports."""
    from camray.io.run_log import run_log
    from camray.io.tracking import missing_password, open_tracker
    from camray.workflows.run import Consent
    from camray.workflows.run import run as run_stages
    from camray.workflows.run_summary import write_csv_tables
    from camray.workflows.setting_names import check_names
    from camray.workflows.stage_inputs import check_device

    check_device(settings, folder, until)  # before the run is tracked
    check_names(settings, folder, until)
    if not must_track and not output.as_json and (fault := missing_password(settings, folder)):
        console.print(f"[yellow]not tracked[/yellow] {escape(fault)}", highlight=False, soft_wrap=True)
    reports = []
    with run_log(folder, until), open_tracker(settings, folder, must_track=must_track) as tracker:
        for report in run_stages(settings, folder, tracker, until, Consent(options.force, options.overwrite)):
            reports.append(report)
            if not output.as_json:
                print_stage(report)
    if output.csv:
        write_csv_tables(folder)
    return reports


def execute(
    settings: Any, folder: Any, until: str, options: RunOptions, output: OutputOptions, must_track: bool = True
) -> None:
    """Run stages and print their counts and results, as all commands that run stages do."""
    from camray.workflows.run_summary import headline_texts, interval_title, next_steps_of, plain_scores, top_findings

    records = run_and_print(settings, folder, until, options, output, must_track)
    is_localized = folder.trained is not None and any(r.record["stage"] == "localize" for r in records)
    findings = top_findings(folder, SHOWN_FILMS, settings.localize.report) if is_localized else None
    if output.as_json:
        stages = {
            r.record["stage"]: {**r.record["counts"], "skipped": r.skipped, "again": r.again, **r.record["figures"]}
            for r in records
        }
        advice = {"next_steps": next_steps_of(folder, settings)} if "score" in stages else {}
        films = {} if findings is None else findings.as_json()
        print_json(
            {
                "run": str(folder.root),
                "stages": stages,
                "scores": plain_scores(folder),
                **advice,
                **films,
                **plan_as_json(folder),
            }
        )
        return
    is_new = any(not report.skipped for report in records)
    if is_new and (rows := headline_texts(folder)):
        print_scores(rows, interval_title(settings))
        for text in next_steps_of(folder, settings):
            console.print(f"[yellow]next[/yellow]      {escape(text)}", highlight=False, soft_wrap=True)
    if findings is not None:
        print_findings(findings)
    print_paths(folder.root)
