"""Tells whether the name of a model, or of the variable with its key, is a name and nothing else.

For some providers LiteLLM takes an address out of the model's name (`oobabooga/http://…`, `huggingface/https://…`);
for others it puts the name into a host or a path. So a name in somebody's file could decide where prompts go.
"""

from __future__ import annotations

import re

_NO_NAME = re.compile(
    r"https?:|//|\.\.|[\\?#%<>\"'`{}|^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]",
    re.I,
)
_HOSTED = re.compile(
    r"(?:oobabooga|petals|custom|custom_openai|openai_like|huggingface|aiohttp_openai)/.*:\d+(?:/|$)", re.I
)
_LONGEST = 300

# Compiled when an artifact or a file says where a key is.
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,99}"
_OF_A_KEY = r"(?i)(?:^|_)(?:API_?)?(?:KEY|TOKEN)(?:_[A-Z0-9]{1,20})?$|APIKEY$"
_SOMEBODY_ELSES = (
    r"(?i)(?:^|_)(?:A?WS_|AMAZON_|AWS|GITHUB_|GH_|GITLAB_|BITBUCKET_|CI_|NPM_|NODE_AUTH|PYPI_|TWINE_|UV_|POETRY_|CARGO_|DOCKER_|SSH_|GPG_|"
    r"STRIPE_|SLACK_|DISCORD_|TELEGRAM_|TWILIO_|SENDGRID_|MAILGUN_|SENTRY_|DATADOG_|DD_|DATABASE_|DB_|PG|MYSQL_|POSTGRES|"
    r"MONGO|REDIS_|DJANGO_|FLASK_|RAILS_|SECRET_|JWT_|SESSION_|COOKIE_|CSRF_|ENCRYPTION_|SIGNING_|PRIVATE_|MASTER_|ROOT_|"
    r"SECRET_ACCESS_|CLIENT_SECRET|VAULT_|KUBE|CLOUDFLARE_|DIGITALOCEAN_|HEROKU_|VERCEL_|NETLIFY_|PULUMI_|TF_|TERRAFORM_|CONSUL_|NOMAD_)"
)


def is_model_name(model: str) -> bool:
    """Whether the string names a model and holds no address."""
    return bool(model) and len(model) <= _LONGEST and not _NO_NAME.search(model) and not _HOSTED.match(model)


def may_hold_key(variable: str, provider: str, usual: tuple[str, ...], others: frozenset[str]) -> bool:
    """Whether a file may say that a key of this provider's is in the environment's `variable`.

    It may be one of the provider's `usual` names, one that is called like a key and begins with the provider's name, or
    another that is called like a key. It may have no name of another provider in it, whose variables are `others`, and no
    word that is known to be for something else. A provider without `usual` names does not lend its own: the file chose
    what it is called.
    """
    if not re.fullmatch(_VARIABLE, variable):
        return False
    if variable in usual:
        return True
    words = {re.sub(_OF_A_KEY, "", name) for name in others} - {re.sub(_OF_A_KEY, "", name) for name in usual}
    if re.search(_OF_A_KEY, variable) is None or any(
        f"_{word}_" in f"_{variable.upper()}_" for word in words
    ):
        return False
    own = bool(usual) and variable.upper().startswith(f"{provider.upper()}_")
    return own or re.search(_SOMEBODY_ELSES, variable) is None
