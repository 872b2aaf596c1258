# SPDX-License-Identifier: Apache-2.0
"""No file over 450 lines, no function over 70; the licence is each file's first line."""
import re

import lint

FILE_LINES, FUNCTION_LINES = 450, 70


def functions(code):
    """(first line, last line, name) of each function body at file level."""
    plain = lint.without_comments(code, strings=False)
    plain = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), plain, flags=re.M)
    depth, start, opened = 0, 0, None
    for at, character in enumerate(plain):
        if character == "{":
            if depth == 0 and plain[start:at].rstrip().endswith(")"):
                opened = start + len(plain[start:at]) - len(plain[start:at].lstrip())
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                if opened is not None:
                    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", plain[opened:at], flags=re.S)
                    name = re.search(r"(\w+)\s*\(", head)
                    yield plain.count("\n", 0, opened) + 1, plain.count("\n", 0, at) + 1, name.group(1) if name else "?"
                opened, start = None, at + 1
        elif character == ";" and depth == 0:
            start = at + 1


def check(tree):
    for path in tree.files((".c", ".h")):
        code = tree.text(path)
        lines = code.split("\n")
        if not lines[0].startswith("/* SPDX-License-Identifier: Apache-2.0"):
            yield lint.Finding(path, 1, "the first line is not /* SPDX-License-Identifier: Apache-2.0 */; put it there")
        if len(lines) - 1 > FILE_LINES:
            yield lint.Finding(path, FILE_LINES + 1, f"{len(lines) - 1} lines, {FILE_LINES} at most; split the file by what it does")
        for first, last, name in functions(code):
            if last - first + 1 > FUNCTION_LINES:
                yield lint.Finding(path, first, f"{name} has {last - first + 1} lines, {FUNCTION_LINES} at most; name its steps as functions")


SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
BODY = "static int\nlong_one(int a)\n{\n    struct s { int b; } c = {0};\n%s    return a;\n}\n"
SAMPLES = [
    ("good", {"base/a.c": SPDX + "struct s {\n" + "    int a;\n" * 80 + "};\n" + BODY % ("    a++;\n" * 64)}, []),
    ("long function", {"base/a.c": SPDX + "int x = 1;\n" + BODY % ('    f("}");\n' * 65)}, ["base/a.c:3: long_one has 71 lines"]),
    ("second function", {"base/a.c": SPDX + BODY % "" + BODY.replace("long_one", "other") % ("    a++;\n" * 90)}, ["other has 96 lines"]),
    ("long file", {"tests/unit/a.c": SPDX + "int a;\n" * 450}, ["tests/unit/a.c:451: 451 lines"]),
    ("no licence", {"base/a.h": "\n" + SPDX}, ["base/a.h:1:"]),
]

if __name__ == "__main__":
    lint.main(check, SAMPLES)
