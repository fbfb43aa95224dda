"""Trials of inverse problems: a method, an operator, and digits or a mixture whose posterior is known.

Nothing here imports torch until a trial runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from bandits import register_trial
from bandits.neural.checks import HUGE, at_least, choice, not_negative, probability, share, whole
from bandits.neural.recipe_settings import SETTINGS
from bandits.neural.trials import Training

if TYPE_CHECKING:
    from torch import Tensor

    from bandits.neural.batch import Batch
    from bandits.neural.guidance import Restored
    from bandits.neural.noise import Noise

__all__ = ["PIXEL", "TAKES", "Restore", "RestoreDigits", "RestoreMixture"]

OPERATORS = ("random", "box", "pool", "gaussian_blur", "motion_blur")
HIDING = ("random", "box", "pool")  # a blur may let everything pass
_GUIDED = ("steps", "omega", "loss", "eta_d")
_STSL = ("steps", "omega", "loss", "start_from")
TAKES: Mapping[str, tuple[str, ...]] = {  # what each method may be told
    "zero_fill": ("projection",),
    "codec_ceiling": (),
    "exact": (),
    "dps": _GUIDED,
    "mcg": (*_GUIDED, "projection"),
    "ddrm": ("steps", "eta", "sigma_y"),
    "latent_dps": _GUIDED,
    "gml_dps": (*_GUIDED, "gamma"),
    "psld": (*_GUIDED, "gamma", "projection"),
    "stsl": (*_STSL, "eta", "inner", "trace_mode", "trace_weight"),
    "stsl_biased": _STSL,
}
CHOICES = {
    "loss": ("norm", "sq"),
    "projection": ("adjoint", "pinv"),
    "start_from": ("gaussian", "ddim_forward"),
    "trace_mode": ("paper", "small_delta"),
    "trace_weight": ("const", "kappa"),
}
PIXEL = ("dps", "mcg", "ddrm")
ROLES = {"ae16": "codec", "lat_eps": "latent", "pix_eps": "pixel", "digit_classifier": "judge"}


class Restore:
    """What the trials are told.

    Args:
        method: zero_fill, codec_ceiling, dps, mcg, ddrm, latent_dps, gml_dps, psld, stsl or stsl_biased.
        operator: random (inpainting), box (inpainting), pool (super-resolution), gaussian_blur or motion_blur.
        sigma_y: Standard deviation of the measurement's noise.
        steps: Steps of the sampler.
        options: Parameters of the method, such as ``{"omega": 1.0, "gamma": 0.1}``; its own defaults otherwise.
    """

    gpus: ClassVar = 0.25
    larger_is_better: ClassVar = ("classifier_agreement", "truth_agreement")
    pilot: ClassVar = {"steps": 4}
    methods: ClassVar[Sequence[str]] = tuple(name for name in TAKES if name != "exact")
    smaller_is_better: ClassVar = ("observed_mse", "hidden_mse", "energy_distance", "mean_error")
    counts: ClassVar = ("nfe_forward", "nfe_backward")
    task: ClassVar[tuple[str, ...]] = ("operator", "sigma_y")

    @property
    def control(self) -> bool:
        """Whether it is a floor or a bound."""
        return self.method in ("zero_fill", "codec_ceiling", "exact")

    def __init__(
        self, method: str, operator: str, sigma_y: float, steps: int, options: Mapping[str, Any] | None
    ) -> None:
        choice("method", method, self.methods)
        choice("operator", operator, OPERATORS)
        not_negative("sigma_y", sigma_y, HUGE)
        whole("steps", steps, 1, 1000)
        if options is not None and not isinstance(options, Mapping):
            raise ValueError(f"options must be parameters of the method, such as {{'omega': 1.0}}, got {options!r}")
        options = dict(options or {})
        if unknown := sorted(set(options) - set(TAKES[method]) | set(options) & {"steps", "sigma_y"}):
            known = [name for name in TAKES[method] if name not in ("steps", "sigma_y")]
            raise ValueError(f"{method} takes no option '{unknown[0]}': it takes {', '.join(known) or 'none'}")
        for name, value in options.items():
            _check_option(method, name, value)
        self.method, self.operator, self.sigma_y, self.steps = method, operator, sigma_y, steps
        own = {"steps": steps, "sigma_y": sigma_y, "identify": False}
        takes = (*TAKES[method], *(("identify",) if method == "psld" else ()))
        self.parameters = options | {name: value for name, value in own.items() if name in takes}

    def _log(self, batch: Batch, run: Restored, x: Tensor, operator: Any, truth: Tensor) -> None:
        """Log errors of x, one image for each replication, and the evaluations made; keep truth and x."""
        from bandits.neural.image_metrics import psnr, seen_and_hidden_error, ssim

        seen, hidden = seen_and_hidden_error(operator, x, truth)
        batch.log(self.steps, "psnr", psnr(x, truth))
        batch.log(self.steps, "ssim", ssim(x, truth))
        batch.log(self.steps, "observed_mse", seen)
        if self.operator in HIDING:
            batch.log(self.steps, "hidden_mse", hidden)
        batch.log(self.steps, "nfe_forward", float(run.forward))
        batch.log(self.steps, "nfe_backward", float(run.backward))
        batch.keep("truth", self.picture(truth))
        batch.keep("restored", self.picture(x))

    def picture(self, x: Tensor) -> Tensor:
        """What is kept of images for the report."""
        return x


def _check_option(method: str, name: str, value: Any) -> None:
    """Refuse what the method would refuse, but before any model is trained for it."""
    if name in CHOICES:
        choice(name, value, CHOICES[name])
    elif name == "inner":
        at_least(name, value, 1)
    elif name == "eta_d" or (method == "ddrm" and name == "eta"):
        probability(name, value)
    else:
        not_negative(name, value, HUGE)


@register_trial("restore_digits", source="Rout et al. (NeurIPS 2023; CVPR 2024), in small")
class RestoreDigits(Restore):
    """Restore scikit-learn's digits with networks trained on the spot; replication r takes image r of its part.

    Args:
        method, operator, sigma_y, steps, options: What is done.
        part: "test", or "validation" to choose parameters by.
        model_seed: Seed of the networks.
        training: Share of the recipes' training steps; less than 1 makes poor networks fast.
    """

    at_once: ClassVar = 600  # of so small networks: half of the time of 64 on a CPU, and a GPU hardly notices either
    pooled: ClassVar = ("model_seed",)
    task: ClassVar = ("operator", "sigma_y", "part", "training")

    def __init__(
        self,
        *,
        method: str = "psld",
        operator: str = "random",
        sigma_y: float = 0.05,
        steps: int = 200,
        options: Mapping[str, Any] | None = None,
        part: str = "test",
        model_seed: int = 0,
        training: float = 1.0,
    ) -> None:
        super().__init__(method, operator, sigma_y, steps, options)
        if part not in ("test", "validation"):
            raise ValueError(f"part is 'test' or 'validation', not {part!r}")
        at_least("model_seed", model_seed, 0)
        share("training", training, "the recipes' steps")
        self.part, self.model_seed, self.training = part, model_seed, training

    @property
    def items(self) -> int:
        """Images of the part: replication r takes image r of them, with a mask and a start of its own."""
        return {"test": 200, "validation": 97}[self.part]

    def needs(self) -> Sequence[Training]:
        """The codec and the noise model of the method, and the classifier that judges what comes out."""
        return [*self._networks(), Training("digit_classifier")]

    def _networks(self) -> list[Training]:
        codec, eps = (max(1, round(SETTINGS[name]["steps"] * self.training)) for name in ("ae16", "lat_eps"))
        if self.method == "zero_fill":
            return []
        if self.method in PIXEL:
            return [Training("pix_eps", self.model_seed, {"steps": eps})]
        trainings = [Training("ae16", self.model_seed, {"steps": codec})]
        if self.method != "codec_ceiling":
            trainings.append(Training("lat_eps", self.model_seed, {"steps": eps, "codec_steps": codec}))
        return trainings

    def run(self, batch: Batch) -> None:
        """Log psnr, ssim, errors, the classifier's agreement and evaluations; keep truth, measured and restored.

        ``classifier_agreement`` is 1 where the classifier takes the restored image for the digit that it is; of the
        true image the control "codec_ceiling" logs the same, as ``truth_agreement``.
        """
        import torch

        from bandits.neural.data import load_digits
        from bandits.neural.image_metrics import classifier_agreement
        from bandits.neural.operators import measure
        from bandits.neural.recipes import RECIPES, schedule_of

        from .restoration import operator_of, restore

        images, double = getattr(load_digits(), self.part), torch.float64
        truth = images[[r % len(images) for r in batch.replications]].to(batch.device, double)
        operator = operator_of(self.operator, tuple(truth.shape[1:]), batch.noise("operator", dtype=double))
        y = measure(operator, truth, self.sigma_y, batch.noise("measurement", dtype=double))
        models: dict[str, Any] = {
            ROLES[need.recipe]: batch.trained(need.recipe, need.seed, dtype=double, **need.settings)
            for need in self.needs()
        }
        judge = models.pop("judge")
        noise = batch.noise("sampling", dtype=double)
        schedule = schedule_of(RECIPES["pix_eps" if self.method in PIXEL else "lat_eps"].settings)
        run = restore(self.method, operator, y, noise, schedule, truth=truth, **models, **self.parameters)
        self._log(batch, run, run.x, operator, truth)
        labels = getattr(load_digits(), f"{self.part}_labels")[[r % len(images) for r in batch.replications]]
        batch.log(self.steps, "classifier_agreement", classifier_agreement(judge, run.x, labels))
        if self.method == "codec_ceiling":
            batch.log(self.steps, "truth_agreement", classifier_agreement(judge, truth, labels))
        batch.keep("measured", operator.At(y))


@register_trial("restore_mixture", source="derived: the posterior is known in closed form")
class RestoreMixture(Restore):
    """Restore images drawn from a mixture of Gaussians, with its exact score, and compare with the exact posterior.

    Images of 8 x 8 pixels are the first 8 cosines times latents of a mixture of 4 Gaussians; methods on latents and
    methods on pixels have one posterior. The method "exact" draws from it: what it measures is the floor.

    Args:
        method, operator, sigma_y, steps, options: What is done.
        chains: Samples that are drawn for each measurement.
    """

    methods: ClassVar[Sequence[str]] = tuple(name for name in TAKES if name != "codec_ceiling")
    at_once: ClassVar = 16

    def __init__(
        self,
        *,
        method: str = "psld",
        operator: str = "random",
        sigma_y: float = 0.1,
        steps: int = 200,
        options: Mapping[str, Any] | None = None,
        chains: int = 64,
    ) -> None:
        super().__init__(method, operator, sigma_y, steps, options)
        if sigma_y == 0:
            raise ValueError("sigma_y must be positive: without noise the posterior has no density")
        whole("chains", chains, 2, 10_000)
        self.chains = chains

    def run(self, batch: Batch) -> None:
        """Log energy_distance, mean_error and spread_ratio against the posterior, and errors of the first chain."""
        import torch

        from bandits.neural.guidance import Restored
        from bandits.neural.image_metrics import energy_distance
        from bandits.neural.operators import measure

        from .cosine_mixture import SHAPE, CosineMixture
        from .restoration import Chains, operator_of, restore

        def noise(stream: str) -> Noise:
            return batch.noise(stream, dtype=torch.float64)

        model = batch.model("cosine_mixture", lambda: CosineMixture(batch.device, torch.float64))
        truth = model.codec.decode(model.latent.law.sample(noise("data")))
        operator = operator_of(self.operator, SHAPE, noise("operator"))
        y = measure(operator, truth, self.sigma_y, noise("measurement"), bounds=None)
        posterior = model.posterior(operator, y, self.sigma_y)
        chains = Chains(noise("sampling"), self.chains)
        if self.method == "exact":
            z = posterior.repeated(self.chains).sample(chains)
            run = Restored(model.codec.decode(z), z)
        else:
            repeated = operator_of(self.operator, SHAPE, noise("operator"), self.chains)
            models: dict[str, Any] = {"latent": model.latent, "codec": model.codec, "pixel": model.pixel}
            y = y.repeat_interleave(self.chains, 0)
            run = restore(self.method, repeated, y, chains, model.schedule, **models, **self.parameters)
        found = run.x.reshape(batch.size, self.chains, -1)
        several = 4 * self.chains
        draws = posterior.repeated(several).sample(Chains(noise("posterior"), several))
        exact = model.codec.decode(draws).reshape(batch.size, several, -1)
        mean, spread = model.codec.decode(posterior.mean()).flatten(1), posterior.covariance().diagonal(dim1=1, dim2=2)
        batch.log(self.steps, "energy_distance", energy_distance(found, exact))
        batch.log(self.steps, "mean_error", (found.mean(1) - mean).norm(dim=1))
        batch.log(self.steps, "spread_ratio", found.var(1).sum(1) / spread.sum(1))
        self._log(batch, run, run.x[:: self.chains], operator, truth)
