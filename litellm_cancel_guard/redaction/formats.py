"""What no client and no log may see, as data: formats as their issuers publish them, in the order of their search.

What is whole in itself comes first: a label takes but one word behind it.
"""

from __future__ import annotations

from litellm_cancel_guard.redaction.labelled import LABELLED
from litellm_cancel_guard.redaction.operators import IDENTITIES, PLACES
from litellm_cancel_guard.redaction.shapes import RUNS, WHOLE
from litellm_cancel_guard.redaction.tokens import TOKENS

FORMATS = (*WHOLE, *LABELLED, *TOKENS, *RUNS, *IDENTITIES, *PLACES)
