#!/bin/bash
# One node's processes of a training; train.sbatch starts it on each node.
set -euo pipefail
# shellcheck source=site.sh
. "$CAMRAY_SLURM/site.sh"

exec "${LAUNCH[@]}" torchrun --nnodes="$SLURM_NNODES" --node-rank="$SLURM_NODEID" \
    --nproc-per-node="$TRAIN_PROCESSES" --master-addr="$MASTER_ADDR" --master-port="$MASTER_PORT" \
    -m camray train "$@"
