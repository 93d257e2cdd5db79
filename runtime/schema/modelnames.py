"""Tells whether what names a model, or the variable with its key, is a name and nothing else.

LiteLLM takes an address for some of its providers out of the model's name (`oobabooga/http://…`, `huggingface/https://…`)
and puts names of others into a host or a path. A name that came with a file would then say where prompts go.
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

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_OF_A_KEY = re.compile(r"(?:^|_)(?:API_?)?(?:KEY|TOKEN)(?:_[A-Z0-9]{1,20})?$|APIKEY$", re.I)
_SOMEBODY_ELSES = re.compile(
    r"(?:^|_)(?:A?WS_|AMAZON_|AWS|GITHUB_|GH_|GITLAB_|BITBUCKET_|CI_|NPM_|NODE_AUTH|PYPI_|TWINE_|UV_|POETRY_|CARGO_|DOCKER_|SSH_|GPG_|"
    r"STRIPE_|SLACK_|DISCORD_|TELEGRAM_|TWILIO_|SENDGRID_|MAILGUN_|SENTRY_|DATADOG_|DD_|DATABASE_|DB_|PG|MYSQL_|POSTGRES|"
    r"MONGO|REDIS_|DJANGO_|FLASK_|RAILS_|SECRET_|JWT_|SESSION_|COOKIE_|CSRF_|ENCRYPTION_|SIGNING_|PRIVATE_|MASTER_|ROOT_|"
    r"SECRET_ACCESS_|CLIENT_SECRET|VAULT_|KUBE|CLOUDFLARE_|DIGITALOCEAN_|HEROKU_|VERCEL_|NETLIFY_|PULUMI_|TF_|TERRAFORM_|CONSUL_|NOMAD_)",
    re.I,
)


def is_model_name(model: str) -> bool:
    """Whether the string names a model and holds no address."""
    return bool(model) and len(model) <= _LONGEST and not _NO_NAME.search(model) and not _HOSTED.match(model)


def may_hold_key(variable: str, provider: str, usual: tuple[str, ...], others: frozenset[str]) -> bool:
    """Whether a file may say that a key of this provider's is in the environment's `variable`.

    The provider's `usual` names, those that are called like a key and begin with the provider's, and others that are called
    like a key; but none that bears the name of another provider, whose variables are `others`, and none with a word in it of
    what is known to be for something else. A provider without `usual` names lends its own to nothing: the file chose
    what it is called.
    """
    if not _VARIABLE.fullmatch(variable):
        return False
    if variable in usual:
        return True
    words = {_OF_A_KEY.sub("", name) for name in others} - {_OF_A_KEY.sub("", name) for name in usual}
    if _OF_A_KEY.search(variable) is None or any(f"_{word}_" in f"_{variable.upper()}_" for word in words):
        return False
    own = bool(usual) and variable.upper().startswith(f"{provider.upper()}_")
    return own or _SOMEBODY_ELSES.search(variable) is None
