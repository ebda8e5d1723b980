import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from made_tokenizers import CAPITALS, bpe
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.table import DIFFERENT, DIFFERENT_UNRELATED, SAME
from subspace_illusion.tasks.tokenise import tokenise


def pair(base: str, source: str, **more) -> dict:
    return dict(
        base=f"The capital of {base} is",
        source=f"The capital of {source} is",
        base_answer=CAPITALS[base],
        source_answer=CAPITALS[source],
        **more,
    )


TWO = [pair("France", "Spain"), pair("Spain", "France")]
FOUR = [*TWO, pair("Italy", "Peru"), pair("Peru", "Italy")]


def tables(rows: list[dict], tokenizer=None, position="last", source_position="last", share=0.5, seed=0):
    raw = pd.DataFrame(rows)
    found = tokenise(
        raw,
        tokenizer or bpe(),
        position=position,
        source_position=source_position,
        test_share=share,
        seed=seed,
        name="capitals",
    )
    return found.prompts, found.pairs


def complaint(rows: list[dict], **how) -> str:
    with pytest.raises(InputError) as error:
        tables(rows, **how)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("capitals")
    return message.removeprefix("capitals").lstrip(",: ")


def in_splits(*rows: dict, **more) -> list[dict]:
    """The rows in the training split, and after them two that are good, one in each split; all with more columns."""
    good = [pair("Cuba", "Norway", split="train"), pair("Italy", "Peru", split="test")]
    return [more | row for row in ([row | dict(split="train") for row in rows] + good)]


def test_tables_hold_what_they_say():
    prompts, pairs = tables([row | dict(relation="capital") for row in FOUR])
    assert list(prompts.columns) == [
        *("prompt", "split", "template", "group", "text", "tokens", "end", "position", "value")
    ]
    assert list(pairs.columns) == [
        *("pair", "split", "kind", "group", "template", "base", "source"),
        *("answer_id", "foil_id", "target_id", "source_id", "base_value", "source_value", "relation"),
    ]
    assert len(prompts) == 4
    assert prompts["prompt"].tolist() == pairs["pair"].tolist() == [0, 1, 2, 3]
    assert pairs["base"].tolist() == [0, 1, 2, 3]
    assert pairs["source"].tolist() == [1, 0, 3, 2]
    assert prompts["text"].tolist() == [row["base"] for row in FOUR]
    assert prompts["value"].tolist() == pairs["base_value"].tolist() == ["Paris", "Madrid", "Rome", "Lima"]
    assert (prompts["position"] == prompts["end"]).all()
    assert prompts["template"].tolist() == pairs["template"].tolist() == [0] * 4
    assert (pairs["target_id"] == pairs["foil_id"]).all()
    assert (pairs["source_id"] == pairs["foil_id"]).all()
    assert set(pairs["kind"]) == {DIFFERENT}
    assert pairs["relation"].tolist() == ["capital"] * 4
    for row in prompts.itertuples():
        assert row.tokens == bpe().encode(row.text)
        assert row.end == len(row.tokens) - 1
    for row in pairs.itertuples():
        full = FOUR[row.pair]["base"] + " " + FOUR[row.pair]["base_answer"]
        assert row.answer_id == bpe().encode(full)[prompts["end"][row.base] + 1]


def test_the_tiny_models_tokenizer_will_do():
    rows = [
        dict(base=f"{a} met {b} at the", source=f"{b} met {a} at the", base_answer=a, source_answer=b)
        for a, b in (("Anna", "Paul"), ("Mary", "John"))
    ]
    words = tiny.tokenizer()
    prompts, pairs = tables(rows, Tokenizer(words), position="met")
    assert prompts["position"].tolist() == [1, 4, 1, 4]
    assert words.convert_ids_to_tokens(pairs["answer_id"].tolist()) == ["Anna", "Mary"]
    assert words.convert_ids_to_tokens(pairs["foil_id"].tolist()) == ["Paul", "John"]


def test_groups_are_linked_by_prompts_and_dealt_whole():
    chain = [pair("France", "Spain"), pair("Italy", "Spain"), pair("Italy", "Peru"), pair("Norway", "Cuba")]
    prompts, pairs = tables(chain)
    assert pairs["group"].tolist() == [0, 0, 0, 1]
    assert pairs.groupby("split")["group"].nunique().to_dict() == {"test": 1, "train": 1}
    assert prompts.groupby("group")["split"].nunique().max() == 1


@pytest.mark.parametrize(("share", "n_test"), [(0.0, 1), (0.3, 3), (0.5, 5), (1.0, 9)])
def test_share_of_the_groups(share, n_test):
    rows = [row | dict(group=f"g{i}") for i, row in enumerate(numbered(10))]
    pairs = tables(rows, share=share)[1]
    assert (pairs["split"] == "test").sum() == n_test
    assert pairs["group"].tolist() == [f"g{i}" for i in range(10)]
    assert pairs.equals(tables(rows, share=share)[1])
    if n_test == 5:
        assert not pairs["split"].equals(tables(rows, share=share, seed=1)[1]["split"])


def numbered(n: int) -> list[dict]:
    return [
        dict(base=f"At {i} it is", source=f"By {i} it is", base_answer="Paris", source_answer="Rome") for i in range(n)
    ]


def test_given_splits_groups_templates_and_kinds_are_kept():
    given = dict(split="test", group="x", template="t", kind=DIFFERENT_UNRELATED)
    rows = in_splits(pair("France", "Spain"), group="g", template="u", kind=DIFFERENT)
    rows.append(pair("Norway", "Spain", **given) | dict(base="Another capital is", source="Yet another capital is"))
    prompts, pairs = tables(rows)
    assert pairs[list(given)].to_dict("records") == [{column: row[column] for column in given} for row in rows]
    del given["kind"]
    assert prompts.iloc[-1][list(given)].to_dict() == given
    assert pairs["target_id"].tolist() == pairs["foil_id"].tolist()


def test_pairs_of_the_same_value_take_a_foil_and_keep_the_answer_for_target():
    rewording = dict(base_answer="Paris", source="In France the capital is", source_answer="Paris")
    rows = in_splits(
        pair("France", "Spain"),
        pair("France", "Spain") | rewording,
        pair("Norway", "Cuba") | dict(source="In Norway the capital is", source_answer="Oslo"),
    )
    _, pairs = tables(rows)
    assert pairs["kind"].tolist() == [DIFFERENT, SAME, SAME, DIFFERENT, DIFFERENT]
    assert (pairs["target_id"] == pairs["answer_id"]).tolist() == [False, True, True, False, False]
    assert pairs["foil_id"][1] == pairs["foil_id"][0]  # that of the same base
    first = rows[2]["base"]
    assert [pairs["answer_id"][2], pairs["foil_id"][2]] == [
        bpe().encode(f"{first} {answer}")[len(bpe().encode(first))] for answer in ("Oslo", "Paris")
    ]


def test_a_given_foil_comes_first():
    rows = in_splits(pair("France", "Spain", foil="Lima"))
    _, pairs = tables(rows)
    assert pairs["foil_id"][0] == bpe().encode("The capital of France is Lima")[len(bpe().encode(rows[0]["base"]))]


def test_tokens_that_answer_and_foil_share_are_appended_to_both_prompts():
    row = pair("France", "Spain") | dict(base_answer="San Marino", source_answer="San Diego")
    prompts, pairs = tables(in_splits(row | dict(position="France"), row, position="last"))
    assert prompts["text"].tolist()[:3] == [
        "The capital of France is San",
        "The capital of Spain is San",
        "The capital of France is San",
    ]
    assert prompts["tokens"][0] == prompts["tokens"][2]
    assert prompts["position"][2] == prompts["end"][2] > prompts["position"][0]
    assert pairs["base"].tolist()[:2] == [0, 2]
    assert pairs["source"].tolist()[:2] == [1, 1]
    assert bpe().hf.decode([pairs["answer_id"][0]]) == " Marino"
    assert bpe().hf.decode([pairs["foil_id"][0]]) == " Diego"


def test_one_text_may_become_two_prompts():
    row = pair("France", "Spain") | dict(base_answer="San Marino")
    rows = [row | dict(source_answer="San Diego"), row | dict(source="So", source_answer="Lima")]
    prompts, pairs = tables(in_splits(*rows, value="a", source_value="b"))
    assert pairs["base"][0] != pairs["base"][1]
    assert prompts["text"][pairs["base"][0]] == prompts["text"][pairs["base"][1]] + " San"


@pytest.mark.parametrize(
    ("prompt", "answer", "joined"),
    [
        ("He is", "it", "He is it"),
        ("He is", " it", "He is it"),
        ("He is\n", "it", "He is\nit"),
        ("He is", ".", "He is."),
        ("He is (", "it", "He is (it"),
        ('He is "', "it", 'He is "it'),
        ('"He" is "him"', "it", '"He" is "him" it'),
    ],
)
def test_where_a_space_stands_before_an_answer(prompt, answer, joined):
    row = dict(base=prompt, source="Another", base_answer=answer, source_answer=" other")
    prompts, pairs = tables(in_splits(row))
    tokens = bpe().encode(joined)
    assert tokens[: prompts["end"][0] + 1] == prompts["tokens"][0]
    assert pairs["answer_id"][0] == tokens[prompts["end"][0] + 1]


@pytest.mark.parametrize(
    ("given", "start", "position"),
    [("last", 0, None), ("-1", 0, None), (2, 0, 2), (" 2 ", 0, 2), ("0", 1, 0), ("The", 0, 0), ("The", 1, 1)],
)
def test_positions(given, start, position):
    prompts, _ = tables(FOUR, bpe(bool(start)), position=given, source_position=given)
    assert prompts["position"].tolist() == (prompts["end"] if position is None else pd.Series([position] * 4)).tolist()


def test_the_last_token_of_a_text_of_several_counts():
    row = dict(base="a Zyxwv b", source="c", base_answer="d", source_answer="e", position="Zyxwv")
    prompts, _ = tables(in_splits(row, position="last"))
    assert prompts["tokens"][0][: prompts["position"][0] + 1] == bpe().encode("a Zyxwv")


WORDS = st.lists(st.sampled_from(["San", "Marino", "Diego", "Paul", "de", "Saint", "Zyx"]), min_size=1, max_size=4)


@given(WORDS, WORDS)
@settings(max_examples=25)
def test_answers_of_any_length_part_right_after_end(answer, foil):
    row = dict(base="It is", source="So is", base_answer=" ".join(answer), source_answer=" ".join(foil))
    rows = in_splits(row, value="a", source_value="b")
    n = min(len(answer), len(foil))
    if answer[:n] == foil[:n]:
        assert complaint(rows).startswith("row 1: ")
        return
    prompts, pairs = tables(rows)
    end = prompts["end"][0]
    for words, token in ((answer, pairs["answer_id"][0]), (foil, pairs["foil_id"][0])):
        whole = bpe().encode("It is " + " ".join(words))
        assert whole[: end + 1] == prompts["tokens"][0]
        assert whole[end + 1] == token
    assert pairs["answer_id"][0] != pairs["foil_id"][0]
    assert prompts["text"][1] == "So" + prompts["text"][0].removeprefix("It")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            dict(position="Lyon"),
            "row 1: the base has no 'Lyon' to take for its position: 'The capital of France is'; give a text that it "
            "has, a token index or 'last'",
        ),
        (
            dict(source_position="i"),
            "row 1: the source has 'i' inside other words alone ('capital', 'Spain', 'is'): 'The capital of Spain is'; "
            "give whole words, or a token index",
        ),
        (dict(position=5), "row 1: the base has no token 5: it has 5, numbered from 0"),
        (dict(source_position="-6"), "row 1: the source has no token -6: it has 5, numbered from 0"),
        (
            dict(base_answer="San Diego", source_answer="San Diego de Cuba"),
            "row 1: 'San Diego' is, in tokens, a beginning of 'San Diego de Cuba', and no token tells them apart; "
            "change one of them, or end both with what would follow (such as a full stop)",
        ),
        (
            dict(base_answer="Oslo", value="a", source_value="b", source_answer="Oslo "),
            "row 1: answer and foil are both 'Oslo '; give another foil in a column 'foil'",
        ),
    ],
)
def test_rows_that_cannot_be_made_tokens(change, message):
    row = pair("France", "Spain") | change
    assert complaint(in_splits(row, position="last", source_position="last", value="a", source_value="b")) == message


def test_an_answer_that_merges_with_its_prompt():
    row = pair("France", "Spain") | dict(base="The capital of France is ")
    assert complaint(in_splits(row)) == (
        "row 1: the answer 'Paris' merges with the last token of the prompt 'The capital of France is '; remove a "
        "trailing space from the prompt, or end it in a whole word"
    )


def test_an_answer_that_is_no_token():
    words = Tokenizer(tiny.tokenizer())
    row = dict(base="Anna met", source="Paul met", base_answer=" ", source_answer="Paul")
    assert complaint(in_splits(row), tokenizer=words) == "row 1: the answer ' ' is no token; give one that is"


def test_no_foil():
    alone = dict(base="a", source="b", base_answer="Oslo", source_answer="Oslo")
    rows = in_splits(alone, pair("Norway", "Cuba"))
    del rows[2]
    assert complaint(rows) == (
        "row 1: there is no foil for the answer 'Oslo': no other pair of its split has an answer with another value; "
        "give one in a column 'foil'"
    )


def test_splits_that_cannot_be():
    assert complaint(TWO) == (
        "all pairs are in one group (pairs that share a prompt are), and train and test need one each; "
        "add pairs of unrelated prompts"
    )
    assert complaint([row | dict(split="train") for row in TWO]) == (
        "no pair of the test split has a source with another value than its base; add some, or set the splits in a "
        "column 'split'"
    )
    rows = [*in_splits(), pair("Norway", "Peru", split="train")]
    assert complaint(rows) == (
        "rows 2 and 3: the prompt 'The capital of Peru is' stands in both splits; give the rows the same split, or the "
        "same group and no split"
    )
    assert "all pairs are in one group" in complaint([row | dict(group=i) for i, row in enumerate(TWO)])


def test_a_prompt_with_two_values():
    rows = in_splits(pair("France", "Spain"), pair("Spain", "France") | dict(source_answer="Lima"))
    assert complaint(rows) == (
        "row 2: the prompt 'The capital of France is' has two values, 'Paris' (in row 1) and 'Lima'; give it one in "
        "the columns 'value' and 'source_value' (by default they are the answers)"
    )


def test_columns_of_our_own_and_no_rows():
    assert complaint([row | dict(answer_id=1) for row in FOUR]) == (
        "the column 'answer_id' has the name of one that is made here; rename it"
    )
    with pytest.raises(InputError, match="^none has no pairs$"):
        tokenise(
            pd.DataFrame(columns=list(TWO[0])),
            bpe(),
            position="last",
            source_position="last",
            test_share=0.5,
            seed=0,
            name="none",
        )


def test_messages_number_rows_by_an_index_that_may_repeat():
    raw = pd.DataFrame(in_splits(pair("France", "Spain", position="Lyon")), index=[6, 6, 6]).assign(position="Lyon")
    with pytest.raises(InputError, match="^mib, row 7: the base has no 'Lyon'"):
        tokenise(raw, bpe(), position="last", source_position="last", test_share=0.5, seed=0, name="mib")
