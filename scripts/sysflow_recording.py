#!/usr/bin/env python3
"""Turns SysFlow records into a recording that tidemark replays.

usage: sysflow_recording.py FOLDER OUT.ndjson [--history-days 10]

FOLDER holds SysFlow files as JSON lines (`*.sf.jsonl`) and `labels.json`, which says which records of which file belong to the attack. The recordings
are of two minutes in half-minute files, and a baseline needs days: so the files without attack become the history, each at its own half minute
of every clock hour from 8 to 17 on every one of the days before, and all files in their own order, attack included, happen on the last day. Nothing
in the records is changed but their time, and the numbers of processes and flows, which go on from one repetition to the next.

What macOS would say otherwise than Linux: a script's image is its interpreter, with the script beside it (`exe` of `/tmp/exfil.py` becomes
python); a server's flow is inbound. SysFlow does not say what a flow's protocol is, nor a name for its far end.
"""
import argparse
import datetime
import glob
import json
import os

ACCEPT = 32  # SysFlow's operation flags: a flow that was accepted, a process that exits
EXIT = 4
DAY = 86_400
FIRST_HOUR, LAST_HOUR = 8, 17
PYTHON = "/usr/bin/python2.7"
TRANSPORTS = {6: "tcp", 17: "udp"}


def rfc3339(nanos):
    seconds, rest = divmod(nanos, 1_000_000_000)
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09}Z"


def image_and_script(exe):
    if exe.endswith(".py"):
        return PYTHON, exe
    return exe, None


class Writer:
    """the processes of one repetition of one file: numbered anew, since the same process lives in each"""

    def __init__(self, out, serial):
        self.out, self.serial, self.known = out, serial, {}

    def process(self, pid, exe, args, parent):
        path, _ = image_and_script(exe)
        version = self.known.setdefault((pid, exe), self.serial * 10_000 + len(self.known) + 1)
        token = dict(pid=pid, pidversion=version, asid=1, auid=0, euid=0, egid=0, ruid=0, rgid=0)
        return dict(audit_token=token, parent_audit_token=parent or token, responsible_audit_token=token, ppid=(parent or token)["pid"], original_ppid=(parent or token)["pid"],
                    group_id=pid, session_id=1, codesigning_flags=0, is_platform_binary=False, is_es_client=False, cdhash="0" * 40, signing_id=None, team_id=None, tty=None,
                    start_time=rfc3339(0), executable=dict(path=path, path_truncated=False, stat=dict(st_dev=1, st_ino=1)))

    def event(self, nanos, number, actor, kind, body):
        line = dict(schema_version=1, version=9, time=rfc3339(nanos), mach_time=nanos, event_type=number, action_type=1, action=dict(result=dict(result_type=0, result=dict(auth=0))),
                    seq_num=0, global_seq_num=0, thread=None, process=actor, event={kind: body})
        self.out.append((nanos, line))

    def meet(self, nanos, record):
        """a process is told of before its first record: SysFlow's files begin in the middle of their lives"""
        exe, args = record["exe"], record["args"]
        if (record["pid"], exe) in self.known or exe == "<NA>":
            return
        parent_exe = record["parent_exe"] or "/sbin/launchd"
        parent_pid = record["ppid"] or 1
        parent = self.process(parent_pid, parent_exe, record["parent_args"] or "", None)
        child = self.process(record["pid"], parent_exe, record["parent_args"] or "", parent["audit_token"])
        self.event(nanos - 2_000, 11, parent, "fork", dict(child=child))
        target = self.process(record["pid"], exe, args, parent["audit_token"])
        path, script = image_and_script(exe)
        body = dict(target=target, args=[path, *args.split()], env=[], cwd=dict(path="/", path_truncated=False), dyld_exec_path=path, last_fd=2, fds=[], image_cputype=0, image_cpusubtype=0)
        body["script"] = dict(path=script, path_truncated=False, stat=dict(st_dev=1, st_ino=2)) if script else None
        self.event(nanos - 1_000, 9, child, "exec", body)

    def write(self, nanos, number, record):
        self.meet(nanos, record)
        version = self.known.get((record["pid"], record["exe"]))
        if version is None:
            return
        if record["type"] == "ProcessEvent":
            if record["op_flags"] & EXIT and record["tid"] == record["pid"]:
                self.event(nanos, 15, self.process(record["pid"], record["exe"], record["args"], None), "exit", dict(stat=0))
            return
        transport = TRANSPORTS.get(record["proto"])
        if not transport or record["send_bytes"] + record["recv_bytes"] == 0:
            return
        here, there = f"{record['src']}:{record['sport']}", f"{record['dst']}:{record['dport']}"
        inbound = bool(record["op_flags"] & ACCEPT)
        flow = dict(time=rfc3339(nanos), flow_id=f"{self.serial}-{number}", pid=record["pid"], pidversion=version, process=os.path.basename(record["exe"])[:16], transport=transport,
                    local=there if inbound else here, remote=here if inbound else there, direction="inbound" if inbound else "outbound",
                    bytes_out=record["send_bytes"], bytes_in=record["recv_bytes"], packets_out=record["send_ops"], packets_in=record["recv_ops"], state="closed")
        self.out.append((nanos, dict(flow=flow)))


def main():
    arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arg.add_argument("folder")
    arg.add_argument("out")
    arg.add_argument("--history-days", type=int, default=10)
    arg = arg.parse_args()
    attacked = {file["file"] for file in json.load(open(f"{arg.folder}/labels.json"))["files"] if file["attack_record_lines"]}
    files = {}
    for path in sorted(glob.glob(f"{arg.folder}/*.sf.jsonl")):
        files[os.path.basename(path)] = [json.loads(line) for line in open(path)]
    first = min(record["ts_ns"] for records in files.values() for record in records)
    lines, serial = [], 0

    def repeat(name, offset_seconds):
        nonlocal serial
        serial += 1
        writer = Writer(lines, serial)
        for number, record in enumerate(files[name]):
            writer.write(record["ts_ns"] + offset_seconds * 1_000_000_000, number, record)

    hour_of_first = first // 1_000_000_000 % DAY // 3_600
    for day in range(arg.history_days):
        for hour in range(FIRST_HOUR, LAST_HOUR + 1):
            for name in (name for name in files if name not in attacked):
                repeat(name, (day - arg.history_days) * DAY + (hour - hour_of_first) * 3_600)
    for name in files:
        repeat(name, 0)
    lines.sort(key=lambda line: line[0])
    with open(arg.out, "w") as out:
        header = dict(schema="tidemark.recording/1", host="sysflow", os_version="linux", utc_offset_seconds=0, producer="sysflow_recording.py")
        out.write(json.dumps(dict(recording=header)) + "\n")
        out.writelines(json.dumps(line, separators=(",", ":")) + "\n" for _, line in lines)


if __name__ == "__main__":
    main()
