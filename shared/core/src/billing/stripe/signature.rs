//! Whether Stripe has sent it: the header `Stripe-Signature`, <https://docs.stripe.com/webhooks#verify-manually>.
//!
//! The header reads `t=1800000000,v1=5257a8..,v1=..`: a time, and HMAC-SHA256 of `{time}.{body}` in hex, once for each
//! signing secret that Stripe knows at that time. We may know several, too, while they are rolled.

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::platform::secrets::{Secret, Stored};

/// How far the signature's time may be from ours, into the past (a replay) and into the future (a wrong clock).
pub const TOLERANCE: TimeDelta = TimeDelta::seconds(300);

/// More signatures than secrets can ever be valid at once; the rest is an attempt to keep us busy.
const MOST_SIGNATURES: usize = 16;

/// The signing secrets of the webhook's endpoint, as they are in its secret: all are tried.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SigningSecrets {
    #[serde(default)]
    signing_secrets: Vec<Secret>,
}

impl Stored for SigningSecrets {
    const FORM: &str = "an object with the list signing_secrets";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("no signing secret is configured, so nothing can be accepted")]
    NoSecret,
    #[error("the header Stripe-Signature is missing or not of the form t=..,v1=..")]
    Malformed,
    #[error("the signature is older than five minutes or from the future")]
    OutOfTime,
    #[error("no signature is that of a secret that we know")]
    Mismatch,
}

impl SigningSecrets {
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self { signing_secrets: secrets }
    }

    /// Checks the raw bytes of a body.
    ///
    /// # Errors
    /// [`BadSignature`]; a time out of tolerance is told only of a body that Stripe has signed.
    pub fn verify(&self, header: &str, body: &[u8], now: DateTime<Utc>) -> Result<(), BadSignature> {
        let keys: Vec<_> =
            self.signing_secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty()).collect();
        if keys.is_empty() {
            return Err(BadSignature::NoSecret);
        }
        let (time, signatures) = parse(header).ok_or(BadSignature::Malformed)?;
        let signed = [time.as_bytes(), b".", body].concat();
        // hmac::verify compares in constant time.
        let is_of = |secret: &&str, signature: &Vec<u8>| {
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &signed, signature).is_ok()
        };
        if !keys.iter().any(|secret| signatures.iter().any(|signature| is_of(secret, signature))) {
            return Err(BadSignature::Mismatch);
        }
        let at = time.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        match at {
            Some(at) if (now - at).abs() <= TOLERANCE => Ok(()),
            _ => Err(BadSignature::OutOfTime),
        }
    }
}

/// The time as it is written, and the signatures of scheme v1. Other schemes are for others; a second time could mean two
/// things.
fn parse(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let (mut time, mut signatures) = (None, Vec::new());
    for (name, value) in header.split(',').map(|part| part.trim().split_once('=')).collect::<Option<Vec<_>>>()? {
        match name {
            "t" if time.is_none() && !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                time = Some(value)
            }
            "t" => return None,
            "v1" => signatures.push(from_hex(value)?),
            _ => {}
        }
    }
    (1..=MOST_SIGNATURES).contains(&signatures.len()).then_some((time?, signatures))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|byte| (byte as char).to_digit(16).map(|digit| digit as u8));
    let digits = digits.collect::<Option<Vec<_>>>()?;
    (digits.len() == 64).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const BODY: &[u8] = br#"{"id": "evt_1", "object": "event"}"#;

    fn sign(secret: &str, time: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, &[time.as_bytes(), b".", body].concat());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn header(secret: &str, time: i64) -> String {
        format!("t={time},v1={}", sign(secret, &time.to_string(), BODY))
    }

    fn verify(secrets: &[&str], header: &str, body: &[u8]) -> Result<(), BadSignature> {
        let secrets = SigningSecrets::new(secrets.iter().map(|secret| Secret::new(*secret)).collect());
        secrets.verify(header, body, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    /// RFC 4231, test case 2, so that it is known to be HMAC-SHA256 and not merely what we sign ourselves.
    #[test]
    fn the_code_is_hmac_sha256() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let tag = from_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843").unwrap();
        hmac::verify(&key, b"what do ya want for nothing?", &tag).unwrap();
    }

    #[test]
    fn any_of_the_secrets_and_any_of_the_signatures_will_do() {
        let signed = header("whsec_new", NOW);
        verify(&["whsec_new"], &signed, BODY).unwrap();
        verify(&["whsec_old", "whsec_new"], &signed, BODY).unwrap();
        let both = format!("{signed},v1={},v0=abc", sign("whsec_old", &NOW.to_string(), BODY));
        verify(&["whsec_old"], &both, BODY).unwrap();
        verify(&["whsec_old"], &both.replace(',', " , ").replacen(" , ", ",", 9), BODY).unwrap();
    }

    #[test]
    fn five_minutes_are_tolerated_in_both_directions() {
        for (offset, expected) in
            [(-300, Ok(())), (300, Ok(())), (-301, Err(BadSignature::OutOfTime)), (301, Err(BadSignature::OutOfTime))]
        {
            assert_eq!(verify(&["whsec"], &header("whsec", NOW + offset), BODY), expected, "{offset} s");
        }
    }

    #[test]
    fn what_stripe_has_not_signed_is_refused() {
        let good = header("whsec", NOW);
        let signature = good.split_once("v1=").unwrap().1;
        let other_scheme = good.replace("v1=", "v0=");
        let too_many = format!("t={NOW}{}", format!(",v1={signature}").repeat(17));
        let malformed = [
            "",
            "t=",
            "v1=",
            "t=1,v1=",
            ",",
            "=",
            "t",
            other_scheme.as_str(),
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.replace("t=", "t=+"),
            &format!("t=1,{good}"),
            &good.replacen(signature, &"zz".repeat(32), 1),
            &format!("v1={signature}"),
            &format!("t={NOW}"),
            &too_many,
        ];
        for header in malformed {
            assert_eq!(verify(&["whsec"], header, BODY), Err(BadSignature::Malformed), "{header}");
        }
        let moved = good.replace(&format!("t={NOW}"), &format!("t={}", NOW + 1));
        for (secrets, header, body) in [
            (&["whsec2"][..], good.as_str(), BODY),
            (&["whsec"], &good, br#"{"id": "evt_2", "object": "event"}"#),
            (&["whsec"], &good, b""),
            (&["whsec"], &moved, BODY),
            (&["whsec"], &format!("t={}9,v1={signature}", "9".repeat(40)), BODY),
        ] {
            assert_eq!(verify(secrets, header, body), Err(BadSignature::Mismatch), "{header}");
        }
        let no_time = format!("t={},v1={}", "9".repeat(40), sign("whsec", &"9".repeat(40), BODY));
        assert_eq!(verify(&["whsec"], &no_time, BODY), Err(BadSignature::OutOfTime));
    }

    #[test]
    fn without_a_secret_nothing_is_accepted() {
        for secrets in [&[][..], &[""]] {
            assert_eq!(verify(secrets, &header("", NOW), BODY), Err(BadSignature::NoSecret));
        }
        let unset: SigningSecrets = serde_json::from_str("{}").unwrap();
        assert_eq!(
            unset.verify(&header("", NOW), BODY, DateTime::from_timestamp(NOW, 0).unwrap()),
            Err(BadSignature::NoSecret)
        );
    }
}
