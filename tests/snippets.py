"""Snippets of Markdown documents as tests: README.md and everything in docs/ is executed by what is here.

A document is read from top to bottom in one empty folder, as its reader would:

- a ``python`` block runs, in one namespace for the document, unless the paragraph above it ends with a file's name and
  a colon (... save this as `my_agent.py`:): then it is written to that file;
- an ``sh`` block runs line by line; ``bandits ...`` in this process, ``python ...`` in another, and of ``make ...`` it
  is checked that the Makefile has the target;
- a ``text`` block is what the block above it prints: to stdout, or, where it starts with "error:", to stderr with an
  exit status that says so. In it ``...`` stands for anything; times and speeds are not compared.

Where a document names a run that it has not made (``RUN``, or ``results/quickstart-20260101T000000Z``), that is the
newest run that it has made.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from bandits import registry
from bandits.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "sh", "text"}


@dataclass
class Block:
    """A fenced block: its language, its text, the line above the text, and what it is for."""

    language: str
    text: str
    line: int
    file: str | None = None
    expected: str | None = None


def blocks(document: Path) -> list[Block]:
    """Blocks that run, in order; one that nobody would know how to run is an error."""
    found: list[Block] = []
    text = document.read_text()
    end = 0
    for fence in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.S | re.M):
        language, inside = fence.groups()
        before, line = text[end : fence.start()].rstrip(), text.count("\n", 0, fence.start()) + 1
        end = fence.end()
        assert language in LANGUAGES, f"{document.name}:{line}: a block of {language or 'no language'}"
        if language == "text":
            assert found and not before, f"{document.name}:{line}: no block stands directly above this output"
            found[-1].expected = inside
            continue
        name = re.search(r"`([\w.]+)`:$", before)
        found.append(Block(language, inside, line, name[1] if name else None))
    return found


class Reader:
    """One who follows a document in an empty folder.

    Args:
        document: What is read.
        folder: The working directory.
        smaller: Replacements in shell lines, so that what takes minutes takes seconds.
    """

    def __init__(self, document: Path, folder: Path, smaller: dict[str, str]) -> None:
        self.document, self.folder, self.smaller = document, folder, smaller
        self.used: set[str] = set()
        self.namespace: dict[str, object] = {"__name__": "__main__"}

    def follow(self) -> Iterator[tuple[Block, str]]:
        """Run every block, and yield it with what it printed."""
        for block in blocks(self.document):
            if block.file is not None:
                (self.folder / block.file).write_text(block.text)
                yield block, ""
            elif block.language == "python":
                self.link_runs(block.text)
                yield block, self.run_python(block)
            else:
                yield block, "".join(self.run_shell(block))

    def run_python(self, block: Block) -> str:
        code = compile("\n" * block.line + block.text, str(self.document), "exec")  # so that tracebacks name its lines
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self.namespace)
        return printed.getvalue()

    def run_shell(self, block: Block) -> Iterator[str]:
        for line in block.text.replace("\\\n", " ").splitlines():
            for long, short in self.smaller.items():
                if long in line:
                    self.used.add(long)
                    line = line.replace(long, short)
            words = shlex.split(line, comments=True)
            if not words:
                continue
            self.link_runs(line)
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.M), line
            elif words[0] == "python":
                done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
                assert done.returncode == 0, f"{line}\n{done.stderr}"
                yield done.stdout
            else:
                assert words[0] == "bandits", f"{self.document.name}:{block.line}: who knows how to run {line!r}?"
                yield call(words[1:], fails=(block.expected or "").startswith("error:"))

    def link_runs(self, text: str) -> None:
        """Let a run that a text names, and that nobody made, be the newest of the document, or of its experiment."""
        for name in re.findall(r"\bRUN\b|results/\w+-\d{8}T\d{6}Z", text):
            stem = "*" if name == "RUN" else f"{name.removeprefix('results/').rpartition('-')[0]}-*"
            runs = [facts.parent for facts in self.folder.glob(f"results/{stem}/run.json")]
            place = self.folder / name
            if (place.is_symlink() or not place.exists()) and (made := [run for run in runs if not run.is_symlink()]):
                place.unlink(missing_ok=True)
                place.symlink_to(max(made, key=lambda run: (run / "run.json").stat().st_mtime))


def call(arguments: list[str], *, fails: bool = False) -> str:
    """What ``bandits ...`` prints."""
    with (
        as_a_new_process(),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as exit_,
    ):
        main(arguments)
    assert bool(exit_.value.code) == fails, f"bandits {shlex.join(arguments)}: {exit_.value.code}\n{err.getvalue()}"
    return err.getvalue() if fails else out.getvalue()


@contextlib.contextmanager
def as_a_new_process() -> Iterator[None]:
    """Forget, for a while, the plug-ins and the modules of the working directory that this process has loaded."""
    for kind in ("agent", "environment", "experiment"):
        registry.load_builtin(kind)
    built_in = {
        kind: {name: entry for name, entry in found.items() if entry.origin.startswith("bandits.")}
        for kind, found in registry._entries.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_plugins", {})
        patch.setattr(registry, "_entries", built_in)
        patch.setattr(sys, "path", list(sys.path))
        modules = take_local_modules()
        try:
            yield
        finally:
            take_local_modules()
            sys.modules.update(modules)


def take_local_modules() -> dict[str, ModuleType]:
    """Remove the modules that were imported from the working directory, and return them."""
    here = f"{Path.cwd()}{os.sep}"
    local = {name for name, module in sys.modules.items() if (getattr(module, "__file__", None) or "").startswith(here)}
    return {name: sys.modules.pop(name) for name in local}


def comparable(output: str) -> list[str]:
    """Lines of an output without what differs from machine to machine, and without the width of tables."""
    lines, in_speeds = [], False
    for line in output.replace(os.sep, "/").splitlines():
        in_speeds = bool(line.strip()) and (in_speeds or "run-steps/s" in line)
        if in_speeds:
            line = re.sub(r"[\d,.]+\s*$", "SPEED", line)
        line = re.sub(r"\d{8}T\d{6}Z", "TIME", line)
        line = re.sub(r"\(\d+\.\d s\)", "(SECONDS)", line)
        line = re.sub(r"\d+\.\d times as fast", "SPEED times as fast", line)
        line = " ".join(re.sub("─+", "─", line).split())
        if line:
            lines.append(line)
    return lines


def matches(expected: str, output: str) -> bool:
    """Whether an output is what a document says, ``...`` there standing for anything."""
    wanted = "\n".join(comparable(expected))
    pattern = ".*?".join(re.escape(piece) for piece in wanted.split("..."))
    return re.fullmatch(pattern, "\n".join(comparable(output)), flags=re.S) is not None
