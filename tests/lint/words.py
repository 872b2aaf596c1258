# SPDX-License-Identifier: Apache-2.0
"""Words that stay out of the tree: notes to oneself, and absolute paths of the machine it was written on."""
import re

import lint

# Put together from halves, so that this file may be checked as well.
NOTES = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
PATHS = re.compile(r"(?<![\w.~-])/(?:wo" + r"rk|home/\w+|ro" + r"ot)/")


def check(tree):
    for path in tree.paths:
        data = tree.bytes(path)
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
            note, place = NOTES.search(line), PATHS.search(line)
            if note:
                yield lint.Finding(path, number, f"'{note.group()}' in the tree; do it now, or open an issue")
            if place:
                yield lint.Finding(path, number, f"'{place.group()}' is a path of one machine; use a path from the root of the tree")


SAMPLES = [
    ("good", {"a.md": "method mastodon; mktemp yanhuo.XXXXXX; framework/x, ../work/x, file://x/home\n", "b.bin": "\0 " + "TO" + "DO"}, []),
    ("note", {"base/a.c": "\n// TO" + "DO: later\n"}, ["base/a.c:2: 'TO" + "DO'"]),
    ("path", {"a.sh": "cd /wo" + "rk/main\n"}, ["a.sh:1:"]),
]

if __name__ == "__main__":
    lint.main(check, SAMPLES)
