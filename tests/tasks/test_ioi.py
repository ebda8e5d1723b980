import re
from pathlib import Path

import pytest
import yaml

import tiny
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.ioi import Words, make_pairs, make_prompts, single_token_words
from subspace_illusion.tasks.table import DIFFERENT, NO_ANSWER, PAIR_KINDS, SAME, chosen

DATA = Path(__file__).parents[2] / "data"
TEMPLATES = yaml.safe_load((DATA / "ioi/templates.yaml").read_text())
WORDS = Words(**{kind: (DATA / f"ioi/{kind}.txt").read_text().split() for kind in ("names", "places", "objects")})
TOKENIZER = Tokenizer(tiny.tokenizer())


def prompts(seed: int = 0, templates=TEMPLATES, words=WORDS, **cases):
    cases = {"train": 24, "test": 12} | cases
    return make_prompts(templates, words, cases, 0.5, seed, TOKENIZER.encode, TOKENIZER.word_id)


def test_our_lists_are_as_long_as_promised_and_hold_nothing_twice():
    for kind, least in dict(names=150, places=60, objects=80).items():
        words = getattr(WORDS, kind)
        assert len(words) >= least
        assert len(set(words)) == len(words)
    assert len(TEMPLATES["train"]) >= 8
    assert len(TEMPLATES["test"]) >= 4


def test_prompts_say_what_their_columns_say():
    table = prompts()
    assert len(table) == 36 * 4
    for row in table.itertuples():
        mentioned = [word for word in re.findall(r"\w+", row.text) if word in (row.io, row.s)]
        first_is_s = row.pattern in ("BAB", "DCD")
        assert mentioned == ([row.s, row.io, row.s] if first_is_s else [row.io, row.s, row.s])
        assert row.place in row.text
        assert row.object in row.text
        assert row.end == row.position == len(row.tokens) - 1
        assert row.value == ("S first" if first_is_s else "S second")
        assert list(row.tokens) == TOKENIZER.encode(row.text)
        assert (row.io_id, row.s_id) == (TOKENIZER.word_id(row.io), TOKENIZER.word_id(row.s))
    names = table.groupby("group")[["io", "s"]].agg(set)
    assert all(len(io | s) == 4 for io, s in names.itertuples(index=False))


def test_train_and_test_share_nothing():
    table = prompts(train=120, test=120)
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    for column in ("place", "object"):
        assert not set(train[column]) & set(test[column])
    assert not (set(train["io"]) | set(train["s"])) & (set(test["io"]) | set(test["s"]))
    assert not set(TEMPLATES["train"]) & set(TEMPLATES["test"])
    assert train["template"].nunique() == len(TEMPLATES["train"])


def test_the_seed_decides_everything():
    assert prompts(3).equals(prompts(3))
    assert not prompts(3).equals(prompts(4))


def test_pairs_differ_in_what_their_kind_says():
    table = prompts()
    pairs = make_pairs(table)
    assert len(pairs) == 36 * 2 * len(PAIR_KINDS)
    by_number = table.set_index("prompt")
    s_second = {"ABB": True, "CDD": True, "BAB": False, "DCD": False}
    for pair in pairs.itertuples():
        base, source = by_number.loc[pair.base], by_number.loc[pair.source]
        assert base["group"] == source["group"] == pair.group
        assert (pair.base_value, pair.source_value) == (base["value"], source["value"])
        same_position = s_second[base["pattern"]] == s_second[source["pattern"]]
        assert same_position == (pair.kind == SAME)
        assert (base["io"] == source["io"]) == (pair.kind == DIFFERENT)
        assert (pair.answer_id, pair.foil_id) == (base["io_id"], base["s_id"])
        assert pair.source_id == (source["io_id"] if pair.kind == DIFFERENT else NO_ANSWER)
        assert pair.target_id == (base["io_id"] if same_position else base["s_id"])
    assert set(chosen(pairs, "test", DIFFERENT)["group"]) == {f"test-{i}" for i in range(12)}


def test_words_of_several_tokens_are_left_out_and_named():
    words = Words(names=["Anna", "Zebulon", "Anna"], places=["park"], objects=["drum"])
    kept, dropped = single_token_words(words, TOKENIZER.word_id)
    assert kept.names == ["Anna"]
    assert dropped["names"] == ["Zebulon"]


def test_too_few_names_is_an_error():
    few = Words(names=WORDS.names[:7], places=WORDS.places, objects=WORDS.objects)
    with pytest.raises(InputError, match="too few names"):
        prompts(words=few)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("When {first} and {second} met, {subject} gave a {object} to", "{place}"),
        ("At the {place} {first} and {second} met and {subject} and {subject} gave a {object} to", "{subject}"),
        ("{first} and {second} went to the {place}, {subject} gave a {object} to", "follow a space"),
        ("At the {place} {first} met {second} and for the {object} thanked {subject}", "end in a word"),
        ("At the {place} {first met {second} and {subject} gave a {object} to", "template"),
    ],
)
def test_a_wrong_template_is_an_error_that_quotes_it(template, message):
    with pytest.raises(InputError, match=re.escape(message)):
        prompts(templates=TEMPLATES | {"train": [template]})


def test_a_template_of_both_splits_is_an_error():
    with pytest.raises(InputError, match="both splits"):
        prompts(templates={"train": TEMPLATES["train"], "test": TEMPLATES["train"][:1]})
