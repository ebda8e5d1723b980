"""Small configurations of the architectures that transformers and transformer_lens both have."""

from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, PretrainedConfig

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
_LATENT_KEYS = dict(
    num_key_value_heads=4, kv_lora_rank=16, q_lora_rank=16, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=8
)
_LATENT = _SHAPE | _LATENT_KEYS | dict(
    n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, first_k_dense_replace=1, n_group=1,
    topk_group=1,
)  # fmt: skip
_RECURRENT = dict(
    linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
    shared_expert_intermediate_size=32,
)  # fmt: skip

_EVERY_SECOND = dict(layer_types=["linear_attention", "full_attention"] * 2)
_MAMBA = dict(mamba_n_heads=8, mamba_d_head=8, mamba_d_state=8, mamba_chunk_size=8)
_GRANITE_4 = _SHARED | _LOCAL | _MAMBA | dict(shared_intermediate_size=32, layer_types=["mamba", "attention"] * 2)


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

    def config(self, vocabulary: int) -> PretrainedConfig:
        """With some number of tokens."""
        sizes = dict.fromkeys(("vocab_size", *(name for name in self.shape if name.startswith("vocab"))), vocabulary)
        return AutoConfig.for_model(self.model_type, **(_IDS | self.shape | sizes))


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
    "Qwen3-Next": Kind("qwen3_next", _SHARED | _EXPERTS | _HEADS | _RECURRENT | _EVERY_SECOND),
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
    "LFM2": Kind("lfm2", _SHARED | dict(layer_types=["conv", "full_attention"] * 2)),
    "AFMoE": Kind("afmoe", _SHARED | _HEADS | _EXPERTS | _ALTERNATING | dict(num_shared_experts=1)),
    "Arcee": Kind("arcee", _SHARED | _HEADS),
    "Bamba": Kind("bamba", _SHARED | _MAMBA | dict(attn_layer_indices=[1, 3])),
    "BitNet": Kind("bitnet", _SHARED),
    "DeepSeek-V4": Kind("deepseek_v4", _SHAPE | _HEADS | dict(
        num_key_value_heads=1, q_lora_rank=16, o_groups=2, o_lora_rank=16, n_routed_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=32, index_n_heads=2, index_head_dim=8, index_topk=8, hc_mult=2,
        layer_types=["heavily_compressed_attention", "compressed_sparse_attention"] * 2, mlp_layer_types=["moe"] * 4,
    )),
    "ERNIE 4.5": Kind("ernie4_5", _SHARED | _HEADS),
    "ERNIE 4.5 MoE": Kind("ernie4_5_moe", _SHARED | dict(moe_intermediate_size=32, moe_num_experts=4, moe_k=2)),
    "Falcon-H1": Kind("falcon_h1", _SHARED | _MAMBA | dict(mamba_d_ssm=64)),
    "Falcon-H1, with factors": Kind("falcon_h1", _SHARED | _MAMBA | dict(
        mamba_d_ssm=64, attention_out_multiplier=0.5, ssm_out_multiplier=2.0, embedding_multiplier=2.0,
    )),
    "Falcon-Mamba": Kind("falcon_mamba", dict(hidden_size=32, num_hidden_layers=4, state_size=8, time_step_rank=4)),
    "FlexOlmo": Kind("flex_olmo", _SHARED | dict(num_experts=4, num_experts_per_tok=2)),
    "Gemma-4": Kind("gemma4_text", _SHARED | _HEADS | _ALTERNATING | dict(
        vocab_size_per_layer_input=0, hidden_size_per_layer_input=8,
    )),
    "Gemma-4, shared keys": Kind("gemma4_text", _SHARED | _HEADS | _ALTERNATING | dict(
        vocab_size_per_layer_input=0, hidden_size_per_layer_input=8, num_kv_shared_layers=2,
    )),
    "GLM-4-MoE-Lite": Kind("glm4_moe_lite", _LATENT),
    "GLM-MoE-DSA": Kind("glm_moe_dsa", _LATENT | dict(index_n_heads=2, index_head_dim=8, index_topk=8)),
    "GLM-MoE-DSA, shared choices": Kind("glm_moe_dsa", _LATENT | dict(
        index_n_heads=2, index_head_dim=8, index_topk=8, indexer_types=["full", "shared"] * 2,
    )),
    "Granite-4, hybrid": Kind("granitemoehybrid", _GRANITE_4 | dict(position_embedding_type="rope")),
    "Granite-4, hybrid, without positions": Kind("granitemoehybrid", _GRANITE_4),
    "HRM-Text": Kind("hrm_text", _SHAPE | _HEADS | dict(num_layers_per_stack=2, H_cycles=1, L_cycles=1)),
    "HunYuan": Kind("hunyuan_v1_dense", _SHARED | _HEADS),
    "Jais-2": Kind("jais2", _SHARED | _HEADS),
    "Jamba": Kind("jamba", _SHARED | dict(
        num_experts=4, attn_layer_period=2, attn_layer_offset=1, mamba_d_state=8, mamba_dt_rank=4,
        use_mamba_kernels=False,
    )),
    "JetMoE": Kind("jetmoe", _SHAPE | _LOCAL | dict(num_key_value_heads=2, kv_channels=8)),
    "Laguna": Kind("laguna", _SHARED | _HEADS | _EXPERTS | _WINDOW | dict(shared_expert_intermediate_size=32)),
    "LFM2-MoE": Kind("lfm2_moe", _SHARED | _EXPERTS | dict(
        num_dense_layers=1, layer_types=["conv", "full_attention"] * 2,
    )),
    "Mamba-2": Kind("mamba2", dict(
        hidden_size=32, num_hidden_layers=4, num_heads=8, head_dim=8, state_size=8, n_groups=1, chunk_size=8,
    )),
    "MiniMax-M2": Kind("minimax_m2", _SHARED | _HEADS | _LOCAL),
    "Ministral-3": Kind("ministral3", _SHARED | _HEADS),
    "ModernBERT, decoder": Kind("modernbert-decoder", _SHAPE | dict(local_attention=10)),
    "nanochat": Kind("nanochat", _SHARED),
    "Nemotron-H": Kind("nemotron_h", _SHARED | _HEADS | dict(
        layers_block_type=["mamba", "attention", "mlp", "attention"], ssm_state_size=8, mamba_num_heads=8,
        mamba_head_dim=8, n_groups=1, chunk_size=8, use_mamba_kernels=False,
    )),
    "OLMo, hybrid": Kind("olmo_hybrid", _SHARED | _EVERY_SECOND | dict(
        linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
    )),
    "Qwen3.5": Kind("qwen3_5_text", _SHARED | _HEADS | _RECURRENT | _EVERY_SECOND),
    "Qwen3.5-MoE": Kind("qwen3_5_moe_text", _SHARED | _EXPERTS | _HEADS | _RECURRENT | _EVERY_SECOND),
    "RWKV": Kind("rwkv", dict(
        hidden_size=32, num_hidden_layers=4, attention_hidden_size=32, intermediate_size=64, context_length=128,
        rescale_every=2,
    )),
    "Seed-OSS": Kind("seed_oss", _SHARED | _HEADS),
    "VaultGemma": Kind("vaultgemma", _SHARED | _HEADS | _ALTERNATING | dict(query_pre_attn_scalar=8)),
    "XGLM": Kind("xglm", dict(
        d_model=32, num_layers=4, attention_heads=4, ffn_dim=64, max_position_embeddings=128,
    )),
    "Youtu": Kind("youtu", _SHAPE | _LATENT_KEYS),
    "Zamba2": Kind("zamba2", _SHAPE | dict(
        mamba_d_state=8, n_mamba_heads=4, mamba_headdim=16, chunk_size=8, num_key_value_heads=4,
        layers_block_type=["mamba", "hybrid"] * 2, attention_head_dim=16, adapter_rank=8, use_mamba_kernels=False,
    )),
}  # fmt: skip

NOT_TRIED = {
    "bert": "looks ahead",
    "gemma3": "reads images too",
    "gemma3n": "reads images and sound too",
    "gemma4": "reads images too",
    "gemma4_unified": "reads images and sound too",
}
"""Types of model that both libraries have as causal and that have no row, and why."""
