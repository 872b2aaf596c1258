# SPDX-License-Identifier: Apache-2.0
"""The stage of the demo: a private broker, the simulated field, the gateway and a subscriber, each a process of its own.

Everything lives in one temporary folder and on loopback ports that were free a moment ago. close() ends the processes and
removes the folder; should this program be killed before, the kernel ends the processes.
What the processes say arrives in one queue, in the order in which it was read:
    Message   the subscriber received it          Written   a device carried out a write
    Ended     a process ended by itself
"""
import collections
import json
import os
import queue
import shutil
import socket
import subprocess
import tempfile
import threading
import time

GATEWAY = "demo-01"
TOPICS = f"yanhuo/v1/{GATEWAY}/"

Message = collections.namedtuple("Message", "received retained topic payload")
Written = collections.namedtuple("Written", "received point value")
Ended = collections.namedtuple("Ended", "received name status")


class Trouble(Exception):
    """Something that the person at the terminal must be told; the demo ends."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Stage:
    def __init__(self, program, config):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="yanhuo-demo-")
        self.queue = queue.Queue()
        self.answers = queue.Queue()
        self.processes = {}
        self.port = free_port()
        self.config = os.path.join(self.folder, "demo.yaml")
        self.write_config(config)

    # ---- files ----

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_config(self, config):
        """A copy of the configuration with this stage's own path and ports in place of the three marked values."""
        with open(config, encoding="utf-8") as file:
            text = file.read()
        marked = {
            "/tmp/yanhuo-shed": self.path("shed"),
            "127.0.0.1:15020": f"127.0.0.1:{free_port()}",
            "mqtt://127.0.0.1:18830": f"mqtt://127.0.0.1:{self.port}",
        }
        lines = text.split("\n")
        for value, own in marked.items():
            places = [i for i, line in enumerate(lines) if value in line and "[demo]" in line]
            if len(places) != 1:
                raise Trouble(f"{config} must have the value {value} on exactly one line marked [demo]")
            lines[places[0]] = lines[places[0]].replace(value, own)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))

    def log_tail(self, name, lines=12):
        try:
            with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as file:
                return "".join("    " + line for line in file.readlines()[-lines:])
        except OSError:
            return ""

    # ---- processes ----

    def start(self, name, arguments, **options):
        """In a session of its own, so that Ctrl-C reaches this program alone, which then ends the others in order."""
        setpriv = shutil.which("setpriv")
        if setpriv:
            arguments = [setpriv, "--pdeathsig", "TERM", "--"] + arguments
        with open(self.path(name + ".log"), "ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **options}
            try:
                process = subprocess.Popen(arguments, start_new_session=True, **options)
            except OSError as error:
                raise Trouble(f"{arguments[0]} cannot be started: {error.strerror}") from None
        self.processes[name] = process
        return process

    def watch(self, name):
        """Tells in the queue when a process ends that was not asked to."""
        process = self.processes[name]

        def wait():
            status = process.wait()
            if self.processes.get(name) is process:
                self.queue.put(Ended(time.time(), name, status))

        threading.Thread(target=wait, daemon=True).start()

    def stop(self, name, patience=5):
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_until(self, what, condition, name, patience=10):
        deadline = time.monotonic() + patience
        while not condition():
            process = self.processes.get(name)
            if process is None or process.poll() is not None or time.monotonic() > deadline:
                raise Trouble(f"{what} did not start; the end of what it said:\n{self.log_tail(name)}")
            time.sleep(0.02)

    def start_broker(self):
        """A broker that keeps sessions over its own restart, as a real one does."""
        conf = self.path("mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n")
            file.write(f"persistence true\npersistence_location {self.folder}/\n")
            if os.geteuid() == 0:
                file.write("user root\n")  # it would give up its rights to this folder
        mosquitto = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if mosquitto is None:
            raise Trouble("there is no mosquitto; install the package mosquitto")
        self.start("broker", [mosquitto, "-c", conf])
        self.wait_until("the broker", lambda: listens(self.port), "broker")

    def start_subscriber(self):
        """With a persistent session at QoS 1, as a fire-safety subscriber should."""
        arguments = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-c", "-i", "demo-subscriber", "-k", "10"]
        process = self.start("subscriber", arguments + ["-t", TOPICS + "#", "-F", "%U %r %t %p"], stdout=subprocess.PIPE)
        self.follow(process.stdout, self.on_message)

    def retained(self, topics):
        """(topic, content) of what the broker holds for whoever comes now."""
        arguments = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-W", "2", "--retained-only", "-t", TOPICS + topics, "-F", "%t %p"]
        output = subprocess.run(arguments, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode("utf-8", "replace")
        for line in output.splitlines():
            topic, _, payload = line.partition(" ")
            yield topic[len(TOPICS) :], json.loads(payload or "{}")

    def command(self, verb, *pairs):
        """What the gateway answers to a person at its own machine; the program's exit status says whether it was done."""
        arguments = [self.program, "command", verb, *pairs, "-s", self.path("state"), "--by", "王师傅"]
        done = subprocess.run(arguments, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode == 0, done.stdout.decode("utf-8", "replace").strip()

    def publish(self, topic, payload):
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", TOPICS + topic, "-m", json.dumps(payload)],
                       check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_field(self):
        process = self.start(
            "field", [self.program, "simulate", self.config, "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        ready = threading.Event()

        def on_line(line):
            line = line.rstrip("\n")
            if line == "ready":
                ready.set()
            elif line.startswith("written "):
                _, point, value = line.split(" ", 2)
                self.queue.put(Written(time.time(), point, value))
            elif line.startswith(("ok", "error:")):
                self.answers.put(line)

        self.follow(process.stdout, on_line)
        self.wait_until("the simulated field", ready.is_set, "field")

    def start_gateway(self):
        os.makedirs(self.path("state"), exist_ok=True)
        self.start("gateway", [self.program, "run", "-c", self.config, "-s", self.path("state")])
        self.watch("gateway")

    @staticmethod
    def follow(stream, on_line):
        def read():
            for line in stream:
                on_line(line)

        threading.Thread(target=read, daemon=True).start()

    def on_message(self, line):
        received, retained, topic, payload = (line.decode("utf-8", "replace").rstrip("\n").split(" ", 3) + [""] * 3)[:4]
        try:
            content = json.loads(payload)
        except ValueError:
            content = None
        if topic.startswith(TOPICS) and isinstance(content, dict):
            self.queue.put(Message(float(received), retained == "1", topic[len(TOPICS) :], content))

    # ---- the field, by hand ----

    def field(self, command):
        """Gives the simulated field one command; its answer without "ok". A refused one is a mistake of the caller."""
        process = self.processes["field"]
        try:
            process.stdin.write(command + "\n")
            process.stdin.flush()
            answer = self.answers.get(timeout=5)
        except (OSError, queue.Empty):
            raise Trouble(f"the simulated field does not answer; the end of what it said:\n{self.log_tail('field')}") from None
        if answer.startswith("error:"):
            raise ValueError(answer[len("error: ") :])
        return answer[3:]

    def close(self):
        for name in ("gateway", "subscriber", "field", "broker"):
            self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)
