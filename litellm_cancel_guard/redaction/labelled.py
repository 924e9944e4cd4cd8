"""Secrets that a field, a header, a query or a sentence calls so."""

from __future__ import annotations

from litellm_cancel_guard.redaction.form import ASSIGNED, PROSE, QUOTE, VALUE, phrase

_FIELDS = (
    r"api[_-]?key|subscription[_-]?key|secret[_-]?access[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key"
    r"|client[_-]?secret|(?:access|refresh|id|auth|session|security|bearer|bot|csrf)[_-]?token|private[_-]?key(?:[_-]?id)?"
    r"|(?:master|signing|encryption|account|salt|license|shared[_-]?access)[_-]?key|shared[_-]?access[_-]?signature"
    r"|connection[_-]?string|(?:database|db|redis|webhook)[_-]?url|[_-]secret|[_-]token|passphrase|password|passwd|\bpwd"
    r"|\bsecret|\bcredential|x-ak-[\w-]{1,40}|set-cookie2?|\bcookie|\bcode_verifier"
)

LABELLED = (
    # Scheme and token are two words: what is called so is more than one value.
    phrase(
        "Authorization headers",
        "RFC 9110 section 11.6.2, RFC 6750, RFC 7617; AWS Signature Version 4",
        "authorization",
        rf"(?P<keep>authorization{ASSIGNED}{QUOTE}?)(?:(?:Bearer|Basic|Token|Digest|Negotiate|Api-?Key|Key)(?:\s|%20){{1,5}}"
        rf"""[^\s"'\\,;<>]+|AWS4-HMAC-SHA256[^"'\\\r\n]{{0,600}}|{PROSE}[^\s"'\\,;<>]+)""",
    ),
    phrase(
        "Bearer tokens",
        "RFC 6750 section 2.1",
        "bearer",
        rf"(?P<keep>\bBearer(?:\s|%20|:){{1,5}}{QUOTE}?){PROSE}[\w.~+/=*%-]{{6,}}",
    ),
    phrase(
        "Basic credentials",
        "RFC 7617 section 2",
        "basic",
        r"(?P<keep>\bBasic(?:\s|%20){1,5})(?-i:(?=[A-Za-z0-9+/]{1,300}=|[a-z+/]{0,80}[0-9A-Z]|[A-Z][a-z+/]{0,80}[0-9A-Z]))[A-Za-z0-9+/]{6,}={0,2}",
    ),
    phrase(
        "fields that hold a secret",
        "docs.litellm.ai config settings; docs.aws.amazon.com SDK settings; learn.microsoft.com connection strings",
        "apikey _key -key accesskey secretkey privatekey accountkey masterkey signingkey encryptionkey saltkey"
        " licensekey subscriptionkey"
        " secret _token -token accesstoken refreshtoken idtoken authtoken sessiontoken securitytoken bearertoken"
        " bottoken"
        " csrftoken pass pwd credential cookie _url -url databaseurl dburl redisurl webhookurl connectionstring"
        " connection_string connection-string sharedaccess code_verifier x-ak-",
        rf"(?P<keep>(?:{_FIELDS}){ASSIGNED}{QUOTE}?){VALUE}",
    ),
    phrase(
        "keys that a sentence names",
        "platform.openai.com/docs/guides/error-codes: Incorrect API key provided",
        "key token secret password credential",
        r"(?P<keep>\b(?:(?:api|access|auth|account|subscription|secret)[ _-]?(?:key|token)|secret|password"
        r"|credential)s?(?:\s(?:provided|given|used|received|supplied|is|was|value|id|named)){0,3}"
        rf"(?:\s{{0,3}}[:=]\s{{0,3}}|\s{{1,3}}){QUOTE}?)"
        r"(?=[^\s\d]{0,200}\d)(?=[^\sA-Za-z]{0,200}[A-Za-z])[\w.~+/=*-]{11,}[\w~+/=*-]",
    ),
    phrase(
        "keys and tokens in quotes",
        "as before, where a provider says no more than `key` or `token`",
        "key token",
        rf"(?P<keep>\b(?:key|token){ASSIGNED}{QUOTE}?)(?=[^\s\d]{{0,200}}\d)(?=[^\sA-Za-z]{{0,200}}[A-Za-z])[\w.~+/=*-]{{15,}}[\w~+/=*-]",
    ),
    phrase(
        "secrets in a query",
        "RFC 6750 section 2.3; AWS presigned URLs; learn.microsoft.com service SAS; cloud.google.com signed URLs",
        "?  & u0026 ;",
        r"(?P<keep>(?:[?&;]|\\u0026|%26|%3F)(?:(?:api|access|auth|subscription)[_-]?key|key|\w{0,40}token|\w{0,40}secret|auth"
        r"|password|passwd|pwd|code|session|sig|signature|credential|awsaccesskeyid|project|(?:x-amz|x-goog)-[\w-]{1,40}|hapikey)"
        r"""(?:=|%3D))[^\s&"'\\<>)\]}]+""",
    ),
)
