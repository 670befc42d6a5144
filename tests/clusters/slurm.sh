#!/usr/bin/env bash
# A SLURM of its own on this machine, for the tests: `tests/clusters/slurm.sh start DIR`, then SLURM_CONF=DIR/slurm.conf;
# `stop DIR` ends it. As root, with Debian's slurm-wlm and munge installed. Two nodes share the machine, so that one can
# be lost; each has as many cores as the machine, so that jobs of both really run.
set -euo pipefail
action=$1 place=$2
case "$action" in
start)
    mkdir -p "$place/state" "$place/spool-one" "$place/spool-two" "$place/log"
    # munge refuses folders that others may write to; its key is its own, not that of the machine.
    install -d -m 0755 -o munge -g munge "$place/munge"
    dd if=/dev/urandom of="$place/munge/key" bs=64 count=1 status=none
    chown munge: "$place/munge/key" && chmod 0400 "$place/munge/key"
    setpriv --reuid=munge --regid=munge --clear-groups munged --key-file="$place/munge/key" \
        --socket="$place/munge/socket" --pid-file="$place/munge/pid" --log-file="$place/munge/log" \
        --seed-file="$place/munge/seed" --force
    cores=$(nproc) memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    cat > "$place/slurm.conf" <<CONF
ClusterName=tests
SlurmctldHost=$(hostname -s)
SlurmUser=root
SlurmctldPort=${SLURM_TEST_PORT:-16817}
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket
StateSaveLocation=$place/state
SlurmctldPidFile=$place/slurmctld.pid
SlurmctldLogFile=$place/log/slurmctld
SlurmdPidFile=$place/slurmd-%n.pid
SlurmdSpoolDir=$place/spool-%n
SlurmdLogFile=$place/log/slurmd-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdTimeout=15
KillWait=15
JobRequeue=1
MpiDefault=none
NodeName=one NodeHostname=$(hostname -s) Port=$((${SLURM_TEST_PORT:-16817} + 1)) CPUs=$cores RealMemory=$memory State=UNKNOWN
NodeName=two NodeHostname=$(hostname -s) Port=$((${SLURM_TEST_PORT:-16817} + 2)) CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=tests Nodes=one,two Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$place/slurm.conf
    slurmctld
    for node in one two; do slurmd -N "$node"; done
    for _ in $(seq 60); do
        [ "$(sinfo -h -N -o '%t' | grep -c idle)" = 2 ] && exit 0
        sleep 0.5
    done
    sinfo -N -l >&2
    tail -n 20 "$place"/log/* >&2
    exit 1
    ;;
stop)
    export SLURM_CONF=$place/slurm.conf
    scancel --me 2>/dev/null || true
    for _ in $(seq 40); do
        [ -z "$(squeue --noheader --me 2>/dev/null)" ] && break
        sleep 0.5
    done
    for file in "$place"/slurmd-*.pid "$place/slurmctld.pid" "$place/munge/pid"; do
        [ -f "$file" ] && pid=$(cat "$file") && kill "$pid" 2>/dev/null || continue
        for _ in $(seq 20); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.25
        done
    done
    ;;
*)
    echo "slurm.sh start|stop DIR" >&2
    exit 2
    ;;
esac
