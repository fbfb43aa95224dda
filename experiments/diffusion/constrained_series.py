"""Series under constraints of real ones: CPS beside projection, guidance, optimisation and rejection.

Every method samples from the same prior with the same noise, and is asked for series that share with a held-out window
of prices, temperatures or weather what can be said of it in linear constraints (up to about 150 of them).

What came out with the convolutional prior (three networks for each series, six replications of 24 series, default
weights; distance to the reference by dynamic time warping with 95 % intervals; prices, temperatures, weather):

    free samples              30.9 [24.0, 39.9]    29.7 [25.4, 33.7]    33.4 [31.4, 35.1]
    projection at the end     13.7 [11.8, 16.3]    6.07 [5.70, 6.86]    10.7 [10.2, 11.4]
    optimisation (COP)        11.6 [9.82, 13.4]    3.92 [3.42, 4.40]    9.46 [9.12, 9.94]
    guidance, projected       8.30 [7.49, 9.02]    3.61 [3.19, 4.09]    9.82 [9.43, 10.2]
    CPS, eta = 0              7.73 [6.59, 8.82]    3.83 [3.24, 4.32]    9.07 [8.71, 9.40]
    PDM, eta = 0              7.10 [5.89, 7.98]    3.50 [3.08, 4.00]    8.93 [8.65, 9.18]
    CPS, eta = 1              7.18 [6.70, 7.61]    3.53 [3.04, 3.91]    8.77 [8.36, 9.26]
    PDM, eta = 1              5.89 [5.60, 6.29]    3.54 [3.06, 4.03]    8.66 [8.33, 9.26]

So the paper's order holds in part. Projecting at every step is better than at the end (CPS by 6.0 [4.6, 7.4], 2.2
[1.6, 3.1] and 1.6 [1.1, 2.3], paired). PDM is not behind CPS: nearer on prices by 0.6 [0.1, 0.9], and by 1.3 [0.8,
2.0] with eta = 1, and not told apart elsewhere. A full projection at every step differs from CPS by -0.16 [-0.28,
-0.06], 0.04 [0.00, 0.08] and -0.01 [-0.02, 0.01]. Nearness is not all, though: with the Gaussian prior on prices the
exact conditional law is at 6.90 (standard error 0.1), PDM at 6.50 (0.08), nearer than samples of the law are.
Intervals are over replications and networks (`bandits.crossed`), uncorrected for their number; held-out windows
overlap, so they are too short.

A perceptron as the prior (``ts_eps``) makes series twice as rough as real ones, and free samples of prices are six
times as far off: with it figures say more of the network than of the method.

The smoke size tries the machinery, not the methods: one network for each series of 200 training steps, two replications
of 8 series, the Gaussian prior on prices only; under a minute of CPU time with training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from bandits import NeuralExperiment, register_experiment, register_trial, trial
from bandits.neural import checks
from bandits.neural.recipe_settings import SERIES
from bandits.neural.trials import Training
from bandits.specs import Spec

if TYPE_CHECKING:
    from bandits.neural.batch import Batch
    from bandits.neural.guidance import Restored

_NETWORKS = ("ts_conv", "ts_eps")
_WINDOWS = {  # of 24 moments, for validation and for the test
    "stocks": (39, 70),
    "temperatures": (53, 90),
    "weather": (29, 54),
    "water_flow": (19, 40),
    "stock_returns": (24, 45),
    "co2": (46, 85),
    "el_nino": (11, 23),
    "power_demand": (163, 273),
}
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
        series: ``stocks``, ``temperatures``, ``weather``, ``water_flow``, ``stock_returns``, ``co2``, ``el_nino`` or
            ``power_demand``; see `bandits.neural.series`.
        method: Who answers; ``exact`` draws from the conditional law, which is known for the Gaussian prior alone.
        prior: ``ts_conv`` or ``ts_eps``: a network trained on the training windows, convolutional or a perceptron.
            ``gaussian``: fitted to them, exactly denoised.
        models: Networks that differ by the seed of their training; replication r uses number r modulo this.
        train_steps: Steps of the training of each.
        samples: Series S of a replication, each with a reference of its own: as many as the split has windows at most.
        many: Whether the places and values of extremes are asked for, too.
        steps: Steps of the sampler.
        eta: Share of fresh noise in each step.
        rho: Weight of the guidance of ``diff_time``. Of six values with each prior, on validation windows: 0.03 is the
            largest with which no convolutional network runs away (perceptrons do beyond 0.001), 0.1 is best with the
            Gaussian.
        realism: Weight of the model in ``cop``; 3 was best there with every prior.
        split: ``test``, or ``validation`` to choose parameters by.
    """

    gpus = 0.25
    at_once = 8
    pilot: ClassVar = {"samples": 4}
    counts: ClassVar = ("forward", "backward")
    task: ClassVar = ("series", "prior", "models", "train_steps", "samples", "many", "split")

    @property
    def networks(self) -> int | None:
        """Networks that replications take in turn."""
        return None if self.prior == "gaussian" else self.models

    def __init__(
        self,
        *,
        series: str = "stocks",
        method: str = "cps",
        prior: str = "ts_conv",
        models: int = 3,
        train_steps: int = 1500,
        samples: int = 24,
        many: bool = True,
        steps: int = 25,
        eta: float = 0.0,
        rho: float = 0.03,
        realism: float = 3.0,
        split: str = "test",
    ) -> None:
        checks.choice("method", method, _METHODS)
        checks.choice("prior", prior, (*_NETWORKS, "gaussian"))
        checks.choice("split", split, ("test", "validation"))
        checks.choice("series", series, SERIES)
        if method == "exact" and prior != "gaussian":
            raise ValueError("the method exact needs prior='gaussian': no other conditional law is known")
        checks.whole("models", models, 1, 100, "each is trained")
        checks.at_least("train_steps", train_steps, 1)
        windows = _WINDOWS[series][("validation", "test").index(split)]
        checks.whole("samples", samples, 2, windows, f"{series} has {windows} windows for split={split!r}")
        checks.yes_or_no("many", many)
        checks.whole("steps", steps, 1, 1000)
        checks.probability("eta", eta)
        checks.not_negative("rho", rho, checks.HUGE)
        checks.not_negative("realism", realism, checks.HUGE)
        self.series, self.method, self.prior, self.split = series, method, prior, split
        self.models, self.train_steps = models, train_steps
        self.samples, self.many, self.steps, self.eta = samples, many, steps, eta
        self.rho, self.realism = rho, realism

    def needs(self) -> list[Training]:
        """The networks, where the prior is one."""
        settings = {"series": self.series, "steps": self.train_steps}
        return [Training(self.prior, seed, settings) for seed in range(self.models) if self.prior in _NETWORKS]

    def run(self, batch: Batch) -> None:
        """Log how well constraints are kept, how far the series are from their references, and how rough they are."""
        import torch

        from bandits.neural.noise import Noise
        from bandits.neural.recipes import RECIPES, schedule_of
        from bandits.neural.schedule import linear
        from bandits.neural.series import load_series

        from .constrained_study import METHODS, constraints_of, gaussian_prior, judge, pick_windows

        series = load_series(self.series)
        schedule = linear() if self.prior == "gaussian" else schedule_of(RECIPES[self.prior].settings)
        windows = series.test if self.split == "test" else series.validation
        count = self.samples
        reference = pick_windows(windows, batch.noise("reference"), count).to(batch.device)
        constraints = constraints_of(series, reference, batch.device, many=self.many)
        seeds = pick_windows(series.train, batch.noise("seeds"), count).to(batch.device)
        method, parameters = METHODS[self.method]
        if self.method != "cop":
            parameters = {**parameters, "steps": self.steps, "eta_d": self.eta}
        if method.__name__ == "diff_time":
            parameters["rho"] = self.rho

        def answer(number: int, replications: list[int]) -> tuple[list[int], Restored]:
            """Answers of the model of that number to its replications of the batch, and which lanes they are."""
            lanes = [batch.replications.index(r) * count + i for r in replications for i in range(count)]
            if self.prior == "gaussian":
                model = batch.model(("gaussian", self.series), lambda: gaussian_prior(series, schedule, batch.device))
            else:
                settings = {"series": self.series, "steps": self.train_steps}
                model = batch.trained(self.prior, number, dtype=torch.float64, **settings)
            streams = [r * self.samples + i for r in replications for i in range(count)]
            noise = Noise(batch.seed, streams, batch.device, torch.float64, ["sampling"])
            more = {"seeds": seeds[lanes], "realism": self.realism} if self.method == "cop" else {}
            return lanes, method(model, constraints.take(lanes), noise, schedule, **parameters, **more)

        numbers = {r: 0 if self.prior == "gaussian" else r % self.models for r in batch.replications}
        parts = [
            answer(number, [r for r in batch.replications if numbers[r] == number])
            for number in sorted(set(numbers.values()))
        ]
        order = torch.tensor([lane for lanes, _ in parts for lane in lanes], device=batch.device).argsort()
        shape = (batch.size, count, *series.shape)
        x, real = torch.cat([found.x for _, found in parts])[order].reshape(shape), reference.reshape(shape)
        for name, values in judge(series, constraints, x, real).items():
            batch.log(self.steps, name, values)
        batch.log(self.steps, "forward", parts[0][1].forward)
        batch.log(self.steps, "backward", parts[0][1].backward)
        if self.method == "rejection":
            accepted = torch.cat([found.flags["accepted"] for _, found in parts])[order].double()
            batch.log(self.steps, "accepted", accepted.reshape(shape[:2]).mean(1))
        first = torch.stack([x[:, 0], real[:, 0]], -1)  # (B, L, C, 2)
        scale, shift = series.scaler.scale.to(first)[-1], series.scaler.shift.to(first)[-1]
        batch.keep(f"{series.channels[-1]}, answer and reference", first[:, :, -1] * scale + shift)


def _trials(
    series: str,
    prior: str,
    methods: Sequence[str] = _METHODS,
    with_noise: Sequence[str] = ("pdm", "cps"),
    **parameters: object,
) -> list[Spec]:
    """Methods without noise in their steps, and those that are tried with it as well."""
    rho = {"ts_conv": 0.03, "gaussian": 0.1}[prior]
    same = {"series": series, "prior": prior, **parameters}
    trials = []
    for method in methods:
        own = {"rho": rho} if method.startswith("diff_time") else {}
        if method != "exact" or prior == "gaussian":
            trials.append(trial("constrained_series", method=method, **same, **own))
    return trials + [trial("constrained_series", method=method, eta=1.0, **same) for method in with_noise]


_FEW: dict[str, Any] = {"methods": ("none", "final_only", "pdm", "cps"), "samples": 16}
_SMALL: dict[str, Any] = {"with_noise": (), "samples": 8}

EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="cps",
        summary="Sampling series under the constraints of real ones: CPS and its baselines on seven real data sets.",
        trials=[
            *(t for s in SERIES[:3] for prior in ("ts_conv", "gaussian") for t in _trials(s, prior)),
            *(t for s in SERIES[3:7] for t in _trials(s, "ts_conv", **_FEW)),
        ],
        replications=18,
        seed=7,
        smoke={
            "replications": 2,
            "trials": [t for s in SERIES[:3] for t in _trials(s, "ts_conv", **_SMALL, models=1, train_steps=200)]
            + _trials("stocks", "gaussian", **_SMALL),
        },
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
