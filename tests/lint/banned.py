# SPDX-License-Identifier: Apache-2.0
"""Calls that product code does not make, and what it uses instead; unit and sim tests neither sleep nor read a clock."""
import re

import lint
from headers import is_pure


def product(path):
    return path.split("/")[0] in lint.PRODUCT


def everywhere_but(*exceptions):
    return lambda path: product(path) and path not in exceptions


def timeless(*exceptions):
    return lambda path: (product(path) or path.startswith(("tests/unit/", "tests/sim/"))) and path not in exceptions


# The names, where they are banned, and the way out.
BANNED = [
    ("sprintf vsprintf", everywhere_but(), "it does not know the buffer's end; use snprintf"),
    ("strcpy stpcpy strcat strncpy strncat gets", everywhere_but(), "it overruns, or ends without a NUL; use base/text.h or snprintf"),
    ("atoi atol atoll atof strtok", everywhere_but(), "it hides bad input; use base/text.h"),
    ("strtod strtof strtold", everywhere_but("base/text.c"), "it follows the locale; use base/text.h"),
    ("sleep usleep nanosleep", timeless(), "nothing sleeps; wait for an event, with a deadline"),
    ("clock_gettime gettimeofday time ftime timespec_get", timeless("base/now.c"), "only base/now.c reads a clock; take the time from the event"),
    ("exit _exit _Exit quick_exit", everywhere_but("gateway/main.c"), "only main ends the program; return an error"),
    ("abort assert", everywhere_but("base/check.c", "base/check.h", "base/arena.c"), "use CHECK, which stays in a release and says what failed"),
    ("rand srand random srandom", everywhere_but(), "use base/prng.h, whose seed a test can give"),
    ("system popen", everywhere_but(), "product code starts no shell"),
    (
        "malloc calloc realloc free strdup strndup asprintf vasprintf",
        lambda path: is_pure(path) and path != "base/arena.c",
        "a pure file allocates nothing; take memory from the arena at init",
    ),
]
RULES = [(re.compile(r"(?<![\w.>])(" + "|".join(names.split()) + r")\s*\("), where, advice) for names, where, advice in BANNED]


def check(tree):
    for path in tree.files((".c", ".h")):
        plain = None
        for pattern, where, advice in RULES:
            if not where(path):
                continue
            plain = plain or lint.without_comments(tree.text(path), strings=False)
            for match in pattern.finditer(plain):
                yield lint.Finding(path, plain.count("\n", 0, match.start()) + 1, f"{match.group(1)}() is banned here: {advice}")


SAMPLES = [
    (
        "good",
        {
            "base/now.c": "clock_gettime(CLOCK_MONOTONIC, &t);",
            "base/text.c": "d = strtod(s, &end);",
            "gateway/main.c": "exit(2);",
            "gateway/io/store.c": "free(p); /* sleep(1) */ snprintf(b, n, \"exit(1)\"); x->time(); wall_time(); static_assert(1);",
            "tests/io/a.c": "usleep(10);",
        },
        [],
    ),
    ("copies", {"base/a.c": "\nsprintf(b, s);\nstrcpy(a, b); strcat (a, b);\n"}, ["base/a.c:2: sprintf()", "base/a.c:3: strcpy()", "strcat()"]),
    ("numbers", {"config/a.c": "n = atoi(s); d = strtod(s, 0); t = strtok(s, 0);"}, ["atoi()", "strtod()", "strtok()"]),
    ("sleep", {"gateway/io/a.c": "sleep(1);", "tests/sim/a_test.c": "nanosleep(&t, 0);"}, ["gateway/io/a.c:1: sleep()", "nanosleep()"]),
    ("clocks", {"gateway/run.c": "time(NULL); gettimeofday(&t, 0);", "tests/unit/a_test.c": "clock_gettime(0, &t);"}, ["run.c:1: time()", "gettimeofday()", "clock_gettime()"]),
    ("exit", {"gateway/commands/a.c": "exit(1);"}, ["exit()"]),
    ("memory", {"gateway/core/a.c": "p = malloc(3);\nfree(p);"}, ["a.c:1: malloc()", "a.c:2: free()"]),
    ("check", {"gateway/run.c": "assert(1); abort(); rand(); system(s);"}, ["assert()", "abort()", "rand()", "system()"]),
]

if __name__ == "__main__":
    lint.main(check, SAMPLES)
