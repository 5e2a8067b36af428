"""A session by netmiko, as a script of an administrator's: what it reads it does, what it is answered it prints.

Runs in the clients' environment. Standard input: `{"door": {…}, "lines": [[line, end], …]}`, `end` being a pattern;
an empty one waits until nothing more comes. Standard output: `{"key": …, "prompt": …, "answers": […]}`.
"""

import json
import sys

from netmiko import ConnectHandler

PATIENCE_S = 60


def main() -> None:
    """Do it."""
    asked = json.load(sys.stdin)
    with ConnectHandler(**asked["door"], conn_timeout=PATIENCE_S) as connection:
        key = connection.remote_conn_pre.get_transport().get_remote_server_key().get_name()
        prompt = connection.find_prompt()
        answers = [
            connection.send_command(line, expect_string=end, read_timeout=PATIENCE_S)
            if end
            else connection.send_command_timing(line, strip_prompt=False)
            for line, end in asked["lines"]
        ]
    json.dump({"key": key, "prompt": prompt, "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main()
