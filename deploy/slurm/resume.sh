# shellcheck shell=bash
# Functions of the job scripts; nothing to edit.
#
# SLURM sends SIGTERM to a job some seconds before its time is over (`--signal=B:TERM@120` in the scripts) or when it is
# preempted. camray then stops at once and ends with exit code 4; what it had finished stays, and the same command goes
# on from there. So the job is put back into the queue, with its number, and what waits for it goes on waiting.

INCOMPLETE=4 # camray's exit code: interrupted or not complete, repeat the command to resume

# Run a job step in the background, since bash handles a signal only while it waits. SIGTERM is passed on to the
# processes of the step by scancel: srun itself, when it gets SIGTERM, kills them at once.
resumable() {
    local child code=0 is_stopped=""
    "$@" &
    child=$!
    trap 'is_stopped=yes; scancel --signal=TERM "$SLURM_JOB_ID" || true' TERM
    wait "$child" || code=$?
    while kill -0 "$child" 2>/dev/null; do # the signal ended `wait`, not the command
        code=0
        wait "$child" || code=$?
    done
    trap - TERM
    if ((code == 0)); then return 0; fi
    if [[ -n $is_stopped ]] || ((code == INCOMPLETE)); then requeue; fi
    return "$code"
}

# Put this job back into the queue, unless somebody cancelled it or it was there too often.
requeue() {
    local state
    state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T || true)
    if [[ $state != RUNNING ]]; then
        echo "job $SLURM_JOB_ID: $state; not requeued" >&2
    elif ((${SLURM_RESTART_COUNT:-0} >= MOST_REQUEUES)); then
        echo "job $SLURM_JOB_ID: requeued $MOST_REQUEUES times (MOST_REQUEUES in site.sh); not again" >&2
    else
        echo "job $SLURM_JOB_ID: requeued" >&2
        scontrol requeue "$SLURM_JOB_ID"
    fi
}
