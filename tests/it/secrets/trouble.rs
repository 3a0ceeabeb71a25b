//! Files that cannot be used: the last good secrets stay in force, and it is counted and said, once for each state.

use super::{FAILURES, Rig, Volume, at_once, make_pipe, rename_over};
use std::path::Path;

const SECRET: &str = "good-6b86b273ff34fce1";
const NEXT: &str = "next-d4735e3a265e16ee";

/// Replaces a good file by a bad one and back again, under load: what is said when is the same for all.
fn survives(rig: &Rig, said: &str, spoil: impl FnOnce(&Path), mend: impl FnOnce(&Path)) {
    let path = rig.path("secret");
    rig.under_load(&[SECRET], || {
        spoil(&path);
        rig.until_failures(1.0);
        rig.until_logged(said);
        rig.until_logged("the last good secrets (1) stay in force");
        // Asked for, it is said again, and counts no more: the state is the same.
        rig.bridge().signal(libc::SIGHUP);
        rig.until_logged(&format!("as before: {said}"));
        mend(&path);
        rig.until_logged("the secret file is good again");
    });
    rename_over(&path, &format!("{NEXT}\n{SECRET}"));
    rig.under_load(&[SECRET], || rig.until_accepted(NEXT));
    assert_eq!(rig.bridge().metrics().value(FAILURES), 1.0);
    rig.assert_logged("stay in force", 2);
    rig.assert_logged("good again", 1);
    rig.assert_not_logged(&[SECRET, NEXT]);
}

fn write(path: &Path) {
    std::fs::write(path, SECRET).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

fn deleted() {
    let rig = Rig::with_secrets(SECRET);
    let said = "the file cannot be read: No such file or directory";
    survives(&rig, said, remove, write);
}

fn emptied() {
    let rig = Rig::with_secrets(SECRET);
    let spoil = |path: &Path| std::fs::write(path, "\n\r\n").unwrap();
    survives(&rig, "the file is empty", spoil, write);
}

fn a_folder_in_its_place() {
    let rig = Rig::with_secrets(SECRET);
    let spoil = |path: &Path| {
        remove(path);
        std::fs::create_dir(path).unwrap();
    };
    let mend = |path: &Path| {
        std::fs::remove_dir(path).unwrap();
        write(path);
    };
    survives(&rig, "this is no regular file", spoil, mend);
}

fn a_link_that_leads_nowhere() {
    let rig = Rig::with_secrets(SECRET);
    let spoil = |path: &Path| {
        remove(path);
        std::os::unix::fs::symlink("nowhere", path).unwrap();
    };
    let mend = |path: &Path| rename_over(path, SECRET);
    survives(&rig, "the file cannot be read", spoil, mend);
}

fn far_too_large() {
    let rig = Rig::with_secrets(SECRET);
    let spoil = |path: &Path| {
        let file = std::fs::File::create(path).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    survives(&rig, "the file is larger than 64 KiB", spoil, write);
}

/// Nobody waits for somebody to write to it.
fn a_pipe() {
    let rig = Rig::with_secrets(SECRET);
    let spoil = |path: &Path| {
        remove(path);
        make_pipe(path);
    };
    let mend = |path: &Path| rename_over(path, SECRET);
    survives(&rig, "this is no regular file", spoil, mend);
}

#[test]
fn over_a_file_that_cannot_be_used_the_last_good_secrets_stay_in_force() {
    at_once(&[
        &deleted,
        &emptied,
        &a_folder_in_its_place,
        &a_link_that_leads_nowhere,
        &far_too_large,
        &a_pipe,
    ]);
}

#[test]
fn a_kubernetes_volume_that_is_taken_away_leaves_the_last_good_secrets_in_force() {
    let mut rig = Rig::new();
    let mut volume = Volume::new(&rig.path("volume"), SECRET);
    rig.serve_with(&[("WEBHOOK_SECRET_FILE", volume.file().to_str().unwrap())]);
    rig.under_load(&[SECRET], || {
        std::fs::remove_file(rig.path("volume/..data")).unwrap();
        rig.until_failures(1.0);
        volume.swap(&format!("{NEXT}\n{SECRET}"));
        rig.until_accepted(NEXT);
    });
    rig.assert_logged("the secret file is good again", 1);
}

#[test]
fn each_bad_state_is_counted_once_however_long_it_lasts() {
    let mut rig = Rig::new();
    std::fs::write(rig.path("secret"), SECRET).unwrap();
    std::fs::write(rig.path("sandbox"), "one").unwrap();
    let (file, apps) = (
        rig.path("secret"),
        format!("sandbox={}", rig.path("sandbox").display()),
    );
    rig.serve_with(&[
        ("WEBHOOK_SECRET_FILE", file.to_str().unwrap()),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
    ]);
    std::fs::write(&file, "").unwrap();
    rig.until_failures(1.0);
    // Another file's rotations are the clock: two seconds each at the least, in which the bad one is tried again.
    for secret in ["two", "three", "four"] {
        std::fs::write(rig.path("sandbox"), secret).unwrap();
        crate::support::eventually::within(super::SECONDS, "the other app's secret", || {
            (rig.status_at("/webhook/sandbox", secret) == 202).then_some(())
        });
    }
    rig.until_failures(1.0);
    rig.assert_logged("stay in force", 1);
    std::fs::remove_file(&file).unwrap();
    rig.until_failures(2.0);
    std::fs::create_dir(&file).unwrap();
    rig.until_failures(3.0);
    rig.assert_logged("stay in force", 3);
    assert_eq!(rig.status(SECRET), 202);
}
