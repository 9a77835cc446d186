"""Lets real programs talk while it listens: the part of make_demo.py that runs in network and mount namespaces of its own.

Called as `python3 -m demo.stage SCENES OUT` by attack.py under `unshare`. In the namespace the loopback interface carries the Mac's address
and those of the servers, and nothing leads outside. For each scene a server listens, the program runs, and every frame is kept
as the kernel handed it to the interface.
"""

import dataclasses
import os
import pickle
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

# linux/if_ether.h, linux/if_packet.h, asm/socket.h, none of which Python names.
ETH_P_ALL, PACKET_OUTGOING, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 3, 4, 33, 35
LARGEST_FRAME = 1 << 17
# The MTU of an Ethernet: the segment sizes that the two ends agree on are then those of a Mac on en0.
ETHERNET_MTU = 1500
RECEIVE_BUFFER = 256 << 20
# Seconds that whoever sits at the server takes to type a line.
TYPING = 0.7


@dataclasses.dataclass
class Scene:
    """A program to run, and the server that it talks to."""

    arguments: list
    executable: str
    folder: str
    name: str
    address: str
    port: int
    # Where the server speaks TLS: its certificate and key. Else what it says, line by line, each after an answer.
    certificate: str | None = None
    script: tuple = ()


@dataclasses.dataclass
class Take:
    """What was seen of a scene: when the program ran, in seconds, and (nanoseconds, frame) of what passed."""

    begin: float
    end: float
    frames: list


def main():
    scenes, out = map(Path, sys.argv[1:])
    scenes = pickle.loads(scenes.read_bytes())
    prepare(scenes)
    out.write_bytes(pickle.dumps([play(scene) for scene in scenes]))


def prepare(scenes):
    """Gives the namespace its addresses and names."""

    def run(*command):
        subprocess.run(command, check=True)

    run("ip", "link", "set", "lo", "mtu", str(ETHERNET_MTU), "up")
    mac = os.environ["DEMO_ADDRESS"]
    run("ip", "address", "add", f"{mac}/32", "dev", "lo")
    for scene in scenes:
        run("ip", "address", "add", f"{scene.address}/32", "dev", "lo")
        # Else a connection to one's own address would come from that same address.
        run("ip", "route", "replace", "table", "local", "local", scene.address, "dev", "lo", "src", mac)
    hosts = Path("hosts")
    hosts.write_text("".join(f"{scene.address} {scene.name}\n" for scene in scenes))
    run("mount", "--bind", str(hosts), "/etc/hosts")


def play(scene):
    """Runs a scene."""
    listener = socket.create_server((scene.address, scene.port))
    serve = serve_https if scene.certificate else serve_lines
    server = threading.Thread(target=serve, args=(listener, scene))
    server.start()
    with Microphone() as microphone:
        begin = time.time()
        environment = dict(os.environ, **({"CURL_CA_BUNDLE": scene.certificate} if scene.certificate else {}))
        subprocess.run(scene.arguments, executable=scene.executable, cwd=scene.folder, env=environment, check=True)
        end = time.time()
        server.join()
    # Two processors may hand in their frames crosswise.
    return Take(begin, end, sorted(microphone.frames, key=lambda frame: frame[0]))


def serve_https(listener, scene):
    """Takes one upload and thanks for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(scene.certificate)
    context.set_alpn_protocols(["http/1.1"])
    plain, _ = listener.accept()
    with context.wrap_socket(plain, server_side=True) as client, client.makefile("rb") as stream:
        headers = {}
        stream.readline()
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        if headers.get(b"expect") == b"100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(headers[b"content-length"])
        while left:
            left -= len(stream.read(min(left, 1 << 16)))
        client.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def serve_lines(listener, scene):
    """Says each line of its script and reads an answer: a length in four bytes, and so many bytes."""
    client, _ = listener.accept()
    with client, client.makefile("rb") as stream:
        for line in scene.script:
            time.sleep(TYPING)
            client.sendall(line)
            (length,) = struct.unpack("!I", stream.read(4))
            stream.read(length)


class Microphone:
    """Keeps every frame that the loopback interface sends: each frame is seen twice there, on its way out and on its way in."""

    def __enter__(self):
        self.frames, self.running = [], True
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        return self

    def __exit__(self, *_):
        time.sleep(0.3)  # the last acknowledgements
        self.running = False
        self.thread.join()
        self.socket.close()

    def listen(self):
        while self.running:
            try:
                frame, notes, _, address = self.socket.recvmsg(LARGEST_FRAME, 64)
            except TimeoutError:
                continue
            if address[2] == PACKET_OUTGOING:
                seconds, nanoseconds = struct.unpack("qq", notes[0][2])
                self.frames.append((seconds * 10**9 + nanoseconds, frame))


if __name__ == "__main__":
    # Under its real name, so that what is pickled here can be read by who imports it.
    from demo import stage

    stage.main()
