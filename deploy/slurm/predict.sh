#!/bin/bash
# Submit the prediction of new films by a trained run, in parts. Further options go to every `camray predict`.
#
#   deploy/slurm/predict.sh /shared/camray/runs/rsna /shared/films/2026-11 /shared/camray/findings/2026-11
#   deploy/slurm/predict.sh RUN FILMS OUT --formats csv,sr
#
# All films are ingested before the first is explained, because a film that is there twice is refused.
set -eEuo pipefail
if (($# < 3)); then
    echo "usage: predict.sh RUN FILMS OUT [OPTION ...]" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=site.sh
. "$here/site.sh"
# shellcheck source=queue.sh
. "$here/queue.sh"

mkdir -p "$LOGS"
predict=(predict "$1" "$2" --out "$3" "${@:4}")

parts ingest "" "$INGEST_PARTS" "${CPU_JOB[@]}" -- "${predict[@]}" --until ingest
submit ingest "afterany:$job" "${CPU_JOB[@]}" "$here/stage.sbatch" "${predict[@]}" --until ingest
parts explain "afterok:$job" "$EXPLAIN_PARTS" "${GPU_JOB[@]}" -- "${predict[@]}" --until explain
submit explain "afterany:$job" "${GPU_JOB[@]}" "$here/stage.sbatch" "${predict[@]}" --until explain
parts localize "afterok:$job" "$LOCALIZE_PARTS" "${CPU_JOB[@]}" -- "${predict[@]}" --until localize
submit rest "afterany:$job" "${CPU_JOB[@]}" "$here/stage.sbatch" "${predict[@]}"
