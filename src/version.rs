//! Which version runs, and which build of it.

/// The version, as of the changelog.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, 12 digits; `unknown` where nobody said.
pub const REVISION: &str = env!("BUILD_REVISION");

/// What `--version` prints behind the name.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nrevision: ",
    env!("BUILD_REVISION"),
    "\nbuild: ",
    env!("BUILD_PROFILE"),
    ", ",
    env!("BUILD_TARGET"),
    "\ncompiler: ",
    env!("BUILD_COMPILER"),
);
