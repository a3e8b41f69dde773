"""The demo users in the local Cognito, and their tokens. Nothing here is secret: it exists on this machine only."""

from local import deploy, ministack
from local.console import Problem

PASSWORD = "Carhaul-demo-1"
# What `make token USER=..` takes. The first five belong to one carrier, in one role each; rival owns another carrier.
EMAILS = {
    "owner": "owner@bluegrass.example",
    "admin": "admin@bluegrass.example",
    "dispatch": "dispatch@bluegrass.example",
    "accountant": "accountant@bluegrass.example",
    "driver": "driver@bluegrass.example",
    "rival": "owner@sunbelt.example",
}


def exist(stack):
    """Whether this deployment has a user pool of its own; with another issuer the users are the issuer's."""
    return "UserPoolId" in deploy.outputs(stack)


def create(stack):
    pool = deploy.outputs(stack)["UserPoolId"]
    cognito = ministack.client(stack, "cognito-idp")
    for email in EMAILS.values():
        try:
            cognito.admin_create_user(
                UserPoolId=pool, Username=email, MessageAction="SUPPRESS",
                UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            )
        except cognito.exceptions.UsernameExistsException:
            continue
        cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=PASSWORD, Permanent=True)


def token(stack, user):
    """An ID token, which unlike an access token names the e-mail address that invitations are sent to."""
    if user not in EMAILS:
        raise Problem(f"There is no demo user {user}; there are {', '.join(EMAILS)}.")
    found = deploy.outputs(stack)
    if "UserPoolClientId" not in found:
        raise Problem(f"Tokens come from the issuer of this deployment, {found['OidcIssuer']}.")
    answer = ministack.client(stack, "cognito-idp").initiate_auth(
        ClientId=found["UserPoolClientId"], AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": EMAILS[user], "PASSWORD": PASSWORD},
    )
    return answer["AuthenticationResult"]["IdToken"]
