"""The demo users in the local Cognito, and their tokens. Nothing here is secret: it exists on this machine only."""

from local import deploy, ministack, postgres
from local.console import Problem

PASSWORD = "Carhaul-demo-1"
# What `make token USER=..` takes. The first five belong to one carrier, in one role each; rival owns another carrier, newcomer
# has none yet.
EMAILS = {
    "owner": "owner@bluegrass.example",
    "admin": "admin@bluegrass.example",
    "dispatch": "dispatch@bluegrass.example",
    "accountant": "accountant@bluegrass.example",
    "driver": "driver@bluegrass.example",
    "rival": "owner@sunbelt.example",
    "newcomer": "newcomer@example.com",
}


def exist(stack):
    """Whether this deployment has a user pool of its own; with another issuer the users are the issuer's."""
    return "UserPoolId" in deploy.outputs(stack)


def create(stack):
    found = deploy.outputs(stack)
    cognito = ministack.client(stack, "cognito-idp")
    subjects = {email: _create(cognito, found["UserPoolId"], email) for email in EMAILS.values()}
    _recognise(stack, found["OidcIssuer"], subjects)


def _create(cognito, pool, email):
    """The user's subject, whether they are new or not."""
    try:
        cognito.admin_create_user(
            UserPoolId=pool, Username=email, MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
        )
        cognito.admin_set_user_password(UserPoolId=pool, Username=email, Password=PASSWORD, Permanent=True)
    except cognito.exceptions.UsernameExistsException:
        pass
    known = cognito.admin_get_user(UserPoolId=pool, Username=email)
    return next(attribute["Value"] for attribute in known["UserAttributes"] if attribute["Name"] == "sub")


def _recognise(stack, issuer, subjects):
    """Gives the demo users of the database their present subjects.

    MiniStack saves its state when it is stopped. If the machine went down instead, the user pool is made anew, and without
    this the demo users would come back as strangers to their own carriers.
    """
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        for email, subject in subjects.items():
            cursor.execute(
                "UPDATE users SET issuer = %s, subject = %s WHERE email = %s AND issuer LIKE %s "
                "AND NOT EXISTS (SELECT 1 FROM users WHERE issuer = %s AND subject = %s)",
                [issuer, subject, email, "https://cognito-idp.%", issuer, subject],
            )


def token(stack, user):
    """An ID token, which unlike an access token names the e-mail address that invitations are sent to."""
    if user not in EMAILS:
        raise Problem(f"There is no demo user {user}; there are {', '.join(EMAILS)}.")
    return _sign_in(stack, EMAILS[user])


def newcomer(stack, email):
    """A token of somebody new, for tests that need a user of their own."""
    _create(ministack.client(stack, "cognito-idp"), deploy.outputs(stack)["UserPoolId"], email)
    return _sign_in(stack, email)


def upgrade(stack, carrier):
    """To the plan pro. That is billing's to do, and billing has no part in a demo or a test."""
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE tenants SET plan = 'pro' WHERE id = %s", [carrier])


def _sign_in(stack, email):
    found = deploy.outputs(stack)
    if "UserPoolClientId" not in found:
        raise Problem(f"Tokens come from the issuer of this deployment, {found['OidcIssuer']}.")
    answer = ministack.client(stack, "cognito-idp").initiate_auth(
        ClientId=found["UserPoolClientId"], AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": PASSWORD},
    )
    return answer["AuthenticationResult"]["IdToken"]
