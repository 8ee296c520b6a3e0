# People come from a learning platform (Moodle, Canvas, Open edX) by LTI 1.3: a link there opens
# the lab, already logged in. Names in lab.yaml are what the platform says in `email`.
# GPULAB_AUTHENTICATOR=ltiauthenticator.lti13.auth.LTI13Authenticator GPULAB_HUB_CONFIG=<this file>
#
# The platform's administrator registers <the lab's address>/hub/lti13/config and tells you the
# four values below.
c = get_config()  # given by JupyterHub

c.LTI13Authenticator.issuer = "https://moodle.example.org"
c.LTI13Authenticator.authorize_url = "https://moodle.example.org/mod/lti/auth.php"
c.LTI13Authenticator.jwks_endpoint = "https://moodle.example.org/mod/lti/certs.php"
c.LTI13Authenticator.client_id = {"the id that the platform gave the lab"}
c.LTI13Authenticator.username_key = "email"
