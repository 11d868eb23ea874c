"""The SBOM names the wheel and all that it installs."""

from tests.release.audit.materials import complete, differences


def sbom(*components):
    listed = [{"name": name, "version": version} for name, version in components]
    return {"metadata": {"component": {"name": "clew"}}, "components": listed}


def test_the_wheel_is_named_with_its_version_and_hash():
    made = sbom()
    complete(made, "clew-1.2.3-py3-none-any.whl", b"")
    component = made["metadata"]["component"]
    assert component["version"] == "1.2.3"
    assert component["purl"] == "pkg:pypi/clew@1.2.3"
    assert component["hashes"][0]["content"].startswith("e3b0c44298fc1c149afbf4c8996fb924")


def test_what_is_missing_or_not_there_is_found():
    made = sbom(("Typing_Extensions", "4.1"), ("old", "1"))
    complete(made, "clew-1.0-py3-none-any.whl", b"")
    installed = {"clew": "1.0", "typing-extensions": "4.1"}
    assert differences(made, installed | {"old": "1"}) == []
    assert differences(made, installed) == ["old 1"]
    assert differences(made, installed | {"old": "1", "new": "2"}) == ["new 2"]
