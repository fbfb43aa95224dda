"""Tables of a run as files for other programs: CSV, Parquet, and LaTeX with booktabs."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadParameter, RunFolderError, did_you_mean
from .tables import number

if TYPE_CHECKING:
    import pandas as pd

    from .analysis import Log
    from .neural.log import NeuralLog

__all__ = ["FORMATS", "NEURAL_TABLES", "TABLES", "as_latex", "latex_text", "write_table"]

FORMATS = ("csv", "parquet", "latex")

TABLES: dict[str, Callable[[Log, int | None], pd.DataFrame]] = {
    "summary": lambda log, at: log.summary(at),
    "compare": lambda log, at: log.compare(at),
    "best": lambda log, at: log.best(at),
    "slope": lambda log, at: log.slope(),
    "bound": lambda log, at: log.bound(),
    "allocation": lambda log, at: log.allocation(at),
    "parameters": lambda log, at: log.parameters(),
    "log": lambda log, at: log.to_pandas(at=at),
}


NEURAL_TABLES: dict[str, Callable[[NeuralLog, int | None], pd.DataFrame]] = {
    "summary": lambda log, at: log.summary(at),
    "compare": lambda log, at: log.compare(at=at),
    "log": lambda log, at: log.to_pandas(),
}


def write_table(opened: Log | NeuralLog, name: str, format_: str, out: Path | None, at: int | None = None) -> str:
    """Write a table of `TABLES`, of neural runs `NEURAL_TABLES`, and return the path, or without one the text itself.

    Raises:
        BadParameter: There is no such table or format, or Parquet has no file to go to.
        RunFolderError: The file cannot be written.
    """
    neural = hasattr(opened, "trials")
    tables: Mapping[str, Callable[[Any, int | None], pd.DataFrame]] = NEURAL_TABLES if neural else TABLES
    for kind, asked, known in (("table", name, tuple(tables)), ("format", format_, FORMATS)):
        if asked not in known:
            raise BadParameter(f"no {kind} '{asked}', only {', '.join(known)}.{did_you_mean(asked, known)}")
    if format_ == "parquet" and out is None:
        raise BadParameter("Parquet is no text: say where it goes with --out FILE.parquet")
    if at is not None and (name in ("slope", "bound", "parameters") or (neural and name == "log")):
        raise BadParameter(f"--at chooses a round, and the table '{name}' has no choice")
    table = tables[name](opened, at)
    try:
        if out is None:
            return table.to_csv(index=False) if format_ == "csv" else as_latex(name, table)
        out.parent.mkdir(parents=True, exist_ok=True)
        if format_ == "parquet":
            _plain(table).to_parquet(out, index=False)
        else:
            out.write_text(table.to_csv(index=False) if format_ == "csv" else as_latex(name, table), encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"cannot write {out}: {error.strerror}. Choose another --out.") from error
    return str(out)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Parameters of mixed kinds (numbers, lists, words) as text, which Parquet can hold."""
    mixed = [c for c in table.columns if c.startswith(("environment.", "agent."))]
    return table.assign(**{c: [None if v is None else str(v) for v in table[c]] for c in mixed})


def as_latex(name: str, table: pd.DataFrame) -> str:
    r"""A tabular for ``\usepackage{booktabs}``: the summary as papers print it, any other table column by column."""
    if name == "summary" and "regret" in table.columns:
        return _summary_latex(table)
    columns = [c for c in table.columns if c not in ("cell", "line")]
    rows = [[_cell(row[c]) for c in columns] for row in table.to_dict("records")]
    return _tabular([latex_text(c.replace("_", " ")) for c in columns], [("", rows)])


def _summary_latex(table: pd.DataFrame) -> str:
    bounded = bool(table["ratio"].notna().any())
    head = ["agent", "mean regret", r"95\,\% interval", *(["ratio to bound"] if bounded else [])]
    groups = []
    for environment, rows in table.groupby("environment", sort=False):
        body = []
        for row in rows.sort_values("regret").itertuples():
            interval = "--" if row.low != row.low else f"[{_cell(row.low)}, {_cell(row.high)}]"
            body.append([latex_text(row.agent), _cell(row.regret), interval, *([_cell(row.ratio)] if bounded else [])])
        t, n = int(rows["t"].iloc[0]), int(rows["replications"].max())
        groups.append((f"{latex_text(str(environment))}, $T = {t}$, {n} replications", body))
    return _tabular(head, groups)


def _tabular(head: list[str], groups: list[tuple[str, list[list[str]]]]) -> str:
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        "\\toprule",
        " & ".join(head) + r" \\",
    ]
    for title, rows in groups:
        lines.append("\\midrule")
        if title:
            lines += [f"\\multicolumn{{{len(head)}}}{{l}}{{{title}}} \\\\", "\\midrule"]
        lines += [" & ".join(row) + r" \\" for row in rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "--"
    if isinstance(value, float):
        mantissa, e, exponent = number(value).replace(",", "{,}").partition("e")
        return (
            f"${mantissa} \\times 10^{{{int(exponent)}}}$"
            if e
            else f"${mantissa}$"
            if "inf" not in mantissa
            else "$\\infty$"
        )
    return latex_text(str(value))


_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}", '"': "''",
}  # fmt: skip  # a table of characters


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it stands; Greek letters through mathematics, letters it lacks by their number."""
    return "".join(_SPECIAL.get(c) or _letter(c) for c in text)


def _letter(c: str) -> str:
    if c.isascii():
        return c if c.isprintable() else " "
    words = unicodedata.name(c, "").split()
    if words[:2] == ["GREEK", "SMALL"] and len(words) == 4 and words[3] not in ("OMICRON", "LAMDA"):
        return f"$\\{words[3].lower()}$"
    if words[:2] == ["GREEK", "SMALL"] and words[-1] == "LAMDA":
        return "$\\lambda$"
    base = unicodedata.normalize("NFKD", c)[0]
    return base if base.isascii() and base.isprintable() else f"U+{ord(c):04X}"
