"""``clew settings --json``: every variable, for programs, without secrets."""

import json


def test_every_setting_is_listed_and_no_secret_is_shown(clew, path):
    done = clew("settings", "--json", CLEW_USER_ID_KEY="s3cret", CLEW_EXIT_TIMEOUT="soon")
    settings = {it["name"]: it for it in json.loads(done.stdout)}
    assert "s3cret" not in done.stdout
    assert settings["CLEW_USER_ID_KEY"]["set"]
    assert settings["CLEW_STORE"]["value"] == str(path)
    assert settings["CLEW_EXIT_TIMEOUT"]["fault"]
    assert not settings["CLEW_ONLY"]["set"]
