"""Text that a model writes itself."""

from collections.abc import Callable

import torch

from subspace_illusion.core.model import Model
from subspace_illusion.core.seeds import torch_generator


def first_token(model: Model) -> int:
    """The token with which text begins: the one for it, or else the one with which text ends, which separates texts."""
    hf = model.tokenizer.hf
    return next((token for token in (hf.bos_token_id, hf.eos_token_id) if token is not None), 0)


def padding_token(model: Model) -> int:
    """The token that ends a text, with which shorter ones are filled up; without one, that with which text begins."""
    token = model.tokenizer.hf.eos_token_id
    return first_token(model) if token is None else int(token)


def sample_text(
    model: Model, sequences: int, length: int, seed: int, on_token: Callable[[], object] = lambda: None
) -> torch.Tensor:
    """Text that the model writes at temperature 1, from the token with which text begins.

    Args:
        model: The model.
        sequences: How many.
        length: Tokens in each, the first included.
        seed: Seed of the draws.
        on_token: Called after every token that all sequences have got.

    Returns:
        Token ids, ``[sequences, length]``.
    """
    tokens = torch.full((sequences, 1), first_token(model))
    generator = torch_generator(seed, "text")
    cache = None
    while tokens.shape[1] < length:
        with torch.no_grad():
            if model.whole_prompts:
                output = model.bridge.original_model(input_ids=tokens.to(model.device), use_cache=False)
            else:
                output = model.bridge.original_model(
                    input_ids=tokens[:, -1:].to(model.device), past_key_values=cache, use_cache=True
                )
                cache = output.past_key_values
        probabilities = output.logits[:, -1].float().softmax(-1).cpu()
        tokens = torch.cat([tokens, torch.multinomial(probabilities, 1, generator=generator)], 1)
        on_token()
    return tokens
