"""Images, sounds and files in the JSON of a message, as each provider has them."""

from collections.abc import Mapping
from typing import Any

from clew.sessions.json_values import is_object, text
from clew.sessions.message_draft import Draft
from clew.sessions.model import Media


def image(part: Mapping[str, Any], draft: Draft) -> None:
    """Add an image."""
    _add("image", part, draft)


def audio(part: Mapping[str, Any], draft: Draft) -> None:
    """Add a sound."""
    _add("audio", part, draft)


def file(part: Mapping[str, Any], draft: Draft) -> None:
    """Add a file, or what OpenTelemetry has for anything that is no text."""
    modality = text(part.get("modality"))
    _add(modality if modality in {"image", "audio"} else "file", part, draft)


def _add(kind: Any, part: Mapping[str, Any], draft: Draft) -> None:
    """Add an image, a sound or a file; each provider says in its own way where it is."""
    places = [part]
    for key in ("image_url", "image", "document", "input_audio", "audio", "file", "source"):
        for place in tuple(places):
            inner = place.get(key)
            if is_object(inner):
                places.append(inner)

    def find(*keys: str) -> str:
        return next((it for key in keys for place in places if (it := text(place.get(key)))), "")

    mime = find("mime_type", "media_type", "mimeType", "mediaType")
    if not mime and (form := find("format")):
        mime = f"{kind}/{form}" if kind in {"image", "audio"} else f"application/{form}"
    url = find("url", "uri", "image_url", "document_url", "file_url", "image", "file_data")
    data = find("data", "bytes") or (find("content") if part.get("type") == "blob" else "")
    if not url and data and not data.startswith("b'"):  # Python's bytes, as boto3 is given them.
        url = f"data:{mime};base64,{data}"
    draft.media.append(Media(kind, url, mime, find("filename", "name", "file_id")))
