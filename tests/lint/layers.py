# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: base < sensors < config < core < uplinks < engine < io < bridge, run and the commands."""
import os

import lint

# A folder (or the beginning of a file's name) and the layers it may use, besides itself. The longest match counts.
ENGINE = ["base/", "sensors/", "config/", "gateway/core/", "gateway/uplinks/", "gateway/engine"]
ALL = ENGINE + ["gateway/io/", "gateway/simulator/", "gateway/commission/", "gateway/web/", "gateway/commands/", "gateway/bridge", "gateway/run"]
MAY_USE = {
    "base/": [],
    "sensors/": ENGINE[:1],
    "config/": ENGINE[:2],
    "gateway/core/": ENGINE[:3],
    "gateway/uplinks/": ENGINE[:4],
    "gateway/engine": ENGINE[:5],
    "gateway/io/": ENGINE,
    "gateway/simulator/": ENGINE[:3],
    "gateway/commission/": ENGINE[:3],
    "gateway/web/": [],
    "gateway/bridge": ALL,
    "gateway/run": ALL,
    "gateway/main.c": ALL,
    "gateway/commands/": ALL,
}
# The shells of io know nothing of each other, but all may use these, which are no shells of their own.
SHARED_IO = ("inbox", "worker", "credential", "hmac")
# The shells of the buses belong to whoever joins both halves; their inner parts only to the shells.
SHELLS = ("sensors/bus_",)
SHELL_PARTS = ("sensors/rtu_line.", "sensors/rtu_port.", "sensors/tcp_link.")
JOINS = ("gateway/run", "gateway/bridge", "gateway/main.c", "gateway/commands/")


def layer(path):
    return max((prefix for prefix in MAY_USE if path.startswith(prefix)), key=len, default=None)


def stem(path):
    return os.path.basename(path).rsplit(".", 1)[0]


def family(path):
    """`store_spool.c` belongs to `store`: the parts of one shell may include each other."""
    return stem(path).split("_")[0]


def wrong(path, header):
    own, other = layer(path), layer(header)
    if own is None:
        return f"'{path}' belongs to no layer; move it, or give its folder a row in tests/lint/layers.py"
    if other is None:
        return f"'{header}' belongs to no layer; product code includes product headers only"
    if other != own and other not in MAY_USE[own]:
        uses = ", ".join(MAY_USE[own]) or "nothing else"
        return f"'{own}' may not include '{header}': it uses {uses} only; turn the dependence round, or move what is needed down"
    if own == other == "gateway/io/" and family(path) != family(header) and family(header) not in SHARED_IO:
        return f"shells of gateway/io never include each other ('{header}'); join them in gateway/bridge.c"
    if header.startswith(SHELL_PARTS) and not path.startswith(SHELLS + SHELL_PARTS):
        return f"'{header}' is the inside of a shell; use the shell's own header"
    if header.startswith(SHELLS) and stem(header) != stem(path) and not path.startswith(JOINS):
        return f"'{header}' is a shell; only gateway/bridge, gateway/run and the commands may include it. Use sensors/bus.h"
    return None


def check(tree):
    paths = set(tree.paths)
    for path in tree.files((".c", ".h"), lint.PRODUCT):
        if layer(path) is None:
            yield lint.Finding(path, 1, wrong(path, path))
            continue
        for line, own, _ in lint.includes(tree.text(path)):
            if own is None:
                continue
            if own not in paths:
                yield lint.Finding(path, line, f'"{own}" is no file; write its path from the root of the tree, or <…> for a system header')
                continue
            text = wrong(path, own)
            if text:
                yield lint.Finding(path, line, text)


GOOD = {
    "base/err.h": "",
    "sensors/bus.h": '#include "base/err.h"\n',
    "sensors/bus_rtu.h": '#include "sensors/bus.h"\n',
    "sensors/bus_rtu.c": '#include "sensors/bus_rtu.h"\n',
    "sensors/tcp_link.h": "",
    "sensors/bus_tcp.c": '#include "sensors/tcp_link.h"\n',
    "gateway/engine.h": '#include "base/err.h"\n// #include "gateway/run.h"\n',
    "gateway/io/inbox.h": "",
    "gateway/io/store.h": '#include "gateway/engine.h"\n',
    "gateway/io/store_spool.c": '#include "gateway/io/store.h"\n#include "gateway/io/inbox.h"\n',
    "gateway/io/mqtt.h": "",
    "gateway/run.c": '#include "gateway/io/mqtt.h"\n#include "sensors/bus_rtu.h"\n#include <stdio.h>\n',
}
SAMPLES = [
    ("good", GOOD, []),
    ("upwards", {**GOOD, "base/err.c": '\n#include "sensors/bus.h"\n'}, ["base/err.c:2: 'base/' may not include"]),
    ("engine uses io", {**GOOD, "gateway/engine.c": '#include "gateway/io/mqtt.h"\n'}, ["gateway/engine.c:1:"]),
    ("io uses io", {**GOOD, "gateway/io/store.c": '#include "gateway/io/mqtt.h"\n'}, ["shells of gateway/io never"]),
    ("shell of a bus", {**GOOD, "sensors/poller.c": '#include "sensors/bus_rtu.h"\n'}, ["sensors/poller.c:1: 'sensors/bus_rtu.h' is a shell"]),
    ("part of a shell", {**GOOD, "sensors/rtu_line.h": "", "gateway/run.c": '#include "sensors/rtu_line.h"\n'}, ["is the inside of a shell"]),
    ("relative path", {**GOOD, "sensors/plan.c": '#include "bus.h"\n'}, ['"bus.h" is no file']),
    ("no layer", {**GOOD, "gateway/extra/x.c": ""}, ["gateway/extra/x.c:1: 'gateway/extra/x.c' belongs to no layer"]),
    ("test header", {**GOOD, "tests/unit/x.h": "", "gateway/core/x.c": '#include "tests/unit/x.h"\n'}, ["product headers only"]),
]

if __name__ == "__main__":
    lint.main(check, SAMPLES)
