"""Failures of files and file systems as Spark and Hadoop report them: temporary ones, and damaged files."""

import re
from urllib.parse import unquote

from distill.errors import BadInput, Infrastructure, OpinionError
from jobs.common.privacy import redact_text

# The frames of a Java trace: they hold places, never causes.
FRAME = re.compile(r"^\s+at .*$", re.MULTILINE)
# Class names count only with their package: a file may be called ConnectException.csv. Missing or expired logins belong
# here, because no change of the input helps.
UNREACHABLE = re.compile(
    r"(?:[a-z]\w*\.)+(?:\w+\$)?(?:"
    r"ConnectException|HttpHostConnectException|NoRouteToHostException|UnknownHostException|SocketException|"
    r"UnresolvedAddressException|ClosedChannelException|SSL\w*Exception|"
    r"(?:Socket|Connect|ConnectionPool|ApiCall|ApiCallAttempt|AWSApiCall)?Timeout(?:IO)?Exception|"
    r"InterruptedIOException|NoHttpResponseException|SdkClientException|SlowDownException|NonRetriableConnectException|"
    r"AWSServiceIOException|AWSServiceThrottledException|AWSStatus500Exception|"
    r"NoAwsCredentialsException|NoAuthWithAWSException|CredentialInitializationException|"
    r"SaslException|GSSException|KerberosAuthException|InvalidToken|"
    r"StandbyException|ObserverRetryOnActiveException|RetriableException|SafeModeException|BlockMissingException"
    r")\b.*"
    r"|Name node is in safe mode.*|Client cannot authenticate via.*|Failed to specify server's Kerberos.*"
    r"|Failed on local exception.*|End of File Exception between local host is.*|Could not obtain block.*"
    r"|Too many open files|Input/output error|Stale file handle|Cannot allocate memory"
)
PERMISSION = re.compile(r"Permission denied: user=.*")


def full_text(error: BaseException) -> str:
    """The message of an exception and Java's trace, which holds the cause that Spark wraps."""
    return f"{error}\n{getattr(error, '_stackTrace', None) or ''}"


def file_error(text: str) -> OpinionError | None:
    """The file system's error in the full text of an exception; None for another exception.

    Infrastructure when the same command may succeed later, BadInput when the file must be replaced.
    """
    causes = FRAME.sub("", text)
    file = failed_file(causes)
    if reason := UNREACHABLE.search(causes):
        cause = reason[0].split("; For more details")[0].strip().rstrip(";")
        return Infrastructure(f"{file or 'a file system or service'} cannot be reached: {redact_text(cause)[:300]}")
    if "FAILED_READ_FILE.FILE_NOT_EXIST" in causes and "(Permission denied)" not in causes:
        return Infrastructure(f"{file} was removed while it was read, perhaps by a run that replaced it; run it again")
    if "FAILED_READ_FILE" in causes:
        return BadInput(f"{file} cannot be read: {redact_text(innermost_cause(causes))}")
    if denied := PERMISSION.search(causes):
        return BadInput(f"no access to files: {redact_text(denied[0])[:300]}")
    return None


def failed_file(text: str) -> str | None:
    """The path of the file that Spark failed to read."""
    match = re.search(r"reading file (?:file:/*(?=/))?(\S+?)\.?\s", text)
    return unquote(match[1]) if match else None


def innermost_cause(text: str) -> str:
    """The message of the innermost Java exception, which holds the cause."""
    if mismatch := re.search(r"Data type mismatches when reading Parquet column.*?(?= SQLSTATE|$)", text, re.MULTILINE):
        return mismatch[0][:300]
    causes = re.findall(r"^(?:Caused by)?: ?(?:[\w.$]+(?:Exception|Error): ?)?(.+)", text, re.MULTILINE)
    cause = causes[-1] if causes else text.strip().splitlines()[0] if text.strip() else "no message"
    return str(cause).strip()[:300]
