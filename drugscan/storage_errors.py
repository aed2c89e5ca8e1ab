"""What went wrong with a file or a bucket, in words that say what to do about it."""

import errno
from collections.abc import Iterator
from typing import Any, Final

AGAIN: Final = "run the same command again later: what is done stays done"
_CODES: Final[dict[str, str]] = {
    "NoSuchBucket": "there is no such bucket; check the name, or make it with `aws s3 mb`",
    "AccessDenied": "access denied; ask the owner of the bucket for permission to list, read and write it",
    "InvalidAccessKeyId": "the store does not know this access key; check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL",
    "SignatureDoesNotMatch": "the secret does not fit the access key; check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; log in again (AWS_SESSION_TOKEN), then run the same command",
    "InvalidToken": "the session token is not valid; log in again, or unset AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it right",
    "EntityTooLarge": "the store refuses a file this large",
    "NoSuchUpload": f"the store lost what was written; {AGAIN}",
}
"""What the error codes of S3 mean; its reference is at docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
_SAME: Final[dict[str, str]] = {
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "TokenRefreshRequired": "ExpiredToken",
}
_OTHER_REGION: Final = {
    "301",
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "TemporaryRedirect",
}
_FULL: Final = {"507", "InsufficientStorage", "XMinioStorageFull", "QuotaExceeded"}
_KINDS: Final[dict[str, str]] = {
    "NoCredentialsError": "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "PartialCredentialsError": "half of the credentials; set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "ProfileNotFound": "AWS_PROFILE names a profile that is not in ~/.aws/config",
    "SSOError": "the login has expired; run `aws sso login`, then the same command",
    "EndpointConnectionError": f"nothing answers there; check AWS_ENDPOINT_URL and the network, or {AGAIN}",
    "ConnectTimeoutError": f"nothing answers there; check AWS_ENDPOINT_URL and the network, or {AGAIN}",
    "ClientPayloadError": f"the connection broke again and again; {AGAIN}",
    "HTTPClientError": f"the connection broke again and again; {AGAIN}",
    "FileExpired": "the file was changed while it was read; run the same command again",
    "FileNotFoundError": "not found",
    "PermissionError": "access denied; check the permissions",
}
"""Kinds of errors by name (of botocore, s3fs and Python), so that a local run imports none of the libraries."""
_NUMBERS: Final[dict[int, str]] = {
    errno.ENOSPC: f"the disk is full; free some space, then {AGAIN}",
    errno.EDQUOT: f"the quota of the disk is used up; free some space, then {AGAIN}",
    errno.EROFS: "the disk cannot be written to; choose another folder",
}


class StorageError(OSError):
    """A file, folder or bucket that cannot be used; the message names it and the next step."""


def explained(url: str, error: BaseException) -> str:
    """One line for people: the address, what is wrong with it, the next step, and the words of the store."""
    answer = _answer(error)
    said = (_of_answer(answer) if answer else "") or _of_kind(error)
    words = answer.get("Error", {}).get("Message", "") if answer else ""
    if not said:
        said, words = str(getattr(error, "strerror", None) or error), ""
    return f"{url}: {said}" + (f" ({words})" if words else "")


def code_of(error: BaseException) -> str:
    """The error code that the store answered with (`NoSuchBucket`, `403`, ...); empty when it is no answer."""
    return str((_answer(error) or {}).get("Error", {}).get("Code", ""))


def _of_answer(answer: dict[str, Any]) -> str:
    code, meta = str(answer.get("Error", {}).get("Code", "")), answer.get("ResponseMetadata", {})
    if code in _OTHER_REGION:
        region = meta.get("HTTPHeaders", {}).get("x-amz-bucket-region") or answer["Error"].get("Region")
        return f"the bucket is in another region; set AWS_DEFAULT_REGION{f'={region}' if region else ' to it'}"
    if code in _FULL:
        return f"the store is full; free some space, then {AGAIN}"
    if int(meta.get("HTTPStatusCode", 0)) >= 500:
        return f"the store failed again and again with {code}; {AGAIN}"
    code = _SAME.get(code, code)
    return _CODES.get(code, "not found" if code in {"404", "NoSuchKey"} else "")


def _of_kind(error: BaseException) -> str:
    for cause in _chain(error):
        if (number := getattr(cause, "errno", None)) in _NUMBERS:
            return _NUMBERS[number]
        for kind in type(cause).__mro__:
            if kind.__name__ in _KINDS:
                return _KINDS[kind.__name__]
    return ""


def _answer(error: BaseException) -> dict[str, Any] | None:
    """What the store answered, from botocore's error somewhere behind this one."""
    return next((found for cause in _chain(error) if isinstance(found := getattr(cause, "response", None), dict)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
