//! A certificate authority of our own.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder, X509Ref};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// It issues certificates for `localhost`.
pub struct Authority {
    key: PKey<Private>,
    certificate: X509,
}

/// A certificate and its key, PEM.
pub struct Issued {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    pub serial: String,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
}

/// A fresh key over P-256.
pub fn ecdsa() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

pub fn ed25519() -> PKey<Private> {
    PKey::generate_ed25519().unwrap()
}

pub fn serial(certificate: &X509Ref) -> String {
    let number = certificate.serial_number().to_bn().unwrap();
    number.to_hex_str().unwrap().to_string()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

impl Authority {
    pub fn new() -> Self {
        let key = ecdsa();
        let mut builder = unsigned("test authority", &key, now() + 365 * DAY);
        let own = named("test authority").build();
        builder.set_issuer_name(&own).unwrap();
        let extension = BasicConstraints::new().critical().ca().build().unwrap();
        builder.append_extension(extension).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self {
            certificate: builder.build(),
            key,
        }
    }

    pub fn certificate(&self) -> X509 {
        self.certificate.clone()
    }

    pub fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// A certificate that ends in so many days; fewer than 0: it has.
    pub fn issue(&self, days: i64) -> Issued {
        self.issue_for(&ecdsa(), days)
    }

    pub fn issue_for(&self, key: &PKey<Private>, days: i64) -> Issued {
        let not_after = now() + days * DAY;
        let mut builder = unsigned("localhost", key, not_after);
        builder
            .set_issuer_name(self.certificate.subject_name())
            .unwrap();
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .build(&builder.x509v3_context(Some(&self.certificate), None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        Issued {
            serial: serial(&certificate),
            certificate: certificate.to_pem().unwrap(),
            key: key.private_key_to_pem_pkcs8().unwrap(),
            not_after,
        }
    }
}

/// The key, encrypted with a passphrase that nobody has.
pub fn encrypted(key: &PKey<Private>) -> Vec<u8> {
    key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"unknown")
        .unwrap()
}

fn named(common_name: &str) -> X509NameBuilder {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", common_name).unwrap();
    name
}

fn unsigned(common_name: &str, key: &PKey<Private>, not_after: i64) -> X509Builder {
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let mut number = BigNum::new().unwrap();
    number.rand(120, MsbOption::ONE, false).unwrap();
    let number = number.to_asn1_integer().unwrap();
    builder.set_serial_number(&number).unwrap();
    let name = named(common_name).build();
    builder.set_subject_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    let time = |seconds| Asn1Time::from_unix(seconds).unwrap();
    let not_before = now().min(not_after) - 2 * DAY;
    builder.set_not_before(&time(not_before)).unwrap();
    builder.set_not_after(&time(not_after)).unwrap();
    builder
}
