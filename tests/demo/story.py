# SPDX-License-Identifier: Apache-2.0
"""The demo: simulated sensors, the gateway, a broker and a subscriber, for a person to watch, or a story that checks itself.

    story.py --program build/release/yanhuo           until Ctrl-C; on a terminal it takes commands for the field
    story.py --program build/release/yanhuo --once    under 60 s; a table at the end, exit status 0 or 1
"""
import argparse
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time

import view
from stage import TOPICS, Ended, Message, Stage, Trouble, Written

ID = re.compile(r"^.+-([0-9a-f]{16})-(\d+)$")
DEVICES = ("smoke-1", "smoke-2", "meter-1", "leak-1", "relay-1", "fume-1")
CUT_SECONDS = 9


class Audience:
    """Everything the subscriber has received, shown as it comes."""

    def __init__(self, stage):
        self.stage, self.view = stage, view.View()
        self.events, self.written, self.readings, self.status = [], [], {}, None
        self.numbers, self.received, self.duplicates, self.without_id = {}, 0, 0, 0
        self.probed, self.replies = False, {}

    def take(self, seconds):
        """Waits at most so long for one thing to happen."""
        try:
            item = self.stage.queue.get(timeout=max(seconds, 0))
        except queue.Empty:
            return
        if isinstance(item, Message):
            self.on_message(item)
        elif isinstance(item, Written):
            self.written.append(item)
            view.say(f"{view.clock(item.received)}  {view.pad('现场 field', 15)} 设备收到写入 device was written: {item.point} {item.value}", view.CYAN)
        elif isinstance(item, Ended):
            raise Trouble(f"the {item.name} ended with status {item.status}; the end of what it said:\n{self.stage.log_tail(item.name)}")

    def on_message(self, message):
        kind, _, device = message.topic.partition("/")
        if kind == "probe":
            self.probed = True
            return
        if kind == "reply":
            self.replies[device] = message.payload
        if kind == "status":
            self.status = message.payload.get("status")
        if kind == "event":
            self.events.append(message)
        if kind == "reading":
            for reading in message.payload.get("readings") or []:
                self.readings.setdefault(device, {})[reading.get("point")] = reading
        if kind in ("event", "reading"):
            self.count(message.payload.get("id"))
        self.view.show(message)

    def count(self, identity):
        parts = ID.match(identity or "")
        self.received += 1
        if not parts:
            self.without_id += 1
            return
        seen = self.numbers.setdefault(parts[1], set())
        self.duplicates += int(parts[2]) in seen
        seen.add(int(parts[2]))

    def missing(self):
        """Numbers that were given out by the gateway and have not arrived: each start counts without gaps."""
        return sum(max(seen) - min(seen) + 1 - len(seen) for seen in self.numbers.values())

    def wait(self, condition, patience):
        """True as soon as the condition holds, False when patience has ended."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.take(min(0.1, deadline - time.monotonic()))
        return True

    def alarm(self, device, name, active, since):
        """The first transition of an alarm, decided after `since`, into or out of its active states."""
        for message in self.events:
            event = message.payload
            if event.get("kind") == "alarm" and event.get("device") == device and event.get("alarm") == name:
                if (event.get("state") in view.ACTIVE) == active and (view.instant(event.get("at")) or 0) >= since - 0.01:
                    return message
        return None

    def action(self, name):
        return next((m for m in self.events if m.payload.get("kind") == "action" and m.payload.get("action") == name and m.payload.get("ok")), None)

    def good_devices(self):
        return [device for device in DEVICES if any(r.get("q") == "good" for r in self.readings.get(device, {}).values())]


def raise_curtain(stage):
    """Starts everything; the subscriber hears before the gateway speaks."""
    stage.start_broker()
    stage.start_subscriber()
    audience = Audience(stage)
    for _ in range(50):
        arguments = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(stage.port), "-t", TOPICS + "probe", "-m", "{}"]
        subprocess.run(arguments, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if audience.wait(lambda: audience.probed, 0.2):
            break
    else:
        raise Trouble("the subscriber receives nothing from the broker; is mosquitto_sub (package mosquitto-clients) installed?")
    stage.start_field()
    stage.start_gateway()
    return audience


def command(stage, text):
    view.say(f"{view.clock(time.time())}  {view.pad('现场 field', 15)} > {text}", view.CYAN)
    return stage.field(text)


# ---- the story ----


class Story:
    def __init__(self, stage):
        self.stage, self.rows, self.audience = stage, [], None
        self.cut_at = 0

    def step(self, name, expected, play):
        """One step: play() returns (what was seen, whether it is right)."""
        view.say()
        view.say(view.rule(f"{len(self.rows) + 1}. {name}"), view.BOLD)
        began = time.monotonic()
        seen, passed = "中断，原因见下 broken off, see below", False
        try:
            seen, passed = play()
        finally:
            self.rows.append((name, expected, seen, time.monotonic() - began, passed))

    def normal(self):
        self.audience = raise_curtain(self.stage)
        online = self.audience.wait(lambda: self.audience.status == "online", 10)
        if not online:
            return "网关没有上线 the gateway did not come online", False
        good = self.audience.wait(lambda: len(self.audience.good_devices()) == len(DEVICES), 8)
        alarms = [m for m in self.audience.events if m.payload.get("kind") == "alarm"]
        return f"{len(self.audience.good_devices())} 个设备 devices\n{len(alarms)} 个报警 alarms", good and not alarms

    def smoke(self):
        asked = time.time()
        command(self.stage, "set smoke-1/smoke alarm")
        found = self.audience.wait(lambda: self.audience.alarm("smoke-1", "smoke", True, asked), 6)
        if not found:
            return "没有火警 no fire alarm", False
        message = self.audience.alarm("smoke-1", "smoke", True, asked)
        latency = self.audience.view.latency(message)
        place = bool((message.payload.get("place") or {}).get("address") and message.payload.get("location"))
        fire = message.payload.get("class") == "fire"
        return f"{message.received - asked:.1f} s 后收到 after the smoke\n时延 latency {latency}", place and fire

    def relay(self):
        found = self.audience.wait(lambda: self.audience.action("cut-branch") and self.audience.written, 5)
        state = self.stage.field("get relay-1/channel-1")
        return f"relay-1/channel-1 {state}\n动作事件 action event {'有 yes' if found else '无 no'}", bool(found) and state == "off"

    def unplugged(self):
        asked = time.time()
        command(self.stage, "unplug smoke-2")
        found = self.audience.wait(lambda: self.audience.alarm("smoke-2", "communication", True, asked), 30)
        cleared = self.audience.alarm("smoke-1", "smoke", False, asked)
        if not found:
            return "30 s 内没有通信报警 no communication alarm in 30 s", False
        message = self.audience.alarm("smoke-2", "communication", True, asked)
        return f"{message.received - asked:.1f} s 后收到 after unplugging", not cleared

    def plugged(self):
        asked = time.time()
        command(self.stage, "plug smoke-2")
        found = self.audience.wait(lambda: self.audience.alarm("smoke-2", "communication", False, asked), 15)
        return "已恢复 returned" if found else "15 s 内没有恢复 not back in 15 s", bool(found)

    def settled(self):
        """The smoke has gone: somebody takes the alarm; nobody resets it from afar without the key; somebody on the spot does."""
        heard, asked = self.audience, time.time()
        command(self.stage, "set smoke-1/smoke normal")
        latched = heard.wait(lambda: self.state("smoke-1", "smoke", "latched", asked), 6)
        taken, answer = self.person("acknowledge", "device=smoke-1", "alarm=smoke")
        if not taken:
            return f"不能确认 not acknowledged: {answer}", False
        now = time.time()
        self.stage.publish("cmd/reset", {"id": "from-afar", "by": "somebody", "issued": view.rfc3339(now), "expires": view.rfc3339(now + 60),
                                         "device": "smoke-1", "alarm": "smoke"})
        refused = heard.wait(lambda: heard.replies.get("from-afar", {}).get("ok") is False, 4)
        done, answer = self.person("reset", "device=smoke-1", "alarm=smoke")
        normal = heard.wait(lambda: self.state("smoke-1", "smoke", "normal", asked), 4)
        heard.wait(lambda: any(m.payload.get("verb") == "reset" for m in heard.events), 2)  # who did it is the last that is told
        still_off = self.stage.field("get relay-1/channel-1") == "off"
        seen = f"无签名复位 unsigned reset {'被拒 refused' if refused else '?'}\n已复位 reset {'是 yes' if done and normal else answer}"
        return seen, bool(latched and refused and done and normal and still_off)

    def person(self, verb, *pairs):
        view.say(f"{view.clock(time.time())}  {view.pad('值班 person', 15)} > yanhuo command {verb} {' '.join(pairs)}", view.CYAN)
        return self.stage.command(verb, *pairs)

    def state(self, device, name, state, since):
        return any(m.payload.get("kind") == "alarm" and (m.payload.get("device"), m.payload.get("alarm"), m.payload.get("state")) == (device, name, state)
                   and m.received >= since for m in self.audience.events)

    def cut(self):
        self.stage.stop("broker")
        view.say("            代理已停 the broker is down", view.YELLOW)
        self.cut_at = time.time()
        before = self.audience.received
        for text in ("set meter-1/current 12", "set smoke-2/smoke alarm", "set fume-1/purifier off"):
            command(self.stage, text)
        self.audience.wait(lambda: False, CUT_SECONDS)
        acted = any(written.point == "relay-1/channel-2" and written.received >= self.cut_at for written in self.audience.written)
        seen = f"relay-1/channel-2 {self.stage.field('get relay-1/channel-2')}\n收到 received {self.audience.received - before}"
        return seen, acted and self.audience.received == before

    def wanted(self):
        """What happened during the cut: the events that must arrive."""
        heard = self.audience
        return {
            "smoke-2/smoke": heard.alarm("smoke-2", "smoke", True, self.cut_at),
            "cut-branch-2": heard.action("cut-branch-2"),
            "meter-1/branch-overcurrent": heard.alarm("meter-1", "branch-overcurrent", True, self.cut_at),
            "fume-1/purifier-off": heard.alarm("fume-1", "purifier-off", True, self.cut_at),
        }

    def back(self):
        self.stage.start_broker()
        view.say("            代理恢复 the broker is back", view.YELLOW)
        self.audience.wait(lambda: all(self.wanted().values()), 20)
        wanted = self.wanted()
        late = [name for name, message in wanted.items() if not message]
        seen = f"{len(wanted) - len(late)} / {len(wanted)} 个事件 events"
        return seen + ("\n缺 missing " + ", ".join(late) if late else ""), not late

    def complete(self):
        heard = self.audience
        heard.wait(lambda: False, 2.5)  # one more batch of readings
        heard.wait(lambda: heard.missing() == 0, 5)
        passed = heard.missing() == 0 and heard.without_id == 0 and heard.received > 0
        return f"{heard.received} 条 messages, 缺 missing {heard.missing()}\n重复 duplicates {heard.duplicates}", passed

    def present(self):
        """A subscriber that comes late knows what is wrong now, from the retained messages alone."""
        active = sorted(topic.split("/", 1)[1] for topic, alarm in self.stage.retained("alarm/#") if alarm.get("state") in view.ACTIVE)
        wanted = ["fume-1/purifier-off", "meter-1/branch-overcurrent", "smoke-2/smoke"]
        wrong = sorted(set(active) ^ set(wanted))
        return f"{len(active)} 个报警 active" + ("\n不符 wrong: " + ", ".join(wrong) if wrong else ""), not wrong

    def tell(self):
        steps = [
            ("正常运行 normal", "6 个设备有读数 6 devices read\n没有报警 no alarm", self.normal),
            ("烟雾 smoke", "火警带地址位置\nfire alarm with place, in 6 s", self.smoke),
            ("继电器断电 relay cuts", "本地动作已执行\nlocal action done", self.relay),
            ("探测器断线 unplugged", "30 s 内通信报警\ncommunication alarm in 30 s", self.unplugged),
            ("重新接上 plugged back", "通信恢复\ncommunication returns", self.plugged),
            ("确认复位 settled", "仅限现场或签名复位\nreset on the spot, or signed", self.settled),
            ("断网 broker cut", "无网络仍断电\nrelay acts without network", self.cut),
            ("网络恢复 broker back", "断网事件全部到达\nevents of the cut arrive", self.back),
            ("全部送达 all delivered", "编号无缺 no number missing\n重复可识别 duplicates known", self.complete),
            ("当前状态 present state", "后来的订阅者看到 3 个报警\na late subscriber sees 3", self.present),
        ]
        began = time.monotonic()
        try:
            for name, expected, play in steps:
                self.step(name, expected, play)
        finally:
            seconds = time.monotonic() - began
            view.say()
            view.say(view.rule("结果 Result"), view.BOLD)
            view.table(self.rows)
        passed = len(self.rows) == len(steps) and all(row[4] for row in self.rows)
        verdict = "全部通过 all passed" if passed else "没有通过 NOT passed"
        view.say(f"{sum(row[4] for row in self.rows)} / {len(steps)}  {verdict}  {seconds:.0f} s", view.GREEN if passed else view.RED, view.BOLD)
        if not passed:
            view.say(f"网关最后的日志 the end of the gateway's log:\n{self.stage.log_tail('gateway')}")
            view.say(f"代理和订阅者 broker and subscriber:\n{self.stage.log_tail('broker', 20)}{self.stage.log_tail('subscriber')}")
        return 0 if passed else 1


# ---- for a person to watch ----

PLAY = [  # seconds to wait before, and what happens in the field
    (8, "set smoke-1/smoke alarm"),
    (8, "set smoke-1/smoke normal"),
    (4, "set fume-1/purifier off"),
    (12, "set fume-1/purifier on"),
    (4, "unplug smoke-2"),
    (15, "plug smoke-2"),
    (10, "set meter-1/current 12"),
    (10, "set meter-1/current 2.4"),
    (10, "set relay-1/channel-1 on"),
]


def watch(stage):
    hands = sys.stdin.isatty()
    view.say(view.rule("烟火网关演示 Yanhuo Gateway demo"), view.BOLD)
    introduction = [
        "电动自行车充电棚（RTU 总线）和餐饮后厨（Modbus TCP），订阅者收到的内容如下；Ctrl-C 结束。",
        "An e-bike shed on an RTU line and a kitchen over Modbus TCP; below is what a subscriber receives. Ctrl-C ends it.",
    ]
    if hands:
        introduction += ["现场会自己发生一些事，也可以输入，例如：", "Things happen by themselves; you may also type, for example:"]
    for text in introduction:
        for line in view.wrap(text, view.columns()):
            view.say(line)
    for text in ("set smoke-1/smoke alarm", "set meter-1/current 12.5", "unplug smoke-2", "plug smoke-2", "get relay-1/channel-1") if hands else ():
        view.say("  " + text, view.CYAN)
    view.say(view.rule())
    audience = raise_curtain(stage)
    typed = queue.Queue()
    if hands:
        threading.Thread(target=lambda: [typed.put(line) for line in sys.stdin], daemon=True).start()
    scene, due = 0, time.monotonic() + PLAY[0][0]
    while True:
        audience.take(0.1)
        while not typed.empty():
            text, due = typed.get().strip(), float("inf")
            if text in ("quit", "exit"):
                return 0
            try:
                answer = command(stage, text) if text else None
                if answer:
                    view.say(f"              = {answer}", view.CYAN)
            except ValueError as error:
                view.say(f"              {error}", view.YELLOW)
        if time.monotonic() >= due:
            command(stage, PLAY[scene][1])
            scene = (scene + 1) % len(PLAY)
            due = time.monotonic() + PLAY[scene][0]


def main():
    parser = argparse.ArgumentParser(description="Yanhuo Gateway's demo")
    parser.add_argument("--program", required=True, help="the built program yanhuo")
    parser.add_argument("--config", default=os.path.join(os.path.dirname(__file__), "../../config/demo.yaml"))
    parser.add_argument("--once", action="store_true", help="play the story, check each step, end")
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")

    def interrupt(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    stage = Stage(os.path.abspath(options.program), options.config)
    try:
        return Story(stage).tell() if options.once else watch(stage)
    except Trouble as trouble:
        print(f"\n{trouble}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        return 1
    except KeyboardInterrupt:
        print("\n已结束 ended", flush=True)
        return 130 if options.once else 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nothing interrupts the cleaning up
        stage.close()


if __name__ == "__main__":
    sys.exit(main())
