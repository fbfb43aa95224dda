"""Tables for the terminal: rich where there is one, aligned text elsewhere."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .labels import tell_apart, wrapped
from .words import count

if TYPE_CHECKING:
    import pandas as pd

    from .comparison import Comparison
    from .registry import Entry
    from .runs import Finding

WIDTH = 110  # of a table of trials
CROSSED_NOTE = (
    "Pairs share item, draw of noise and network; t counts items and networks, not replications, as what was sampled."
)

__all__ = [
    "CROSSED_NOTE",
    "count_text",
    "interval_note",
    "number",
    "print_any_summary",
    "print_bench",
    "print_bound",
    "print_checks",
    "print_comparisons",
    "print_entries",
    "print_finding",
    "print_metrics",
    "print_neural_bench",
    "print_summary",
    "print_verdicts",
]


def number(value: float, digits: int = 4) -> str:
    """A number for people: ``digits`` significant figures, a dash for NaN."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf"
    if value != 0 and (abs(value) >= 10 ** (digits + 2) or abs(value) < 1e-3):
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(decimals, digits)}f}"


def print_summary(summary: pd.DataFrame) -> None:
    """Mean regret of each cell, grouped by environment, the smallest first."""
    for environment, rows in summary.groupby("environment", sort=False):
        t, n = int(rows["t"].iloc[0]), int(rows["replications"].max())
        has_bound = bool(rows["bound"].notna().any())
        bound = f"; {rows['bound_name'].iloc[0]}: {number(float(rows['bound'].iloc[0]))}" if has_bound else ""
        title = f"{environment}   T = {t:,}, {count(n, 'replication')}{bound}"
        columns = ["agent", "mean regret", "95 % interval", "ratio to bound", "M run-steps/s"]
        body = []
        for row in rows.sort_values("regret").itertuples():
            interval = f"[{number(row.low)}, {number(row.high)}]" if not math.isnan(row.low) else "-"
            agent = (
                row.agent if row.replications == n else f"{row.agent} ({row.replications} of {count(n, 'replication')})"
            )
            body.append(
                [
                    agent,
                    number(row.regret),
                    interval,
                    number(row.ratio, 3),
                    number(row.run_steps_per_s / 1e6, 3),
                ]
            )
        if not has_bound:
            columns.pop(3)
            body = [[*row[:3], row[4]] for row in body]
        _print(title, columns, body, right=range(1, len(columns)))
    print("Intervals are for the mean over replications (Student's t).", end="")
    print(" The bound is asymptotic: below it at finite T nothing is wrong." if summary["bound"].notna().any() else "")


def print_any_summary(summary: pd.DataFrame) -> None:
    """The summary of a run of agents on environments, or of a neural run."""
    (print_summary if "regret" in summary.columns else print_metrics)(summary)


def print_metrics(summary: pd.DataFrame) -> None:
    """Mean of each metric of each arm, grouped by metric and task, in order of declaration; below it what it cost."""
    short = _shortened(list(summary["trial"].unique()))
    several, chosen = bool((summary["networks"] > 1).any()), "candidates" in summary.columns
    for (task, metric), rows in summary[~summary["count"].astype(bool)].groupby(["task", "metric"], sort=False):
        body = [
            [
                short[row.trial],
                number(row.mean),
                "-" if math.isnan(row.low) else f"[{number(row.low)}, {number(row.high)}]",
                number(row.median),
                f"{row.step:,}",
                f"{row.replications:,}",
                *([str(row.networks)] if several else []),
                number(row.seconds, 3),
                *([f"the best of {row.candidates}"] if chosen else []),
            ]
            for row in rows.itertuples()
        ]
        columns = ["trial", "mean", "95 % interval", "median", "step", "replications"]
        columns += [*(["networks"] if several else []), "s per replication", *(["chosen as"] if chosen else [])]
        _print_trials(f"{metric}, {task}" if task else str(metric), columns, body)
    for task, rows in summary[summary["count"].astype(bool)].groupby("task", sort=False):
        counts = rows.pivot_table(index="trial", columns="metric", values="mean", sort=False)
        body = [[short[str(row.Index)], *(count_text(count) for count in row[1:])] for row in counts.itertuples()]
        _print_trials(f"counts, {task}" if task else "counts", ["trial", *counts.columns], body)
    print(interval_note(summary))


def count_text(count: float) -> str:
    """A mean of counts: whole where it is."""
    return f"{count:,.0f}" if count == round(count) else number(count)


def interval_note(summary: pd.DataFrame) -> str:
    """What the intervals of a neural run are for."""
    if not summary["shared"].any():
        return "Intervals are for the mean over replications (Student's t)."
    most = int(summary["networks"].max())
    return (
        "Intervals are for the mean over items and networks, where these are shared (crossed bootstrap, length of "
        "Student's t). "
        + (
            f"With {most} networks they are wide wherever networks differ, and cover a little less than they say."
            if most > 1
            else "With one network they say nothing of others."
        )
    )


def print_comparisons(found: Sequence[Comparison], best: pd.DataFrame | None) -> None:
    """A sentence for each pair, grouped by environment, and who is best how surely."""
    by_environment: dict[str, list[Comparison]] = {}
    for one in found:
        by_environment.setdefault(one.environment, []).append(one)
    for environment, pairs in by_environment.items():
        separated = sum(one.separated for one in pairs)
        print(f"{environment}   {separated} of {count(len(pairs), 'pair')} separated at alpha = {pairs[0].alpha:g}")
        for one in pairs:
            print(f"  {one.line}")
        if best is not None:
            rows = best[best["environment"] == environment].sort_values("chance_best_mean", ascending=False)
            body = [
                [r.agent, number(r.mean), number(100 * r.share_best, 3), number(100 * r.chance_best_mean, 3)]
                for r in rows.itertuples()
            ]
            columns = ["agent", f"mean {pairs[0].column}", "best in % of replications", "best mean, probability in %"]
            _print("", columns, body, right=range(1, 4))
    family = "the pairs of each group" if found[0].when else "the pairs of each environment"
    family = family if len(by_environment) > 1 else f"the {len(found)} pair(s)"
    print(
        f"p-values of t tests, corrected by Holm over {family}; intervals are those of each pair alone"
        + ("; probabilities from the bootstrap." if best is not None else ".")
    )
    if any(one.pairs for one in found):
        print(CROSSED_NOTE)


def print_verdicts(verdicts: pd.DataFrame) -> None:
    """What the sequential test says, with a warning against reading fixed-size p-values."""
    counts = verdicts["state"].value_counts()
    states = ", ".join(
        f"{counts[state]} {state}" for state in ("separated", "equivalent", "same", "open") if state in counts
    )
    alpha = verdicts["alpha"].iloc[0]
    pairs = count(len(verdicts), "pair")
    print(f"Sequential test of {pairs}: {states}. Any wrong claim has probability at most {alpha:g}.")
    for environment, rows in verdicts.groupby("environment", sort=False):
        print(environment)
        for line in rows["line"]:
            print(f"  {line}")
    print(
        "This run went on until its agents separated: its claims are these. p-values and intervals of single pairs "
        "elsewhere are for a size fixed in advance and look surer than they are."
    )


def print_entries(group: str, found: Sequence[Entry]) -> None:
    """Name, what it is, source."""
    _print(
        f"{group} ({len(found)})",
        ["name", "what it is", "source"],
        [[e.name, e.summary, e.source] for e in found],
    )


def print_bench(rows: Sequence[dict[str, Any]]) -> None:
    """Nanoseconds per run-step beside the floor."""
    body = [
        [
            r["workload"],
            r["what"],
            f"{r['ns_per_run_step']:.2f}",
            f"{r['floor_ns']:.2f}",
            f"{r['ratio']:.2f}",
            str(r["batch"]),
        ]
        for r in rows
    ]
    columns = ["workload", "what", "ns per run-step", "floor: random numbers", "ratio", "batch"]
    _print("One core, CPU time, environment and 200 checkpoints included", columns, body, right=range(2, 6))


def print_neural_bench(found: dict[str, Any]) -> None:
    """Seeds per second of a batch beside one seed at a time, and below it how busy a GPU was."""
    columns = ["what", "batch", "seeds per s", "one at a time", "ratio", "target"]
    speeds = [number(found[name], 3) for name in ("seeds_per_s", "alone_seeds_per_s")]
    least = f"at least {found['ratio_target']:g}"
    body = [[found["what"], str(found["batch"]), *speeds, f"{found['ratio']:.2f}", least]]
    title = f"{found['device']}, torch {found['torch']}: {found['clock']}, median of {found['repeats']}"
    _print(f"{title}; weights: {found['weights']}", columns, body, right=range(1, 6))
    print(f"The two log the same within a relative {found['largest_difference']:.1g}.")
    if found["gpu_busy"] is None:
        print(found["gpu_note"])
    else:
        busy, target = found["gpu_busy"], found["gpu_busy_target"]
        print(f"The GPU was busy {busy:.0%} of the time while sampling; target {target:.0%}.")


def print_bound(means: Sequence[float], answer: dict[str, Any]) -> None:
    """The allocation of `bandits bound`, arm by arm, and below it the bound itself."""
    horizon, best = answer.get("horizon"), max(means)
    columns = ["arm", "mean", "gap", "plays per ln T", "price of information", ""]
    body = []
    for i, (mean, plays, price) in enumerate(zip(means, answer["allocation"], answer["dual"], strict=True)):
        binds = i in answer["binding"]
        remark = ("never seen" if answer["status"] == "infinite" else "binding") if binds else ""
        shown = ["free" if mean == best and plays == 0 else _or_dash(plays), _or_dash(price)]
        body.append([str(i), number(mean), number(best - mean), *shown, remark])
        if horizon:
            body[-1].insert(4, "free" if shown[0] == "free" else _or_dash(plays and plays * math.log(horizon)))
    if horizon:
        columns.insert(4, f"plays by T = {horizon:,}")
    _print("", columns, body, right=range(1, len(columns) - 1))
    kind = {"lp": "linear program", "graves_lai": "exact Graves-Lai constant"}[answer["kind"]]
    value, exact = (math.inf if answer[key] is None else answer[key] for key in ("value", "graves_lai"))
    print(f"regret per ln T    {number(value, 8)}  ({kind}; solver: {answer['solver']})")
    if answer["kind"] == "lp" and exact != value:
        print(f"exact constant     {number(exact, 8)}  (Graves-Lai; the best arm does not see itself)")
    if horizon:
        print(f"regret by T        {number(math.inf if answer['regret'] is None else answer['regret'], 8)}")
    if "finite_time" in answer:
        _print_finite_time(answer["finite_time"])
    if answer["status"] == "infinite":
        print("An arm that nobody sees may be the best one: no policy is consistent.")
    if answer["status"] == "free":
        print("Playing the best arm shows all that matters: regret grows more slowly than ln T.")


def _print_finite_time(found: dict[str, Any]) -> None:
    regret = math.inf if found["regret"] is None else found["regret"]
    cap, largest = number(found["regret_cap"]), number(found["largest_mean"])
    print(
        f"at T itself        {number(regret, 8)}  (EXPERIMENTAL: recalled from memory of Wu et al. 2015, not checked;"
    )
    print(f"                   for policies of regret at most {cap} wherever means lie in [0, {largest}])")
    if found["regret"] is None:
        print("By this formula no policy keeps to that cap over so many rounds.")


def _or_dash(value: float | None) -> str:
    return "-" if value is None else number(value)


def print_finding(finding: Finding) -> None:
    """One line per verified cell."""
    lacks = f"; {count(finding.missing, 'replication')} not run yet" if finding.missing else ""
    if not finding.replications:
        print(f"EMPTY    {finding.label}: nothing to compare{lacks}")
    elif finding.differing:
        print(f"DIFFERS  {finding.label}: replications {finding.differing} do not match their log{lacks}")
        if finding.why:
            print(f"         {finding.why}")
    else:
        how = "every bit" if not finding.tolerance else f"within {finding.tolerance:g}, on another device or torch"
        print(f"same     {finding.label}: {count(len(finding.replications), 'replication')}, {how}{lacks}")


def print_checks(checks: Sequence[dict[str, Any]]) -> None:
    """What `doctor` found."""
    body = [
        ["ok" if c["ok"] else "missing" if c["required"] else "-", c["name"], c["found"], c["remedy"]] for c in checks
    ]
    _print("", ["", "what", "found", "what to do"], body)


def _shortened(labels: Sequence[str]) -> dict[str, str]:
    """Short labels of trials, once what they share has been printed."""
    short, shared = tell_apart(labels)
    for line in shared:
        print(line)
    return dict(zip(labels, short, strict=True))


def _print_trials(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of trials in `WIDTH` letters; what is counted alike in all rows stands above it."""
    found = dict(zip(columns, zip(*rows, strict=True), strict=True))
    alike = [name for name in ("step", "replications", "networks") if len(set(found.get(name, ()))) == 1]
    facts = "".join(f"   {name} {found[name][0]}" for name in alike)
    first, *kept = (name for name in columns if name not in alike)
    heads = [name.replace(" per ", " per\n") for name in kept]
    taken = sum(3 + max(map(len, [*head.split("\n"), *found[name]])) for head, name in zip(heads, kept, strict=True))
    labels = [wrapped(label, max(30, WIDTH - taken)) for label in found[first]]
    body = list(zip(labels, *(found[name] for name in kept), strict=True))
    _print(title + facts, [first, *heads], body, right=range(1, len(columns)))


def _print(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Any = ()) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:  # a pipe or a file must not wrap or cut
        console = Console(highlight=False, width=max(200, shutil.get_terminal_size().columns), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    if title:
        console.print(escape(title), style="bold")
    console.print(table)
