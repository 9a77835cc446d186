"""A Mac as its own tools would record it: process events as `eslogger exec fork exit` prints them, flows as reports.

Events are noted in any order, each as what happened to which process, and become lines in the order of time. Only then does a
process get its number, and each fork and exec its generation: so both grow with time, as XNU's counters do.
"""

import datetime
import hashlib
import json

from .programs import LAUNCHD, XPCPROXY

# What Endpoint Security calls the events (es_event_type_t).
EXEC, FORK, EXIT = 9, 11, 15
# The version of es_message_t on macOS 15.
MESSAGE_VERSION = 9
# mach_absolute_time ticks a second on Apple silicon.
TICKS = 24_000_000
# CPU_TYPE_ARM64.
ARM64 = 0x0100000C
# The kernel keeps this many bytes of a process's name.
COMM = 16
# au_id_t of a process that no user logged in for.
NOBODY = 4294967295
DEMO_USER, DEMO_GROUP = 501, 20
HOME = "/Users/demo"
FIRST_PID = 87
FIRST_PORT, LAST_PORT = 49152, 65535
# The Mac's own address: RFC 5737, as every address in the recording.
ADDRESS = "192.0.2.20"


class Process:
    """One process, from fork to exit. `image` changes with every exec; numbers come when lines are written."""

    def __init__(self, parent, responsible=None, user=None):
        self.parent = parent
        self.user = user if user is not None else (parent.user if parent else 0)
        # A child has its parent's responsible process, unless launchd or LaunchServices said otherwise.
        self.responsible = responsible or (parent.responsible if parent and parent.parent else self)
        self.tty = parent.tty if parent else None
        self.env = list(parent.env) if parent else []
        self.pid = None
        self.image = parent.image if parent else None
        self.start = None


class Image:
    """What a process runs between two execs."""

    def __init__(self, program):
        self.program = program
        self.pidversion = None


class Mac:
    """The Mac, with launchd running and nothing else."""

    def __init__(self, boot):
        self.boot = boot
        self.noted = []
        self.port = FIRST_PORT
        self.flows = 0
        self.next_pid = FIRST_PID
        self.next_version = FIRST_PID * 2
        self.launchd = Process(None)
        self.launchd.pid, self.launchd.start = 1, boot
        self.launchd.image = Image(LAUNCHD)
        self.launchd.image.pidversion = 1

    def note(self, time, write):
        """Has `write(time)` make a line when its time has come."""
        self.noted.append((time, len(self.noted), write))

    # What processes do.

    def fork(self, time, parent, **traits):
        """`parent` makes a child, which runs the same image until it execs."""
        child = Process(parent, **traits)

        def write(time):
            child.pid, child.start = self.next_pid, time
            self.next_pid += 1
            child.image = Image(parent.image.program)
            child.image.pidversion = self.generation()
            return self.message(
                time, FORK, parent, parent.image, {"fork": {"child": self.describe(child, child.image)}}
            )

        self.note(time, write)
        return child

    def execute(self, time, process, program, args, script=None, cwd=HOME):
        """The process goes on as another program. Returns the image, which owns the flows that follow."""
        image, env = Image(program), list(process.env)

        def write(time):
            before = process.image
            image.pidversion = self.generation()
            process.image = image
            body = {
                "target": self.describe(process, image),
                "args": list(args),
                "env": env,
                "cwd": file(cwd),
                "script": file(script) if script else None,
                "dyld_exec_path": program.path,
                "fds": [{"fd": number, "fdtype": 1} for number in range(3)],
                "last_fd": 2,
                "image_cputype": ARM64,
                "image_cpusubtype": 2,
            }
            return self.message(time, EXEC, process, before, {"exec": body})

        self.note(time, write)
        return image

    def exit(self, time, process, code=0):
        """The process ends. The wait status has the code in its second byte."""
        self.note(time, lambda time: self.message(time, EXIT, process, process.image, {"exit": {"stat": code << 8}}))

    def launch(self, time, program, args=(), label=None, user=DEMO_USER, responsible=None):
        """launchd starts a daemon or agent: it forks, and the child becomes xpcproxy and then the program."""
        label = label or program.signing_id
        process = self.fork(time, self.launchd, responsible=responsible, user=user)
        process.env = [f"XPC_SERVICE_NAME={label}"]
        self.execute(time + 0.002, process, XPCPROXY, ["xpcproxy", label], cwd="/")
        return process, self.execute(time + 0.009, process, program, [program.path, *args], cwd="/")

    def open(self, time, program):
        """A user opens an app: as `launch`, in the name and with the environment that LaunchServices gives it."""
        job = f"application.{program.signing_id}.{1000 + len(self.noted)}.{1001 + len(self.noted)}"
        process = self.fork(time, self.launchd, user=DEMO_USER)
        process.env = [f"XPC_SERVICE_NAME={job}", f"__CFBundleIdentifier={program.signing_id}"]
        self.execute(time + 0.002, process, XPCPROXY, ["xpcproxy", job], cwd="/")
        return process, self.execute(time + 0.012, process, program, [program.path], cwd="/")

    # What they say.

    def flow(self, process, image, remote, transport="tcp", server_name=None, protocol=None, served=None, local=None):
        """A flow of the process, whose reports follow."""
        self.flows += 1
        self.port = FIRST_PORT if self.port == LAST_PORT else self.port + 1
        return Flow(
            self, f"f{self.flows}", process, image, remote, transport, server_name, protocol, served, local or self.port
        )

    # Lines.

    def write(self, out):
        """Writes what was noted since the last call as lines, in the order of time."""
        sequence = {"all": 0, EXEC: 0, FORK: 0, EXIT: 0}
        for time, _, write in sorted(self.noted, key=lambda noted: noted[:2]):
            line = write(time)
            if kind := line.get("event_type"):
                line["seq_num"], line["global_seq_num"] = sequence[kind], sequence["all"]
                sequence[kind] += 1
                sequence["all"] += 1
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
        self.noted.clear()

    def generation(self):
        self.next_version += 1
        return self.next_version

    def message(self, time, kind, process, image, event):
        return {
            "schema_version": 1,
            "version": MESSAGE_VERSION,
            "time": rfc3339(time, 9),
            "mach_time": int((time - self.boot) * TICKS),
            "event_type": kind,
            "action_type": 1,
            "action": {"result": {"result_type": 0, "result": {"auth": 0}}},
            "thread": {"thread_id": 1000 + process.pid},
            "process": self.describe(process, image),
            "event": event,
        }

    def describe(self, process, image):
        """es_process_t, as eslogger writes it."""
        program, parent = image.program, process.parent or process
        return {
            "audit_token": token(process, image),
            "parent_audit_token": token(parent, parent.image),
            "responsible_audit_token": token(
                process.responsible, image if process.responsible is process else process.responsible.image
            ),
            "ppid": parent.pid if process.parent else 0,
            "original_ppid": parent.pid if process.parent else 0,
            "group_id": process.pid,
            "session_id": parent.pid if process.tty else 1,
            "codesigning_flags": program.flags,
            "is_platform_binary": program.platform,
            "is_es_client": False,
            "cdhash": hashlib.sha1(program.path.encode()).hexdigest().upper(),
            "signing_id": program.signing_id,
            "team_id": program.team_id,
            "executable": file(program.path),
            "tty": file(process.tty) if process.tty else None,
            "start_time": rfc3339(process.start, 6),
        }


class Flow:
    """One flow. Its counters grow until it is closed."""

    def __init__(self, mac, flow_id, process, image, remote, transport, server_name, protocol, served, port):
        self.mac, self.process, self.served = mac, process, served
        self.image = image
        host = "2001:db8::20" if remote.startswith("[") else ADDRESS
        self.facts = {
            "flow_id": flow_id,
            "transport": transport,
            "local": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "remote": remote,
            "direction": "outbound",
            "interface": "en0",
            "protocol": protocol,
            "server_name": server_name,
        }
        self.out = self.received = 0

    def report(self, time, out, received, state):
        """Tells that `out` and `received` bytes more have passed."""
        self.out += int(out)
        self.received += int(received)
        counters = {
            "bytes_out": self.out,
            "bytes_in": self.received,
            "packets_out": packets(self.out, self.received),
            "packets_in": packets(self.received, self.out),
        }

        def write(time):
            assert self.process.pid, f"{self.facts} speaks before it was forked"
            owner = {"pid": self.process.pid, "pidversion": self.image.pidversion}
            if self.served:
                owner["effective_pid"] = self.served.pid
            facts = {key: value for key, value in self.facts.items() if value is not None}
            name = self.image.program.name[:COMM]
            return {"flow": {"time": rfc3339(time, 3), **owner, "process": name, **facts, **counters, "state": state}}

        self.mac.note(time, write)


def packets(sent, received):
    """Packets one way: full ones for what was sent, and an acknowledgement for every other one received."""
    return 1 + sent // 1448 + received // 2896


def token(process, image):
    """audit_token_t as an object, the form of macOS 15."""
    user, group = (process.user, DEMO_GROUP) if process.user else (0, 0)
    return {
        "pid": process.pid,
        "pidversion": image.pidversion,
        "asid": 100_001 if process.user else 100_000,
        "auid": user or NOBODY,
        "euid": user,
        "egid": group,
        "ruid": user,
        "rgid": group,
    }


def file(path):
    """es_file_t. Of its `stat` only what names the file."""
    inode = int.from_bytes(hashlib.sha1(path.encode()).digest()[:6], "big")
    return {"path": path, "path_truncated": False, "stat": {"st_dev": 16777234, "st_ino": inode}}


def rfc3339(time, digits):
    """Seconds since the epoch as text in UTC, with so many digits of the second."""
    whole, fraction = divmod(round(time * 10**6), 10**6)
    text = datetime.datetime.fromtimestamp(whole, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{f'{fraction:06}000'[:digits]}Z"
