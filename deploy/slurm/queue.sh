# shellcheck shell=bash
# Functions of submit.sh and predict.sh; nothing to edit.

here=${here:?set by the script that reads this file}
jobs=()
trap 'if ((${#jobs[@]})); then echo "not all jobs were submitted; remove the others: scancel ${jobs[*]}" >&2; fi' ERR

# submit NAME DEPENDENCY OPTION... SCRIPT ARGUMENT... : submit a job, print its number, and leave it in `job`.
submit() {
    local name=$1 needs=$2
    shift 2
    job=$(sbatch --parsable --job-name="camray-$name" --output="$LOGS/%x-%j.log" \
        --export="ALL,CAMRAY_SLURM=$here" --kill-on-invalid-dep=yes ${needs:+"--dependency=$needs"} \
        "${SITE[@]}" "$@")
    job=${job%%;*} # where there are several clusters, its name follows
    jobs+=("$job")
    printf '%-14s job %s%s\n' "$name" "$job" "${needs:+ $needs}"
}

# parts NAME DEPENDENCY COUNT OPTION... -- COMMAND... : submit the parts of a stage; what follows waits for all of them.
parts() {
    local name=$1 needs=$2 count=$3 options=()
    shift 3
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    submit "$name-parts" "$needs" "${options[@]}" --array="1-$count" "$here/part.sbatch" "$count" "$@"
}
