#!/usr/bin/env python3
"""No-op tasks through other queues, on the machine and in the hour in which `cargo bench -- tasks` is run.

    python3 benches/peers/peers.py                    both
    python3 benches/peers/peers.py --only huey        one of them
    python3 benches/peers/peers.py --huey-tasks 20000 --slurm-jobs 300

Huey (SQLite) is installed from PyPI into a temporary environment. Slurm is used when its Debian packages are there
(slurmctld slurmd slurm-client munge) and the caller is root: it runs in a network namespace of its own with an address on
its loopback, from a temporary directory. What cannot be run is named, with the reason. Everything is ended by its process
id and removed at the end.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HUEY = "huey==3.5.0"
PATIENCE_S = 180
ADDRESS = "10.77.0.1"

HUEY_RUN = '''
import os, sys, threading, time
from huey import SqliteHuey
from huey.consumer import Consumer

path, count, fsync, workers = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "fsync", int(sys.argv[4])
huey = SqliteHuey("bench", filename=path, fsync=fsync)

@huey.task()
def nothing():
    return 1

def enqueue(share):
    for _ in range(share):
        nothing()

used = time.process_time()
begun = time.monotonic()
threads = [threading.Thread(target=enqueue, args=(count // 8,)) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
enqueued = time.monotonic() - begun
count = count // 8 * 8
consumer = Consumer(huey, workers=workers, worker_type="thread", initial_delay=0.001, backoff=1.0, max_delay=0.001,
                    periodic=False, check_worker_health=False)
started = time.monotonic()
consumer.start()
while huey.result_count() < count:
    time.sleep(0.02)
done = time.monotonic() - started
used = time.process_time() - used
print(f"{count} {enqueued:.4f} {done:.4f} {used:.4f}", flush=True)
os._exit(0)
'''


def say(what, text):
    print(f"{what:<46} {text}", flush=True)


def skipped(what, why):
    say(what, f"skipped: {why}")


def huey(count, scratch):
    env = scratch / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(env)], check=True, capture_output=True, timeout=PATIENCE_S)
        pip = [str(env / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", HUEY]
        subprocess.run(pip, check=True, capture_output=True, timeout=PATIENCE_S)
    except (subprocess.SubprocessError, OSError) as error:
        detail = getattr(error, "stderr", b"") or str(error).encode()
        return skipped("huey", f"it cannot be installed: {detail.decode(errors='replace').strip()[-200:]}")
    script = scratch / "huey_run.py"
    script.write_text(HUEY_RUN)
    for durability, tasks in [("no fsync, its default", count), ("fsync", max(count // 10, 80))]:
        word = "fsync" if durability == "fsync" else "none"
        command = [str(env / "bin/python"), str(script), str(scratch / f"huey-{word}.db"), str(tasks), word, "4"]
        try:
            ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
        except subprocess.SubprocessError as error:
            skipped(f"huey, {durability}", str(error)[-200:])
            continue
        total, enqueued, done, used = ran.stdout.split()
        total, enqueued, done, used = int(total), float(enqueued), float(done), float(used)
        seconds = enqueued + done
        say(
            f"huey, SQLite, {durability}: {total} tasks",
            f"{total / seconds:.0f} tasks/s, {3 * total / seconds:.0f} transitions/s "
            f"(enqueued {total / enqueued:.0f}/s, done {total / done:.0f}/s); processor time {used * 1e3 / total:.2f} ms a task",
        )


def slurm_conf(scratch, host):
    return f"""ClusterName=bench
SlurmctldHost={host}({ADDRESS})
AuthType=auth/munge
AuthInfo=socket={scratch}/munge.sock
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={scratch}/state
SlurmdSpoolDir={scratch}/spool
SlurmctldPidFile={scratch}/slurmctld.pid
SlurmdPidFile={scratch}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=1000,batch_sched_delay=0,bf_interval=1
MinJobAge=2
ReturnToService=2
NodeName={host} NodeAddr={ADDRESS} CPUs={os.cpu_count()} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES OverSubscribe=FORCE:16 MaxTime=INFINITE State=UP
"""


def slurm(jobs, scratch):
    missing = [name for name in ("slurmctld", "slurmd", "sbatch", "squeue", "munged", "unshare", "ip") if not which(name)]
    if missing:
        return skipped("slurm", f"not installed: {', '.join(missing)} (Debian: slurmctld slurmd slurm-client munge iproute2)")
    if os.geteuid() != 0:
        return skipped("slurm", "only root can start its daemons")
    if "ARCOLOGY_PEERS_NAMESPACE" in os.environ:
        return slurm_inside(jobs, scratch)
    environment = {**os.environ, "ARCOLOGY_PEERS_NAMESPACE": "1"}
    command = ["unshare", "--net", "--pid", "--fork", "--mount-proc", sys.executable, __file__, "--only", "slurm", "--slurm-jobs", str(jobs)]
    ran = subprocess.run(command, env=environment, timeout=2 * PATIENCE_S)
    if ran.returncode != 0:
        skipped("slurm", "a network namespace of its own cannot be made here")


def which(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def slurm_inside(jobs, scratch):
    host = socket.gethostname().split(".")[0]
    for command in (["ip", "link", "set", "lo", "up"], ["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"]):
        subprocess.run([which(command[0]), *command[1:]], check=True, capture_output=True)
    for folder in ("state", "spool"):
        (scratch / folder).mkdir()
    (scratch / "slurm.conf").write_text(slurm_conf(scratch, host))
    (scratch / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    os.environ["SLURM_CONF"] = str(scratch / "slurm.conf")
    key = scratch / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    scratch.chmod(0o755)
    running = []
    try:
        munged = ["munged", "--foreground", "--force", f"--socket={scratch}/munge.sock", f"--key-file={key}"]
        munged += [f"--{name}-file={scratch}/munged.{name}" for name in ("pid", "seed", "log")]
        running.append(start(munged, scratch / "munged.out"))
        wait_until("munged", lambda: (scratch / "munge.sock").exists(), scratch / "munged.out")
        running.append(start(["slurmctld", "-D", "-c"], scratch / "slurmctld.out"))
        running.append(start(["slurmd", "-D", "-N", host], scratch / "slurmd.out"))
        wait_until("slurm", lambda: "idle" in output(["sinfo", "--noheader", "--format=%t"]), scratch / "slurmd.out")
        submitted, seconds = slurm_jobs(jobs)
        used = sum(processor_seconds(process.pid) for process in running[1:])
        say(
            f"slurm, 4 sbatch at once: {jobs} jobs",
            f"{jobs / seconds:.1f} jobs/s, {3 * jobs / seconds:.0f} transitions/s (accepted {jobs / submitted:.0f}/s); "
            f"processor time of its daemons {used * 1e3 / jobs:.1f} ms a job, without the jobs' own steps",
        )
    except (RuntimeError, subprocess.SubprocessError) as error:
        skipped("slurm", str(error))
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def slurm_jobs(jobs):
    """Seconds until all were accepted, and until all were done."""
    script = ["sbatch", "--quiet", "--output=/dev/null", "--chdir=/tmp", "--wrap=true"]
    begun = time.monotonic()
    left, calls = jobs, []
    while left or calls:
        while left and len(calls) < 4:
            calls.append(subprocess.Popen(script, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            left -= 1
        calls[0].wait()
        if calls.pop(0).returncode != 0:
            raise RuntimeError("sbatch refuses a job")
    submitted = time.monotonic() - begun
    while output(["squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING"]):
        if time.monotonic() - begun > PATIENCE_S:
            raise RuntimeError(f"its jobs are not done after {PATIENCE_S} s")
        time.sleep(0.05)
    return submitted, time.monotonic() - begun


def start(command, log):
    with open(log, "wb") as out:
        return subprocess.Popen([which(command[0]), *command[1:]], stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def output(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(what, ready, log):
    deadline = time.monotonic() + 30
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} does not come up: {log.read_text(errors='replace').strip()[-300:]}")
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["huey", "slurm"])
    parser.add_argument("--huey-tasks", type=int, default=20000)
    parser.add_argument("--slurm-jobs", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        if args.only in (None, "huey"):
            huey(args.huey_tasks, Path(scratch))
        if args.only in (None, "slurm"):
            (Path(scratch) / "slurm").mkdir()
            slurm(args.slurm_jobs, Path(scratch) / "slurm")


if __name__ == "__main__":
    main()
