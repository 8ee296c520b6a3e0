# People log in with an OpenID Connect provider: Keycloak, Authentik, Okta, Auth0, Entra and so on.
# Names in lab.yaml are what the provider says in `preferred_username`.
# GPULAB_AUTHENTICATOR=generic-oauth GPULAB_HUB_CONFIG=<this file>
#
# Register a confidential client; its redirect is <the lab's address>/hub/oauth_callback. Put its
# secret into the lab's folder of secrets as oidc_client_secret, mode 0600. The three addresses
# stand in <the provider's address>/.well-known/openid-configuration.
import os
from pathlib import Path

c = get_config()  # given by JupyterHub

c.GenericOAuthenticator.client_id = "gpulab"
c.GenericOAuthenticator.client_secret = (
    Path(os.environ["GPULAB_SECRETS_DIR"]) / "oidc_client_secret"
).read_text().strip()  # fmt: skip
c.GenericOAuthenticator.authorize_url = "https://login.example.org/authorize"
c.GenericOAuthenticator.token_url = "https://login.example.org/token"
c.GenericOAuthenticator.userdata_url = "https://login.example.org/userinfo"
c.GenericOAuthenticator.scope = ["openid", "profile"]
c.GenericOAuthenticator.username_claim = "preferred_username"
c.GenericOAuthenticator.login_service = "your school"
c.GenericOAuthenticator.oauth_callback_url = (
    os.environ["GPULAB_PUBLIC_HOST"] + "/hub/oauth_callback"
)
