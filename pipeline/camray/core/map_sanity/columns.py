"""Columns of the map sanity tables; apart from what fills them, as every process knows the tables."""

SUMMARY = (
    "films",  # pairs of film and label with a map
    "constant",  # of these, maps that order nothing
    "probability",  # of the label, on the films as they are
    "deletion_auc",
    "insertion_auc",
    "average_drop",
    "average_increase",
    "checked_films",  # pairs of film and label that noise and cascade were done on
    "rank_head",  # rank correlation with the original map, last layer randomised
    "rank_all",  # the same, all layers randomised
    "rank_head_abs",
    "rank_all_abs",
    "ssim_all",
    "noise_max",  # largest, and mean, relative change of the map over the noisy films
    "noise_mean",
    "passes",
)
COUNTS = ("films", "constant", "checked_films")
SANITY_COLUMNS: dict[str, str] = {
    "method": "string",
    **{name: "int64" if name in COUNTS else "float64" for name in SUMMARY},
    "reason": "string",  # why there are no figures
}
CASCADE_COLUMNS: dict[str, str] = {
    "method": "string",
    "step": "int64",  # 1 is the head alone
    "block": "string",  # randomised last; those before it stay so
    "measure": "string",  # rank, rank_abs or ssim
    "value": "float64",
    "films": "int64",  # pairs of film and label for which it is defined
}
CURVE_COLUMNS: dict[str, str] = {
    "method": "string",
    "kind": "string",  # deletion or insertion
    "fraction": "float64",  # of the cells
    "probability": "float64",  # mean
    "films": "int64",
}
