"""Makes the task's prompts and pairs (E1), for the model's own tokenizer.

Tasks (parameter task.name): ioi, agreement and facts, from the words and sentences in task.path; pairs, a table of your
own in the file task.path.
"""

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.files import MODEL, PAIRS, PROMPTS, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.tasks.make import make_task


def main(params: Params) -> None:
    say(f"making the prompts and pairs of the task {params.task.name} from {params.task.path}, a few seconds")
    prompts, pairs = make_task(
        params.task.name,
        params.task.path,
        open_tokenizer(MODEL),
        dict(train=params.prompts.train_cases, test=params.prompts.test_cases),
        params.prompts.test_share,
        params.prompts.seed,
        position=str(params.task.position),
        source_position=str(params.task.source_position),
        say=say,
    )
    write_table(PROMPTS, prompts)
    write_table(PAIRS, pairs)
    say(f"{len(prompts)} prompts and {len(pairs)} pairs; the first prompt: {prompts['text'][0]}")


if __name__ == "__main__":
    run(main, __doc__)
