"""Secrets that their own shape tells."""

from __future__ import annotations

import re

from litellm_cancel_guard.redaction.form import Format, phrase

WHOLE = (
    phrase(
        "PEM blocks",
        "RFC 7468; one whose end is missing goes to the end of the text",
        "-----begin",
        r"-----BEGIN [A-Z0-9 ]{1,60}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,60}-----|\Z)",
    ),
    phrase(
        "JSON Web Tokens",
        "RFC 7519, RFC 7515, RFC 7516",
        "eyj",
        r"(?<![\w-])(?-i:eyJ)[\w-]{8,}\.[\w-]*(?:\.[\w-]*){0,4}",
    ),
    phrase(
        "databases with all that is in their URLs",
        "postgresql.org/docs libpq-connect; redis.io/docs; mongodb.com/docs connection strings; RFC 3986",
        "://",
        r"(?P<keep>\b(?:postgres(?:ql)?|cockroachdb|mysqlx?|mariadb|mssql|sqlserver|oracle|mongodb|rediss?|valkeys?|unix"
        r"|amqps?|kafka|nats|clickhouse|snowflake|sqlite|libsql|ldaps?|s?ftp|ssh|smtps?|neo4j|jdbc:[a-z]{2,12})(?:\+\w{1,20})?://)[^\s\"'<>]+",
    ),
    phrase(
        "URLs with a user and a password",
        "RFC 3986 section 3.2.1",
        "@",
        r"(?P<keep>://)[^\s/?#\"'<>@]{1,400}(?:@[^\s/?#\"'<>@]{1,400})?(?=@)",
    ),
    phrase(
        "Slack's, Discord's and Teams' webhooks",
        "api.slack.com/messaging/webhooks; discord.com/developers",
        "hooks. /webhooks/ webhook.office",
        r"(?P<keep>https://(?:hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|[\w.-]{1,80}webhook\.office\.com/))[^\s\"'<>]+",
    ),
)

RUNS = (
    phrase(
        "Azure's keys",
        "learn.microsoft.com: identifiable keys",
        "jqqj99 azsea azfu +ast +amc +aba +acr aiot",
        r"(?<![\w+/-])[\w+/-]{20,60}(?-i:JQQJ99|AzSea|AzFu|\+ASt|\+AMC|\+ABa|\+ACR|AIoT)[\w+/=-]{6,60}",
    ),
    phrase(
        "Azure client secrets",
        "learn.microsoft.com/entra: client secrets",
        "q~",
        r"(?<![\w~.-])[\w~.-]{3,4}(?-i:\dQ~)[\w~.-]{20,40}",
    ),
    phrase(
        "signatures",
        "docs.aws.amazon.com: Signature Version 4, Authorization header",
        "credential= signature=",
        r"(?P<keep>\b(?:Credential|Signature)=)[^\s,&\"'<>]+",
    ),
    Format(
        "AWS secret keys",
        "docs.aws.amazon.com IAM: 40 characters of base64; hexadecimal digests have no capitals",
        (),
        re.compile(
            r"(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/_-]))(?=[^A-Z]{0,39}[A-Z])(?=[^a-z]{0,39}[a-z])"
            r"(?=[^0-9]{0,39}[0-9])[A-Za-z0-9+/]{40}"
        ),
        least=40,
    ),
    Format(
        "runs too long for an id",
        "session tokens and blobs of any issuer; ids of that length have a prefix (LiteLLM's `resp_…`)",
        (),
        re.compile(
            r"(?<![\w+/=%.-])(?![a-z]{2,12}[_-])(?=[\w+/=-]{80})(?=[^A-Z\s]{0,99}[A-Z])(?=[^a-z\s]{0,99}[a-z])(?=[^0-9\s]{0,99}[0-9])[\w+/=-]{80,}"
        ),
        least=80,
    ),
    Format(
        "hashes of keys",
        "LiteLLM proxy/_types.py hash_token (SHA-256, 1.80 - 1.110): what its refusals call a key",
        (),
        re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])"),
        least=64,
    ),
)
