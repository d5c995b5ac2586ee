from pathlib import Path

import pytest

from camray.adapters.settings.loading import load_settings
from camray.adapters.settings.schema import Settings
from camray.domain.errors import SettingsError
from camray.domain.package_data import shipped


def written(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(shipped("configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_config_is_legal_and_says_what_it_is_for(path: Path) -> None:
    assert load_settings(path).name
    head = path.read_text(encoding="utf-8").splitlines()[:6]
    assert all(any(line.startswith(f"# {word}") for line in head) for word in ("Purpose", "Command", "Expected"))


def test_overrides_win(tmp_path: Path) -> None:
    path = written(tmp_path, "name: a\ntrain: {max_epochs: 7}\n")
    settings = load_settings(path, ["train.max_epochs=3", "explain.methods=[cam]"])
    assert settings.train.max_epochs == 3
    assert settings.explain.methods == ("cam",)


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("train.max_epoch=7", "train.max_epoch: unknown key; did you mean 'train.max_epochs' or "),
        ("train.epoch=7", "train.epoch: unknown key; did you mean 'train.max_epochs' or 'train.epoch_films' or "),
        ("trian.batch_size=7", "trian.batch_size: unknown key; did you mean 'train.batch_size'?"),
        ("localise.region=largest", "localise.region: unknown key; did you mean 'localize.region'?"),
        ("localise.threshold=0.3", "localise.threshold: unknown key; did you mean 'localize.policies' or "),
        ("localize.method=cam", "localize.method: unknown key; did you mean 'explain.methods' or 'compare.methods'?"),
        ("backbone=nin", "backbone: unknown key; did you mean 'model.backbone'?"),
        ("trian=7", "trian: unknown key; did you mean 'train' or "),
        ("train.lr=7", "train.lr: unknown key; did you mean 'train.learning_rate'"),
        ("train.zzz=7", "train.zzz: unknown key; the settings are train.max_epochs, "),
        ("epochs=3", "epochs: unknown key; did you mean 'train.max_epochs' or "),
        ("epoch=3", "epoch: unknown key; did you mean 'train.max_epochs' or "),
        ("lr=0.1", "lr: unknown key; did you mean 'train.learning_rate' or "),
        ("model.backbone=Resnet18", "got 'Resnet18'; did you mean 'resnet18' or "),
        ("explain.methods=grad_cam", "got 'grad_cam'; write it as a list: explain.methods=[grad_cam]"),
        (
            "train.optimizer.rate=7",
            "train.optimizer.rate: unknown key; did you mean 'train.learning_rate' or 'train.head_rate' or ",
        ),
        ("zzz.x=7", "zzz.x: unknown key; the sections are data, "),
        ("model.backbone=resnet81", "got 'resnet81'; did you mean 'resnet18' or "),
        ("score.protocols=[chexlocalise]", "got 'chexlocalise'; did you mean 'chexlocalize'?"),
    ],
)
def test_near_names_of_an_override_with_a_typing_error(tmp_path: Path, override: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(written(tmp_path, "name: a\n"), [override])
    assert hint in str(refused.value)


def test_near_names_of_an_experiment_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "pleural.yaml").write_text("name: a\n")
    with pytest.raises(SettingsError, match=r"did you mean .*pleural\.yaml\?"):
        load_settings(tmp_path / "plueral.yaml")
    with pytest.raises(SettingsError, match=r"did you mean .*configs/phantom\.yaml\?"):
        load_settings(tmp_path / "fantom.yaml")
    with pytest.raises(SettingsError, match="no such settings file; see configs"):
        load_settings(tmp_path / "zzz.yaml")


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, "name: a b\ntrain: {max_epochs: none}\nmodle: {}\n"))
    text = str(caught.value)
    assert "3 fault(s)" in text
    assert "did you mean 'model'" in text


@pytest.mark.parametrize("text", ["[1, 2]", "a: b: c", "name: [", ""])
def test_what_is_no_settings_file_is_said_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        load_settings(written(tmp_path, text))


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        load_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", ""])
def test_a_name_never_chooses_where_we_write(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Settings(name=name)


def test_settings_survive_json() -> None:
    settings = Settings(name="a")
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("backbone", ["alexnet", "vgg16", "vgg16_bn"])
def test_cam_of_a_fully_connected_network_is_refused_before_training(tmp_path: Path, backbone: str) -> None:
    path = written(tmp_path, f"name: a\nmodel: {{backbone: {backbone}}}\n")
    with pytest.raises(SettingsError, match=rf"explain\.methods=\[gradcam\], or model\.backbone={backbone}_gap"):
        load_settings(path)
    assert load_settings(path, ["explain.methods=[gradcam]"]).model.backbone == backbone
    assert load_settings(path, [f"model.backbone={backbone}_gap"]).explain.methods[0] == "cam"


def test_changes_of_a_comparison_are_laid_over_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, "name: a\ncompare: {changes: {train: {max_epochs: 3}, model.stride: 8}}\n")
    changes = load_settings(path, ["compare.network_changes.nin.model.stride=32"]).compare.changes_for
    assert changes("nin")["train.max_epochs"] == 3
    assert (changes("nin")["model.stride"], changes("densenet121")["model.stride"]) == (32, 8)
    assert changes("nin")["ingest.rows"] == 96  # untouched


def test_an_empty_file_and_one_without_a_name_say_so(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# nothing yet\n")
    with pytest.raises(SettingsError, match=r"a\.yaml: is empty; expected a name"):
        load_settings(path)
    path.write_text("train:\n  max_epochs: 3\n")
    with pytest.raises(SettingsError, match=r"a\.yaml: has no `name`, only train"):
        load_settings(path)


def test_settings_of_a_run_made_before_a_setting_was_renamed_still_load(tmp_path: Path) -> None:
    text = "name: x\ncompare: {dear_test_films: 3, expensive_validation_films: 2}\n"
    settings = load_settings(written(tmp_path, text))
    assert (settings.compare.expensive_test_films, settings.compare.expensive_validation_films) == (3, 2)
    assert "dear_test_films" not in settings.model_dump()["compare"]


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:SECRET_TOKEN}",
        "x-${oc.env:SECRET_TOKEN,none}",
        "${oc.decode:${oc.env:SECRET_TOKEN}}",
        "${${name}.env:SECRET_TOKEN}",
        "${oc.create:'a'}",
    ],
)
@pytest.mark.parametrize("text", ["track: {{experiment: '{}'}}", "score: {{human: {{'{}': {{hit_rate: 1.0}}}}}}"])
def test_hostile_functions_that_read_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, text: str
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "sesame")
    path = written(tmp_path, "name: oc\n" + text.format(value.replace("'", "''")) + "\n")
    with pytest.raises(SettingsError) as refused:
        load_settings(path)
    assert "sesame" not in str(refused.value)


def test_a_reference_to_another_setting_is_resolved(tmp_path: Path) -> None:
    assert (
        load_settings(written(tmp_path, "name: x\ntrack: {experiment: '${name}: all'}\n")).track.experiment == "x: all"
    )


ALIASES = [f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]" for n in range(1, 40)]


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nmodel: " + "[" * 3000,
        "name: x\nmodel: " + "[" * 3000 + "]" * 3000,
        "name: x\nmodel: " + "{a: " * 3000 + "1" + "}" * 3000,
        "\n".join(["k0: &k0 [1, 1]", *ALIASES, ""]),
        "a: &a [*a]\nname: x\n",
    ],
    ids=["open", "list", "mapping", "aliases", "endless"],
)
def test_hostile_yaml_nested_or_multiplied_without_limit(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"x\.yaml"):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize(
    "uri",
    [
        "http://me:sesame@host:5000",
        "http://sesame@host",
        "http://me:se/sesame@host",
        "postgresql+psycopg2://me:sesame@host/db",
        "postgresql://host/db?user=me&password=sesame",
        "http://host/?api_key=sesame",
        "http://me:open@sesame@host",
        "http://host/#auth=sesame",
    ],
)
def test_a_secret_in_the_uri_of_the_store_is_refused_and_not_repeated(tmp_path: Path, uri: str) -> None:
    path = written(tmp_path, "name: x\n")
    for overrides in ([f"track.uri={uri}"], [f"track={uri}"]):
        with pytest.raises(SettingsError) as refused:
            load_settings(path, overrides)
        assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "override",
    [
        "data.root=https://me:sesame@host/films",
        "data.labels=https://me:open@sesame@host/labels.csv",
        "track.experiment=https://host/?token=sesame",
        "data.leave_out=[s3://me:sesame@bucket/x]",
    ],
)
def test_a_secret_in_any_other_text_is_refused_and_not_repeated(tmp_path: Path, override: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(written(tmp_path, "name: x\n"), [override])
    assert "sesame" not in str(refused.value)
    assert override.partition("=")[0] in str(refused.value)


@pytest.mark.parametrize("root", ["/films/me@home", "C:/me@host", "films: 2024/a@b", "http:/films"])
def test_paths_that_look_like_urls_are_taken(tmp_path: Path, root: str) -> None:
    assert str(load_settings(written(tmp_path, f"name: x\ndata: {{root: '{root}'}}\n")).data.root) == root


@pytest.mark.parametrize("uri", ["sqlite:////data/a@b:c/mlflow.db", "http://host:5000", "postgresql://me@host/db"])
def test_a_uri_without_secrets_is_taken(tmp_path: Path, uri: str) -> None:
    assert load_settings(written(tmp_path, "name: x\n"), [f"track.uri={uri}"]).track.uri == uri
