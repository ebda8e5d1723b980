"""Makes the task's prompts and pairs (E1), for the model's own tokenizer.

Tasks (parameter task.name): ioi, agreement and facts, from the words and sentences in task.path; pairs, a table of your
own in the file task.path.
"""

import pandas as pd

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.files import MODEL, PAIRS, PROMPTS, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.tasks.agreement import make_agreement, read_lexicon
from subspace_illusion.tasks.facts import make_facts, read_facts
from subspace_illusion.tasks.ioi import make_pairs, make_prompts, read_ioi, single_token_words
from subspace_illusion.tasks.pairs_file import read_pairs
from subspace_illusion.tasks.tokenise import tokenise


def main(params: Params) -> None:
    name, path = params.task.name, params.task.path
    cases = dict(train=params.prompts.train_cases, test=params.prompts.test_cases)
    share, seed = params.prompts.test_share, params.prompts.seed
    say(f"making the prompts and pairs of the task {name} from {path}, a few seconds")
    tokenizer = open_tokenizer(MODEL)
    positions = dict(position=str(params.task.position), source_position=str(params.task.source_position))
    raw = pd.DataFrame()
    if name == "agreement":
        raw = make_agreement(read_lexicon(path), cases, share, seed, tokenizer.word_id)
    elif name == "facts":
        raw = make_facts(*read_facts(path), cases, share, seed)
    elif name == "pairs":
        raw = read_pairs(path)
    if name == "ioi":
        words, templates = read_ioi(path)
        kept, dropped = single_token_words(words, tokenizer.word_id)
        for kind, left_out in dropped.items():
            say(f"{kind}: {len(left_out)} are not one token and left out {' '.join(left_out[:10])}".rstrip())
        prompts = make_prompts(templates, kept, cases, share, seed, tokenizer.encode, tokenizer.word_id)
        pairs = make_pairs(prompts)
    else:
        prompts, pairs = tokenise(raw, tokenizer, test_share=share, seed=seed, name=str(path), **positions)
    write_table(PROMPTS, prompts)
    write_table(PAIRS, pairs)
    say(f"{len(prompts)} prompts and {len(pairs)} pairs; the first prompt: {prompts['text'][0]}")


if __name__ == "__main__":
    run(main, __doc__)
