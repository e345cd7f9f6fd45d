#!/usr/bin/env bash
# A real SLURM cluster of emulated nodes on one machine, for tests (root; slurmctld, slurmd, munge installed).
#
#   slurm/test_cluster.sh start DIR [N]   starts N nodes (default 4) and prints the SLURM_CONF to export
#   slurm/test_cluster.sh stop DIR        ends them; kills only what it started
#   slurm/test_cluster.sh kill DIR NODE   ends one node as a power cut would
#   slurm/test_cluster.sh revive DIR NODE starts it again
#
# Every node has its own host name, processes, shared memory and mounts, so that Open MPI takes the nodes for
# different machines: /local is a file system of 1 GiB of the node's own; all else is shared, as on a cluster.
set -euo pipefail

die() { echo "test_cluster.sh: $*" >&2; exit 1; }

cores=2
memory=4000

# The first of 100 blocks of ports that nobody listens on.
free_ports() {
    local base
    for base in $(seq 20800 20 22780); do
        if ! ss -ltnH 2>/dev/null | awk '{print $4}' | grep -qE ":($base|$((base + 1))|$((base + 2))|$((base + 3))|$((base + 4)))$"; then
            echo "$base"
            return
        fi
    done
    die "no free ports"
}

write_configuration() {
    local base=$1 nodes=$2
    {
        cat <<CONF
ClusterName=eckart
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$root/run/munge.socket
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
TmpFS=/local
SlurmctldPort=$base
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool/%n
SlurmctldPidFile=$root/run/slurmctld.pid
SlurmdPidFile=$root/run/slurmd.%n.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd.%n.log
JobAcctGatherType=jobacct_gather/linux
JobCompType=jobcomp/filetxt
JobCompLoc=$root/log/jobcomp.log
KillWait=5
SlurmctldTimeout=30
SlurmdTimeout=15
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
        for ((i = 1; i <= nodes; ++i)); do
            echo "NodeName=n$i NodeAddr=127.0.0.1 Port=$((base + i)) CPUs=$cores Sockets=1 CoresPerSocket=$cores RealMemory=$memory"
        done
    } >"$root/etc/slurm.conf"
}

# The first process of a node.
write_node_script() {
    cat >"$root/node.sh" <<'NODE'
#!/usr/bin/env bash
hostname "$1"
mkdir -p /local
mount -t tmpfs -o size=512m tmpfs /dev/shm
mount -t tmpfs -o size=1g tmpfs /local
slurmd -N "$1" || exit 1
sleep infinity &
wait
NODE
    chmod +x "$root/node.sh"
}

start_node() {
    setsid unshare --fork --kill-child --pid --mount-proc --uts --ipc --mount "$root/node.sh" "$1" \
        </dev/null >"$root/log/$1.out" 2>&1 &
    echo $! >"$root/run/node.$1.pid"
}

start_munge() {
    mkdir -p "$root/munge"
    cp /etc/munge/munge.key "$root/munge/key"
    chown -R munge:munge "$root/munge" "$root/run"
    chmod 700 "$root/munge"
    chmod 400 "$root/munge/key"
    runuser -u munge -- munged --force --key-file="$root/munge/key" --socket="$root/run/munge.socket" \
        --pid-file="$root/run/munged.pid" --log-file="$root/munge/log" --seed-file="$root/munge/seed"
}

start() {
    local nodes=$1 i
    [ "$(id -u)" = 0 ] || die "must be root, to give the nodes their own namespaces"
    [ -e "$root/etc/slurm.conf" ] && die "$root holds a cluster already; stop it first"
    mkdir -p "$root"/{etc,state,run,log} /local
    chmod 755 "$root" "$root/run"
    for ((i = 1; i <= nodes; ++i)); do mkdir -p "$root/spool/n$i"; done
    write_configuration "$(free_ports)" "$nodes"
    write_node_script
    start_munge
    export SLURM_CONF=$root/etc/slurm.conf
    slurmctld -c
    for ((i = 1; i <= nodes; ++i)); do start_node "n$i"; done
    for ((i = 0; i < 300; ++i)); do
        [ "$(sinfo -hN -o %t 2>/dev/null | grep -cx idle)" = "$nodes" ] && break
        sleep 0.1
    done
    [ "$(sinfo -hN -o %t | grep -cx idle)" = "$nodes" ] || die "the nodes did not come up; see $root/log"
    echo "export SLURM_CONF=$SLURM_CONF"
}

# Kills the process whose id a file holds, and waits until it is gone.
end_process() {
    local pid i
    [ -s "$1" ] || return 0
    pid=$(cat "$1")
    kill -"$2" "$pid" 2>/dev/null || true
    for ((i = 0; i < 100; ++i)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    rm -f "$1"
}

stop() {
    local file
    for file in "$root"/run/node.*.pid; do [ -e "$file" ] && end_process "$file" KILL; done
    end_process "$root/run/slurmctld.pid" TERM
    end_process "$root/run/munged.pid" TERM
    rm -rf "$root/etc/slurm.conf" "$root/state" "$root/spool"
}

[ $# -ge 2 ] || die "usage: test_cluster.sh start DIR [N] | stop DIR | kill DIR NODE | revive DIR NODE"
mkdir -p "$2"
root=$(cd "$2" && pwd)
case $1 in
    start) start "${3:-4}" ;;
    stop) stop ;;
    kill) end_process "$root/run/node.${3:?which node}.pid" KILL ;;
    revive) SLURM_CONF=$root/etc/slurm.conf start_node "${3:?which node}" ;;
    *) die "there is no command $1" ;;
esac
