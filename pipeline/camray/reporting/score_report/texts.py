"""The score report's standing texts, and its look on screen and on paper."""

VERDICTS = (
    "“Clearly above” means that the whole interval lies above the best baseline’s number; “above” that only the "
    "number does."
)
FILMS = (
    "By IoU among the films with a reader’s box. Left the film, right the evidence with the predicted box (solid) and "
    "the readers’ boxes (dashed)."
)
THRESHOLDS = (
    "A box needs a threshold, and the choice of the threshold is part of the result. <b>Fixed</b> numbers use 20 % of "
    "each map’s maximum or another rule that no box has influenced: this is what a site without any boxes gets. "
    "<b>Validation</b> numbers use thresholds chosen per finding on boxes of the validation split, whose patients are "
    "not scored. <b>Oracle</b> numbers choose on the scored films; they are given only on request and always marked."
)
CONVENTIONS = {
    "Films": "Every film with at least one reader’s box of the finding counts, whatever the network’s probability. "
    "AUROC and average precision use the films whose label is known (uncertain ones are left out).",
    "Hit": "The map’s peak lies in any reader’s box of that finding.",
    "Ceiling": "The best box from a perfect map of this feature grid: what no training can exceed without a finer one.",
    "IoU, IoBB": "Overlap of the one best-scored box with the best matching reader’s box: intersection over union, and "
    "over the predicted box’s own area. No box is a miss with IoU 0.",
    "MaxBoxAcc": "Largest region, IoU ≥ 0.5, one threshold for all films (maps rescaled to 0–1); V2 counts any region "
    "and averages IoU ≥ 0.3, 0.5 and 0.7 (Choe et al., 2020). The threshold is 20 % (fixed) or the best on validation.",
    "Shortcut probes": "A logistic regression on the training films’ grey levels, tags, patient facts or parts without "
    "lungs, asked about the same films: an AUROC near it proves little.",
    "Curves": "FROC lets the demanded probability fall over each method’s boxes, cut as in the headline, on the films "
    "that are annotated with the finding or known not to show it; CPM is its mean at 1/8 to 8 false positives a film. "
    "Reliability takes bins of equally many films; ECE is the mean gap. No threshold is chosen from a curve.",
    "Baselines": "Know nothing of the film: a random map; a centred Gaussian; the mean training box of the "
    "finding; the point inside most training boxes (hit rate only); the whole film; boxes of another film with it "
    "(average of many shuffles). A box’s point is its centre. The random map and the Gaussian are cut at 20 "
    "% (fixed) or at the level that is best on the same validation boxes; they are neither smoothed nor widened.",
}
INTERVALS = (
    "percentile bootstrap over patients. The mean of findings is the plain mean of the findings’ numbers, from "
    "the same resamples, over as many findings as stand beside it; baselines beside it are over the same "
    "findings. Where all resamples give the same 0 or 1, the interval is Wilson’s over the patients; where they say "
    "nothing, there is none."
)

STYLE = """
:root{--ink:#1c2733;--faint:#667380;--line:#dde3ea;--soft:#f5f7f9;--accent:#0b5c8f}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:var(--ink);font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 24px 60px}
h1{font-size:28px;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:20px;margin:34px 0 6px;padding-top:14px;border-top:2px solid var(--ink)}
h3{font-size:16px;margin:30px 0 6px}
h4{font-size:14px;margin:16px 0 6px}
.kicker{margin:0;color:var(--accent);font-weight:600;letter-spacing:.04em}
.lead{margin:4px 0 14px;color:var(--faint)}
.note{color:var(--faint);font-size:13px;margin:6px 0 12px}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:6px 9px;border-bottom:1px solid var(--line);vertical-align:top}
thead th{background:var(--soft);font-weight:600;color:var(--faint);font-size:12.5px;vertical-align:bottom}
tbody th{font-weight:600;overflow-wrap:anywhere;min-width:104px}
td.number{white-space:nowrap;font-weight:600}
td.number span{display:block;font-weight:400;color:var(--faint);font-size:12px}
table.protocol{margin:8px 0 18px}
table.protocol tr.mean+tr.mean th,table.protocol tr.mean+tr.mean td{border-top:0}
caption{text-align:left;font-weight:600;padding:4px 0;caption-side:top}
tr.baseline th,tr.baseline td{color:var(--faint);font-weight:400}
section.protocol>.note{break-after:avoid}
.missing{border-left:3px solid #d9a400;padding:6px 10px;background:#fdf8e8;margin:8px 0 14px}
h2.protocols{border-top-width:1px}
tr.mean th,tr.mean td{border-top:2px solid var(--ink);background:var(--soft)}
td.good,td.fair,td.bad,td.none{white-space:nowrap;font-size:12.5px}
td.good{color:#00704a}td.fair{color:#6b6b00}td.bad{color:#b3261e;font-weight:600}td.none{color:var(--faint)}
.methods tr.baseline th,.methods tr.baseline td{color:var(--faint);font-weight:400}
.methods tr.oracle td{font-style:italic}
.charts{margin-top:18px}
figure{margin:0 0 14px}
img{max-width:100%;height:auto;display:block}
.charts img{width:100%;max-width:960px}
.curves{display:grid;grid-template-columns:1fr 1fr;gap:8px 18px;margin-top:10px}
.curves img{width:100%}
.films{display:grid;grid-template-columns:repeat(3,1fr);gap:12px}
.films img{width:100%;border-radius:3px}
figcaption{font-size:12px;color:var(--faint);margin-top:4px}
code{font-size:10.5px;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:110px 1fr;gap:4px 14px;font-size:13.5px}
dt{font-weight:600}dd{margin:0}
@media screen and (max-width:760px){.films,.curves{grid-template-columns:1fr}table{display:block;overflow-x:auto}}
@media print{
@page{size:A4;margin:14mm}
body{font-size:11px}main{max-width:none;padding:0}
.note,.lead{font-size:10px}dl{font-size:10px}table{font-size:9px}thead th{font-size:8.5px}td.number span{font-size:8px}
th,td{padding:2px 3px}tbody th{min-width:0}
td.good,td.fair,td.bad,td.none{white-space:normal;font-size:8.5px}
figure,tr,.group,dl{break-inside:avoid}h2,h3,h4{break-after:avoid}
thead{display:table-header-group}caption{break-after:avoid}.missing{break-inside:avoid}
thead th,tr.mean th,tr.mean td,td{-webkit-print-color-adjust:exact;print-color-adjust:exact}
.charts img{max-width:170mm}
}
"""
