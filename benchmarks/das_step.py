"""Times a DAS step with the tail replay against transformer_lens' own ``fit_das``, and both against the machine.

Same model (data/model), component, pairs, batch, loss (cross-entropy over the vocabulary) and dtype, interleaved in one
run. The replay is timed with one seed and with the default three in one batch. Needs the outputs of the pipeline:

    python benchmarks/das_step.py [--component mlp20] [--batch 40] [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.model import open_model
from subspace_illusion.files import ACTIVATIONS, MODEL, PAIRS, PROMPTS, column, read_table
from subspace_illusion.subspace.das import Examples, train_das
from subspace_illusion.tasks.table import DIFFERENT, chosen

STEPS = 4


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def matmul_rate(device: torch.device) -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    x = torch.randn(2048, 2048, device=device)
    return 2 * 2048**3 / min(seconds(lambda: (x @ x)[0, 0].item()) for _ in range(8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--component", default="mlp20")
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    from transformer_lens.tools.analysis.interchange import fit_das

    model, cached = open_model(MODEL), Activations(ACTIVATIONS)
    site = cached.site(options.component)
    prompts = read_table(PROMPTS).set_index("prompt")
    pairs = chosen(read_table(PAIRS), "train", DIFFERENT)
    # fit_das takes prompts of one length: those of the first template.
    pairs = pairs[(prompts["template"].loc[pairs["base"]] == 0).to_numpy()]
    pairs = pairs.iloc[[i % len(pairs) for i in range(options.batch)]]
    bases, target = pairs["base"].to_numpy(), column(pairs, "target_id")
    base_tokens, source_tokens = (column(prompts.loc[pairs[side]], "tokens") for side in ("base", "source"))
    positions = torch.full((options.batch,), base_tokens.shape[1] - 1)
    examples = Examples(
        cached.at(site, bases.tolist()),
        cached.at(site, pairs["source"].tolist()),
        target,
        column(pairs, "answer_id"),
        torch.ones(options.batch, dtype=torch.bool),
        lambda rows: cached.tail(site.start, bases[rows.numpy()].tolist()),
    )

    def with_replay(seeds: int) -> None:
        train_das(
            model,
            site,
            examples,
            rank=1,
            seeds=list(range(seeds)),
            steps=STEPS,
            batch=options.batch,
            lr=0.01,
            loss="cross_entropy",
        )

    def every_position(tokens: torch.Tensor) -> torch.Tensor:
        """What fit_das' own documentation shows: the whole sequence is unembedded."""
        return model.bridge(tokens)[:, -1]

    def end_alone(tokens: torch.Tensor) -> torch.Tensor:
        """The leanest that the full forward pass allows: only END is unembedded."""
        return model.bridge.original_model(input_ids=tokens, logits_to_keep=1).logits[:, -1]

    def with_fit_das(epochs: int, task_logits: Callable[[torch.Tensor], torch.Tensor]) -> None:
        fit_das(
            model.bridge,
            site.hook,
            base_tokens,
            source_tokens,
            target,
            task_logits,
            rank=1,
            base_positions=positions,
            source_positions=positions,
            epochs=epochs,
            batch_size=options.batch,
        )

    print(f"{options.batch} pairs a step at {site.name}, float32, {torch.get_num_threads()} threads, {model.device}")
    with_replay(1)
    baselines = {"as documented": every_position, "unembedding END alone": end_alone}
    times: dict[str, list[float]] = {name: [] for name in ("rate", "one", "three", *baselines)}
    for number in range(options.rounds):
        times["rate"].append(matmul_rate(model.device))
        for name, task_logits in baselines.items():
            # An epoch is a step; the difference leaves out collecting the activations, which the replay has cached.
            twice, once = (seconds(partial(with_fit_das, epochs, task_logits)) for epochs in (2, 1))
            times[name].append(twice - once)
        times["one"].append(seconds(lambda: with_replay(1)) / STEPS)
        times["three"].append(seconds(lambda: with_replay(3)) / STEPS / 3)
        print(
            f"round {number + 1}, seconds a step: "
            + ", ".join(f"{n} {t[-1]:.3f}" for n, t in times.items() if n != "rate")
        )
    # What lies after the component, forward and backward; that its own block runs up to it again is the replay's cost.
    readout = cached.readout(options.component)
    flops = model.flops(site.block + 1, options.batch, backward=True)
    flops += 0 if readout is None else 4.0 * options.batch * readout.numel()
    rate = statistics.median(times["rate"])
    print(f"a large matrix product reaches {rate / 1e9:.0f} GFLOP/s; a step must cost {flops / 1e9:.1f} GFLOP")
    for name, words in (("one", "one seed alone"), ("three", "one of three seeds in a batch")):
        share = statistics.median(flops / t / m for t, m in zip(times[name], times["rate"], strict=True))
        print(f"replay, {words}: {share:.0%} of the rate of a large matrix product")
        for baseline in baselines:
            ratio = statistics.median(f / t for f, t in zip(times[baseline], times[name], strict=True))
            print(f"    {ratio:.1f} times as fast as fit_das, {baseline}")


if __name__ == "__main__":
    main()
