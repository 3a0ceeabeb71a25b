//! A certificate that is renewed, well and badly, beside traffic.

use super::authority::Issued;
use super::{Rig, SECONDS};
use crate::support::eventually::{eventually, within};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

/// Deliveries of a verifying client, until it is told to end.
struct Load(Child);

impl Load {
    fn on(rig: &Rig) -> Self {
        // In turn on kept connections, and many of them.
        let arguments = ["--duration", "10m", "--rate", "200", "--concurrency", "16"];
        let mut command = rig.send(&rig.path("ca.pem"), &arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Waits until the load has delivered so much that each renewal had traffic beside it, ends it, and checks that every delivery
    /// that was sent was answered 202. A busy machine may leave some of the schedule unsent: that is no failed delivery.
    fn off(self, rig: &Rig) {
        eventually("500 deliveries beside the renewals", || {
            let accepted = rig.bridge.metrics().sum("deliveries_accepted_total");
            (accepted > 500.0).then_some(())
        });
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(self.0.id() as i32, libc::SIGINT) };
        let said = self.0.wait_with_output().unwrap().stdout;
        let said: Value = serde_json::from_slice(&said).unwrap();
        let count = |count: &Value| count.as_u64().unwrap();
        let sent = count(&said["deliveries"]) - count(&said["unsent"]);
        assert_eq!(sent, count(&said["words"]["accepted"]), "{said}");
    }
}

fn in_place(rig: &Rig, issued: &Issued) {
    rig.write("certificate.pem", &issued.certificate);
    rig.write("key.pem", &issued.key);
}

fn by_rename(rig: &Rig, issued: &Issued) {
    for (name, contents) in [
        ("certificate.pem", &issued.certificate),
        ("key.pem", &issued.key),
    ] {
        rig.write("next", contents);
        std::fs::rename(rig.path("next"), rig.path(name)).unwrap();
    }
}

/// As Kubernetes does it: a folder of both, and a link to the folder that is swapped.
fn by_swapped_link(rig: &Rig, issued: &Issued, folder: &str) {
    std::fs::create_dir(rig.path(folder)).unwrap();
    rig.write(&format!("{folder}/certificate.pem"), &issued.certificate);
    rig.write(&format!("{folder}/key.pem"), &issued.key);
    symlink(folder, rig.path("..next")).unwrap();
    std::fs::rename(rig.path("..next"), rig.path("..data")).unwrap();
    for name in ["certificate.pem", "key.pem"] {
        let link = rig.path(name);
        if !link.is_symlink() {
            std::fs::remove_file(&link).unwrap();
            symlink(format!("..data/{name}"), &link).unwrap();
        }
    }
}

#[test]
fn under_load_a_renewed_certificate_is_presented_within_seconds_and_no_delivery_fails() {
    let rig = Rig::new(&[]);
    let load = Load::on(&rig);
    let mut kept = rig.connect();
    let first = kept.serial();
    assert_eq!(kept.post(&rig.delivery()).status, 202);
    let renew: [&dyn Fn(&Issued); 4] = [
        &|issued| in_place(&rig, issued),
        &|issued| by_rename(&rig, issued),
        &|issued| by_swapped_link(&rig, issued, "..1"),
        &|issued| by_swapped_link(&rig, issued, "..2"),
    ];
    for renew in renew {
        let issued = rig.authority.issue(90);
        renew(&issued);
        rig.until_presented(&issued);
        let expiry = "tls_certificate_expiry_timestamp_seconds";
        assert_eq!(rig.bridge.metrics().value(expiry), issued.not_after as f64);
    }
    assert_eq!(kept.post(&rig.delivery()).status, 202, "it goes on");
    assert_eq!(kept.serial(), first);
    load.off(&rig);
    let metrics = rig.bridge.metrics();
    assert_eq!(metrics.value("tls_handshake_failures_total"), 0.0);
    assert_eq!(metrics.value("secret_reload_failures_total"), 0.0);
}

#[test]
fn under_load_no_bad_pair_is_ever_presented_and_each_is_told_once() {
    let rig = Rig::new(&[]);
    let load = Load::on(&rig);
    let first = rig.presented();
    let next = rig.authority.issue(90);
    let expired = rig.authority.issue(-1);
    let good_key = std::fs::read(rig.path("key.pem")).unwrap();
    let half = &next.certificate[..next.certificate.len() / 2];
    let states: [(&str, &[u8], &[u8]); 6] = [
        (
            "the key is not the certificate's",
            &next.certificate,
            &good_key,
        ),
        ("holds no certificate", b"", &next.key),
        (
            "holds no certificate in PEM form, or a damaged one",
            half,
            &next.key,
        ),
        (
            "holds no unencrypted private key",
            &next.certificate,
            b"rubbish",
        ),
        (
            "the certificate has expired",
            &expired.certificate,
            &expired.key,
        ),
        ("larger than 64 KiB", &[b'x'; 70_000], &next.key),
    ];
    for (count, (said, certificate, key)) in (1_u32..).zip(states) {
        rig.write("certificate.pem", certificate);
        rig.write("key.pem", key);
        let failures = || rig.bridge.metrics().value("secret_reload_failures_total");
        within(SECONDS, "the failure is counted", || {
            assert_eq!(rig.presented(), first, "{said}");
            (failures() >= f64::from(count)).then_some(())
        });
        rig.until_logged(said);
        assert_eq!(rig.presented(), first, "{said}");
    }
    std::fs::remove_file(rig.path("key.pem")).unwrap();
    rig.until_failures(7.0);
    assert_eq!(rig.presented(), first);
    in_place(&rig, &next);
    rig.until_presented(&next);
    rig.until_logged("a new certificate is in force");
    rig.until_logged(&format!(
        "{} with {}: the key is not the certificate's",
        rig.path("certificate.pem").display(),
        rig.path("key.pem").display()
    ));
    load.off(&rig);
    let log = rig.bridge.log().join("\n");
    for secret in ["rubbish", "BEGIN", "PRIVATE"] {
        assert!(!log.contains(secret), "{secret} is logged");
    }
}

#[test]
fn sighup_has_both_read_at_once() {
    let rig = Rig::new(&[]);
    rig.bridge.signal(libc::SIGHUP);
    rig.until_logged("the certificate is unchanged");
    let next = rig.authority.issue(90);
    in_place(&rig, &next);
    rig.bridge.signal(libc::SIGHUP);
    rig.until_presented(&next);
}
