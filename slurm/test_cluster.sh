#!/usr/bin/env bash
# A real SLURM cluster of emulated nodes on one machine, for tests (root; slurmctld, slurmd, munge installed).
#
#   slurm/test_cluster.sh check           says why this machine cannot do it, and ends with 77; or nothing
#   slurm/test_cluster.sh start DIR [N]   starts N nodes (default 4) and prints the SLURM_CONF to export
#   slurm/test_cluster.sh stop DIR        ends them; kills only what it started
#   slurm/test_cluster.sh kill DIR NODE   ends one node as a power cut would
#   slurm/test_cluster.sh kill-slurmd DIR NODE   ends the node's slurmd alone; what runs there goes on
#   slurm/test_cluster.sh revive DIR NODE starts it again
#
# Every node has its own host name, processes, shared memory and mounts, so that Open MPI takes the nodes for
# different machines: DIR/local is a small file system of the node's own; all else is shared, as on a cluster.
# Jobs of the partition `urgent` preempt those of the default one, which are told so and queued again.
set -euo pipefail

die() { echo "test_cluster.sh: $*" >&2; exit 1; }
skip() { echo "test_cluster.sh: skipped: $*" >&2; exit 77; }

cores=4  # of each node, whatever this machine has
memory=4000
isolated=(unshare --fork --kill-child --pid --mount-proc --uts --ipc --mount)

check() {
    [ "$(id -u)" = 0 ] || skip "must be root, to give the nodes their own namespaces"
    local program
    for program in slurmctld slurmd sbatch munged unshare; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
    [ -s /etc/munge/munge.key ] || skip "munge has no key"
    "${isolated[@]}" sh -c 'hostname node && mount -t tmpfs tmpfs /dev/shm' 2>/dev/null ||
        skip "this machine does not allow namespaces of their own (unshare, mount)"
}

# The first of a block of ports that nobody listens on.
free_ports() {
    local base port
    for base in $(shuf -i 1000-1500 | awk '{print $1 * 20}'); do
        for port in $(seq "$base" $((base + nodes))); do
            grep -qi ":$(printf %04X "$port") 0\{8\}:0000 0A" /proc/net/tcp && continue 2
        done
        echo "$base"
        return
    done
    die "no free ports"
}

write_configuration() {
    local base=$1 i
    {
        cat <<CONF
ClusterName=eckart
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$root/run/munge.socket,cred_expire=5
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
TmpFS=$root/local
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
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
CONF
        for ((i = 1; i <= nodes; ++i)); do
            echo "NodeName=n$i NodeAddr=127.0.0.1 Port=$((base + i)) CPUs=$cores Sockets=1 CoresPerSocket=$cores RealMemory=$memory"
        done
    } >"$root/etc/slurm.conf"
}

# The first process of a node.
write_node_script() {
    cat >"$root/node.sh" <<NODE
#!/usr/bin/env bash
hostname "\$1"
mount -t tmpfs -o size=512m tmpfs /dev/shm
mount -t tmpfs -o size=256m tmpfs $root/local
slurmd -N "\$1" || exit 1
sleep infinity &
wait
NODE
    chmod +x "$root/node.sh"
}

start_node() {
    setsid "${isolated[@]}" "$root/node.sh" "$1" </dev/null >"$root/log/$1.out" 2>&1 &
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

idle_nodes() { sinfo -hN -p debug -o %t 2>/dev/null | grep -cx idle || true; }

start() {
    nodes=$1
    local i
    check
    [ -e "$root/etc/slurm.conf" ] && die "$root holds a cluster already; stop it first"
    mkdir -p "$root"/{etc,state,run,log,local}
    chmod 755 "$root" "$root/run"
    for ((i = 1; i <= nodes; ++i)); do mkdir -p "$root/spool/n$i"; done
    write_configuration "$(free_ports)"
    write_node_script
    start_munge
    export SLURM_CONF=$root/etc/slurm.conf
    slurmctld -c
    for ((i = 1; i <= nodes; ++i)); do start_node "n$i"; done
    for ((i = 0; i < 600; ++i)); do
        [ "$(idle_nodes)" = "$nodes" ] && break
        sleep 0.1
    done
    [ "$(idle_nodes)" = "$nodes" ] || die "the nodes did not come up; see $root/log"
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

# slurmd's own pid file holds an id of the node's namespace: the node's processes are asked instead.
kill_slurmd() {
    local first
    first=$(cat "/proc/$(cat "$root/run/node.$1.pid")/task/$(cat "$root/run/node.$1.pid")/children")
    nsenter --target "${first%% *}" --pid --mount sh -c 'kill -9 $(cat '"$root/run/slurmd.$1.pid"')'
}

[ "${1:-}" = check ] && { check; exit 0; }
[ $# -ge 2 ] || die "usage: test_cluster.sh check | start DIR [N] | stop DIR | kill[-slurmd] DIR NODE | revive DIR NODE"
mkdir -p "$2"
root=$(cd "$2" && pwd)
case $1 in
    start) start "${3:-4}" ;;
    stop) stop ;;
    kill) end_process "$root/run/node.${3:?which node}.pid" KILL ;;
    kill-slurmd) kill_slurmd "${3:?which node}" ;;
    revive) SLURM_CONF=$root/etc/slurm.conf start_node "${3:?which node}" ;;
    *) die "there is no command $1" ;;
esac
