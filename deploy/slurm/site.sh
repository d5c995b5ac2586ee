# shellcheck shell=bash disable=SC2034
# Settings of the site. Copy deploy/slurm to a folder that all nodes see, and edit this file only: the scripts read it
# on the login node and in every job.

# ---- folders and files: all nodes must see them under the same path ----
export CAMRAY_RUNS=/shared/camray/runs              # run folders
export CAMRAY_KEY_FILE=/shared/camray/key/camray.key # key for pseudonyms; made at first use, for one user alone
LOGS=/shared/camray/logs                            # what the jobs print; made if it is not there
# export MLFLOW_TRACKING_URI=https://mlflow.example  # a tracking server; without it, each run folder's own store

# ---- how camray is started on a node ----
# In a virtual environment, put its programs on the path:
export PATH=/shared/camray/.venv/bin:$PATH
LAUNCH=()
# In a container, give what stands before the command:
# LAUNCH=(apptainer exec --nv --bind /shared /shared/camray/camray.sif)

# ---- options of sbatch ----
SITE=(--partition=main)                             # of every job, for instance also --account=radiology
CPU_JOB=(--cpus-per-task=8 --mem=16G --time=08:00:00)             # ingest, localize, score, export
GPU_JOB=(--gres=gpu:1 --cpus-per-task=8 --mem=32G --time=08:00:00) # explain; all its jobs on one kind of GPU
TRAIN_JOB=(--nodes=1 --gres=gpu:4 --cpus-per-task=32 --mem=64G --time=24:00:00)
TRAIN_PROCESSES=4                                   # on each node: one for each of its GPUs

# ---- how many parts a stage has; more than its shards are of no use ----
INGEST_PARTS=20
EXPLAIN_PARTS=20
LOCALIZE_PARTS=4

# ---- how often a job may go back to the queue by itself ----
MOST_REQUEUES=50
