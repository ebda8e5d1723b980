"""Makes the task's prompts and pairs (E1), for the model's own tokenizer.

Tasks (parameter names.task): ioi, agreement, facts and pronoun, from the words and sentences in task.path; pairs, a
table of your own in the file task.path, which the rest of the section task says how to read.
"""

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.files import write_table
from subspace_illusion.pipeline.layout import MODEL, PAIRS, PROMPTS
from subspace_illusion.pipeline.sections import Labels, Prompts, Task
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.tasks.as_read import FirstRow
from subspace_illusion.tasks.make import make_task


def main(names: Labels, task: Task, prompts: Prompts, seed: int) -> None:
    tokenizer = open_tokenizer(MODEL)
    say(f"making the prompts and pairs of the task {names.task} from {task.path} for {names.model}, a few seconds")
    made, pairs = make_task(
        names.task,
        task.path,
        tokenizer,
        dict(train=prompts.train_cases, test=prompts.test_cases),
        prompts.test_share,
        seed,
        reading=task,
        say=say,
    )
    write_table(PROMPTS, made)
    write_table(PAIRS, pairs)
    say(f"{len(made)} prompts and {len(pairs)} pairs; {FirstRow.told(made, pairs, tokenizer)}")


if __name__ == "__main__":
    run(main, __doc__)
