"""Times a DAS step with the tail replay against transformer_lens' own ``fit_das``, and both against the machine.

Same model (data/model), component, pairs, batch and loss (cross-entropy over the vocabulary), interleaved in one run.
The replay is timed with one seed and with the default three in one batch, with products in float32 and, where the
processor has them, in bfloat16. Beside it the matrix products of a step alone: the same shapes and weights, and nothing
between. What bfloat16 trains is compared with what float32 trains by its effect on held-out pairs. Needs the outputs of
the pipeline, and writes benchmarks/results/das_step.json:

    python benchmarks/das_step.py [--component mlp20] [--batch 40] [--rounds 5]
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from machine import machine, product_rate, seconds

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.model import Model, open_model
from subspace_illusion.core.products import Products, has_bfloat16, linear_modules
from subspace_illusion.core.sites import Site
from subspace_illusion.files import ACTIVATIONS, MODEL, PAIRS, PROMPTS, column, read_table, write_json
from subspace_illusion.subspace.das import Examples, train_das, training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT, chosen

STEPS = 4
ENDS = {"all 100 steps": 0.0, "ended by das.least_gain 0.02": 0.02}
OUT = Path(__file__).parent / "results/das_step.json"


def products_alone(model: Model, site: Site, rows: int, dtype: torch.dtype) -> Callable[[], None]:
    """The matrix products of a step behind a site, every weight once in either direction, and nothing else."""
    weights = [weight for weight, _ in linear_modules(model, site.block + 1).values()]
    readout = model.readout(site)
    weights = [of.to(dtype).contiguous() for of in (*weights, *([] if readout is None else [readout.T]))]
    ins, outs = (
        {width: torch.randn(rows, width, dtype=dtype) for width in {weight.shape[side] for weight in weights}}
        for side in (1, 0)
    )

    def run() -> None:
        for weight in weights:
            ins[weight.shape[1]] @ weight.T
            outs[weight.shape[0]] @ weight

    return run


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

    def with_replay(seeds: int, products: Products) -> None:
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
            products=products,
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

    def effects(products: Products, least_gain: float) -> list[float]:
        """Effect on held-out pairs of what three seeds train on all training pairs in 100 steps at most."""
        train, test = cached_pairs(model, "train", *training_kinds(True)), cached_pairs(model, "test", DIFFERENT)
        settings = dict(
            rank=1, seeds=[0, 1, 2], steps=100, batch=40, lr=0.02, loss="cross_entropy", least_gain=least_gain
        )
        frames = train_das(model, site, train.examples(site), products=products, **settings).frames  # type: ignore[arg-type]
        patched = test.patch(site, {i: test.along(site, frame) for i, frame in enumerate(frames)}, 200)
        return [round(float((test.ld_clean - of.ld[0]).mean()), 4) for of in patched.values()]

    kinds: list[Products] = ["float32", *(["bfloat16"] if has_bfloat16(model.device) else [])]  # type: ignore[list-item]
    about = machine(model.device)
    print(f"{options.batch} pairs a step at {site.name} on {about}")
    with_replay(1, "float32")
    baselines = {"as documented": every_position, "unembedding END alone": end_alone}
    cases = [(kind, seeds) for kind in kinds for seeds in (1, 3)]
    alone = {
        (kind, seeds): products_alone(model, site, seeds * options.batch, getattr(torch, kind)) for kind, seeds in cases
    }
    fit: dict[str, list[float]] = {name: [] for name in baselines}
    step, products, large = ({case: [] for case in cases} for _ in range(3))  # type: ignore[var-annotated]
    for number in range(options.rounds):
        for name, task_logits in baselines.items():
            # An epoch is a step; the difference leaves out collecting the activations, which the replay has cached.
            twice, once = (seconds(partial(with_fit_das, epochs, task_logits)) for epochs in (2, 1))
            fit[name].append(twice - once)
        for case in cases:
            step[case].append(seconds(partial(with_replay, case[1], case[0])) / STEPS)
            products[case].append(seconds(alone[case]))
            large[case].append(product_rate(model.device, getattr(torch, case[0])))
        print(f"round {number + 1}: fit_das {fit['as documented'][-1]:.2f} s a step", flush=True)

    # What lies after the component, forward and backward; that its own block runs up to it again is the replay's cost.
    readout = cached.readout(options.component)
    flops = model.flops(site.block + 1, options.batch, backward=True)
    flops += 0 if readout is None else 4.0 * options.batch * readout.numel()
    rows = []
    for kind, seeds in cases:
        case = (kind, seeds)
        times, shares = step[case], zip(step[case], products[case], large[case], strict=True)
        of_products, of_large = zip(*((p / t, flops * seeds / t / rate) for t, p, rate in shares), strict=True)
        rows.append(
            dict(
                products=kind,
                seeds=seeds,
                seconds=round(statistics.median(times), 4),
                gflops=round(flops * seeds / statistics.median(times) / 1e9),
                share_of_products_alone=round(statistics.median(of_products), 3),
                share_of_a_large_product=round(statistics.median(of_large), 3),
                times_fit_das_in_float32={
                    name: round(statistics.median(f * seeds / t for f, t in zip(fit[name], times, strict=True)), 1)
                    for name in baselines
                },
            )
        )
        print(rows[-1])
    trained = {f"{kind}, {said}": effects(kind, gain) for kind in kinds for said, gain in ENDS.items()}
    print(f"effects of what DAS trains: {trained}")
    fit_seconds = {name: round(statistics.median(of), 3) for name, of in fit.items()}
    write_json(
        OUT,
        dict(machine=about, component=site.name, batch=options.batch, gflop_a_step=round(flops / 1e9, 2))
        | dict(fit_das_seconds=fit_seconds, steps=rows, effects_of_what_is_trained=trained),
    )


if __name__ == "__main__":
    main()
