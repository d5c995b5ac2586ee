"""What the report says of each published protocol: its convention in a sentence, its source, which rows it shows."""

from collections.abc import Mapping
from dataclasses import dataclass

from camray.core.metrics.localization.hits_and_iou import OVERLAP_CRITERIA
from camray.core.metrics.protocols.chestxray14 import IOU_CRITERIA
from camray.core.metrics.protocols.detection import FROC_RATES


@dataclass(frozen=True)
class Shown:
    """One column: its title and which rows of the score table stand in it; no criterion takes the row without one."""

    title: str
    metric: str
    criterion: float | None = None


@dataclass(frozen=True)
class ProtocolTable:
    """One table of a protocol; `counted` says what ``n`` counts."""

    title: str
    counted: str
    columns: tuple[Shown, ...]


@dataclass(frozen=True)
class ProtocolText:
    """What the page says of a protocol.

    Parameters
    ----------
    title, convention, source : str
        The convention is one sentence; plain text.
    needs : str
        What was not there where the protocol has no row at all, as the end of a sentence.
    tables : tuple of ProtocolTable
        A column without any row is left out, and so is a table without columns.
    partly : mapping
        Metric to what was not there where that metric alone has no row.
    """

    title: str
    convention: str
    source: str
    needs: str
    tables: tuple[ProtocolTable, ...]
    partly: tuple[tuple[str, str], ...] = ()


NO_BOX = "no film of this split carries an annotated box"
NO_MASK = (
    "no film of this split carries an annotated mask (run lengths or polygons; boxes are not turned into masks for it)"
)


def _each(metric: str, criteria: tuple[float, ...], sign: str) -> tuple[Shown, ...]:
    return tuple(Shown(f"{sign} {criterion:g}", metric, criterion) for criterion in criteria)


def _plain(prefix: str, columns: Mapping[str, str]) -> tuple[Shown, ...]:
    return tuple(Shown(title, f"{prefix}/{metric}") for title, metric in columns.items())


def _mask_columns(suffix: str) -> tuple[Shown, ...]:
    names = {"Mean IoU, true positives": "miou_true_positive", "Mean IoU, all": "miou_all"}
    names |= {"Mean IoU, annotated": "miou_annotated", "Hit rate": "hit_rate"}
    names |= {"Pixel sensitivity": "pixel_sensitivity", "Pixel specificity": "pixel_specificity"}
    return tuple(Shown(title, f"chexlocalize/{metric}{suffix}") for title, metric in names.items())


_WSOL = (
    Shown("MaxBoxAcc", "wsol/max_box_acc", 0.5),
    Shown("MaxBoxAcc, original", "wsol_original/max_box_acc", 0.5),
    Shown("MaxBoxAccV2", "wsol/max_box_acc_v2"),
    Shown("MaxBoxAccV2, original", "wsol_original/max_box_acc_v2"),
    Shown("PxAP", "wsol/pxap"),
)
_OVER_IOBB = (0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9)

PROTOCOLS: Mapping[str, ProtocolText] = {
    "wsol": ProtocolText(
        "Weakly supervised object localization: MaxBoxAcc, MaxBoxAccV2, PxAP",
        "Share of films whose largest region’s box has IoU ≥ 0.5 with an annotated one (MaxBoxAcc), any region’s at "
        "IoU ≥ 0.3, 0.5 and 0.7 (V2), and the area under pixel precision and recall (PxAP); “original” takes 8-bit "
        "maps, a strict threshold relative to the maximum, corners with “+1”, holes as contours, and one pixel at the "
        "origin for an empty map, where camray takes none of these.",
        "Choe et al., Evaluating weakly supervised object localization methods right, CVPR 2020",
        NO_BOX,
        (ProtocolTable("Both sets of conventions", "films", _WSOL),),
        (("wsol/pxap", f"PxAP has no rows: {NO_MASK}."),),
    ),
    "chestxray14": ProtocolText(
        "ChestX-ray14: accuracy and average false positives at T(IoU) and T(IoBB)",
        "Accuracy is the share of a finding’s annotated boxes that a predicted box overlaps by more than T; AFP is the "
        "number of predicted boxes that overlap none, over all annotated films whichever finding they are annotated "
        "for.",
        "Wang et al., ChestX-ray8, CVPR 2017, section 4.2 and table 4",
        NO_BOX,
        (
            ProtocolTable("Accuracy by T(IoU)", "boxes", _each("chestxray14/iou_accuracy", IOU_CRITERIA, ">")),
            ProtocolTable(
                "Average false positives by T(IoU)", "films", _each("chestxray14/iou_afp", IOU_CRITERIA, ">")
            ),
            ProtocolTable("Accuracy by T(IoBB)", "boxes", _each("chestxray14/iobb_accuracy", _OVER_IOBB, ">")),
            ProtocolTable(
                "Average false positives by T(IoBB)", "films", _each("chestxray14/iobb_afp", _OVER_IOBB, ">")
            ),
        ),
    ),
    "chexlocalize": ProtocolText(
        "CheXlocalize: masks from maps",
        "A map is interpolated to the film’s own pixels, rescaled to 0–1 there, and cut at Otsu’s threshold (fixed) "
        "or at the one of 0.2 … 0.8 with the highest mean IoU over true positives on validation films; “all” takes "
        "every film where either mask holds something, so that a mask on a film without the finding is a 0.",
        "Saporta et al., Benchmarking saliency methods for chest X-ray interpretation, Nature Mach. Intell. 2022",
        NO_MASK,
        (
            ProtocolTable("Every film annotated with a mask", "films", _mask_columns("")),
            ProtocolTable(
                "Otsu’s masks, none below the probability (0 … 0.8) with the highest “all” on validation films",
                "films",
                _mask_columns("_cutoff"),
            ),
            ProtocolTable("Percent below the human benchmark", "films", _mask_columns("_percent_below_human")),
        ),
    ),
    "detection": ProtocolText(
        "Detection: COCO, VinBigData, RSNA, FROC, JAFROC",
        "Every box of a film counts, ordered by the finding’s probability on its film; films that show the finding and "
        "carry no box say nothing about a box drawn there and are left out.",
        "COCO 2014; VinBigData Chest X-ray 2020 (VOC 2010 all-point AP at IoU > 0.4); RSNA Pneumonia 2018 "
        "(IoU > 0.40–0.75); Setio et al. 2017 (CPM); Chakraborty and Berbaum 2004 (JAFROC)",
        NO_BOX,
        (
            ProtocolTable(
                "Average precision, RSNA’s score and figures of merit",
                "boxes",
                (
                    Shown("COCO AP", "detection/coco_ap"),
                    Shown("AP50", "detection/coco_ap", 0.5),
                    Shown("AP75", "detection/coco_ap", 0.75),
                    Shown("VinDr AP", "detection/vindr_ap", 0.4),
                    Shown("RSNA", "detection/rsna"),
                    Shown("JAFROC", "detection/jafroc"),
                    Shown("JAFROC1", "detection/jafroc1"),
                ),
            ),
            ProtocolTable(
                "FROC: sensitivity at false positives a film",
                "boxes",
                (*_each("detection/froc_sensitivity", FROC_RATES, "≤"), Shown("CPM", "detection/froc_cpm")),
            ),
        ),
    ),
    "ilsvrc": ProtocolText(
        "ILSVRC: top-1 and top-5 errors",
        "A film is wrong if none of the k most probable findings is on it (classification), or none that is on it has "
        "a box with IoU ≥ 0.5 (localization); over all films with any annotated box.",
        "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
        NO_BOX,
        (
            ProtocolTable(
                "Errors, all findings together",
                "films",
                tuple(
                    Shown(f"{kind}, top {k}", f"ilsvrc/{kind.lower()}_error", float(k))
                    for k in (1, 2, 3, 4, 5)
                    for kind in ("Classification", "Localization")
                ),
            ),
        ),
    ),
    "classification": ProtocolText(
        "Classification: DeLong, operating points, calibration",
        "AUROC with DeLong’s interval (films of a patient kept together; none for a perfect one); "
        "points and temperature are chosen on "
        "validation films, 0.5 is fixed; ECE over 15 bins of equal width.",
        "DeLong et al., Biometrics 1988; Obuchowski, Biometrics 1997; Guo et al., ICML 2017",
        "no film of this split has a label that is known to be present or absent",
        (
            ProtocolTable(
                "Separation",
                "films",
                (
                    Shown("AUROC, DeLong", "classification/auroc_delong"),
                    Shown("Sensitivity, Youden", "classification/sensitivity_youden"),
                    Shown("Specificity, Youden", "classification/specificity_youden"),
                    Shown("Sensitivity at p ≥ 0.5", "classification/sensitivity", 0.5),
                    Shown("Specificity at p ≥ 0.5", "classification/specificity", 0.5),
                ),
            ),
            ProtocolTable(
                "At the points where validation films reached a specificity, or a sensitivity, of 0.9",
                "films",
                (
                    Shown("Sensitivity, specificity’s point", "classification/sensitivity_specificity_90"),
                    Shown("Specificity, specificity’s point", "classification/specificity_specificity_90"),
                    Shown("Sensitivity, sensitivity’s point", "classification/sensitivity_sensitivity_90"),
                    Shown("Specificity, sensitivity’s point", "classification/specificity_sensitivity_90"),
                ),
            ),
            ProtocolTable(
                "Calibration, as it is and with logits over the temperature",
                "films",
                _plain(
                    "classification",
                    {
                        "ECE": "ece",
                        "ECE, scaled": "ece_scaled",
                        "Brier": "brier",
                        "Brier, scaled": "brier_scaled",
                        "Temperature": "temperature",
                    },
                ),
            ),
        ),
    ),
    "containment": ProtocolText(
        "Centre containment",
        "Share of annotated boxes whose centre lies in the film’s predicted box, beside what the same box would hold "
        "at a random place on the film and about the point that lies in most training boxes; “small” takes boxes "
        "smaller than a cell of the feature grid both ways.",
        "camray’s own, for lesions that IoU cannot judge on a coarse grid",
        NO_BOX,
        (
            ProtocolTable(
                "Centres held",
                "boxes",
                _plain(
                    "containment",
                    {
                        "Centre": "centre",
                        "at random": "centre_random",
                        "about the fixed point": "centre_fixed_point",
                        "Small": "centre_small",
                        "small, at random": "centre_small_random",
                        "small, about the fixed point": "centre_small_fixed_point",
                    },
                ),
            ),
        ),
    ),
    "ceiling": ProtocolText(
        "Reachable ceiling of the feature grid",
        "The best box that any threshold draws from a perfect map: each cell holds the share of it that the annotated "
        "box covers; no network with this grid can do better.",
        "camray’s own",
        NO_BOX,
        (
            ProtocolTable(
                "IoU accuracy from a perfect map",
                "films",
                (*_each("ceiling/iou_accuracy", OVERLAP_CRITERIA, "≥"), Shown("Mean IoU", "ceiling/mean_iou")),
            ),
        ),
    ),
}
