"""Names in settings: methods, splits and findings are checked before any film is read."""

from collections.abc import Collection

from camray.adapters.datasets.known_names import check_official_splits, known_findings
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.table_paths import table_paths
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.core.explain.methods import methods_named
from camray.domain.errors import SettingsError
from camray.domain.records import Split
from camray.domain.suggestions import did_you_mean
from camray.workflows.stage_inputs import stages_for

_SPLITS = tuple(str(split) for split in Split)


def check_names(settings: Settings, folder: RunFolder, until: str) -> None:
    """Check that what the settings name exists, before hours are spent on films and training.

    Raises
    ------
    ManifestError, AnnotationError
        If there is no such manifest, or it or a table is invalid, or there are no official splits.
    SettingsError
        If a method, split or finding does not exist; the message names the nearest.
    """
    names = {stage.name for stage in stages_for(settings, folder, until)}
    if "ingest" in names:
        manifest = load_manifest(settings.data.manifest)
        if folder.trained is None:
            _check_data(settings, manifest)
    if "explain" in names:
        methods_named(settings.explain.methods)
        _refuse("explain.heat_exponents", settings.explain.heat_exponents, settings.explain.methods, "explain.methods")
    for section in ("explain", "score", "export"):
        if section in names:
            _refuse(f"{section}.splits", getattr(settings, section).splits, _SPLITS, "the splits")


def _check_data(settings: Settings, manifest: Manifest) -> None:
    """Check findings and official splits against manifest and tables; generated tables do not exist yet."""
    data, root = settings.data, settings.data.root
    named = {
        "data.leave_out": data.leave_out,
        "train.label_weights": settings.train.label_weights,
        "localize.prevalence": settings.localize.prevalence,
        "score.human": settings.score.human,
    }
    is_generated = data.generate is not None
    if not is_generated and (root is None or not root.is_dir()):
        return  # the stage says so
    if is_generated or root is None:
        known = () if manifest.labels == "auto" else tuple(label.name for label in manifest.labels)
    else:
        paths = table_paths(manifest, root, data.labels, data.boxes, own=True)
        if settings.ingest.split == "official":
            check_official_splits(manifest, root, paths)
        known = known_findings(manifest, paths) if any(named.values()) else ()
    for setting, labels in named.items():
        if known:
            kept = [label for label in known if setting == "data.leave_out" or label not in data.leave_out]
            _refuse(setting, labels, kept, "the findings")


def _refuse(setting: str, names: Collection[str], known: Collection[str], what: str) -> None:
    """Refuse names that do not exist."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise SettingsError(f"{setting}: unknown {unknown}; {did_you_mean(unknown, known, f'{what} are')}")
