"""Who runs the proxy, and where: ids and accounts, addresses, hosts and files."""

from __future__ import annotations

from litellm_cancel_guard.redaction.form import ASSIGNED, QUOTE, VALUE, phrase, token

IDENTITIES = (
    phrase(
        "user ids in fields",
        "openrouter.ai/docs/api-reference/errors: user_id beside the error; platform.openai.com: user, organization",
        "user_id user-id userid org_id org-id orgid organization_id organization-id organizationid account_id"
        " account-id"
        " accountid team_id team-id teamid tenant_id tenant-id tenantid customer_id customer-id customerid owner_id",
        r"(?P<keep>\b(?:(?:end_?)?user|org(?:anization)?|account|team|tenant|customer|owner)[_-]?id"
        rf"{ASSIGNED}{QUOTE}?){VALUE}",
    ),
    token(
        "user, organization and project ids",
        "platform.openai.com/docs/api-reference: OpenAI-Organization; clerk.com/docs (OpenRouter's users)",
        "user- user_ org- org_ proj_ proj- acct_ cus_ team_",
        r"(?=[A-Za-z]{0,40}\d|[a-z]{1,40}[A-Z])[A-Za-z0-9]{8,}",
    ),
    phrase(
        "accounts of a cloud",
        "docs.aws.amazon.com IAM ARNs; cloud.google.com service accounts; learn.microsoft.com resource ids",
        "arn: gserviceaccount project_number /subscriptions/ projects/",
        r"(?P<keep>arn:aws[\w-]{0,12}:)(?:iam|sts)::[^\s\"',;<>)\]}]+"
        r"|\b[\w.-]{1,64}@[\w.-]{1,100}\.gserviceaccount\.com|\bproject_number:\d+|/subscriptions/[^\s\"'<>,;]+",
    ),
    phrase(
        "an account within a resource's name",
        "docs.aws.amazon.com IAM ARNs; cloud.google.com: resource names",
        "arn:aws projects/",
        r"(?P<keep>\barn:aws[\w-]{0,12}:[\w-]{1,40}:[\w-]{0,30}:(?=\d)|\bprojects/(?=[\w.-]{2,80}/))[\w.-]+",
    ),
)

_HOST = r"(?:[A-Za-z0-9_-]{1,63}\.){1,8}"
_PORT = r"(?::\d{1,5})?"

PLACES = (
    phrase(
        "private addresses",
        "RFC 1918, RFC 1122 (loopback), RFC 3927 (link-local), RFC 6598 (shared), RFC 4193, RFC 4291",
        "10. 172. 192.168. 127. 169.254. 100. 0.0.0.0",
        r"(?<![\w.])(?:10(?:\.\d{1,3}){3}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}|192\.168(?:\.\d{1,3}){2}"
        r"|127(?:\.\d{1,3}){3}|169\.254(?:\.\d{1,3}){2}|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])(?:\.\d{1,3}){2}|0\.0\.0\.0)"
        rf"(?!\.?\d){_PORT}",
        internal=True,
    ),
    phrase(
        "private addresses of IPv6",
        "RFC 4193 (fc00::/7), RFC 4291 (::1, fe80::/10)",
        "::1 fc fd fe80:",
        r"(?<![\w.])(?<![0-9a-f:]:)\[?(?:::1|f[cd][0-9a-f]{2}:[0-9a-f:]{2,39}|fe80:[0-9a-f:]{2,39}(?:%\w{1,16})?)(?![\w:])\]?"
        + _PORT,
        internal=True,
    ),
    phrase(
        "hosts of a private network",
        "RFC 6762 (local), RFC 8375 (home.arpa), ICANN (internal); kubernetes.io DNS; docs.aws.amazon.com private DNS",
        "localhost .internal .local .lan .corp .intra .private .home .svc .consul host ip-1 ://",
        rf"(?<![\w.-])(?:{_HOST}(?:internal|local|localdomain|lan|corp|intra|intranet|private|home|home\.arpa|svc|consul)"
        r"(?![\w-])|localhost(?![\w-])|ip-\d{1,3}(?:-\d{1,3}){3}(?![\w-])"
        rf"|(?<=\bhost )(?=[\w-]{{0,60}}[a-z])[\w-]{{1,63}}(?=:\d)){_PORT}",
        internal=True,
    ),
    phrase(
        "hosts without a domain in URLs",
        "docs.docker.com/compose/how-tos/networking: a service's name is its host",
        "://",
        rf"(?P<keep>(?<!file)://)(?!localhost\b|REDACTED)[A-Za-z0-9_-]{{1,63}}(?:{_PORT}(?=[/?#\s\"'`,;)\]}}]|$)|(?=\.(?:\s|$)))",
        internal=True,
    ),
    phrase(
        "paths of Windows",
        "learn.microsoft.com/windows/win32/fileio/naming-a-file",
        ":\\ :/ \\\\",
        r"(?<![A-Za-z0-9])[A-Z]:(?:\\{1,4}|/(?=[\w.@+~-]{1,80}/))"
        r"(?:\(x86\)|[^\s\"'`<>|*?,;)\]}.]|\.(?=\w)|[ ](?=[^\\\"'<>:\r\n]{1,40}\\))+"
        r"|(?<![\\\w])\\\\{1,3}[\w.$-]{1,80}\\[^\s\"'`<>|*?,;)\]}]*[^\s\"'`<>|*?,;)\]}.]",
        internal=True,
    ),
    phrase(
        "paths below a system's folders",
        "refspecs.linuxfoundation.org FHS; LiteLLM litellm_core_utils/secret_redaction.py",
        "/",
        r"file://[^\s\"'<>)\]]*[^\s\"'<>)\].:]|(?<![\w/.-])(?:~(?=/[\w.])|/(?:etc|var|opt|usr|home|root|private|users|tmp|mnt|srv|proc|run|sys|dev|app"
        r"|workspace|volumes|library|nix|boot)(?=/[\w.@-]))/[^\s\"'`<>)\]},;]*[^\s\"'`<>)\]},;.:]",
        internal=True,
    ),
    phrase(
        "paths of files",
        "pubs.opengroup.org XBD 4.13; refspecs.linuxfoundation.org FHS",
        "/",
        # Bounded: each slash of "/+/+/+" begins anew.
        r"(?<![\w/.])(?:~|\.{1,2})?(?<!:/)/(?:[\w.@+~-]{1,100}/){1,30}[\w.@+~-]*\.[a-z]\w{0,15}(?::\d+)?",
        internal=True,
    ),
)
