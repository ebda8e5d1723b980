"""Will it run here? Says what is installed, which device and dtype are fast, and whether a model folder will do.

A model is opened, and a patch of each kind of component is compared with the full forward pass.

  subspace-illusion doctor path/to/model
"""

import argparse
from collections.abc import Iterator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a folder, or NAME[@REVISION] on the hub")


def run(options: argparse.Namespace) -> None:
    """Prints what there is to say.

    Raises:
        InputError: If the model will not do.
    """
    for line in here():
        print(line, flush=True)
    if options.model is not None:
        for line in of_model(options.model):
            print(line, flush=True)


def here() -> Iterator[str]:
    """What is installed, the device, and how fast each dtype is."""
    import platform
    from importlib.metadata import version
    from importlib.util import find_spec

    import psutil
    import torch

    from subspace_illusion.core.device import pick_device
    from subspace_illusion.core.speed import products_per_second

    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "transformer-lens"))
    yield f"subspace-illusion {version('subspace-illusion')}, Python {platform.python_version()}, {libraries}"
    extras = {"pipeline": ("dvc", "hydra"), "cluster": ("dask", "distributed")}
    lacking = [extra for extra, needs in extras.items() if not all(map(find_spec, needs))]
    yield f"extras that are not installed: {', '.join(lacking) or 'none'}"
    device = pick_device()
    free = torch.cuda.mem_get_info()[0] if device.type == "cuda" else psutil.virtual_memory().available
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    yield f"device: {device.type} ({name}), {free / 1e9:.1f} GB free"
    speeds = products_per_second(device)
    yield "matrix products: " + ", ".join(f"{name} {speed / 1e9:.1f} GFLOP/s" for name, speed in speeds.items())
    fastest = max(speeds, key=lambda name: speeds[name])
    yield f"fastest --dtype: {fastest}{'' if fastest == 'float32' else ' (its rounding widens intervals)'}"


def of_model(given: str) -> Iterator[str]:
    """Whether a model will do.

    Raises:
        InputError: If it will not.
    """
    from subspace_illusion.auditing.fitness import WHOLE_PROMPTS, check_replays, replays
    from subspace_illusion.auditing.given_model import given_model, given_tokenizer
    from subspace_illusion.auditing.settings import Reading

    reading = Reading()
    tokenizer, _ = given_tokenizer(given, reading.bos)
    model = given_model(given, reading, tokenizer).model
    bos = model.tokenizer.hf.bos_token
    yield (
        f"model: {type(model.bridge.original_model).__name__}, {model.n_blocks} blocks, d_model "
        f"{model.bridge.cfg.d_model}; {'no' if bos is None else bos} beginning-of-sequence token"
    )
    if model.whole_prompts:
        yield WHOLE_PROMPTS
    found = replays(model)
    yield "can be patched: " + (", ".join(site.name for site in found) or "nothing")
    worst = check_replays(found, model)
    off = f"{worst:.1g} of the largest logit at most"
    yield f"replayed patches differ from the full forward pass by {off}: this model will do"
