"""Models of Llama's shape with random weights: what a benchmark runs where only the shape matters."""

from typing import Any

import torch

from subspace_illusion.core.checkpoints import Tokenizer
from subspace_illusion.core.device import pick_device
from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import bridge_model


def random_llama(dtype: str = "float32", **shape: Any) -> Model:
    """A model, always with the same weights on a kind of device, and a tokenizer that is never asked.

    Args:
        dtype: Of the weights.
        shape: What differs from transformers' ``LlamaConfig``.
    """
    from tokenizers import Tokenizer as Words
    from tokenizers.models import WordLevel
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    config = LlamaConfig(**shape)
    config.architectures = ["LlamaForCausalLM"]
    torch.manual_seed(0)
    words = PreTrainedTokenizerFast(tokenizer_object=Words(WordLevel({"<unk>": 0}, unk_token="<unk>")))
    with pick_device():  # where billions of numbers are drawn in a second
        hf_model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    return bridge_model(hf_model, Tokenizer(words), pick_device())
