"""Terms of the score report in a sentence each, shown when the pointer rests on one."""

TERMS = {
    "AUROC": "Chance that a film with the finding gets a higher output than one without; 0.5 is chance, 1 is perfect.",
    "hit rate": "Share of boxed films on which the hottest point of the map is inside a reader's box of the finding.",
    "IoU": "Intersection over union: shared area of two boxes over the area that they cover together, 0 to 1.",
    "probe": "A simple classifier that sees what should not matter, for instance the film's border or its scanner.",
    "baseline": "A competitor that never looks at the film: a random map, the mean training box, the whole film.",
    "few-shot": "Boxes of a small model fitted to the boxes of the validation films: what a handful of boxes can do.",
    "ceiling": "The best IoU that boxes made of whole cells of the heat map can reach on these films.",
    "without boxes": "The share for thresholds that no annotated box has influenced.",
    "boxed films": "Films of the split on which a reader has drawn a box of the finding.",
    "ECE": "Expected calibration error: mean distance between stated probability and observed share; 0 is perfect.",
    "Brier": "Mean squared distance between the stated probability and the truth (0 or 1); lower is better.",
    "calibration": "How the network's output becomes a probability; fitted on validation films.",
}
