"""What stands before prompts, chat templates, and markers of other tokenizers."""

from dataclasses import replace

import pandas as pd
import pytest
from tokenizers import Tokenizer as Inner
from tokenizers import processors

from made_tokenizers import BOS, CAPITALS, TEMPLATE, bpe
from subspace_illusion.core.tokenizer import Limits
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.as_read import AsRead, FirstRow
from subspace_illusion.tasks.phrasing import Phrasing
from subspace_illusion.tasks.tokenise import tokenise

COUNTRIES = list(CAPITALS)


def rows(before: str = "", **more) -> pd.DataFrame:
    pairs = zip(COUNTRIES[::2], COUNTRIES[1::2], strict=True)
    return pd.DataFrame(
        [
            dict(base=f"{before}The capital of {a} is", source=f"{before}The capital of {b} is",
                 base_answer=CAPITALS[a], source_answer=CAPITALS[b], position=a, source_position=b) | more
            for a, b in pairs
        ]
    )  # fmt: skip


def read(raw: pd.DataFrame, tokenizer, **how):
    return tokenise(raw, tokenizer, position="last", source_position="last", test_share=0.5, seed=0, name="them", **how)


def token_read(found, tokenizer, row: int = 0) -> str:
    prompt = found.prompts.iloc[found.pairs["base"][row]]
    return tokenizer.text([prompt["tokens"][prompt["position"]]])


@pytest.mark.parametrize(("bos", "adds", "stands"), [
    ("auto", False, False), ("auto", True, True), ("yes", False, True), ("yes", True, True), ("no", True, False),
    ("no", False, False),
])  # fmt: skip
def test_a_bos_stands_before_prompts_or_not(bos, adds, stands):
    tokenizer = replace(bpe(adds), bos=bos)
    found = read(rows(), tokenizer)
    assert [tokens[0] == 0 for tokens in found.prompts["tokens"]] == [stands] * len(found.prompts)
    assert [tokens.count(0) for tokens in found.prompts["tokens"]] == [int(stands)] * len(found.prompts)
    assert token_read(found, tokenizer).strip() == "France"
    assert (tokenizer.marker == BOS) is stands


def test_folder_and_setting_agree_on_all_but_the_bos():
    ours, theirs = (read(rows(), replace(bpe(adds), bos="no")).prompts for adds in (True, False))
    pd.testing.assert_frame_equal(ours, theirs)


def test_a_second_bos_is_dropped_and_said():
    found = read(rows(BOS), bpe(True))
    pd.testing.assert_frame_equal(found.prompts, read(rows(), bpe(True)).prompts)
    assert f"in 3 of 3 rows a second {BOS} is left out where prompts begin with it" in found.notes
    kept = read(rows(BOS), bpe(False))  # the only one
    assert kept.prompts["tokens"][0][0] == 0
    assert not any("second" in note for note in kept.notes)


@pytest.mark.parametrize(("written", "is_said"), [("Q: who?\\nA: ", True), ("Q: who?\nA: ", False), (r"\nu ", False)])
def test_a_lines_end_that_is_written_out_is_said(written, is_said):
    """In a table it is easily two characters, a backslash and an n."""
    found = read(rows(written), bpe())
    assert any("a backslash and an n" in note for note in found.notes) is is_said


@pytest.mark.parametrize(("end", "is_said"), [(" ", True), ("", False), ("\n", False)])
def test_a_space_that_prompts_end_in_is_said(end, is_said):
    table = rows()
    table[["base", "source"]] += end
    table[["base_answer", "source_answer"]] = " " + table[["base_answer", "source_answer"]]
    found = read(table, bpe())
    assert any("a prompt ends in a space, so that END is that space" in note for note in found.notes) is is_said


def test_a_part_of_a_character_goes_by_its_name_in_the_vocabulary():
    table = rows().assign(base_answer="\u732b", source_answer="\u7a7f")
    first = shown(table, bpe()).first_row
    assert "\N{REPLACEMENT CHARACTER}" not in str(first)
    assert "(part of a character)" in str(first)


def shown(raw: pd.DataFrame, tokenizer, **how) -> AsRead:
    found = read(raw, tokenizer, **how)
    return AsRead.from_tables(found.prompts, found.pairs, found.notes, tokenizer)


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("bos", ["auto", "yes", "no"])
def test_what_is_said_of_the_bos_is_what_the_tokens_are(chat, adds, bos):
    """Whoever puts it there: the tokenizer, the template, or the user."""
    tokenizer = replace(bpe(adds, TEMPLATE), bos=bos)
    for before in ("",) if chat else ("", BOS):
        found = read(rows(before), tokenizer, phrasing=Phrasing(chat=chat))
        begins = {tokens[0] == 0 for tokens in found.prompts["tokens"]}
        assert len(begins) == 1
        assert shown(rows(before), tokenizer, phrasing=Phrasing(chat=chat)).bos == (BOS if begins == {True} else None)
        assert begins == {False} or bos != "no"
        assert all(tokens.count(0) <= 1 for tokens in found.prompts["tokens"])


def test_a_bos_before_some_prompts_is_said():
    raw = pd.concat([rows(BOS)[:1], rows()[1:]])
    found = shown(raw, bpe())
    assert found.bos is None
    assert f"{BOS} stands before 2 of 6 prompts, and not before the others" in found.notes


def test_what_begins_every_turn_of_a_chat_is_no_bos():
    template = "{% for m in messages %}<s>user: {{ m.content }}\n{% endfor %}<s>answer:"
    found = read(rows(), replace(bpe(False, template), bos="no"), phrasing=Phrasing(chat=True))
    assert found.prompts["text"][0] == "<s>user: The capital of France is\n<s>answer:"


def test_a_tokenizer_that_ends_every_text_is_told():
    inner = Inner.from_str(bpe().hf.backend_tokenizer.to_str())
    inner.post_processor = processors.TemplateProcessing(single="$A <unk>", special_tokens=[("<unk>", 1)])
    hf = bpe().hf.__class__(tokenizer_object=inner, eos_token="<unk>")
    with pytest.raises(
        InputError, match="this model's tokenizer puts <unk> behind every text, and no answer can follow"
    ):
        read(rows(), replace(bpe(), hf=hf))


@pytest.mark.parametrize(
    "text",
    ["<b>", "a < b", "a |> b", "vector<size_t>", "<NAME>", "<filename>", "<API_TOKEN>", "[ARGS]", "<p>", "x <| y"],
)
def test_ordinary_text_is_no_marker(text):
    assert len(read(rows(f"{text} "), bpe()).pairs) == 3


@pytest.mark.parametrize(
    "marker",
    [
        *("<|endoftext|>", "<|im_start|>", "<bos>", "<start_of_turn>", "</s>", "<BOS_TOKEN>", "<|turn>", "<turn|>"),
        *(
            "[SYSTEM_PROMPT]",
            "<sop>",
            "<fim_prefix>",
            "<end_of_utterance>",
            "[gMASK]",
            "<reserved_106>",
            "[TOOL_CALLS]",
        ),
    ],
)
def test_a_marker_of_another_tokenizer_is_refused_with_its_rows(marker):
    with pytest.raises(
        InputError, match=r"3 of 3 rows are wrong: row 1: the base has '.*', .* \(likewise rows 2, 3\)$"
    ):
        read(rows(marker), bpe())


def test_a_bos_that_is_not_there():
    hf = bpe().hf.__class__(tokenizer_object=bpe().hf.backend_tokenizer)
    with pytest.raises(InputError, match="has no beginning-of-sequence token to put before prompts: set bos to auto"):
        read(rows(), replace(bpe(), hf=hf, bos="yes"))


@pytest.mark.parametrize("adds", [False, True])
def test_a_chat_template_holds_the_users_words(adds):
    tokenizer = bpe(adds, TEMPLATE)
    found = read(rows(" "), tokenizer, phrasing=Phrasing(chat=True))
    assert found.prompts["text"][0].endswith("User: The capital of France is\nAnswer:\n")
    assert [tokens.count(0) for tokens in found.prompts["tokens"]] == [1] * len(found.prompts)
    assert token_read(found, tokenizer).strip() == "France"
    assert tokenizer.text([found.pairs["answer_id"][0]]) == "P"  # no space behind a new line


def test_chat_templates_that_are_not_there_or_refuse():
    for template, system, said in (
        (None, None, "no chat template"),
        (TEMPLATE, "x", "takes no such messages: no system"),
    ):
        with pytest.raises(InputError, match=said):
            read(rows(), bpe(False, template), phrasing=Phrasing(chat=True, system=system))
    with pytest.raises(InputError, match="the base has no 'User'"):
        read(rows(position="User"), bpe(False, TEMPLATE), phrasing=Phrasing(chat=True))


def test_what_the_model_does_not_take_is_refused_with_its_row():
    with pytest.raises(
        InputError, match="them: 3 of 3 rows are wrong: row 1: the base has .* tokens, and the model has 3"
    ):
        read(rows(), replace(bpe(), limits=Limits(3, 1000)))
    with pytest.raises(InputError, match="an answer has the token .* and the model's embedding has 2 rows"):
        read(rows(), replace(bpe(), limits=Limits(None, 2)))
    assert len(read(rows(), replace(bpe(), limits=Limits(64, 1000))).pairs) == 3


def test_what_has_markers_of_its_own_is_not_put_into_a_chat():
    tokenizer = bpe(True, TEMPLATE)
    with pytest.raises(
        InputError, match="row 1: the base has '<unk>', and the chat template puts its own markers round"
    ):
        read(rows("<unk>"), tokenizer, phrasing=Phrasing(chat=True))
    assert len(read(rows(BOS), tokenizer, phrasing=Phrasing(chat=True)).pairs) == 3


@pytest.mark.parametrize("marker", ["[INST]", "<<SYS>>", "<extra_id_7>", "[MASK]", "<BOS>", "<|user|>"])
def test_marks_of_templates_are_known_where_the_models_own_has_them(marker):
    with pytest.raises(InputError, match="which this model's tokenizer does not know"):
        read(rows(marker), bpe())
    assert len(read(rows(marker), bpe(template=marker)).pairs) == 3


def test_a_part_of_a_character_is_shown_as_a_part_of_it():
    raw = rows().assign(base=rows()["base"] + " \N{GRINNING FACE} to", position="\N{GRINNING FACE}")
    found = read(raw, bpe())
    first = FirstRow.told(found.prompts, found.pairs, bpe())
    assert first.base[first.position] == "\N{GRINNING FACE} (4/4)"
    assert "\N{REPLACEMENT CHARACTER}" not in str(first)


def test_the_first_row_is_shown():
    found = read(rows(), bpe(True))
    shown = AsRead(BOS, FirstRow.told(found.prompts, found.pairs, bpe(True)), found.notes)
    line, *notes = shown.lines()
    assert line.startswith("the first row is read as '<s>|")
    assert "' France'" in line
    assert line.endswith("<s> stands before prompts")
    assert all(note.startswith("note: ") for note in notes)
    assert list(AsRead.told(shown.about).lines()) == [line, *notes]


def test_pairs_that_go_one_way_get_their_swaps_where_they_are_asked_for():
    one = read(rows(), bpe())
    assert any("goes one way" in note for note in one.notes)
    both = read(rows(), bpe(), both_ways=True)
    assert len(both.pairs) == 2 * len(one.pairs)
    assert "3 pairs are added, the other way round" in both.notes
    assert not any("goes one way" in note for note in both.notes)
    there, back = both.pairs.iloc[0], both.pairs.iloc[3]
    assert (there["base"], there["source"]) == (back["source"], back["base"])
    assert (there["answer_id"], there["foil_id"], there["split"]) == (back["foil_id"], back["answer_id"], back["split"])


def test_a_pair_whose_foil_is_no_answer_of_its_source_gets_no_swap():
    """As in RAVEL's tables: what the base's value calls for in the source is nowhere said."""
    found = read(rows().assign(foil=["Oslo", None, rows()["source_answer"][2]]), bpe(), both_ways=True)
    assert len(found.pairs) == 5
    assert "2 pairs are added, the other way round" in found.notes
    assert any(note.startswith("1 pairs are not added the other way round: their foil is not") for note in found.notes)


def test_rows_that_are_wrong_are_all_said_or_left_out():
    raw = pd.concat(
        [rows(), rows(position="zebra").iloc[:1], rows(base_answer="Spain", source_answer="Spain").iloc[1:2]]
    )
    raw = raw.assign(base=raw["base"] + ["", "", "", ",", ","]).reset_index(drop=True)
    with pytest.raises(InputError) as error:
        read(raw, bpe(), skip_bad_rows=False)
    said = str(error.value)
    assert said.startswith("them: 2 of 5 rows are wrong: row 4: the base has no 'zebra'")
    assert "; row 5: " in said
    assert said.endswith("; skip_bad_rows=True leaves them out")
    found = read(raw, bpe(), skip_bad_rows=True)
    assert len(found.pairs) == 3
    assert found.notes[0].startswith("2 of 5 rows are left out: row 4: ")


@pytest.mark.parametrize("answer", ["\u2581is", "\u0120is"])
def test_a_tokens_name_is_no_answer(answer):
    with pytest.raises(
        InputError, match=r"row 1: the answer is '.is', as a vocabulary writes .*; give it as text, ' is'"
    ):
        read(rows(base_answer=answer), bpe())
    assert len(read(rows(base_answer="\u0120gantija"), bpe()).pairs) == 3
