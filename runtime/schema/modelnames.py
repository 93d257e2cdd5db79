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
    r"SECRET_ACCESS_|CLIENT_SECRET|VAULT_|KUBE|CLOUDFLARE_|DIGITALOCEAN_|HEROKU_|VERCEL_|NETLIFY_|PULUMI_|TF_|TERRAFORM_|CONSUL_|NOMAD_|"
    r"ACTIONS_|CF_|FLY_|GCP_|GOOGLE_|OP_|BW_|S3_|R2_|SUPABASE_|FIREBASE_|SNYK_|CODECOV_|SONAR_|NOTION_|JIRA_|ATLASSIAN_|LINEAR_|ASANA_|"
    r"AIRTABLE_|HUBSPOT_|SALESFORCE_|ZENDESK_|INTERCOM_|PAYPAL_|PLAID_|SHOPIFY_|SQUARE_|BRAINTREE_|ADYEN_|COINBASE_|ETHERSCAN_|"
    r"OPSGENIE_|PAGERDUTY_|NEW_RELIC_|GRAFANA_|LANGSMITH_|LANGCHAIN_|ALGOLIA_|TAVILY_|SERPER_|SERPAPI_|BRAVE_|PINECONE_|WEAVIATE_|QDRANT_|"
    r"DROPBOX_|BOX_|FIGMA_|OKTA_|AUTH0_|CLERK_|KEYCLOAK_|LDAP_|SMTP_|MAPBOX_|KAGGLE_)"
)
_PROVIDERS = """\
AI21 AIML ANTHROPIC APERTIS ARK ASSEMBLYAI AZURE BASETEN BEDROCK BFL BLACK_FOREST_LABS BYTEZ CEREBRAS CHATGPT
CHUTES CLARIFAI CODESTRAL COHERE COMETAPI COMPACTIFAI CORTECS CURSOR DASHSCOPE DATABRICKS DATAROBOT DEEPGRAM
DEEPINFRA DEEPSEEK EDENAI ELEVENLABS FAL FEATHERLESS FIREWORKS FIREWORKSAI FRIENDLI FRIENDLIAI GALADRIEL GEMINI
GIGACHAT GRADIENT GROQ HELICONE HF HUGGING_FACE HUGGINGFACE HUMANLOOP HYPERBOLIC INFERENCE_NET JINA LAMBDA LANGFUSE
LIBERTAI MANUS MARITALK META_LLAMA MILVUS MINIMAX MISTRAL MODELSCOPE MOONSHOT NEBIUS NLP_CLOUD NOVITA NSCALE NVIDIA
OCI OPENROUTER OVHCLOUD PARASAIL PERPLEXITY PERPLEXITYAI POE PREDIBASE PUBLICAI QWEN QWENCLOUD RAGFLOW RECRAFT
REDUCTO REKA REPLICATE RUNPOD RUNWAYML SAGEMAKER SAMBANOVA SCALEWAY SNOWFLAKE SONIOX STABILITY TENCENT TOGETHER
TOGETHERAI TOPAZ VALKEY VERTEX VOLCENGINE VOYAGE VOYAGEAI WANDB WATSONX WX XAI XIAOMI ZAI ZHIPUAI
"""
"""Words in the names of variables that other providers' keys are kept in, besides those whose names are known to the letter."""
_ALSO_CALLED = {
    "volcengine": ("ARK",),
    "black_forest_labs": ("BFL",),
    "huggingface": ("HF", "HUGGING_FACE"),
    "dashscope": ("QWEN",),
    "qwencloud": ("DASHSCOPE",),
    "qwen_ai_platform": ("DASHSCOPE",),
    "fireworks_ai": ("FIREWORKSAI",),
    "friendliai": ("FRIENDLI",),
    "perplexity": ("PERPLEXITYAI",),
    "mistral": ("CODESTRAL",),
    "codestral": ("MISTRAL",),
    "text-completion-codestral": ("CODESTRAL", "MISTRAL"),
    "watsonx": ("WX",),
    "watsonx_text": ("WX",),
    "voyage": ("VOYAGEAI",),
    "zai": ("ZHIPUAI",),
}
_NOT_AN_ADDRESS = (
    r"(?i)(?:^|_)(?:SECRETS?|PASS(?:WORD|WD|PHRASE)?|PWD|CREDENTIALS?|COOKIE|DSN|PRIVATE)(?:_|$)"
)
_ADDRESS_WITH_A_KEY = (
    r"(?i)(?:^|_)(?:DATABASE|DB|PG|PSQL|POSTGRES(?:QL)?|MYSQL|MARIADB|MONGO(?:DB)?|REDIS|VALKEY|MEMCACHED?|SQL|SQLALCHEMY|JDBC|AMQP|RABBITMQ|"
    r"CELERY|BROKER|KAFKA|NATS|ELASTIC(?:SEARCH)?|CLICKHOUSE|CASSANDRA|NEO4J|SENTRY|SLACK|DISCORD|TEAMS|WEBHOOK|HOOK|SMTP|MAIL(?:GUN)?|"
    r"IMAP|LDAP|FTP|SFTP|S3|GIT|NPM|PIP|VAULT)(?:_|$)"
)


def is_model_name(model: str) -> bool:
    """Whether the string names a model and holds no address."""
    return bool(model) and len(model) <= _LONGEST and not _NO_NAME.search(model) and not _HOSTED.match(model)


def may_hold_address(variable: str) -> bool:
    """Whether a file may say that a model's address is in the environment's `variable`: none that is called like a key or a
    secret, or like the address of something else, such as a database, in which there are passwords."""
    return bool(re.fullmatch(_VARIABLE, variable)) and not any(
        re.search(pattern, variable) for pattern in (_OF_A_KEY, _NOT_AN_ADDRESS, _ADDRESS_WITH_A_KEY)
    )


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
    called = provider.upper().replace("-", "_")
    words |= {word for word in _PROVIDERS.split() if not called.startswith(word)}
    words -= {re.sub(_OF_A_KEY, "", name) for name in usual} | {*_ALSO_CALLED.get(provider, ())}
    if re.search(_OF_A_KEY, variable) is None or any(
        f"_{word}_" in f"_{variable.upper()}_" for word in words
    ):
        return False
    own = bool(usual) and variable.upper().startswith(f"{provider.upper()}_")
    return own or re.search(_SOMEBODY_ELSES, variable) is None
