"""Small models with random weights, one for each shape of architecture, and a tokenizer of the project's own words.

``python tests/tiny.py data/tiny`` writes the folder that ``conf/model/tiny.yaml`` names.
"""

import re
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer as WordTokenizer
from tokenizers import models as tokenizer_models
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import bridge_model
from subspace_illusion.core.tokenizer import Tokenizer

CPU = torch.device("cpu")
DATA = Path(__file__).parents[1] / "data"
EXAMPLE = DATA.parent / "examples/probe/pairs.csv"
ARCHITECTURES = ("gpt2", "neox", "llama", "gemma3")
GPT2_XL = "gpt2_xl"
"""As deep as GPT-2 XL and with as many heads, though each of them only 2 wide."""


def tokenizer() -> PreTrainedTokenizerFast:
    """Every word of the tasks' lists and sentences, and of the example's, is one token."""
    folders = [DATA / task for task in ("ioi", "agreement", "facts")]
    files = [*sorted(file for folder in folders for file in folder.glob("*")), EXAMPLE]
    text = " ".join(re.sub(r"\{\w+\}", "", file.read_text()) for file in files)
    words = ["<unk>", *sorted(set(re.findall(r"\w+|[^\w\s]", text)))]
    inner = WordTokenizer(tokenizer_models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="<unk>")


def hf_model(architecture: str, vocabulary: int, seed: int = 0) -> torch.nn.Module:
    """Four blocks of width 32 with four heads; weights large enough that a change at END shows in the logits."""
    shape = dict(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64
    )
    if architecture.startswith("gpt2"):
        width, blocks, heads = (50, 48, 25) if architecture == GPT2_XL else (32, 4, 4)
        config = GPT2Config(vocab_size=vocabulary, n_embd=width, n_layer=blocks, n_head=heads, n_positions=64)
        config.architectures = ["GPT2LMHeadModel"]
    elif architecture == "neox":
        config = GPTNeoXConfig(**shape)
        config.architectures = ["GPTNeoXForCausalLM"]
    elif architecture == "llama":
        config = LlamaConfig(**shape, num_key_value_heads=2)
        config.architectures = ["LlamaForCausalLM"]
    else:
        # A window shorter than the prompts, so that sliding attention really hides something.
        layers = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
        config = Gemma3TextConfig(**shape, num_key_value_heads=2, head_dim=8, sliding_window=5, layer_types=layers)
        config.architectures = ["Gemma3ForCausalLM"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.2)
            else:
                parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def tiny_model(architecture: str, device: torch.device = CPU) -> Model:
    words = tokenizer()
    return bridge_model(hf_model(architecture, len(words)), Tokenizer(words), device)


def write_folder(folder: Path, architecture: str = "llama", seed: int = 0) -> None:
    words = tokenizer()
    hf_model(architecture, len(words), seed).save_pretrained(folder)
    words.save_pretrained(folder)


if __name__ == "__main__":
    write_folder(Path(sys.argv[1]))
