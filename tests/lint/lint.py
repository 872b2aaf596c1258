# SPDX-License-Identifier: Apache-2.0
"""What every lint test shares: the files of the tree, C without its comments, and the frame of a test.

A lint test is a function check(tree) that yields findings, and samples that prove it. main() first feeds it the samples,
each a small tree in a temporary folder: a lint that finds nothing in a bad sample, or something in a good one, fails
before it looks at the real tree. A finding is printed as `file:line: what is wrong; what to do`.
"""
import os
import re
import sys
import tempfile

PRODUCT = ("base", "sensors", "config", "gateway")
SKIPPED = {"build", ".git", "__pycache__"}


class Finding:
    def __init__(self, path, line, text):
        self.path, self.line, self.text = path, line, text

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


class Tree:
    """The files under a folder, by path from there; `extra` is the command line behind the folder."""

    def __init__(self, root, extra=()):
        self.root, self.extra = root, list(extra)
        self.paths = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in SKIPPED)
            self.paths += [os.path.relpath(os.path.join(folder, name), root) for name in sorted(names)]

    def files(self, suffixes, tops=None):
        return [p for p in self.paths if p.endswith(suffixes) and (tops is None or p.split(os.sep)[0] in tops)]

    def bytes(self, path):
        with open(os.path.join(self.root, path), "rb") as file:
            return file.read()

    def text(self, path):
        return self.bytes(path).decode("utf-8", "replace")


_TOKEN = re.compile(r"""/\*.*?(?:\*/|\Z)|//(?:\\\n|[^\n])*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def without_comments(code, strings=True):
    """The code with comments blanked, and with the insides of strings too unless `strings`; lines keep their numbers."""

    def blank(match):
        token = match.group()
        if token[0] in "\"'":
            return token if strings else token[0] + " " * (len(token) - 2) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(blank, code)


_INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)""", re.M)


def includes(code):
    """(line, own header or None, system header or None) of each #include."""
    plain = without_comments(code)
    return [(plain.count("\n", 0, m.start()) + 1, m.group(1), m.group(2)) for m in _INCLUDE.finditer(plain)]


def _prove(check, samples):
    for name, files, expected in samples:
        with tempfile.TemporaryDirectory() as root:
            for path, content in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(content)
            found = [str(finding) for finding in check(Tree(root))]
        unseen = [text for text in expected if not any(text in finding for finding in found)]
        if unseen or len(found) != len(expected):
            print(f"The lint does not prove itself: sample '{name}' should give {expected}, but gave {found}.")
            return False
    if not any(expected for _, _, expected in samples) or all(expected for _, _, expected in samples):
        print("The lint does not prove itself: it needs a bad sample and a good one.")
        return False
    return True


def main(check, samples):
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} FOLDER_OF_THE_SOURCES [ARGUMENT...]")
    if not _prove(check, samples):
        sys.exit(1)
    findings = list(check(Tree(sys.argv[1], sys.argv[2:])))
    for finding in findings:
        print(finding)
    print(f"{len(samples)} samples proved the lint; {len(findings)} findings in the tree.")
    sys.exit(1 if findings else 0)
