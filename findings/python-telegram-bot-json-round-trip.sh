#!/usr/bin/env bash
# python-telegram-bot writes an Update as JSON that it cannot read again, where a list is empty.
#
# What is surprising: `to_json` leaves out a list that is empty, also where the Bot API requires
# the field. A vote that is taken back has `option_ids: []`. The JSON has no `option_ids`, and
# `de_json` refuses it: the argument is missing. A vote for an option comes back as it was.
#
# To whom it matters: to bots that put updates into a queue or a table as `update.to_json()` and
# read them later, and to tests that compare the two. Keep the body as Telegram sent it instead.
#
# Exit status: 0 while it is so, 1 when it has changed, 2 when the package cannot be installed.
set -euo pipefail

VERSION=22.8
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" "python-telegram-bot==$VERSION" || exit 2

PYTHONPATH="$folder" python3 - <<'PY'
import json
import sys

import telegram


def vote(*options: int) -> dict:
    voter = {"id": 4242, "is_bot": False, "first_name": "Mina"}
    persistent = [f"option-{number}" for number in options]
    answer = {"poll_id": "77", "user": voter, "option_ids": list(options)}
    return {"update_id": 1, "poll_answer": {**answer, "option_persistent_ids": persistent}}


def again(told: dict) -> str:
    update = telegram.Update.de_json(told)
    written = update.to_json()
    print("  to_json:", written)
    try:
        same = telegram.Update.de_json(json.loads(written)) == update
    except TypeError as error:
        return f"refused: {error}"
    return "read, and the same" if same else "read, and another"


print("python-telegram-bot", telegram.__version__)
print("a vote for the first option")
kept = again(vote(0))
print("  de_json:", kept)
print("a vote that is taken back")
lost = again(vote())
print("  de_json:", lost)

if kept == "read, and the same" and lost.startswith("refused") and "option_ids" in lost:
    print("as recorded: the vote that is taken back is not read again")
    sys.exit(0)
print("CHANGED")
sys.exit(1)
PY
