#!/bin/bash
# Submit a whole run: the parts of ingest, their merge, training, the parts of explain, their merge, the parts of
# localize, and the rest (merge, score, export). Each job waits for the one before it.
#
#   deploy/slurm/submit.sh /shared/camray/rsna.yaml
#   deploy/slurm/submit.sh /shared/camray/rsna.yaml train.max_epochs=20
#
# A merge starts when all parts have ended, also if one failed: it does what is missing, or says what is wrong. Where a
# job fails, those after it are removed from the queue. The same command again skips what is finished.
set -eEuo pipefail
if (($# == 0)); then
    echo "usage: submit.sh CONFIG [SETTING=VALUE ...]" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=site.sh
. "$here/site.sh"
# shellcheck source=queue.sh
. "$here/queue.sh"

mkdir -p "$LOGS"
"${LAUNCH[@]}" camray settings "$@" >/dev/null # a wrong setting ends here, not in each job

parts ingest "" "$INGEST_PARTS" "${CPU_JOB[@]}" -- ingest "$@"
submit ingest "afterany:$job" "${CPU_JOB[@]}" "$here/stage.sbatch" ingest "$@"
submit train "afterok:$job" "${TRAIN_JOB[@]}" "$here/train.sbatch" "$@"
parts explain "afterok:$job" "$EXPLAIN_PARTS" "${GPU_JOB[@]}" -- explain "$@"
submit explain "afterany:$job" "${GPU_JOB[@]}" "$here/stage.sbatch" explain "$@"
parts localize "afterok:$job" "$LOCALIZE_PARTS" "${CPU_JOB[@]}" -- localize "$@"
submit rest "afterany:$job" "${CPU_JOB[@]}" "$here/stage.sbatch" run "$@"
