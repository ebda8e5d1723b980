"""What the library says, in the words of the commands. It imports nothing: --help waits for no library."""

IN_OPTIONS = {
    "set filter_incorrect to false": "add --keep-incorrect",
    " in columns (": " with --columns (",
    " in answers (": " with --answers (",
    "set counterfactual to one of": "name one with --counterfactual:",
    "skip_bad_rows=True leaves them out": "--skip-bad-rows leaves them out",
    "set bos to auto": "leave --bos out",
    "leave chat out": "leave --chat out",
    "set span to mean": "take --span mean",
    "device_map is": "--device-map is",
    "or set join": "or say how it follows with --join",
    "give some, by label, or let DAS train one (train=True)": "give some with --direction, or leave --no-train out",
}
"""What the library's messages say to somebody who calls it from Python, in the words of the commands."""


def in_options(message: str) -> str:
    """A message of the library in the words of the commands."""
    for said, option in IN_OPTIONS.items():
        message = message.replace(said, option)
    return message
