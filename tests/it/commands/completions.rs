//! `completions`: scripts that a shell can read.

use super::{code, text};
use crate::support::process::run;
use std::io::Write;
use std::process::{Command, Stdio};

fn script(shell: &str) -> String {
    let output = run(&["completions", shell], &[]);
    assert_eq!(code(&output), 0, "{shell}: {}", text(&output));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

/// The commands as the help lists them.
fn commands() -> Vec<String> {
    let help = text(&run(&["--help"], &[]));
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn every_shell_completes_every_command() {
    let commands = commands();
    assert!(
        commands.len() >= 8 && commands.contains(&"completions".to_owned()),
        "{commands:?}"
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell}: {command}");
        }
        assert!(
            script.contains("allow-remote-load"),
            "{shell}: the options of send"
        );
    }
}

#[test]
fn bash_reads_its_script_and_completes() {
    let script = script("bash");
    let mut check = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(check.wait().unwrap().success(), "bash -n");
    for (words, expected) in [
        (["icr-bridge", "sen"].as_slice(), "send"),
        (&["icr-bridge", "send", "--allow"], "--allow-remote-load"),
        (&["icr-bridge", "demo", "--deliv"], "--deliveries"),
        (&["icr-bridge", "journal", "veri"], "verify"),
        (&["icr-bridge", "completions", "fi"], "fish"),
    ] {
        assert_eq!(completed(&script, words), expected, "{words:?}");
    }
}

/// What bash offers for the last word.
fn completed(script: &str, words: &[&str]) -> String {
    let [.., previous, last] = words else {
        panic!("{words:?}")
    };
    let ask = format!(
        "{script}
        registered=$(complete -p icr-bridge); registered=${{registered##*-F }}
        COMP_WORDS=({}) COMP_CWORD={}
        \"${{registered%% *}}\" icr-bridge {last} {previous}
        echo \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1
    );
    let answer = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert!(answer.stderr.is_empty(), "{answer:?}");
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}

#[test]
fn an_unknown_shell_is_told_which_there_are() {
    let output = run(&["completions", "tcsh"], &[]);
    assert_eq!(code(&output), 64);
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&output).contains(shell), "{}", text(&output));
    }
}
