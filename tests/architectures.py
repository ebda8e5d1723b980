"""A small random model of every architecture, and what works with it: opening, replay, audits of every kind of place.

``python tests/architectures.py`` runs all of them, some half an hour, and writes ``results/architectures.csv``; with
names behind it, those alone, and writes nothing.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

import tiny
from subspace_illusion import Audit, audit
from subspace_illusion.auditing import call, component
from subspace_illusion.auditing.settings import Das
from subspace_illusion.core.model import Model, bridge_model, open_model
from subspace_illusion.core.replay import Tail, record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import write_table

TABLE = Path(__file__).parents[1] / "results/architectures.csv"
TOLERANCE = 1e-4
PAIRS = 24
"""Rows of the example that are audited."""
BLOCK = 1
"""The block whose places are tried."""

_SHAPE = dict(
    hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64, max_position_embeddings=128
)
_SHARED = _SHAPE | dict(num_key_value_heads=2)
_GPT = dict(n_embd=32, n_layer=4, n_head=4, n_positions=128)
_IDS = dict(pad_token_id=0, bos_token_id=0, eos_token_id=0)
_LOCAL = dict(num_local_experts=4, num_experts_per_tok=2)
_EXPERTS = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32)
_WINDOW = dict(sliding_window=5)  # shorter than the prompts, so that it really hides something
_ALTERNATING = _WINDOW | dict(layer_types=["sliding_attention", "full_attention"] * 2)
_HEADS = dict(head_dim=8)
_LATENT = _SHAPE | dict(
    num_key_value_heads=4, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, kv_lora_rank=16,
    q_lora_rank=16, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=8, first_k_dense_replace=1, n_group=1,
    topk_group=1,
)  # fmt: skip
_RECURRENT = dict(
    linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
    shared_expert_intermediate_size=32,
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A small configuration.

    Attributes:
        model_type: The architecture as transformers calls it.
        shape: What the configuration says.
        last_norm: What is added to the weight of the last norm, so that a cap on the logits bites.
    """

    model_type: str
    shape: dict[str, Any]
    last_norm: float = 0.0


KINDS = {
    "GPT-2": Kind("gpt2", _GPT),
    "GPT-J": Kind("gptj", _GPT | dict(rotary_dim=4)),
    "GPT-Neo": Kind("gpt_neo", dict(
        hidden_size=32, num_layers=4, num_heads=4, intermediate_size=64, max_position_embeddings=128, window_size=5,
        attention_types=[[["global", "local"], 2]],
    )),
    "GPT-NeoX (Pythia)": Kind("gpt_neox", _SHAPE),
    "GPT-BigCode (StarCoder)": Kind("gpt_bigcode", _GPT),
    "CodeGen": Kind("codegen", _GPT | dict(rotary_dim=4)),
    "BLOOM": Kind("bloom", dict(hidden_size=32, n_layer=4, n_head=4)),
    "Falcon": Kind("falcon", dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=4)),
    "Falcon, ALiBi": Kind("falcon", dict(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=4, alibi=True, multi_query=False, parallel_attn=False,
    )),
    "Falcon, grouped queries": Kind("falcon", dict(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_kv_heads=2, new_decoder_architecture=True,
    )),
    "MPT": Kind("mpt", dict(d_model=32, n_layers=4, n_heads=4, max_seq_len=128, expansion_ratio=2)),
    "OPT": Kind("opt", _SHAPE | dict(ffn_dim=64, word_embed_proj_dim=32)),
    "OPT, norms behind (OPT-350m)": Kind("opt", _SHAPE | dict(
        ffn_dim=64, word_embed_proj_dim=16, do_layer_norm_before=False,
    )),
    "Phi": Kind("phi", _SHARED),
    "Phi-3": Kind("phi3", _SHARED),
    "Phi-3.5-MoE": Kind("phimoe", _SHARED | _LOCAL),
    "StableLM": Kind("stablelm", _SHARED),
    "StableLM, parallel": Kind("stablelm", _SHARED | dict(use_parallel_residual=True)),
    "StarCoder2": Kind("starcoder2", _SHARED),
    "Llama": Kind("llama", _SHARED),
    "Mistral, with a window": Kind("mistral", _SHARED | _WINDOW),
    "Mixtral": Kind("mixtral", _SHARED | _LOCAL),
    "Qwen2": Kind("qwen2", _SHARED),
    "Qwen2-MoE": Kind("qwen2_moe", _SHARED | _EXPERTS | dict(shared_expert_intermediate_size=32)),
    "Qwen3": Kind("qwen3", _SHARED | _HEADS),
    "Qwen3-MoE": Kind("qwen3_moe", _SHARED | _EXPERTS | _HEADS),
    "Qwen3-Next": Kind("qwen3_next", _SHARED | _EXPERTS | _HEADS | _RECURRENT),
    "OLMo": Kind("olmo", _SHARED),
    "OLMo-2": Kind("olmo2", _SHARED),
    "OLMo-3": Kind("olmo3", _SHARED | _WINDOW),
    "OLMoE": Kind("olmoe", _SHARED | dict(num_experts=4, num_experts_per_tok=2)),
    "Gemma": Kind("gemma", _SHARED | _HEADS),
    "Gemma-2, its cap biting": Kind(
        "gemma2",
        _SHARED | _HEADS | _WINDOW | dict(query_pre_attn_scalar=8, final_logit_softcapping=30.0),
        last_norm=20,
    ),
    "Gemma-3": Kind("gemma3_text", _SHARED | _HEADS | _ALTERNATING | dict(query_pre_attn_scalar=8)),
    "Granite": Kind("granite", _SHARED | dict(logits_scaling=8.0, embedding_multiplier=2.0, residual_multiplier=0.5)),
    "Granite-MoE": Kind("granitemoe", _SHARED | _LOCAL | dict(logits_scaling=8.0, residual_multiplier=0.5)),
    "Cohere": Kind("cohere", _SHARED | dict(logit_scale=0.25)),
    "Cohere 2": Kind("cohere2", _SHARED | _ALTERNATING | dict(logit_scale=0.25)),
    "SmolLM3": Kind("smollm3", _SHARED),
    "gpt-oss": Kind("gpt_oss", _SHARED | _HEADS | _LOCAL | _ALTERNATING),
    "GLM": Kind("glm", _SHARED | _HEADS),
    "GLM-4": Kind("glm4", _SHARED | _HEADS),
    "GLM-4-MoE": Kind("glm4_moe", _SHARED | _HEADS | dict(
        n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, n_group=1, topk_group=1,
        first_k_dense_replace=1,
    )),
    "DeepSeek-V2": Kind("deepseek_v2", _LATENT | dict(q_lora_rank=None)),
    "DeepSeek-V3": Kind("deepseek_v3", _LATENT),
    "Nemotron": Kind("nemotron", _SHARED),
    "Apertus": Kind("apertus", _SHARED),
    "EXAONE 4": Kind("exaone4", _SHARED | _HEADS | dict(sliding_window=5, sliding_window_pattern=2)),
    "Llama 4": Kind("llama4_text", _SHARED | _HEADS | dict(
        num_local_experts=4, num_experts_per_tok=1, intermediate_size_mlp=64, interleave_moe_layer_step=2,
        attention_chunk_size=64,
    )),
    "GPT (2018)": Kind("openai-gpt", _GPT),
    "Mamba": Kind("mamba", dict(hidden_size=32, num_hidden_layers=4, state_size=8)),
    "RecurrentGemma": Kind("recurrent_gemma", _SHARED | _HEADS),
    "LFM2": Kind("lfm2", _SHARED | dict(layer_types=["full_attention", "conv"] * 2)),
}  # fmt: skip


def hf_model(name: str, vocabulary: int, seed: int = 0) -> Any:
    """A model with random weights, large enough that a change at a token shows in the logits."""
    kind = KINDS[name]
    config = AutoConfig.for_model(kind.model_type, vocab_size=vocabulary, **(_IDS | kind.shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.2)
            else:
                parameter.data += 0.1 * torch.randn_like(parameter)
    model.config.architectures = [type(model).__name__]  # as a saved one says
    if kind.last_norm:
        model.base_model.norm.weight.data += kind.last_norm
    return model.eval()


def small_model(name: str) -> Model:
    """A model in memory."""
    words = tiny.tokenizer()
    return bridge_model(hf_model(name, len(words)), Tokenizer(words), tiny.CPU)


def opened(name: str) -> Model:
    """A model by way of a folder, as users have it."""
    with TemporaryDirectory() as folder:
        words = tiny.tokenizer()
        hf_model(name, len(words)).save_pretrained(folder)
        words.save_pretrained(folder)
        # Which class of tokenizer a folder gets goes by its model's type, and some take words apart.
        return replace(open_model(Path(folder), tiny.CPU), tokenizer=Tokenizer(words))


def places(model: Model) -> list[Site]:
    """Every site of a block, one head of what attention gives among them."""
    sites = [Site(BLOCK, "attn.hook_z", 1)]
    for name in sorted(model._probe):
        if name.startswith(f"blocks.{BLOCK}."):
            sites.append(Site(BLOCK, name.split(".", 2)[2]))
    return [site for site in sites if is_there(model, site)]


def is_there(model: Model, site: Site) -> bool:
    try:
        model.check(site)
    except InputError:
        return False
    return True


def farthest(model: Model, sites: Sequence[Site]) -> float:
    """By how much replays differ at most from full forward passes: each site changed, in prompts of two lengths, at END
    and before it."""
    laid_out = [(5, 2), (9, 8)]
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(1, 500, (2, length), generator=generator) for length, _ in laid_out]
    positions = [position for _, position in laid_out]
    tail = Tail.cat([
        record(model, tokens, tail_from=0, position=at).tail
        for tokens, at in zip(prompts, positions, strict=True)
    ])  # fmt: skip
    most = 0.0
    for site in sites:
        change = torch.randn(2 * len(prompts), model.width(site), generator=generator)
        full = [
            record(model, tokens, changes={site: rows}, position=at).logits
            for tokens, at, rows in zip(prompts, positions, change.split(2), strict=True)
        ]
        with torch.no_grad():
            logits = replay(model, tail, {site: change}).logits
        most = max(most, float((logits - torch.cat(full)).abs().max()))
    return most


def replayed(model: Model) -> None:
    """Raises what is off."""
    if not (off := farthest(model, places(model))) < TOLERANCE:
        raise InputError(f"a replay differs from the full forward pass by {off:.1g}")


def audited(model: Model, point: str, *tables: str, calibrate: bool = True) -> Audit:
    """An audit of a component, with DAS and a few planted cases; raises if a table was not made."""
    pairs = pd.read_csv(tiny.EXAMPLE)[:PAIRS]
    settings = dict(filter_incorrect=False, resamples=100, controls=False, das=Das(steps=3, batch=8))
    settings |= dict(calibrate=calibrate)
    with (
        patch.object(call, "LONGEST_PLANTING", float("inf")),  # however slow the machine is
        patch.multiple(component, DOSES=(0.0, 1.0), MIXTURES=1),
    ):
        found = audit(model, pairs, f"blocks.{BLOCK}.{point}", **settings)
    str(found)
    found.document.model_dump_json()
    needed = ("training", "decomposition", *(["planted"] if calibrate else []), *tables)
    if missing := [name for name in needed if name not in found.tables]:
        raise InputError(f"the audit made no {missing[0]}")
    return found


def audited_mlp(model: Model) -> Audit:
    """An audit of the MLP's hidden activations; where there are experts, of its output as the refusal says."""
    try:
        return audited(model, "mlp.hook_post")
    except InputError as refused:
        if f"blocks.{BLOCK}.hook_mlp_out" in str(refused):
            audited(model, "hook_mlp_out")
        raise


STEPS: dict[str, Callable[[Model], Audit | None]] = {
    "replay": replayed,
    "the residual stream": lambda model: audited(model, "hook_resid_post", "readers"),
    "the MLP": audited_mlp,
    "one head": lambda model: audited(model, "attn.hook_z.1"),
}
"""What is tried, each by what the table calls it."""


def in_a_line(error: Exception) -> str:
    """What an error says where it is meant to be read; anything else is a traceback, and called one."""
    if isinstance(error, InputError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"TRACEBACK {type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error).splitlines()[:1]}"
    )


def tried(name: str) -> Iterator[tuple[str, bool, str]]:
    """The steps with a model, whether each works, and what is to say."""
    try:
        model = opened(name)
    except Exception as error:
        yield "opening", False, in_a_line(error)
        return
    for step, function in STEPS.items():
        try:
            found = function(model)
        except Exception as error:
            yield step, False, in_a_line(error)
        else:
            yield step, True, "" if found is None else "; ".join(found.remarks.values())


def row_of(name: str) -> dict[str, str]:
    """The row of the table: does it work, and why not, or with what remark."""
    steps = list(tried(name))
    failed = [step for step, works, _ in steps if not works]
    works = "yes" if not failed else "no" if {"opening", "replay"} & {*failed} else "in part"
    said: dict[str, list[str]] = {}
    for step, _, why in steps:
        if why:
            said.setdefault(why, []).append(step)
    whys = [f"{' and '.join(of_why)}: {why}" for why, of_why in said.items()]
    return dict(architecture=name, works=works, why="; ".join(whys))


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    rows = []
    for chosen in sys.argv[1:] or KINDS:
        rows.append(row_of(chosen))
        print(*rows[-1].values(), sep=" | ", flush=True)
    if not sys.argv[1:]:
        write_table(TABLE, pd.DataFrame(rows))
