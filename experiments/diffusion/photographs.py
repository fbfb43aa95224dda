"""A trial of inverse problems on photographs, with a pre-trained pipeline of the Stable Diffusion family.

Nothing here imports torch until a trial is checked or runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from bandits import register_trial, trial
from bandits.neural.checks import HUGE, choice, not_negative, text, whole, yes_or_no
from bandits.neural.errors import AdapterError, ScheduleError
from bandits.specs import Spec

from .restoration_trials import PIXEL, TAKES, Restore

if TYPE_CHECKING:
    from torch import Tensor

    from bandits.neural.batch import Batch

__all__ = ["RestorePhotographs", "on_photographs", "weights_of"]

LATENT = tuple(name for name in TAKES if name not in (*PIXEL, "exact"))
MOST = 4096  # pixels on a side of an image
KEPT = 256  # pixels on a side of a picture for the report


def weights_of(method: str, operator: str) -> dict[str, float]:
    """Weights of the losses for Stable Diffusion at 512 pixels.

    In the authors' code of PSLD they are omega 0.1 and gamma 0.01 for the box, and omega 1 and gamma 0.1, the script's
    own defaults and those of the functions here, where it says nothing else. That the controls of PSLD get the weights
    of PSLD is this project's choice; those of STSL are not known, and stay at the defaults.
    """
    box = {"omega": 0.1, "gamma": 0.01} if operator == "box" and not method.startswith("stsl") else {}
    return {name: value for name, value in box.items() if name in TAKES[method]}


def on_photographs(method: str, operator: str, steps: int, title: str = "", **more: Any) -> Spec:
    """Declare a restoration of photographs, with the weights of `weights_of` where ``options`` names none."""
    options = {**weights_of(method, operator), **more.pop("options", {})}
    declared = trial("restore_photographs", method=method, operator=operator, steps=steps, options=options, **more)
    return declared.named(f"{title or method}, {operator}")


@register_trial("restore_photographs", source="Rout et al. (NeurIPS 2023; CVPR 2024)")
class RestorePhotographs(Restore):
    """Restore photographs with a pre-trained pipeline of the Stable Diffusion family, given by ``--model``.

    Replication r takes image r of ten that come inside scikit-learn and scikit-image (`bandits.neural.data`), then the
    first again, each time with a mask, a measurement and a start of its own. psnr and ssim are of all pixels, clipped
    to [-1, 1], at the size of the restoration; pictures are kept at no more than 256 pixels on a side, in 256 levels.

    Args:
        method, operator, sigma_y, steps, options: What is done; methods on pixels are left out, for the pipeline has
            no network on pixels.
        model: Folder of the pipeline, or its name in the local cache of the hub.
        weights: Digest that the pipeline must have; ``--model`` fills it in. It, and not the folder, is part of what a
            cell is.
        size: Pixels on a side of the images; 0 is what the pipeline was made for.
        factor: Of pool: pixels on a side of a block.
        prompt: What the network is told; the empty one in the authors' code.
        scale: Weight of classifier-free guidance; of no effect where the prompt is empty.
        dtype: float32, bfloat16 or float64, of the networks; with float64 all else is computed in it, too. In float32
            rounding, which differs with the size of a batch, is amplified to some 2e-5 where STSL starts by inversion.
        checkpointing: Trade time for memory in gradients through the networks.
    """

    gpus: ClassVar = 1.0
    at_once: ClassVar = 2  # a guess for 512 pixels with gradients through UNet and VAE; halved where it does not fit
    pilot: ClassVar = {"steps": 1}
    methods: ClassVar[Sequence[str]] = LATENT
    where: ClassVar = {"model": "weights"}
    task: ClassVar = ("operator", "sigma_y", "size", "factor")

    def __init__(
        self,
        *,
        method: str = "psld",
        operator: str = "box",
        model: str = "",
        weights: str = "",
        sigma_y: float = 0.05,
        steps: int = 1000,
        options: Mapping[str, Any] | None = None,
        size: int = 0,
        factor: int = 4,
        prompt: str = "",
        scale: float = 1.0,
        dtype: str = "float32",
        checkpointing: bool = False,
    ) -> None:
        super().__init__(method, operator, sigma_y, steps, options)
        whole("size", size, 0, MOST)
        whole("factor", factor, 2, MOST)
        not_negative("scale", scale, HUGE)
        for name, value in (("model", model), ("weights", weights), ("prompt", prompt)):
            text(name, value)
        yes_or_no("checkpointing", checkpointing)
        if dtype == "float16":
            raise AdapterError("float16 overflows in gradients through the VAE: dtype is bfloat16, float32 or float64")
        choice("dtype", dtype, ("float32", "bfloat16", "float64"))
        if not model:
            raise ValueError("model is the folder of a Stable Diffusion pipeline: give it with --model")
        self.model, self.weights, self.size, self.factor = model, weights, size, factor
        self.prompt, self.scale, self.dtype, self.checkpointing = prompt, scale, dtype, checkpointing

    @property
    def items(self) -> int:
        """Photographs: replication r takes photograph r of them, with a mask and a start of its own."""
        from bandits.neural.data import PHOTOGRAPHS

        return len(PHOTOGRAPHS)

    def check(self) -> None:
        """Refuse a pipeline that is missing, cannot be used, or is another; a size or steps that do not fit it."""
        from bandits.neural.pretrained import examine, expect

        found = examine(self.model)
        expect(self.model, found.digest, self.weights)
        side = found.side_of(self.size)
        if self.operator == "pool" and side % self.factor:
            raise AdapterError(f"blocks of {self.factor} x {self.factor} do not tile images of {side} pixels")
        if self.steps > found.indices:
            raise ScheduleError(f"the pipeline was trained on {found.indices} noise levels, got {self.steps} steps")

    def run(self, batch: Batch) -> None:
        """Log psnr, ssim, observed_mse, hidden_mse and the evaluations made; keep truth, measured and restored."""
        import torch

        from bandits.neural.data import PHOTOGRAPHS, load_photographs
        from bandits.neural.operators import measure

        from .restoration import photograph_operator, restore

        own = torch.float64 if self.dtype == "float64" else torch.float32  # of latents and images
        pipeline = batch.pretrained(self.model, self.weights, dtype=self.dtype, checkpointing=self.checkpointing)
        side = self.size or pipeline.image_shape[-1]
        truth = load_photographs([r % len(PHOTOGRAPHS) for r in batch.replications], side).to(batch.device, own)
        draws = batch.noise("operator", dtype=own)
        operator = photograph_operator(self.operator, tuple(truth.shape[1:]), draws, self.factor)
        y = measure(operator, truth, self.sigma_y, batch.noise("measurement", dtype=own))
        parameters = dict(self.parameters)
        if self.method not in ("zero_fill", "codec_ceiling"):
            parameters |= {"offset": pipeline.first(self.steps), "cond": pipeline.prompt(self.prompt)}
            if self.scale != 1 and self.prompt:
                parameters |= {"scale": self.scale, "uncond": pipeline.prompt("")}
        noise = batch.noise("sampling", dtype=own)
        run = restore(
            self.method,
            operator,
            y,
            noise,
            pipeline.schedule,
            latent=pipeline,
            codec=pipeline,
            truth=truth,
            **parameters,
        )
        self._log(batch, run, run.x.clamp(-1, 1), operator, truth)
        batch.keep("measured", self.picture(operator.pinv(y) if self.operator == "pool" else operator.At(y)))

    def picture(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) as a report shows them: averaged down, in 256 levels, which take little room."""
        from torch.nn import functional

        blocks = -(-x.shape[-1] // KEPT)
        small = functional.avg_pool2d(x, blocks) if blocks > 1 else x
        return ((small.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
