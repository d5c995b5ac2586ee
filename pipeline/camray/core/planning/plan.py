"""The plan of an experiment that names no network: settings for a data set and a machine, with a reason each."""

import math
from collections.abc import Iterator

from camray.core.planning.duration import RELATIVE_COST
from camray.core.planning.facts import DataFacts, Machine, Plan, PlanRequest, Reason, Sections
from camray.core.planning.findings import TrainedFindings, choose_findings
from camray.core.planning.schedule import Schedule, choose_schedule, is_length_given

SHORT_MINUTES, NIGHT_MINUTES = 15.0, 480.0  # of a run without a limit: up to 500 films, and at most
MINUTES_PER_FILM = 0.03
FEW_FILMS, TOO_FEW_FILMS = 100, 10
LEAST_BOXED_VALIDATION = 5
BALANCED = (1 / 3, 2 / 3)
CALIBRATED = "calibrated"
_Decision = tuple[dict[str, object], str]  # settings by dotted name, and why


def plan_experiment(data: DataFacts, machine: Machine, request: PlanRequest, base: Sections) -> Plan:
    """Plan an experiment.

    Parameters
    ----------
    data : DataFacts
        Films, labels and boxes.
    machine : Machine
        What computes.
    request : PlanRequest
        Settings that the user gave, which are kept, and minutes.
    base : mapping
        Sections of the default recipe, and the default of ``localize.policies``.

    Returns
    -------
    Plan
        The recipe's values, changed where the films, the machine or the minutes need it.
    """
    findings = choose_findings(data)
    limit = request.minutes or default_minutes(data.films)
    schedule = choose_schedule(data, machine, request, base, limit)
    values: dict[str, dict[str, object]] = {}
    reasons = []
    for decision, text in _decisions(data, request, base, findings, schedule):
        planned = {name: value for name, value in decision.items() if request.value(*name.split(".")) is None}
        if planned:
            reasons.append(Reason(tuple(planned), text))
        for name, value in planned.items():
            section, key = name.split(".")
            values.setdefault(section, {})[key] = value
    warnings = (*findings.warnings, *_warnings(data, machine, request, schedule, limit))
    return Plan(values, tuple(reasons), warnings, schedule.minutes, findings.refusal)


def default_minutes(films: int) -> float:
    """Return the duration that a plan keeps to where the user gives none.

    Examples
    --------
    >>> default_minutes(250), default_minutes(2000), default_minutes(100_000)
    (15.0, 60.0, 480.0)
    """
    return min(NIGHT_MINUTES, max(SHORT_MINUTES, films * MINUTES_PER_FILM))


def _decisions(
    data: DataFacts, request: PlanRequest, base: Sections, findings: TrainedFindings, schedule: Schedule
) -> Iterator[_Decision]:
    train = base["train"]
    if findings.left_out:
        names = tuple(label.name for label in findings.left_out)
        yield {"data.leave_out": names}, "too few films with or without it to learn from"
    yield {"ingest.rows": schedule.rows, "ingest.cols": schedule.cols}, _why_grid(data, schedule)
    is_own_network = request.value("model", "backbone") is not None
    if not is_own_network:
        network = {f"model.{key}": value for key, value in base["model"].items()}
        yield network, f"ImageNet weights from a package; a cell of {base['model']['stride']} px keeps evidence local"
    batch, usual = schedule.batch_size, train["batch_size"]
    few = "" if batch == usual else f", for {batch} in place of {usual} films per step"
    yield {"train.batch_size": batch}, f"all {schedule.train} training films in each step" if few else "the usual size"
    yield _length(request, schedule), _why_length(request, schedule)
    if not is_own_network:
        rates = {f"train.{key}": train[key] for key in ("head_rate", "weight_decay", "clip_norm")}
        rate = float(f"{train['learning_rate'] * math.sqrt(batch / usual):.3g}")
        yield {"train.learning_rate": rate, **rates}, f"best on films of patients, untuned{few}"
    yield from _class_weights(findings)
    yield {"explain.flip": base["explain"]["flip"]}, "maps averaged over the film and its mirror image are steadier"
    yield from _policies(data, request, base)


def _why_grid(data: DataFacts, schedule: Schedule) -> str:
    if not data.headers:
        return "no header could be read: a square grid"
    films = f"films are {data.rows} x {data.cols} px (median of {data.headers} headers)"
    side = max(schedule.rows, schedule.cols)
    if side < schedule.full_side:
        return f"{films}; {schedule.full_side} px on the longer side would take longer than the minutes allow"
    return f"{films}; a grid of their shape, {side} px on the longer side"


def _length(request: PlanRequest, schedule: Schedule) -> dict[str, object]:
    """Return epochs and steps; where the user gave one of them, the others follow from it."""
    if any(request.value("train", key) is not None for key in ("max_epochs", "epoch_films")):
        length: dict[str, object] = {}
    else:
        length = {"train.max_epochs": schedule.max_epochs, "train.min_steps": schedule.min_steps}
        if schedule.epoch_films:
            length["train.epoch_films"] = schedule.epoch_films
    if schedule.warmup_epochs is not None:
        length["train.warmup_epochs"] = schedule.warmup_epochs
    return length


def _why_length(request: PlanRequest, schedule: Schedule) -> str:
    size = f"{schedule.train} training films: {schedule.steps} steps in {schedule.epochs} epochs"
    if schedule.steps < schedule.full_steps:
        sampled = f", each of {schedule.epoch_films} films" if schedule.epoch_films else ""
        return f"{size}{sampled}; {schedule.full_steps} would take longer than the minutes allow"
    if is_length_given(request):
        return f"{size}, as given"
    raised = schedule.epochs > schedule.max_epochs
    return f"{size}; " + ("the number of steps decides on few films, not that of epochs" if raised else "as usual")


def _class_weights(findings: TrainedFindings) -> Iterator[_Decision]:
    shares = [label.present / max(1, label.present + label.absent) for label in findings.kept]
    if not shares:
        return
    spread = f"{min(shares):.0%}" if len(shares) == 1 else f"{min(shares):.0%} to {max(shares):.0%}"
    is_balanced = all(BALANCED[0] <= share <= BALANCED[1] for share in shares)
    what = "balanced enough" if is_balanced else "positives count as much as negatives"
    yield {"train.class_weights": not is_balanced}, f"{spread} of the films show a finding: {what}"


def _policies(data: DataFacts, request: PlanRequest, base: Sections) -> Iterator[_Decision]:
    boxed = int(data.boxed * request.fractions[1])
    policies = tuple(base["localize"]["policies"])
    if boxed >= LEAST_BOXED_VALIDATION:
        yield {"localize.policies": policies}, f"about {boxed} validation films have boxes to choose thresholds on"
        return
    fixed = tuple(policy for policy in policies if policy != CALIBRATED)
    what = "no film has a box" if not data.boxed else f"about {boxed} validation films have boxes, too few to choose on"
    yield {"localize.policies": fixed}, f"{what}: thresholds that need none"


def _warnings(
    data: DataFacts, machine: Machine, request: PlanRequest, schedule: Schedule, limit: float
) -> Iterator[str]:
    films = data.labelled or data.films
    test = int(films * request.fractions[2])
    if films < TOO_FEW_FILMS:
        yield f"{films} films are too few to train, validate and test on: this shows that the stages run, and no more"
    elif films < FEW_FILMS:
        yield f"{films} films: about {schedule.train} to train and {test} to test on; expect wide intervals"
    if data.labels and not data.boxed:
        yield "no film has a box: heat maps and boxes are made, and their places cannot be scored"
    backbone = request.value("model", "backbone")
    if backbone is not None and backbone not in RELATIVE_COST:
        yield f"how long {backbone} takes was not measured: it is taken to be as fast as EfficientNet-Lite0"
    if not schedule.holds:
        least = f"{schedule.steps} steps" + (", as given" if is_length_given(request) else " on the smallest grid")
        yield (
            f"{limit:g} minutes are not enough: {data.films} films with {least} take about "
            f"{math.ceil(schedule.minutes)} on {machine.name}; set --minutes {math.ceil(schedule.minutes)}"
        )
