//! An authority, and what it signed.

use std::path::Path;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};

use super::{OWNER, PHRASE};

const DAY: i64 = 24 * 60 * 60;

/// In days.
const VALID: i64 = 30;

const HERE: &str = "127.0.0.1";

struct Pair {
    certificate: X509,
    key: PKey<Private>,
}

/// Writes the authorities, the brokers' certificates with their keys, and the client's.
pub(super) fn make(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let authority = pair("authority", None, None, VALID)?;
    let stranger = pair("stranger", None, None, VALID)?;
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes);
    write("ca.pem", &authority.certificate.to_pem()?)?;
    write("stranger.pem", &stranger.certificate.to_pem()?)?;
    for (name, host, days) in [
        ("broker", HERE, VALID),
        ("expired", HERE, 1),
        ("elsewhere", "127.0.0.2", VALID),
    ] {
        let Pair { certificate, key } = pair(name, Some(host), Some(&authority), days)?;
        let all = [key.private_key_to_pem_pkcs8()?, certificate.to_pem()?].concat();
        write(&format!("{name}.pem"), &all)?;
    }
    for name in ["client", "renewed"] {
        let Pair { certificate, key } = pair(OWNER, Some(HERE), Some(&authority), VALID)?;
        let locked =
            key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), PHRASE.as_bytes())?;
        write(&format!("{name}.crt"), &certificate.to_pem()?)?;
        write(&format!("{name}.key"), &locked)?;
    }
    Ok(())
}

/// A certificate for `host`, or an authority; it began three days ago.
fn pair(name: &str, host: Option<&str>, by: Option<&Pair>, days: i64) -> Result<Pair, ErrorStack> {
    let key = PKey::from_ec_key(EcKey::generate(
        EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?.as_ref(),
    )?)?;
    let mut subject = X509Name::builder()?;
    subject.append_entry_by_text("CN", name)?;
    let subject = subject.build();
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |now| now.as_secs() as i64);
    let from = now - 3 * DAY;
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(64, MsbOption::ONE, false)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(by.map_or(subject.as_ref(), |by| by.certificate.subject_name()))?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(Asn1Time::from_unix(from)?.as_ref())?;
    builder.set_not_after(Asn1Time::from_unix(from + days * DAY)?.as_ref())?;
    match host {
        Some(host) => {
            let names = SubjectAlternativeName::new()
                .ip(host)
                .build(&builder.x509v3_context(None, None))?;
            builder.append_extension(names)?;
        }
        None => {
            builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
            builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
        }
    }
    builder.sign(by.map_or(&key, |by| &by.key), MessageDigest::sha256())?;
    Ok(Pair {
        certificate: builder.build(),
        key,
    })
}
