"""Generates the IOI prompts and pairs (E1) from the words and templates in data/, for the model's own tokenizer."""

import yaml

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import DATA, MODEL, PAIRS, PROMPTS, read_lines, write_table
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.tasks.ioi import Words, make_pairs, make_prompts, single_token_words
from subspace_illusion.tasks.table import SPLITS


def read_templates() -> dict[str, list[str]]:
    path = DATA / "templates.yaml"
    try:
        templates = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(templates, dict) or set(templates) != set(SPLITS):
        raise InputError(f"{path} must hold two lists of sentences, train and test")
    for split, listed in templates.items():
        if not isinstance(listed, list) or not all(isinstance(template, str) for template in listed):
            raise InputError(f"{path}: {split} must be a list of sentences")
    return templates


def main(params) -> None:
    cases = dict(train=params.prompts.train_cases, test=params.prompts.test_cases)
    say(f"generating prompts: {cases['train']} train and {cases['test']} test cases of four prompts, a few seconds")
    tokenizer = open_tokenizer(MODEL)
    words = Words(**{kind: read_lines(DATA / f"{kind}.txt") for kind in ("names", "places", "objects")})
    words, dropped = single_token_words(words, tokenizer.word_id)
    for kind, left_out in dropped.items():
        kept = len(getattr(words, kind))
        say(f"{kind}: {kept} are one token, {len(left_out)} left out {' '.join(left_out[:10])}".rstrip())
    prompts = make_prompts(
        read_templates(),
        words,
        cases,
        params.prompts.test_share,
        params.prompts.seed,
        tokenizer.encode,
        tokenizer.word_id,
    )
    pairs = make_pairs(prompts)
    write_table(PROMPTS, prompts)
    write_table(PAIRS, pairs)
    say(f"{len(prompts)} prompts, such as: {prompts['text'][0]} -> {prompts['io'][0]}")


if __name__ == "__main__":
    run(main, __doc__, reads=("prompts",))
