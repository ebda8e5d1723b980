"""Times a DAS step with the tail replay against what there is elsewhere, and against the machine.

The others are transformer_lens' own ``fit_das`` and, where it is installed, pyvene's low-rank interchange. Same model,
component, pairs, batch and loss (cross-entropy over the vocabulary), interleaved in one run; what is done once, before
the first step, is left out everywhere (for ``fit_das`` and the replay the activations, which pyvene's model runs for in
every step). The replay is timed with one seed and with several in one batch, with products in float32 and, where the
device has them, in bfloat16. Beside it the matrix products of a step alone: the same shapes and weights, and nothing
between. What bfloat16 trains, and what early stopping leaves, is compared with what float32 trains in all steps by its
effect on held-out pairs. Needs the outputs of the pipeline, and with ``--shape`` nothing:

    python benchmarks/das_step.py [--hook blocks.20.mlp.hook_post] [--seeds 1 3] [--batch 40] [--rounds 5]
    python benchmarks/das_step.py --shape llama-1b --hook blocks.10.mlp.hook_post --out FILE   # random weights
"""

import argparse
import importlib.util
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from llama_shapes import LLAMA_1B, LLAMA_8B, QWEN_WIDE
from machine import machine, product_rate, seconds
from random_llama import random_llama

from subspace_illusion.core.checkpoints import dtype_name
from subspace_illusion.core.device import multiplies
from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import open_model
from subspace_illusion.core.parts import linear_modules
from subspace_illusion.core.sites import Site, residual_entering
from subspace_illusion.files import column, read_table, write_json
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, PROMPTS
from subspace_illusion.subspace.das import train_das, training_kinds
from subspace_illusion.subspace.pairs import Pairs, cached_pairs, recorded_pairs
from subspace_illusion.tasks.table import DIFFERENT

SHAPES = {"llama-1b": LLAMA_1B, "llama-1.5b": QWEN_WIDE, "llama-8b": LLAMA_8B}
ENDS = {"all 100 steps": 0.0, "ended by min_gain 0.02": 0.02}
LENGTH = 17
STEPS = {"cpu": (2, 6), "cuda": (5, 45)}
"""How many steps the two runs make whose difference is timed; on a GPU a step takes milliseconds."""
OUT = Path(__file__).parent / "results/das_step.json"


def step_seconds(steps_of: Callable[[int], object], device: torch.device) -> float:
    """Seconds of one step, from two runs of different length, so that what is done once counts for nothing."""
    few, many = STEPS[device.type]
    return (seconds(lambda: steps_of(many)) - seconds(lambda: steps_of(few))) / (many - few)


def products_alone(model: Model, site: Site, rows: int, dtype: torch.dtype) -> Callable[[], None]:
    """The matrix products of a step behind a site, every weight once in either direction, and nothing else."""
    weights = [weights()[0] for weights in linear_modules(model.bridge, site.block + 1).values()]
    readout = model.readout(site)
    weights += [] if readout is None else [readout.T]
    weights = [weight.to(model.device, dtype).contiguous() for weight in weights]
    ins, outs = (
        {
            width: torch.randn(rows, width, dtype=dtype, device=model.device)
            for width in {weight.shape[side] for weight in weights}
        }
        for side in (1, 0)
    )

    def run() -> None:
        for weight in weights:
            ins[weight.shape[1]] @ weight.T
            outs[weight.shape[0]] @ weight

    return run


def random_pairs(model: Model, site: Site, n: int) -> tuple[Pairs, list[list[int]]]:
    """Pairs of random tokens, and the tokens."""
    tokens = torch.randint(1, 10_000, (2 * n, LENGTH), generator=torch.Generator().manual_seed(0)).tolist()
    prompts = pd.DataFrame(dict(prompt=range(2 * n), tokens=tokens, position=LENGTH - 1))
    pairs = pd.DataFrame(dict(base=range(n), source=range(n, 2 * n), answer_id=7, foil_id=8, target_id=8))
    return recorded_pairs(model, prompts, pairs, [site, residual_entering(site.start)], site.start, batch=n), tokens


def with_pyvene(
    model: Model, site: Site, base: torch.Tensor, source: torch.Tensor, target: torch.Tensor
) -> Callable[[int], None]:
    """Steps of pyvene's low-rank interchange in a Hugging Face model of the same shape."""
    import pyvene

    with model.device:
        hf = type(model.bridge.original_model)(model.bridge.original_model.config).to(model.dtype)
    # What pyvene calls a gated MLP's activation is its gate's alone: other numbers, the same work.
    kind = "mlp_activation" if site.readout == ("mlp", "out") else "block_output"
    of_block = dict(
        layer=site.block,
        component=kind,
        low_rank_dimension=1,
        intervention_type=pyvene.LowRankRotatedSpaceIntervention,
    )
    patched = pyvene.IntervenableModel(pyvene.IntervenableConfig([of_block]), hf)
    patched.set_device(model.device)
    patched.disable_model_gradients()
    optimizer = torch.optim.Adam(patched.get_trainable_parameters(), lr=0.01)
    end = base.shape[1] - 1

    def run(steps: int) -> None:
        for _ in range(steps):
            _, out = patched(dict(input_ids=base), [dict(input_ids=source)], {"sources->base": end})
            loss = torch.nn.functional.cross_entropy(out.logits[:, -1], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def step_flops(model: Model, start: int, rows: int) -> float:
    """Floating-point operations that a step of DAS must cost from block ``start`` on, for ``rows`` tails of one token.

    Two per weight of the blocks and of the unembedding, and as much again for the gradient with respect to the
    activations. Attention over the earlier tokens is left out: it is below a percent at these lengths.
    """
    weights = sum(p.numel() for block in model.bridge.blocks[start:] for p in block.parameters() if p.ndim > 1)
    return 4.0 * (weights + model.bridge.cfg.d_model * model.bridge.cfg.d_vocab) * rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape instead of the pipeline's model")
    parser.add_argument("--hook", default="blocks.20.mlp.hook_post")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    from transformer_lens.tools.analysis.interchange import fit_das

    site, batch = Site.parse(options.hook), options.batch
    if options.shape:
        model = random_llama(**SHAPES[options.shape])
        pairs, tokens = random_pairs(model, site, batch)
    else:
        model = open_model(MODEL)
        prompts = read_table(PROMPTS).set_index("prompt")
        pairs = cached_pairs(model, ACTIVATIONS, "train", DIFFERENT)
        # fit_das takes prompts of one length: those of the first template.
        pairs = pairs.among((prompts["template"].loc[pairs.base_prompts] == 0).to_numpy())
        tokens = prompts["tokens"].tolist()
    device = model.device
    rows = np.arange(batch) % len(pairs)
    base, source = (
        torch.tensor([list(tokens[i]) for i in numbers[rows]]).to(device)
        for numbers in (pairs.base_prompts, pairs.source_prompts)
    )
    target = column(pairs.table.iloc[rows], "target_id").to(device)
    positions = torch.full((batch,), base.shape[1] - 1, device=device)
    examples = pairs.examples(site)

    def with_replay(seeds: int, matmul_dtype: MatmulDtype) -> Callable[[int], object]:
        settings: dict[str, Any] = dict(
            rank=1, seeds=list(range(seeds)), batch=batch, lr=0.01, loss="cross_entropy", matmul_dtype=matmul_dtype
        )
        return lambda steps: train_das(model, site, examples, steps=steps, **settings)

    def every_position(tokens: torch.Tensor) -> torch.Tensor:
        """What fit_das' own documentation shows: the whole sequence is unembedded."""
        return model.bridge(tokens)[:, -1]

    def end_alone(tokens: torch.Tensor) -> torch.Tensor:
        """The leanest that the full forward pass allows: only END is unembedded."""
        return model.bridge.original_model(input_ids=tokens, logits_to_keep=1).logits[:, -1]

    def with_fit_das(task_logits: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[int], object]:
        at = dict(base_positions=positions, source_positions=positions, batch_size=batch)
        # An epoch is a step.
        return lambda epochs: fit_das(
            model.bridge, site.hook, base, source, target, task_logits, rank=1, epochs=epochs, **at
        )

    def effects(matmul_dtype: MatmulDtype, min_gain: float) -> list[float]:
        """Effect on held-out pairs of what three seeds train on all training pairs in 100 steps at most."""
        train = cached_pairs(model, ACTIVATIONS, "train", *training_kinds(True))
        test = cached_pairs(model, ACTIVATIONS, "test", DIFFERENT)
        settings: dict[str, Any] = dict(
            rank=1, seeds=[0, 1, 2], steps=100, batch=40, lr=0.02, loss="cross_entropy", min_gain=min_gain
        )
        bases = train_das(model, site, train.examples(site), matmul_dtype=matmul_dtype, **settings).bases
        patched = test.patch(site, {i: test.along(site, basis) for i, basis in enumerate(bases)}, 200)
        return [round(float((test.ld_clean - outcome.ld[0]).mean()), 4) for outcome in patched.values()]

    of_model: MatmulDtype = "float32" if model.dtype == torch.float32 else "bfloat16"
    kinds: list[MatmulDtype] = [of_model]
    if of_model == "float32" and multiplies(device, torch.bfloat16):
        kinds.append("bfloat16")
    about = machine(device)
    print(f"{batch} pairs a step at {site.name} on {about}", flush=True)
    others = {
        "fit_das as documented": with_fit_das(every_position),
        "fit_das unembedding END alone": with_fit_das(end_alone),
    }
    if importlib.util.find_spec("pyvene"):
        others["pyvene"] = with_pyvene(model, site, base, source, target)
    cases = [(kind, seeds) for kind in kinds for seeds in options.seeds]
    alone = {(kind, seeds): products_alone(model, site, seeds * batch, getattr(torch, kind)) for kind, seeds in cases}
    for first in (with_replay(1, kinds[0]), *others.values()):
        first(1)  # what a process does once
    taken: dict[str, list[float]] = {name: [] for name in others}
    step, products, large = ({case: [] for case in cases} for _ in range(3))
    for number in range(options.rounds):
        for name, steps_of in others.items():
            taken[name].append(step_seconds(steps_of, device))
        for case in cases:
            step[case].append(step_seconds(with_replay(case[1], case[0]), device))
            alone[case]()
            products[case].append(seconds(alone[case]))
            large[case].append(product_rate(device, getattr(torch, case[0])))
        last = {name: round(seconds[-1], 4) for name, seconds in taken.items()}
        print(f"round {number + 1}: {last} s a step", flush=True)

    # What lies after the component, forward and backward; that its own block runs up to it again is the replay's cost.
    readout = model.readout(site)
    flops = step_flops(model, site.block + 1, batch)
    flops += 0 if readout is None else 4.0 * batch * readout.numel()
    results = []
    for kind, seeds in cases:
        case = (kind, seeds)
        times, shares = step[case], zip(step[case], products[case], large[case], strict=True)
        of_products, of_large = zip(*((p / t, flops * seeds / t / rate) for t, p, rate in shares), strict=True)
        results.append(
            dict(
                products=kind,
                seeds=seeds,
                seconds=round(statistics.median(times), 4),
                gflops=round(flops * seeds / statistics.median(times) / 1e9),
                share_of_products_alone=round(statistics.median(of_products), 3),
                share_of_a_large_product=round(statistics.median(of_large), 3),
                times_as_fast_a_seed_as={
                    name: round(statistics.median(f * seeds / t for f, t in zip(seconds, times, strict=True)), 1)
                    for name, seconds in taken.items()
                },
            )
        )
        print(results[-1], flush=True)
    found = dict(machine=about, model=options.shape or "data/model", component=site.name, batch=batch)
    found |= dict(gflop_a_step=round(flops / 1e9, 2), steps=results)
    medians = {name: round(statistics.median(seconds), 4) for name, seconds in taken.items()}
    found |= {f"seconds_of_others_in_{dtype_name(model.dtype)}": medians}
    if not options.shape:
        trained = {f"{kind}, {said}": effects(kind, gain) for kind in kinds for said, gain in ENDS.items()}
        print(f"effects of what DAS trains: {trained}")
        found |= dict(effects_of_what_is_trained=trained)
    write_json(options.out, found)


if __name__ == "__main__":
    main()
