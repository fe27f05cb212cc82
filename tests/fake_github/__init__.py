"""A GitHub on loopback: REST, Git over HTTP and signed webhooks, held against GitHub's own OpenAPI description."""
