"""Is a direction of yours what the model uses, or an illusion? Audits subspaces of components on your own pairs.

A subspace is trained there too, with controls. Written are verdict.json, report.html, and what is behind them.

  subspace-illusion audit --model gpt2 --pairs mine.csv --hook blocks.8.mlp.hook_post --direction w.npy --out found
"""

import argparse

from subspace_illusion.cli.arguments import add_input, check_files, count, given

HERE = "none"
"""No scheduler: this process."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_input(parser)
    parser.add_argument(
        "--hook",
        required=True,
        action="append",
        help="such as blocks.20.mlp.hook_post, or blocks.*.mlp.hook_post; repeatable",
    )
    parser.add_argument(
        "--direction",
        action="append",
        default=[],
        metavar="[LABEL=]FILE[#...]",
        help="yours, from a file; #TENSOR[:ROWS] picks of several; repeatable",
    )
    parser.add_argument("--no-train", action="store_true", help="train nothing")
    parser.add_argument("--no-controls", action="store_true", help="make no controls")
    parser.add_argument(
        "--no-calibrate",
        action="store_true",
        help="plant no cases, which is done in a single component within 30 s",
    )
    parser.add_argument("--rank", type=count, default=1, help="of the subspace that is trained (default: 1)")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", default=[0], help="of its training (default: 0)")
    parser.add_argument("--steps", type=count, default=30, help="of its training at most (default: 30)")
    parser.add_argument(
        "--recorded-gb",
        type=float,
        default=0.25,
        metavar="GB",
        help="how much of what is recorded of prompts stays in memory; the rest is in a temporary folder meanwhile "
        "(default: 0.25)",
    )
    parser.add_argument(
        "--scheduler",
        type=scheduler,
        default=HERE,
        metavar="WHERE",
        help="none (this process, the default), local, or a dask scheduler's address",
    )
    parser.add_argument("--workers", type=count, default=2, help="processes of --scheduler local (default: 2)")


def run(options: argparse.Namespace) -> None:
    """Runs the audit.

    Raises:
        InputError: If something that was given is wrong, or the run cannot show that its figures are the model's.
    """
    from subspace_illusion.auditing.call import audit
    from subspace_illusion.auditing.result import WRITTEN
    from subspace_illusion.files import check_free, remove
    from subspace_illusion.pipeline.cores import bound_threads

    bound_threads()
    check_files(options)
    check_free(options.out, WRITTEN, options.force)
    directions = named_directions(options.direction)
    settings = given(options) | dict(
        train=not options.no_train,
        controls=not options.no_controls,
        calibrate=not options.no_calibrate,
        rank=options.rank,
        seeds=options.seeds,
        das=dict(steps=options.steps),
        recorded_gb=options.recorded_gb,
    )
    store = options.out.with_name(f".{options.out.name}.units")
    if options.scheduler == HERE:
        found = audit(options.model, options.pairs, options.hook, directions, progress=True, **settings)
    else:
        from subspace_illusion.cli.fan_out import audit_by_workers
        from subspace_illusion.pipeline.sections import Compute

        compute = Compute(scheduler=options.scheduler, workers=options.workers, threads=0, store=store)
        found = audit_by_workers(options.model, options.pairs, options.hook, directions, settings, compute)
    found.save(options.out, options.force)
    remove(store)
    print(
        f"\n{found}\n\n{options.out}/report.html has the pictures and tables, {options.out}/verdict.json the figures."
    )


def scheduler(text: str) -> str:
    """Who looks at the components, as argparse's types are.

    Raises:
        ArgumentTypeError: If it is nobody.
    """
    import re

    from subspace_illusion.pipeline.sections import SCHEDULER

    if not re.fullmatch(SCHEDULER, text):
        raise argparse.ArgumentTypeError(f"{text!r} is not none, local or an address such as tcp://127.0.0.1:8786")
    return text


def named_directions(texts: list[str]) -> dict[str, str]:
    """Files of subspaces by their label: the one given, or ``mine``, ``mine2``, ...

    Raises:
        InputError: If two have one label, or a file is not there.
    """
    from subspace_illusion.errors import InputError
    from subspace_illusion.subspace.keys import LABELS, is_label
    from subspace_illusion.subspace.user_subspaces import parse_spec

    found: dict[str, str] = {}
    for number, text in enumerate(texts):
        label, equals, spec = text.partition("=")
        if not (equals and is_label(label)):
            label, spec = "mine" if number == 0 else f"mine{number + 1}", text
        file = parse_spec(spec)[0]
        if not file.exists():
            no_label = f", nor is what stands before the = a label: {LABELS}" if equals and spec == text else ""
            raise InputError(f"--direction {text}: there is no file {file}{no_label}")
        if label in found:
            raise InputError(f"--direction {text}: another is called '{label}' already; give it a label, name=FILE")
        found[label] = spec
    return found
