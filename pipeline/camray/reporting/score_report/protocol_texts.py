"""Texts and columns of the report's protocol sections: convention in a sentence, source, rows of the score table."""

from collections.abc import Mapping
from dataclasses import dataclass

from camray.core.metrics.localization.hits_and_iou import OVERLAP_CRITERIA
from camray.core.metrics.protocols.chestxray14 import IOU_CRITERIA
from camray.core.metrics.protocols.detection import FROC_RATES


@dataclass(frozen=True)
class ProtocolColumn:
    """One column: its title and its rows of the score table; without a criterion, the row that has none."""

    title: str
    metric: str
    criterion: float | None = None


@dataclass(frozen=True)
class ProtocolTable:
    """One table of a protocol; `count_unit` is what ``n`` counts."""

    title: str
    count_unit: str
    columns: tuple[ProtocolColumn, ...]


@dataclass(frozen=True)
class ProtocolText:
    """One protocol on the page.

    Parameters
    ----------
    title, convention, source : str
        The convention is one sentence; plain text.
    missing_reason : str
        What the data lack where the protocol has no row at all, as the end of a sentence.
    tables : tuple of ProtocolTable
        A column without any row is left out, and so is a table without columns.
    missing_metric_texts : tuple of (metric, text)
        What the data lack where that metric alone has no row.
    """

    title: str
    convention: str
    source: str
    missing_reason: str
    tables: tuple[ProtocolTable, ...]
    missing_metric_texts: tuple[tuple[str, str], ...] = ()


NO_BOX = "no film of this split has an annotated box"
NO_MASK = "no film of this split has an annotated mask (run lengths or polygons; boxes are not converted to masks)"


def _each(metric: str, criteria: tuple[float, ...], sign: str) -> tuple[ProtocolColumn, ...]:
    return tuple(ProtocolColumn(f"{sign} {criterion:g}", metric, criterion) for criterion in criteria)


def _plain(prefix: str, columns: Mapping[str, str]) -> tuple[ProtocolColumn, ...]:
    return tuple(ProtocolColumn(title, f"{prefix}/{metric}") for title, metric in columns.items())


def _mask_columns(suffix: str) -> tuple[ProtocolColumn, ...]:
    names = {"Mean IoU, true positives": "miou_true_positive", "Mean IoU, all": "miou_all"}
    names |= {"Mean IoU, annotated": "miou_annotated", "Hit rate": "hit_rate"}
    names |= {"Pixel sensitivity": "pixel_sensitivity", "Pixel precision": "pixel_precision"}
    names |= {"Pixel specificity": "pixel_specificity"}
    return tuple(ProtocolColumn(title, f"chexlocalize/{metric}{suffix}") for title, metric in names.items())


_WSOL = (
    ProtocolColumn("MaxBoxAcc", "wsol/max_box_acc", 0.5),
    ProtocolColumn("MaxBoxAcc, original", "wsol_original/max_box_acc", 0.5),
    ProtocolColumn("MaxBoxAccV2", "wsol/max_box_acc_v2"),
    ProtocolColumn("MaxBoxAccV2, original", "wsol_original/max_box_acc_v2"),
    ProtocolColumn("PxAP", "wsol/pxap"),
    ProtocolColumn("PxAP, original", "wsol_original/pxap"),
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
        "number of predicted boxes that overlap none, over the annotated boxes of all findings.",
        "Wang et al., ChestX-ray8, CVPR 2017, section 4.2 and table 4",
        NO_BOX,
        (
            ProtocolTable("Accuracy by T(IoU)", "boxes", _each("chestxray14/iou_accuracy", IOU_CRITERIA, ">")),
            ProtocolTable(
                "Average false positives by T(IoU)", "boxes", _each("chestxray14/iou_afp", IOU_CRITERIA, ">")
            ),
            ProtocolTable("Accuracy by T(IoBB)", "boxes", _each("chestxray14/iobb_accuracy", _OVER_IOBB, ">")),
            ProtocolTable(
                "Average false positives by T(IoBB)", "boxes", _each("chestxray14/iobb_afp", _OVER_IOBB, ">")
            ),
        ),
    ),
    "chexlocalize": ProtocolText(
        "CheXlocalize: masks from maps",
        "A map is interpolated to the film’s own pixels, rescaled to 0–1 there, and cut at Otsu’s threshold (fixed) "
        "or at the one of 0.2 … 0.8 with the highest mean IoU over true positives on validation films; “all” takes "
        "every film where either mask is not empty, so that a mask on a film without the finding counts as 0.",
        "Saporta et al., Benchmarking saliency methods for chest X-ray interpretation, Nature Mach. Intell. 2022",
        NO_MASK,
        (
            ProtocolTable("Every film annotated with a mask", "films", _mask_columns("")),
            ProtocolTable(
                "Otsu’s masks, empty below the probability (0 … 0.8) with the highest “all” on validation films",
                "films",
                _mask_columns("_cutoff"),
            ),
            ProtocolTable("Percent below the human benchmark", "films", _mask_columns("_percent_below_human")),
        ),
    ),
    "detection": ProtocolText(
        "Detection: COCO, VinBigData, RSNA, FROC, JAFROC",
        "Every box of a film counts, ordered by the finding’s probability on its film; films that show the finding "
        "but have no box cannot tell whether a predicted box is right, and are left out.",
        "COCO 2014; VinBigData Chest X-ray 2020 (VOC 2010 all-point AP at IoU > 0.4); RSNA Pneumonia 2018 "
        "(IoU > 0.40–0.75); Setio et al. 2017 (CPM); Chakraborty and Berbaum 2004 (JAFROC)",
        NO_BOX,
        (
            ProtocolTable(
                "Average precision, RSNA’s score and figures of merit",
                "boxes",
                (
                    ProtocolColumn("COCO AP", "detection/coco_ap"),
                    ProtocolColumn("AP50", "detection/coco_ap", 0.5),
                    ProtocolColumn("AP75", "detection/coco_ap", 0.75),
                    ProtocolColumn("VinDr AP", "detection/vindr_ap", 0.4),
                    ProtocolColumn("RSNA", "detection/rsna"),
                    ProtocolColumn("JAFROC", "detection/jafroc"),
                    ProtocolColumn("JAFROC1", "detection/jafroc1"),
                ),
            ),
            ProtocolTable(
                "FROC: sensitivity by false positives per film",
                "boxes",
                (*_each("detection/froc_sensitivity", FROC_RATES, "≤"), ProtocolColumn("CPM", "detection/froc_cpm")),
            ),
        ),
    ),
    "rodeo": ProtocolText(
        "RoDeO: Robust Detection Outcome",
        "The reported boxes of a film are matched one to one with the annotated ones, whatever their findings; pairs "
        "score the distance of their centres, the IoU with centres aligned and the agreement of findings, boxes "
        "without a partner score 0, and the total is the harmonic mean.",
        "Meissen et al., Robust Detection Outcome: a metric for pathology detection in medical images, MIDL 2023",
        "fewer than two findings of this split have an annotated box",
        (
            ProtocolTable(
                "Placed, shaped and named",
                "boxes",
                _plain(
                    "rodeo",
                    {
                        "RoDeO": "total",
                        "Localization": "localization",
                        "Shape": "shape",
                        "Classification": "classification",
                    },
                ),
            ),
        ),
    ),
    "ilsvrc": ProtocolText(
        "ILSVRC: top-1 and top-5 errors",
        "A film is an error if none of the k most probable findings is present (classification), or none that is "
        "present has a box with IoU ≥ 0.5 (localization); over all films with any annotated box.",
        "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
        NO_BOX,
        (
            ProtocolTable(
                "Errors, all findings together",
                "films",
                tuple(
                    ProtocolColumn(f"{kind}, top {k}", f"ilsvrc/{kind.lower()}_error", float(k))
                    for k in (1, 2, 3, 4, 5)
                    for kind in ("Classification", "Localization")
                ),
            ),
        ),
    ),
    "classification": ProtocolText(
        "Classification: DeLong, operating points, calibration",
        "AUROC with DeLong’s interval (clustered as the bootstrap is; left empty at an AUROC of 1); operating points "
        "and temperature are chosen on validation films, 0.5 is fixed; ECE over 15 bins of equal width.",
        "DeLong et al., Biometrics 1988; Obuchowski, Biometrics 1997; Guo et al., ICML 2017",
        "no film of this split has a label that is known to be present or absent",
        (
            ProtocolTable(
                "Separation",
                "films",
                (
                    ProtocolColumn("AUROC, DeLong", "classification/auroc_delong"),
                    ProtocolColumn("Sensitivity, Youden", "classification/sensitivity_youden"),
                    ProtocolColumn("Specificity, Youden", "classification/specificity_youden"),
                    ProtocolColumn("Sensitivity at p ≥ 0.5", "classification/sensitivity", 0.5),
                    ProtocolColumn("Specificity at p ≥ 0.5", "classification/specificity", 0.5),
                ),
            ),
            ProtocolTable(
                "Operating points with a specificity, or a sensitivity, of 0.9 on validation films",
                "films",
                (
                    ProtocolColumn("Sensitivity at specificity 0.9", "classification/sensitivity_specificity_90"),
                    ProtocolColumn("Specificity at specificity 0.9", "classification/specificity_specificity_90"),
                    ProtocolColumn("Sensitivity at sensitivity 0.9", "classification/sensitivity_sensitivity_90"),
                    ProtocolColumn("Specificity at sensitivity 0.9", "classification/specificity_sensitivity_90"),
                ),
            ),
            ProtocolTable(
                "Calibration, before and after temperature scaling",
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
        "Share of annotated boxes whose centre is inside the film’s predicted box, beside the share for the same box "
        "at a random position on the film and centred on the point inside most training boxes; “small” takes annotated "
        "boxes smaller than a cell of the feature grid in both directions.",
        "camray’s own, for lesions too small for IoU on a coarse grid",
        NO_BOX,
        (
            ProtocolTable(
                "Centres contained",
                "boxes",
                _plain(
                    "containment",
                    {
                        "Centre": "centre",
                        "at random": "centre_random",
                        "at the fixed point": "centre_fixed_point",
                        "Small": "centre_small",
                        "small, at random": "centre_small_random",
                        "small, at the fixed point": "centre_small_fixed_point",
                    },
                ),
            ),
        ),
    ),
    "ceiling": ProtocolText(
        "Reachable ceiling of the feature grid",
        "The best box of any threshold from a perfect map, in which each cell is the share of it that the annotated "
        "box covers; no network with this grid can do better.",
        "camray’s own",
        NO_BOX,
        (
            ProtocolTable(
                "IoU accuracy from a perfect map",
                "films",
                (*_each("ceiling/iou_accuracy", OVERLAP_CRITERIA, "≥"), ProtocolColumn("Mean IoU", "ceiling/mean_iou")),
            ),
        ),
    ),
}
