"""Generates the IOI prompts and pairs (E1) from the words and templates in data/, for the model's own tokenizer."""

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.files import DATA, MODEL, PAIRS, PROMPTS, read_lines, read_yaml, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.tasks.ioi import Words, check_templates, make_pairs, make_prompts, single_token_words


def main(params: Params) -> None:
    cases = dict(train=params.prompts.train_cases, test=params.prompts.test_cases)
    say(f"generating prompts: {cases['train']} train and {cases['test']} test cases of four prompts, a few seconds")
    tokenizer = open_tokenizer(MODEL)
    words = Words(**{kind: read_lines(DATA / f"{kind}.txt") for kind in ("names", "places", "objects")})
    words, dropped = single_token_words(words, tokenizer.word_id)
    for kind, left_out in dropped.items():
        kept = len(getattr(words, kind))
        say(f"{kind}: {kept} are one token, {len(left_out)} left out {' '.join(left_out[:10])}".rstrip())
    prompts = make_prompts(
        check_templates(read_yaml(DATA / "templates.yaml"), "data/templates.yaml"),
        words,
        cases,
        params.prompts.test_share,
        params.prompts.seed,
        tokenizer.encode,
        tokenizer.word_id,
    )
    write_table(PROMPTS, prompts)
    write_table(PAIRS, make_pairs(prompts))
    say(f"{len(prompts)} prompts, such as: {prompts['text'][0]} -> {prompts['io'][0]}")


if __name__ == "__main__":
    run(main, __doc__)
