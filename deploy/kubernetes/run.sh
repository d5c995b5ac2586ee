#!/bin/bash
# Run an experiment on a cluster: a Job for each command, one after the other, the parts of a stage side by side.
#
#   IMAGE=registry.example/camray:0.2.0 deploy/kubernetes/run.sh rsna
#   deploy/kubernetes/run.sh rsna train.max_epochs=20
#
# The experiment is a file of the ConfigMap camray-settings (base/ and overlay-example/). The same command again skips
# what is finished. It waits for the jobs; if it is ended, the job at work goes on.
set -euo pipefail
if (($# == 0)); then
    echo "usage: run.sh EXPERIMENT [SETTING=VALUE ...]" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
experiment=$1
shift
: "${IMAGE:=camray}" "${NAMESPACE:=camray}"
: "${INGEST_PARTS:=8}" "${EXPLAIN_PARTS:=4}" "${LOCALIZE_PARTS:=2}" # more than a stage's shards are of no use
: "${GPUS:=1}" "${CPUS:=8}" "${MEMORY:=16Gi}"                      # of a pod; GPUS for training and explain

# quoted WORD... : a JSON list of texts.
quoted() {
    local word text=""
    for word in "$@"; do
        word=${word//\\/\\\\}
        text+=", \"${word//\"/\\\"}\""
    done
    printf '[%s]' "${text:2}"
}

# job NAME PARTS GPUS COMMAND... : do a job and wait until it is complete or has failed.
job() {
    local name parts=$2 gpus=$3 command template condition
    name=camray-${experiment//[^a-zA-Z0-9]/-}-$1
    name=${name,,} # names of Kubernetes have small letters, digits and hyphens
    shift 3
    if ((parts > 1)); then
        # shellcheck disable=SC2016 # the pod's shell fills in its index
        command=$(quoted sh -c 'exec "$0" "$@" --part $((JOB_COMPLETION_INDEX + 1))/'"$parts" "$@")
    else
        command=$(quoted "$@")
    fi
    template=$(<"$here/job.yaml")
    template=${template//"{NAME}"/"$name"}
    template=${template//"{PARTS}"/"$parts"}
    template=${template//"{COMMAND}"/"$command"}
    template=${template//"{IMAGE}"/"$IMAGE"}
    template=${template//"{GPUS}"/"$gpus"}
    template=${template//"{CPUS}"/"$CPUS"}
    template=${template//"{MEMORY}"/"$MEMORY"}
    kubectl --namespace "$NAMESPACE" delete job "$name" --ignore-not-found --wait=true >/dev/null || return 1
    kubectl --namespace "$NAMESPACE" create --filename=- <<<"$template" >/dev/null || return 1
    echo "$name: at work"
    while true; do
        condition=$(kubectl --namespace "$NAMESPACE" get job "$name" \
            --output=jsonpath='{.status.conditions[?(@.status=="True")].type}') || return 1
        case " $condition " in
            *" Complete "*) return 0 ;;
            *" Failed "*)
                echo "$name: failed; look at: kubectl --namespace $NAMESPACE logs --selector=job-name=$name --tail=20" >&2
                return 1
                ;;
        esac
        sleep "${WAIT_SECONDS:-10}"
    done
}

config=("/settings/$experiment.yaml" "$@")
camray=(camray)
# the ordinary command merges what parts did, and does what a failed part did not
job ingest-parts "$INGEST_PARTS" 0 "${camray[@]}" ingest "${config[@]}" || true
job ingest 1 0 "${camray[@]}" ingest "${config[@]}"
if ((GPUS > 1)); then
    job train 1 "$GPUS" torchrun "--nproc-per-node=$GPUS" -m camray train "${config[@]}"
else
    job train 1 "$GPUS" "${camray[@]}" train "${config[@]}"
fi
job explain-parts "$EXPLAIN_PARTS" "$((GPUS > 0))" "${camray[@]}" explain "${config[@]}" || true
job explain 1 "$((GPUS > 0))" "${camray[@]}" explain "${config[@]}"
job localize-parts "$LOCALIZE_PARTS" 0 "${camray[@]}" localize "${config[@]}" || true
job rest 1 0 "${camray[@]}" run "${config[@]}"
