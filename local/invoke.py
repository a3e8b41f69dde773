"""What `sam local invoke` needs to run a function of the bundle against the running local stack.

It passes only those variables that the template declares, so the copy that is written here declares the address of the local AWS
as well, which the deployed functions inherit from MiniStack.
"""

import json

from samcli.yamlhelper import yaml_dump, yaml_parse

from local import bundle, deploy, ministack

ENDPOINT = "AWS_ENDPOINT_URL"


def write(stack):
    """Writes the template and the variables, and returns both paths."""
    folder = stack.state / "invoke"
    folder.mkdir(mode=0o700, exist_ok=True)
    template = yaml_parse((stack.state / "bundle" / "template.yaml").read_text())
    template["Globals"]["Function"]["Environment"]["Variables"][ENDPOINT] = stack.endpoint
    deployed = deploy.resources(stack)
    client = ministack.client(stack, "lambda")
    variables = {}
    for function in bundle.functions():
        template["Resources"][function]["Properties"]["CodeUri"] = str(stack.state / "bundle" / function)
        told = client.get_function_configuration(FunctionName=deployed[function])["Environment"]["Variables"]
        variables[function] = told | {ENDPOINT: stack.endpoint}
    paths = folder / "template.yaml", folder / "env.json"
    paths[0].write_text(yaml_dump(template))
    paths[1].write_text(json.dumps(variables, indent=2))
    return paths
