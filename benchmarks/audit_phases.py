"""How long the phases of an audit take in models of Llama's shape with billions of random weights.

    python benchmarks/audit_phases.py TOKENIZER [--shape 3b|8b|small] [--folder DIR]

TOKENIZER is a folder with a tokenizer that can write the example's pairs, such as data/model. The weights are random:
verdicts mean nothing, only times do. Writes benchmarks/results/audit_phases_SHAPE_DEVICE.json: 3.2 billion weights in
float32, or 8.0 in bfloat16. ``small`` tries the script.
"""

import argparse
import json
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llama_shapes import LLAMA_3B, LLAMA_8B

RESULTS = Path(__file__).parent / "results"
PAIRS = Path(__file__).parent.parent / "examples" / "probe" / "pairs.csv"
SMALL = LLAMA_3B | dict(hidden_size=96, intermediate_size=256, num_hidden_layers=4, vocab_size=50000)
SHAPES = {"3b": LLAMA_3B, "8b": LLAMA_8B, "small": SMALL}


def write_model(folder: Path, tokenizer: Path, shape: dict[str, Any]) -> None:
    """Writes a model and a tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(**shape)
    config.architectures = ["LlamaForCausalLM"]
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        AutoModelForCausalLM.from_config(config, dtype=getattr(torch, shape["dtype"])).save_pretrained(folder)
    for file in tokenizer.glob("*token*"):
        shutil.copy(file, folder)


def phases(folder: Path, shape: dict[str, Any], out: Path) -> dict[str, float]:
    """Audits a random direction with all that an audit makes, and gives the seconds by phase, imports among them."""
    seconds: dict[str, float] = defaultdict(float)
    with timed(seconds, "all"):
        with timed(seconds, "importing"):
            import torch

            from subspace_illusion.auditing import call

        class Timed(call.Progress):
            @contextmanager
            def phase(self, words: str, work: float, parts: int = 1) -> Iterator[Callable[..., None]]:
                with timed(seconds, words.split()[0]), super().phase(words, work, parts) as step_done:
                    yield step_done

        call.Progress = Timed
        call.given_model = timing(seconds, "opening", call.given_model)
        call._halves = timing(seconds, "running the prompts", call._halves)
        hook = f"blocks.{shape['num_hidden_layers'] // 2}.mlp.hook_post"
        mine = torch.randn(shape["intermediate_size"], generator=torch.Generator().manual_seed(0))
        found = call.audit(folder, PAIRS, hook, {"mine": mine}, progress=True, filter_incorrect=False)
        with timed(seconds, "writing"):
            found.save(out)
    return dict(seconds)


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Adds what its block takes."""
    start = time.perf_counter()
    yield
    seconds[name] += time.perf_counter() - start


def timing(seconds: dict[str, float], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with what it takes added."""

    def wrapped(*arguments: Any) -> Any:
        with timed(seconds, name):
            return function(*arguments)

    return wrapped


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tokenizer", type=Path, help="a folder with a tokenizer")
    parser.add_argument("--shape", choices=SHAPES, default="3b")
    parser.add_argument("--folder", type=Path, help="where the model is put, or lies since an earlier run")
    options = parser.parse_args()
    shape = SHAPES[options.shape]
    with TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "model"
        if not (folder / "config.json").exists():
            write_model(folder, options.tokenizer, shape)
        seconds = phases(folder, shape, Path(temporary) / "out")
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    rounded = {name: round(took, 2) for name, took in seconds.items()}
    measured = json.dumps(dict(device=device, torch=torch.__version__, shape=shape, seconds=rounded), indent=2)
    print(measured)
    if options.shape != "small":
        short = re.sub("^NVIDIA ", "", device).split()[0].lower()
        (RESULTS / f"audit_phases_{options.shape}_{short}.json").write_text(measured + "\n")


if __name__ == "__main__":
    main()
