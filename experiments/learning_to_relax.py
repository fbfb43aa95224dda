"""Tuning SOR across a sequence of linear systems (Khodak, Chow, Balcan and Talwalkar, ICLR 2024).

Every round is a system ``(A_0 + c I) x = b`` on a 10 x 10 grid, every arm one of 20 values of omega, and the cost the
number of iterations; 5000 rounds, 40 trials, contexts c of high and of low variance. Learners (Tsallis-INF, its copy
per bin of c, and ChebCB) against the fixed values 1, 1.2, 1.4, 1.6 and 1.8 and the omega of least spectral radius for
each c. All of them meet the same systems. Some minutes on two cores; seconds with --smoke.

Cost against time for every comparator, as the paper draws it, from the log of a run:

    from bandits.experiments import save_cost

    save_cost("results/learning_to_relax-20260101T000000Z")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bandits import Experiment, agent, environment, load, register_experiment
from bandits.errors import BadParameter

__all__ = ["save_cost"]

EXPERIMENT = register_experiment(
    Experiment(
        name="learning_to_relax",
        summary="Tuning SOR across a sequence of linear systems: learners, fixed omegas and instance-optimal play.",
        environments=[environment("relaxation", variance="high"), environment("relaxation", variance="low")],
        agents=[
            *(agent("fixed_omega", omega=omega) for omega in (1.0, 1.2, 1.4, 1.6, 1.8)),
            agent("tsallis_inf_binned", bins=1),
            agent("tsallis_inf_binned", bins=5),
            agent("chebcb"),
            agent("instance_optimal"),
        ],
        horizon=5000,
        replications=40,
        seed=2024,
        smoke={"horizon": 200, "replications": 4},
    ),
    source="Khodak, Chow, Balcan and Talwalkar (2024)",
)


def save_cost(
    place: str | Path, out: str | Path | None = None, comparators: Sequence[str] = ("optimal_iterations",)
) -> Path:
    """Draw the mean cost of the first t rounds against t, for every agent of a run, and return the file.

    Bands are 95 % intervals for the mean over the replications.

    Args:
        place: Run folder whose rewards are minus costs.
        out: PNG, SVG or PDF; by default ``figures/cost.png`` in the run folder.
        comparators: Columns in which the environment logs total costs of others, drawn in black.

    Raises:
        BadParameter: The log has no such column, or the file has another ending.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    log = load(place)
    path = Path(place) / "figures" / "cost.png" if out is None else Path(out)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BadParameter(f"a figure ends in .png, .svg or .pdf, got {path}")
    for missing in set(comparators) - set(log.to_pandas(at=log.cells[0].horizon).columns):
        raise BadParameter(
            f"the log of {place} has no column '{missing}': its environment does not log this comparator"
        )
    environments = list(dict.fromkeys(facts.environment for facts in log.cells))
    figure = Figure(figsize=(5.6 * len(environments) + 0.4, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(environments), squeeze=False)[0]
    for panel, name in zip(panels, environments, strict=True):
        here = [facts for facts in log.cells if facts.environment == name]
        for i, facts in enumerate(here):
            _draw(panel, log.curve(facts, "reward"), -1.0, {"label": facts.agent, **_style(i)})
        for column, line in zip(comparators, (":", "--", "-."), strict=False):
            style = {"label": column.replace("_", " "), "color": "black", "linestyle": line}
            _draw(panel, log.curve(here[0], column), 1.0, style)
        panel.set(title=name, xlabel="round t", ylabel="mean cost of the first t rounds", xscale="log", yscale="log")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("{x:g}")
        panel.grid(alpha=0.25, which="both")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def _style(i: int) -> dict[str, Any]:
    return {"color": f"C{i % 8}", "linestyle": ("-", "--")[i // 8 % 2]}


def _draw(panel: Any, curve: Any, sign: float, style: dict[str, Any]) -> None:
    panel.plot(curve.t, sign * curve.mean / curve.t, linewidth=1.5, **style)
    low, high = ((sign * curve.mean + side * curve.half_width) / curve.t for side in (-1, 1))
    panel.fill_between(curve.t, low, high, color=style["color"], alpha=0.15, linewidth=0)


if __name__ == "__main__":
    EXPERIMENT.main()
