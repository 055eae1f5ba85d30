"""Posts to the webhook of the settings. Whoever knows its address can post: no message and no error names it."""

import http.client
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT = 10  # seconds


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection is an error: what is posted is for the host that the settings name."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, notice: Mapping[str, Any]) -> str:
    """Post a notice as JSON.

    Parameters
    ----------
    url : str
    notice : mapping

    Returns
    -------
    str
        Empty where it was taken; else why not, with the host alone.
    """
    host = "of the settings"
    try:
        host = f"at {urllib.parse.urlsplit(url).hostname}"
        body = json.dumps(notice, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"the webhook {host} answered {error.code}"
    except OSError as error:  # its text may be of the address: the reason of the system is not
        reason = getattr(error, "reason", error)
        return f"the webhook {host} could not be reached: {getattr(reason, 'strerror', None) or type(reason).__name__}"
    except (http.client.HTTPException, ValueError) as error:
        return f"the webhook {host} could not be used ({type(error).__name__}): look at its address in the settings"
