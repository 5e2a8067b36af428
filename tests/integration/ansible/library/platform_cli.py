"""An Ansible module for the platform's command line: commands, and what is answered to their questions.

As public modules do it: paramiko-expect inside of a module, everything said is kept, and what a command was answered
is cut out of it at the line `admin:<command>`. A command that fails ends the task.
"""

import paramiko
import paramiko_expect
from ansible.module_utils.basic import AnsibleModule

PROMPT = ".*admin:"
FAILED = "Executed command unsuccessfully"
PATIENCE_S = 60
ARGUMENTS = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 22},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "command": {"type": "str", "required": True},
    "responses": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"expect": {"type": "str", "required": True}, "answer": {"type": "str", "required": True}},
    },
}


def main() -> None:
    """Do the task."""
    module = AnsibleModule(argument_spec=ARGUMENTS)
    asked = module.params
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507  as modules for the product do
    client.connect(
        asked["host"], asked["port"], asked["user"], asked["password"], look_for_keys=False, allow_agent=False
    )
    said = transcript(client, asked["command"], asked["responses"])
    client.close()
    line = f"admin:{asked['command']}"
    lines = [each.rstrip("\r") for each in said.split("\n")]
    if line not in lines:
        module.fail_json(msg=f"there is no line {line}", transcript=said)
    answer = lines[lines.index(line) + 1 : -1]
    if FAILED in answer:
        module.fail_json(msg="\n".join(answer), transcript=said)
    module.exit_json(changed=not line.startswith("admin:show"), stdout="\n".join(answer), transcript=said)


def transcript(client: paramiko.SSHClient, command: str, responses: list[dict[str, str]]) -> str:
    """Everything that a session says, from its first prompt to the one after the command."""
    said = "admin:"
    with paramiko_expect.SSHClientInteraction(client, timeout=PATIENCE_S, display=False, newline="\n") as session:
        session.expect([PROMPT])
        session.send(command)
        for each in responses:
            session.expect([f".*{each['expect']}\\s*"])
            said += str(session.current_output)
            session.send(each["answer"] + "\r\n")
        session.expect([PROMPT])
        said += str(session.current_output)
        session.send("exit")
    return said


if __name__ == "__main__":
    main()
