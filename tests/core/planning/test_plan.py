"""Plans of many kinds of data sets: each has sensible settings, or one sentence that says why not."""

from dataclasses import replace
from typing import Any

import pytest

from camray.adapters.settings.default_recipe import DEFAULT_RECIPE
from camray.core.planning.facts import DataFacts, LabelFacts, Machine, Plan, PlanRequest
from camray.core.planning.plan import plan_experiment

BASE = {**DEFAULT_RECIPE, "localize": {"policies": ("fraction_of_max", "calibrated")}}
TWO_CORES, GPU = Machine(2), Machine(16, has_gpu=True)
MASS, CYST = LabelFacts("Mass", 100, 150, 80), LabelFacts("Cyst", 60, 190, 50)
FILMS = DataFacts(250, 250, (MASS, CYST), 120, 3000, 2500, 1.2, 200)


def planned(data: DataFacts = FILMS, machine: Machine = TWO_CORES, minutes: float | None = None, **given: Any) -> Plan:
    return plan_experiment(data, machine, PlanRequest(given, minutes), BASE)


def labelled(*labels: LabelFacts, **changes: Any) -> DataFacts:
    return replace(FILMS, labels=labels, **changes)


def value(plan: Plan, name: str) -> Any:
    section, key = name.split(".")
    return plan.values.get(section, {}).get(key)


def reason(plan: Plan, name: str) -> str:
    (text,) = (each.text for each in plan.reasons if name in each.settings)
    return text


def test_usual_films_get_the_recipe_on_a_grid_of_their_shape() -> None:
    plan = planned()
    assert plan.values["model"] == DEFAULT_RECIPE["model"]
    recipe = DEFAULT_RECIPE["train"]
    assert {key: plan.values["train"][key] for key in recipe} == recipe
    assert (value(plan, "ingest.rows"), value(plan, "ingest.cols")) == (320, 272)
    assert reason(plan, "train.min_steps").startswith("175 training films: 400 steps in 40 epochs; ")
    assert value(plan, "localize.policies") == ("fraction_of_max", "calibrated")
    assert (plan.warnings, plan.refusal, value(plan, "data.leave_out")) == ((), "", None)
    assert 8 < plan.minutes < 15


def test_every_planned_setting_has_a_reason() -> None:
    plan = planned()
    named = [name for each in plan.reasons for name in each.settings]
    assert sorted(named) == sorted(f"{section}.{key}" for section, keys in plan.values.items() for key in keys)
    assert all(each.text for each in plan.reasons)


@pytest.mark.parametrize(
    ("rows", "cols", "aspect", "grid"),
    [
        (512, 256, 2.0, (320, 160)),
        (1024, 1024, 1.0, (320, 320)),
        (2000, 2500, 0.8, (256, 320)),
        (224, 224, 1.0, (224, 224)),
        (80, 80, 1.0, (128, 128)),
        (3000, 300, 10.0, (320, 64)),
        (0, 0, 1.0, (320, 320)),
    ],
)
def test_the_grid_follows_the_films(rows: int, cols: int, aspect: float, grid: tuple[int, int]) -> None:
    plan = planned(replace(FILMS, rows=rows, cols=cols, aspect=aspect, headers=9 if rows else 0), minutes=60)
    assert (value(plan, "ingest.rows"), value(plan, "ingest.cols")) == grid


def test_given_settings_win_and_others_follow_them() -> None:
    train = {"batch_size": 64, "max_epochs": 3, "class_weights": True}
    plan = planned(ingest={"rows": 512}, train=train, model={"stride": 32, "members": 2})
    assert (value(plan, "ingest.rows"), value(plan, "ingest.cols")) == (None, 416)
    assert not set(train) & set(plan.values["train"])
    assert "min_steps" not in plan.values["train"]
    assert value(plan, "train.learning_rate") == pytest.approx(0.001)
    assert value(plan, "model.stride") is None
    given = planned(ingest={"rows": 96, "cols": 64}, localize={"policies": ("otsu",)})
    assert {"rows", "cols"}.isdisjoint(given.values.get("ingest", {}))
    assert "localize" not in given.values


def test_one_finding_is_planned() -> None:
    plan = planned(labelled(LabelFacts("Tuberculosis", 30, 220, 30)))
    assert not plan.refusal
    assert (
        reason(plan, "train.class_weights") == "12% of the films show a finding: positives count as much as negatives"
    )


def test_balanced_findings_need_no_class_weights() -> None:
    assert value(planned(labelled(LabelFacts("Mass", 120, 130, 90))), "train.class_weights") is False


def test_a_finding_on_every_film_is_left_out() -> None:
    plan = planned(labelled(MASS, LabelFacts("Chest", 250, 0, 9)))
    assert value(plan, "data.leave_out") == ("Chest",)
    assert plan.warnings == ("Chest is present on all 250 films that say anything of it: it is left out",)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (LabelFacts("Mass", 250, 0), "Mass is present on all 250 films"),
        (LabelFacts("Mass", 0, 250), "Mass is absent on all 250 films"),
        (LabelFacts("Mass", 0, 0), "no film says anything of Mass"),
    ],
)
def test_findings_of_one_class_alone_are_refused_in_a_sentence(label: LabelFacts, text: str) -> None:
    plan = planned(labelled(label))
    assert plan.refusal.startswith(f"no finding can be trained: {text}")
    assert "camray ingest" in plan.refusal


def test_too_few_films_of_a_finding_leave_it_out_unless_none_is_left() -> None:
    rare = LabelFacts("Hernia", 4, 246, 4)
    plan = planned(labelled(MASS, rare))
    assert value(plan, "data.leave_out") == ("Hernia",)
    assert plan.warnings == ("Hernia: 4 films with it and 246 without are too few: it is left out",)
    alone = planned(labelled(rare, LabelFacts("Chest", 250, 0)))
    assert value(alone, "data.leave_out") == ("Chest",)
    assert alone.warnings[0].startswith("Hernia (4): fewer than 5 films with or without it are too few to learn from")


def test_few_films_of_a_finding_are_said() -> None:
    plan = planned(labelled(MASS, LabelFacts("Hernia", 20, 230, 20)))
    assert value(plan, "data.leave_out") is None
    assert plan.warnings[0].startswith("Hernia (20): fewer than 50 films show it")


@pytest.mark.parametrize(
    ("boxed", "text"),
    [(0, "no film has a box: thresholds that need none"), (40, "about 4 validation films have boxes, too few")],
)
def test_no_boxes_or_few_fix_the_thresholds(boxed: int, text: str) -> None:
    plan = planned(replace(FILMS, boxed=boxed))
    assert value(plan, "localize.policies") == ("fraction_of_max",)
    assert text in reason(plan, "localize.policies")
    assert any("cannot be scored" in warning for warning in plan.warnings) == (boxed == 0)


def test_no_labels_are_said_and_refuse_nothing() -> None:
    plan = planned(labelled(labelled=0))
    assert plan.warnings[0].startswith("no table says which films show a finding")
    assert not plan.refusal


def test_fifty_films_keep_their_steps_and_are_warned_of() -> None:
    plan = planned(labelled(LabelFacts("Mass", 20, 30, 20), films=50, labelled=50, boxed=20))
    assert reason(plan, "train.min_steps").startswith("35 training films: 400 steps in 200 epochs")
    assert "50 films: about 35 to train and 10 to test on; expect wide intervals" in plan.warnings


@pytest.mark.parametrize("films", [1, 2, 9])
def test_a_handful_of_films_is_planned_and_warned_of(films: int) -> None:
    plan = planned(labelled(LabelFacts("Mass", 1, films), films=films, labelled=films, boxed=0))
    assert value(plan, "train.batch_size") == max(1, int(films * 0.7))
    assert any("and no more" in warning for warning in plan.warnings)


MANY = labelled(LabelFacts("Mass", 9_000, 91_000, 900), films=100_000, labelled=100_000, boxed=900)
MANY = replace(MANY, rows=1024, cols=1024, aspect=1.0)


def test_many_films_hold_a_night_by_fewer_epochs_of_a_part_of_them() -> None:
    plan = planned(MANY)
    assert plan.minutes <= 480
    assert value(plan, "train.max_epochs") < 8
    assert 0 < value(plan, "train.warmup_epochs") < 1
    assert "35000 would take longer than the minutes allow" in reason(plan, "train.max_epochs")
    assert value(plan, "ingest.rows") == 320


def test_many_films_on_a_gpu_get_all_epochs() -> None:
    plan = planned(MANY, GPU)
    assert (value(plan, "train.max_epochs"), value(plan, "train.epoch_films")) == (8, None)
    assert plan.minutes < 150


def test_many_films_in_few_minutes_say_how_many_it_takes() -> None:
    plan = planned(MANY, minutes=30)
    (warning,) = plan.warnings
    assert warning.startswith("30 minutes are not enough: 100000 films with 200 steps on the smallest grid take about ")
    again = planned(MANY, minutes=float(warning.split()[-1]))
    assert not again.warnings
    assert "70000 training films: " in reason(again, "train.max_epochs")
    assert value(again, "train.epoch_films") * 4 >= 200 * 16


def test_minutes_take_pixels_first_then_steps_and_pixels_again() -> None:
    square = replace(FILMS, aspect=1.0)
    full = planned(square)
    sides, steps = [], []
    for minutes in (30, 12, 8, 6, 4):
        plan = planned(square, minutes=minutes)
        assert plan.minutes <= minutes
        assert not plan.warnings
        sides.append(value(plan, "ingest.rows"))
        steps.append(value(plan, "train.min_steps"))
    assert (value(full, "ingest.rows"), value(full, "train.min_steps")) == (288, 400)
    assert steps[:2] == [400, 400]
    assert 320 == sides[0] > sides[1] > sides[2] == 224
    assert 400 > steps[2] > steps[3] >= 200
    assert sides[2] == sides[3] > sides[4] >= 160
    assert min(steps) >= 200


@pytest.mark.parametrize("films", [50, 100, 300, 500])
@pytest.mark.parametrize("aspect", [1.0, 1.2, 2.2])
def test_some_hundred_films_take_a_quarter_of_an_hour_on_two_cores(films: int, aspect: float) -> None:
    label = LabelFacts("Mass", films // 3, films - films // 3, films // 3)
    plan = planned(labelled(label, films=films, labelled=films, boxed=films // 3, aspect=aspect))
    assert plan.minutes <= 15
    assert value(plan, "train.min_steps") == 400
    assert max(plan.values["ingest"].values()) >= 224


def test_a_given_network_is_kept_with_its_own_rates() -> None:
    small = planned(model={"backbone": "resnet_light"})
    assert "model" not in small.values
    assert not {"learning_rate", "head_rate"} & set(small.values["train"])
    assert small.minutes < planned(ingest={"rows": 320, "cols": 272}).minutes / 2
    assert not small.warnings
    (warning,) = planned(model={"backbone": "vgg16"}).warnings
    assert warning.startswith("how long vgg16 takes was not measured")


def test_given_steps_are_not_reduced() -> None:
    plan = planned(minutes=5, train={"max_epochs": 40})
    assert not {"max_epochs", "min_steps", "epoch_films"} & set(plan.values["train"])
    assert value(plan, "ingest.rows") < 320
    assert "as given" in reason(planned(train={"min_steps": 20}), "train.max_epochs")
