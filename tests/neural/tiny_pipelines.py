"""Tiny random pipelines of the real classes of diffusers and transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: the extra neural has it")
SCALED_LINEAR = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def tiny(scheduler=None, text_encoder=None, tokenizer=None, **unet_changes):
    """A pipeline of random networks: 1 M parameters, latents 4 x 8 x 8, images 3 x 16 x 16."""
    torch.manual_seed(0)
    settings = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": 8,
        "norm_num_groups": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    unet = diffusers.UNet2DConditionModel(**settings | unet_changes)
    vae = diffusers.AutoencoderKL(
        latent_channels=4,
        block_out_channels=(32, 64),
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=scheduler or ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def ddim(**changes):
    return diffusers.DDIMScheduler(**SCALED_LINEAR, set_alpha_to_one=False, clip_sample=False, **changes)


def text_encoder(folder):
    """A random CLIP text model and a tokenizer of single letters."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: the extra neural has it")
    words = ["<|startoftext|>", "<|endoftext|>", *"abc", *(f"{letter}</w>" for letter in "abc")]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=8)
    config = transformers.CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip  # the library's settings in rows
    return transformers.CLIPTextModel(config), tokenizer


def saved(folder: Path, **parts) -> Path:
    """Save a whole tiny pipeline into a folder, and return it."""
    folder.mkdir(parents=True)
    encoder, tokenizer = text_encoder(folder)
    for file in folder.iterdir():
        file.unlink()
    tiny(**{"text_encoder": encoder, "tokenizer": tokenizer, **parts}).save_pretrained(folder)
    return folder
