//! Tells the crate which build it is: the sources' revision, the compiler, the profile, the target.

use std::env;
use std::path::Path;
use std::process::Command;

/// Names the revision where no repository is at hand, as in an image's build.
const REVISION: &str = "SOURCE_REVISION";

fn main() {
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family != "unix") {
        println!(
            "cargo::error=icr-bridge is built for Linux and macOS; on Windows, build it in WSL 2 or in Docker: README.md, \"Other systems\""
        );
        return;
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={REVISION}");
    let given = env::var(REVISION).ok().filter(|given| !given.is_empty());
    let revision = given.or_else(checked_out);
    let compiler = env::var("RUSTC")
        .ok()
        .and_then(|rustc| said(&rustc, &["--version"]));
    for (name, value) in [
        ("BUILD_REVISION", revision),
        ("BUILD_COMPILER", compiler),
        ("BUILD_PROFILE", env::var("PROFILE").ok()),
        ("BUILD_TARGET", env::var("TARGET").ok()),
    ] {
        let value = value.unwrap_or_else(|| "unknown".to_owned());
        println!("cargo::rustc-env={name}={value}");
    }
}

/// The commit that is checked out here, if this is the top of a repository; looked at again when that changes.
fn checked_out() -> Option<String> {
    // In a folder of somebody else's repository, their commit says nothing.
    if !Path::new(".git").exists() {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        let path = said("git", &["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    said("git", &["rev-parse", "--short=12", "HEAD"])
}

/// The one line that a command prints.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
