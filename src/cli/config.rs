//! The flags that set keys, and the command `config`: check, show, default.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;

use crate::config::{Config, ConfigError, Flag, Loaded, default_file};

/// Flags that every command takes: where the settings are, and settings that win over all others.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct GlobalArgs {
    /// The configuration file (TOML); also PRISM_CONFIG
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The prefix of every exchange, queue and key; also PRISM_NAMESPACE
    #[arg(long, global = true, value_name = "NS")]
    pub namespace: Option<String>,
    /// RabbitMQ's URL; also PRISM_AMQP_URL, which other users of the machine cannot see
    #[arg(long, global = true, value_name = "URL")]
    pub amqp_url: Option<String>,
    /// Redis's URL; also PRISM_REDIS_URL, which other users of the machine cannot see
    #[arg(long, global = true, value_name = "URL")]
    pub redis_url: Option<String>,
    /// Any setting by its key, as in retry.initial=10s; can be repeated, and the last one wins
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl GlobalArgs {
    /// The settings among the flags, in rising precedence: `--set` wins.
    pub fn flags(&self) -> Vec<Flag> {
        let named = [
            ("--namespace", "namespace", &self.namespace),
            ("--amqp-url", "amqp.url", &self.amqp_url),
            ("--redis-url", "redis.url", &self.redis_url),
        ];
        let named = named
            .into_iter()
            .filter_map(|(flag, key, value)| Some(Flag::new(flag, key, value.as_ref()?)));
        named
            .chain(self.set.iter().map(|argument| Flag::set(argument)))
            .collect()
    }

    /// Loads the settings from these flags, `env` and the file that they name.
    pub fn load(
        &self,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        Config::load(self.config.as_deref(), env, &self.flags())
    }
}

/// URLs and `--set` may hold secrets, so only what was given is told, not its value.
impl fmt::Debug for GlobalArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalArgs")
            .field("config", &self.config)
            .field("namespace", &self.namespace)
            .field("amqp_url", &self.amqp_url.as_ref().map(|_| "***"))
            .field("redis_url", &self.redis_url.as_ref().map(|_| "***"))
            .field("set", &format_args!("{} settings", self.set.len()))
            .finish()
    }
}

/// The `PRISM_…` variables of this process, to hand to [`GlobalArgs::load`]. A value that is not
/// UTF-8 comes with replacement characters, which no key takes silently for what was meant.
pub fn prism_environment() -> Vec<(String, String)> {
    let variables = std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    });
    variables
        .filter(|(name, _)| name.starts_with("PRISM_"))
        .collect()
}

/// Look at the configuration: check it, show what holds, print the documented default file
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `config` can do.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Report every mistake there is, and warn about choices that are likely to be regretted
    Check {
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print the settings that hold and where each comes from, without secrets
    Show {
        /// Print one JSON object instead of TOML
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration file with every key, its documentation and its default
    Default,
}

/// Why `config` did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ConfigCommandError {
    /// The configuration has mistakes; the message lists them all.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Runs `config …` on the settings of `global` and `env`, and prints to `out`.
///
/// Mistakes are the error and not printed, but for `check --json`, whose object is whole.
pub fn run(
    args: &ConfigArgs,
    global: &GlobalArgs,
    env: impl IntoIterator<Item = (String, String)>,
    out: &mut impl Write,
) -> Result<(), ConfigCommandError> {
    match args.command {
        ConfigCommand::Default => out.write_all(default_file().as_bytes())?,
        ConfigCommand::Show { json: false } => {
            out.write_all(global.load(env)?.to_toml().as_bytes())?
        }
        ConfigCommand::Show { json: true } => writeln!(out, "{:#}", global.load(env)?.to_json())?,
        ConfigCommand::Check { json } => check(global.load(env), json, out)?,
    }
    Ok(())
}

fn check(
    loaded: Result<Loaded, ConfigError>,
    json: bool,
    out: &mut impl Write,
) -> Result<(), ConfigCommandError> {
    if json {
        let report = match &loaded {
            Ok(loaded) => json!({ "ok": true, "mistakes": [], "warnings": loaded.warnings }),
            Err(error) => json!({ "ok": false, "mistakes": error.mistakes, "warnings": [] }),
        };
        writeln!(out, "{report:#}")?;
        return loaded.map(|_| ()).map_err(Into::into);
    }
    for warning in loaded?.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "ok")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        global: GlobalArgs,
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Config(ConfigArgs),
    }

    /// Runs a command line with an environment; what it printed and how it ended.
    fn run_line(line: &[&str], env: &[(&str, &str)]) -> (String, Result<(), ConfigCommandError>) {
        let program = Program::try_parse_from(std::iter::once(&"prism-webhooks").chain(line))
            .expect("a right line");
        let Command::Config(args) = program.command;
        let env = env
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let mut out = Vec::new();
        let ended = run(&args, &program.global, env, &mut out);
        (String::from_utf8(out).expect("text"), ended)
    }

    #[test]
    fn flags_stand_before_or_behind_the_command_and_win() {
        let env = [("PRISM_NAMESPACE", "env"), ("PRISM_RETRY_INITIAL", "2s")];
        let line = [
            "--namespace",
            "flag",
            "config",
            "show",
            "--set",
            "retry.initial=3s",
            "--redis-url",
            "redis://h",
        ];
        let (out, ended) = run_line(&line, &env);
        assert!(ended.is_ok());
        for row in [
            "namespace = \"flag\" # --namespace",
            "initial = \"3s\" # --set",
            "url = \"redis://h\" # --redis-url",
        ] {
            assert!(
                out.lines().any(|line| line == row),
                "{row} is not in\n{out}"
            );
        }
    }

    #[test]
    fn check_says_ok_with_warnings_or_fails_with_every_mistake() {
        let (out, ended) = run_line(&["config", "check"], &[]);
        assert!(
            ended.is_ok() && out.starts_with("warning: secret_key: ") && out.ends_with("\nok\n"),
            "{out}"
        );
        let (out, ended) = run_line(
            &["config", "check", "--set", "a=1"],
            &[("PRISM_ALLOW_HTTP", "maybe")],
        );
        assert_eq!(out, "");
        match ended {
            Err(ConfigCommandError::Invalid(error)) => {
                assert_eq!(error.mistakes.len(), 2, "{error}")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn check_as_json_is_one_object_either_way() {
        let (out, ended) = run_line(&["config", "check", "--json"], &[]);
        let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert!(
            ended.is_ok()
                && report["ok"] == true
                && report["warnings"][0]["keys"][0] == "secret_key",
            "{report}"
        );
        let (out, ended) = run_line(
            &["config", "check", "--json"],
            &[("PRISM_ALLOW_HTTP", "maybe")],
        );
        let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert!(ended.is_err() && report["ok"] == false, "{report}");
        assert_eq!(report["mistakes"][0]["key"], "allow_http");
        assert_eq!(report["mistakes"][0]["source"], "PRISM_ALLOW_HTTP");
    }

    #[test]
    fn the_default_file_is_printed_whatever_is_set() {
        let (out, ended) = run_line(&["config", "default"], &[("PRISM_ALLOW_HTTP", "maybe")]);
        assert!(ended.is_ok());
        assert_eq!(out, default_file());
    }

    #[test]
    fn the_arguments_keep_their_secrets_when_debugged() {
        let line = [
            "p",
            "--amqp-url",
            "amqp://u:hunter2@h",
            "--set",
            "secret_key=hunter2",
            "config",
            "show",
        ];
        let program = Program::try_parse_from(line).expect("a right line");
        assert!(!format!("{program:?}").contains("hunter2"));
    }
}
