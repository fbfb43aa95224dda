"""Series under constraints of real ones: CPS beside projection, guidance, optimisation and rejection.

Every method samples from the same prior with the same noise, and is asked for series that share with a held-out window
of prices, temperatures or weather what can be said of it in linear constraints (up to about 150 of them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bandits import NeuralExperiment, register_experiment, register_trial, trial

if TYPE_CHECKING:
    from bandits.neural.batch import Batch

_SERIES = ("stocks", "temperatures", "weather", "water_flow", "stock_returns")
_METHODS = (
    "none",
    "rejection",
    "final_only",
    "diff_time",
    "diff_time_projected",
    "cop",
    "pdm",
    "hard",
    "cps_linear",
    "cps",
    "exact",
)


@register_trial("constrained_series", source="Narasimhan et al. (2025); weights from memory")
class ConstrainedSeries:
    """A method that is asked for series with the constraints of real ones; a replication is S series.

    Args:
        series: ``stocks``, ``temperatures``, ``weather``, ``water_flow`` or ``stock_returns``.
        method: Who answers; ``exact`` draws from the conditional law, which is known for the Gaussian prior alone.
        prior: ``gaussian``: fitted to the training windows, its noise model exact.
        samples: Series S of a replication, each with a reference of its own.
        many: Whether the places and values of extremes are asked for, too.
        steps: Steps of the sampler.
        eta: Share of fresh noise in each step.
        rho: Weight of the guidance of ``diff_time``; 0.1 was best of five on the validation windows.
        realism: Weight of the model in ``cop``; 3 was best of three on the validation windows.
        split: ``test``, or ``validation`` to choose parameters by.
    """

    gpus = 0.25
    at_once = 8
    pilot: ClassVar = {"samples": 4}

    def __init__(
        self,
        *,
        series: str = "stocks",
        method: str = "cps",
        prior: str = "gaussian",
        samples: int = 24,
        many: bool = True,
        steps: int = 25,
        eta: float = 0.0,
        rho: float = 0.1,
        realism: float = 3.0,
        split: str = "test",
    ) -> None:
        for name, value, known in (
            ("method", method, _METHODS),
            ("prior", prior, ("gaussian",)),
            ("split", split, ("test", "validation")),
            ("series", series, _SERIES),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if samples < 2:
            raise ValueError(f"samples must be at least 2, got {samples}")
        if not 1 <= steps <= 1000:
            raise ValueError(f"steps must be from 1 to 1000, got {steps}")
        if not 0 <= eta <= 1:
            raise ValueError(f"eta must be in [0, 1], got {eta}")
        if rho < 0 or realism < 0:
            raise ValueError(f"rho and realism must not be negative, got {rho} and {realism}")
        self.series, self.method, self.prior, self.split = series, method, prior, split
        self.samples, self.many, self.steps, self.eta = samples, many, steps, eta
        self.rho, self.realism = rho, realism

    def run(self, batch: Batch) -> None:
        """Log how well constraints are kept, how far the series are from their references, and how rough they are."""
        import torch

        from bandits.neural.noise import Noise
        from bandits.neural.schedule import linear
        from bandits.neural.series import load_series

        from .constrained_study import METHODS, constraints_of, gaussian_prior, judge, pick_windows

        series = load_series(self.series)
        windows = series.test if self.split == "test" else series.validation
        count = min(self.samples, len(windows))
        reference = pick_windows(windows, batch.noise("reference"), count)
        constraints = constraints_of(series, reference, batch.device, many=self.many)
        schedule, dtype = linear(), torch.float64
        model = batch.model(("gaussian", self.series), lambda: gaussian_prior(series, schedule, batch.device))
        streams = [r * self.samples + i for r in batch.replications for i in range(count)]
        noise = Noise(batch.seed, streams, batch.device, dtype, ["sampling"])
        method, parameters = METHODS[self.method]
        if self.method == "cop":
            seeds = pick_windows(series.train, batch.noise("seeds"), count).to(batch.device)
            parameters = {**parameters, "seeds": seeds, "realism": self.realism}
        else:
            parameters = {**parameters, "steps": self.steps, "eta_d": self.eta}
            if method.__name__ == "diff_time":
                parameters["rho"] = self.rho
        answer = method(model, constraints, noise, schedule, **parameters)

        shape = (batch.size, count, *series.shape)
        x, real = answer.x.reshape(shape), reference.to(batch.device).reshape(shape)
        for name, values in judge(series, constraints, x, real).items():
            batch.log(self.steps, name, values)
        batch.log(self.steps, "forward", answer.forward)
        batch.log(self.steps, "backward", answer.backward)
        if "accepted" in answer.flags:
            batch.log(self.steps, "accepted", answer.flags["accepted"].double().reshape(shape[:2]).mean(1))
        batch.keep("series", series.scaler.restored(x[:, :4]))
        batch.keep("reference", series.scaler.restored(real[:, :4]))


EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="cps",
        summary="Sampling series under the constraints of real ones: CPS and its baselines on three real data sets.",
        trials=[
            trial("constrained_series", series=series, method=method)
            for series in ("stocks", "temperatures", "weather")
            for method in _METHODS
        ],
        replications=16,
        seed=7,
        smoke={"replications": 2, "*.samples": 8},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
