# SPDX-License-Identifier: Apache-2.0
"""How the demo looks: 80 to 100 columns, Chinese and English side by side, readable without colour."""
import datetime
import os
import shutil
import sys
import unicodedata

CLASSES = {
    "fire": "火警 FIRE",
    "electrical": "电气 ELECTRICAL",
    "compliance": "合规 COMPLIANCE",
    "fault": "故障 FAULT",
    "maintenance": "维护 MAINTENANCE",
}
PROBLEMS = {"open": "待整改 open", "assigned": "已派单 assigned", "rectified": "已整改 rectified", "closed": "已销号 closed"}
STATES = {
    "normal": "已恢复 back to normal",
    "unacknowledged": "报警 ALARM",
    "acknowledged": "已确认 acknowledged",
    "returned": "已恢复 returned",
    "latched": "已恢复待复位 returned, waits for reset",
    "shelved": "已搁置 shelved",
    "suppressed": "已抑制 suppressed",
    "out_of_service": "停用 out of service",
}
ACTIVE = ("unacknowledged", "acknowledged")
SYSTEM = {"started": "网关启动 gateway started", "stopped": "网关停止 gateway stopped", "configuration": "配置变更 configuration changed"}


def columns():
    return min(max(shutil.get_terminal_size((100, 24)).columns, 60), 100)


def coloured():
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text, *codes):
    return f"\033[{';'.join(map(str, codes))}m{text}\033[0m" if codes and coloured() else text


RED, GREEN, YELLOW, CYAN, DIM, BOLD = 31, 32, 33, 36, 2, 1


def width(text):
    """Columns on a terminal: a Chinese character takes two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text, room):
    if width(text) <= room:
        return text
    while text and width(text) > room - 1:
        text = text[:-1]
    return text + "…"


def pad(text, room):
    text = cut(text, room)
    return text + " " * (room - width(text))


def clock(seconds):
    return datetime.datetime.fromtimestamp(seconds).strftime("%H:%M:%S.%f")[:-3]


def instant(text):
    """An RFC 3339 time as seconds since 1970, or None."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds")


def rule(title=""):
    return "── " + title + " " + "─" * max(columns() - width(title) - 4, 2) if title else "─" * columns()


def say(text="", *codes):
    print(paint(text, *codes), flush=True)


class View:
    """Turns what the subscriber receives into lines; learns names and units from the retained meta messages."""

    def __init__(self):
        self.points = {}
        self.status = None

    def learn(self, message):
        for point in message.payload.get("points") or []:
            self.points[message.payload.get("device"), point.get("point")] = point

    def value(self, device, reading):
        if reading.get("v") is None:
            return f"无值 no value ({reading.get('why', reading.get('q'))})"
        about = self.points.get((device, reading["point"]), {})
        label = (about.get("labels") or {}).get(str(reading["v"]))
        number = f"{reading['v']:g}" if isinstance(reading["v"], float) else str(reading["v"])
        return label or (number + " " + about.get("unit", "")).rstrip()

    def show(self, message):
        kind, _, rest = message.topic.partition("/")
        if kind == "meta":
            self.learn(message)
        elif kind == "status":
            self.show_status(message)
        elif kind == "reading":
            self.show_readings(message, rest)
        elif kind == "event":
            self.show_event(message)

    def line(self, message, mark, text, *codes):
        replayed = "(补传 replayed) " if message.payload.get("replayed") else ""
        say(f"{clock(message.received)}  {pad(mark, 15)} {cut(replayed + text, columns() - 30)}", *codes)

    def more(self, text, *codes):
        say(" " * 30 + cut(text, columns() - 30), *codes)

    def show_status(self, message):
        if message.payload.get("status") == self.status:
            return  # a retained one, heard again after a reconnection
        self.status = message.payload.get("status")
        online = self.status == "online"
        self.line(message, "状态 status", "网关在线 gateway online" if online else "网关离线 gateway offline", GREEN if online else RED, BOLD)

    def show_readings(self, message, device):
        newest = {}
        for reading in message.payload.get("readings") or []:
            newest[reading["point"]] = self.value(device, reading)
        if len(newest) > 3 and len(set(newest.values())) == 1:  # eight relay channels, all on
            text = f"{len(newest)} 个测点 points: {next(iter(newest.values()))}"
        else:
            text = "   ".join(f"{self.names(device, point)} {value}" for point, value in newest.items())
        self.line(message, device, text, DIM)

    def names(self, device, point):
        return ((self.points.get((device, point)) or {}).get("names") or {}).get("zh") or point

    def latency(self, message):
        at = instant(message.payload.get("at"))
        if at is None or message.payload.get("replayed"):
            return ""
        return f"{max(message.received - at, 0) * 1000:.0f} ms"

    def delay(self, message):
        latency = self.latency(message)
        return f"  (时延 latency {latency})" if latency else ""

    def show_event(self, message):
        event = message.payload
        kind = event.get("kind")
        if kind in ("alarm", "roster"):
            self.show_alarm(message)
        elif kind == "action":
            released = event.get("why") == "released"
            result = "已释放，须人工恢复 released" if released else "已执行 done" if event.get("ok") else f"失败 failed: {event.get('why')}"
            value = self.value(event.get("device"), {"point": event.get("point"), "v": int(event.get("value") or 0)})
            self.line(message, "动作 ACTION", f"{event.get('device')}/{event.get('point')} {value}  {result}{self.delay(message)}", CYAN, BOLD)
        elif kind == "removed":
            self.line(message, "移除 removed", f"{event.get('device')}/{event.get('alarm')}  {(event.get('text') or {}).get('zh')}", YELLOW)
        elif kind == "gap":
            self.line(message, "缺口 GAP", f"{event.get('count')} 条未送达 lost in lane {event.get('lane')}: {event.get('why')}", RED, BOLD)
        elif kind == "clock":
            self.line(message, "时钟 clock", f"{event.get('detail')}", DIM)
        elif kind in ("command", "maintenance"):
            target = "/".join(part for part in (event.get("device"), event.get("alarm") or event.get("point")) if part)
            self.line(message, "命令 COMMAND", f"{event.get('verb')} {target}  {event.get('by')} ({event.get('channel')})", CYAN)
        elif kind == "problem":
            self.line(message, "问题 problem", f"{event.get('device')}/{event.get('alarm')}  {PROBLEMS.get(event.get('state'), event.get('state'))}", YELLOW)
        elif kind == "walk_test":
            seen = f"{event.get('seen')} / {event.get('detectors')}"
            self.line(message, "测试 WALK TEST", f"{event.get('state')}  {event.get('place') or event.get('device')}  {seen}", CYAN)
        elif kind == "chatter":
            self.line(message, "抖动 chatter", f"{event.get('device')}/{event.get('alarm')} {event.get('burst')}, {event.get('count')} 次 times", YELLOW)
        elif kind == "flood":
            self.line(message, "洪泛 flood", f"{event.get('burst')}, {event.get('count')} 个报警 alarms", YELLOW)
        else:
            self.line(message, "系统 system", SYSTEM.get(event.get("what"), f"{event.get('what')} {event.get('detail')}"), CYAN)

    def show_alarm(self, message):
        event = message.payload
        active = event.get("state") in ACTIVE
        codes = (GREEN,) if not active else (1, 37, 41) if event.get("class") == "fire" else (YELLOW, BOLD)
        text = event.get("text") or {}
        mark = CLASSES.get(event.get("class"), "报警 ALARM") if active else "恢复 returned"
        mark = "测试 TEST" if event.get("test") else mark
        self.line(message, mark, f"{event.get('device')}  {text.get('zh')} {text.get('en')}{self.delay(message)}", *codes)
        self.more(f"{STATES.get(event.get('state'), event.get('state'))}{self.reason(event)}")
        remedy = (event.get("remedy") or {}).get("zh")
        if active and remedy:
            self.more(f"处置 do: {remedy}")
        place = event.get("place") or {}
        where = " · ".join(part for part in (place.get("name"), event.get("location"), place.get("phone")) if part)
        if active and where:
            for line in wrap(where, columns() - 30):
                self.more(line)

    @staticmethod
    def reason(event):
        if event.get("value") is None or event.get("limit") is None or event.get("condition") not in ("above", "below"):
            return ""
        sign = ">" if event["condition"] == "above" else "<"
        return f"  {event['value']:g} {event.get('unit', '')} {sign} {event['limit']:g} {event.get('unit', '')}"


def table(rows):
    """Steps of a story: (step, expected, seen, seconds, passed)."""
    step, time = 24, 7
    middle = columns() - step - time - 10
    expected = middle // 2
    seen = middle - expected
    say(f"     {pad('步骤 Step', step)} {pad('期望 Expected', expected)} {pad('结果 Seen', seen)} {'用时 Time':>{time - 2}}", BOLD)
    for number, row in enumerate(rows, 1):
        mark = paint("ok", GREEN) if row[4] else paint("NO", RED, BOLD)
        for i, (first, second, third) in enumerate(zip_lines(wrap(row[0], step), wrap(row[1], expected), wrap(row[2], seen))):
            front = f"{number:>1} {mark}" if i == 0 else "    "
            time_text = f"{row[3]:.1f} s" if i == 0 else ""
            say(f"{front} {pad(first, step)} {pad(second, expected)} {pad(third, seen)} {time_text:>{time}}".rstrip())


def zip_lines(*cells):
    for i in range(max(map(len, cells))):
        yield tuple(cell[i] if i < len(cell) else "" for cell in cells)


def wrap(text, room):
    """Lines of at most `room` columns; a line break in the text stays."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and width(longer) > room:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines
