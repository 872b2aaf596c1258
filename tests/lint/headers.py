# SPDX-License-Identifier: Apache-2.0
"""One foreign header, one file; and pure files see no header that could reach a clock, a thread or the world."""
import fnmatch

import lint
from layers import SHELL_PARTS, SHELLS

# A foreign header and the files that may include it. One file each; the exceptions say why.
FOREIGN = {
    "modbus.h": ["sensors/rtu_port.c"],
    "modbus/modbus.h": ["sensors/rtu_port.c"],
    "MQTTAsync.h": ["gateway/io/mqtt.c"],
    "sqlite3.h": ["gateway/io/store*.c"],
    "yaml.h": ["config/yaml.c"],
    "systemd/sd-daemon.h": ["gateway/io/notify.c"],
    "cjson/cJSON.h": ["gateway/io/command_json.c"],
    "openssl/hmac.h": ["gateway/io/hmac.c"],
    "openssl/crypto.h": ["gateway/io/hmac.c"],
    # Pollers of TCP endpoints are stepped on the loop, and a layer of our own between them and libuv would only repeat it.
    "uv.h": ["gateway/io/loop.c", "sensors/tcp_link.c"],
}
MORE_THAN_ONE = {"uv.h": 2}

# What C itself offers without a clock, a thread, a file or the network.
PLAIN = set(
    "assert.h ctype.h errno.h endian.h float.h inttypes.h limits.h math.h stdalign.h stdarg.h stdbool.h stddef.h stdint.h "
    "stdio.h stdlib.h stdnoreturn.h string.h strings.h".split()
)
# What the shells may have from the C library and the kernel.
SYSTEM = PLAIN | set(
    "dirent.h fcntl.h getopt.h glob.h ifaddrs.h langinfo.h libgen.h locale.h malloc.h netdb.h poll.h pthread.h pty.h regex.h "
    "sched.h semaphore.h setjmp.h signal.h spawn.h stdatomic.h syslog.h termios.h threads.h time.h unistd.h wchar.h".split()
)
SYSTEM_FOLDERS = ("sys/", "netinet/", "arpa/", "net/", "linux/")

PURE = ("base/", "sensors/", "gateway/core/", "gateway/uplinks/", "gateway/commission/", "gateway/engine")
# Pure folders' files that are not: the one that reads the clock, and the shells of the buses with their parts.
NOT_PURE = ("base/now.", "base/thread.") + SHELLS + SHELL_PARTS


def is_pure(path):
    return path.startswith(PURE) and not path.startswith(NOT_PURE)


def check(tree):
    users = {}
    for path in tree.files((".c", ".h"), lint.PRODUCT):
        for line, _, header in lint.includes(tree.text(path)):
            if header is None:
                continue
            if header in FOREIGN:
                allowed = FOREIGN[header]
                if not any(fnmatch.fnmatch(path, pattern) for pattern in allowed):
                    yield lint.Finding(path, line, f"<{header}> belongs to {', '.join(allowed)}; go through that file's own header")
                users.setdefault(header, {})[path] = line
            elif header not in SYSTEM and not header.startswith(SYSTEM_FOLDERS):
                yield lint.Finding(path, line, f"<{header}> is foreign and has no row; give it its one file in tests/lint/headers.py")
            elif header not in PLAIN and is_pure(path):
                yield lint.Finding(path, line, f"<{header}> in a pure file; move this to a shell, or hand the value in with the event")
    for header, files in users.items():
        most = MORE_THAN_ONE.get(header, 1)
        for path in sorted(files)[most:]:
            yield lint.Finding(path, files[path], f"<{header}> is included by {', '.join(sorted(files))}; {most} of them may, keep it behind one")


SAMPLES = [
    ("good", {"gateway/io/store.c": "#include <sqlite3.h>\n#include <pthread.h>\n", "sensors/plan.c": "#include <stdint.h>\n"}, []),
    ("two files", {"gateway/io/store.c": "#include <sqlite3.h>\n", "gateway/io/store_history.c": "#include <sqlite3.h>\n"}, ["store_history.c:1:"]),
    ("wrong file", {"gateway/io/loop.c": "\n#include <MQTTAsync.h>\n"}, ["gateway/io/loop.c:2: <MQTTAsync.h> belongs to gateway/io/mqtt.c"]),
    ("no row", {"gateway/io/http.c": "#include <boost.h>\n"}, ["<boost.h> is foreign and has no row"]),
    ("clock in a pure file", {"gateway/core/alarm.c": "#include <time.h>\n"}, ["<time.h> in a pure file"]),
    ("the exception", {"gateway/io/loop.c": "#include <uv.h>\n", "sensors/tcp_link.c": "#include <uv.h>\n"}, []),
]

if __name__ == "__main__":
    lint.main(check, SAMPLES)
