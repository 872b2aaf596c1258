# SPDX-License-Identifier: Apache-2.0
"""Every .c file belongs to a target of the build, and every .h file is included by some file.

The second argument is the list of the build's sources that tests/CMakeLists.txt writes, one path from the root a line.
"""
import os

import lint


def check(tree):
    listed = tree.extra[0] if tree.extra else os.path.join(tree.root, "build", "sources.txt")
    with open(listed, encoding="utf-8") as file:
        sources = set(file.read().split("\n"))
    included = {own for path in tree.files((".c", ".h")) for _, own, _ in lint.includes(tree.text(path)) if own}
    names = {os.path.basename(own) for own in included if "/" not in own}
    for path in tree.files((".c",)):
        if path not in sources:
            yield lint.Finding(path, 1, "no target compiles this file; add it to the CMakeLists.txt of its folder, or delete it")
    for path in tree.files((".h",)):
        if path not in included and os.path.basename(path) not in names:
            yield lint.Finding(path, 1, "no file includes this header; delete it")


GOOD = {"build/sources.txt": "base/a.c\ntests/unit/a_test.c\n", "base/a.c": '#include "base/a.h"\n', "base/a.h": "", "tests/unit/a_test.c": ""}
SAMPLES = [
    ("good", GOOD, []),
    ("dead source", {**GOOD, "base/b.c": ""}, ["base/b.c:1: no target compiles"]),
    ("dead header", {**GOOD, "base/b.h": "// nobody"}, ["base/b.h:1: no file includes"]),
]

if __name__ == "__main__":
    lint.main(check, SAMPLES)
