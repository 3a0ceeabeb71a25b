//! The command line of `send`.

use crate::config;
use crate::domain::event;
use crate::load::Target;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Where a bridge listens on this machine.
const DEFAULT_URL: &str = "http://127.0.0.1:4040/webhook";

/// Behind the options in `--help`.
pub(in crate::cli) const LONG_HELP: &str = "\
The secret is read from --secret-file, from the variable that --secret-env names, or else from the bridge's own settings: \
ICR_BRIDGE_WEBHOOK_SECRET or ICR_BRIDGE_WEBHOOK_SECRET_FILE, and for a URL that ends in /webhook/<app> from that app's file in \
ICR_BRIDGE_APP_SECRET_FILES. It is never an argument, which everybody on the machine could read, and it is never printed. Of a file \
with several secrets the first signs.

Every delivery is distinct, in two runs as well. Each is put on the wire once at most and never sent again by itself.

With --rate the loop is open: delivery n is due n/rate seconds after the start, whatever became of those before it, and its latency \
counts from that moment. A server that stalls does not slow the schedule; what then has to wait because --concurrency deliveries \
are under way still counts from its scheduled time. Without --rate the loop is closed: the next goes when one is answered, and \
latency counts from sending. At the end of --duration nothing new is sent, what is under way is waited for, and what was due and \
had found no free connection counts as unsent. Percentiles are those of the answers; what got none is counted by its reason: \
unresolved, refused, unreachable, tls, timeout, reset, closed, not_http, no_socket, given_up, other.

Expected: a genuine delivery is answered 202 (accepted), a repeated one 202 (duplicate), a forged or garbled one 4xx. Anything else, \
no answer included, ends with exit code 1; a forged or garbled one that is taken is an alarm.

https trusts what this system trusts, or the certificates in the file that SSL_CERT_FILE names. Connections are direct: variables \
that name a proxy have no effect. Ctrl-C ends early with the summary; a second one does not wait for what is under way.

Examples:
  One `installed` to a bridge on this machine:
      icr-bridge send
  A transaction to a URL:
      icr-bridge send https://bridge.example/webhook --event organizationTransaction
  A payload of yours, signed as it stands:
      icr-bridge send --payload transaction.json
  Captured deliveries, signed with your secret:
      icr-bridge send --fixture captured.json --re-sign
  Load, open loop:
      icr-bridge send --rate 500 --duration 1m
  Load, closed loop, with trouble:
      icr-bridge send --count 10000 --forge 5% --repeat 2% --garble 1%

Exit codes: 0 all answered as expected, 1 something was not, 64 usage or configuration, 74 a file cannot be read.";

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Where the deliveries go
    #[arg(value_name = "URL", default_value = DEFAULT_URL)]
    pub(super) url: String,

    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) secret: Secret,
    #[command(flatten)]
    pub(super) what: What,
    #[command(flatten)]
    pub(super) load: Load,
    #[command(flatten)]
    pub(super) shares: Shares,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Secret")]
pub(super) struct Secret {
    /// File with the secret, exactly as typed at ICR
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    pub(super) secret_file: Option<PathBuf>,
    /// Name of the environment variable that holds the secret (its name, not the secret)
    #[arg(long, value_name = "NAME")]
    pub(super) secret_env: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What to send (else ICR's seven events in turn, `installed` first)")]
pub(super) struct What {
    /// One event by its name, also one that ICR does not have
    #[arg(long, value_name = "NAME", value_parser = event_name)]
    pub(super) event: Option<String>,
    /// A JSON payload from a file (`-`: standard input), signed as it stands; as load with a `state` of its own each
    #[arg(long, value_name = "FILE")]
    pub(super) payload: Option<PathBuf>,
    /// Captured deliveries from a JSON file: an array of objects with `headers` and `body`, and perhaps `name` and `expect`
    /// (`accepted`, `quarantined` or `rejected`), sent as they are
    #[arg(long, value_name = "FILE")]
    pub(super) fixture: Option<PathBuf>,
    /// Only the captured deliveries of this name; may be repeated
    #[arg(long, value_name = "NAME", requires = "fixture")]
    pub(super) name: Vec<String>,
    /// Sign captured deliveries anew with the secret; those that are to be rejected stay as they are
    #[arg(long, requires = "fixture")]
    pub(super) re_sign: bool,
    /// Size of each body, exactly, such as 2000 or 64KiB
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(super) size: Option<usize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Load {
    /// How many deliveries [default: 1; with --rate or --duration: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Deliveries a second, on a fixed schedule (open loop), such as 500 or 0.5
    #[arg(long, value_name = "R", value_parser = rate, allow_negative_numbers = true)]
    pub(super) rate: Option<f64>,
    /// How long to send, such as 30s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) duration: Option<Duration>,
    /// Deliveries under way, and so connections, at most [default: 16; with --rate 256; with --fixture 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) concurrency: Option<u16>,
    /// How long a delivery may take, connecting included, before it counts as unanswered
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(super) timeout: Duration,
    /// Allow more than 100 deliveries, or more than 100 a second, to another machine than this
    #[arg(long)]
    pub(super) allow_remote_load: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Trouble, as a share of the deliveries")]
pub(super) struct Shares {
    /// Forge so many: a signature of the right form, made without the secret
    #[arg(long, value_name = "PERCENT", value_parser = share, default_value = "0%", hide_default_value = true)]
    pub(super) forge: u32,
    /// Repeat so many: a transaction that was answered 202 before, byte for byte
    #[arg(long, value_name = "PERCENT", value_parser = share, default_value = "0%", hide_default_value = true)]
    pub(super) repeat: u32,
    /// Garble so many: by turns a body that broke off, and one with a changed character in what is signed
    #[arg(long, value_name = "PERCENT", value_parser = share, default_value = "0%", hide_default_value = true)]
    pub(super) garble: u32,
}

/// Shares are counted in millionths, so that they are exact.
pub(super) const WHOLE: u32 = 1_000_000;

fn event_name(text: &str) -> Result<String, String> {
    if event::is_well_formed(text) {
        Ok(text.to_owned())
    } else {
        Err(
            "an event's name is 1 to 100 letters, digits, `_`, `.` and `-`, such as installed"
                .to_owned(),
        )
    }
}

fn size(text: &str) -> Result<usize, String> {
    config::parse_size(text)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| (1..=(64 << 20)).contains(bytes))
        .ok_or_else(|| "write a size up to 64MiB, such as 2000 or 64KiB".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number
        .parse()
        .ok()
        .filter(|rate: &f64| (1e-4..=1e6).contains(rate))
        .ok_or_else(|| {
            "write deliveries a second, from 0.0001 to 1000000, such as 500 or 0.5".to_owned()
        })
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<jiff::SignedDuration> = text.parse().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero() && *duration <= Duration::from_secs(30 * 86_400))
        .ok_or_else(|| {
            "write a time up to 720h with its unit, such as 500ms, 30s, 5m or 1h".to_owned()
        })
}

/// `5%`, in millionths.
fn share(text: &str) -> Result<u32, String> {
    let percent = text.strip_suffix('%').map(str::trim_end);
    percent
        .and_then(|percent| percent.parse().ok())
        .filter(|percent: &f64| (0.0..=100.0).contains(percent))
        .map(|percent| (percent * f64::from(WHOLE / 100)).round() as u32)
        .ok_or_else(|| "write a percentage from 0% to 100%, such as 5% or 0.1%".to_owned())
}

impl Options {
    pub(super) fn target(&self) -> Result<Target, String> {
        Target::parse(&self.url).map_err(|error| match error {
            crate::load::TargetError::Credentials => format!("the URL cannot be used: {error}"),
            _ => format!("`{}` cannot be used: {error}", self.url),
        })
    }

    /// How many deliveries, where they are counted.
    pub(super) fn count(&self) -> Option<u64> {
        let endless = self.load.rate.is_some() || self.load.duration.is_some();
        self.load.count.or((!endless).then_some(1))
    }

    /// Whether it is one delivery by plain intention.
    pub(super) fn is_single(&self) -> bool {
        self.what.fixture.is_none() && self.count() == Some(1)
    }

    /// What cannot be meant together, and what could.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_what()?;
        self.check_shares()?;
        if self.load.concurrency.is_some_and(|many| many > 1) && self.is_single() {
            return Err(
                "--concurrency wants more than one delivery; add --count, --duration or --rate"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn check_what(&self) -> Result<(), String> {
        let What {
            event,
            payload,
            fixture,
            re_sign,
            size,
            ..
        } = &self.what;
        if u8::from(event.is_some()) + u8::from(payload.is_some()) + u8::from(fixture.is_some()) > 1
        {
            return Err(
                "--event, --payload and --fixture each say what to send; give one of them"
                    .to_owned(),
            );
        }
        let simulated = payload.is_none() && fixture.is_none();
        let Shares {
            forge,
            repeat,
            garble,
        } = self.shares;
        if !simulated && (size.is_some() || forge + repeat + garble > 0) {
            return Err("--size, --forge, --repeat and --garble are for simulated events; leave them away, or --payload and --fixture".to_owned());
        }
        if fixture.is_none() {
            return Ok(());
        }
        if self.load.count.is_some() || self.load.duration.is_some() {
            return Err("captured deliveries are sent once each: leave --count and --duration away; --name chooses some of them, --rate spaces them".to_owned());
        }
        let secret = self.secret.secret_file.is_some() || self.secret.secret_env.is_some();
        if secret && !re_sign {
            return Err("captured deliveries are sent with their own signatures and need no secret; add --re-sign to sign them anew".to_owned());
        }
        Ok(())
    }

    fn check_shares(&self) -> Result<(), String> {
        let Shares {
            forge,
            repeat,
            garble,
        } = self.shares;
        if forge + repeat + garble > WHOLE {
            return Err(
                "--forge, --repeat and --garble together are over 100%; lower them".to_owned(),
            );
        }
        let transactions = |name: &String| event::EventKind::of(name).is_transaction();
        if repeat > 0 && !self.what.event.as_ref().is_none_or(transactions) {
            return Err("--repeat wants transactions, which are duplicates whenever they come again; leave --event away, or name warehouseTransaction or organizationTransaction".to_owned());
        }
        if repeat > 0 && self.is_single() {
            return Err("--repeat wants more than one delivery: there must be one to repeat; add --count, --duration or --rate".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_percentages() {
        assert_eq!(share("5%"), Ok(50_000));
        assert_eq!(share("0.1 %"), Ok(1000));
        assert_eq!(share("100%"), Ok(WHOLE));
        for wrong in ["5", "0.05", "-1%", "101%", "five%", "%", "NaN%", "inf%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "30", "0s", "-5s", "1000h", "soon", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_numbers_above_nothing() {
        assert_eq!(rate("500"), Ok(500.0));
        assert_eq!(rate("0.5/s"), Ok(0.5));
        for wrong in ["0", "-1", "NaN", "inf", "fast", "", "2000000"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
