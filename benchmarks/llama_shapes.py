"""The shapes of Llama's kind that benchmarks run with random weights: arguments of transformers' ``LlamaConfig``."""

from typing import Any

_HEADS = dict(num_attention_heads=32, num_key_value_heads=8)
LLAMA_1B: dict[str, Any] = _HEADS | dict(
    vocab_size=49152, hidden_size=2048, num_hidden_layers=16, intermediate_size=8192, tie_word_embeddings=True
)
LLAMA_3B: dict[str, Any] = LLAMA_1B | dict(
    dtype="float32", vocab_size=128256, hidden_size=3072, num_hidden_layers=28, num_attention_heads=24
)
LLAMA_8B: dict[str, Any] = LLAMA_3B | dict(
    dtype="bfloat16",
    hidden_size=4096,
    intermediate_size=14336,
    num_hidden_layers=32,
    num_attention_heads=32,
    tie_word_embeddings=False,
)
QWEN_WIDE: dict[str, Any] = LLAMA_1B | dict(
    vocab_size=151936,
    hidden_size=1536,
    num_hidden_layers=28,
    num_attention_heads=12,
    num_key_value_heads=2,
    intermediate_size=8960,
)
"""As wide as Qwen2.5-1.5B."""
