"""Settings that may weaken a shortcut, by the kind of features that gives the label away."""

from collections.abc import Sequence

from camray.core.shortcuts.probes import Probe

SUGGESTED_AUC = 0.6  # below the warning's: a remedy costs less than a network that learnt the shortcut
ANY_FINDING = "any finding"
_OUTSIDE = "train.outside_penalty=1"
REMEDIES: dict[str, tuple[str, ...]] = {
    "grey-level histogram": ("ingest.prepare.equalize=true",),
    "border": ("ingest.prepare.mask_border=0.08", "ingest.prepare.crop_lungs=true", _OUTSIDE),
    "corners (markers)": ("ingest.prepare.mask_markers=true", "ingest.prepare.crop_lungs=true", _OUTSIDE),
    "lungs masked out": ("ingest.prepare.crop_lungs=true", _OUTSIDE),
    "acquisition tags": ("train.balance='[view, maker]'",),
    "scanner": ("train.balance='[maker]'",),
    "site": ("train.balance='[site]'",),
    "view": ("train.balance='[view]'",),
    "sex": ("train.balance='[sex]'",),
    "age": ("train.balance='[age]'",),
}


def suggestions_of(probes: Sequence[Probe]) -> list[str]:
    """Name the settings that may help against each shortcut.

    Parameters
    ----------
    probes : sequence of Probe
        Measured probes.

    Returns
    -------
    list of str
        Highest AUC first, of probes above `SUGGESTED_AUC` that a setting can weaken: ``Mass: border 0.72: try ...``.
    """
    strong = [
        (probe.auc, probe)
        for probe in probes
        if probe.auc is not None and probe.auc > SUGGESTED_AUC and probe.features in REMEDIES
    ]
    return [
        f"{probe.label}: {probe.features} {auc:.2f}: try {' or '.join(REMEDIES[probe.features])}"
        for auc, probe in sorted(strong, key=lambda each: -each[0])
    ]
