"""The list of commands. ``broker COMMAND --help`` shows each with an example."""

from __future__ import annotations

import typer

from broker.cli import (
    apply,
    audit,
    check,
    demo,
    explain,
    export,
    identifiers,
    keys,
    log,
    registration_token,
    replay,
    serve,
)

app = typer.Typer(
    name="broker",
    help="Kuntasilta: the federated identity broker for inter-municipality collaboration.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("apply")(apply.apply)
app.command("export")(export.export)
app.command("log")(log.log)
app.command("explain")(explain.explain)
app.command("replay")(replay.replay_logins)
app.command("registration-token")(registration_token.registration_token)
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(identifiers.app, name="identifiers")
